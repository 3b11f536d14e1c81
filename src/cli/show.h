/* Replies of the daemon as pictures and tables. */
#pragma once

#include "cli/cli.h"

/* The GPUs of a status with their slices as boxes. */
void show_gpus(const json_t *status, const struct table_look *look, struct str *out);

/* What could be had now, as "1g.10gb x 6, 3g.40gb x 1", summed over the GPUs; "nothing" without. */
void show_free(const json_t *status, struct str *out);

/* Whether a lease is the caller's. A status is the same text for everybody, so it does not say. */
bool show_mine(const json_t *lease);

/* Which leases of a list, and with what columns. */
enum show_which {
    SHOW_HOLDING, /* not those that wait */
    SHOW_LIVE,
    SHOW_PAST, /* all, with how they ended */
};

/* Leases as a table. Nothing when there is none. */
void show_leases(const json_t *leases, enum show_which which, int64_t now,
                 const struct table_look *look, struct str *out);

/* The queue of a status as a table, next first. Nothing when nobody waits. */
void show_queue(const json_t *status, const struct table_look *look, struct str *out);

/* What to do when no GPU is there, or none is fetta's; nothing else. */
void show_no_gpu(const json_t *status, struct str *out);

/* One lease with its guarantee card. */
void show_card(const json_t *reply, const struct table_look *look, struct str *out);

/* Bytes for people: "9.5 GiB"; returns `buf`. */
const char *show_bytes(int64_t bytes, char buf[24]);

/* An instant for a column: "17:05" today, "Nov 23 17:05" otherwise, "-" for 0; returns `buf`. */
const char *show_when(int64_t wall, int64_t now, char buf[24]);
