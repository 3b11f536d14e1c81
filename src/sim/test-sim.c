/* Runs small enough to be worked out by hand, and the same run twice. */
#include "sim/sim.h"

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
                              .groups = {{.board = board_find("a100-80"), .gpus = 1}}};
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
    struct sim_job jobs[] = {job("1g.10gb", 0, 10), job("3g.40gb", 0, 10)};
    struct sim_result r = run(&s, jobs, 2);
    CHECK_INT(r.granted, ==, 1);
    CHECK_INT(r.refused, ==, 1);
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

TAP_MAIN
