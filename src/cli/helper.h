/* Programs that `fetta emulate` keeps running beside the command: the emulated driver and fettad.
 *
 * Each has a session of its own, so that Ctrl-C for the command is not theirs, and ends when we do,
 * whatever ended us. */
#pragma once

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum { HELPER_ARGS = 32 };

struct helper {
    const char *name; /* for messages */
    const char *argv[HELPER_ARGS];
    const char *log; /* file that takes its stdout and stderr */
    char *const *env;
    int keep;                 /* a descriptor it inherits, -1: none */
    int ready_at;             /* index in argv that takes the ready descriptor's number */
    int pid, pidfd, ready_fd; /* -1 while it does not run; ready_fd is -1 once it is ready */
    int failures;             /* starts in a row that did not become ready */
    int64_t again;            /* boot time to start it again; TIME_NEVER: it runs */
};

/* Starts it; `mask` is the signal mask it gets. */
int helper_start(struct helper *h, const sigset_t *mask, struct error *err);

/* Looks at its descriptors without waiting: notes that it became ready or ended; an ended one is
 * due to be started again at h->again, later each time that it fails at once. */
void helper_look(struct helper *h);

/* Whether it runs and says so. */
bool helper_ready(const struct helper *h);

/* SIGTERM, `timeout_ms`, SIGKILL. Returns when it has ended. */
void helper_stop(struct helper *h, int timeout_ms);

/* The last lines of its log as one text, for an error. */
void helper_last_words(const struct helper *h, char *buf, unsigned size);
