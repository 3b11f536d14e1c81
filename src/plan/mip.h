/* Small integer programs, solved exactly: minimise c x where A x >= b and x is a whole number >= 0.
 *
 * Planning asks one kind of question over and over: the fewest GPUs whose layouts cover a demand.
 * That is a covering program with a few dozen columns however large the fleet is, because GPUs cut
 * alike are one column. So a dense dual simplex and branch and bound are enough, and the answer
 * carries its proof: dual prices whose bound can be checked with one multiplication.
 *
 * Costs must be >= 0, which makes the empty basis dual feasible: no first phase, and a branch goes
 * on from its parent's basis. Figures should lie within some six orders of magnitude. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { MIP_ROWS = 128, MIP_COLS = 512 };

struct mip {
    unsigned rows, cols;
    const double *a;        /* [rows][cols] */
    const double *b;        /* [rows] */
    const double *c;        /* [cols], >= 0 */
    bool whole_cost;        /* the cost of every whole solution is a whole number */
    const bool *continuous; /* [cols], true: need not be whole; NULL: all must */
    const bool *early;      /* [cols], true: branched on before the others; NULL: none */
    uint64_t node_max;      /* most branches, 0 = 1,000,000 */
    double hint;            /* cost of a solution known already, 0 = none: only better ones count */
    /* Asked at branches with the fractional solution there: may make a whole one of it, in `x`,
     * which is checked and counts if it holds. NULL: none. */
    bool (*round)(void *arg, double *x);
    void *arg;
};

enum mip_state {
    MIP_OPTIMAL,    /* x is proved to be best */
    MIP_FEASIBLE,   /* x holds; the bound says how far from best it can be at most */
    MIP_INFEASIBLE, /* no x holds */
    MIP_UNKNOWN,    /* the branches ran out before any x was found, or none beats the hint */
};

struct mip_result {
    enum mip_state state;
    double cost;  /* of x */
    double relax; /* the best cost where x need not be whole, by the prices */
    double bound; /* nothing costs less; rounded up where costs are whole */
    uint64_t nodes, pivots;
    double x[MIP_COLS];
    double price[MIP_ROWS]; /* dual prices, >= 0, price A <= c: price b is the bound `relax` */
};

/* -ERROR_INVALID for sizes beyond the limits or a negative cost, -ERROR_NO_MEMORY. */
int mip_solve(const struct mip *m, struct mip_result *ret, struct error *err);

/* Whether x holds in every row, to one part in 10^7 of the figures in it, or of 1. */
bool mip_holds(const struct mip *m, const double *x);

/* The bound that prices prove: price b, shrunk until price A <= c holds to one part in 10^9. */
double mip_bound(const struct mip *m, const double *price);
