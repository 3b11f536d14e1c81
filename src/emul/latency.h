/* How long the driver takes: distributions, and a table of them per operation and board.
 *
 * Figures that were published carry their source, the others say "assumed"; nothing in between.
 * A draw depends on the generator alone, so the same seed gives the same run. */
#pragma once

#include "base/rng.h"
#include "model/board.h"

#include <stdint.h>

enum latency_kind { LATENCY_FIXED, LATENCY_UNIFORM, LATENCY_EXPONENTIAL, LATENCY_LOGNORMAL };

/* Nanoseconds. FIXED: a; UNIFORM: a to b; EXPONENTIAL: mean a; LOGNORMAL: median a, 99 of 100 at
 * most b. */
struct latency {
    uint32_t kind; /* enum latency_kind */
    uint32_t zero;
    int64_t a, b;
};

enum { LATENCY_MOST_S = 30 * 24 * 3600 }; /* longest of a and b, and of what is drawn */

/* False for a kind or numbers that are none: negative, too long, b below a where b is used. */
bool latency_valid(const struct latency *l);

/* One duration, ns, 0 to LATENCY_MOST_S seconds. */
int64_t latency_draw(const struct latency *l, struct rng *r);

enum latency_op {
    LATENCY_INIT,
    LATENCY_QUERY,
    LATENCY_GI_CREATE,
    LATENCY_GI_DESTROY,
    LATENCY_CI_CREATE,
    LATENCY_CI_DESTROY,
    LATENCY_MODE,
    LATENCY_RESET,
    LATENCY_OPS,
};

/* What an operation is called, its distribution on a board, and where that is from. `op` is below
 * LATENCY_OPS. */
const char *latency_op_name(unsigned op);
struct latency latency_board(const struct board *b, unsigned op, const char **ret_source);
