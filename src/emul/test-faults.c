/* Fault rules: they hit whom they name, when and as often as they say, and the same way again. */
#include "emul/faults.h"

#include "base/time.h"
#include "tests/tap.h"

#include <string.h>

static struct faults f;

static struct fault rule(uint32_t effect, uint32_t call)
{
    struct fault r = fault_any();
    r.effect = effect;
    r.code = effect <= FAULT_SPOIL ? 19 : 0;
    fault_set_call(&r, call);
    return r;
}

static void only(const struct fault *r)
{
    f = (struct faults){.seed = 7};
    CHECK(faults_add(&f, r, 0));
}

static struct fault_verdict take(uint32_t call, int gpu, int gi, int64_t now)
{
    struct fault_call c = {.call = call, .gpu = gpu, .gi = gi, .ci = -1, .uid = 1000, .pid = 42,
                           .process = "nvtop"};
    return faults_take(&f, &c, now);
}

TEST(whom)
{
    struct fault r = rule(FAULT_FAIL, 5);
    r.gpu = 2;
    r.gi = 7;
    only(&r);
    CHECK_INT(take(5, 2, 8, 0).code, ==, 0);
    CHECK_INT(take(5, 1, 7, 0).code, ==, 0);
    CHECK_INT(take(4, 2, 7, 0).code, ==, 0);
    for (int i = 0; i < 100; i++)
        CHECK_INT(take(5, 2, 7, 0).code, ==, 19);
    r = rule(FAULT_FAIL, 5);
    r.uid = 0;
    only(&r);
    CHECK_INT(take(5, 0, 0, 0).code, ==, 0);
    r.uid = 1000;
    r.pid = 43;
    only(&r);
    CHECK_INT(take(5, 0, 0, 0).code, ==, 0);
    r.pid = FAULTS_ANY;
    (void)snprintf(r.process, sizeof r.process, "nv*");
    only(&r);
    CHECK(faults_need_process(&f));
    CHECK_INT(take(5, 0, 0, 0).code, ==, 19);
    (void)snprintf(r.process, sizeof r.process, "dcgm");
    only(&r);
    CHECK_INT(take(5, 0, 0, 0).code, ==, 0);
}

TEST(when)
{
    struct fault r = rule(FAULT_FAIL, 1);
    r.nth = 3;
    r.every = 2;
    r.times = 2;
    only(&r);
    static const int expected[] = {0, 0, 19, 0, 19, 0, 0, 0};
    for (int i = 0; i < 8; i++)
        CHECK_INT(take(1, 0, 0, 0).code, ==, expected[i]);
    CHECK(faults_spent(&f, 0, 0));
    r = rule(FAULT_FAIL, 1);
    r.after = 10;
    r.lasts = 5;
    only(&r);
    CHECK_INT(take(1, 0, 0, 9).code, ==, 0);
    CHECK_INT(take(1, 0, 0, 12).code, ==, 19);
    CHECK_INT(take(1, 0, 0, 16).code, ==, 19);
    CHECK_INT(take(1, 0, 0, 17).code, ==, 0);
}

TEST(chance_is_the_same_again)
{
    struct fault r = rule(FAULT_FAIL, 1);
    r.chance = FAULTS_ALWAYS / 4;
    bool first[1000];
    int hits = 0;
    only(&r);
    for (int i = 0; i < 1000; i++)
        hits += first[i] = take(1, 0, 0, 0).code != 0;
    CHECK(hits > 190 && hits < 310);
    /* Another rule and its calls in between do not matter. */
    only(&r);
    struct fault other = rule(FAULT_DELAY, 2);
    other.chance = FAULTS_ALWAYS / 2;
    CHECK(faults_add(&f, &other, 0));
    for (int i = 0; i < 1000; i++) {
        (void)take(2, 0, 0, 0);
        REQUIRE((take(1, 0, 0, 0).code != 0) == first[i]);
    }
}

TEST(delays_add_up_and_codes_queue)
{
    f = (struct faults){0};
    struct fault slow = rule(FAULT_DELAY, 1), once = slow, late = rule(FAULT_LATE, 1);
    slow.delay.a = 10;
    once.delay.a = 5;
    once.times = 1;
    late.delay.a = 3;
    struct fault four = rule(FAULT_FAIL, 1), six = rule(FAULT_SPOIL, 1);
    four.code = 4;
    six.code = 6;
    four.times = six.times = 1;
    CHECK(faults_add(&f, &slow, 0) && faults_add(&f, &once, 0) && faults_add(&f, &late, 0) &&
          faults_add(&f, &four, 0) && faults_add(&f, &six, 0));
    struct fault_verdict v = take(1, 0, -1, 0);
    CHECK(v.before == 15 && v.after == 3 && v.code == 4 && !v.spoil);
    v = take(1, 0, -1, 0);
    CHECK(v.before == 10 && v.code == 6 && v.spoil);
    CHECK_INT(take(1, 0, -1, 0).code, ==, 0);
}

TEST(hangs_and_strikes)
{
    struct fault r = rule(FAULT_HANG, 1), xid = rule(FAULT_XID, 1);
    r.lasts = 50;
    xid.data = 94;
    xid.ci = FAULTS_ANY;
    only(&r);
    CHECK(faults_add(&f, &xid, 0));
    struct fault_verdict v = take(1, 3, 9, 100);
    CHECK(v.hang && v.hang_until == 150 && v.strike_n == 1);
    CHECK(v.strikes[0].rule == 1 && v.strikes[0].gpu == 3 && v.strikes[0].gi == 9);
}

TEST(by_themselves)
{
    struct fault r = fault_any();
    struct fault_strike at;
    r.effect = FAULT_XID;
    r.data = 79;
    r.gpu = 1;
    r.after = 10;
    r.each = 5;
    r.times = 3;
    only(&r);
    CHECK_INT(faults_next(&f), ==, 10);
    CHECK(!faults_run(&f, 9, &at));
    CHECK(faults_run(&f, 10, &at) && at.gpu == 1 && !faults_run(&f, 14, &at));
    CHECK(faults_run(&f, 20, &at) && faults_run(&f, 20, &at) && !faults_run(&f, 99, &at));
    CHECK(faults_next(&f) == TIME_NEVER && faults_spent(&f, 0, 99));
}

static int load(struct fault_plan head, const struct fault *rules, size_t size)
{
    char bytes[sizeof head + 4 * sizeof *rules];
    struct error err;
    memcpy(bytes, &head, sizeof head);
    memcpy(bytes + sizeof head, rules, 2 * sizeof *rules);
    return faults_load(&f, bytes, size, 100, 1000, &err);
}

TEST(plans_are_checked)
{
    struct fault good[2] = {rule(FAULT_FAIL, 5), rule(FAULT_DELAY, 6)};
    struct fault_plan head = {FAULT_PLAN_MAGIC, 100, sizeof good[0], 2, 7, 0, 0};
    size_t size = sizeof head + sizeof good;
    CHECK_INT(load(head, good, size), ==, 0);
    CHECK(f.n == 2 && f.since == 1000 && f.seed == 7);
    CHECK(load(head, good, size - 1) < 0 && load(head, good, 3) < 0);
    struct fault_plan bad = head;
    bad.n = 3;
    CHECK(load(bad, good, size) < 0);
    bad = head;
    bad.calls = 99;
    CHECK(load(bad, good, size) < 0);
    bad = head;
    bad.magic++;
    CHECK(load(bad, good, size) < 0);
    for (int i = 0; i < 8; i++) {
        struct fault wrong[2] = {good[0], good[1]};
        switch (i) {
        case 0: wrong[1].effect = FAULT_EFFECTS; break;
        case 1: memset(wrong[0].label, 'x', sizeof wrong[0].label); break;
        case 2: wrong[0].every = 0; break;
        case 3: wrong[0].chance = FAULTS_ALWAYS + 1; break;
        case 4: wrong[1].delay.a = -1; break;
        case 5: wrong[0].code = 0; break;
        case 6: wrong[1].effect = FAULT_RELOAD; break;
        default: memset(wrong[0].calls, 0, sizeof wrong[0].calls); break;
        }
        CHECK(load(head, wrong, size) < 0);
        CHECK(f.n == 2 && f.rules[1].effect == FAULT_DELAY);
    }
}

TEST(full)
{
    f = (struct faults){0};
    struct fault r = rule(FAULT_FAIL, 1);
    r.times = 1;
    for (int i = 0; i < FAULTS_MAX; i++)
        CHECK(faults_add(&f, &r, 0));
    CHECK(!faults_add(&f, &r, 0));
    (void)take(1, 0, 0, 0); /* uses one up */
    CHECK(faults_add(&f, &r, 0));
    CHECK(!faults_add(&f, &r, 0));
    faults_clear(&f);
    CHECK(take(1, 0, 0, 0).code == 0 && faults_add(&f, &r, 0));
}

TAP_MAIN
