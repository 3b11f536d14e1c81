/* All layouts of one board over some of its profiles, and every step between them, counted out
 * once.
 *
 * An A100 has 298 layouts over its five plain profiles, so whatever is asked of one GPU (what fits,
 * what follows, what could still be added) can be looked up instead of worked out. Nothing of any
 * board's geometry is written down: a table comes from the board's placements, whether these are
 * facts of a table or what a driver reports. Layouts have numbers, 0 being the empty one; a step is
 * one placement added or taken away. */
#pragma once

#include "model/layout.h"

enum { TABLE_NONE = 0xffff, TABLE_PLACES = 64 };

/* How many of each profile, by index into board->profiles. */
struct table_mix {
    uint8_t n[BOARD_PROFILES];
    uint16_t layout; /* the lowest layout that holds it */
};

struct table;

/* The table over the profiles of `profile_mask` (bit i = profile i) of a board with MIG; NULL
 * without memory, or where the board has more than TABLE_PLACES placements or 65,534 layouts over
 * them. `b` must outlive the table. */
struct table *table_new(const struct board *b, unsigned profile_mask);
struct table *table_free(struct table *t);

/* The profiles without a suffix: the usual mask. */
unsigned table_plain(const struct board *b);

/* What it was made from. */
const struct board *table_board(const struct table *t);
unsigned table_mask(const struct table *t);

unsigned table_n(const struct table *t); /* layouts */
const struct layout *table_layout(const struct table *t, unsigned id);

/* The number of a layout, TABLE_NONE if it is none of these. */
unsigned table_find(const struct table *t, const struct layout *l);

/* The layout after adding, or taking away, a placement; TABLE_NONE if that cannot be. */
unsigned table_place(const struct table *t, unsigned id, unsigned profile, unsigned start);
unsigned table_remove(const struct table *t, unsigned id, unsigned start);

/* Starts at which a profile can be added to a layout. */
slices table_starts(const struct table *t, unsigned id, unsigned profile);

/* True if nothing can be added to it. */
bool table_maximal(const struct table *t, unsigned id);

/* The mixes that no other mix contains: what one GPU can hold at most. *ret_n of them, in a fixed
 * order. Whoever looks for the fewest GPUs need look at no others. */
const struct table_mix *table_pareto(const struct table *t, unsigned *ret_n);

/* Fewest instances to move, one at a time and each through a legal layout, to get from one layout
 * to another that holds the same mix; an instance that moves is gone while it moves. Fills
 * ret[0 .. table_n) for `from`; TABLE_FAR where no such way is. -ERROR_NO_MEMORY. */
enum { TABLE_FAR = 255 };
int table_moves(const struct table *t, unsigned from, uint8_t *ret, struct error *err);
