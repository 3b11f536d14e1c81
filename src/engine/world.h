/* Everything the engine knows: GPUs with their instances, leases, and the rules of the house.
 *
 * A world is sized once at start and never copied whole. `engine_step` reads it; `world_apply` is
 * the only function that writes it, and it keeps the indices (GPUs by layout, leases by id, the
 * heap of deadlines) that make a step cost what changed rather than what exists. */
#pragma once

#include "engine/lease.h"
#include "plan/score.h"

#include <stddef.h>

/* What a GPU may become, and who may get an idle instance as it is. */
enum __attribute__((packed)) pool { POOL_ELASTIC, POOL_SLICED, POOL_WHOLE };
enum warm_reuse { WARM_OWNER, WARM_GROUP, WARM_ANY };

enum __attribute__((packed)) seat_state {
    SEAT_CREATING,    /* asked of the driver for a lease or a fixed layout */
    SEAT_IDLE,        /* exists, nobody's: reusable or destroyable */
    SEAT_LEASED,
    SEAT_DESTROYING,
    SEAT_FOREIGN,     /* made by somebody else; shown, never destroyed unasked */
    SEAT_QUARANTINED, /* destroy was refused, or not proved empty; retried */
};

/* One GPU instance (with its full-size compute instance) on a GPU, or the place of one. */
struct seat {
    enum seat_state state;
    uint8_t profile;      /* BOARD_NO_PROFILE when the board does not know it */
    uint8_t start, size;  /* memory slices */
    uint8_t gi, ci;       /* valid once it exists */
    bool fixed;           /* belongs to an applied layout: never destroyed for another request */
    uint8_t tries;        /* failed destroys */
    bool used;            /* somebody held it: `last` */
    uint32_t lease;       /* who holds it or waits for it; 0 = nobody */
    uint32_t op;          /* CREATING, DESTROYING: the action under way; 0 = not asked for yet */
    struct owner last;    /* who held it last, meaningful when `used` */
    uint32_t last_gid;    /* primary group of that owner, for warm_reuse: group */
    int64_t since;        /* boot time of the last change of state */
    int64_t retry_at;     /* QUARANTINED, CREATING: not tried again before this; 0 = free */
};

/* A GPU by slot. Slots are given in order of first sight and kept by UUID (the store maps them),
 * so a slot means the same GPU after a reboot that renumbers minors. */
struct gpu {
    uint32_t slot;
    uint8_t board;               /* index into world.boards */
    bool present;                /* seen by the last observation */
    bool managed;                /* fetta may touch it */
    bool drained;                /* no new leases */
    bool fixed;                  /* an applied layout holds; `seats` with fixed set are it */
    enum pool pool;
    enum machine_mig mig;
    enum machine_health health;
    bool mode_changing;          /* SET_MODE is on its way */
    bool mode_wanted;            /* the mode asked for, or the mode of a fixed GPU: true = MIG on */
    bool mode_asked;             /* what the SET_MODE under way asks for: true = MIG on */
    uint32_t mode_op;            /* the SET_MODE under way; 0 = none */
    uint32_t op_n;               /* actions asked of this GPU so far; gives their numbers */
    int64_t mode_retry_at;       /* a refused mode change rests until this; 0 = free */
    uint32_t whole_lease;        /* lease of the whole GPU, 0 = none */
    uint32_t drain_reason;       /* interned text, 0 = none */
    int64_t lost_at;             /* boot time the GPU stopped answering, 0 = it answers */
    struct layout layout_fixed;     /* the applied layout, re-made after a reboot */
    uint8_t seat_n;
    struct seat seats[BOARD_GIS];   /* in order of start; nothing counts beyond seat_n */
};

/* Copies what counts: everything up to the last seat in use. */
void world_gpu_copy(struct gpu *to, const struct gpu *from);

/* The rules of the house, from the configuration. Times in ns. */
struct policy {
    int64_t default_for, max_for; /* TIME_NEVER = no limit */
    int64_t grace;
    int64_t idle_keep;            /* destroy a warm idle instance after this; TIME_NEVER = keep */
    enum warm_reuse warm_reuse;
    uint32_t queue_max;           /* most waiting requests of one owner; 0 = no limit */
    bool no_backfill;             /* nobody overtakes the head of the queue */
    enum score_rule rule;         /* how a place is chosen */
    struct score_mix mix;         /* ... for which requests; all 0: any alike */
    /* Why that rule, for people: nothing is decided by these. */
    int64_t rule_since;           /* wall clock; 0 = never said */
    uint32_t vote_jobs;           /* requests that were voted on; 0 = the rule was named */
    uint32_t vote_for;            /* enum vote_for of vote/vote.h */
    int32_t vote_gain;            /* millionths of the work asked for, or of the wait ... */
    int32_t vote_noise;           /* ... and half of the 95 % interval */
};

struct world; /* rows are reached through the functions below */

/* A world for up to `gpu_max` GPUs and `lease_max` live or waiting leases; NULL without memory. */
struct world *world_new(size_t gpu_max, size_t lease_max);
struct world *world_free(struct world *w);

/* Rows and numbers as they are now. Slots are 0..world_gpu_n-1, with gaps; boards
 * 0..world_board_n-1; world_next_id is the id the next new lease gets. Addresses stay valid until
 * the next world_apply. */
size_t world_gpu_n(const struct world *w);
const struct gpu *world_gpu(const struct world *w, unsigned slot);      /* NULL if there is none */
const struct board *world_board(const struct world *w, unsigned board); /* NULL if there is none */
unsigned world_board_n(const struct world *w);
const struct lease *world_lease(const struct world *w, uint32_t id);      /* NULL if not live */
const struct lease *world_lease_by_key(const struct world *w, struct owner owner, uint32_t key);
const struct policy *world_policy(const struct world *w);
uint32_t world_next_id(const struct world *w);

/* Walks live and waiting leases in order of id: start with 0; NULL at the end. */
const struct lease *world_lease_after(const struct world *w, uint32_t id);

/* Waiting leases in the order they will be served: 0 is the head; NULL past the end. */
const struct lease *world_queue(const struct world *w, size_t position);

/* The next instant (boot time) at which something is due, TIME_NEVER if nothing is. */
int64_t world_deadline(const struct world *w);

/* Says that this lease, and a GPU of it, will be in one of the next events: what these need is
 * fetched from memory. Once some events before, then with `next`, when that has come and leads to
 * more. Nothing but time depends on it. */
void world_soon(const struct world *w, uint32_t lease, unsigned gpu, bool next);

struct changes;
/* Writes what a step returned. Cannot fail: capacity was checked by the step. */
void world_apply(struct world *w, const struct changes *c);
