/* Instances that nobody uses are kept for their last owner as long as nobody needs the room: none
 * is destroyed while there is another place, and none that is not in the way. */
#include "engine/test-rig.h"

#include "base/macro.h"
#include "base/rng.h"
#include "engine/state.h"
#include "tests/tap.h"

static const char *const names[] = {"1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "1g.20gb"};

static struct lease want_of(const struct rig *r, struct rng *rng)
{
    struct lease l = rig_want(names[rng_below(rng, ARRAY_LEN(names))], 1);
    l.owner = (struct owner){OWNER_UID, 1000 + rng_below(rng, 3)};
    l.wait_until = r->now;
    return l;
}

static void fill(struct rig *r, struct rng *rng)
{
    for (unsigned i = 0, n = 4 + rng_below(rng, 40); i < n; i++) {
        uint32_t id = rig_ask(r, want_of(r, rng));
        rig_finish(r);
        if (id && rig_lease(r, id) && rng_below(rng, 3))
            rig_give_back(r, id);
        rig_finish(r);
    }
}

/* Idle instances that a placement on these slices of the GPU would destroy. */
static unsigned in_the_way(const struct gpu *g, slices span)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->seat_n; i++)
        n += g->seats[i].state == SEAT_IDLE && (view_seat_span(&g->seats[i]) & span) != 0;
    return n;
}

/* The fewest that any place for this profile destroys; ~0 if there is no place. */
static unsigned least_destroyed(const struct rig *r, const struct lease *l)
{
    unsigned least = ~0u;
    for (unsigned slot = 0; slot < world_gpu_n(r->world); slot++) {
        const struct gpu *g = world_gpu(r->world, slot);
        const struct board *b = world_board(r->world, g->board);
        struct layout hard = view_layout(g, false, 0);
        unsigned row = l->profile_on[g->board];
        slices starts = row == BOARD_NO_PROFILE ? 0 : layout_fits(b, &hard, row);
        for (; starts; starts &= (slices)(starts - 1)) {
            slices span = fit_span((unsigned)__builtin_ctz(starts), b->profiles[row].size);
            least = MIN(least, in_the_way(g, span));
        }
    }
    return least;
}

struct tally {
    unsigned warm, clean, cleared, fewer;
};

static void ask_once(struct rig *r, struct rng *rng, struct tally *t)
{
    struct lease want = want_of(r, rng);
    unsigned least = least_destroyed(r, &want);
    struct gpu before[4];
    for (unsigned slot = 0; slot < world_gpu_n(r->world); slot++)
        before[slot] = *world_gpu(r->world, slot);
    uint32_t id = rig_ask(r, want);
    unsigned destroyed = (unsigned)rig_count(r, ACTION_DESTROY);
    const struct lease *l = id ? rig_lease(r, id) : NULL;
    if (!l) {
        CHECK_INT(destroyed, ==, 0);
        CHECK_INT(least, ==, ~0u);
        return;
    }
    const struct lease_slice *s = &l->slices[0];
    const struct profile *p = &world_board(r->world, before[s->gpu].board)->profiles[s->profile];
    if (s->made) {
        CHECK_INT(destroyed, ==, 0);
        t->warm++;
        return;
    }
    CHECK_INT(destroyed, ==, in_the_way(&before[s->gpu], fit_span(s->start, p->size)));
    CHECK(destroyed == 0 || least > 0);
    t->clean += destroyed == 0;
    t->cleared += destroyed > 0;
    t->fewer += destroyed > least;
}

TEST(nothing_idle_is_destroyed_without_need)
{
    static const char *const machines[] = {"1xa100-80", "2xa100-80", "3xa100-80",
                                           "2xa100-80,1xh100-sxm"};
    struct tally t = {0};
    printf("# seeds 1 to 500\n");
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct rng rng = {seed};
        CLEANUP(rig_done) struct rig r = rig_new(machines[seed % ARRAY_LEN(machines)]);
        fill(&r, &rng);
        ask_once(&r, &rng, &t);
    }
    printf("# as it was %u, free place %u, others destroyed %u (of these %u more than the least)\n",
           t.warm, t.clean, t.cleared, t.fewer);
    CHECK(t.warm > 20 && t.clean > 30 && t.cleared > 50);
}

TAP_MAIN
