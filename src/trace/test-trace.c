/* Traces as written and as made up, and what policies make of the same few jobs. */
#include "trace/make.h"
#include "trace/rival.h"
#include "trace/trace.h"

#include "base/time.h"
#include "tests/tap.h"

#include <math.h>

static struct sim_setup fleet(uint32_t gpus)
{
    return (struct sim_setup){.group_n = 1, .groups = {{board_find("a100-80"), gpus, {0}}}};
}

/* Reads all of a text as a trace; the last job is in *ret. The number of jobs, or a code. */
static int read_all(const char *text, struct trace *t, struct sim_job *ret, struct error *err)
{
    static struct sim_setup s;
    s = fleet(1);
    FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    int rc = trace_begin(t, f, "t.csv", &s, 5, err), n = 0;
    while (rc == 0 && (rc = trace_next(t, ret, err)) == 1) {
        n++;
        rc = 0;
        if (n > 100)
            break;
        continue;
    }
    return n;
}

static void refused(const char *text, const char *where)
{
    struct trace t;
    struct sim_job j;
    struct error err = {0};
    (void)read_all(text, &t, &j, &err);
    if (!strstr(err.text, where))
        TAP_FAIL("'%s' not in '%s'", where, err.text);
    fclose(t.in);
    trace_done(&t);
}

TEST(mistakes_are_told_with_line_and_column)
{
    refused("submit_s,run_s\n1,2\n", "line 1");
    refused("submit_s,run_s,slice,slice\n", "column 22: 'slice' is there twice");
    refused("submit_s,run_s,slice,colour\n", "column 22: 'colour' is no column");
    refused("submit_s,run_s,slice\n0,1,gpu\n1,x,gpu\n", "t.csv: line 3, column 3: run_s");
    refused("submit_s,run_s,slice\n0,1,9g.1gb\n", "line 2, column 5: slice");
    refused("submit_s,run_s,slice\n0,nan,gpu\n", "line 2, column 3: run_s");
    refused("submit_s,run_s,slice\n0,1\n", "line 2: fewer fields");
    refused("submit_s,run_s,slice\n0,1,gpu,9\n", "line 2: more fields");
    refused("submit_s,run_s,slice,count\n0,1,gpu,65\n", "line 2, column 9: count");
}

TEST(jobs_are_read)
{
    struct trace t;
    struct sim_job j;
    struct error err = {0};
    const struct board *b = board_find("a100-80");
    CHECK_INT(read_all("user,slice,run_s,submit_s,wait_s\r\nann,18GiB+2/7,1.5,2.25,never\r\n", &t,
                       &j, &err),
              ==, 1);
    CHECK_INT(j.submit, ==, 2250 * TIME_MS);
    CHECK_INT(j.run, ==, 1500 * TIME_MS);
    CHECK_INT(j.row[0], ==, board_profile_by_name(b, "2g.20gb"));
    CHECK(j.wait == TIME_NEVER && j.count == 1 && !j.whole && j.user < SIM_USERS);
    fclose(t.in);
    trace_done(&t);
}

/* Memory, compute, and both. */
TEST(needs_are_read)
{
    const char *const needs[] = {"15GiB", "460/1000", "2/7", "30%", "1GiB+4/7"};
    const char *const profiles[] = {"1g.20gb", "4g.40gb", "2g.20gb", "3g.40gb", "4g.40gb"};
    for (unsigned i = 0; i < 5; i++) {
        char text[80];
        struct trace t;
        struct sim_job j = {0};
        struct error err = {0};
        (void)snprintf(text, sizeof text, "submit_s,run_s,slice\n0,1,%s\n", needs[i]);
        CHECK_INT(read_all(text, &t, &j, &err), ==, 1);
        CHECK_INT(j.row[0], ==, board_profile_by_name(board_find("a100-80"), profiles[i]));
        fclose(t.in);
        trace_done(&t);
    }
    refused("submit_s,run_s,slice\n0,1,8/7\n", "line 2, column 5: slice");
}

TEST(what_is_out_of_order_or_negative_is_counted)
{
    struct trace t;
    struct sim_job j;
    struct error err = {0};
    CHECK_INT(read_all("submit_s,run_s,slice\n5,1,gpu\n4,1,gpu\n6,-1,gpu\n-1,1,gpu\n7,1,gpu\n", &t,
                       &j, &err),
              ==, 3);
    CHECK_INT(t.unordered, ==, 1);
    CHECK_INT(t.negative, ==, 2);
    CHECK_INT(t.first_bad, ==, 3);
    CHECK_INT(j.submit, ==, 7 * TIME_S);
    fclose(t.in);
    trace_done(&t);
}

/* Load, mix and order of what is made, over every mix and kind of times. 40,000 jobs: the mean of
 * Philly's times, a hundredth of which are days, is within a tenth. */
TEST(made_traces_have_the_load_and_the_mix)
{
    struct sim_setup s = fleet(100);
    const struct board *b = s.groups[0].board;
    for (unsigned k = 0; k < 3 * MAKE_TIMES + 3; k++) {
        struct make m = {.mix = make_mixes[k % 6],
                         .load = 0.9,
                         .times = k % MAKE_TIMES,
                         .mean_s = 100,
                         .seed = 7 + k,
                         .jobs = 40000};
        struct sim_job j;
        struct error err = {0};
        double gpc = 0, small = 0;
        int64_t last = 0;
        unsigned n = 0;
        REQUIRE(make_begin(&m, &s, &err) == 0);
        for (; make_next(&m, &j, &err) == 1; n++) {
            CHECK(j.submit >= last && j.run > 0);
            last = j.submit;
            gpc += b->profiles[j.row[0]].compute * (double)j.run;
            small += j.row[0] == m.row[0];
        }
        double load = gpc / (700.0 * (double)last);
        CHECK_INT(n, ==, 40000);
        CHECK(fabs(load / 0.9 - 1) < (m.times == MAKE_PHILLY ? 0.1 : 0.03));
        CHECK(fabs(small / n - m.upto[0]) < 0.012);
    }
}

TEST(a_mix_that_a_board_cannot_serve_is_refused)
{
    struct sim_setup s = fleet(1);
    struct make m = {.mix = "uniform", .load = 1, .mean_s = 1, .jobs = 1};
    struct error err = {0};
    s.groups[0].board = board_find("a30");
    CHECK_INT(make_begin(&m, &s, &err), ==, -ERROR_INVALID);
    m.mix = "flat";
    CHECK_INT(make_begin(&m, &s, &err), ==, -ERROR_INVALID);
}

/* One GPU cut into 3g+2g+1g+1g; jobs of two 1g, a 4g that nothing there is enough for, and a 2g
 * behind another 2g takes the 3g never: what is enough is fixed when it asks. */
TEST(fixed_layouts_and_whole_gpus_count_what_was_asked_for)
{
    const char *text =
        "submit_s,run_s,slice\n0,10,1g.10gb\n0,10,1g.10gb\n0,10,4g.40gb\n0,10,2g.20gb\n";
    const char *names[] = {"static:3g+2g+1g+1g", "whole-gpu", "first-fit"};
    const unsigned granted[] = {3, 4, 4};
    const double makespan[] = {10, 40, 20};
    for (unsigned i = 0; i < 3; i++) {
        struct sim_setup s = fleet(1);
        struct rival p;
        struct trace t;
        struct error err = {0};
        struct sim_result r;
        FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
        REQUIRE(rival_parse(names[i], &s, &p, &err) == 0);
        REQUIRE(trace_begin(&t, f, "t", &s, TIME_NEVER, &err) == 0);
        struct rival_source from = {{trace_next, &t}, &p, &s, 0, 0};
        struct sim_source source = {rival_next, &from};
        REQUIRE(sim_run(&s, &source, NULL, NULL, &r, &err) == 0);
        CHECK_INT(r.granted, ==, granted[i]);
        CHECK(r.gpc_asked == 80e9);
        CHECK(r.gpc_busy == (i == 0 ? 40e9 : 80e9));
        CHECK(r.makespan == makespan[i]);
        fclose(f);
        trace_done(&t);
    }
}

TEST(policies_that_cannot_be_are_refused)
{
    struct sim_setup s = fleet(1);
    struct rival p;
    struct error err = {0};
    CHECK_INT(rival_parse("static:8x1g.10gb", &s, &p, &err), ==, -ERROR_INVALID);
    CHECK_INT(rival_parse("static:5g", &s, &p, &err), ==, -ERROR_INVALID);
    CHECK_INT(rival_parse("static:", &s, &p, &err), ==, -ERROR_INVALID);
    CHECK_INT(rival_parse("second-fit", &s, &p, &err), ==, -ERROR_INVALID);
    CHECK(strstr(err.text, "first-fit"));
}

TAP_MAIN
