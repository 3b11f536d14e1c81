/* The six mixes of requests that rules of placement are judged on, for an A100-80. */
#pragma once

#include "plan/score.h"

enum { MIX_SIZES = 6, MIX_N = 6 };

/* Shares of 1g, 1g with double memory, 2g, 3g, 4g, 7g; they need not add up to 1. */
struct mix {
    const char *name;
    double share[MIX_SIZES];
};

extern const struct mix mix_all[MIX_N];

/* The profiles of the sizes. */
void mix_profiles(const struct board *b, unsigned ret[MIX_SIZES]);

/* The size that `u` of (0, 1] draws. */
unsigned mix_draw(const struct mix *m, double u);

/* Compute slices of a request on average. */
double mix_compute(const struct mix *m, const struct board *b);

/* The mix as a rule is told it: how often each size is asked for; `sized`: times its compute
 * slices.
 */
struct score_mix mix_told(const struct mix *m, const struct board *b, bool sized);
