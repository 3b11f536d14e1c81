/* Texts of live leases, for people: what was asked for and which command. The engine knows only
 * numbers; the store keeps the texts for ever; this is what answers need at hand. */
#pragma once

#include "daemon/daemon.h"
#include "proc/proc.h"

struct note {
    uint32_t lease;
    const char *asked_for; /* "1g.10gb", "18 GiB, 2/7", "4 GPUs" */
    const char *command;   /* "" if none */
    struct note *next;
    char text[];           /* both, zero-terminated */
};

/* Writes the texts into the running transaction and keeps them. */
int notes_add(struct daemon *d, uint32_t lease, const char *asked_for, const char *command,
              const char *door, struct error *err);

/* The note of a live lease, read back from the store if need be; never NULL. */
const struct note *notes_get(struct daemon *d, uint32_t lease);

/* Writes down which processes had to be ended after the lease's command itself had. */
void notes_left(struct daemon *d, uint32_t lease, const struct proc_list *list);

/* Forgets one lease's note, or all of them; the store keeps the texts. */
void notes_drop(struct daemon *d, uint32_t lease);
void notes_done(struct daemon *d);
