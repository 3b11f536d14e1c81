/* One GPU's placement arithmetic by table; see fit.h. */
#include "plan/fit.h"

unsigned fit_start(const struct fit *f, unsigned profile, slices starts, slices hard, slices soft)
{
    return score_start(f->score, f->board, profile, starts, hard, soft);
}

unsigned fit_rank(const struct fit *f, unsigned profile, unsigned start, slices busy)
{
    return score_rank(f->score, f->board, profile, start, busy);
}

slices fit_clear_of(const struct board *b, unsigned profile, slices starts, slices avoid)
{
    slices clear = 0;
    for (slices left = starts; left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        if (!(fit_span(start, b->profiles[profile].size) & avoid))
            clear |= (slices)(1u << start);
    }
    return clear;
}
