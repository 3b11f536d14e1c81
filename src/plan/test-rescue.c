/* Moves and repackings against trying everything, on fleets small enough for that. */
#include "plan/repack.h"

#include "plan/pack.h"

#include "base/macro.h"
#include "base/rng.h"
#include "tests/tap.h"

static const uint64_t seed = 20261122;

enum { GPUS = 3, ITEMS = GPUS * BOARD_GIS };

/* A fleet as the oracle sees it: one GPU after the other. */
struct small {
    const struct board *board;
    unsigned n;
    struct rescue_kind gpus[GPUS];
    uint64_t looks;
};

struct item {
    unsigned gpu;
    struct placement at;
};

static bool place_items(struct small *f, struct layout *now, const struct item *items, unsigned n,
                        unsigned i, unsigned from);

/* Whether items[i..n) can be placed; equal items only in ascending order. */
static bool place_on(struct small *f, struct layout *now, const struct item *items, unsigned n,
                     unsigned i, unsigned gpu, unsigned from)
{
    unsigned profile = items[i].at.profile;
    slices starts = layout_fits(f->board, &now[gpu], profile) & f->gpus[gpu].allowed[profile];
    for (; starts; starts &= (slices)(starts - 1)) {
        unsigned start = (unsigned)__builtin_ctz(starts), key = gpu * 16 + start;
        if (key < from)
            continue;
        layout_add(f->board, &now[gpu], (struct placement){(uint8_t)profile, (uint8_t)start});
        bool equal = i + 1 < n && items[i + 1].at.profile == profile;
        bool done = place_items(f, now, items, n, i + 1, equal ? key + 1 : 0);
        layout_remove(f->board, &now[gpu], start);
        if (done)
            return true;
    }
    return false;
}

static bool place_items(struct small *f, struct layout *now, const struct item *items, unsigned n,
                        unsigned i, unsigned from)
{
    f->looks++;
    for (unsigned gpu = 0; i < n && gpu < f->n; gpu++) {
        if (place_on(f, now, items, n, i, gpu, from))
            return true;
    }
    return i == n;
}

static unsigned movable_items(const struct small *f, struct item *ret)
{
    unsigned n = 0;
    for (unsigned gpu = 0; gpu < f->n; gpu++) {
        for (unsigned i = 0; i < f->gpus[gpu].layout.n; i++) {
            if (f->gpus[gpu].movable >> i & 1)
                ret[n++] = (struct item){gpu, f->gpus[gpu].layout.at[i]};
        }
    }
    return n;
}

/* Whether the wanted fits once exactly these items were placed afresh. */
static bool fits_without(struct small *f, const struct rescue_want *want, const struct item *out,
                         unsigned n)
{
    struct layout now[GPUS];
    for (unsigned g = 0; g < f->n; g++)
        now[g] = f->gpus[g].layout;
    for (unsigned i = 0; i < n; i++)
        layout_remove(f->board, &now[out[i].gpu], out[i].at.start);
    for (unsigned g = 0; g < f->n; g++) {
        struct layout before = now[g];
        bool whole = want->profile == RESCUE_WHOLE;
        slices starts = whole ? before.busy == 0
                              : layout_fits(f->board, &before, want->profile) &
                                    f->gpus[g].allowed[want->profile];
        for (starts &= f->gpus[g].target ? want->starts : 0; starts;
             starts &= (slices)(starts - 1)) {
            unsigned start = (unsigned)__builtin_ctz(starts);
            if (whole)
                now[g].busy = (slices)~0u;
            else
                layout_add(f->board, &now[g],
                           (struct placement){(uint8_t)want->profile, (uint8_t)start});
            bool done = place_items(f, now, out, n, 0, 0);
            now[g] = before;
            if (done)
                return true;
        }
    }
    return false;
}

static int by_size(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return (y->at.profile > x->at.profile) - (y->at.profile < x->at.profile);
}

static unsigned compute_of(const struct small *f, const struct item *i)
{
    return f->board->profiles[i->at.profile].compute;
}

/* The least compute of one, or two, that leave room when placed afresh; ~0 if none do. */
static unsigned least_of_one(struct small *f, const struct rescue_want *want)
{
    struct item all[ITEMS];
    unsigned n = movable_items(f, all), least = ~0u;
    for (unsigned i = 0; i < n; i++) {
        if (compute_of(f, &all[i]) < least && fits_without(f, want, &all[i], 1))
            least = compute_of(f, &all[i]);
    }
    return least;
}

static unsigned least_of_two(struct small *f, const struct rescue_want *want)
{
    struct item all[ITEMS];
    unsigned n = movable_items(f, all), least = ~0u;
    for (unsigned pair = 0; pair < n * n; pair++) {
        struct item out[2] = {all[pair / n], all[pair % n]};
        unsigned compute = compute_of(f, &out[0]) + compute_of(f, &out[1]);
        if (pair / n < pair % n && compute < least && fits_without(f, want, out, 2))
            least = compute;
    }
    return least;
}

/* Fewest moves up to 2 and their least compute, by trying every set of instances; 3: more. */
static unsigned try_all(struct small *f, const struct rescue_want *want, unsigned *ret_compute)
{
    *ret_compute = 0;
    if (fits_without(f, want, NULL, 0))
        return 0;
    *ret_compute = least_of_one(f, want);
    if (*ret_compute != ~0u)
        return 1;
    *ret_compute = least_of_two(f, want);
    return *ret_compute != ~0u ? 2 : 3;
}

/* The moves of a plan must be possible as they are written. */
static void check_plan(struct small *f, const struct rescue_want *want, const struct rescue_plan *p)
{
    struct layout now[GPUS];
    for (unsigned g = 0; g < f->n; g++)
        now[g] = f->gpus[g].layout;
    for (unsigned i = 0; i < p->n; i++) {
        const struct rescue_move *m = &p->moves[i];
        int at = layout_index(&f->gpus[m->from].layout, m->from_start);
        REQUIRE(at >= 0 && f->gpus[m->from].movable >> at & 1);
        CHECK_INT(f->gpus[m->from].layout.at[at].profile, ==, m->profile);
        layout_remove(f->board, &now[m->from], m->from_start);
    }
    for (unsigned i = 0; i < p->n; i++) {
        const struct rescue_move *m = &p->moves[i];
        slices ok = layout_fits(f->board, &now[m->to], m->profile);
        REQUIRE((ok & f->gpus[m->to].allowed[m->profile]) >> m->to_start & 1);
        layout_add(f->board, &now[m->to], (struct placement){m->profile, m->to_start});
    }
    CHECK(f->gpus[p->gpu].target);
    if (want->profile == RESCUE_WHOLE)
        CHECK_INT(now[p->gpu].busy, ==, 0);
    else
        CHECK((layout_fits(f->board, &now[p->gpu], want->profile) &
               f->gpus[p->gpu].allowed[want->profile] & want->starts) >>
                  p->start &
              1);
}

struct tally {
    unsigned moves[4], none;
};

static void compare(struct small *f, const struct rescue_want *want, struct tally *t)
{
    struct rescue_fleet fleet = {.board = f->board};
    struct rescue_plan plan;
    enum repack_answer answer;
    struct item all[ITEMS];
    unsigned compute;
    for (unsigned g = 0; g < f->n; g++)
        REQUIRE(rescue_add(&fleet, &f->gpus[g], g, NULL) == 0);
    unsigned moves = try_all(f, want, &compute);
    REQUIRE(rescue_find(&fleet, want, RESCUE_MOVES, &plan, NULL) == 0);
    REQUIRE(repack_holds(&fleet, want, 1, &answer, NULL) == 0);
    CHECK(!plan.cut_short);
    CHECK_INT(plan.found ? plan.n : 3, ==, moves);
    if (plan.found) {
        CHECK_INT(plan.compute, ==, compute);
        check_plan(f, want, &plan);
    }
    unsigned n = movable_items(f, all);
    qsort(all, n, sizeof *all, by_size);
    bool holds = moves < 3 || fits_without(f, want, all, n);
    CHECK_INT(answer, ==, holds ? REPACK_EXISTS : REPACK_NONE);
    t->moves[moves] += holds;
    t->none += !holds;
    rescue_done(&fleet);
}

static struct rescue_kind kind_of(const struct layout *l, unsigned movable)
{
    struct rescue_kind k = {.layout = *l, .movable = (uint16_t)movable, .target = true};
    memset(k.allowed, 0xff, sizeof k.allowed);
    return k;
}

static void show(const char *what, const struct tally *t)
{
    printf("# %s: fits %u, 1 move %u, 2 moves %u, more %u, none %u\n", what, t->moves[0],
           t->moves[1], t->moves[2], t->moves[3], t->none);
}

enum { KINDS = 400 };

static struct rescue_kind *every_kind(const struct board *b, unsigned *ret_n)
{
    struct table *t = table_new(b, table_plain(b));
    struct rescue_kind *all = calloc(KINDS, sizeof *all);
    *ret_n = 0;
    for (unsigned id = 0; id < table_n(t); id++) {
        const struct layout *l = table_layout(t, id);
        for (unsigned movable = 0; movable < 1u << l->n && *ret_n < KINDS; movable++)
            all[(*ret_n)++] = kind_of(l, movable);
    }
    table_free(t);
    return all;
}

static void ask_all(struct small *f, struct tally *t)
{
    for (unsigned p = 0; p < f->board->profile_n; p++) {
        struct rescue_want want = {p, (slices)~0u};
        if (!f->board->profiles[p].suffix[0])
            compare(f, &want, t);
    }
    compare(f, &(struct rescue_want){RESCUE_WHOLE, (slices)~0u}, t);
}

TEST(one_or_two_a30_in_every_state)
{
    struct small f = {.board = board_find("a30")};
    struct tally t = {{0}, 0};
    unsigned n;
    struct rescue_kind *all = every_kind(f.board, &n);
    CHECK_INT(n, <, KINDS);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = i; j <= n; j++) {
            f.n = j == n ? 1 : 2;
            f.gpus[0] = all[i];
            f.gpus[1] = j == n ? all[i] : all[j];
            ask_all(&f, &t);
        }
    }
    show("a30", &t);
    CHECK(t.moves[1] > 0 && t.moves[2] > 0 && t.none > 0);
    free(all);
}

static struct layout random_layout(const struct board *b, struct rng *r, bool media)
{
    struct layout l = {0};
    unsigned tries = 1 + rng_below(r, 9);
    for (unsigned i = 0; i < tries; i++) {
        unsigned p = rng_below(r, b->profile_n);
        slices starts = layout_fits(b, &l, p);
        if ((b->profiles[p].suffix[0] && !media) || !starts)
            continue;
        unsigned start = rng_below(r, 16);
        for (; !(starts >> start & 1); start = (start + 1) % 16) {
        }
        layout_add(b, &l, (struct placement){(uint8_t)p, (uint8_t)start});
    }
    return l;
}

/* Some GPUs only hold what an applied layout has, some are no target, some hold a stranger. */
static void odd(struct small *f, struct rescue_kind *k, struct rng *r)
{
    unsigned what = rng_below(r, 12);
    if (what == 0) {
        struct layout more = random_layout(f->board, r, false);
        memset(k->allowed, 0, sizeof k->allowed);
        for (unsigned i = 0; i < k->layout.n; i++)
            k->allowed[k->layout.at[i].profile] |= (slices)(1u << k->layout.at[i].start);
        for (unsigned i = 0; i < more.n; i++)
            k->allowed[more.at[i].profile] |= (slices)(1u << more.at[i].start);
    }
    k->target = what != 1;
    if (what == 2)
        k->layout.busy |= (slices)(1u << rng_below(r, f->board->memory_slices));
}

static void random_fleets(const char *board, unsigned turns, unsigned pinned_of_8, bool media)
{
    struct small f = {.board = board_find(board)};
    struct rng r = {seed + pinned_of_8};
    struct tally t = {{0}, 0};
    printf("# %s, seed %llu\n", board, (unsigned long long)r.state);
    for (unsigned turn = 0; turn < turns; turn++) {
        f.n = 2 + turn % 2;
        for (unsigned g = 0; g < f.n; g++) {
            struct layout l = random_layout(f.board, &r, media);
            unsigned movable = 0;
            for (unsigned i = 0; i < l.n; i++)
                movable |= (rng_below(&r, 8) >= pinned_of_8) << i;
            f.gpus[g] = kind_of(&l, movable);
            odd(&f, &f.gpus[g], &r);
        }
        struct rescue_want want = {rng_below(&r, f.board->profile_n), (slices)~0u};
        want.profile = rng_below(&r, 10) ? want.profile : RESCUE_WHOLE;
        if (want.profile != RESCUE_WHOLE && rng_below(&r, 10) == 0)
            want.starts = (slices)(1u << rng_below(&r, f.board->memory_slices));
        compare(&f, &want, &t);
    }
    show(board, &t);
    CHECK(t.moves[1] > 0 && t.moves[2] > 0 && t.none > 0);
}

TEST(random_small_fleets)
{
    random_fleets("a100-80", 6000, 0, false);
    random_fleets("a100-80", 6000, 3, false);
    random_fleets("a100-80", 3000, 6, true);
    random_fleets("h100-pcie", 3000, 2, true);
    random_fleets("rtx-pro-6000", 1000, 2, false);
}

struct closed {
    const struct board *board;
    const struct pack *pack;
    struct rescue_fleet fleet;
    struct pack_demand held;
    unsigned gpus, asked, yes;
};

/* The largest count of a profile that the closed form lets in, and one more. */
static void ask_around(struct closed *c, unsigned profile)
{
    struct rescue_want want = {profile, (slices)~0u};
    struct pack_demand more = c->held;
    unsigned most = 0;
    for (more.n[profile]++; pack_holds(c->pack, &more, c->gpus); more.n[profile]++)
        most++;
    for (unsigned count = MAX(most, 1u); count <= most + 1; count++) {
        enum repack_answer answer;
        REQUIRE(repack_holds(&c->fleet, &want, count, &answer, NULL) == 0);
        CHECK_INT(answer, ==, count <= most ? REPACK_EXISTS : REPACK_NONE);
        c->yes += answer == REPACK_EXISTS;
        c->asked++;
    }
}

static void ask_a_fleet(struct closed *c, const struct table *t, struct rng *r)
{
    c->fleet = (struct rescue_fleet){.board = c->board};
    c->held = (struct pack_demand){{0}};
    c->gpus = 4 + rng_below(r, 61);
    for (unsigned g = 0; g < c->gpus; g++) {
        const struct layout *l = table_layout(t, rng_below(r, table_n(t)));
        struct rescue_kind k = kind_of(l, (1u << l->n) - 1);
        for (unsigned i = 0; i < l->n; i++)
            c->held.n[l->at[i].profile]++;
        REQUIRE(rescue_add(&c->fleet, &k, g, NULL) == 0);
    }
    for (unsigned p = 0; p < c->board->profile_n; p++) {
        if (!c->board->profiles[p].suffix[0])
            ask_around(c, p);
    }
    rescue_done(&c->fleet);
}

/* With nothing that stays, the closed form is the answer. */
TEST(a_repacking_exists_where_the_closed_form_says_so)
{
    struct closed c = {.board = board_find("a100-80")};
    struct table *t = table_new(c.board, table_plain(c.board));
    struct pack *pack = pack_new(t);
    struct rng r = {seed};
    printf("# seed %llu\n", (unsigned long long)seed);
    c.pack = pack;
    for (unsigned turn = 0; turn < 150; turn++)
        ask_a_fleet(&c, t, &r);
    printf("# %u of %u exist\n", c.yes, c.asked);
    CHECK(c.yes > c.asked / 10 && c.yes < c.asked);
    pack_free(pack);
    table_free(t);
}

/* Hundreds of GPUs of the same kinds are no more work than a few of each. */
TEST(the_work_does_not_grow_with_the_fleet)
{
    const struct board *b = board_find("a100-80");
    struct rng r = {seed};
    unsigned moves = 0;
    for (unsigned turn = 0; turn < 20; turn++) {
        struct rescue_fleet few = {.board = b}, many = {.board = b};
        struct rescue_want want = {board_profile_by_name(b, "7g.80gb"), (slices)~0u};
        struct rescue_plan p, q;
        for (unsigned kind = 0; kind < 8; kind++) {
            struct layout l = random_layout(b, &r, false);
            struct rescue_kind k = kind_of(&l, (1u << l.n) - 1);
            for (unsigned g = 0; g < RESCUE_SAME; g++)
                REQUIRE(rescue_add(&few, &k, kind * 1000 + g, NULL) == 0);
            for (unsigned g = 0; g < 1000; g++)
                REQUIRE(rescue_add(&many, &k, kind * 1000 + g, NULL) == 0);
        }
        REQUIRE(rescue_find(&few, &want, RESCUE_MOVES, &p, NULL) == 0);
        REQUIRE(rescue_find(&many, &want, RESCUE_MOVES, &q, NULL) == 0);
        CHECK_INT(p.looked, ==, q.looked);
        CHECK_INT(p.compute, ==, q.compute);
        CHECK_INT(p.found ? p.n : 9, ==, q.found ? q.n : 9);
        moves += p.found && p.n;
        rescue_done(&few);
        rescue_done(&many);
    }
    CHECK(moves > 0);
}

TEST(no_gpu_holds_nothing)
{
    struct rescue_fleet f = {.board = board_find("a30")};
    struct rescue_plan plan;
    enum repack_answer answer;
    for (unsigned p = 0; p < 2; p++) {
        struct rescue_want want = {p ? 0 : (unsigned)RESCUE_WHOLE, (slices)~0u};
        REQUIRE(repack_holds(&f, &want, 1, &answer, NULL) == 0);
        CHECK_INT(answer, ==, REPACK_NONE);
        REQUIRE(rescue_find(&f, &want, RESCUE_MOVES, &plan, NULL) == 0);
        CHECK(!plan.found);
    }
}

TAP_MAIN
