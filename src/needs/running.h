/* Plans for a machine that runs: with the least change of what is there.
 *
 * What leases hold stays where it is. Beside it the work gets the fewest GPUs that no lease is on,
 * and among all such plans one that makes and destroys the fewest instances. Without work the same
 * program says on how few GPUs the leases themselves could be, if those that may move did. */
#pragma once

#include "needs/fleet.h"

/* One GPU as it is now. */
struct running_gpu {
    uint32_t index; /* as people type it */
    uint8_t group;  /* its board, of the fleet */
    bool off;       /* is not planned: drained, not managed, held as a whole, in trouble, no MIG */
    bool in_use;    /* leases or somebody else hold something of it */
    bool mode;      /* MIG mode has to be turned on first */
    struct layout stays, idle; /* what is not to be touched, and what may go */
};

struct running {
    struct fleet fleet; /* groups alone; their GPUs are those that are not off */
    unsigned n;
    struct running_gpu gpus[MACHINE_GPUS];
};

/* One GPU as it is to be. */
struct running_target {
    bool planned; /* else it is left as it is; what may move has left it */
    struct layout to;
    unsigned kept, created, destroyed; /* instances; what stays is kept */
};

struct running_plan {
    struct fleet_plan plan; /* what serves what, and which part of all; `gpus` and `bound` are
                               GPUs beside those in use */
    unsigned in_use;        /* GPUs that leases are on now, with those that are off */
    bool least;             /* no plan with as few GPUs changes less */
    unsigned changes;       /* instances made and destroyed, and modes changed */
    unsigned changes_bound; /* no plan with as few GPUs changes less than that */
    struct running_target gpus[MACHINE_GPUS];
};

#define AUTO_RUNNING_PLAN CLEANUP(running_done)

/* Plans the needs onto the machine. `leases_serve`: what leases hold is part of the work and serves
 * it, else the work has to find room beside. -ERROR_NEVER as fleet_solve, -ERROR_UNSUPPORTED for a
 * machine of too many different GPUs, -ERROR_NO_MEMORY. */
int running_solve(const struct running *r, const struct needs *n, bool leases_serve,
                  struct running_plan *ret, struct error *err);

/* The fewest GPUs for what is there: `idle` is what may move, to GPUs of its board, and what counts
 * as created has moved. `plan` has no uses; its `gpus` are those beside the ones with what stays.
 */
int running_repack(const struct running *r, struct running_plan *ret, struct error *err);

/* Frees what a plan holds; one that failed may be given as well. */
void running_done(struct running_plan *p);
