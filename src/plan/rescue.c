/* The search for moves; see rescue.h.
 *
 * Two moves that are both needed are of two shapes. Either both leave the GPU that the wanted goes
 * to; or one leaves it for a GPU where another makes room for it. Where anything can go is listed
 * once, the best few GPUs for every profile and pair of profiles: of four GPUs at least one is none
 * of the others that the moves touch, so the lists lose no answer. */
#include "plan/rescue.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

/* One way to use a GPU; which fields count depends on the list. */
struct way {
    uint32_t gpu;
    uint8_t start; /* where the one that comes begins */
    uint8_t other; /* ... and the other one: where it leaves, or also comes */
    uint8_t back;  /* ... and where that one returns on the same GPU */
    int32_t loss;  /* placements lost to others */
};

struct ways {
    unsigned n;
    struct way at[RESCUE_SAME];
};

struct search {
    const struct rescue_fleet *f;
    const struct rescue_want *want;
    struct rescue_plan *best;
    int32_t best_loss;
    unsigned mask;                                     /* profiles that may move */
    struct ways fits[BOARD_PROFILES];                  /* it fits as things are */
    struct ways both[BOARD_PROFILES][BOARD_PROFILES];  /* the two fit */
    struct ways frees[BOARD_PROFILES][BOARD_PROFILES]; /* it fits once one of the other left */
    struct ways inner[BOARD_PROFILES][BOARD_PROFILES]; /* ... which stays on the same GPU */
};

static bool same_kind(const struct rescue_kind *a, const struct rescue_kind *b)
{
    bool same = a->layout.n == b->layout.n && a->layout.busy == b->layout.busy &&
                a->movable == b->movable && a->target == b->target &&
                memcmp(a->allowed, b->allowed, sizeof a->allowed) == 0;
    for (unsigned i = 0; same && i < a->layout.n; i++)
        same = a->layout.at[i].profile == b->layout.at[i].profile &&
               a->layout.at[i].start == b->layout.at[i].start;
    return same;
}

int rescue_add(struct rescue_fleet *f, const struct rescue_kind *kind, uint32_t gpu,
               struct error *err)
{
    unsigned i = 0;
    while (i < f->n && !same_kind(&f->kinds[i], kind))
        i++;
    if (i == f->room) {
        unsigned room = f->room ? 2 * f->room : 16;
        struct rescue_kind *kinds = realloc(f->kinds, room * sizeof *kinds);
        if (!kinds)
            return error_set(err, ERROR_NO_MEMORY, "no memory to look for moves");
        f->kinds = kinds;
        f->room = room;
    }
    struct rescue_kind *k = &f->kinds[i];
    if (i == f->n) {
        *k = *kind;
        k->n = 0;
        f->n++;
    }
    if (k->n < RESCUE_SAME)
        k->gpus[k->n] = gpu;
    k->n++;
    return 0;
}

void rescue_done(struct rescue_fleet *f)
{
    free(f->kinds);
    *f = (struct rescue_fleet){.board = f->board};
}

static slices starts_of(struct search *s, const struct rescue_kind *k, const struct layout *l,
                        unsigned profile)
{
    s->best->looked++;
    return layout_fits(s->f->board, l, profile) & k->allowed[profile];
}

static struct layout with(const struct search *s, const struct layout *l, unsigned profile,
                          unsigned start)
{
    struct layout made = *l;
    if (profile == RESCUE_WHOLE)
        made.busy = (slices)~0u;
    else
        layout_add(s->f->board, &made, (struct placement){(uint8_t)profile, (uint8_t)start});
    return made;
}

static struct layout without(const struct search *s, const struct layout *l, unsigned start)
{
    struct layout made = *l;
    layout_remove(s->f->board, &made, start);
    return made;
}

static int32_t room(const struct search *s, const struct layout *l)
{
    return (int32_t)layout_room(s->f->board, l);
}

/* ---- the lists ---- */

static void keep_way(struct ways *list, const struct rescue_kind *k, struct way w)
{
    for (unsigned i = 0; i < MIN(k->n, (uint32_t)RESCUE_SAME); i++) {
        unsigned at = list->n < RESCUE_SAME ? list->n++ : RESCUE_SAME;
        w.gpu = k->gpus[i];
        for (; at > 0 && list->at[at - 1].loss > w.loss; at--) {
            if (at < RESCUE_SAME)
                list->at[at] = list->at[at - 1];
        }
        if (at < RESCUE_SAME)
            list->at[at] = w;
    }
}

/* The best start of a profile beside `l`, by what is lost against `before`; false if none. */
static bool best_start(struct search *s, const struct rescue_kind *k, const struct layout *l,
                       unsigned profile, int32_t before, struct way *ret)
{
    slices left = starts_of(s, k, l, profile);
    if (!left)
        return false;
    ret->loss = INT32_MAX;
    for (; left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        struct layout made = with(s, l, profile, start);
        int32_t loss = before - room(s, &made);
        if (loss < ret->loss) {
            ret->loss = loss;
            ret->start = (uint8_t)start;
        }
    }
    return true;
}

static void list_pairs(struct search *s, const struct rescue_kind *k, unsigned a, int32_t before)
{
    slices starts = starts_of(s, k, &k->layout, a);
    for (unsigned b = 0; starts && b < s->f->board->profile_n; b++) {
        struct way best = {.loss = INT32_MAX}, w;
        for (slices left = s->mask >> b & 1 ? starts : 0; left; left &= (slices)(left - 1)) {
            unsigned start = (unsigned)__builtin_ctz(left);
            struct layout made = with(s, &k->layout, a, start);
            if (best_start(s, k, &made, b, before, &w) && w.loss < best.loss)
                best = (struct way){.start = (uint8_t)start, .other = w.start, .loss = w.loss};
        }
        if (best.loss != INT32_MAX)
            keep_way(&s->both[a][b], k, best);
    }
}

/* Where `a` fits once the instance at `i` is gone, and once it has found another place there. */
static void list_leaving(struct search *s, const struct rescue_kind *k, unsigned i, unsigned a,
                         int32_t before, struct way *ret_free, struct way *ret_inner)
{
    struct placement out = k->layout.at[i];
    struct layout rest = without(s, &k->layout, out.start);
    struct way w;
    if (best_start(s, k, &rest, a, before, &w) && w.loss < ret_free->loss)
        *ret_free = (struct way){.start = w.start, .other = out.start, .loss = w.loss};
    for (slices left = starts_of(s, k, &rest, a); left; left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        struct layout made = with(s, &rest, a, start);
        if (best_start(s, k, &made, out.profile, before, &w) && w.loss < ret_inner->loss)
            *ret_inner = (struct way){
                .start = (uint8_t)start, .other = out.start, .back = w.start, .loss = w.loss};
    }
}

static void list_frees(struct search *s, const struct rescue_kind *k, unsigned a, unsigned b,
                       int32_t before)
{
    struct way freed = {.loss = INT32_MAX}, inner = {.loss = INT32_MAX};
    for (unsigned i = 0; i < k->layout.n; i++) {
        if (k->movable >> i & 1 && k->layout.at[i].profile == b)
            list_leaving(s, k, i, a, before, &freed, &inner);
    }
    if (freed.loss != INT32_MAX)
        keep_way(&s->frees[a][b], k, freed);
    if (inner.loss != INT32_MAX)
        keep_way(&s->inner[a][b], k, inner);
}

static void list_fits(struct search *s)
{
    for (unsigned i = 0; i < s->f->n; i++) {
        const struct rescue_kind *k = &s->f->kinds[i];
        int32_t before = room(s, &k->layout);
        for (unsigned a = 0; a < s->f->board->profile_n; a++) {
            struct way w = {0};
            if (s->mask >> a & 1 && best_start(s, k, &k->layout, a, before, &w))
                keep_way(&s->fits[a], k, w);
        }
    }
}

static void list_twos(struct search *s)
{
    for (unsigned i = 0; i < s->f->n; i++) {
        const struct rescue_kind *k = &s->f->kinds[i];
        int32_t before = room(s, &k->layout);
        for (unsigned a = 0; a < s->f->board->profile_n; a++) {
            if (!(s->mask >> a & 1))
                continue;
            list_pairs(s, k, a, before);
            for (unsigned b = 0; b < s->f->board->profile_n; b++)
                list_frees(s, k, a, b, before);
        }
    }
}

/* ---- the moves ---- */

/* The GPU that the wanted goes to, after it came and some left. */
struct target {
    const struct rescue_kind *kind;
    uint32_t gpu;
    uint8_t start;
    struct layout layout; /* without those that left, with the wanted */
    int32_t before;
};

static struct rescue_move move_of(const struct target *t, struct placement p, uint32_t to,
                                  unsigned to_start)
{
    return (struct rescue_move){.from = t->gpu,
                                .to = to,
                                .profile = p.profile,
                                .from_start = p.start,
                                .to_start = (uint8_t)to_start};
}

static void offer(struct search *s, const struct target *t, const struct rescue_move *moves,
                  unsigned n, int32_t loss)
{
    unsigned compute = 0;
    for (unsigned i = 0; i < n; i++)
        compute += s->f->board->profiles[moves[i].profile].compute;
    bool worse = s->best->found && (s->best->compute < compute ||
                                    (s->best->compute == compute && s->best_loss <= loss));
    if (worse)
        return;
    s->best->found = true;
    s->best->n = n;
    s->best->compute = compute;
    s->best->gpu = t->gpu;
    s->best->start = t->start;
    s->best_loss = loss;
    for (unsigned i = 0; i < n; i++)
        s->best->moves[i] = moves[i];
}

static int32_t loss_of(const struct search *s, const struct target *t)
{
    return t->before - room(s, &t->layout);
}

/* The first way that uses neither of two GPUs; NULL if there is none. */
static const struct way *way_off(const struct ways *list, uint32_t gpu, uint32_t other)
{
    for (unsigned i = 0; i < list->n; i++) {
        if (list->at[i].gpu != gpu && list->at[i].gpu != other)
            return &list->at[i];
    }
    return NULL;
}

/* One leaves: to another GPU, or to another place on this one. */
static void try_one(struct search *s, const struct target *t, struct placement out)
{
    const struct way *w = way_off(&s->fits[out.profile], t->gpu, t->gpu);
    if (w) {
        struct rescue_move m = move_of(t, out, w->gpu, w->start);
        offer(s, t, &m, 1, loss_of(s, t) + w->loss);
    }
    struct way back;
    if (best_start(s, t->kind, &t->layout, out.profile, t->before, &back)) {
        struct rescue_move m = move_of(t, out, t->gpu, back.start);
        offer(s, t, &m, 1, back.loss);
    }
}

/* Two leave, `a` for another place on this GPU. */
static void try_two_back(struct search *s, const struct target *t, struct placement a,
                         struct placement b)
{
    for (slices left = starts_of(s, t->kind, &t->layout, a.profile); left;
         left &= (slices)(left - 1)) {
        unsigned start = (unsigned)__builtin_ctz(left);
        struct target made = *t;
        made.layout = with(s, &t->layout, a.profile, start);
        struct rescue_move moves[2] = {move_of(t, a, t->gpu, start)};
        struct way back;
        if (best_start(s, t->kind, &made.layout, b.profile, t->before, &back)) {
            moves[1] = move_of(t, b, t->gpu, back.start);
            offer(s, t, moves, 2, back.loss);
        }
        const struct way *w = way_off(&s->fits[b.profile], t->gpu, t->gpu);
        if (w) {
            moves[1] = move_of(t, b, w->gpu, w->start);
            offer(s, t, moves, 2, loss_of(s, &made) + w->loss);
        }
    }
}

/* Two leave for other GPUs, or for one other GPU. */
static void try_two_away(struct search *s, const struct target *t, struct placement a,
                         struct placement b)
{
    int32_t loss = loss_of(s, t);
    const struct ways *first = &s->fits[a.profile];
    for (unsigned i = 0; i < first->n; i++) {
        const struct way *x = &first->at[i];
        const struct way *y = way_off(&s->fits[b.profile], t->gpu, x->gpu);
        if (x->gpu == t->gpu || !y)
            continue;
        struct rescue_move moves[2] = {move_of(t, a, x->gpu, x->start),
                                       move_of(t, b, y->gpu, y->start)};
        offer(s, t, moves, 2, loss + x->loss + y->loss);
    }
    const struct way *w = way_off(&s->both[a.profile][b.profile], t->gpu, t->gpu);
    if (w) {
        struct rescue_move moves[2] = {move_of(t, a, w->gpu, w->start),
                                       move_of(t, b, w->gpu, w->other)};
        offer(s, t, moves, 2, loss + w->loss);
    }
}

/* `a` leaves for a GPU that an instance of profile `q` leaves for a third, or for this one. */
static void try_chain(struct search *s, const struct target *t, struct placement a, unsigned q)
{
    const struct ways *frees = &s->frees[a.profile][q];
    int32_t loss = loss_of(s, t);
    struct way back;
    bool fits_here = frees->n && best_start(s, t->kind, &t->layout, q, t->before, &back);
    for (unsigned i = 0; i < frees->n; i++) {
        const struct way *x = &frees->at[i];
        const struct way *y = way_off(&s->fits[q], t->gpu, x->gpu);
        struct rescue_move moves[2] = {
            {.from = x->gpu, .profile = (uint8_t)q, .from_start = x->other},
            move_of(t, a, x->gpu, x->start)};
        if (x->gpu == t->gpu)
            continue;
        if (y) {
            moves[0].to = y->gpu;
            moves[0].to_start = y->start;
            offer(s, t, moves, 2, loss + x->loss + y->loss);
        }
        if (fits_here) {
            moves[0].to = t->gpu;
            moves[0].to_start = back.start;
            offer(s, t, moves, 2, back.loss + x->loss);
        }
    }
    const struct way *in = way_off(&s->inner[a.profile][q], t->gpu, t->gpu);
    if (!in)
        return;
    struct rescue_move moves[2] = {{in->gpu, in->gpu, (uint8_t)q, in->other, in->back},
                                   move_of(t, a, in->gpu, in->start)};
    offer(s, t, moves, 2, loss + in->loss);
}

/* Where the wanted can begin beside what is left. */
static slices wanted_starts(struct search *s, const struct rescue_kind *k, const struct layout *l)
{
    slices starts =
        s->want->profile == RESCUE_WHOLE ? l->busy == 0 : starts_of(s, k, l, s->want->profile);
    return starts & s->want->starts;
}

/* All that can follow once `a`, or `a` and `b`, left the target, whose rest is `rest`. */
static void try_leaving(struct search *s, const struct target *t, const struct layout *rest,
                        struct placement a, const struct placement *b)
{
    struct target made = *t;
    slices starts = wanted_starts(s, t->kind, rest);
    for (; starts; starts &= (slices)(starts - 1)) {
        made.start = (uint8_t)__builtin_ctz(starts);
        made.layout = with(s, rest, s->want->profile, made.start);
        if (b) {
            try_two_back(s, &made, a, *b);
            try_two_back(s, &made, *b, a);
            try_two_away(s, &made, a, *b);
        } else {
            try_one(s, &made, a);
        }
    }
}

static void try_chains(struct search *s, const struct target *t, const struct layout *rest,
                       struct placement a)
{
    struct target made = *t;
    slices starts = wanted_starts(s, t->kind, rest);
    for (; starts; starts &= (slices)(starts - 1)) {
        made.start = (uint8_t)__builtin_ctz(starts);
        made.layout = with(s, rest, s->want->profile, made.start);
        for (unsigned q = 0; q < s->f->board->profile_n; q++) {
            if (s->mask >> q & 1)
                try_chain(s, &made, a, q);
        }
    }
}

/* The instances that may move, by their place. */
static unsigned movables(const struct rescue_kind *k, struct placement ret[BOARD_GIS])
{
    unsigned n = 0;
    for (unsigned i = 0; i < k->layout.n; i++) {
        if (k->movable >> i & 1)
            ret[n++] = k->layout.at[i];
    }
    return n;
}

static void try_target(struct search *s, const struct rescue_kind *k, unsigned moves)
{
    struct target t = {.kind = k, .gpu = k->gpus[0], .before = room(s, &k->layout)};
    struct placement out[BOARD_GIS];
    unsigned n = movables(k, out);
    for (unsigned i = 0; i < n; i++) {
        struct layout rest = without(s, &k->layout, out[i].start);
        if (moves == 1) {
            try_leaving(s, &t, &rest, out[i], NULL);
            continue;
        }
        try_chains(s, &t, &rest, out[i]);
        for (unsigned j = i + 1; j < n; j++) {
            struct layout left = without(s, &rest, out[j].start);
            try_leaving(s, &t, &left, out[i], &out[j]);
        }
    }
}

/* It fits as things are. */
static void try_none(struct search *s, const struct rescue_kind *k)
{
    struct target t = {.kind = k, .gpu = k->gpus[0], .before = room(s, &k->layout)};
    slices starts = wanted_starts(s, k, &k->layout);
    for (; starts; starts &= (slices)(starts - 1)) {
        t.start = (uint8_t)__builtin_ctz(starts);
        t.layout = with(s, &k->layout, s->want->profile, t.start);
        offer(s, &t, NULL, 0, loss_of(s, &t));
    }
}

int rescue_find(const struct rescue_fleet *f, const struct rescue_want *want, unsigned most,
                struct rescue_plan *ret, struct error *err)
{
    AUTO_FREE struct search *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERROR_NO_MEMORY, "no memory to look for moves");
    *ret = (struct rescue_plan){0};
    s->f = f;
    s->want = want;
    s->best = ret;
    for (unsigned i = 0; i < f->n; i++) {
        struct placement out[BOARD_GIS];
        unsigned n = movables(&f->kinds[i], out);
        for (unsigned j = 0; j < n; j++)
            s->mask |= 1u << out[j].profile;
    }
    for (unsigned moves = 0; moves <= MIN(most, (unsigned)RESCUE_MOVES) && !ret->found; moves++) {
        if (moves == 1)
            list_fits(s);
        if (moves == 2)
            list_twos(s);
        for (unsigned i = 0; i < f->n && !ret->cut_short; i++) {
            if (f->kinds[i].target && moves == 0)
                try_none(s, &f->kinds[i]);
            else if (f->kinds[i].target)
                try_target(s, &f->kinds[i], moves);
            ret->cut_short = ret->looked > RESCUE_LOOKS;
        }
    }
    return 0;
}
