/* Which slice to make for which service next, as rates change.
 *
 * Requests come in bursts, and the GPUs are fewer than the sum of all bursts. A step makes one
 * slice for one service where it destroys what is in its place. It is worth what more requests are
 * served over a horizon, less what the new slice does not serve while it is made; only steps worth
 * more than a threshold are found, so that a layout is not torn up for a little. What rates are
 * expected over the horizon is told as a few that are equally likely: then a spare slice for a
 * burst that may come has a value too. Pure; about fleets small enough to look at all of it. */
#pragma once

#include "model/layout.h"

enum { SHIFT_RATES = 16 };

struct shift_slice {
    struct placement at;
    uint8_t service; /* its number */
};

struct shift_gpu {
    unsigned n;
    struct shift_slice slices[BOARD_GIS];
};

struct shift_service {
    double per_slice[BOARD_PROFILES]; /* requests per second of one slice; 0: not in time */
    double capacity;                  /* of all its slices; kept by shift_count and shift_do */
    unsigned rate_n;                  /* 1..SHIFT_RATES */
    double rates[SHIFT_RATES];        /* requests per second over the horizon, equally likely */
};

struct shift_terms {
    double horizon; /* s for which the rates are expected */
    double stop;    /* s for which a new slice serves nothing */
    double least;   /* requests that a step must be worth, >= 0 */
};

struct shift_step {
    uint32_t gpu;
    struct shift_slice made;
    double gain; /* requests more over the horizon */
};

/* What serves at `capacity`, on average over the expected rates: requests per second. */
double shift_served(const struct shift_service *s, double capacity);

/* Sums the capacities up afresh. */
void shift_count(const struct shift_gpu *gpus, uint32_t gpu_n, struct shift_service *services,
                 unsigned service_n);

/* The step that is worth most, if any is worth more than the least; the first among equals. */
bool shift_find(const struct board *b, const struct shift_gpu *gpus, uint32_t gpu_n,
                const struct shift_service *services, unsigned service_n,
                const struct shift_terms *terms, struct shift_step *ret);

/* Takes the step: what overlaps goes, the slice comes, capacities follow. Returns how many went;
 * they are in `ret_gone` if that is not NULL. */
unsigned shift_do(const struct board *b, struct shift_gpu *gpus, struct shift_service *services,
                  const struct shift_step *step, struct shift_slice ret_gone[BOARD_GIS]);
