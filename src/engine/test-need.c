/* A request by need gets the smallest slice that any board has for it and that is free, by looking
 * at everything one by one. */
#include "engine/test-rig.h"

#include "base/rng.h"
#include "base/time.h"
#include "engine/state.h"
#include "tests/tap.h"

static uint64_t size_of(const struct profile *p)
{
    return (uint64_t)p->mib << 16 | p->sms;
}

static struct lease want_by_need(const struct rig *r, uint64_t bytes, unsigned ppt)
{
    struct lease l = rig_want("gpu", 1);
    l.kind = SLICE_GI;
    l.bytes = bytes;
    l.compute_ppt = (uint16_t)ppt;
    for (unsigned i = 0; i < world_board_n(r->world); i++)
        l.profile_on[i] = (uint8_t)board_profile_by_need(world_board(r->world, i), bytes, ppt);
    return l;
}

/* The smallest free slice that has it, UINT64_MAX if none is free. */
static uint64_t smallest(const struct rig *r, const struct lease *l)
{
    uint64_t best = UINT64_MAX;
    for (unsigned slot = 0; slot < world_gpu_n(r->world); slot++) {
        const struct gpu *g = world_gpu(r->world, slot);
        const struct fit *f = &r->world->fits[g->board];
        unsigned row = l->profile_on[g->board];
        struct view_want want = {.row = row, .start = REQUEST_ANY, .owner = l->owner, .warm = true};
        if (row != BOARD_NO_PROFILE && view_place(g, f, &want).rank != VIEW_NONE)
            best = MIN(best, size_of(&f->board->profiles[row]));
    }
    return best;
}

/* Some leases by name in the way, some of them given back and still warm. */
static void fill(struct rig *r, struct rng *rng)
{
    static const char *const names[] = {"1g.10gb", "2g.20gb", "3g.40gb", "1g.6gb", "2g.12gb",
                                        "1g.12gb", "2g.24gb", "1g.5gb",  "gpu"};
    for (unsigned i = 0, n = rng_below(rng, 30); i < n; i++) {
        struct lease want = rig_want(names[rng_below(rng, ARRAY_LEN(names))], 1);
        want.wait_until = r->now;
        uint32_t id = rig_ask(r, want);
        rig_finish(r);
        if (id && rig_lease(r, id) && rng_below(rng, 4) == 0)
            rig_give_back(r, id);
        rig_finish(r);
    }
}

TEST(the_smallest_slice_of_all_boards)
{
    static const char *const machines[] = {"2xh100-sxm,1xa30", "1xa100-80,2xa30,1xh100-nvl",
                                           "1xa100-40,1xa100-80,1xh200", "2xa30"};
    unsigned placed = 0, waited = 0, mixed = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct rng rng = {seed};
        CLEANUP(rig_done) struct rig r = rig_new(machines[seed % ARRAY_LEN(machines)]);
        fill(&r, &rng);
        uint64_t bytes = rng_below(&rng, 4) ? (uint64_t)(1 + rng_below(&rng, 42)) << 30 : 0;
        struct lease want = want_by_need(&r, bytes, bytes ? rng_below(&rng, 2) * 286 : 143);
        uint64_t best = smallest(&r, &want);
        uint32_t id = rig_ask(&r, want);
        const struct lease *l = id ? rig_lease(&r, id) : NULL;
        if (!l)
            continue;
        if (l->state == LEASE_QUEUED) {
            CHECK(best == UINT64_MAX);
            waited++;
            continue;
        }
        const struct gpu *g = world_gpu(r.world, l->slices[0].gpu);
        const struct profile *p = &world_board(r.world, g->board)->profiles[l->slices[0].profile];
        if (size_of(p) != best)
            TAP_FAIL("seed %" PRIu64 ": %u MiB on GPU %u, the smallest free has %u MiB", seed,
                     p->mib, g->slot, (unsigned)(best >> 16));
        CHECK((uint64_t)p->mib << 20 >= bytes);
        placed++;
        mixed += g->board > 0;
    }
    CHECK_INT(placed, >, 200);
    CHECK_INT(mixed, >, 40);
    CHECK_INT(waited, >, 5);
    printf("# %u placed, %u of them not on the first board, %u waited\n", placed, mixed, waited);
}

TAP_MAIN
