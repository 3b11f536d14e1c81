/* What one GPU is cut into, as values: placements of GI profiles on memory slices.
 *
 * A layout keeps the instance boundaries (departures need them), so on an A100 there are 298 of
 * them for the five plain profiles. Pure arithmetic on masks: no allocation, no failure. */
#pragma once

#include "model/board.h"

struct placement {
    uint8_t profile; /* index into board->profiles */
    uint8_t start;   /* first memory slice */
};

struct layout {
    uint8_t n;
    struct placement at[BOARD_GIS]; /* in order of start */
    slices busy;                    /* union of their memory slices */
};

/* The memory slices a placement covers. */
slices layout_span(const struct board *b, struct placement p);

/* Starts at which `profile` can be added now, 0 if it does not fit: the memory slices are free,
 * there are fewer than `max` of it, and the media engines are not promised twice ("+me" once per
 * GPU over all profiles; beside "+me.all" only "-me"). */
slices layout_fits(const struct board *b, const struct layout *l, unsigned profile);

/* Adds a placement that layout_fits allowed. */
void layout_add(const struct board *b, struct layout *l, struct placement p);

/* Removes the placement starting at `start`; it must be there. */
void layout_remove(const struct board *b, struct layout *l, unsigned start);

/* Index in `at` of the placement starting at `start`, -1 if there is none. */
int layout_index(const struct layout *l, unsigned start);

/* How many more of `profile` fit, one after the other (the "Free" of nvidia-smi mig -lgip). */
unsigned layout_capacity(const struct board *b, const struct layout *l, unsigned profile);

/* How many placements, over all profiles of the board, remain possible: the driver's own measure
 * of room, and ours for "leaves the most room". */
unsigned layout_room(const struct board *b, const struct layout *l);

/* The start the driver takes when none is given: the one that leaves the most room, lowest first
 * among equals. A wide 1g (board_profile_wide) goes where a 2g can as long as it can, as seen on
 * real GPUs. -1 if the profile does not fit. */
int layout_choose(const struct board *b, const struct layout *l, unsigned profile);

/* "3g.40gb@4 1g.10gb@0", or "empty"; for messages and tests. Returns `buf`. */
enum { LAYOUT_TEXT = BOARD_GIS * (BOARD_PROFILE_NAME + 4) };
const char *layout_format(const struct board *b, const struct layout *l, char buf[LAYOUT_TEXT]);

/* Calls `visit` once for every reachable layout over the profiles in `profile_mask` (bit i =
 * profile i), the empty one first, always in the same order. `visit` must not keep the pointer. */
void layout_enumerate(const struct board *b, unsigned profile_mask,
                      void (*visit)(const struct layout *l, void *arg), void *arg);
