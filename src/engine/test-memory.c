/* Memory that runs out in the middle of a step: whichever allocation fails, the step ends as if it
 * had not begun, and the same event decides the same afterwards. */
#include "base/rng.h"
#include "base/test-fail.h"
#include "base/time.h"
#include "engine/test-rig.h"
#include "tests/tap.h"

/* Steps with each allocation failing once, then for good. */
static unsigned step_on(struct rig *r, struct event *e)
{
    unsigned failures = 0;
    e->now = r->now;
    struct outcome want = {0};
    int rc = engine_step(r->world, e, &want, NULL);
    for (long n = 0;; n++) {
        struct outcome o = {0};
        struct error err = {0};
        fail_at = n;
        int got = engine_step(r->world, e, &o, &err);
        bool met = fail_at < 0;
        fail_at = -1;
        if (met && (got != -ERROR_NO_MEMORY || o.action_n || o.changes.n || !err.text[0]) &&
            (got != rc || !rig_same(&o, &want)))
            TAP_FAIL("event %d, allocation %ld: %d with %zu changes, \"%s\"", (int)e->kind, n, got,
                     o.changes.n, err.text);
        if (!met && (got != rc || !rig_same(&o, &want)))
            TAP_FAIL("event %d: %d, first it was %d", (int)e->kind, got, rc);
        failures += got == -ERROR_NO_MEMORY;
        outcome_done(&o);
        if (!met)
            break;
    }
    outcome_done(&want);
    (void)rig_step(r, e);
    rig_finish(r);
    return failures;
}

static void random_event(struct rig *r, struct rng *rng, struct event *e)
{
    static const char *const names[] = {"1g.10gb", "2g.20gb", "3g.40gb", "gpu", "7g.80gb"};
    const struct lease *l = world_lease_after(r->world, rng_below(rng, world_next_id(r->world)));
    unsigned what = rng_below(rng, 10);
    *e = (struct event){.kind = EVENT_ASK};
    if (what < 5 || (!l && what < 8)) {
        e->ask.lease =
            rig_want(names[rng_below(rng, ARRAY_LEN(names))], 1 + rng_below(rng, 3));
        e->ask.lease.for_ns = (1 + rng_below(rng, 60)) * TIME_MIN;
    } else if (what < 7) {
        e->kind = EVENT_END;
        e->end.lease = l->id;
        e->end.why = LEASE_WHY_RELEASED;
    } else if (what < 8) {
        e->kind = EVENT_EMPTY;
        e->lease = l->id;
    } else if (what < 9) {
        e->kind = EVENT_DRAIN;
        e->drain.gpu = (uint16_t)rng_below(rng, (unsigned)world_gpu_n(r->world));
        e->drain.on = rng_below(rng, 2);
    } else {
        r->now += rng_below(rng, 40) * TIME_MIN;
        e->kind = EVENT_TICK;
    }
}

TEST(a_step_without_memory_did_not_begin)
{
    unsigned failures = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct rng rng = {seed};
        CLEANUP(rig_done) struct rig r = rig_new(seed % 2 ? "2xa100-80" : "dgx-a100");
        for (unsigned i = 0; i < 60 && !tap_failed; i++) {
            struct event e;
            random_event(&r, &rng, &e);
            failures += step_on(&r, &e);
        }
        CHECK(rig_sound(&r));
    }
    printf("# %u steps refused for want of memory\n", failures);
    CHECK_INT(failures, >, 500);
}

TEST(explaining_without_memory_claims_nothing)
{
    CLEANUP(rig_done) struct rig r = rig_new("2xa100-80");
    for (unsigned i = 0; i < 6; i++) {
        struct lease want = rig_want("7g.80gb", 1);
        want.for_ns = TIME_HOUR;
        (void)rig_ask(&r, want);
        rig_finish(&r);
    }
    static struct explanation x, whole;
    struct lease want = rig_want("7g.80gb", 1);
    int64_t at[8], all[8];
    engine_explain(r.world, &want, r.now, &whole);
    CHECK_INT(engine_forecast(r.world, r.now, all, 8), ==, 4);
    unsigned met = 0;
    for (long n = 0; n < 1000; n++) {
        fail_at = n;
        engine_explain(r.world, &want, r.now, &x);
        size_t told = engine_forecast(r.world, r.now, at, 8);
        bool failed = fail_at < 0;
        fail_at = -1;
        CHECK_INT(x.verdict, ==, VERDICT_WAIT);
        CHECK(x.latest_start == whole.latest_start || x.latest_start == TIME_NEVER);
        for (size_t i = 0; i < told; i++)
            CHECK(at[i] == all[i] || at[i] == TIME_NEVER);
        if (!failed)
            break;
        met++;
    }
    CHECK_INT(met, >, 10);
    CHECK_INT(x.latest_start, ==, whole.latest_start);
}

TEST(a_world_without_memory_is_none)
{
    unsigned failures = 0;
    for (bool met = true; met; failures++) {
        fail_at = failures;
        struct world *w = world_new(8, 64);
        met = fail_at < 0;
        fail_at = -1;
        CHECK((w == NULL) == met);
        world_free(w);
    }
    CHECK_INT(failures, >, 10);
}

TAP_MAIN
