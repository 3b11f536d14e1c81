/* The record of a run; see record.h. */
#include "sim/record.h"

#include "base/macro.h"
#include "base/time.h"

#include <string.h>

enum { FIRST_WIDTH = 1000000 }; /* 1 ms */

unsigned record_parts(const struct record *r)
{
    int64_t ns = r->end - r->begin;
    return r->begun ? (unsigned)MIN((ns + r->width - 1) / r->width, (int64_t)RECORD_PARTS) : 0;
}

double record_at(const struct record *r, unsigned part)
{
    return (double)MIN(part * r->width, r->end - r->begin) / TIME_S;
}

double record_mean(const struct record *r, const double *sums, unsigned part)
{
    int64_t from = part * r->width, to = MIN(from + r->width, r->end - r->begin);
    return to > from ? sums[part] / (double)(to - from) : 0;
}

void record_begin(struct record *r, const struct sim_setup *s, int64_t begin)
{
    uint64_t gpus = 0;
    memset(r, 0, sizeof *r);
    for (unsigned i = 0; i < s->group_n; i++)
        gpus += s->groups[i].gpus;
    r->begin = r->end = begin;
    r->width = FIRST_WIDTH;
    r->gpu_n = (unsigned)MIN(gpus, (uint64_t)RECORD_GPUS);
    for (unsigned i = 0; i < r->gpu_n; i++)
        r->gpus[i] = (uint32_t)(i * gpus / r->gpu_n);
    r->begun = true;
}

/* Every two parts become one. What was seen at the begin of the second is forgotten. */
static void double_width(struct record *r)
{
    for (unsigned i = 0; i < RECORD_PARTS; i++) {
        bool kept = i < RECORD_PARTS / 2;
        r->busy[i] = kept ? r->busy[2 * i] + r->busy[2 * i + 1] : 0;
        r->used[i] = kept ? r->used[2 * i] + r->used[2 * i + 1] : 0;
        r->waiting[i] = kept ? r->waiting[2 * i] + r->waiting[2 * i + 1] : 0;
        if (kept)
            memcpy(r->spots[i], r->spots[2 * i], sizeof r->spots[i]);
        else
            memset(r->spots[i], 0, sizeof r->spots[i]);
    }
    r->width *= 2;
}

static void add(struct record *r, int64_t from, int64_t to, const double values[3], bool look)
{
    while (to - r->begin > RECORD_PARTS * r->width)
        double_width(r);
    r->end = MAX(r->end, to);
    while (from < to) {
        int64_t part = (from - r->begin) / r->width, begin = r->begin + part * r->width;
        double ns = (double)(MIN(to, begin + r->width) - from);
        r->busy[part] += values[0] * ns;
        r->used[part] += values[1] * ns;
        r->waiting[part] += values[2] * ns;
        if (look && from == begin)
            memcpy(r->spots[part], r->now, sizeof r->now);
        from = begin + r->width;
    }
}

void record_add(struct record *r, int64_t from, int64_t to, double busy, double used,
                double waiting)
{
    add(r, from, to, (const double[]){busy, used, waiting}, false);
}

void record_clock(struct record *r, int64_t from, int64_t to, double busy, double used)
{
    if (r->begun)
        add(r, MAX(from, r->begin), to, (const double[]){busy, used, (double)r->waiting_now}, true);
}

void record_wait(struct record *r, const struct sim_setup *s, int64_t now, int change)
{
    if (!r->begun)
        record_begin(r, s, now);
    r->waiting_now = MAX(r->waiting_now + change, 0);
}

static const struct board *board_of(const struct sim_setup *s, uint32_t gpu)
{
    unsigned group = 0;
    for (uint32_t first = 0; gpu >= first + s->groups[group].gpus; group++)
        first += s->groups[group].gpus;
    return s->groups[group].board;
}

void record_place(struct record *r, const struct sim_setup *s, const struct lease *l, bool on)
{
    for (unsigned i = 0; i < l->slice_n; i++) {
        const struct lease_slice *at = &l->slices[i];
        const struct board *b = board_of(s, at->gpu);
        bool whole = at->profile == BOARD_NO_PROFILE;
        unsigned from = whole ? 0 : at->start;
        unsigned size = whole ? MAX(b->memory_slices, 1u) : b->profiles[at->profile].size;
        struct record_spot spot = {on ? l->id : 0, at->profile};
        for (unsigned g = 0; g < r->gpu_n; g++)
            for (unsigned k = from; r->gpus[g] == at->gpu && k < MIN(from + size, RECORD_SLICES);
                 k++)
                r->now[g][k] = spot;
    }
}
