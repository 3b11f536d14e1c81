/* Where on one GPU a profile goes, and how good that is, answered from a table.
 *
 * What a rule makes of a set of busy memory slices depends on the set alone, so it is counted once
 * per board and looked up ever after: a placement verdict must cost the same on the ten-thousandth
 * GPU as on the first. */
#pragma once

#include "plan/score.h"

struct fit {
    const struct board *board;
    const struct score *score; /* filled for this board */
};

/* Of the possible `starts` (not 0) the best by the rule beside `hard`, then the one that touches
 * the fewest slices of `soft`, then the lowest. */
unsigned fit_start(const struct fit *f, unsigned profile, slices starts, slices hard, slices soft);

/* How good a GPU with `busy` slices is for the profile at that start: 0 (best) .. 63. */
unsigned fit_rank(const struct fit *f, unsigned profile, unsigned start, slices busy);

/* Starts (a subset of `starts`) at which `profile` touches no slice of `avoid`. */
slices fit_clear_of(const struct board *b, unsigned profile, slices starts, slices avoid);

/* A set of slices for a stretch that no profile names (foreign instances). */
static inline slices fit_span(unsigned start, unsigned size)
{
    return (slices)(((1u << size) - 1) << start);
}
