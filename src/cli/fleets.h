/* Fleets as the verbs that simulate take them. */
#pragma once

#include "sim/sim.h"

/* Reads "100xa100-80" or "4xdgx-a100,8xh100-sxm" into the groups of a zeroed setup: built-in boards
 * that can be cut. ERROR_INVALID, ERROR_NO_MEMORY. */
int fleets_read(const char *spec, struct sim_setup *ret, struct error *err);
