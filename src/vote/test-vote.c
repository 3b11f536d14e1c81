/* The vote: the same question has the same answer, a bad rule is given up, noise is not followed,
 * and what makes no sense is refused. */
#include "vote/vote.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

enum { JOBS = 150 };

static double unit(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

/* Small requests and whole GPUs' worth, now or never; `load` of what eight A100s can hold. */
static struct vote_question question(struct vote_job jobs[JOBS], uint64_t seed, double load)
{
    struct vote_question q = {
        .seed = seed, .idle_keep = 0, .rule = SCORE_FGD_FILL, .group_n = 1, .job_n = JOBS};
    struct rng r = {seed};
    static const char *const names[] = {"1g.10gb", "1g.10gb", "1g.10gb", "7g.80gb"};
    q.groups[0] = (struct vote_group){.board = *board_find("a100-80"), .gpus = 8};
    for (unsigned i = 0; i < JOBS; i++) {
        unsigned which = rng_below(&r, 4);
        jobs[i] = (struct vote_job){.count = 1};
        memset(jobs[i].row, BOARD_NO_PROFILE, sizeof jobs[i].row);
        jobs[i].row[0] = (uint8_t)board_profile_by_name(&q.groups[0].board, names[which]);
        jobs[i].run = 1 + (int64_t)(-600e9 * log(unit(&r)));
        /* 56 slices, of which a request asks for 10/4 on average. */
        jobs[i].gap = (int64_t)(-600e9 * log(unit(&r)) * 2.5 / 56 / load);
    }
    return q;
}

/* Worst-fit spreads small requests until no GPU has room for a large one. */
TEST(a_rule_that_loses_work_is_given_up)
{
    struct vote_job jobs[JOBS];
    struct error err = {0};
    struct vote_question q = question(jobs, 1, 1.0);
    struct vote_result v;
    q.rule = SCORE_WORST;
    REQUIRE(vote_hold(&q, jobs, &v, &err) == 0);
    printf("# %s instead of worst-fit, %.2f +- %.2f points more than %.2f\n", score_name(v.rule),
           100 * v.work_gain, 100 * v.work_noise, 100 * v.work);
    CHECK_INT(v.won, ==, VOTE_WORK);
    CHECK(v.rule != SCORE_WORST);
    CHECK(v.work_gain > 0.03 && v.work_gain > v.work_noise);
    /* Against itself it wins by nothing. */
    q.rule = v.rule;
    q.mix = v.mix;
    REQUIRE(vote_hold(&q, jobs, &v, &err) == 0);
    CHECK_INT(v.won, ==, VOTE_NOTHING);
    CHECK(v.work_gain == 0 && v.work_noise == 0);
}

/* Where nearly everything finds a place at once, nothing is to be gained. */
TEST(nothing_is_changed_for_noise)
{
    struct vote_job jobs[JOBS];
    struct error err = {0};
    struct vote_question q = question(jobs, 5, 0.05);
    struct vote_result v;
    REQUIRE(vote_hold(&q, jobs, &v, &err) == 0);
    CHECK_INT(v.won, ==, VOTE_NOTHING);
}

TEST(those_who_wait_are_judged_by_their_wait)
{
    struct vote_job jobs[JOBS];
    struct error err = {0};
    struct vote_question q = question(jobs, 3, 0.8);
    struct vote_result v;
    for (unsigned i = 0; i < JOBS; i++)
        jobs[i].wait = TIME_NEVER;
    q.rule = SCORE_WORST;
    REQUIRE(vote_hold(&q, jobs, &v, &err) == 0);
    printf("# %s: %.1f +- %.1f s less than %.1f\n", score_name(v.rule), v.wait_gain, v.wait_noise,
           v.wait);
    CHECK_INT(v.won, ==, VOTE_WAIT);
    CHECK(v.work_gain < 1e-9 && v.work_gain > -1e-9);
    CHECK(v.wait_gain > v.wait_noise);
}

/* What was refused ran no time; it counts as another of its kind. And the same question has the
 * same answer. */
TEST(refused_requests_count_as_others_of_their_profile)
{
    struct vote_job jobs[JOBS];
    struct error err = {0};
    struct vote_question q = question(jobs, 2, 1.0);
    struct vote_result all, some, again;
    for (unsigned i = 0; i < JOBS; i++)
        jobs[i].run = (jobs[i].row[0] + 1) * 100 * TIME_S;
    REQUIRE(vote_hold(&q, jobs, &all, &err) == 0);
    for (unsigned i = 0; i < JOBS; i += 3)
        jobs[i].run = 0;
    REQUIRE(vote_hold(&q, jobs, &some, &err) == 0);
    CHECK(fabs(all.work - some.work) < 0.02); /* other draws of the same times */
    REQUIRE(vote_hold(&q, jobs, &again, &err) == 0);
    CHECK(some.rule == again.rule && some.work == again.work && some.wait == again.wait);
    CHECK(some.work_gain == again.work_gain && some.work_noise == again.work_noise);
    CHECK_INT(some.jobs, ==, again.jobs);
    for (unsigned i = 0; i < JOBS; i++)
        jobs[i].run = 0;
    CHECK_INT(vote_hold(&q, jobs, &some, &err), ==, -ERROR_INVALID);
}

/* Applied layouts, pools and whole GPUs are played as they are: a job for a whole GPU finds one in
 * the pool of whole ones alone, and a layout that holds small slices takes nothing large. */
TEST(gpus_are_played_as_they_are)
{
    struct vote_job jobs[JOBS];
    struct error err = {0};
    struct vote_question q = question(jobs, 4, 0.3);
    const struct board *b = &q.groups[0].board;
    unsigned small = board_profile_by_name(b, "1g.10gb");
    struct vote_result all, none;
    q.group_n = 2;
    q.groups[0].gpus = 4;
    q.groups[1] = (struct vote_group){.board = *b, .gpus = 4, .pool = POOL_WHOLE};
    for (int start = 0; start < 7; start++)
        layout_add(b, &q.groups[0].fixed, (struct placement){(uint8_t)small, (uint8_t)start});
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i].row[1] = jobs[i].row[0];
        jobs[i].whole = jobs[i].row[0] != small;
    }
    REQUIRE(vote_hold(&q, jobs, &all, &err) == 0);
    CHECK(all.work > 0.5);
    /* Where to put a small one there is nothing to choose that matters. */
    CHECK_INT(all.won, ==, VOTE_NOTHING);
    q.groups[1].pool = POOL_SLICED;
    REQUIRE(vote_hold(&q, jobs, &none, &err) == 0);
    printf("# work done: %.2f with whole GPUs, %.2f without\n", all.work, none.work);
    CHECK(none.work < all.work - 0.3);
}

TEST(questions_that_make_no_sense_are_refused)
{
    struct vote_job jobs[JOBS];
    struct error err = {0};
    struct vote_result v;
    struct vote_question good = question(jobs, 2, 1.0), q = good;
    q.group_n = SIM_BOARDS + 1;
    CHECK_INT(vote_hold(&q, jobs, &v, &err), ==, -ERROR_INVALID);
    q = good;
    q.job_n = VOTE_JOBS_LEAST - 1;
    CHECK_INT(vote_hold(&q, jobs, &v, &err), ==, -ERROR_INVALID);
    q = good;
    q.rule = SCORE_N;
    CHECK_INT(vote_hold(&q, jobs, &v, &err), ==, -ERROR_INVALID);
    q = good;
    jobs[7].gap = -1;
    CHECK_INT(vote_hold(&q, jobs, &v, &err), ==, -ERROR_INVALID);
}

TAP_MAIN
