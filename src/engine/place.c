/* Where a lease goes: the best GPU by index, then its slices taken, all or none.
 *
 * GPUs whose row this step has changed, or of which something is kept for another request, are not
 * where the index thinks they are; they are few and are looked at one by one. */
#include "engine/parts.h"

#include "base/time.h"

enum {
    WARM_LOOKS = 16
}; /* idle instances of one holder looked at, of which the first GPU's is taken */

unsigned place_row(const struct lease *l, unsigned board)
{
    if (l->kind == SLICE_WHOLE)
        return CHOOSE_WHOLE;
    return board < MACHINE_BOARDS ? l->profile_on[board] : BOARD_NO_PROFILE;
}

struct view_want place_want(const struct draft *d, const struct lease *l, unsigned row)
{
    return (struct view_want){.row = row,
                              .start = l->start,
                              .warm = true,
                              .rule = draft_policy(d)->warm_reuse,
                              .owner = l->owner,
                              .gid = l->gid};
}

static bool special(const struct draft *d, const struct place_kept *kept,
                    const struct place_pick *picks, unsigned n, unsigned gpu)
{
    for (unsigned i = 0; kept && i < kept->n; i++) {
        if (kept->at[i].gpu == gpu)
            return true;
    }
    for (unsigned i = 0; i < n; i++) {
        if (picks[i].gpu == gpu)
            return true;
    }
    return draft_gpu_changed(d, gpu);
}

struct search {
    const struct draft *d;
    const struct lease *l;
    const struct place_kept *kept;
    const struct place_pick *picks;
    unsigned n;
    uint64_t size; /* of what is best so far */
    struct place_pick best;
};

/* How large a slice is, for requests by need, which get the smallest one of all boards: by memory,
 * then by multiprocessors. To the others, the name they gave is one size. */
static uint64_t size_of(const struct search *s, unsigned board, unsigned row)
{
    const struct board *b = s->d->w->fits[board].board;
    bool by_need = s->l->bytes > 0 || s->l->compute_ppt > 0;
    if (!by_need || row == CHOOSE_WHOLE || !b || row >= b->profile_n)
        return 0;
    return (uint64_t)b->profiles[row].mib << 16 | b->profiles[row].sms;
}

static bool better(const struct search *s, uint64_t size, unsigned rank, unsigned gpu)
{
    if (s->best.place.rank == VIEW_NONE || size != s->size)
        return rank != VIEW_NONE && (s->best.place.rank == VIEW_NONE || size < s->size);
    return rank < s->best.place.rank || (rank == s->best.place.rank && gpu < s->best.gpu);
}

/* Looks at one GPU with everything this step and the picks so far have done to it. */
static void look(struct search *s, unsigned slot)
{
    const struct gpu *g = draft_gpu(s->d, slot);
    unsigned row = g ? place_row(s->l, g->board) : BOARD_NO_PROFILE;
    if (row == BOARD_NO_PROFILE)
        return;
    s->d->o->cost.gpus++;
    struct view_want want = place_want(s->d, s->l, row);
    for (unsigned i = 0; s->kept && i < s->kept->n; i++)
        want.avoid |= s->kept->at[i].gpu == slot ? s->kept->at[i].span : 0;
    struct gpu copy;
    for (unsigned i = 0; i < s->n; i++) {
        if (s->picks[i].gpu != slot)
            continue;
        if (g != &copy)
            copy = *g;
        g = &copy;
        place_take(&copy, draft_board(s->d, g), &s->picks[i], s->l->id, s->d->now);
    }
    struct view_place place = view_place(g, draft_fit(s->d, g), &want);
    uint64_t size = size_of(s, g->board, row);
    if (place.rank == VIEW_NONE || !better(s, size, place.rank, slot))
        return;
    s->best = (struct place_pick){slot, (uint8_t)row, place};
    s->size = size;
}

static void look_at_special(struct search *s)
{
    for (size_t i = 0; i < s->d->o->row_n; i++) {
        if (s->d->o->rows[i]->kind == CHANGE_GPU)
            look(s, s->d->o->rows[i]->gpu.slot);
    }
    for (unsigned i = 0; s->kept && i < s->kept->n; i++)
        look(s, s->kept->at[i].gpu);
    for (unsigned i = 0; i < s->n; i++)
        look(s, s->picks[i].gpu);
}

/* Idle instances that are kept for this holder; those that anybody may take are in the index. */
static void look_at_warm(struct search *s, unsigned board, unsigned row)
{
    const struct world *w = s->d->w;
    uint64_t key = state_warm_key(w->policy.warm_reuse, board, row, s->l->owner, s->l->gid);
    uint64_t size = size_of(s, board, row);
    uint32_t item = state_chain_first(&w->warm, key);
    for (unsigned n = 0; item != STATE_NONE && n < WARM_LOOKS;
         n++, item = w->warm.link[item].next) {
        unsigned slot = item / BOARD_GIS;
        if (better(s, size, VIEW_WARM, slot) && !special(s->d, s->kept, s->picks, s->n, slot))
            look(s, slot);
    }
}

static void look_in_index(struct search *s, unsigned board, unsigned row)
{
    struct choose_at at = {0, 0};
    uint64_t *words = &s->d->o->cost.words, size = size_of(s, board, row);
    for (; choose_next(s->d->w->choose, board, row, &at, words); at.gpu++) {
        if (!better(s, size, at.rank, at.gpu))
            return;
        state_gpu_soon(s->d->w, at.gpu);
        if (!special(s->d, s->kept, s->picks, s->n, at.gpu)) {
            look(s, at.gpu);
            return;
        }
    }
}

bool place_find(const struct draft *d, const struct lease *l, const struct place_kept *kept,
                const struct place_pick *picks, unsigned n, struct place_pick *ret)
{
    struct search s = {.d = d, .l = l, .kept = kept, .picks = picks, .n = n};
    s.best.place.rank = VIEW_NONE;
    if (l->gpu != REQUEST_ANY) {
        look(&s, (unsigned)l->gpu);
    } else if (l->gpus) {
        for (uint64_t left = l->gpus; left; left &= left - 1)
            look(&s, (unsigned)__builtin_ctzll(left));
    } else if (l->start != REQUEST_ANY) {
        for (unsigned slot = 0; slot < d->w->gpu_n; slot++)
            look(&s, slot);
    } else {
        look_at_special(&s);
        for (unsigned board = 0; board < d->w->board_n; board++) {
            unsigned row = place_row(l, board);
            if (row == BOARD_NO_PROFILE)
                continue;
            if (row != CHOOSE_WHOLE && d->w->policy.warm_reuse != WARM_ANY)
                look_at_warm(&s, board, row);
            look_in_index(&s, board, row);
        }
    }
    *ret = s.best;
    return s.best.place.rank != VIEW_NONE;
}

/* Idle instances that make way for a new one at `start`: the ones it overlaps, and all that may go
 * when that alone does not do (media engines). */
static void clear_way(struct gpu *g, const struct board *b, unsigned profile, unsigned start)
{
    slices span = fit_span(start, b->profiles[profile].size);
    for (unsigned all = 0; all < 2; all++) {
        for (unsigned i = 0; i < g->seat_n; i++) {
            struct seat *s = &g->seats[i];
            bool here = s->fixed && s->state == SEAT_IDLE && s->start == start;
            if (s->state != SEAT_IDLE || (!view_soft(g, s) && !here))
                continue;
            if (all || (view_seat_span(s) & span)) {
                s->state = SEAT_DESTROYING;
                s->fixed = false;
            }
        }
        struct layout left = {0};
        for (unsigned i = 0; i < g->seat_n; i++) {
            const struct seat *s = &g->seats[i];
            if (s->state != SEAT_DESTROYING && s->profile != BOARD_NO_PROFILE)
                left.at[left.n++] = (struct placement){s->profile, s->start};
        }
        if (layout_fits(b, &left, profile) >> start & 1)
            return;
    }
}

static bool fixed_place(const struct gpu *g, unsigned profile, unsigned start)
{
    for (unsigned i = 0; g->fixed && i < g->layout_fixed.n; i++) {
        if (g->layout_fixed.at[i].profile == profile && g->layout_fixed.at[i].start == start)
            return true;
    }
    return false;
}

void place_take(struct gpu *g, const struct board *b, const struct place_pick *pick, uint32_t lease,
                int64_t now)
{
    if (pick->row == CHOOSE_WHOLE) {
        g->whole_lease = lease;
        for (unsigned i = 0; i < g->seat_n; i++) {
            if (g->seats[i].state == SEAT_IDLE)
                g->seats[i].state = SEAT_DESTROYING;
        }
        return;
    }
    if (pick->place.seat >= 0) {
        struct seat *s = &g->seats[pick->place.seat];
        s->state = SEAT_LEASED;
        s->lease = lease;
        s->since = now;
        return;
    }
    clear_way(g, b, pick->row, pick->place.start);
    struct seat s = {.state = SEAT_CREATING,
                     .profile = pick->row,
                     .start = pick->place.start,
                     .size = b->profiles[pick->row].size,
                     .lease = lease,
                     .since = now,
                     .fixed = fixed_place(g, pick->row, pick->place.start)};
    advance_insert_seat(g, &s);
}

bool place_within_quota(const struct draft *d, const struct lease *l,
                        const struct place_pick *picks)
{
    if (!l->limit_slices && !l->limit_compute)
        return true;
    uint32_t held, compute;
    draft_usage(d, l->owner, &held, &compute);
    for (unsigned i = 0; i < l->count; i++)
        compute += draft_compute(draft_board(d, draft_gpu(d, picks[i].gpu)), picks[i].row);
    return (!l->limit_slices || held + l->count <= l->limit_slices) &&
           (!l->limit_compute || compute <= l->limit_compute);
}

/* Ranks and CUDA_VISIBLE_DEVICES follow the order of the slices; people expect the machine's. */
static void in_order(struct lease *l)
{
    for (unsigned i = 1; i < l->slice_n; i++) {
        struct lease_slice s = l->slices[i];
        unsigned at = i;
        for (; at > 0; at--) {
            const struct lease_slice *before = &l->slices[at - 1];
            if (before->gpu < s.gpu || (before->gpu == s.gpu && before->start < s.start))
                break;
            l->slices[at] = *before;
        }
        l->slices[at] = s;
    }
}

static void take_all(struct draft *d, struct lease *l, const struct place_pick *picks)
{
    l->slice_n = l->count;
    for (unsigned i = 0; i < l->count; i++) {
        struct gpu *g = draft_gpu_edit(d, picks[i].gpu);
        const struct view_place *p = &picks[i].place;
        struct lease_slice *slice = &l->slices[i];
        *slice = (struct lease_slice){.gpu = picks[i].gpu,
                                      .start = p->start,
                                      .profile = picks[i].row == CHOOSE_WHOLE ? BOARD_NO_PROFILE
                                                                              : picks[i].row};
        place_take(g, draft_board(d, g), &picks[i], l->id, d->now);
        if (picks[i].row != CHOOSE_WHOLE && p->seat >= 0) {
            slice->gi = g->seats[p->seat].gi;
            slice->ci = g->seats[p->seat].ci;
            slice->made = true;
        }
    }
    in_order(l);
}

enum place_outcome place_lease(struct draft *d, uint32_t id, const struct place_kept *kept)
{
    struct place_pick picks[REQUEST_SLICES];
    const struct lease *asked = draft_lease(d, id);
    for (unsigned i = 0; i < asked->count; i++) {
        if (!place_find(d, asked, kept, picks, i, &picks[i]))
            return PLACE_NO_ROOM;
    }
    if (!place_within_quota(d, asked, picks))
        return PLACE_OVER_QUOTA;
    struct lease *l = draft_lease_edit(d, id);
    l->state = LEASE_STARTING;
    l->ends_at = l->for_ns == TIME_NEVER ? TIME_NEVER : d->now + l->for_ns;
    take_all(d, l, picks);
    for (unsigned i = 0; i < l->slice_n; i++)
        advance(d, l->slices[i].gpu);
    life_progress(d, id);
    return PLACE_DONE;
}

static void release_seat(struct draft *d, struct gpu *g, const struct lease *l)
{
    for (unsigned i = g->seat_n; i-- > 0;) {
        struct seat *s = &g->seats[i];
        if (s->lease != l->id)
            continue;
        s->lease = 0;
        s->since = d->now;
        if (s->state == SEAT_CREATING && !s->op && !s->fixed) {
            advance_remove_seat(g, i);
        } else if (s->state == SEAT_LEASED) {
            s->state = SEAT_IDLE;
            if (l->started_at) {
                s->used = true;
                s->last = l->owner;
                s->last_gid = l->gid;
            }
        }
    }
}

void place_release(struct draft *d, uint32_t id)
{
    struct lease *l = draft_lease_edit(d, id);
    for (unsigned i = 0; i < l->slice_n; i++) {
        struct gpu *g = draft_gpu_edit(d, l->slices[i].gpu);
        if (g->whole_lease == id)
            g->whole_lease = 0;
        release_seat(d, g, l);
    }
    for (unsigned i = 0; i < l->slice_n; i++)
        advance(d, l->slices[i].gpu);
}
