/* Where on one GPU a profile goes, answered from a table.
 *
 * The room a set of busy memory slices leaves (how many placements over all profiles stay possible)
 * depends on the set alone, so it is counted once per board and looked up ever after: a placement
 * verdict must cost the same on the ten-thousandth GPU as on the first. */
#pragma once

#include "model/layout.h"

enum { FIT_ROOMS = 1 << 16 }; /* entries of a room table that serves every board */

struct fit {
    const struct board *board;
    const uint8_t *room; /* by set of busy slices; filled by fit_fill_room */
};

/* Counts the room of every set of busy slices of `b` into room[0 .. 1 << b->memory_slices). */
void fit_fill_room(const struct board *b, uint8_t room[FIT_ROOMS]);

/* The room `busy` leaves, 0..255. */
unsigned fit_room(const struct fit *f, slices busy);

/* Of the possible `starts` (not 0) the one that leaves the most room beside `hard`, then the one
 * that touches the fewest slices of `soft`, then the lowest. */
unsigned fit_start(const struct fit *f, unsigned profile, slices starts, slices hard, slices soft);

/* Starts (a subset of `starts`) at which `profile` touches no slice of `avoid`. */
slices fit_clear_of(const struct board *b, unsigned profile, slices starts, slices avoid);

/* A set of slices for a stretch that no profile names (foreign instances). */
slices fit_span(unsigned start, unsigned size);
