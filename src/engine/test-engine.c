/* Rules one by one: each test is a short story told in events. */
#include "engine/test-rig.h"

#include "base/time.h"
#include "tests/tap.h"

TEST(ask_makes_a_slice_and_gives_it_back)
{
    CLEANUP(rig_done) struct rig r = rig_new("dgx-a100");
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 1));
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_STARTING);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 1);
    rig_finish(&r);
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_ACTIVE);
    CHECK(rig_lease(&r, id)->slices[0].made);
    CHECK_INT(rig_end(&r, id, LEASE_WHY_RELEASED), ==, 0);
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_ENDING);
    CHECK_INT(rig_count(&r, ACTION_TERM), ==, 1);
    rig_empty(&r, id);
    CHECK(!rig_lease(&r, id));
    CHECK_INT(rig_count(&r, ACTION_ENDED), ==, 1);
    const struct gpu *g = world_gpu(r.world, 0);
    CHECK_INT(g->seat_n, ==, 1);
    CHECK_INT(g->seats[0].state, ==, SEAT_IDLE);
}

TEST(a_warm_slice_is_granted_in_the_same_step_to_who_left_it)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    rig_give_back(&r, rig_have(&r, rig_want("2g.20gb", 1)));
    uint32_t id = rig_ask(&r, rig_want("2g.20gb", 1));
    CHECK_INT(rig_state(&r, id), ==, LEASE_ACTIVE);
    CHECK_INT(rig_count(&r, ACTION_GRANT), ==, 1);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 0);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 1);
}

TEST(nobody_else_gets_a_warm_slice_as_it_is)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    rig_give_back(&r, rig_have(&r, rig_want("7g.80gb", 1)));
    struct lease want = rig_want("7g.80gb", 1);
    want.owner.id = 1001;
    uint32_t id = rig_ask(&r, want);
    CHECK_INT(rig_state(&r, id), ==, LEASE_STARTING);
    CHECK_INT(rig_count(&r, ACTION_DESTROY), ==, 1);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 0);
    rig_answer(&r, 0, ERROR_OK);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 1);
    rig_finish(&r);
    CHECK_INT(rig_state(&r, id), ==, LEASE_ACTIVE);
}

TEST(warm_reuse_by_group_and_by_any)
{
    for (int rule = WARM_GROUP; rule <= WARM_ANY; rule++) {
        CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
        struct policy p = rig_usual;
        p.warm_reuse = (enum warm_reuse)rule;
        rig_policy(&r, p);
        struct lease want = rig_want("7g.80gb", 1);
        want.gid = 7;
        rig_give_back(&r, rig_have(&r, want));
        want.owner.id = 1001;
        want.gid = rule == WARM_ANY ? 8 : 7;
        CHECK_INT(rig_state(&r, rig_ask(&r, want)), ==, LEASE_ACTIVE);
    }
}

TEST(of_many_idle_slices_the_first_gpus_is_taken)
{
    enum { GPUS = 40 };
    CLEANUP(rig_done) struct rig r = rig_new("40xa100-80");
    struct policy p = rig_usual;
    uint32_t ids[GPUS];
    p.warm_reuse = WARM_ANY;
    rig_policy(&r, p);
    for (unsigned i = 0; i < GPUS; i++)
        ids[i] = rig_have(&r, rig_want("7g.80gb", 1));
    /* Whatever became idle last. */
    for (unsigned i = 0; i < GPUS; i++)
        rig_give_back(&r, ids[i]);
    for (unsigned i = 0; i < GPUS; i++) {
        const struct lease *l = rig_lease(&r, rig_ask(&r, rig_want("7g.80gb", 1)));
        REQUIRE(l && l->state == LEASE_ACTIVE);
        CHECK_INT(l->slices[0].gpu, ==, i);
    }
}

TEST(seven_fill_a_gpu_and_whole_gpus_stay_free)
{
    CLEANUP(rig_done) struct rig r = rig_new("dgx-a100");
    for (unsigned i = 0; i < 7; i++)
        CHECK_INT(rig_lease(&r, rig_have(&r, rig_want("1g.10gb", 1)))->slices[0].gpu, ==, 0);
    CHECK_INT(rig_lease(&r, rig_have(&r, rig_want("1g.10gb", 1)))->slices[0].gpu, ==, 1);
    uint32_t id = rig_have(&r, rig_want("gpu", 6));
    CHECK_INT(rig_lease(&r, id)->slice_n, ==, 6);
    CHECK_INT(world_gpu(r.world, 7)->mig, ==, MACHINE_MIG_OFF);
    CHECK(rig_sound(&r));
}

TEST(all_or_none)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t first = rig_have(&r, rig_want("1g.10gb", 1));
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 7));
    CHECK_INT(rig_state(&r, id), ==, LEASE_QUEUED);
    CHECK_INT(rig_lease(&r, id)->slice_n, ==, 0);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 1);
    rig_give_back(&r, first);
    rig_finish(&r);
    CHECK_INT(rig_state(&r, id), ==, LEASE_ACTIVE);
    CHECK_INT(rig_lease(&r, id)->slice_n, ==, 7);
}

TEST(refusals_say_why)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    CHECK_INT(rig_policy(&r, rig_usual), ==, 0);
    struct lease want = rig_want("1g.10gb", 8);
    CHECK(!rig_ask(&r, want));
    CHECK_INT(r.err.code, ==, ERROR_NEVER);
    CHECK_HAS(r.err.text, "at most 7");
    want = rig_want("1g.10gb", 3);
    want.limit_slices = 2;
    CHECK(!rig_ask(&r, want));
    CHECK_INT(r.err.code, ==, ERROR_QUOTA);
    want = rig_want("3g.40gb", 1);
    want.limit_compute = 2;
    CHECK(!rig_ask(&r, want));
    CHECK_INT(r.err.code, ==, ERROR_QUOTA);
    want = rig_want("1g.10gb", 1);
    want.for_ns = 5 * TIME_HOUR;
    CHECK(!rig_ask(&r, want));
    CHECK_INT(r.err.code, ==, ERROR_INVALID);
    CHECK_HAS(r.err.text, "4h");
    want = rig_want("1g.5gb", 1);
    CHECK(!rig_ask(&r, want));
    CHECK_INT(r.err.code, ==, ERROR_NEVER);
    struct event e = {.kind = EVENT_MANAGE};
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK(!rig_ask(&r, rig_want("1g.10gb", 1)));
    CHECK_HAS(r.err.text, "fetta manage");
}

TEST(a_key_returns_the_same_lease)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct lease want = rig_want("1g.10gb", 1);
    want.key = 9;
    uint32_t id = rig_have(&r, want);
    CHECK_INT(rig_ask(&r, want), ==, id);
    CHECK_INT(r.out.changes.n, ==, 0);
    want.count = 2;
    CHECK(!rig_ask(&r, want));
    CHECK_INT(r.err.code, ==, ERROR_CONFLICT);
    want.owner.id = 1001;
    CHECK_INT(rig_ask(&r, want), !=, id);
}

TEST(now_or_never_and_a_wait_that_runs_out)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    (void)rig_have(&r, rig_want("7g.80gb", 1));
    struct lease want = rig_want("1g.10gb", 1);
    want.wait_until = r.now;
    uint32_t id = rig_ask(&r, want);
    CHECK_INT(rig_state(&r, id), ==, LEASE_ENDED);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_NO_FIT);
    CHECK_INT(rig_count(&r, ACTION_REFUSE), ==, 1);
    want.wait_until = r.now + TIME_MIN;
    id = rig_ask(&r, want);
    CHECK_INT(rig_count(&r, ACTION_QUEUED), ==, 1);
    CHECK_INT(world_deadline(r.world), ==, r.now + TIME_MIN);
    (void)rig_tick(&r, TIME_MIN - 1);
    CHECK_INT(rig_state(&r, id), ==, LEASE_QUEUED);
    (void)rig_tick(&r, 1);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_NO_FIT);
    id = rig_ask(&r, rig_want("1g.10gb", 1));
    CHECK_INT(rig_end(&r, id, LEASE_WHY_GAVE_UP), ==, 0);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_GAVE_UP);
    CHECK(!world_queue(r.world, 0));
}

TEST(the_end_by_time_warns_terms_kills_and_waits_for_proof)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    CHECK_INT(rig_policy(&r, rig_usual), ==, 0);
    struct lease want = rig_want("1g.10gb", 1);
    want.for_ns = 10 * TIME_MIN;
    want.signal = 10;
    want.signal_before = 2 * TIME_MIN;
    uint32_t id = rig_have(&r, want);
    int64_t start = r.now;
    CHECK_INT(world_deadline(r.world), ==, start + 5 * TIME_MIN);
    (void)rig_tick(&r, 5 * TIME_MIN);
    CHECK_INT(rig_action(&r, ACTION_WARN)->left_ns, ==, 5 * TIME_MIN);
    (void)rig_tick(&r, 3 * TIME_MIN);
    CHECK_INT(rig_action(&r, ACTION_SIGNAL)->signal, ==, 10);
    (void)rig_tick(&r, TIME_MIN);
    CHECK_INT(rig_action(&r, ACTION_WARN)->left_ns, ==, TIME_MIN);
    (void)rig_tick(&r, TIME_MIN);
    CHECK_INT(rig_state(&r, id), ==, LEASE_ENDING);
    CHECK_INT(rig_count(&r, ACTION_TERM), ==, 1);
    (void)rig_tick(&r, 30 * TIME_S);
    CHECK_INT(rig_state(&r, id), ==, LEASE_KILLING);
    CHECK_INT(rig_count(&r, ACTION_KILL), ==, 1);
    (void)rig_tick(&r, 10 * TIME_S);
    CHECK_INT(rig_count(&r, ACTION_KILL), ==, 1);
    want = rig_want("7g.80gb", 1);
    want.wait_until = r.now;
    CHECK_INT(rig_state(&r, rig_ask(&r, want)), ==, LEASE_ENDED);
    rig_empty(&r, id);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_TIME);
}

TEST(a_command_that_ends_takes_along_what_it_left)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t id = rig_have(&r, rig_want("1g.10gb", 1));
    struct event e = {.kind = EVENT_GONE, .lease = id};
    (void)rig_step(&r, &e);
    CHECK_INT(rig_count(&r, ACTION_TERM), ==, 1);
    (void)rig_tick(&r, 5 * TIME_S);
    CHECK_INT(rig_count(&r, ACTION_KILL), ==, 1);
    rig_empty(&r, id);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_DONE);
}

TEST(what_ends_and_leaves_nothing_is_over_at_once)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    CLEANUP(rig_done) struct rig other = rig_new("1xa100-80");
    uint32_t id = rig_have(&r, rig_want("1g.10gb", 1));
    uint32_t next = rig_ask(&r, rig_want("7g.80gb", 1));
    CHECK_INT(rig_have(&other, rig_want("1g.10gb", 1)), ==, id);
    CHECK_INT(rig_ask(&other, rig_want("7g.80gb", 1)), ==, next);
    struct event e = {.kind = EVENT_OVER, .lease = id};
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_DONE);
    CHECK_INT(rig_count(&r, ACTION_TERM), ==, 0);
    CHECK_INT(rig_count(&r, ACTION_ENDED), ==, 1);
    CHECK_INT(rig_state(&r, next), ==, LEASE_STARTING);
    /* As if both had been told one after the other. */
    e.kind = EVENT_GONE;
    CHECK_INT(rig_step(&other, &e), ==, 0);
    rig_empty(&other, id);
    const struct gpu *a = world_gpu(r.world, 0), *b = world_gpu(other.world, 0);
    CHECK_INT(a->seat_n, ==, b->seat_n);
    for (unsigned i = 0; i < a->seat_n; i++)
        CHECK(memcmp(&a->seats[i], &b->seats[i], sizeof a->seats[i]) == 0);
    /* Who waits gives up; who is not there any more has nothing to end. */
    e = (struct event){.kind = EVENT_OVER, .lease = rig_ask(&r, rig_want("7g.80gb", 1))};
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_why(&r, e.lease), ==, LEASE_WHY_GAVE_UP);
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_count(&r, ACTION_ENDED), ==, 0);
}

TEST(extend_up_to_max_for)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    CHECK_INT(rig_policy(&r, rig_usual), ==, 0);
    uint32_t id = rig_have(&r, rig_want("1g.10gb", 1));
    struct event e = {.kind = EVENT_EXTEND};
    e.extend.lease = id;
    e.extend.ends_at = r.now + 4 * TIME_HOUR + 1;
    CHECK_INT(rig_step(&r, &e), ==, -ERROR_INVALID);
    e.extend.beyond_max = true;
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_lease(&r, id)->ends_at, ==, e.extend.ends_at);
    CHECK_INT(rig_count(&r, ACTION_TOLD), ==, 1);
    e.extend.lease = 99;
    CHECK_INT(rig_step(&r, &e), ==, -ERROR_NOT_FOUND);
}

/* Gone before the driver could say so: what is there later goes by the number it has then. */
static struct event layout_event(const struct rig *r, unsigned gpu, const char *const *names)
{
    struct event e = {.kind = EVENT_LAYOUT};
    const struct board *b = world_board(r->world, world_gpu(r->world, gpu)->board);
    e.layout.gpu = (uint16_t)gpu;
    e.layout.fixed = e.layout.mig = true;
    for (; *names; names++) {
        unsigned p = board_profile_by_name(b, *names);
        int start = layout_choose(b, &e.layout.layout, p);
        layout_add(b, &e.layout.layout, (struct placement){(uint8_t)p, (uint8_t)start});
    }
    return e;
}

static const char *const three_two[] = {"3g.40gb", "2g.20gb", NULL};

TEST(a_fixed_layout_is_made_leased_kept_and_restored)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct event e = layout_event(&r, 0, three_two);
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 2);
    rig_finish(&r);
    CHECK(!rig_ask(&r, rig_want("1g.10gb", 1)));
    CHECK_INT(r.err.code, ==, ERROR_NEVER);
    uint32_t id = rig_ask(&r, rig_want("3g.40gb", 1));
    CHECK_INT(rig_state(&r, id), ==, LEASE_ACTIVE);
    CHECK_INT(rig_state(&r, rig_ask(&r, rig_want("3g.40gb", 1))), ==, LEASE_QUEUED);
    struct event restart = {.kind = EVENT_RESTART}, look;
    (void)rig_step(&r, &restart);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_RESTART);
    (void)rig_look(&r, 0, &look);
    look.gpu.fresh = true;
    (void)rig_step(&r, &look);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 2);
    rig_finish(&r);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 2);
    CHECK(world_gpu(r.world, 0)->seats[0].fixed && world_gpu(r.world, 0)->seats[1].fixed);
}

TEST(a_layout_over_leases_refuses_and_names_them)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t id = rig_have(&r, rig_want("7g.80gb", 1));
    struct event e = layout_event(&r, 0, three_two);
    CHECK_INT(rig_step(&r, &e), ==, -ERROR_IN_USE);
    CHECK_HAS(r.err.text, "lease 1");
    e.layout.force = true;
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_state(&r, id), ==, LEASE_ENDING);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 0);
    rig_empty(&r, id);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_FORCED);
    rig_finish(&r);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 2);
    struct event bad = layout_event(&r, 0, three_two);
    bad.layout.layout.at[1].start = bad.layout.layout.at[0].start;
    CHECK_INT(rig_step(&r, &bad), ==, -ERROR_INVALID);
    struct event manage = {.kind = EVENT_MANAGE};
    CHECK_INT(rig_step(&r, &manage), ==, 0);
    CHECK_INT(rig_step(&r, &e), ==, -ERROR_STATE);
    CHECK_HAS(r.err.text, "fetta manage 0");
}

TEST(drain_keeps_holders_and_takes_nobody_new)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t first = rig_have(&r, rig_want("1g.10gb", 1));
    struct event e = {.kind = EVENT_DRAIN};
    e.drain.on = true;
    CHECK_INT(rig_step(&r, &e), ==, 0);
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 1));
    CHECK_INT(rig_state(&r, id), ==, LEASE_QUEUED);
    CHECK_INT(rig_state(&r, first), ==, LEASE_ACTIVE);
    e.drain.on = false;
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_state(&r, id), ==, LEASE_STARTING);
    struct event m = {.kind = EVENT_MANAGE};
    CHECK_INT(rig_step(&r, &m), ==, -ERROR_IN_USE);
}

TEST(a_machine_without_mig_serves_one_owner_after_another)
{
    CLEANUP(rig_done) struct rig r = rig_new("dgx-spark");
    uint32_t first = rig_ask(&r, rig_want("gpu", 1));
    CHECK_INT(rig_state(&r, first), ==, LEASE_ACTIVE);
    struct lease want = rig_want("gpu", 1);
    want.owner.id = 1001;
    uint32_t second = rig_ask(&r, want);
    CHECK_INT(rig_state(&r, second), ==, LEASE_QUEUED);
    rig_give_back(&r, first);
    CHECK_INT(rig_state(&r, second), ==, LEASE_ACTIVE);
    CHECK(!rig_ask(&r, rig_want("1g.10gb", 1)));
    CHECK_INT(r.err.code, ==, ERROR_NEVER);
}

TEST(over_quota_waits_without_holding_up_others)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct lease want = rig_want("1g.10gb", 1);
    want.limit_slices = 1;
    uint32_t first = rig_have(&r, want);
    uint32_t second = rig_ask(&r, want);
    CHECK_INT(rig_state(&r, second), ==, LEASE_QUEUED);
    want = rig_want("1g.10gb", 1);
    want.owner.id = 1001;
    (void)rig_have(&r, want);
    rig_give_back(&r, first);
    CHECK_INT(rig_state(&r, second), ==, LEASE_ACTIVE);
}

TEST(backfill_only_where_the_head_is_not_delayed)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct lease want = rig_want("3g.40gb", 1);
    want.for_ns = 10 * TIME_MIN;
    want.grace_ns = TIME_MIN;
    uint32_t first = rig_have(&r, want);
    uint32_t head = rig_ask(&r, rig_want("7g.80gb", 1));
    struct explanation x;
    engine_explain(r.world, rig_lease(&r, head), r.now, &x);
    CHECK_INT(x.position, ==, 1);
    int64_t start = 0;
    CHECK_INT(engine_forecast(r.world, r.now, &start, 1), ==, 1);
    CHECK_INT(start, ==, r.now + 11 * TIME_MIN);
    CHECK_INT(x.gpus[0].reason, ==, REASON_BUSY);
    CHECK_INT(x.gpus[0].blocker_n, ==, 1);
    CHECK_INT(x.gpus[0].blockers[0], ==, first);
    want.for_ns = 10 * TIME_MIN + 1;
    uint32_t late = rig_ask(&r, want);
    CHECK_INT(rig_state(&r, late), ==, LEASE_QUEUED);
    want.for_ns = 10 * TIME_MIN;
    CHECK_INT(rig_state(&r, rig_ask(&r, want)), ==, LEASE_STARTING);
    want.for_ns = TIME_MIN;
    want.priority = 1;
    uint32_t urgent = rig_ask(&r, want);
    CHECK_INT(world_queue(r.world, 0)->id, ==, urgent);
}

TEST(no_gpu_is_called_free_for_what_is_not_given)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    struct explanation x;
    (void)rig_have(&r, rig_want("7g.80gb", 1));
    struct lease want = rig_want("7g.80gb", 2);
    engine_explain(r.world, &want, r.now, &x);
    CHECK_INT(x.verdict, ==, VERDICT_WAIT);
    CHECK_INT(x.gpus[0].reason, ==, REASON_BUSY);
    CHECK_INT(x.gpus[1].reason, ==, REASON_PART);
    CHECK_INT(x.gpus[1].free_at, ==, TIME_NEVER);
    (void)rig_ask(&r, want);
    want = rig_want("7g.80gb", 1);
    want.for_ns = 3 * TIME_HOUR;
    engine_explain(r.world, &want, r.now, &x);
    CHECK_INT(x.gpus[1].reason, ==, REASON_RESERVED);
    CHECK_INT(x.gpus[1].free_at, ==, TIME_NEVER);
    want = rig_want("1g.10gb", 3);
    want.limit_slices = 2;
    engine_explain(r.world, &want, r.now, &x);
    CHECK_INT(x.verdict, ==, VERDICT_NEVER);
    CHECK_INT(x.gpus[1].reason, ==, REASON_QUOTA);
}

TEST(a_restarted_daemon_settles_what_was_under_way)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t made = rig_ask(&r, rig_want("1g.10gb", 1)),
             unmade = rig_ask(&r, rig_want("1g.10gb", 1));
    uint32_t half = rig_ask(&r, rig_want("1g.10gb", 1));
    struct event e;
    (void)rig_look(&r, 0, &e);
    e.gpu.fresh = true;
    for (unsigned i = 0; i < 2; i++) {
        const struct lease_slice *s = &rig_lease(&r, i ? half : made)->slices[0];
        e.gpu.seen[e.gpu.n++] = (struct sighting){s->profile, s->start, 1, s->start, i == 0, 0};
    }
    r.op_n = 0;
    (void)rig_step(&r, &e);
    CHECK_INT(rig_state(&r, made), ==, LEASE_ACTIVE);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 1);
    CHECK_INT(rig_action(&r, ACTION_CREATE)->lease, ==, unmade);
    CHECK_INT(rig_count(&r, ACTION_DESTROY), ==, 1);
    rig_finish(&r);
    CHECK_INT(rig_state(&r, unmade), ==, LEASE_ACTIVE);
    CHECK_INT(rig_state(&r, half), ==, LEASE_ACTIVE);
}

TAP_MAIN
