/* What explain says about moves, carried out: with those leases ended and asked for again where
 * they were to go, the refused request gets its slices. */
#include "engine/moves.h"
#include "engine/test-rig.h"

#include "base/macro.h"
#include "base/rng.h"
#include "tests/tap.h"

static const uint64_t first_seed = 1;

static const char *const names[] = {"1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "1g.6gb",
                                    "2g.12gb", "1g.20gb", "7g.80gb", "gpu"};

static struct lease now_or_never(const struct rig *r, struct lease want)
{
    want.wait_until = r->now;
    return want;
}

/* Random leases, some of them over again. */
static void fill(struct rig *r, struct rng *rng)
{
    for (unsigned i = 0, n = 4 + rng_below(rng, 40); i < n; i++) {
        struct lease want = rig_want(names[rng_below(rng, ARRAY_LEN(names))], 1);
        want.movable = rng_below(rng, 3) > 0;
        uint32_t id = rig_ask(r, now_or_never(r, want));
        rig_finish(r);
        if (id && rig_lease(r, id) && rng_below(rng, 2) == 0)
            rig_give_back(r, id);
        rig_finish(r);
    }
}

static bool granted(struct rig *r, struct lease want)
{
    uint32_t id = rig_ask(r, now_or_never(r, want));
    rig_finish(r);
    const struct lease *l = id ? rig_lease(r, id) : NULL;
    return l && l->state == LEASE_ACTIVE;
}

/* Ends what moves, takes all the places, and asks again. */
static void carry_out(struct rig *r, const struct moves *m, struct lease want)
{
    struct lease again[MOVES_MAX];
    for (unsigned i = 0; i < m->n; i++) {
        const struct lease *l = rig_lease(r, m->at[i].lease);
        REQUIRE(l != NULL);
        CHECK(l->movable);
        again[i] = rig_want("gpu", 1);
        again[i].kind = SLICE_GI;
        again[i].profile_on[world_gpu(r->world, m->at[i].to)->board] = m->at[i].profile;
        again[i].gpu = (int16_t)m->at[i].to;
        again[i].start = m->at[i].to_start;
    }
    for (unsigned i = 0; i < m->n; i++) {
        rig_give_back(r, m->at[i].lease);
        rig_finish(r);
    }
    for (unsigned i = 0; i < m->n; i++)
        CHECK(granted(r, again[i]));
    CHECK(granted(r, want));
}

struct tally {
    unsigned fits, one, two, more, none;
};

static void ask_once(struct rig *r, struct rng *rng, struct tally *t)
{
    struct lease want = rig_want(names[rng_below(rng, ARRAY_LEN(names))],
                                 rng_below(rng, 6) ? 1 : 1 + rng_below(rng, 3));
    struct moves m, all;
    REQUIRE(moves_find(r->world, &want, false, &m, NULL) == 0);
    REQUIRE(moves_find(r->world, &want, true, &all, NULL) == 0);
    CHECK(m.answer != MOVES_UNKNOWN);
    CHECK(m.answer == MOVES_NONE || all.answer != MOVES_NONE);
    if (m.answer == MOVES_ENOUGH) {
        t->one += m.n == 1;
        t->two += m.n > 1;
        CHECK(!granted(r, want));
        carry_out(r, &m, want);
        return;
    }
    CHECK_INT(granted(r, want), ==, m.answer == MOVES_ROOM);
    t->fits += m.answer == MOVES_ROOM;
    t->none += m.answer == MOVES_NONE;
    t->more += m.answer == MOVES_MORE;
}

TEST(the_moves_do)
{
    static const char *const machines[] = {"2xa100-80", "3xa100-80", "2xa100-80,2xa30",
                                           "1xa100-80,1xh100-sxm"};
    struct tally t = {0};
    printf("# seeds from %llu\n", (unsigned long long)first_seed);
    for (uint64_t seed = first_seed; seed < first_seed + 3000; seed++) {
        struct rng rng = {seed};
        CLEANUP(rig_done) struct rig r = rig_new(machines[seed % ARRAY_LEN(machines)]);
        fill(&r, &rng);
        ask_once(&r, &rng, &t);
    }
    printf("# fits %u, one move %u, more %u, more than are looked for %u, none %u\n", t.fits, t.one,
           t.two, t.more, t.none);
    CHECK(t.one > 20 && t.two > 5 && t.none > 100 && t.fits > 100);
}

TEST(only_movable_leases_move)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    struct moves m;
    uint32_t ids[2];
    for (unsigned gpu = 0; gpu < 2; gpu++) {
        struct lease small = rig_want("1g.10gb", 1);
        small.gpu = (int16_t)gpu;
        ids[gpu] = rig_ask(&r, small);
        rig_finish(&r);
    }
    struct lease large = rig_want("7g.80gb", 1);
    REQUIRE(moves_find(r.world, &large, false, &m, NULL) == 0);
    CHECK_INT(m.answer, ==, MOVES_NONE);
    REQUIRE(moves_find(r.world, &large, true, &m, NULL) == 0);
    CHECK_INT(m.answer, ==, MOVES_ENOUGH);
    CHECK_INT(m.n, ==, 1);
    CHECK_INT(m.compute, ==, 1);
    CHECK_INT(m.at[0].lease, ==, ids[0]);
    CHECK_INT(m.at[0].to, ==, 1);
}

TEST(a_quota_is_no_lack_of_room)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct lease want = rig_want("1g.10gb", 1);
    struct moves m;
    REQUIRE(moves_find(r.world, &want, false, &m, NULL) == 0);
    CHECK_INT(m.answer, ==, MOVES_ROOM);
    want.count = 8;
    REQUIRE(moves_find(r.world, &want, false, &m, NULL) == 0);
    CHECK_INT(m.answer, ==, MOVES_NONE);
}

TAP_MAIN
