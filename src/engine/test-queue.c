/* The two promises of the queue and the index: nobody at the head starts later because others were
 * let past, and finding a place costs the same in a large fleet as in a small one. */
#include "engine/test-rig.h"

#include "base/rng.h"
#include "base/time.h"
#include "engine/state.h"
#include "tests/tap.h"

enum { JOBS = 60 };

struct job {
    const char *profile;
    unsigned count;
    int64_t for_ns, grace_ns;
    int16_t priority;
};

/* Ends every lease exactly when the queue expects it gone, and lets time run to the next such
 * instant. */
static void run_to_next(struct rig *r)
{
    int64_t next = TIME_NEVER;
    for (const struct lease *l = world_lease_after(r->world, 0); l;
         l = world_lease_after(r->world, l->id)) {
        if (l->state != LEASE_QUEUED)
            next = MIN(next, lease_gone_by(l));
    }
    if (next == TIME_NEVER)
        return;
    r->now = MAX(r->now, next);
    for (const struct lease *l = world_lease_after(r->world, 0); l;) {
        uint32_t id = l->id;
        if (l->state != LEASE_QUEUED && lease_gone_by(l) <= r->now)
            rig_give_back(r, id);
        l = world_lease_after(r->world, id);
    }
    rig_finish(r);
}

/* How many leases have their places. */
static size_t placed(const struct rig *r)
{
    size_t n = 0;
    for (const struct lease *l = world_lease_after(r->world, 0); l;
         l = world_lease_after(r->world, l->id))
        n += l->state != LEASE_QUEUED;
    return n;
}

/* Fills a fleet with `jobs`, then says when the head of the queue at `moment` starts. */
static int64_t head_start(const char *machine, const struct job *jobs, unsigned moment,
                          bool backfill, uint32_t *ret_head, unsigned *ret_passed)
{
    CLEANUP(rig_done) struct rig r = rig_new(machine);
    struct event e = {.kind = EVENT_POLICY};
    e.policy = (struct policy){.default_for = TIME_HOUR,
                               .max_for = TIME_NEVER,
                               .grace = TIME_S,
                               .idle_keep = TIME_NEVER,
                               .no_backfill = true};
    (void)rig_step(&r, &e);
    for (unsigned i = 0; i < moment; i++) {
        struct lease want = rig_want(jobs[i].profile, jobs[i].count);
        want.for_ns = jobs[i].for_ns;
        want.grace_ns = jobs[i].grace_ns;
        want.priority = jobs[i].priority;
        (void)rig_ask(&r, want);
        rig_finish(&r);
        if (i % 3 == 2)
            run_to_next(&r);
    }
    const struct lease *head = world_queue(r.world, 0);
    *ret_head = head ? head->id : 0;
    if (!head)
        return 0;
    e.policy.no_backfill = !backfill;
    (void)rig_step(&r, &e);
    size_t before = placed(&r);
    (void)rig_tick(&r, 0);
    *ret_passed += (unsigned)(placed(&r) - before);
    rig_finish(&r);
    for (unsigned turn = 0; turn < 200; turn++) {
        const struct lease *l = rig_lease(&r, *ret_head);
        if (l && l->state != LEASE_QUEUED)
            return l->started_at;
        run_to_next(&r);
    }
    return TIME_NEVER;
}

TEST(no_head_starts_later_because_of_backfill)
{
    static const char *const machines[] = {"1xa100-80", "2xa100-80", "2xh100-sxm,1xa30", "3xa30"};
    static const char *const profiles[] = {"1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb",
                                           "gpu",     "1g.6gb",  "2g.12gb", "1g.20gb"};
    unsigned heads = 0, passed = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct rng rng = {seed};
        struct job jobs[JOBS];
        for (unsigned i = 0; i < JOBS; i++)
            jobs[i] =
                (struct job){profiles[rng_below(&rng, ARRAY_LEN(profiles))], 1 + rng_below(&rng, 3),
                             (1 + rng_below(&rng, 60)) * TIME_MIN, rng_below(&rng, 90) * TIME_S,
                             (int16_t)(rng_below(&rng, 8) == 0)};
        unsigned moment = 8 + rng_below(&rng, JOBS - 8);
        uint32_t head, same;
        unsigned none = 0;
        const char *machine = machines[seed % ARRAY_LEN(machines)];
        int64_t without = head_start(machine, jobs, moment, false, &head, &none);
        int64_t with = head_start(machine, jobs, moment, true, &same, &passed);
        heads += head != 0;
        CHECK_INT(head, ==, same);
        CHECK_INT(none, ==, 0);
        if (with > without || (head && without == TIME_NEVER))
            TAP_FAIL("seed %" PRIu64 " on %s: head %" PRIu32 " starts at %" PRId64 " s, without "
                     "backfill at %" PRId64 " s",
                     seed, machine, head, with / TIME_S, without / TIME_S);
    }
    CHECK_INT(heads, >, 75);
    CHECK_INT(passed, >, 30);
    printf("# %u heads, %u leases let past them\n", heads, passed);
}

/* A fleet of `n` A100 with one 1g on each of the first half. */
static struct world *fleet(unsigned n)
{
    struct world *w = world_new(n, n);
    struct outcome o = {0};
    struct event e = {.kind = EVENT_BOARD};
    e.board.board = *board_find("a100-80");
    (void)engine_step(w, &e, &o, NULL);
    world_apply(w, &o.changes);
    for (unsigned i = 0; i < n; i++) {
        struct change c = {.kind = CHANGE_GPU};
        c.gpu = (struct gpu){
            .slot = (uint16_t)i, .present = true, .managed = true, .mig = MACHINE_MIG_ON};
        if (i < n / 2) {
            c.gpu.seat_n = 1;
            c.gpu.seats[0] = (struct seat){.state = SEAT_FOREIGN, .start = 6, .size = 1};
        }
        world_apply(w, &(struct changes){.n = 1, .room = 1, .at = &(struct change *){&c}});
    }
    outcome_done(&o);
    return w;
}

/* Words of the index read to find a place for `profile`. */
static uint64_t looks(const struct world *w, unsigned profile, unsigned *ret_gpu)
{
    struct choose_at at = {0, 0};
    uint64_t looked = 0;
    CHECK(choose_next(w->choose, 0, profile, &at, &looked));
    *ret_gpu = at.gpu;
    return looked;
}

TEST(a_place_costs_the_same_in_any_fleet)
{
    struct world *small = fleet(8), *large = fleet(10000);
    const struct board *b = board_find("a100-80");
    for (unsigned p = 0; p < b->profile_n; p++) {
        unsigned at_small, at_large;
        uint64_t few = looks(small, p, &at_small), many = looks(large, p, &at_large);
        CHECK_INT(few, <=, 4);
        CHECK_INT(many, <=, 6);
        struct lease l = {.count = 1, .gpu = REQUEST_ANY, .start = REQUEST_ANY};
        memset(l.profile_on, BOARD_NO_PROFILE, sizeof l.profile_on);
        l.profile_on[0] = (uint8_t)p;
        struct lease_slice s = {0};
        CHECK_INT(engine_verdict(large, &l, 0, &s), ==, VERDICT_FITS);
        CHECK_INT(s.gpu, ==, at_large);
        CHECK_INT(s.gpu, ==, b->profiles[p].compute == 7 ? 5000 : 0);
    }
    world_free(small);
    world_free(large);
}

TEST(actions_have_numbers_of_their_own_on_the_last_gpu_of_a_large_fleet)
{
    enum { SLOT = 16385 };
    struct world *w = fleet(SLOT + 1);
    struct outcome o = {0};
    struct event e = {.kind = EVENT_ASK};
    e.ask.lease = (struct lease){.count = 3,
                                 .gpu = SLOT,
                                 .start = REQUEST_ANY,
                                 .for_ns = TIME_MIN,
                                 .wait_until = TIME_NEVER};
    memset(e.ask.lease.profile_on, BOARD_NO_PROFILE, sizeof e.ask.lease.profile_on);
    e.ask.lease.profile_on[0] = (uint8_t)board_profile_by_name(world_board(w, 0), "1g.10gb");
    CHECK_INT(engine_step(w, &e, &o, NULL), ==, 0);
    CHECK_INT(o.action_n, ==, 3);
    for (size_t i = 0; i < o.action_n; i++) {
        CHECK_INT(o.actions[i].kind, ==, ACTION_CREATE);
        for (size_t k = 0; k < i; k++)
            CHECK_INT(o.actions[i].op, !=, o.actions[k].op);
    }
    outcome_done(&o);
    world_free(w);
}

TAP_MAIN
