/* Ranking one GPU; see view.h. Lower is better: reuse, then the fullest GPU that still has room,
 * then the same after destroying idle instances, then a change of mode. */
#include "engine/view.h"

#include <string.h>

bool view_mig_on(const struct gpu *g)
{
    if (g->mig == MACHINE_MIG_NONE || g->whole_lease)
        return false;
    if (g->mode_op)
        return g->mode_asked;
    return g->seat_n > 0 || g->mig == MACHINE_MIG_ON;
}

bool view_seat_beaten(const struct gpu *g, const struct seat *s)
{
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *other = &g->seats[i];
        if (other->state == SEAT_FOREIGN && (view_seat_span(other) & view_seat_span(s)))
            return true;
    }
    return false;
}

slices view_seat_reach(const struct seat *s, const struct board *b)
{
    bool alone = s->profile == BOARD_NO_PROFILE || b->profiles[s->profile].suffix[0];
    return (slices)(alone ? ~0u : view_seat_span(s));
}

static void stand(struct layout *l, const struct seat *s)
{
    l->busy |= view_seat_span(s);
    if (s->profile != BOARD_NO_PROFILE)
        l->at[l->n++] = (struct placement){s->profile, s->start};
}

struct layout view_layout(const struct gpu *g, bool soft, slices avoid)
{
    struct layout l = {.busy = avoid};
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (soft || !view_soft(g, &g->seats[i]))
            stand(&l, &g->seats[i]);
    }
    return l;
}

/* What stands on a GPU, worked out once for all that may be wanted of it. */
struct standing {
    struct layout hard, full; /* without and with what may go; only their first `n` are set */
    slices soft, all;         /* memory slices of what may go, and of everything */
};

static void look_at(const struct gpu *g, slices avoid, struct standing *ret)
{
    ret->hard.n = ret->full.n = 0;
    ret->hard.busy = ret->full.busy = avoid;
    ret->soft = ret->all = 0;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        stand(&ret->full, s);
        ret->all |= view_seat_span(s);
        if (view_soft(g, s))
            ret->soft |= view_seat_span(s);
        else
            stand(&ret->hard, s);
    }
}

bool view_seat_warm(const struct seat *s, const struct view_want *want)
{
    if (view_seat_anyones(s, want->rule))
        return true;
    if (owner_equal(s->last, want->owner))
        return true;
    return want->rule == WARM_GROUP && s->last_gid == want->gid;
}

static bool seat_free(const struct seat *s, const struct view_want *want)
{
    return s->state == SEAT_IDLE && s->profile == want->row && !(view_seat_span(s) & want->avoid) &&
           (want->start == REQUEST_ANY || s->start == want->start);
}

static const struct view_place no_place = {.rank = VIEW_NONE, .seat = -1};

static struct view_place place_whole(const struct gpu *g, const struct standing *at,
                                     const struct view_want *want)
{
    if (g->pool == POOL_SLICED || g->whole_lease || g->mode_op || want->avoid)
        return no_place;
    unsigned elastic = g->pool == POOL_ELASTIC;
    if (g->mig != MACHINE_MIG_ON) {
        bool fixed_for_slices = g->fixed && g->mode_wanted && g->mig == MACHINE_MIG_OFF;
        if (g->seat_n || fixed_for_slices)
            return no_place;
        return (struct view_place){.rank = (uint8_t)(VIEW_CLEAN + elastic), .seat = -1};
    }
    if (g->fixed || g->mode_retry_at || at->hard.busy)
        return no_place;
    unsigned idle = g->seat_n ? 2 : 0;
    return (struct view_place){.rank = (uint8_t)(VIEW_MODE + elastic + idle), .seat = -1};
}

/* On a GPU with an applied layout only its own instances can be had. */
static struct view_place place_fixed(const struct gpu *g, const struct standing *at,
                                     const struct fit *f, const struct view_want *want)
{
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].fixed && seat_free(&g->seats[i], want) && g->seat_n < BOARD_GIS)
            return (struct view_place){
                .rank = (uint8_t)(VIEW_CLEAR + fit_rank(f, want->row, g->seats[i].start, at->all)),
                .start = g->seats[i].start,
                .seat = -1};
    }
    return no_place;
}

static struct view_place place_slice(const struct gpu *g, const struct standing *at,
                                     const struct fit *f, const struct view_want *want)
{
    slices wanted = (slices)(want->start == REQUEST_ANY ? ~0u : 1u << want->start);
    bool on = view_mig_on(g);
    if (!on && (g->mode_op || g->mode_retry_at))
        return no_place;
    slices starts = layout_fits(f->board, &at->full, want->row) & wanted;
    unsigned base = VIEW_CLEAN;
    slices soft = 0, busy = at->full.busy;
    if (!starts) {
        starts = layout_fits(f->board, &at->hard, want->row) & wanted;
        base = VIEW_CLEAR;
        busy = at->hard.busy;
        soft = at->soft;
    }
    if (!starts || g->seat_n >= BOARD_GIS)
        return no_place;
    unsigned start = fit_start(f, want->row, starts, on ? busy : at->hard.busy, soft);
    unsigned rank =
        on ? base + fit_rank(f, want->row, start, busy) : VIEW_MODE + (g->pool == POOL_ELASTIC);
    return (struct view_place){.rank = (uint8_t)rank, .start = (uint8_t)start, .seat = -1};
}

static struct view_place place_warm(const struct gpu *g, const struct view_want *want)
{
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (seat_free(&g->seats[i], want) && view_seat_warm(&g->seats[i], want))
            return (struct view_place){
                .rank = VIEW_WARM, .start = g->seats[i].start, .seat = (int8_t)i};
    }
    return no_place;
}

/* May slices be had of it at all. */
static bool sliceable(const struct gpu *g, const struct fit *f)
{
    return f->board->complete && g->pool != POOL_WHOLE && !g->whole_lease &&
           g->mig != MACHINE_MIG_NONE;
}

static struct view_place place_at(const struct gpu *g, const struct standing *at,
                                  const struct fit *f, const struct view_want *want)
{
    if (want->row == CHOOSE_WHOLE)
        return place_whole(g, at, want);
    if (want->row >= f->board->profile_n || !sliceable(g, f))
        return no_place;
    return g->fixed ? place_fixed(g, at, f, want) : place_slice(g, at, f, want);
}

struct view_place view_place(const struct gpu *g, const struct fit *f, const struct view_want *want)
{
    if (!view_usable(g) || !f->board)
        return no_place;
    if (want->warm && want->row < f->board->profile_n && sliceable(g, f)) {
        struct view_place warm = place_warm(g, want);
        if (warm.rank != VIEW_NONE)
            return warm;
    }
    struct standing at;
    look_at(g, want->avoid, &at);
    return place_at(g, &at, f, want);
}

/* A seat in 16 bits, never 0: what view_layout, view_soft, a fixed layout and whoever may take it
 * as it is ask of it. */
static inline uint64_t seat_key(const struct gpu *g, const struct seat *s, enum warm_reuse rule)
{
    unsigned profile = s->profile < BOARD_PROFILES ? s->profile + 1u : 31;
    unsigned idle = s->state == SEAT_IDLE, anyones = !s->used | (rule == WARM_ANY);
    return profile << 11 | (s->start & 15u) << 7 | ((s->size - 1u) & 15) << 3 |
           (unsigned)view_soft(g, s) << 2 | (idle & s->fixed) << 1 | (idle & anyones);
}

void view_key(const struct gpu *g, enum warm_reuse rule, uint64_t ret[4])
{
    uint64_t mode = (uint64_t)g->mig | (uint64_t)(g->mode_op != 0) << 2 |
                    (uint64_t)g->mode_asked << 3 | (uint64_t)(g->mode_retry_at != 0) << 4;
    memset(ret, 0, 4 * sizeof *ret);
    ret[3] = UINT64_C(1) << 63 | (uint64_t)g->board << 60 | (uint64_t)view_usable(g) << 59 |
             (uint64_t)g->pool << 57 | (uint64_t)g->fixed << 56 |
             (uint64_t)(g->whole_lease != 0) << 55 | (uint64_t)g->mode_wanted << 54 | mode << 48;
    /* 15 seats at most: the last word has room for three beside what is above. */
    for (unsigned i = 0; i < g->seat_n; i++)
        ret[i / 4] |= seat_key(g, &g->seats[i], rule) << i % 4 * 16;
}

void view_ranks(const struct gpu *g, const struct fit *f, enum warm_reuse rule,
                uint8_t ret[CHOOSE_ROWS])
{
    memset(ret, VIEW_NONE, CHOOSE_ROWS);
    if (!view_usable(g) || !f->board)
        return;
    struct standing at;
    look_at(g, 0, &at);
    for (unsigned row = 0; row < CHOOSE_ROWS; row++) {
        struct view_want want = {.row = row, .start = REQUEST_ANY};
        ret[row] = place_at(g, &at, f, &want).rank;
    }
    for (unsigned i = 0; i < g->seat_n && sliceable(g, f); i++) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_IDLE && s->profile < f->board->profile_n && view_seat_anyones(s, rule))
            ret[s->profile] = VIEW_WARM;
    }
}

static unsigned capacity_fixed(const struct gpu *g, unsigned row, int start)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->layout_fixed.n; i++)
        n += g->layout_fixed.at[i].profile == row &&
             (start == REQUEST_ANY || g->layout_fixed.at[i].start == start);
    return n;
}

static unsigned capacity_whole(const struct gpu *g)
{
    bool sliced = g->fixed && g->mode_wanted && g->mig != MACHINE_MIG_NONE;
    return g->pool != POOL_SLICED && !sliced;
}

/* How often, or with `any`, whether at all. */
static unsigned capacity(const struct gpu *g, const struct board *b, unsigned row, int start,
                         bool any)
{
    static const struct layout empty = {0};
    if (!g->managed || !g->present || !b)
        return 0;
    if (row == CHOOSE_WHOLE)
        return capacity_whole(g);
    if (row >= b->profile_n || !b->complete || g->pool == POOL_WHOLE || g->mig == MACHINE_MIG_NONE)
        return 0;
    if (g->fixed)
        return g->mode_wanted ? capacity_fixed(g, row, start) : 0;
    if (start != REQUEST_ANY)
        return b->profiles[row].starts >> start & 1;
    return any ? layout_fits(b, &empty, row) != 0 : layout_capacity(b, &empty, row);
}

unsigned view_capacity(const struct gpu *g, const struct board *b, unsigned row, int start)
{
    return capacity(g, b, row, start, false);
}

bool view_ever(const struct gpu *g, const struct board *b, unsigned row, int start)
{
    return capacity(g, b, row, start, true);
}
