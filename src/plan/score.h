/* How good it is to put a profile onto a GPU in a certain state, by one of the rules that the field
 * has proposed; a portfolio, because which rule is best depends on the mix of requests.
 *
 * Every rule here looks at the busy memory slices of the GPU alone, so it is a table over their
 * sets, made once per board and mix. A rule gives the start on a GPU and a rank among GPUs. Lower
 * is better in both. */
#pragma once

#include "model/layout.h"

/* SCORE(id, name, what it does) */
#define SCORE_RULES(SCORE)                                                                        \
    SCORE(ROOM, "room", "the GPU with the least room that suffices, its roomiest start") \
    SCORE(FIRST_LOW, "first-fit", "the first GPU that has room, its lowest start")                \
    SCORE(FIRST_HIGH, "first-fit-high", "the first GPU that has room, its highest start")         \
    SCORE(BEST, "best-fit", "the GPU with the fewest free memory slices, its lowest start")       \
    SCORE(BEST_CC, "best-fit-cc", "best-fit, at the start that leaves the most placements")       \
    SCORE(WORST, "worst-fit", "the GPU with the most free memory slices, its lowest start")       \
    SCORE(MIN_DCC, "min-dcc", "where the fewest placements are lost")                             \
    SCORE(MFI, "mfi", "where the fewest memory slices of windows become blocked (rebuilt)")       \
    SCORE(FGD, "fgd", "where the least free room becomes useless to the mix (after FGD)")         \
    SCORE(FGD_FILL, "fgd-fill", "fgd, and the fullest GPU among equals")

enum score_rule {
#define SCORE(id, name, what) SCORE_##id,
    SCORE_RULES(SCORE)
#undef SCORE
        SCORE_N
};

enum {
    SCORE_SETS = 1 << 16, /* sets of busy memory slices, for any board */
    SCORE_RANKS = 64,     /* ranks are 0..63 */
};

/* How often each profile of the board is asked for, as parts of 255: profile p in byte p & 7 of
 * word p >> 3. All 0 stands for equally often. Packed, so that a policy that holds it stays small
 * enough to be written down as two numbers. */
struct score_mix {
    uint64_t word[2];
};

/* Packs counts of requests per profile. */
struct score_mix score_mix_of(const double counts[BOARD_PROFILES]);

/* One rule's table for one board. Large: allocate it. Only the entries of sets that the board has
 * are ever touched. */
struct score {
    enum score_rule rule;
    bool growth; /* the rank looks at how much `cost` grows, not at what it becomes */
    int32_t cost[SCORE_SETS];   /* by set of busy slices: what ranks GPUs */
    int32_t choice[SCORE_SETS]; /* ... and what chooses the start */
    uint8_t step_n[BOARD_PROFILES];
    int32_t step[BOARD_PROFILES][SCORE_RANKS]; /* the largest cost of each rank, ascending */
};

/* Fills the table; cannot fail. With ROOM and the like `mix` is not looked at. */
void score_fill(struct score *s, const struct board *b, enum score_rule rule,
                const struct score_mix *mix);

/* Of the possible `starts` (not 0) of `profile` beside `hard`, the best; among equals the one that
 * touches the fewest slices of `soft`, then the lowest. */
unsigned score_start(const struct score *s, const struct board *b, unsigned profile, slices starts,
                     slices hard, slices soft);

/* The rank of a GPU with `busy` slices for `profile` placed at `start`: 0..63. */
unsigned score_rank(const struct score *s, const struct board *b, unsigned profile, unsigned start,
                    slices busy);

/* Its name, and what it does, for people; never NULL for a rule. */
const char *score_name(enum score_rule rule);
const char *score_about(enum score_rule rule);

/* The rule called `name`, SCORE_N if there is none. */
enum score_rule score_find(const char *name);
