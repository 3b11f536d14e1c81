/* That a decision costs the same in a large fleet as in a small one, by counting: a time would
 * prove nothing on a busy machine. */
#include "sim/sim.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"

#include <math.h>

enum { KINDS = 4, MOST_WORDS = 7 }; /* three words of ranks, four levels of the index */

struct stream {
    struct rng random;
    const struct board *board;
    uint64_t n, most;
    double at, rate; /* s, jobs a second */
};

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

/* Who finds no place is gone, so that nobody queues. */
static int next_job(void *arg, struct sim_job *ret, struct error *err)
{
    static const char *const names[KINDS] = {"1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb"};
    struct stream *s = arg;
    (void)err;
    if (s->n++ == s->most)
        return 0;
    s->at -= log(uniform(&s->random)) / s->rate;
    unsigned row = board_profile_by_name(s->board, names[rng_below(&s->random, KINDS)]);
    *ret = (struct sim_job){.submit = (int64_t)(s->at * (double)TIME_S),
                            .run = 1 - (int64_t)(log(uniform(&s->random)) * (double)TIME_S),
                            .user = rng_below(&s->random, 100),
                            .count = 1,
                            .row = {(uint8_t)row}};
    return 1;
}

/* Twice the jobs that fit at a time, at a load of seven compute slices a GPU. */
static struct sim_result run(unsigned gpus)
{
    struct stream s = {.random = {2026},
                       .board = board_find("a100-80"),
                       .most = 8 * (uint64_t)gpus,
                       .rate = 4.0 * gpus};
    struct sim_setup setup = {.group_n = 1,
                              .groups = {{.board = s.board, .gpus = gpus}},
                              .rule = SCORE_FGD_FILL,
                              .idle_keep = TIME_NEVER,
                              .quota_compute = 7 * gpus};
    struct sim_result r = {0};
    struct error err;
    CHECK_INT(sim_run(&setup, &(struct sim_source){next_job, &s}, NULL, NULL, &r, &err), ==, 0);
    CHECK_INT(r.asked, ==, s.most);
    CHECK(r.granted > r.asked / 2 && r.refused > 0);
    return r;
}

TEST(a_decision_looks_at_as_much_in_a_large_fleet_as_in_a_small_one)
{
    struct sim_result few = run(100), many = run(10000);
    /* The index names one GPU, and that one it is. */
    CHECK_INT(few.cost.gpus, ==, few.granted);
    CHECK_INT(many.cost.gpus, ==, many.granted);
    CHECK(few.cost.words > few.asked && few.cost.words <= MOST_WORDS * few.asked);
    CHECK(many.cost.words > many.asked && many.cost.words <= MOST_WORDS * many.asked);
    CHECK_INT(few.cost.kept + many.cost.kept, ==, 0);
    printf("# words a request: %.2f with 100 GPUs, %.2f with 10,000\n",
           (double)few.cost.words / (double)few.asked,
           (double)many.cost.words / (double)many.asked);
}

TAP_MAIN
