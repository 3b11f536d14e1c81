/* The world as plan/rescue.h sees it: per GPU what stays, what may move, and what may come. */
#include "engine/moves.h"

#include "engine/parts.h"
#include "plan/repack.h"

#include "base/macro.h"

#include <stdlib.h>

/* One look at the world: a row per GPU slot, changed as slices are put down. */
struct view {
    const struct world *w;
    const struct lease *ask;
    bool all;
    size_t n;
    bool *there;
    struct rescue_kind *gpus; /* by slot */
};

static void view_done(struct view *v)
{
    free(v->there);
    free(v->gpus);
}

static bool may_move(const struct view *v, const struct seat *s)
{
    const struct lease *l =
        s->state == SEAT_LEASED && s->lease ? world_lease(v->w, s->lease) : NULL;
    return l && l->state == LEASE_ACTIVE && (l->movable || v->all);
}

static void add_seat(const struct view *v, const struct gpu *g, const struct seat *s,
                     struct rescue_kind *k)
{
    bool usable = s->fixed && s->profile != BOARD_NO_PROFILE &&
                  (s->state == SEAT_IDLE || s->state == SEAT_LEASED);
    if (g->fixed && usable)
        k->allowed[s->profile] |= (slices)(1u << s->start);
    if (view_soft(g, s) || (g->fixed && usable && s->state == SEAT_IDLE))
        return;
    k->layout.busy |= view_seat_span(s);
    if (s->profile == BOARD_NO_PROFILE)
        return;
    k->movable |= (uint16_t)(may_move(v, s) << k->layout.n);
    k->layout.at[k->layout.n++] = (struct placement){s->profile, s->start};
}

/* Whether a whole GPU can be had of it once it is empty; as view_place has it. */
static bool whole_target(const struct gpu *g)
{
    if (g->pool == POOL_SLICED || g->mode_op)
        return false;
    if (g->mig == MACHINE_MIG_ON)
        return !g->fixed && !g->mode_retry_at;
    return !(g->fixed && g->mode_wanted && g->mig == MACHINE_MIG_OFF);
}

/* Whether slices can come at all, now or after a change of mode. */
static bool takes_slices(const struct gpu *g, const struct board *b)
{
    return b->complete && g->pool != POOL_WHOLE && g->mig != MACHINE_MIG_NONE &&
           (view_mig_on(g) || !(g->mode_op || g->mode_retry_at));
}

/* False if the GPU plays no part: nothing can come, and what leaves helps nobody. */
static bool kind_of(const struct view *v, const struct gpu *g, struct rescue_kind *ret)
{
    bool whole = v->ask->kind == SLICE_WHOLE;
    const struct board *b = world_board(v->w, g->board);
    bool slices_ok = b && takes_slices(g, b);
    bool wanted = lease_wants(v->ask, g->slot);
    *ret = (struct rescue_kind){.target = wanted};
    if (!b || !view_usable(g) || g->whole_lease || !(slices_ok || whole))
        return false;
    for (unsigned i = 0; i < BOARD_PROFILES; i++)
        ret->allowed[i] = slices_ok && !g->fixed ? (slices)~0u : 0;
    for (unsigned i = 0; i < g->seat_n; i++)
        add_seat(v, g, &g->seats[i], ret);
    if (whole)
        ret->target = ret->target && whole_target(g);
    return true;
}

static int view_fill(struct view *v, struct error *err)
{
    v->n = world_gpu_n(v->w);
    v->there = calloc(v->n + 1, sizeof *v->there);
    v->gpus = calloc(v->n + 1, sizeof *v->gpus);
    if (!v->there || !v->gpus)
        return error_set(err, ERROR_NO_MEMORY, "no memory to look for moves");
    for (unsigned slot = 0; slot < v->n; slot++) {
        const struct gpu *g = world_gpu(v->w, slot);
        v->there[slot] = g && kind_of(v, g, &v->gpus[slot]);
    }
    return 0;
}

/* The GPUs of one board as a fleet; the caller frees it. */
static int fleet_of(const struct view *v, unsigned board, struct rescue_fleet *ret,
                    struct error *err)
{
    *ret = (struct rescue_fleet){.board = world_board(v->w, board)};
    for (unsigned slot = 0; slot < v->n; slot++) {
        const struct gpu *g = world_gpu(v->w, slot);
        int rc =
            v->there[slot] && g->board == board ? rescue_add(ret, &v->gpus[slot], slot, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool want_of(const struct view *v, unsigned board, struct rescue_want *ret)
{
    unsigned row = place_row(v->ask, board);
    bool any = row == CHOOSE_WHOLE || v->ask->start == REQUEST_ANY;
    ret->profile = row == CHOOSE_WHOLE ? (unsigned)RESCUE_WHOLE : row;
    ret->starts = (slices)(any ? ~0u : 1u << v->ask->start);
    return row == CHOOSE_WHOLE ||
           (row != BOARD_NO_PROFILE && row < world_board(v->w, board)->profile_n);
}

/* How many of the wanted the boards hold together, at most as many as are asked for. */
static int count_held(const struct view *v, unsigned *ret_n, bool *ret_unknown, struct error *err)
{
    *ret_n = 0;
    *ret_unknown = false;
    for (unsigned board = 0; board < world_board_n(v->w) && *ret_n < v->ask->count; board++) {
        CLEANUP(rescue_done) struct rescue_fleet f = {0};
        struct rescue_want want;
        enum repack_answer answer = REPACK_NONE;
        if (!world_board(v->w, board) || !want_of(v, board, &want))
            continue;
        int rc = fleet_of(v, board, &f, err);
        for (unsigned n = v->ask->count - *ret_n; rc == 0 && n > 0; n--) {
            rc = repack_holds(&f, &want, n, &answer, err);
            *ret_unknown = *ret_unknown || answer == REPACK_UNKNOWN;
            if (answer == REPACK_NONE)
                continue;
            *ret_n += answer == REPACK_EXISTS ? n : 0;
            break;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Carries a plan out on the rows: what moved, and what came, stays from then on. */
static void put_down(struct view *v, const struct rescue_plan *p, const struct rescue_want *want,
                     struct moves *m)
{
    const struct gpu *g = world_gpu(v->w, p->gpu);
    const struct board *b = world_board(v->w, g->board);
    for (unsigned i = 0; i < p->n; i++) {
        struct rescue_kind *k = &v->gpus[p->moves[i].from];
        unsigned at = (unsigned)layout_index(&k->layout, p->moves[i].from_start);
        unsigned below = (1u << at) - 1;
        layout_remove(b, &k->layout, p->moves[i].from_start);
        k->movable = (uint16_t)((k->movable & below) | (k->movable >> 1 & ~below));
    }
    for (unsigned i = 0; i <= p->n; i++) {
        bool last = i == p->n;
        struct rescue_kind *k = &v->gpus[last ? p->gpu : p->moves[i].to];
        struct placement at = {last ? (uint8_t)want->profile : p->moves[i].profile,
                               last ? p->start : p->moves[i].to_start};
        if (last && want->profile == RESCUE_WHOLE) {
            k->layout.busy = (slices)~0u;
            continue;
        }
        layout_add(b, &k->layout, at);
        unsigned below = (1u << layout_index(&k->layout, at.start)) - 1;
        k->movable = (uint16_t)((k->movable & below) | (k->movable & ~below) << 1);
    }
    m->compute += p->compute;
    m->slices[m->slice_n++] = (struct lease_slice){
        .gpu = p->gpu,
        .profile = want->profile == RESCUE_WHOLE ? BOARD_NO_PROFILE : (uint8_t)want->profile,
        .start = p->start};
}

static uint32_t lease_at(const struct view *v, unsigned slot, unsigned start)
{
    const struct gpu *g = world_gpu(v->w, slot);
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].state == SEAT_LEASED && g->seats[i].start == start)
            return g->seats[i].lease;
    }
    return 0;
}

/* Finds room for one more slice; *ret_found false if two moves do not do. */
static int one_more(struct view *v, struct moves *m, bool *ret_found, struct error *err)
{
    struct rescue_plan best = {0};
    struct rescue_want best_want = {0};
    for (unsigned board = 0; board < world_board_n(v->w); board++) {
        CLEANUP(rescue_done) struct rescue_fleet f = {0};
        struct rescue_want want;
        struct rescue_plan p;
        if (!world_board(v->w, board) || !want_of(v, board, &want))
            continue;
        int rc = fleet_of(v, board, &f, err);
        if (rc == 0)
            rc = rescue_find(&f, &want, RESCUE_MOVES, &p, err);
        if (rc < 0)
            return rc;
        bool better =
            p.found && (!best.found || p.n < best.n || (p.n == best.n && p.compute < best.compute));
        if (better) {
            best = p;
            best_want = want;
        }
    }
    *ret_found = best.found && m->n + best.n <= MOVES_MAX;
    for (unsigned i = 0; *ret_found && i < best.n; i++) {
        const struct rescue_move *x = &best.moves[i];
        m->at[m->n++] = (struct moves_one){.lease = lease_at(v, x->from, x->from_start),
                                           .from = x->from,
                                           .to = x->to,
                                           .profile = x->profile,
                                           .from_start = x->from_start,
                                           .to_start = x->to_start};
    }
    if (*ret_found)
        put_down(v, &best, &best_want, m);
    return 0;
}

int moves_find(const struct world *w, const struct lease *ask, bool all, struct moves *ret,
               struct error *err)
{
    CLEANUP(view_done) struct view v = {.w = w, .ask = ask, .all = all};
    unsigned held = 0;
    bool unknown = false, found = true;
    *ret = (struct moves){.answer = MOVES_NONE};
    int rc = view_fill(&v, err);
    if (rc == 0)
        rc = count_held(&v, &held, &unknown, err);
    if (rc < 0 || (held < ask->count && !unknown))
        return rc;
    while (rc == 0 && found && ret->slice_n < ask->count)
        rc = one_more(&v, ret, &found, err);
    if (found)
        ret->answer = ret->n ? MOVES_ENOUGH : MOVES_ROOM;
    else
        ret->answer = held >= ask->count ? MOVES_MORE : MOVES_UNKNOWN;
    return rc;
}
