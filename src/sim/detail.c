/* Kinds of requests, and free room; see detail.h. */
#include "sim/detail.h"

#include "base/macro.h"
#include "sim/times.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FREE_MOST = 33 }; /* compute slices of a GPU are fewer */

struct detail_gpu {
    struct layout layout; /* of leases alone: idle instances can be destroyed */
    uint8_t group, used;  /* compute slices used */
    float useless;
};

struct detail_work {
    const struct sim_setup *setup;
    struct detail_gpu *gpus;
    uint32_t free_n[SIM_BOARDS][FREE_MOST]; /* GPUs of a group with so many compute slices free */
    double share[BOARD_PROFILES];           /* of the mix, on the first board */
    double useless, useless_sum;
    struct times waits[DETAIL_CLASSES + 1], ends[DETAIL_CLASSES + 1]; /* the last: of all jobs */
};

static const struct board *board_of(const struct detail_work *w, const struct detail_gpu *g)
{
    return w->setup->groups[g->group].board;
}

/* The mix that rules of placement look at; where there is none, every plain profile alike. */
static void fill_shares(struct detail_work *w)
{
    const struct board *b = w->setup->groups[0].board;
    const struct score_mix *mix = &w->setup->mix;
    double sum = 0;
    for (unsigned p = 0; p < b->profile_n; p++) {
        w->share[p] = (double)(mix->word[p >> 3] >> (p & 7) * 8 & 0xff);
        if (!mix->word[0] && !mix->word[1])
            w->share[p] = b->profiles[p].suffix[0] ? 0 : 1;
        sum += w->share[p];
    }
    for (unsigned p = 0; p < b->profile_n && sum > 0; p++)
        w->share[p] /= sum;
}

int detail_begin(struct detail *d, const struct sim_setup *s, struct error *err)
{
    size_t n = 0;
    *d = (struct detail){.work = calloc(1, sizeof *d->work)};
    struct detail_work *w = d->work;
    for (unsigned i = 0; i < s->group_n; i++)
        n += s->groups[i].gpus;
    if (w)
        w->gpus = calloc(n, sizeof *w->gpus);
    if (!w || !w->gpus || !times_init(&w->waits[DETAIL_CLASSES]) ||
        !times_init(&w->ends[DETAIL_CLASSES]))
        return error_set(err, ERROR_NO_MEMORY, "no memory to look closely");
    w->setup = s;
    for (unsigned i = 0, gpu = 0; i < s->group_n; i++) {
        w->free_n[i][s->groups[i].board->compute_slices] = s->groups[i].gpus;
        for (unsigned k = 0; k < s->groups[i].gpus; k++)
            w->gpus[gpu++].group = (uint8_t)i;
    }
    fill_shares(w);
    return 0;
}

void detail_done(struct detail *d)
{
    struct detail_work *w = d->work;
    d->work = NULL;
    for (unsigned i = 0; w && i <= DETAIL_CLASSES; i++) {
        times_done(&w->waits[i]);
        times_done(&w->ends[i]);
    }
    if (w)
        free(w->gpus);
    free(w);
}

void detail_clock(struct detail *d, int64_t ns)
{
    d->work->useless_sum += d->work->useless * (double)ns;
}

static uint16_t asked_for(const struct detail_work *w, const struct sim_job *j)
{
    for (unsigned i = 0; i < w->setup->group_n && !j->whole && !j->asked_for; i++)
        if (j->row[i] < w->setup->groups[i].board->profile_n)
            return sim_asked_for(i, j->row[i]);
    return j->asked_for;
}

int detail_ask(struct detail *d, const struct sim_job *j, double gpc, bool judged,
               struct error *err)
{
    uint16_t want = asked_for(d->work, j);
    unsigned i = 0;
    while (i < d->class_n && d->classes[i].asked_for != want)
        i++;
    if (i == d->class_n) {
        d->classes[d->class_n++].asked_for = want;
        if (!times_init(&d->work->waits[i]) || !times_init(&d->work->ends[i]))
            return error_set(err, ERROR_NO_MEMORY, "no memory to look closely");
    }
    if (judged) {
        d->classes[i].asked++;
        d->classes[i].gpc_asked += gpc * (double)j->run;
    }
    return (int)i;
}

void detail_stuck(struct detail *d, unsigned class)
{
    const struct detail_work *w = d->work;
    unsigned want = d->classes[class].asked_for;
    if (want == 0)
        return;
    unsigned group = (want - 1) / BOARD_PROFILES;
    const struct board *b = w->setup->groups[group].board;
    for (unsigned n = b->profiles[(want - 1) % BOARD_PROFILES].compute; n <= b->compute_slices; n++)
        if (w->free_n[group][n]) {
            d->stranded++;
            return;
        }
}

void detail_refuse(struct detail *d, unsigned class)
{
    d->classes[class].refused++;
}

void detail_grant(struct detail *d, unsigned class, double gpc_ns, int64_t waited)
{
    d->classes[class].granted++;
    d->classes[class].gpc_granted += gpc_ns;
    times_add(&d->work->waits[class], waited);
    times_add(&d->work->waits[DETAIL_CLASSES], waited);
}

void detail_end(struct detail *d, unsigned class, int64_t since_submit)
{
    times_add(&d->work->ends[class], since_submit);
    times_add(&d->work->ends[DETAIL_CLASSES], since_submit);
}

/* Compute slices that are free and that a request of the mix cannot use, expected. */
static double useless_of(const struct detail_work *w, const struct detail_gpu *g)
{
    const struct board *b = board_of(w, g);
    double part = 0;
    if (g->group || g->used >= b->compute_slices)
        return 0;
    for (unsigned p = 0; p < b->profile_n; p++)
        if (w->share[p] > 0 && !layout_fits(b, &g->layout, p))
            part += w->share[p];
    return part * (b->compute_slices - g->used);
}

static void place(struct detail_work *w, const struct lease_slice *at, bool on)
{
    struct detail_gpu *g = &w->gpus[at->gpu];
    const struct board *b = board_of(w, g);
    bool whole = at->profile == BOARD_NO_PROFILE;
    struct placement p = {at->profile, (uint8_t)at->start};
    unsigned compute = whole ? b->compute_slices : b->profiles[at->profile].compute;
    w->free_n[g->group][b->compute_slices - g->used]--;
    if (whole) {
        assert(on ? g->used == 0 && g->layout.n == 0 : g->layout.n == 0);
    } else if (on) {
        assert(!(g->layout.busy & layout_span(b, p)));
        layout_add(b, &g->layout, p);
    } else {
        layout_remove(b, &g->layout, p.start);
    }
    g->used = (uint8_t)(on ? g->used + compute : g->used - compute);
    assert(g->used <= b->compute_slices);
    w->free_n[g->group][b->compute_slices - g->used]++;
    w->useless -= (double)g->useless;
    g->useless = (float)useless_of(w, g);
    w->useless += (double)g->useless;
}

void detail_place(struct detail *d, const struct lease *l, bool on)
{
    for (unsigned i = 0; i < l->slice_n; i++)
        place(d->work, &l->slices[i], on);
}

static void write_times(struct detail_class *c, const struct times *waits, const struct times *ends)
{
    c->wait_mean = times_mean(waits);
    c->wait_p50 = times_part(waits, 0.5);
    c->wait_p95 = times_part(waits, 0.95);
    c->wait_p99 = times_part(waits, 0.99);
    c->end_mean = times_mean(ends);
    c->end_p50 = times_part(ends, 0.5);
    c->end_p95 = times_part(ends, 0.95);
    c->end_p99 = times_part(ends, 0.99);
}

void detail_finish(struct detail *d, double window)
{
    for (unsigned i = 0; i < d->class_n; i++)
        write_times(&d->classes[i], &d->work->waits[i], &d->work->ends[i]);
    write_times(&d->all, &d->work->waits[DETAIL_CLASSES], &d->work->ends[DETAIL_CLASSES]);
    d->useless = d->work->useless_sum / window;
}
