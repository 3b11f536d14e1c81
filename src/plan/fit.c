/* One GPU's placement arithmetic by table; see fit.h. */
#include "plan/fit.h"

void fit_fill_room(const struct board *b, uint8_t room[FIT_ROOMS])
{
    for (uint32_t busy = 0; busy < 1u << b->memory_slices; busy++) {
        struct layout l = {.busy = (slices)busy};
        room[busy] = (uint8_t)MIN(layout_room(b, &l), 255u);
    }
}

unsigned fit_room(const struct fit *f, slices busy)
{
    return f->room[busy & ((1u << f->board->memory_slices) - 1)];
}

unsigned fit_start(const struct fit *f, unsigned profile, slices starts, slices hard, slices soft)
{
    unsigned best = 0, best_score = 0;
    for (slices left = starts; left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        slices span = fit_span(start, f->board->profiles[profile].size);
        unsigned spared = 16 - (unsigned)__builtin_popcount(span & soft);
        unsigned score = (fit_room(f, hard | span) << 8) + spared;
        if (score > best_score) {
            best = start;
            best_score = score;
        }
    }
    return best;
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

slices fit_span(unsigned start, unsigned size)
{
    return (slices)(((1u << size) - 1) << start);
}
