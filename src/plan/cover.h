/* The cheapest ways to make up an amount out of pieces of a few sizes, each with its price.
 *
 * A service needs its rate, and slices of each profile bring some of it: which whole numbers of
 * slices cost least, at given prices? That is a small unbounded knapsack. The pieces that give most
 * for their price do nearly all of it, so trying what else could be in it, dearest first, ends
 * soon; where it does not, the price that the best piece would need in parts is still a bound. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { COVER_PIECES = 32, COVER_ROOM = 32 };

struct cover {
    double price;
    uint32_t n[COVER_PIECES]; /* of each piece */
};

struct cover_list {
    double bound; /* nothing that makes up the amount costs less */
    bool all;     /* the search came to its end: there are no cheaper covers, or no more at all */
    unsigned n;   /* covers found, cheapest first */
    struct cover at[COVER_ROOM];
};

/* Finds the `room` (at most COVER_ROOM) cheapest of the covers of `need` > 0 by `n` pieces of
 * amounts[] >= 0 (0: no use) and prices[] > 0. None if no piece is of use. */
void cover_find(const double *amounts, const double *prices, unsigned n, double need, unsigned room,
                struct cover_list *ret);
