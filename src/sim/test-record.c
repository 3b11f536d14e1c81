/* Whatever a record cuts time into, its sums are those of the run. */
#include "sim/record.h"

#include "base/macro.h"
#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"

#include <math.h>

enum { JOBS = 400 };

struct list {
    struct sim_job jobs[JOBS];
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

static struct sim_job job(const char *profile, int64_t submit, int64_t run)
{
    struct sim_job j = {.submit = submit, .run = run, .wait = TIME_NEVER, .count = 1};
    j.row[0] = (uint8_t)board_profile_by_name(board_find("a100-80"), profile);
    return j;
}

static struct sim_result run(struct list *l, uint32_t gpus, struct record *record)
{
    struct sim_setup s = {
        .group_n = 1, .groups = {{.board = board_find("a100-80"), .gpus = gpus}}, .record = record};
    struct sim_source source = {next_of_list, l};
    struct sim_result r = {0};
    struct error err = {0};
    if (sim_run(&s, &source, NULL, NULL, &r, &err) < 0)
        TAP_FAIL("%s", err.text);
    return r;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(fabs(a), fabs(b));
}

TEST(sums_are_those_of_the_run)
{
    static const char *const profiles[] = {"1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"};
    struct list *l = calloc(1, sizeof *l);
    struct record *rec = calloc(1, sizeof *rec);
    REQUIRE(l && rec);
    printf("# seeds 1 to 20\n");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng rng = {seed};
        int64_t now = rng_below(&rng, 1000) * TIME_S;
        *l = (struct list){.n = JOBS};
        for (unsigned i = 0; i < JOBS; i++) {
            now += rng_below(&rng, 1000000) * (int64_t)1000 << seed;
            l->jobs[i] = job(profiles[rng_below(&rng, 4)], now,
                             (int64_t)1 + (rng_below(&rng, 4000000) * (int64_t)1000 << seed));
        }
        struct sim_result r = run(l, (uint32_t)(1 + seed % 3), rec);
        double busy = 0, used = 0, waits = 0, end = record_at(rec, record_parts(rec));
        for (unsigned i = 0; i < record_parts(rec); i++) {
            double s = record_at(rec, i + 1) - record_at(rec, i);
            CHECK(s > 0);
            busy += record_mean(rec, rec->busy, i) * s;
            used += record_mean(rec, rec->used, i) * s;
            waits += record_mean(rec, rec->waiting, i) * s;
        }
        CHECK_INT(record_parts(rec), >, RECORD_PARTS / 2 - 1);
        CHECK(near(end, r.makespan));
        CHECK(near(busy, r.gpc_busy / 1e9));
        CHECK(near(used, r.gpu_used * end));
        CHECK(near(waits, r.wait_mean * (double)r.granted));
        CHECK_INT(rec->waiting_now, ==, 0);
        for (unsigned i = 1; i < RECORD_CURVE; i++)
            CHECK(rec->waits[i] >= rec->waits[i - 1] && rec->ends[i] >= rec->ends[i - 1]);
        CHECK(rec->waits[95] == r.wait_p95 && rec->waits[99] == r.wait_p99);
        for (unsigned g = 0; g < RECORD_GPUS * RECORD_SLICES; g++)
            CHECK_INT(rec->now[g / RECORD_SLICES][g % RECORD_SLICES].lease, ==, 0);
    }
    free(l);
    free(rec);
}

TEST(spots_show_who_is_where)
{
    struct list *l = calloc(1, sizeof *l);
    struct record *rec = calloc(1, sizeof *rec);
    REQUIRE(l && rec);
    l->jobs[0] = job("4g.40gb", 0, 10 * TIME_S);
    l->jobs[1] = job("3g.40gb", 0, 10 * TIME_S);
    l->jobs[2] = job("7g.80gb", 5 * TIME_S, 10 * TIME_S);
    l->n = 3;
    run(l, 1, rec);
    CHECK(fabs(record_at(rec, record_parts(rec)) - 20) < 1e-9);
    for (unsigned i = 0; i < record_parts(rec); i++) {
        bool late = record_at(rec, i) >= 10;
        CHECK_INT(rec->spots[i][0][0].lease, ==, late ? 3 : 1);
        CHECK_INT(rec->spots[i][0][7].lease, ==, late ? 3 : 2);
        CHECK(fabs(record_mean(rec, rec->busy, i) - 7) < 1e-9);
    }
    free(l);
    free(rec);
}

TEST(a_large_fleet_is_looked_at_in_a_few_places)
{
    struct record *rec = calloc(1, sizeof *rec);
    REQUIRE(rec);
    struct sim_setup s = {.group_n = 1, .groups = {{.board = board_find("a100-80"), .gpus = 20}}};
    record_begin(rec, &s, 0);
    CHECK_INT(rec->gpu_n, ==, RECORD_GPUS);
    for (unsigned i = 0; i < rec->gpu_n; i++)
        CHECK_INT(rec->gpus[i], ==, i * 20 / RECORD_GPUS);
    free(rec);
}

TAP_MAIN
