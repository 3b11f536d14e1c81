/* Services onto the fewest GPUs: against trying everything, and the proof against arithmetic. */
#include "plan/serve.h"

#include "base/rng.h"
#include "plan/cover.h"
#include "plan/test-board.h"
#include "tests/tap.h"

#include <math.h>

static const uint64_t seed = 7;

/* A random service: larger slices serve more, mostly; some do not serve in time. */
static struct serve_service random_service(const struct rig *r, struct rng *rng, double most)
{
    struct serve_service s = {.rate = 1 + rng_below(rng, (uint32_t)most)};
    double any = 0;
    while (any <= 0) {
        for (unsigned p = 0; p < r->board->profile_n; p++) {
            bool in = table_mask(r->table) >> p & 1 && rng_below(rng, 5);
            double g = r->board->profiles[p].compute;
            s.per_slice[p] = in ? g * (10 + rng_below(rng, 10)) / 2 : 0;
            any += s.per_slice[p];
        }
    }
    return s;
}

/* The plan does what it says: every rate served, on slices that the mixes hold. */
static void check_plan(const struct rig *r, const struct serve_service *s, unsigned n,
                       const struct serve_plan *plan)
{
    unsigned mix_n;
    const struct table_mix *mixes = table_pareto(r->table, &mix_n);
    uint64_t gpus = 0;
    for (unsigned p = 0; p < BOARD_PROFILES; p++) {
        uint64_t used = 0, held = 0;
        for (unsigned j = 0; j < mix_n; j++)
            held += (uint64_t)plan->mixes[j] * mixes[j].n[p];
        for (unsigned i = 0; i < n; i++)
            used += plan->replicas[i][p];
        CHECK_INT(used, <=, held);
    }
    for (unsigned j = 0; j < mix_n; j++)
        gpus += plan->mixes[j];
    CHECK_INT(gpus, ==, plan->gpus);
    for (unsigned i = 0; i < n; i++) {
        double served = 0;
        for (unsigned p = 0; p < BOARD_PROFILES; p++)
            served += plan->replicas[i][p] * s[i].per_slice[p];
        CHECK(served >= s[i].rate * (1 - 1e-6));
    }
}

/* The cheapest cover with at most 12 of each piece. */
static double by_trying(const double *amounts, const double *prices, unsigned n, double need)
{
    double best = HUGE_VAL;
    if (need <= 1e-9)
        return 0;
    for (unsigned c = 0; n && c <= 12; c++)
        best = fmin(best,
                    c * *prices + by_trying(amounts + 1, prices + 1, n - 1, need - c * *amounts));
    return best;
}

/* The proof: no mix dearer than a GPU, no way to serve cheaper than said, and the sum is the bound.
 */
static void check_proof(const struct rig *r, const struct serve_service *s, unsigned n,
                        const struct serve_plan *plan)
{
    unsigned mix_n, k = 0;
    const struct table_mix *mixes = table_pareto(r->table, &mix_n);
    double sum = 0;
    for (unsigned j = 0; j < mix_n; j++) {
        double cost = 0;
        for (unsigned p = 0; p < BOARD_PROFILES; p++)
            cost += plan->price[p] * mixes[j].n[p];
        CHECK(cost <= 1 + 1e-6);
    }
    for (unsigned i = 0; i < n; i++) {
        double amounts[BOARD_PROFILES], prices[BOARD_PROFILES];
        k = 0;
        for (unsigned p = 0; p < BOARD_PROFILES; p++) {
            amounts[k] = s[i].per_slice[p];
            prices[k] = plan->price[p];
            k += table_mask(r->table) >> p & 1;
        }
        CHECK(plan->least[i] <= by_trying(amounts, prices, k, s[i].rate) + 1e-6);
        sum += plan->least[i];
    }
    CHECK(fabs(sum - plan->relax) < 1e-6);
    CHECK_INT(plan->bound, ==, (uint32_t)ceil(sum - 1e-6));
    CHECK_INT(plan->bound, <=, plan->gpus);
    CHECK_INT(plan->optimal, ==, plan->bound == plan->gpus);
}

/* The fewest GPUs over all ways to serve services i.. with at most 9 slices of each profile. */
static uint32_t all_ways(const struct rig *r, const struct serve_service *s, unsigned n,
                         struct pack_demand *d, double need, unsigned p)
{
    uint32_t best = UINT32_MAX, gpus;
    if (need <= 1e-9 && n == 1)
        return pack_fewest(r->pack, d, &gpus, NULL, NULL) == 0 ? gpus : UINT32_MAX;
    if (need <= 1e-9)
        return all_ways(r, s + 1, n - 1, d, s[1].rate, 0);
    if (p == r->board->profile_n)
        return UINT32_MAX;
    if (s->per_slice[p] <= 0)
        return all_ways(r, s, n, d, need, p + 1);
    for (unsigned c = 0; c <= 9; c++) {
        struct pack_demand with = *d;
        with.n[p] += c;
        gpus = all_ways(r, s, n, &with, need - c * s->per_slice[p], p + 1);
        best = gpus < best ? gpus : best;
    }
    return best;
}

TEST(small_plans_are_the_best_of_all)
{
    struct rig r = rig_new("a30");
    struct rng rng = {seed};
    struct serve_plan *plan = malloc(sizeof *plan);
    unsigned proved = 0;
    printf("# seed %llu\n", (unsigned long long)seed);
    for (unsigned turn = 0; turn < 150; turn++) {
        struct serve_service s[2];
        struct pack_demand none = {{0}};
        unsigned which, n = 1 + rng_below(&rng, 2);
        for (unsigned i = 0; i < n; i++)
            s[i] = random_service(&r, &rng, 40);
        REQUIRE(serve_fewest(r.pack, r.table, s, n, plan, &which, NULL) == 0);
        uint32_t best = all_ways(&r, s, n, &none, s[0].rate, 0);
        check_plan(&r, s, n, plan);
        check_proof(&r, s, n, plan);
        CHECK_INT(plan->bound, <=, best);
        CHECK_INT(plan->gpus, ==, best);
        proved += plan->optimal;
    }
    printf("# %u of 150 proved\n", proved);
    CHECK_INT(proved, >, 120);
    free(plan);
    rig_done(&r);
}

TEST(larger_plans_hold_and_prove_what_they_say)
{
    struct rig r = rig_new("a100-80");
    struct rng rng = {seed};
    struct serve_plan *plan = malloc(sizeof *plan);
    unsigned proved = 0;
    for (unsigned turn = 0; turn < 60; turn++) {
        struct serve_service s[SERVE_MAX];
        unsigned which, n = 1 + rng_below(&rng, SERVE_MAX);
        for (unsigned i = 0; i < n; i++)
            s[i] = random_service(&r, &rng, turn % 2 ? 50 : 3000);
        REQUIRE(serve_fewest(r.pack, r.table, s, n, plan, &which, NULL) == 0);
        check_plan(&r, s, n, plan);
        CHECK_INT(plan->bound, <=, plan->gpus);
        CHECK_INT(plan->gpus, <=, plan->bound + 1);
        proved += plan->optimal;
    }
    printf("# %u of 60 proved\n", proved);
    CHECK_INT(proved, >, 50);
    free(plan);
    rig_done(&r);
}

TEST(covers_are_the_cheapest_there_are)
{
    struct rng rng = {seed};
    struct cover_list *list = malloc(sizeof *list);
    for (unsigned turn = 0; turn < 300; turn++) {
        double amounts[3], prices[3], need = 1 + rng_below(&rng, 30);
        unsigned n = 1 + rng_below(&rng, 3);
        for (unsigned k = 0; k < n; k++) {
            amounts[k] = 3 + rng_below(&rng, 9);
            prices[k] = (1 + rng_below(&rng, 20)) / 7.0;
        }
        cover_find(amounts, prices, n, need, 5, list);
        REQUIRE(list->n > 0);
        CHECK(fabs(list->at[0].price - by_trying(amounts, prices, n, need)) < 1e-9);
        CHECK(list->bound <= list->at[0].price + 1e-9);
        for (unsigned i = 0; i < list->n; i++) {
            double sum = 0, price = 0;
            for (unsigned k = 0; k < n; k++) {
                sum += list->at[i].n[k] * amounts[k];
                price += list->at[i].n[k] * prices[k];
            }
            CHECK(sum >= need - 1e-6);
            CHECK(fabs(price - list->at[i].price) < 1e-9);
            CHECK(i == 0 || list->at[i - 1].price <= list->at[i].price);
        }
    }
    cover_find((double[]){0}, (double[]){1}, 1, 5, 3, list);
    CHECK_INT(list->n, ==, 0);
    free(list);
}

TEST(what_cannot_be_served_is_named)
{
    struct rig r = rig_new("a100-80");
    struct serve_plan *plan = malloc(sizeof *plan);
    struct serve_service s[2] = {{.rate = 5}, {.rate = 5}};
    struct error err;
    unsigned which = 9;
    s[0].per_slice[board_profile_by_name(r.board, "7g.80gb")] = 1;
    CHECK_INT(serve_fewest(r.pack, r.table, s, 2, plan, &which, &err), ==, -ERROR_NEVER);
    CHECK_INT(which, ==, 1);
    CHECK_INT(serve_fewest(r.pack, r.table, s, 1, plan, &which, &err), ==, 0);
    CHECK_INT(plan->gpus, ==, 5);
    CHECK_INT(serve_fewest(r.pack, r.table, s, 0, plan, &which, &err), ==, 0);
    CHECK_INT(plan->gpus, ==, 0);
    free(plan);
    rig_done(&r);
}

TAP_MAIN
