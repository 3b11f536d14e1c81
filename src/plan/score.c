/* The portfolio of placement rules; see score.h.
 *
 * A rule is two potentials over sets of busy slices: one that ranks GPUs, by its value after the
 * placement or by its growth, and one whose least value after the placement chooses the start.
 * Costs of a profile take few distinct values, which are sorted into at most SCORE_RANKS ranks. */
#include "plan/score.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

static slices span_of(unsigned start, unsigned size)
{
    return (slices)(((1u << size) - 1) << start);
}

static unsigned free_slices(const struct board *b, slices busy)
{
    return b->memory_slices - (unsigned)__builtin_popcount(busy);
}

/* Starts of a profile that touch no busy slice. */
static slices open_starts(const struct board *b, unsigned profile, slices busy)
{
    slices open = 0;
    for (slices left = b->profiles[profile].starts; left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        if (!(span_of(start, b->profiles[profile].size) & busy))
            open |= (slices)(1u << start);
    }
    return open;
}

static bool plain(const struct board *b, unsigned profile)
{
    return !b->profiles[profile].suffix[0];
}

/* Placements that are still possible: the "configuration capability". */
static int32_t capability(const struct board *b, slices busy)
{
    int32_t n = 0;
    for (unsigned p = 0; p < b->profile_n; p++)
        n += plain(b, p) ? __builtin_popcount(open_starts(b, p, busy)) : 0;
    return n;
}

/* Memory slices of windows that are blocked although the GPU has slices enough for them. */
static int32_t blocked(const struct board *b, slices busy)
{
    int32_t sum = 0;
    for (unsigned p = 0; p < b->profile_n; p++) {
        const struct profile *f = &b->profiles[p];
        if (plain(b, p) && f->size <= free_slices(b, busy))
            sum += f->size *
                   (__builtin_popcount(f->starts) - __builtin_popcount(open_starts(b, p, busy)));
    }
    return sum;
}

static unsigned weight_of(const struct score_mix *mix, unsigned profile)
{
    return mix->word[profile >> 3] >> (profile & 7) * 8 & 0xff;
}

struct score_mix score_mix_of(const double counts[BOARD_PROFILES])
{
    struct score_mix mix = {{0}};
    double most = 0;
    for (unsigned p = 0; p < BOARD_PROFILES; p++)
        most = MAX(most, counts[p]);
    for (unsigned p = 0; p < BOARD_PROFILES && most > 0; p++) {
        double part = counts[p] > 0 ? MAX(counts[p] / most * 255, 1) : 0;
        mix.word[p >> 3] |= (uint64_t)(part + 0.5) << (p & 7) * 8;
    }
    return mix;
}

/* Free memory slices that a request drawn from the mix cannot use, in thousandths. */
static int32_t useless(const struct board *b, slices busy, const struct score_mix *mix)
{
    uint64_t all = 0, lost = 0;
    for (unsigned p = 0; p < b->profile_n; p++) {
        uint64_t weight = plain(b, p) ? weight_of(mix, p) : 0;
        all += weight;
        lost += open_starts(b, p, busy) ? 0 : weight;
    }
    return all ? (int32_t)(lost * free_slices(b, busy) * 1000 / all) : 0;
}

static int32_t cost_of(const struct board *b, enum score_rule rule, slices busy,
                       const struct score_mix *mix)
{
    switch (rule) {
    case SCORE_ROOM:
        return (int32_t)layout_room(b, &(struct layout){.busy = busy});
    case SCORE_BEST:
    case SCORE_BEST_CC:
        return (int32_t)free_slices(b, busy);
    case SCORE_WORST:
        return -(int32_t)free_slices(b, busy);
    case SCORE_MIN_DCC:
        return -capability(b, busy);
    case SCORE_MFI:
        return blocked(b, busy);
    case SCORE_FGD:
    case SCORE_FGD_FILL:
        return useless(b, busy, mix);
    case SCORE_FIRST_LOW:
    case SCORE_FIRST_HIGH:
    case SCORE_N:
        break;
    }
    return 0;
}

/* What a start is chosen by: what ranks GPUs, unless the rule looks at two things. */
static int32_t choice_of(const struct board *b, enum score_rule rule, slices busy,
                         const struct score_mix *mix)
{
    switch (rule) {
    case SCORE_ROOM:
        return -cost_of(b, rule, busy, mix);
    case SCORE_BEST_CC:
        return -capability(b, busy);
    case SCORE_FIRST_HIGH:
        return -(int32_t)busy; /* the highest start gives the largest number */
    case SCORE_MIN_DCC:
    case SCORE_MFI:
    case SCORE_FGD:
    case SCORE_FGD_FILL:
        return cost_of(b, rule, busy, mix);
    case SCORE_FIRST_LOW:
    case SCORE_BEST:
    case SCORE_WORST:
    case SCORE_N:
        break;
    }
    return 0;
}

/* What ranks a GPU: fewer is better. FGD_FILL puts the free slices below the loss as decimals. */
static int32_t value(const struct score *s, const struct board *b, slices before, slices after)
{
    int32_t v = s->growth ? s->cost[after] - s->cost[before] : s->cost[after];
    if (s->rule == SCORE_FGD_FILL)
        v = v * 32 + (int32_t)free_slices(b, after);
    return v;
}

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the values a profile's cost can take into ranks; neighbours share one if they are many. */
static void fill_steps(struct score *s, const struct board *b, unsigned profile)
{
    enum { MOST = 4096 };
    int32_t values[MOST];
    unsigned n = 0, distinct = 0;
    for (uint32_t busy = 0; busy < 1u << b->memory_slices; busy++) {
        slices starts = open_starts(b, profile, (slices)busy);
        if (!starts || n == MOST)
            continue;
        unsigned start = score_start(s, b, profile, starts, (slices)busy, 0);
        slices after = (slices)(busy | span_of(start, b->profiles[profile].size));
        values[n++] = value(s, b, (slices)busy, after);
    }
    qsort(values, n, sizeof *values, by_value);
    for (unsigned i = 0; i < n; i++)
        if (i == 0 || values[i] != values[distinct - 1])
            values[distinct++] = values[i];
    s->step_n[profile] = (uint8_t)MIN(distinct, (unsigned)SCORE_RANKS);
    for (unsigned i = 0; i < s->step_n[profile]; i++)
        s->step[profile][i] = values[(i + 1) * distinct / s->step_n[profile] - 1];
}

void score_fill(struct score *s, const struct board *b, enum score_rule rule,
                const struct score_mix *mix)
{
    struct score_mix known = *mix;
    uint64_t all = 0;
    for (unsigned p = 0; p < b->profile_n; p++)
        all += plain(b, p) ? weight_of(mix, p) : 0;
    if (all == 0)
        known = (struct score_mix){{UINT64_MAX, UINT64_MAX}};
    s->rule = rule;
    s->growth =
        rule == SCORE_MIN_DCC || rule == SCORE_MFI || rule == SCORE_FGD || rule == SCORE_FGD_FILL;
    for (uint32_t busy = 0; busy < 1u << b->memory_slices; busy++) {
        s->cost[busy] = cost_of(b, rule, (slices)busy, &known);
        s->choice[busy] = choice_of(b, rule, (slices)busy, &known);
    }
    for (unsigned p = 0; p < b->profile_n; p++)
        fill_steps(s, b, p);
}

unsigned score_start(const struct score *s, const struct board *b, unsigned profile, slices starts,
                     slices hard, slices soft)
{
    unsigned best = 0, least_soft = 0;
    int32_t least = 0;
    bool found = false;
    for (slices left = starts; left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        slices span = span_of(start, b->profiles[profile].size);
        int32_t cost = s->choice[(slices)(hard | span) & ((1u << b->memory_slices) - 1)];
        unsigned touched = (unsigned)__builtin_popcount(span & soft);
        if (found && (cost > least || (cost == least && touched >= least_soft)))
            continue;
        found = true;
        best = start;
        least = cost;
        least_soft = touched;
    }
    return best;
}

unsigned score_rank(const struct score *s, const struct board *b, unsigned profile, unsigned start,
                    slices busy)
{
    slices all = (slices)((1u << b->memory_slices) - 1);
    slices after = (busy | span_of(start, b->profiles[profile].size)) & all;
    int32_t v = value(s, b, busy & all, after);
    unsigned low = 0, high = s->step_n[profile];
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (s->step[profile][middle] < v)
            low = middle + 1;
        else
            high = middle;
    }
    return MIN(low, (unsigned)SCORE_RANKS - 1);
}

static const struct {
    const char *name, *about;
} rules[SCORE_N] = {
#define SCORE(id, name, what) [SCORE_##id] = {name, what},
    SCORE_RULES(SCORE)
#undef SCORE
};

const char *score_name(enum score_rule rule)
{
    return rules[rule].name;
}

const char *score_about(enum score_rule rule)
{
    return rules[rule].about;
}

enum score_rule score_find(const char *name)
{
    unsigned i = 0;
    while (i < SCORE_N && strcmp(rules[i].name, name) != 0)
        i++;
    return (enum score_rule)i;
}
