/* The mixes; see mix.h. The first four are those of the literature on placement, the last that of a
 * public benchmark of MIG schedulers. */
#include "bench/mix.h"

const struct mix mix_all[MIX_N] = {
    {"uniform", {1, 1, 1, 1, 1, 1}},
    {"skew-small", {.30, .25, .20, .10, .10, .05}},
    {"skew-big", {.05, .10, .10, .20, .25, .30}},
    {"bimodal", {.30, .15, .05, .05, .15, .30}},
    {"core-small", {.40, 0, .30, .20, .05, .05}},
    {"migbench", {.35, 0, .25, .25, 0, .05}},
};

static const char *const sizes[MIX_SIZES] = {"1g.10gb", "1g.20gb", "2g.20gb",
                                             "3g.40gb", "4g.40gb", "7g.80gb"};

void mix_profiles(const struct board *b, unsigned ret[MIX_SIZES])
{
    for (unsigned i = 0; i < MIX_SIZES; i++)
        ret[i] = board_profile_by_name(b, sizes[i]);
}

static double all_shares(const struct mix *m)
{
    double sum = 0;
    for (unsigned i = 0; i < MIX_SIZES; i++)
        sum += m->share[i];
    return sum;
}

unsigned mix_draw(const struct mix *m, double u)
{
    unsigned size = 0;
    double up_to = m->share[0], at = u * all_shares(m);
    while (up_to < at && size + 1 < MIX_SIZES)
        up_to += m->share[++size];
    return size;
}

double mix_compute(const struct mix *m, const struct board *b)
{
    unsigned profile[MIX_SIZES];
    double compute = 0;
    mix_profiles(b, profile);
    for (unsigned i = 0; i < MIX_SIZES; i++)
        compute += m->share[i] * b->profiles[profile[i]].compute;
    return compute / all_shares(m);
}

struct score_mix mix_told(const struct mix *m, const struct board *b, bool sized)
{
    unsigned profile[MIX_SIZES];
    double counts[BOARD_PROFILES] = {0};
    mix_profiles(b, profile);
    for (unsigned i = 0; i < MIX_SIZES; i++)
        counts[profile[i]] = m->share[i] * (sized ? b->profiles[profile[i]].compute : 1);
    return score_mix_of(counts);
}
