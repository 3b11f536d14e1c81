/* When those who wait will start: the queue played forward over known ends, in a draft that is
 * thrown away. Nobody overtakes in it, so time only moves forward and one row per GPU, with what
 * stands on it at that moment, is all it needs. */
#include "engine/explain.h"
#include "engine/parts.h"

#include "base/time.h"

/* Takes away what has gone by now. */
static void clear_gone(const struct draft *d, struct gpu *g)
{
    const struct lease *whole = g->whole_lease ? draft_lease(d, g->whole_lease) : NULL;
    if (!whole || lease_gone_by(whole) <= d->now)
        g->whole_lease = 0;
    for (unsigned i = g->seat_n; i-- > 0;) {
        if (schedule_seat_gone_by(d, &g->seats[i]) <= d->now)
            advance_remove_seat(g, i);
    }
}

/* Puts one slice of the lease on its GPU. Where no end is known it stands over what is there
 * still: it will have that place, and nobody else. */
static void occupy(struct draft *d, const struct lease *l, const struct place_kept *kept,
                   unsigned i, bool known)
{
    struct gpu *g = draft_gpu_edit(d, kept->at[i].gpu);
    unsigned row = place_row(l, g->board);
    if (known)
        clear_gone(d, g);
    if (row == CHOOSE_WHOLE && known) {
        g->whole_lease = l->id;
        return;
    }
    if (row == CHOOSE_WHOLE || g->seat_n >= BOARD_GIS) {
        g->drained = true; /* nobody else before that unknown end */
        return;
    }
    const struct profile *p = &draft_board(d, g)->profiles[row];
    struct seat s = {.state = SEAT_LEASED,
                     .profile = known ? (uint8_t)row : BOARD_NO_PROFILE,
                     .start = kept->at[i].start,
                     .size = p->size,
                     .lease = l->id};
    advance_insert_seat(g, &s);
}

static bool over_quota(const struct draft *d, const struct lease *l, const struct place_kept *kept)
{
    struct place_pick picks[REQUEST_SLICES] = {0};
    for (unsigned i = 0; i < kept->n; i++) {
        const struct gpu *g = draft_gpu(d, kept->at[i].gpu);
        picks[i].gpu = kept->at[i].gpu;
        picks[i].row = (uint8_t)place_row(l, g->board);
    }
    return !place_within_quota(d, l, picks);
}

/* The start of one request as things are in the draft; its places in *ret, none if it never gets
 * any. */
static int64_t start_of(const struct draft *d, const struct lease *l, struct place_kept *ret)
{
    if (!schedule_reserve(d, l, ret)) {
        ret->n = 0;
        return TIME_NEVER;
    }
    if (ret->start >= SCHEDULE_SOME_DAY)
        return TIME_NEVER;
    return over_quota(d, l, ret) ? TIME_NEVER : ret->start;
}

/* The request has started in the draft, whatever kept it so far. */
static void let_start(struct draft *d, uint32_t id, const struct place_kept *kept)
{
    struct lease *l = draft_lease_edit(d, id);
    bool known = kept->start < SCHEDULE_SOME_DAY;
    if (known)
        d->now = MAX(d->now, kept->start);
    for (unsigned i = 0; i < kept->n; i++) {
        occupy(d, l, kept, i, known);
        unsigned row = place_row(l, draft_gpu(d, kept->at[i].gpu)->board);
        l->slices[l->slice_n++] = (struct lease_slice){
            .gpu = kept->at[i].gpu,
            .profile = row == CHOOSE_WHOLE ? BOARD_NO_PROFILE : (uint8_t)row,
            .start = kept->at[i].start};
    }
    l->state = kept->n ? LEASE_ACTIVE : LEASE_QUEUED;
    l->ends_at = !known || l->for_ns > TIME_NEVER - d->now ? TIME_NEVER : d->now + l->for_ns;
}

/* Plays the first `n` of the queue; *ret, if given, gets their starts. */
static size_t play(struct draft *d, size_t n, int64_t *ret)
{
    const struct lease *l;
    struct place_kept kept;
    size_t i = 0;
    for (; i < n && !d->failed && (l = world_queue(d->w, i)); i++) {
        int64_t start = start_of(d, l, &kept);
        if (kept.n)
            let_start(d, l->id, &kept);
        if (ret)
            ret[i] = d->failed ? TIME_NEVER : start;
    }
    return i;
}

size_t engine_forecast(const struct world *w, int64_t now, int64_t *ret, size_t max)
{
    struct outcome o = {0};
    struct draft d = {.w = w, .o = &o, .now = now};
    size_t n = play(&d, max, ret);
    outcome_done(&o);
    return n;
}

int64_t forecast_behind(const struct world *w, const struct lease *l, size_t ahead, int64_t now)
{
    struct outcome o = {0};
    struct draft d = {.w = w, .o = &o, .now = now};
    struct place_kept kept;
    (void)play(&d, ahead, NULL);
    int64_t start = d.failed ? TIME_NEVER : start_of(&d, l, &kept);
    outcome_done(&o);
    return start;
}
