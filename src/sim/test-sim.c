/* Runs small enough to be worked out by hand, and the same run twice. */
#include "sim/detail.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"

#include <math.h>

struct list {
    const struct sim_job *jobs;
    unsigned n, at;
};

static int next_of_list(void *arg, struct sim_job *ret, struct error *err)
{
    struct list *l = arg;
    (void)err;
    if (l->at == l->n)
        return 0;
    *ret = l->jobs[l->at++];
    return 1;
}

static struct sim_job job(const char *profile, int64_t submit_s, int64_t run_s)
{
    struct sim_job j = {.submit = submit_s * TIME_S,
                        .run = run_s * TIME_S,
                        .wait = TIME_NEVER,
                        .user = 1000,
                        .count = 1};
    j.row[0] = (uint8_t)board_profile_by_name(board_find("a100-80"), profile);
    return j;
}

static struct sim_setup one_gpu(void)
{
    return (struct sim_setup){.group_n = 1,
                              .groups = {{.board = board_find("a100-80"), .gpus = 1}},
                              .lease_max = 4096};
}

static struct sim_result run(const struct sim_setup *s, const struct sim_job *jobs, unsigned n)
{
    struct list l = {jobs, n, 0};
    struct sim_source source = {next_of_list, &l};
    struct sim_result r;
    struct error err = {0};
    if (sim_run(s, &source, NULL, NULL, &r, &err) < 0)
        TAP_FAIL("%s", err.text);
    return r;
}

TEST(a_run_is_what_one_works_out_by_hand)
{
    struct sim_setup s = one_gpu();
    struct sim_job jobs[] = {job("4g.40gb", 0, 10), job("3g.40gb", 0, 10), job("7g.80gb", 5, 10)};
    struct sim_result r = run(&s, jobs, 3);
    CHECK_INT(r.asked, ==, 3);
    CHECK_INT(r.granted, ==, 3);
    CHECK_INT(r.done, ==, 3);
    CHECK(fabs(r.makespan - 20) < 1e-9);            /* the 7g waits for both */
    CHECK(fabs(r.wait_mean - 5.0 / 3) < 1e-9);      /* 0, 0 and 5 s */
    CHECK(fabs(r.gpc_busy / r.gpc_all - 1) < 1e-9); /* never a slice idle */
    CHECK(fabs(r.gpu_used - 1) < 1e-9);
}

TEST(the_driver_takes_its_time)
{
    struct sim_setup s = one_gpu();
    struct sim_job jobs[] = {job("7g.80gb", 0, 10), job("4g.40gb", 0, 10)};
    s.create_ns = 2 * TIME_S;
    s.destroy_ns = 3 * TIME_S;
    s.idle_keep = TIME_NEVER;
    struct sim_result r = run(&s, jobs, 2);
    CHECK(fabs(r.makespan - (2 + 10 + 3 + 2 + 10)) < 1e-9);
    CHECK_INT(r.made, ==, 2);
    CHECK_INT(r.destroyed, ==, 1);
}

TEST(now_or_never_is_refused_when_there_is_no_room)
{
    struct sim_setup s = one_gpu();
    struct sim_job jobs[] = {job("4g.40gb", 0, 10), job("4g.40gb", 1, 10), job("4g.40gb", 11, 10)};
    jobs[1].wait = jobs[2].wait = 0;
    struct sim_result r = run(&s, jobs, 3);
    CHECK_INT(r.granted, ==, 2);
    CHECK_INT(r.refused, ==, 1);
    CHECK(fabs(r.gpc_granted / r.gpc_asked - 2.0 / 3) < 1e-6);
}

TEST(an_applied_layout_serves_what_it_has)
{
    struct sim_setup s = one_gpu();
    const struct board *b = s.groups[0].board;
    uint8_t small = (uint8_t)board_profile_by_name(b, "1g.10gb");
    for (unsigned i = 0; i < 7; i++)
        layout_add(b, &s.groups[0].fixed, (struct placement){small, (uint8_t)i});
    struct sim_job jobs[] = {job("1g.10gb", 0, 1), job("3g.40gb", 0, 10)};
    s.create_ns = 2 * TIME_S; /* before the first job, whatever time it takes */
    struct sim_result r = run(&s, jobs, 2);
    CHECK_INT(r.granted, ==, 1);
    CHECK_INT(r.refused, ==, 1);
    CHECK(r.wait_most <= 0);
}

TEST(jobs_out_of_order_are_refused_by_number)
{
    struct sim_setup s = one_gpu();
    struct sim_job jobs[] = {job("1g.10gb", 5, 1), job("1g.10gb", 4, 1)};
    struct list l = {jobs, 2, 0};
    struct sim_source source = {next_of_list, &l};
    struct sim_result r;
    struct error err = {0};
    CHECK_INT(sim_run(&s, &source, NULL, NULL, &r, &err), ==, -ERROR_INVALID);
    CHECK(strstr(err.text, "job 2 "));
}

enum { MANY = 3000 };

TEST(the_same_jobs_give_the_same_result_to_the_bit)
{
    struct sim_setup s = one_gpu();
    const char *names[] = {"1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"};
    struct sim_job *jobs = calloc(MANY, sizeof *jobs);
    struct rng rng = {11};
    s.groups[0].gpus = 20;
    for (unsigned i = 0; i < MANY; i++)
        jobs[i] = job(names[rng_below(&rng, 6)], i, 1 + rng_below(&rng, 60));
    struct sim_result a = run(&s, jobs, MANY), b = run(&s, jobs, MANY);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK_INT(a.done, ==, MANY);
    CHECK_INT(a.granted, ==, MANY);
    free(jobs);
}

static int64_t some_time(const void *arg, unsigned group, enum sim_op op, struct rng *rng)
{
    const int64_t *most = arg;
    (void)group;
    return (int64_t)rng_below(rng, (uint32_t)(most[op] / TIME_MS)) * TIME_MS;
}

/* Jobs of all kinds, some of which cannot wait, cannot be or want several slices. */
static void fill_jobs(struct sim_job *jobs, unsigned n, struct rng *rng)
{
    const char *names[] = {"1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"};
    int64_t at = 0;
    for (unsigned i = 0; i < n; i++) {
        at += rng_below(rng, 30) * TIME_S / 10;
        jobs[i] = job(names[rng_below(rng, 6)], 0, 1 + rng_below(rng, 60));
        jobs[i].submit = at;
        jobs[i].count = rng_below(rng, 12) ? 1 : (uint8_t)(1 + rng_below(rng, 64));
        jobs[i].whole = rng_below(rng, 25) == 0;
        jobs[i].user = rng_below(rng, 5);
        jobs[i].priority = (int16_t)rng_below(rng, 3);
        jobs[i].wait = (int64_t)rng_below(rng, 4) * 20 * TIME_S;
        if (rng_below(rng, 40) == 0)
            memset(jobs[i].row, BOARD_NO_PROFILE, sizeof jobs[i].row);
        if (jobs[i].wait == 60 * TIME_S)
            jobs[i].wait = TIME_NEVER;
    }
}

/* Three 1g at 0, 1 and 2 for 10 s, then a 4g, which has no start though four compute slices are
 * free; then a 7g, for which too few are. What is free, beside the 1g: 4 slices of no use to a 4g
 * or 7g; the mix is one third each. */
TEST(room_of_the_wrong_shape_is_told_from_too_little)
{
    struct sim_setup s = one_gpu();
    struct detail d;
    double counts[BOARD_PROFILES] = {0};
    struct sim_job jobs[] = {job("1g.10gb", 0, 10), job("1g.10gb", 0, 10), job("1g.10gb", 0, 10),
                             job("4g.40gb", 5, 10), job("7g.80gb", 5, 10)};
    for (unsigned i = 2; i < 5; i++)
        counts[jobs[i].row[0]]++;
    for (unsigned i = 3; i < 5; i++)
        jobs[i].wait = 0;
    s.mix = score_mix_of(counts);
    s.rule = SCORE_FIRST_LOW;
    s.detail = &d;
    struct sim_result r = run(&s, jobs, 5);
    CHECK_INT(r.refused, ==, 2);
    CHECK_INT(d.stranded, ==, 1);
    CHECK_INT(d.class_n, ==, 3);
    CHECK_INT(d.classes[0].granted, ==, 3);
    CHECK_INT(d.classes[1].refused, ==, 1);
    CHECK_INT(d.classes[1].asked_for, ==, sim_asked_for(0, jobs[3].row[0]));
    CHECK(fabs(d.useless - 8.0 / 3) < 0.02);
    CHECK(fabs(d.classes[0].end_p99 - 10) < 0.05);
}

/* Every job that asks is granted or refused, and every one granted comes to its end, whatever the
 * rule, the driver's times and the limits are; and the same seed makes the same of them. That no
 * two leases share a slice is asserted by the detail. */
static void check_all(const struct sim_setup *setup, const struct sim_job *jobs, unsigned n)
{
    struct detail d;
    struct sim_setup s = *setup;
    struct sim_result b = run(&s, jobs, n);
    s.detail = &d;
    struct sim_result a = run(&s, jobs, n);
    uint64_t asked = 0, granted = 0, refused = 0;
    for (unsigned i = 0; i < d.class_n; i++) {
        asked += d.classes[i].asked;
        granted += d.classes[i].granted;
        refused += d.classes[i].refused;
    }
    CHECK(asked == a.asked && granted == a.granted && refused == a.refused);
    CHECK(fabs(d.all.wait_mean - a.wait_mean) < 1e-9 && d.all.end_p95 >= d.all.end_p50);
    CHECK(d.useless <= (a.gpc_all - a.gpc_busy) / (double)a.last * 1.5 + 1e-6 ||
          s.place == SIM_REPACK);
    if (a.asked != n || a.granted + a.refused != n || a.done != a.granted)
        TAP_FAIL("seed %llu: asked %llu, granted %llu, refused %llu, done %llu",
                 (unsigned long long)s.seed, (unsigned long long)a.asked,
                 (unsigned long long)a.granted, (unsigned long long)a.refused,
                 (unsigned long long)a.done);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK(a.gpc_busy <= a.gpc_all * (1 + 1e-9) && a.gpu_used <= s.groups[0].gpus + 1e-9);
    CHECK_INT(a.made, >=, a.destroyed);
    s.detail = NULL;
    s.seed++;
    b = run(&s, jobs, n);
    CHECK((!s.delay && s.place != SIM_RANDOM) || a.granted < 50 || memcmp(&a, &b, sizeof a) != 0);
}

TEST(no_job_is_lost_and_no_slice_is_had_twice)
{
    enum { N = 400 };
    unsigned rounds = getenv("FETTA_DEEP") ? 1000 : 20;
    static const int64_t most[] = {3 * TIME_S, 2 * TIME_S, 10 * TIME_S};
    AUTO_FREE struct sim_job *jobs = calloc(N, sizeof *jobs);
    REQUIRE(jobs);
    for (unsigned round = 0; round < rounds; round++) {
        struct rng rng = {1000 + round};
        struct sim_setup s = one_gpu();
        s.groups[0].gpus = 1 + rng_below(&rng, 8);
        s.rule = (enum score_rule)rng_below(&rng, SCORE_N);
        s.idle_keep = rng_below(&rng, 2) ? TIME_NEVER : 5 * TIME_S;
        s.told_runtime = rng_below(&rng, 2);
        s.quota_compute = rng_below(&rng, 3) ? 0 : 9;
        s.delay = rng_below(&rng, 4) ? some_time : NULL;
        s.delay_arg = most;
        s.seed = 1000 + round;
        fill_jobs(jobs, N, &rng);
        check_all(&s, jobs, N);
        s.queue = SIM_SCAN;
        s.place = (enum sim_place)(round % (SIM_REPACK + 1));
        check_all(&s, jobs, N);
    }
}

/* Where nobody waits and the driver takes no time, both queues are the same: two programs that
 * share no line of placing agree on every rule. Only `room` is left out: the engine's own, it has
 * no table. */
TEST(a_scanned_queue_without_waiting_is_the_engine)
{
    enum { N = 600 };
    AUTO_FREE struct sim_job *jobs = calloc(N, sizeof *jobs);
    REQUIRE(jobs);
    for (enum score_rule rule = 0; rule < SCORE_N; rule++) {
        struct rng rng = {50 + rule};
        struct sim_setup s = one_gpu();
        s.groups[0].gpus = 4;
        s.rule = rule;
        fill_jobs(jobs, N, &rng);
        for (unsigned i = 0; i < N; i++) {
            jobs[i].submit += i; /* no two things at one time */
            jobs[i].wait = 0;
            jobs[i].count = 1;
            jobs[i].whole = false;
        }
        struct sim_result engine = run(&s, jobs, N);
        s.queue = SIM_SCAN;
        struct sim_result scan = run(&s, jobs, N);
        if (engine.granted != scan.granted || engine.gpc_busy != scan.gpc_busy ||
            engine.gpu_used != scan.gpu_used)
            TAP_FAIL(
                "%s, seed %u: %llu jobs and %.1f GPUs of the engine, %llu and %.1f of the scan",
                score_name(rule), 50 + rule, (unsigned long long)engine.granted, engine.gpu_used,
                (unsigned long long)scan.granted, scan.gpu_used);
    }
}

/* Two of 1g on two GPUs and then a 7g: there is room for it where both are on one, or can be. */
TEST(free_repacking_lets_in_what_any_packing_holds)
{
    struct sim_setup s = one_gpu();
    struct sim_job jobs[] = {job("1g.10gb", 0, 10), job("1g.10gb", 0, 10), job("7g.80gb", 1, 10)};
    jobs[2].wait = 0;
    s.groups[0].gpus = 2;
    s.queue = SIM_SCAN;
    s.rule = SCORE_WORST;
    CHECK_INT(run(&s, jobs, 3).granted, ==, 2);
    s.place = SIM_ROUND_ROBIN;
    CHECK_INT(run(&s, jobs, 3).granted, ==, 2);
    s.place = SIM_HAMI;
    CHECK_INT(run(&s, jobs, 3).granted, ==, 3);
    s.place = SIM_REPACK;
    struct sim_result r = run(&s, jobs, 3);
    CHECK_INT(r.granted, ==, 3);
    CHECK(fabs(r.gpc_busy - 90e9) < 1);
}

/* A 7g waits behind 1g that come again and again: the engine keeps a place for it, a scan lets it
 * wait. */
TEST(a_scan_lets_the_large_wait)
{
    struct sim_setup s = one_gpu();
    struct sim_job jobs[40];
    for (unsigned i = 0; i < 40; i++)
        jobs[i] = job(i == 1 ? "7g.80gb" : "1g.10gb", i * 5, 11);
    struct sim_result engine = run(&s, jobs, 40);
    s.queue = SIM_SCAN;
    struct sim_result scan = run(&s, jobs, 40);
    CHECK_INT(engine.granted, ==, 40);
    CHECK_INT(scan.granted, ==, 40);
    CHECK(engine.wait_most < 60 && scan.wait_most > 190);
}

TAP_MAIN
