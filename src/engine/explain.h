/* Why a request fits, waits or can never be served: one reason per GPU, and when it starts. */
#pragma once

#include "engine/world.h"

enum verdict { VERDICT_FITS, VERDICT_WAIT, VERDICT_NEVER };

enum reason {
    REASON_FITS,         /* free now at `start` */
    REASON_FITS_WARM,    /* an idle instance of this owner is reused */
    REASON_FITS_CLEAR,   /* fits after idle instances are destroyed */
    REASON_FITS_MODE,    /* fits after a MIG mode change of an empty GPU */
    REASON_BUSY,         /* slices in the way belong to leases; see blockers */
    REASON_FOREIGN,      /* instances that are not fetta's are in the way */
    REASON_QUARANTINED,  /* instances that could not be destroyed are in the way */
    REASON_FIXED,        /* an applied layout holds and has no free slice of it */
    REASON_POOL,         /* the pool does not allow it */
    REASON_DRAINED,
    REASON_UNMANAGED,
    REASON_LOST,         /* not present or not answering */
    REASON_NO_PROFILE,   /* the board has no such profile */
    REASON_NO_MIG,
    REASON_INCOMPLETE,   /* figures of its board are not known, so it is not cut */
    REASON_OTHER_GPU,    /* --on names another */
    REASON_RESERVED,     /* kept for a request that waits before this one */
    REASON_PART,         /* has room, but all GPUs together not for all that was asked for */
    REASON_QUOTA,        /* has room, but the owner's quota is used up or too small */
    REASON_N
};

struct gpu_reason {
    uint32_t gpu;
    enum reason reason;
    uint8_t start;                   /* for the FITS ones */
    uint8_t blocker_n;
    uint32_t blockers[BOARD_GIS];    /* the fewest leases that would have to end */
    int64_t free_at;                 /* when they are gone by known ends, else TIME_NEVER */
};

struct explanation {
    enum verdict verdict;
    int64_t latest_start;            /* WAIT: boot time as engine_forecast has it, which is to be
                                      * asked of a lease that waits already; else TIME_NEVER */
    size_t position;                 /* WAIT: place in the queue, 1 = next */
    size_t n;
    struct gpu_reason gpus[MACHINE_GPUS];
};

const char *explain_reason_name(enum reason r); /* wire name, "fits-warm" */

/* `ask` as for EVENT_ASK; if ask->id names a waiting lease, its own place in the queue is told.
 * Agrees with what engine_step would do with the same ask at `now` (a test proves it). */
void engine_explain(const struct world *w, const struct lease *ask, int64_t now,
                    struct explanation *ret);

/* When the waiting requests start at the latest, in the order of service, by known ends: each with
 * what runs gone by its end and grace, and those before it started in order, none earlier than the
 * one before. Writes at most `max` instants (boot time; TIME_NEVER where no end is known, or where
 * only the owner's quota keeps it waiting) and returns how many. For the first it is a promise that
 * nobody who comes later can break; for the others it is how things stand: who overtakes them
 * without delaying the first may delay them. Costs a look at every GPU for each request. */
size_t engine_forecast(const struct world *w, int64_t now, int64_t *ret, size_t max);

/* The bare placement verdict for one slice, as placement itself asks it: FITS with *ret filled, or
 * WAIT. Looks at neither queue nor quota nor whether it could ever fit; a few hundred ns whatever
 * the size of the fleet. */
enum verdict engine_verdict(const struct world *w, const struct lease *ask, int64_t now,
                            struct lease_slice *ret);
