/* The queue: in order of service; the first that cannot start has places kept for it, and later
 * ones may start now only where that cannot delay it. */
#include "engine/parts.h"

#include "base/macro.h"
#include "base/time.h"
#include "plan/reshape.h"

#include <string.h>

static int64_t gone_by(const struct draft *d, uint32_t id)
{
    const struct lease *l = draft_lease(d, id);
    int64_t gone = l ? lease_gone_by(l) : d->now;
    return MAX(MIN(gone, SCHEDULE_SOME_DAY), d->now);
}

int64_t schedule_seat_gone_by(const struct draft *d, const struct seat *s)
{
    if (s->lease)
        return gone_by(d, s->lease);
    switch (s->state) {
    case SEAT_FOREIGN:
    case SEAT_QUARANTINED:
        return TIME_NEVER;
    case SEAT_CREATING:
    case SEAT_IDLE:
    case SEAT_LEASED:
    case SEAT_DESTROYING:
        break;
    }
    return d->now;
}

static int64_t earliest_whole(const struct draft *d, const struct gpu *g, slices avoid)
{
    if (avoid)
        return TIME_NEVER;
    int64_t when = g->whole_lease ? gone_by(d, g->whole_lease) : d->now;
    for (unsigned i = 0; i < g->seat_n; i++)
        when = MAX(when, schedule_seat_gone_by(d, &g->seats[i]));
    return MAX(when, g->mode_retry_at);
}

/* On a fixed GPU: when the first of its own instances of the profile is free. */
static int64_t earliest_fixed(const struct draft *d, const struct gpu *g, const struct lease *l,
                              slices avoid, slices *ret_starts)
{
    int64_t best = TIME_NEVER;
    for (unsigned i = 0; i < g->layout_fixed.n; i++) {
        struct placement p = g->layout_fixed.at[i];
        slices span = layout_span(draft_board(d, g), p);
        if (p.profile != l->profile_on[g->board] || (span & avoid) ||
            (l->start != REQUEST_ANY && l->start != p.start))
            continue;
        int64_t when = g->whole_lease ? gone_by(d, g->whole_lease) : d->now;
        for (unsigned s = 0; s < g->seat_n; s++) {
            if (view_seat_span(&g->seats[s]) & span)
                when = MAX(when, schedule_seat_gone_by(d, &g->seats[s]));
        }
        if (when < best) {
            best = when;
            *ret_starts = (slices)(1u << p.start);
        }
    }
    return best;
}

int64_t schedule_earliest(const struct draft *d, const struct gpu *g, const struct lease *l,
                          slices avoid, slices *ret_starts)
{
    unsigned row = place_row(l, g->board);
    *ret_starts = 0;
    if (!view_usable(g) || row == BOARD_NO_PROFILE ||
        !view_ever(g, draft_board(d, g), row, l->start))
        return TIME_NEVER;
    if (row == CHOOSE_WHOLE)
        return earliest_whole(d, g, avoid);
    if (g->fixed)
        return earliest_fixed(d, g, l, avoid, ret_starts);
    struct reshape_stay stays[BOARD_GIS + 17];
    unsigned n = 0;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        int64_t gone = schedule_seat_gone_by(d, s);
        stays[n++] = (struct reshape_stay){s->profile, s->start, s->size, gone};
    }
    if (g->whole_lease)
        stays[n++] = (struct reshape_stay){BOARD_NO_PROFILE, 0, 16, gone_by(d, g->whole_lease)};
    for (unsigned s = 0; s < 16; s++) {
        if (avoid >> s & 1)
            stays[n++] = (struct reshape_stay){BOARD_NO_PROFILE, (uint8_t)s, 1, TIME_NEVER};
    }
    slices wanted = (slices)(l->start == REQUEST_ANY ? ~0u : 1u << l->start);
    int64_t from = g->mig == MACHINE_MIG_ON ? d->now : MAX(d->now, g->mode_retry_at);
    return reshape_earliest(draft_board(d, g), stays, n, row, wanted, from, ret_starts);
}

/* Where one slice of the lease will be, and the slices that keeps from others: all of the GPU where
 * its profile also competes for media engines. */
static slices kept_span(const struct draft *d, const struct gpu *g, const struct lease *l,
                        slices starts, uint8_t *ret_start)
{
    unsigned row = place_row(l, g->board);
    const struct fit *f = draft_fit(d, g);
    *ret_start = 0;
    if (row == CHOOSE_WHOLE)
        return (slices)~0u;
    *ret_start = (uint8_t)fit_start(f, row, starts, 0, 0);
    const struct profile *p = &f->board->profiles[row];
    return p->suffix[0] ? (slices)~0u : fit_span(*ret_start, p->size);
}

static slices kept_on(const struct place_kept *kept, unsigned gpu)
{
    slices busy = 0;
    for (unsigned i = 0; i < kept->n; i++)
        busy |= kept->at[i].gpu == gpu ? kept->at[i].span : (slices)0;
    return busy;
}

bool schedule_reserve(const struct draft *d, const struct lease *l, struct place_kept *ret)
{
    unsigned first = l->gpu == REQUEST_ANY ? 0 : (unsigned)l->gpu;
    unsigned last = l->gpu == REQUEST_ANY ? (unsigned)d->w->gpu_n : first + 1;
    ret->n = 0;
    ret->start = d->now;
    while (ret->n < l->count) {
        int64_t best = TIME_NEVER;
        for (unsigned slot = first; slot < last && best > d->now; slot++) {
            const struct gpu *g = lease_wants(l, slot) ? draft_gpu(d, slot) : NULL;
            slices starts;
            d->o->cost.kept++;
            int64_t when = g ? schedule_earliest(d, g, l, kept_on(ret, slot), &starts) : TIME_NEVER;
            if (when >= best)
                continue;
            best = when;
            ret->at[ret->n].gpu = slot;
            ret->at[ret->n].span = kept_span(d, g, l, starts, &ret->at[ret->n].start);
        }
        if (best == TIME_NEVER)
            return false;
        ret->start = MAX(ret->start, best);
        ret->n++;
    }
    return true;
}

/* Whether a lease that starts now is surely gone by `when`. */
static bool over_by(const struct draft *d, const struct lease *l, int64_t when)
{
    if (when >= SCHEDULE_SOME_DAY || l->for_ns == TIME_NEVER)
        return false;
    return l->for_ns <= when - d->now && l->grace_ns <= when - d->now - l->for_ns;
}

/* What has found no room since the last placement: of many that wait alike, one is looked at. */
struct tried {
    unsigned n;
    const struct lease *at[16];
};

static bool alike(const struct draft *d, const struct lease *a, const struct lease *b)
{
    bool same = a->kind == b->kind && a->count == b->count && a->gpu == b->gpu &&
                a->gpus == b->gpus && a->start == b->start &&
                memcmp(a->profile_on, b->profile_on, sizeof a->profile_on) == 0;
    if (draft_policy(d)->warm_reuse == WARM_ANY)
        return same;
    return same && owner_equal(a->owner, b->owner) && a->gid == b->gid;
}

static void remember(struct tried *tried, const struct lease *l)
{
    if (tried->n < ARRAY_LEN(tried->at))
        tried->at[tried->n++] = l;
}

/* Whether there is no room for it, whatever is kept for others. */
static bool no_room(const struct draft *d, const struct lease *l, struct tried *tried)
{
    for (unsigned i = 0; i < tried->n; i++) {
        if (alike(d, tried->at[i], l))
            return true;
    }
    struct place_pick picks[REQUEST_SLICES];
    for (unsigned i = 0; i < l->count; i++) {
        if (place_find(d, l, NULL, picks, i, &picks[i]))
            continue;
        remember(tried, l);
        return true;
    }
    return false;
}

/* A walk through the queue. */
struct walk {
    struct place_kept kept;
    bool waiting;              /* places are kept */
    const struct lease *first; /* the first without room, as long as none are kept for it */
    struct tried tried;
};

/* Keeps places for the first, before `until`, that has no room now but will. */
static bool reserve_first(const struct draft *d, struct walk *w, const struct lease *until)
{
    for (const struct lease *l = w->first; l && l != until; l = draft_queue_after(d, l)) {
        if (no_room(d, l, &w->tried) && schedule_reserve(d, l, &w->kept))
            return true;
    }
    return false;
}

/* Starts one lease if it can; false if nobody behind it is to be looked at. Places are kept only
 * once somebody could overtake: to look for them takes the whole fleet. Several slices at once may
 * find room beside what is kept where they find none without, so they count as somebody who could.
 */
static bool serve(struct draft *d, struct walk *w, const struct lease *l)
{
    bool stops = draft_policy(d)->no_backfill;
    if ((w->first || w->waiting) && !stops && l->count == 1 && no_room(d, l, &w->tried))
        return true;
    w->waiting = w->waiting || reserve_first(d, w, l);
    w->first = NULL;
    if (w->waiting && stops)
        return false;
    bool apart = w->waiting && !over_by(d, l, w->kept.start);
    enum place_outcome done = place_lease(d, l->id, apart ? &w->kept : NULL);
    if (done == PLACE_DONE)
        w->tried.n = 0;
    if (done == PLACE_NO_ROOM && !w->waiting) {
        w->first = l;
        remember(&w->tried, l);
    }
    return true;
}

void schedule(struct draft *d)
{
    struct walk w;
    w.kept.n = w.tried.n = 0;
    w.waiting = false;
    w.first = NULL;
    if (d->settling)
        return;
    const struct lease *l = draft_queue_after(d, NULL);
    while (l && !d->failed && serve(d, &w, l))
        l = draft_queue_after(d, l);
}
