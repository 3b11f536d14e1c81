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

TAP_MAIN
