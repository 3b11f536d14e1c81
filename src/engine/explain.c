/* Why a request fits, waits or never will. The verdict is what engine_step decides for the same
 * ask; the reasons come from the same view of each GPU that placement uses. */
#include "engine/explain.h"

#include "engine/parts.h"
#include "engine/step.h"

#include "base/time.h"

const char *explain_reason_name(enum reason r)
{
    static const char *const names[REASON_N] = {
        [REASON_FITS] = "fits",
        [REASON_FITS_WARM] = "fits-warm",
        [REASON_FITS_CLEAR] = "fits-clear",
        [REASON_FITS_MODE] = "fits-mode",
        [REASON_BUSY] = "busy",
        [REASON_FOREIGN] = "foreign",
        [REASON_QUARANTINED] = "quarantined",
        [REASON_FIXED] = "fixed",
        [REASON_POOL] = "pool",
        [REASON_DRAINED] = "drained",
        [REASON_UNMANAGED] = "unmanaged",
        [REASON_LOST] = "lost",
        [REASON_NO_PROFILE] = "no-profile",
        [REASON_NO_MIG] = "no-mig",
        [REASON_INCOMPLETE] = "incomplete",
        [REASON_OTHER_GPU] = "other-gpu",
        [REASON_RESERVED] = "reserved",
        [REASON_PART] = "part",
        [REASON_QUOTA] = "quota",
    };
    return names[r];
}

/* Why the GPU is not to be used for it at all; REASON_N if it is. */
static enum reason absent_reason(const struct gpu *g, const struct lease *l)
{
    if (!lease_wants(l, g->slot))
        return REASON_OTHER_GPU;
    if (!g->managed)
        return REASON_UNMANAGED;
    if (!g->present || g->health != MACHINE_OK)
        return REASON_LOST;
    return g->drained ? REASON_DRAINED : REASON_N;
}

/* Why nothing could be placed there even if it were empty; REASON_N if something could. */
static enum reason standing_reason(const struct draft *d, const struct gpu *g,
                                   const struct lease *l)
{
    unsigned row = place_row(l, g->board);
    const struct board *b = draft_board(d, g);
    if (row != CHOOSE_WHOLE && g->mig == MACHINE_MIG_NONE)
        return REASON_NO_MIG;
    if (row != CHOOSE_WHOLE && b && !b->complete)
        return REASON_INCOMPLETE;
    if (row != CHOOSE_WHOLE && (!b || row >= b->profile_n))
        return REASON_NO_PROFILE;
    if (g->pool == (row == CHOOSE_WHOLE ? POOL_SLICED : POOL_WHOLE))
        return REASON_POOL;
    if (!view_capacity(g, b, row, l->start))
        return g->fixed ? REASON_FIXED : REASON_NO_PROFILE;
    return REASON_N;
}

/* What stands on `span`: the leases there, and whether anything there never goes by itself. */
struct way {
    unsigned n;
    uint32_t leases[BOARD_GIS];
    bool foreign, quarantined;
};

static void add_blocker(struct way *way, uint32_t lease)
{
    for (unsigned i = 0; i < way->n; i++) {
        if (way->leases[i] == lease)
            return;
    }
    way->leases[way->n++] = lease;
}

static struct way way_of(const struct gpu *g, slices span)
{
    struct way way = {0};
    if (g->whole_lease)
        add_blocker(&way, g->whole_lease);
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (!(view_seat_span(s) & span))
            continue;
        if (s->lease)
            add_blocker(&way, s->lease);
        way.foreign = way.foreign || s->state == SEAT_FOREIGN;
        way.quarantined = way.quarantined || s->state == SEAT_QUARANTINED;
    }
    return way;
}

static unsigned cost(const struct way *way)
{
    return way->n + (way->quarantined ? 100 : 0) + (way->foreign ? 200 : 0);
}

static slices possible_starts(const struct gpu *g, const struct board *b, unsigned row, int start)
{
    slices starts = b->profiles[row].starts;
    if (g->fixed) {
        starts = 0;
        for (unsigned i = 0; i < g->layout_fixed.n; i++) {
            if (g->layout_fixed.at[i].profile == row)
                starts |= (slices)(1u << g->layout_fixed.at[i].start);
        }
    }
    return (slices)(start == REQUEST_ANY ? starts : starts & (1u << start));
}

static void blocked(const struct draft *d, const struct gpu *g, const struct lease *l,
                    struct gpu_reason *ret)
{
    unsigned row = place_row(l, g->board);
    const struct board *b = draft_board(d, g);
    struct way best = way_of(g, (slices)~0u);
    slices left = row == CHOOSE_WHOLE ? 0 : possible_starts(g, b, row, l->start);
    for (; left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        struct way way = way_of(g, fit_span(start, b->profiles[row].size));
        if (cost(&way) < cost(&best))
            best = way;
    }
    ret->reason = best.foreign       ? REASON_FOREIGN
                  : best.quarantined ? REASON_QUARANTINED
                                     : REASON_BUSY;
    ret->blocker_n = (uint8_t)best.n;
    for (unsigned i = 0; i < best.n; i++)
        ret->blockers[i] = best.leases[i];
    slices starts;
    ret->free_at = schedule_earliest(d, g, l, 0, &starts);
    if (ret->free_at == TIME_NEVER - 1)
        ret->free_at = TIME_NEVER;
}

static enum reason fitting_reason(unsigned rank)
{
    if (rank == VIEW_WARM)
        return REASON_FITS_WARM;
    if (rank < VIEW_CLEAR)
        return REASON_FITS;
    return rank < VIEW_MODE ? REASON_FITS_CLEAR : REASON_FITS_MODE;
}

static struct gpu_reason reason_of(const struct draft *d, const struct gpu *g,
                                   const struct lease *l)
{
    struct gpu_reason r = {.gpu = g->slot, .free_at = TIME_NEVER};
    r.reason = absent_reason(g, l);
    if (r.reason == REASON_N)
        r.reason = standing_reason(d, g, l);
    if (r.reason != REASON_N)
        return r;
    struct view_want want = place_want(d, l, place_row(l, g->board));
    struct view_place place = view_place(g, draft_fit(d, g), &want);
    if (place.rank == VIEW_NONE) {
        blocked(d, g, l, &r);
        return r;
    }
    r.reason = fitting_reason(place.rank);
    r.start = place.start;
    r.free_at = d->now;
    return r;
}

/* What the step would say. The lease as it would be is in *ret_lease. */
static enum verdict verdict_of(const struct world *w, const struct lease *l, int64_t now,
                               struct outcome *o)
{
    struct event e = {.kind = EVENT_ASK, .now = now};
    e.ask.lease = *l;
    e.ask.lease.key = 0;
    e.ask.lease.wait_until = TIME_NEVER;
    int rc = engine_step(w, &e, o, NULL);
    if (rc == -ERROR_QUOTA) {
        /* Beyond the quota by itself, or only too many requests of this owner before it? */
        e.ask.lease.limit_slices = e.ask.lease.limit_compute = 0;
        return engine_step(w, &e, o, NULL) == -ERROR_QUOTA ? VERDICT_WAIT : VERDICT_NEVER;
    }
    if (rc) /* without memory nothing is known, least of all that it can never be */
        return rc == -ERROR_NO_MEMORY ? VERDICT_WAIT : VERDICT_NEVER;
    for (size_t i = 0; i < o->changes.n; i++) {
        const struct change *c = o->changes.at[i];
        if (c->kind == CHANGE_LEASE && c->lease.id == o->lease)
            return c->lease.state == LEASE_QUEUED ? VERDICT_WAIT : VERDICT_FITS;
    }
    return VERDICT_WAIT;
}

/* The place of a lease in the queue, 1 = next. */
static size_t position_of(const struct world *w, const struct lease *l)
{
    size_t position = 1;
    const struct lease *other;
    for (size_t i = 0; (other = world_queue(w, i)); i++)
        position +=
            other->priority > l->priority || (other->priority == l->priority && other->id < l->id);
    return position;
}

static void waiting(const struct draft *d, const struct lease *l, struct explanation *ret)
{
    ret->position = position_of(d->w, l);
    if (!world_lease(d->w, l->id))
        ret->latest_start = forecast_behind(d->w, l, ret->position - 1, d->now);
}

/* A GPU that is free for one slice, while the request is not served: why. */
static enum reason held_reason(const struct draft *d, const struct lease *l,
                               const struct explanation *x)
{
    struct place_pick picks[REQUEST_SLICES];
    for (unsigned i = 0; i < l->count; i++) {
        if (!place_find(d, l, NULL, picks, i, &picks[i]))
            return REASON_PART;
    }
    bool waits_its_turn = x->position > 1 && place_within_quota(d, l, picks);
    return waits_its_turn ? REASON_RESERVED : REASON_QUOTA;
}

/* No GPU is called free that will not be given. */
static void hold_back(const struct draft *d, const struct lease *l, struct explanation *ret)
{
    enum reason held = held_reason(d, l, ret);
    for (size_t i = 0; i < ret->n; i++) {
        if (ret->gpus[i].reason > REASON_FITS_MODE)
            continue;
        ret->gpus[i].reason = held;
        ret->gpus[i].free_at = TIME_NEVER;
    }
}

void engine_explain(const struct world *w, const struct lease *asked, int64_t now,
                    struct explanation *ret)
{
    struct outcome o = {0};
    struct draft d = {.w = w, .o = &o, .now = now};
    struct lease l = *asked;
    const struct lease *known = l.id ? world_lease(w, l.id) : NULL;
    *ret = (struct explanation){.latest_start = TIME_NEVER};
    if (known && known->state == LEASE_QUEUED) {
        l = *known;
        ret->verdict = VERDICT_WAIT;
    } else {
        ret->verdict = verdict_of(w, &l, now, &o);
        outcome_clear(&o);
        l.id = w->next_id;
    }
    for (unsigned slot = 0; slot < w->gpu_n && ret->n < MACHINE_GPUS; slot++) {
        if (w->gpu_known[slot])
            ret->gpus[ret->n++] = reason_of(&d, &w->gpus[slot], &l);
    }
    if (ret->verdict == VERDICT_WAIT)
        waiting(&d, &l, ret);
    if (ret->verdict == VERDICT_FITS)
        ret->latest_start = now;
    else
        hold_back(&d, &l, ret);
    outcome_done(&o);
}

enum verdict engine_verdict(const struct world *w, const struct lease *l, int64_t now,
                            struct lease_slice *ret)
{
    struct outcome none = {0};
    struct draft d = {.w = w, .o = &none, .now = now};
    struct place_pick pick;
    if (!place_find(&d, l, NULL, NULL, 0, &pick))
        return VERDICT_WAIT;
    *ret = (struct lease_slice){.gpu = pick.gpu,
                                .start = pick.place.start,
                                .profile = pick.row == CHOOSE_WHOLE ? BOARD_NO_PROFILE : pick.row};
    return VERDICT_FITS;
}
