/* What the driver takes in a simulation: the distributions that the emulated driver draws from
 * (emul/latency.h), for each board of a fleet, or constants that were asked for. */
#pragma once

#include "base/str.h"
#include "emul/latency.h"
#include "sim/sim.h"

enum { DELAYS_STEPS = 2 }; /* an instance is a GPU instance and a compute instance in it */

struct delays {
    struct latency of[SIM_BOARDS][SIM_MODE + 1][DELAYS_STEPS];
};

/* The boards' own for all groups of the fleet. */
void delays_fill(struct delays *d, const struct sim_setup *fleet);

/* A constant for one of them, on every board, ns. */
void delays_fix(struct delays *d, enum sim_op op, int64_t ns);

/* A sim_delay of a struct delays. */
int64_t delays_draw(const void *arg, unsigned group, enum sim_op op, struct rng *rng);

/* What half of all draws on the first board are below, and what 99 of 100 are, ns: by drawing. */
void delays_usual(const struct delays *d, enum sim_op op, int64_t *ret_half, int64_t *ret_most);
