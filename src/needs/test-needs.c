/* Work files, what slices serve, and plans for fleets. */
#include "needs/fleet.h"

#include "base/rng.h"
#include "needs/late.h"
#include "needs/points.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

static int read(const char *text, struct needs *ret, struct error *err)
{
    return needs_read(text, strlen(text), "work.yaml", ret, err);
}

static double random_gap(struct rng *r)
{
    return -log(((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 99th percentile of a server that takes up to `batch` at once, played through. */
static double played(double time, unsigned batch, double rate, struct rng *r, unsigned n)
{
    double *at = malloc(n * sizeof *at), *late = malloc(n * sizeof *late), free_at = 0, now = 0;
    for (unsigned i = 0; i < n; i++)
        at[i] = now += random_gap(r) / rate;
    for (unsigned i = 0; i < n;) {
        double start = fmax(free_at, at[i]);
        unsigned taken = 0;
        while (i + taken < n && taken < batch && at[i + taken] <= start)
            taken++;
        free_at = start + time;
        for (unsigned k = 0; k < taken; k++, i++)
            late[i] = free_at - at[i];
    }
    qsort(late, n, sizeof *late, compare);
    double p99 = late[n / 100 * 99];
    free(at);
    free(late);
    return p99;
}

TEST(no_queue_is_later_than_its_bound)
{
    uint64_t seed = 3;
    struct rng r = {seed};
    double closest = 0;
    printf("# seed %llu\n", (unsigned long long)seed);
    for (unsigned turn = 0; turn < 60; turn++) {
        unsigned batch = 1u << rng_below(&r, 6);
        double time = 0.01 * (1 + rng_below(&r, 20));
        double load = 0.05 + 0.85 * rng_below(&r, 100) / 100.0, rate = load * batch / time;
        double bound = late_p99(time, batch, rate);
        double seen = played(time, batch, rate, &r, 200000);
        CHECK(seen <= bound * 1.05); /* a sample of a percentile is not the percentile */
        closest = fmax(closest, seen / bound);
    }
    printf("# the closest was %.2f of its bound\n", closest);
    CHECK(closest > 0.7);
}

TEST(rate_and_lateness_are_two_sides_of_one)
{
    for (unsigned batch = 1; batch <= 64; batch *= 2)
        for (double target = 0.021; target < 1; target *= 1.7) {
            double rate = late_rate(0.01, batch, target, 1);
            CHECK(rate > 0);
            CHECK(fabs(late_p99(0.01, batch, rate) - target) < 1e-6);
        }
    CHECK(late_rate(0.01, 1, 0.009, 1) <= 0);
    CHECK(late_rate(0.01, 8, 0.019, 1) <= 0);
    CHECK(isinf(late_p99(0.01, 1, 101)));
}

TEST(the_example_can_be_read)
{
    struct needs n;
    struct error err;
    REQUIRE(read(needs_example, &n, &err) == 0);
    CHECK_INT(n.n, ==, 4);
    CHECK_INT(n.all[3].at_once, ==, 3);
    CHECK(n.all[2].job && strcmp(n.all[2].profile, "3g.40gb") == 0);
    needs_done(&n);
}

static void refused(const char *text, const char *why)
{
    struct needs n;
    struct error err = {0};
    CHECK_INT(read(text, &n, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, why);
}

#define SERVICE "services:\n- name: a\n  model: bert\n"

TEST(mistakes_are_told_with_their_place)
{
    refused("services: [", "work.yaml: line 2, column 1");
    refused("- 1\n", "services and jobs were expected");
    refused("services: []\n", "nothing in it to plan for");
    refused(SERVICE "  rate: -5\n  latency: 20\n", "line 4, column 9: services[0].rate");
    refused(SERVICE "  rate: 5\n  latency: 0\n", "latency: a number above 0");
    refused(SERVICE "  rate: 5\n  latency: 20\n  most: 120%\n", "above 0 and at most 99%");
    refused(SERVICE "  rte: 5\n  latency: 20\n", "rate");
    refused("services:\n- {name: a, model: bret, rate: 5, latency: 20}\n", "is 'bert' meant?");
    refused("services:\n- {name: a, model: bret, rate: 5, latency: 20}\n", "profiles: FILE.csv");
    refused("services:\n- {name: a, rate: 5, latency: 20}\n", "either model or profiles");
    refused("services:\n- {name: A b, model: bert, rate: 5, latency: 20}\n", "a name has 1 to");
    refused("jobs:\n- {name: a}\n", "either profile, or memory and compute");
    refused("jobs:\n- {name: a, profile: 1g.10gb, within: 1h}\n", "needs duration");
    refused("jobs:\n- {name: a, profile: 1g.10gb, duration: 2h, within: 1h}\n", "shorter than one");
    refused("jobs:\n- {name: a, profile: 1g.10gb}\n- {name: a, profile: 1g.10gb}\n", "there twice");
    refused("services:\n- {name: a, profiles: no/such.csv, rate: 5, latency: 20}\n", "no/such.csv");
}

#define HEADING "slice,batch,processes,throughput,latency_ms\n"

static void csv_refused(const char *text, const char *why)
{
    struct needs_point *points = NULL;
    size_t n;
    struct error err = {0};
    CHECK_INT(points_read(text, "p.csv", &points, &n, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, why);
}

TEST(measurements_are_read_in_any_order_and_mistakes_placed)
{
    struct needs_point *points;
    size_t n;
    REQUIRE(points_read("batch,slice, latency_ms ,throughput,processes\r\n4,1g,8.5,470,1\n\n"
                        "8,2g.20gb,9,880,2",
                        "p.csv", &points, &n, NULL) == 0);
    CHECK_INT(n, ==, 2);
    CHECK_INT(points[0].batch, ==, 4);
    CHECK(points[0].ms > 8.4 && points[0].ms < 8.6);
    CHECK(strcmp(points[1].slice, "2g.20gb") == 0 && points[1].processes == 2);
    free(points);
    csv_refused("", "p.csv: line 1, column 1");
    csv_refused(HEADING, "no measurement");
    csv_refused("slice,batch\n", "there should be 5 cells");
    csv_refused("slice,batch,batch,throughput,latency_ms\n", "line 1, column 13");
    csv_refused(HEADING "1g,4,1,470,x\n", "p.csv: line 2, column 12: latency_ms");
    csv_refused(HEADING "1g,4,1,-470,8\n", "throughput must be a number of at least 0");
    csv_refused(HEADING "1g,4.5,1,470,8\n", "batch must be a whole number");
    csv_refused(HEADING "1g,4,1,470,8,9\n", "more here");
    csv_refused(HEADING ",4,1,470,8\n", "which slice?");
}

static struct fleet fleet_of(const char *spec)
{
    struct fleet f;
    struct error err;
    CHECK_INT(fleet_parse(spec, &f, &err), ==, 0);
    return f;
}

TEST(fleets_are_counted)
{
    struct fleet f = fleet_of("4xdgx-a100");
    struct error err;
    CHECK_INT(f.n, ==, 1);
    CHECK_INT(f.groups[0].gpus, ==, 32);
    CHECK_INT(f.parts[0].machines, ==, 4);
    f = fleet_of("dgx-a100,2xa30");
    CHECK_INT(f.n, ==, 2);
    CHECK_INT(f.part_n, ==, 1);
    f = fleet_of("2xdgx-a100,3xdgx-h100");
    CHECK_INT(f.groups[1].gpus, ==, 24);
    f = fleet_of("10000xa100-80");
    CHECK_INT(f.groups[0].gpus, ==, 10000);
    CHECK_INT(fleet_parse("0xa30", &f, &err), ==, -ERROR_INVALID);
    CHECK_INT(fleet_parse("2000000xa30", &f, &err), ==, -ERROR_INVALID);
    CHECK_INT(fleet_parse("3xnothing", &f, &err), ==, -ERROR_INVALID);
}

/* Plans a work file. */
static int plan(const char *spec, const char *text, struct fleet_plan *ret, struct error *err)
{
    struct fleet f = fleet_of(spec);
    struct needs n;
    CHECK_INT(read(text, &n, err), ==, 0);
    int rc = fleet_solve(&f, &n, ret, err);
    needs_done(&n);
    return rc;
}

TEST(a_fleet_too_small_says_what_part_it_can_do)
{
    struct fleet_plan p;
    struct error err;
    static const char ten[] = "jobs:\n- {name: a, profile: 7g.80gb, count: 10}\n";
    REQUIRE(plan("dgx-a100", ten, &p, &err) == 0);
    CHECK_INT(p.gpus, ==, 10);
    CHECK(p.proved);
    CHECK(fabs(p.part - 0.8) < 1e-9);
    CHECK_INT(p.uses[0].plan.gpus, ==, 8);
    fleet_done(&p);
    REQUIRE(plan("2xdgx-a100", ten, &p, &err) == 0);
    CHECK(p.part >= 1 && p.proved);
    fleet_done(&p);
    REQUIRE(plan("1xa100-80", ten, &p, &err) == 0);
    CHECK(fabs(p.part - 0.1) < 1e-9);
    fleet_done(&p);
}

TEST(a_fleet_too_small_for_anything_says_what_all_needs)
{
    struct fleet_plan p;
    struct error err;
    REQUIRE(plan("1xa100-80",
                 "jobs:\n- {name: a, profile: 7g.80gb}\n- {name: b, profile: 7g.80gb}\n", &p,
                 &err) == 0);
    CHECK(p.part <= 0);
    CHECK_INT(p.n, ==, 0);
    CHECK_INT(p.gpus, ==, 2);
    fleet_done(&p);
}

TEST(what_no_slice_serves_is_said_with_what_comes_nearest)
{
    struct fleet_plan p;
    struct error err = {0};
    CHECK_INT(
        plan("dgx-a100", "services:\n- {name: a, model: bert, rate: 5, latency: 1}\n", &p, &err),
        ==, -ERROR_NEVER);
    CHECK_HAS(err.text, "a: no slice serves it within 1 ms: the fastest,");
    CHECK_INT(plan("dgx-a100", "jobs:\n- {name: b, profile: 1g.6gb}\n", &p, &err), ==,
              -ERROR_NEVER);
    CHECK_HAS(err.text, "b: there is no profile 1g.6gb on a100-80");
    CHECK_INT(plan("dgx-spark", "jobs:\n- {name: b, memory: 1GiB}\n", &p, &err), ==,
              -ERROR_UNSUPPORTED);
}

TEST(boards_share_what_none_can_do_alone)
{
    struct fleet_plan p;
    struct error err;
    REQUIRE(plan("2xa100-80,2xa30", "jobs:\n- {name: a, memory: 5GiB, count: 20}\n", &p, &err) ==
            0);
    CHECK_INT(p.n, ==, 2);
    CHECK(p.part >= 1 && p.proved && p.smallest);
    CHECK_INT(p.gpus, ==, 4); /* 7 + 7 + 4 are 18, and so the last board is needed as well */
    unsigned placed = 0;
    for (unsigned k = 0; k < p.n; k++)
        for (unsigned f = 0; f < BOARD_PROFILES; f++)
            placed += p.uses[k].plan.replicas[0][f];
    CHECK_INT(placed, >=, 20);
    fleet_done(&p);
    REQUIRE(plan("2xa100-80,2xa30",
                 "jobs:\n- {name: a, profile: 4g.24gb, count: 2}\n"
                 "- {name: b, profile: 7g.80gb, count: 2}\n",
                 &p, &err) == 0);
    CHECK_INT(p.n, ==, 2);
    CHECK(p.part >= 1);
    fleet_done(&p);
}

TEST(of_boards_that_do_equally_well_the_smaller_are_taken)
{
    struct fleet_plan p;
    struct error err;
    REQUIRE(plan("2xa100-40,1xh100-sxm,2xa30,1xa100-80",
                 "jobs:\n- {name: a, memory: 5GiB, count: 4}\n", &p, &err) == 0);
    CHECK(p.proved && p.smallest);
    CHECK_INT(p.gpus, ==, 1);
    CHECK_INT(p.uses[0].group, ==, 2); /* the A30 */
    fleet_done(&p);
    REQUIRE(plan("2xa100-80,2xa30", "jobs:\n- {name: a, memory: 5GiB, count: 8}\n", &p, &err) == 0);
    CHECK(p.proved && p.smallest);
    CHECK_INT(p.gpus, ==, 2);
    CHECK_INT(p.n, ==, 1);
    CHECK_INT(p.uses[0].group, ==, 1);
    fleet_done(&p);
    REQUIRE(plan("2xa100-80,2xa30", "jobs:\n- {name: a, memory: 5GiB, count: 40}\n", &p, &err) ==
            0);
    CHECK(p.part < 1 && p.proved); /* 22 slices of 40 */
    CHECK(fabs(p.part - 0.55) < 1e-9);
    fleet_done(&p);
}

TAP_MAIN
