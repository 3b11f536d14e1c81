/* Where decisions are written down before anything is done about them.
 *
 * The current world is rows; what happened is an append-only audit table written in the same
 * transaction. After a failed commit nothing is retried: the daemon rebuilds its world from the
 * store. `store/memory.c` is the same contract without a disk, for tests and the simulator. */
#pragma once

#include "engine/outcome.h"

struct store;

/* Texts that belong to a lease but not to the engine's world. */
struct store_text {
    uint32_t lease;
    const char *command; /* as typed, joined; "" if none */
    const char *place;   /* door and host it came from: "run", "lease", "api" */
    const char *profile; /* as asked: "1g.10gb", "18GiB 2/7", "2 GPUs" */
};

/* Memory in use on the fullest slice of a lease, as far as somebody looked: at least so much. */
struct store_peak {
    uint64_t bytes; /* 0: no process was seen */
    uint32_t looks; /* 0: nobody looked */
};

/* One past or present lease as history shows it. */
struct store_past {
    struct lease lease;
    char *command, *profile, *slices;             /* owned by the row, freed by store_past_done */
    int64_t asked_wall, started_wall, ended_wall; /* ns since the epoch, 0 = not */
    int exit_status;                              /* -1 unknown */
    struct store_peak peak;
    char *left_behind;                            /* lines of "PID NAME", "" if nothing was */
};
void store_past_done(struct store_past *p);

/* Opens or makes the SQLite state at `path`. Refuses a corrupt file or a newer schema with a text
 * that says how to recover, and keeps the file. An older schema is migrated in one transaction
 * after a copy `path.vN`. */
int store_open_sqlite(const char *path, struct store **ret, struct error *err);
int store_open_memory(struct store **ret, struct error *err);
struct store *store_close(struct store *s);

/* Reads the recorded world into `w` (fresh from world_new). *ret_boot gets the recorded boot id
 * ("" on a new state). */
int store_load(struct store *s, struct world *w, char ret_boot[64], struct error *err);

/* A transaction: begin, any number of writes, commit (durable when it returns 0). Nothing is
 * visible to store_load before commit; store_rollback forgets it. */
int store_begin(struct store *s, struct error *err);
int store_write(struct store *s, const struct changes *c, int64_t wall, struct error *err);
int store_set_boot(struct store *s, const char *boot_id, struct error *err);
int store_set_text(struct store *s, const struct store_text *t, struct error *err);
int store_set_exit(struct store *s, uint32_t lease, int status, struct error *err);
/* What had to be ended after the lease's command: lines of "PID NAME". NOT_FOUND as
 * store_set_exit. */
int store_set_left(struct store *s, uint32_t lease, const char *lines, struct error *err);
/* Takes the place of what was recorded. NOT_FOUND as store_set_exit. */
int store_set_peak(struct store *s, uint32_t lease, const struct store_peak *peak,
                   struct error *err);
int store_audit(struct store *s, int64_t wall, uint32_t lease, uint32_t uid, const char *what,
                struct error *err);
int store_commit(struct store *s, struct error *err);
void store_rollback(struct store *s);

/* Interned texts (named owners, keys, cgroup paths): the number of a text, given once and kept.
 * Written at once in a transaction of its own if none is open. */
int store_intern(struct store *s, const char *text, uint32_t *ret, struct error *err);
/* The text of a number; NULL if there is none. Valid until store_close. */
const char *store_name(struct store *s, uint32_t number);

/* GPU slots by UUID: the slot of a GPU, a new one for a GPU never seen. */
int store_gpu_slot(struct store *s, const char *uuid, uint16_t *ret, struct error *err);
const char *store_gpu_uuid(struct store *s, uint32_t slot); /* NULL if there is none */

/* Calls `visit` for leases from the newest, ended ones too, at most `limit`; `id` != 0 for one. */
int store_history(struct store *s, uint32_t id, const struct owner *owner, size_t limit,
                  int (*visit)(const struct store_past *p, void *arg), void *arg,
                  struct error *err);

/* Which leases a page of history has: those that ended within since..until (wall, ns), asked
 * for after the lease `after` (0: from the first), of `owner` (NULL: of everybody). */
struct store_page {
    const struct owner *owner;
    uint32_t after;
    int64_t since, until;
    bool live; /* those that have not ended, too */
    size_t limit;
};

/* Calls `visit` for the leases of a page in order of their ids. What it returns other than 0 ends
 * the page and is returned. */
int store_history_page(struct store *s, const struct store_page *page,
                       int (*visit)(const struct store_past *p, void *arg), void *arg,
                       struct error *err);

/* Deletes ended leases and audit rows older than `before_wall`, at most `max` rows at a time. */
int store_prune(struct store *s, int64_t before_wall, size_t max, struct error *err);

/* How many durable commits (fsyncs asked for) so far; for tests and the bench. */
uint64_t store_commits(const struct store *s);
