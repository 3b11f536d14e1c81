/* What the hardware refuses, loses or shows unasked: each test is a short story told in events. */
#include "engine/test-rig.h"

#include "base/time.h"
#include "tests/tap.h"

TEST(a_place_the_driver_refuses_is_tried_once_elsewhere)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 1));
    rig_answer(&r, 0, ERROR_HARDWARE);
    CHECK_INT(rig_count(&r, ACTION_LOOK), ==, 1);
    CHECK_INT(rig_lease(&r, id)->slices[0].gpu, ==, 1);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 0);
    rig_answer(&r, 0, ERROR_HARDWARE);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_FAILED);
    CHECK_INT(rig_count(&r, ACTION_REFUSE), ==, 1);
}

TEST(a_place_that_somebody_else_took_is_tried_on_the_same_gpu_too)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct event e = {0};
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 1));
    unsigned start = rig_lease(&r, id)->slices[0].start;
    rig_answer(&r, 0, ERROR_NO_FIT);
    CHECK_INT(rig_count(&r, ACTION_LOOK), ==, 1);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 0);
    CHECK_INT(rig_state(&r, id), ==, LEASE_STARTING);
    CHECK_INT(rig_look(&r, 0, &e), ==, 0);
    e.gpu.seen[e.gpu.n++] =
        (struct sighting){.profile = 0, .start = (uint8_t)start, .size = 1, .gi = 13};
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(rig_count(&r, ACTION_CREATE), ==, 1);
    CHECK_INT(rig_lease(&r, id)->slices[0].start, !=, start);
    rig_finish(&r);
    CHECK_INT(rig_state(&r, id), ==, LEASE_ACTIVE);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 2);
}

TEST(a_driver_that_has_no_room_for_no_reason_is_asked_once_elsewhere)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    struct event e = {0};
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 1));
    for (unsigned gpu = 0; gpu < 2; gpu++) {
        CHECK_INT(rig_lease(&r, id)->slices[0].gpu, ==, gpu);
        rig_answer(&r, 0, ERROR_NO_FIT);
        CHECK_INT(rig_state(&r, id), ==, LEASE_STARTING);
        CHECK_INT(rig_look(&r, gpu, &e), ==, 0);
        CHECK_INT(rig_step(&r, &e), ==, 0);
    }
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_FAILED);
    CHECK_INT(world_gpu(r.world, 0)->seat_n + world_gpu(r.world, 1)->seat_n, ==, 0);
}

TEST(a_failed_part_rolls_back_the_whole)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t id = rig_ask(&r, rig_want("1g.10gb", 2));
    rig_answer(&r, 0, ERROR_OK);
    rig_answer(&r, 0, ERROR_HARDWARE);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_FAILED);
    rig_finish(&r);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 0);
}

TEST(a_refused_destroy_is_quarantined_and_retried)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct policy p = rig_usual;
    p.idle_keep = TIME_MIN;
    CHECK_INT(rig_policy(&r, p), ==, 0);
    rig_give_back(&r, rig_have(&r, rig_want("1g.10gb", 1)));
    (void)rig_tick(&r, TIME_MIN);
    CHECK_INT(rig_count(&r, ACTION_DESTROY), ==, 1);
    for (int64_t pause = 1; pause <= 64; pause *= 2) {
        rig_answer(&r, 0, ERROR_IN_USE);
        CHECK_INT(world_gpu(r.world, 0)->seats[0].state, ==, SEAT_QUARANTINED);
        CHECK_INT(world_deadline(r.world), ==, r.now + MIN(pause, 60) * TIME_S);
        (void)rig_tick(&r, MIN(pause, 60) * TIME_S);
        CHECK_INT(rig_count(&r, ACTION_DESTROY), ==, 1);
    }
    struct lease want = rig_want("7g.80gb", 1);
    uint32_t id = rig_ask(&r, want);
    rig_finish(&r);
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_ACTIVE);
}

TEST(strangers_are_adopted_and_never_destroyed)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    struct event e;
    (void)rig_look(&r, 0, &e);
    e.gpu.n = 1;
    e.gpu.seen[0] = (struct sighting){.profile = 0, .start = 6, .size = 1, .gi = 13};
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(world_gpu(r.world, 0)->seats[0].state, ==, SEAT_FOREIGN);
    uint32_t id = rig_ask(&r, rig_want("7g.80gb", 1));
    CHECK_INT(rig_state(&r, id), ==, LEASE_QUEUED);
    CHECK_INT(r.op_n, ==, 0);
    struct explanation x;
    engine_explain(r.world, rig_lease(&r, id), r.now, &x);
    CHECK_INT(x.verdict, ==, VERDICT_WAIT);
    CHECK_INT(x.gpus[0].reason, ==, REASON_FOREIGN);
    e.gpu.n = 0;
    CHECK_INT(rig_step(&r, &e), ==, 0);
    rig_finish(&r);
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_ACTIVE);
}

TEST(a_look_that_shows_nothing_new_changes_nothing)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    (void)rig_have(&r, rig_want("1g.10gb", 1));
    struct event e;
    (void)rig_look(&r, 0, &e);
    CHECK_INT(rig_step(&r, &e), ==, 0);
    CHECK_INT(r.out.changes.n, ==, 0);
    CHECK_INT(r.out.action_n, ==, 0);
}

TEST(a_vanished_instance_ends_its_lease)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    uint32_t id = rig_have(&r, rig_want("1g.10gb", 1));
    struct event e;
    (void)rig_look(&r, 0, &e);
    e.gpu.n = 0;
    (void)rig_step(&r, &e);
    CHECK_INT(rig_state(&r, id), ==, LEASE_KILLING);
    CHECK_INT(rig_count(&r, ACTION_KILL), ==, 1);
    rig_empty(&r, id);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_VANISHED);
}

TEST(a_lost_gpu_ends_its_leases_and_returns)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    uint32_t id = rig_have(&r, rig_want("1g.10gb", 1));
    struct event e, back;
    (void)rig_look(&r, 0, &e);
    back = e;
    e.gpu.health = MACHINE_NOT_ANSWERING;
    (void)rig_step(&r, &e);
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_ACTIVE);
    CHECK_INT(rig_lease(&r, rig_have(&r, rig_want("1g.10gb", 1)))->slices[0].gpu, ==, 1);
    e.gpu.health = MACHINE_LOST;
    (void)rig_step(&r, &e);
    CHECK_INT(rig_state(&r, id), ==, LEASE_KILLING);
    rig_empty(&r, id);
    CHECK_INT(rig_why(&r, id), ==, LEASE_WHY_LOST);
    (void)rig_step(&r, &back);
    CHECK_INT(rig_count(&r, ACTION_DESTROY), ==, 1);
    rig_finish(&r);
    CHECK_INT(world_gpu(r.world, 0)->seat_n, ==, 0);
}

TEST(an_instance_made_while_the_gpu_was_lost_is_destroyed)
{
    CLEANUP(rig_done) struct rig r = rig_new("1xa100-80");
    (void)rig_ask(&r, rig_want("1g.10gb", 1));
    const struct action *create = rig_action(&r, ACTION_CREATE);
    struct sighting made = {.profile = create->profile,
                            .start = create->start,
                            .size = 1,
                            .gi = 11,
                            .has_ci = true,
                            .ci = 3};
    struct event e, back;
    (void)rig_look(&r, 0, &e);
    back = e;
    back.gpu.seen[back.gpu.n++] = made;
    e.gpu.health = MACHINE_LOST;
    (void)rig_step(&r, &e);
    (void)rig_step(&r, &back);
    const struct action *destroy = rig_action(&r, ACTION_DESTROY);
    REQUIRE(destroy);
    CHECK_INT(destroy->gi, ==, 11);
}

TEST(a_refused_mode_change_sends_the_request_elsewhere)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    uint32_t id = rig_ask(&r, rig_want("gpu", 1));
    CHECK_INT(rig_count(&r, ACTION_SET_MODE), ==, 1);
    CHECK_INT(rig_action(&r, ACTION_SET_MODE)->gpu, ==, 0);
    rig_answer(&r, 0, ERROR_IN_USE);
    CHECK_INT(rig_action(&r, ACTION_SET_MODE)->gpu, ==, 1);
    rig_answer(&r, 0, ERROR_IN_USE);
    CHECK_INT(rig_state(&r, id), ==, LEASE_QUEUED);
    (void)rig_tick(&r, 30 * TIME_S);
    rig_finish(&r);
    CHECK_INT(rig_lease(&r, id)->state, ==, LEASE_ACTIVE);
}

TAP_MAIN
