/* Needs on GPUs that are not alike, as the program of plan/blend.h: a piece is a profile of one of
 * the boards, and a need may be served by slices of several. */
#pragma once

#include "needs/fleet.h"
#include "plan/blend.h"

enum { MIXED_NONE = 0xff };

struct mixed {
    struct blend blend;
    struct blend_plan plan;
    uint8_t piece[MACHINE_BOARDS][BOARD_PROFILES]; /* by group and profile; MIXED_NONE: of no use */
};

/* Begins a program for `part` of all needs with the pieces of the uses, one for each of `use_n`
 * groups. Kinds and columns are the caller's to add. -ERROR_UNSUPPORTED if pieces are too many. */
int mixed_begin(struct mixed *m, const struct needs *n, const struct fleet_use *uses,
                unsigned use_n, double part, struct error *err);

/* Slices of a layout of that group, by piece, added to ret[]. Profiles that are no piece are not
 * counted. */
void mixed_count(const struct mixed *m, unsigned group, const struct layout *l,
                 uint8_t ret[COVER_PIECES]);

/* Writes slices, and what is asked of each group, from the plan into the uses. */
void mixed_read(const struct mixed *m, const struct needs *n, struct fleet_use *uses,
                unsigned use_n, double part);

/* Plans a fleet of several boards: the fewest GPUs, and among such plans those with the least
 * memory. *ret gets its uses from `uses`. -ERROR_UNSUPPORTED beyond the limits of the program. */
int mixed_plan(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
               struct fleet_plan *ret, struct error *err);
