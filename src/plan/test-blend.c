/* Plans over GPUs that are not alike, against trying everything, and their proofs against
 * arithmetic. */
#include "plan/blend.h"

#include "base/macro.h"
#include "base/rng.h"
#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t seed = 11;
enum { PIECES = 3 };

/* Two or three kinds of one or two GPUs, a few columns each, one or two services. */
static void random_blend(struct rng *rng, struct blend *b)
{
    memset(b, 0, sizeof *b);
    b->kind_n = 2 + rng_below(rng, 2);
    b->piece_n = PIECES;
    b->n = 1 + rng_below(rng, 2);
    b->new_cost = rng_below(rng, 3) > 0;
    for (unsigned p = 0; p < PIECES; p++) {
        b->size[p] = 0.2 * (p + 1);
        b->board[p] = (uint8_t)(p / 2);
    }
    for (unsigned k = 0; k < b->kind_n; k++) {
        b->kinds[k] =
            (struct blend_kind){.count = 1 + rng_below(rng, 2), .free = rng_below(rng, 4) == 0};
        for (unsigned i = 0; i < 3; i++) {
            struct blend_column c = {.kind = (uint8_t)k, .cost = (uint16_t)rng_below(rng, 4)};
            for (unsigned p = 0; p < PIECES; p++) {
                c.n[p] = (uint8_t)rng_below(rng, 4);
                c.kept[p] = (uint8_t)rng_below(rng, c.n[p] + 1u);
            }
            CHECK(blend_add(b, &c));
        }
    }
    for (unsigned s = 0; s < b->n; s++) {
        b->rate[s] = 5 + rng_below(rng, 80);
        for (unsigned p = 0; p < PIECES; p++)
            b->amounts[s][p] = rng_below(rng, 5) ? (p + 1) * (3.0 + rng_below(rng, 6)) : 0;
    }
}

struct trying {
    const struct blend *b;
    uint32_t times[BLEND_COLUMNS], left[BLEND_KINDS];
    uint32_t held[PIECES], kept[PIECES], used[PIECES];
    uint32_t gpus, cost;
    uint32_t best_gpus, best_cost;
};

/* All ways to serve service s and those after it out of what is held. */
static void try_pieces(struct trying *t, unsigned s, unsigned p, double rest)
{
    if (s < t->b->n && rest > 1e-9) {
        if (p == PIECES)
            return;
        uint32_t before = t->used[p];
        for (uint32_t n = 0; before + n <= t->held[p]; n++) {
            t->used[p] = before + n;
            try_pieces(t, s, p + 1, rest - n * t->b->amounts[s][p]);
            if (rest - n * t->b->amounts[s][p] <= 1e-9)
                break;
        }
        t->used[p] = before;
        return;
    }
    if (s + 1 < t->b->n) {
        try_pieces(t, s + 1, 0, t->b->rate[s + 1]);
        return;
    }
    uint32_t cost = t->cost;
    for (unsigned i = 0; i < PIECES; i++)
        cost += t->b->new_cost * (t->used[i] > t->kept[i] ? t->used[i] - t->kept[i] : 0);
    if (t->gpus < t->best_gpus || (t->gpus == t->best_gpus && cost < t->best_cost)) {
        t->best_gpus = t->gpus;
        t->best_cost = cost;
    }
}

static void try_columns(struct trying *t, unsigned j)
{
    if (t->gpus > t->best_gpus)
        return;
    if (j == t->b->column_n) {
        try_pieces(t, 0, 0, t->b->rate[0]);
        return;
    }
    const struct blend_column *c = &t->b->columns[j];
    struct trying before = *t;
    for (uint32_t n = 0;; n++) {
        try_columns(t, j + 1);
        if (t->left[c->kind] == 0)
            break;
        t->left[c->kind]--;
        t->gpus += !t->b->kinds[c->kind].free;
        t->cost += c->cost;
        for (unsigned p = 0; p < PIECES; p++) {
            t->held[p] += c->n[p];
            t->kept[p] += c->kept[p];
        }
    }
    uint32_t gpus = t->best_gpus, cost = t->best_cost;
    *t = before;
    t->best_gpus = gpus;
    t->best_cost = cost;
}

/* The plan does what it says, at the costs it says. */
static void check_plan(const struct blend *b, const struct blend_plan *plan)
{
    uint32_t used[PIECES] = {0}, held[PIECES] = {0}, kept[PIECES] = {0}, of[BLEND_KINDS] = {0};
    uint32_t gpus = 0, cost = 0;
    for (unsigned j = 0; j < b->column_n; j++) {
        const struct blend_column *c = &b->columns[j];
        of[c->kind] += plan->times[j];
        gpus += plan->times[j] * !b->kinds[c->kind].free;
        cost += plan->times[j] * c->cost;
        for (unsigned p = 0; p < PIECES; p++) {
            held[p] += plan->times[j] * c->n[p];
            kept[p] += plan->times[j] * c->kept[p];
        }
    }
    for (unsigned k = 0; k < b->kind_n; k++)
        CHECK_INT(of[k], <=, b->kinds[k].count);
    for (unsigned s = 0; s < b->n; s++) {
        double served = 0;
        for (unsigned p = 0; p < PIECES; p++) {
            served += plan->pieces[s][p] * b->amounts[s][p];
            used[p] += plan->pieces[s][p];
        }
        CHECK(served >= b->rate[s] * (1 - 1e-6));
    }
    for (unsigned p = 0; p < PIECES; p++) {
        CHECK_INT(used[p], <=, held[p]);
        cost += b->new_cost * (used[p] > kept[p] ? used[p] - kept[p] : 0);
    }
    CHECK_INT(gpus, ==, plan->gpus);
    CHECK_INT(cost, ==, plan->second);
}

static void check_proof(const struct blend *b, const struct blend_plan *plan)
{
    const struct blend_proof *proof = &plan->proof;
    double sum = 0;
    for (unsigned j = 0; j < b->column_n; j++) {
        const struct blend_column *c = &b->columns[j];
        double worth = 0;
        for (unsigned p = 0; p < PIECES; p++)
            worth += proof->price[p] * c->n[p];
        CHECK(worth <= !b->kinds[c->kind].free + proof->rent[c->kind] + 1e-6);
    }
    for (unsigned s = 0; s < b->n; s++)
        sum += proof->least[s];
    for (unsigned k = 0; k < b->kind_n; k++)
        sum -= proof->rent[k] * b->kinds[k].count;
    CHECK(fabs(sum - proof->sum) < 1e-6);
}

TEST(any_fleet_is_planned_as_well_as_by_trying_everything)
{
    struct rng rng = {seed};
    struct blend *b = malloc(sizeof *b);
    struct blend_plan *plan = malloc(sizeof *plan);
    unsigned rounds = getenv("FETTA_DEEP") ? 3000 : 300, open = 0, short_ = 0, by_search = 0;
    for (unsigned i = 0; i < rounds; i++) {
        random_blend(&rng, b);
        struct trying t = {.b = b, .best_gpus = 1000, .best_cost = 1000};
        for (unsigned k = 0; k < b->kind_n; k++)
            t.left[k] = b->kinds[k].count;
        try_columns(&t, 0);
        CHECK_INT(blend_solve(b, plan, NULL), ==, 0);
        CHECK_INT(plan->fits, ==, t.best_gpus < 1000);
        check_proof(b, plan);
        short_ += !plan->fits;
        open += !plan->optimal || (plan->fits && !plan->least);
        by_search += plan->searched;
        if (!plan->fits)
            continue;
        check_plan(b, plan);
        CHECK_INT(plan->bound, <=, t.best_gpus);
        CHECK_INT(t.best_gpus, <=, plan->gpus);
        if (plan->optimal)
            CHECK_INT(plan->gpus, ==, t.best_gpus);
        if (plan->gpus > t.best_gpus)
            continue;
        CHECK_INT(plan->second_bound, <=, t.best_cost);
        CHECK_INT(t.best_cost, <=, plan->second);
        if (plan->least)
            CHECK_INT(plan->second, ==, t.best_cost);
    }
    printf("# seed %llu: %u fleets, %u too small, %u open, %u decided by search\n",
           (unsigned long long)seed, rounds, short_, open, by_search);
    CHECK_INT(open * 50, <=, rounds);
    CHECK_INT(by_search, >, 0);
    CHECK_INT(short_, >, 0);
    free(b);
    free(plan);
}

TEST(columns_that_are_no_better_are_left_out)
{
    struct blend *b = calloc(1, sizeof *b);
    struct blend_column c = {.n = {2, 1}, .cost = 2};
    CHECK(blend_add(b, &c));
    CHECK(blend_add(b, &(struct blend_column){.n = {2, 0}, .cost = 2}));
    CHECK_INT(b->column_n, ==, 1);
    CHECK(blend_add(b, &(struct blend_column){.n = {2, 0}, .cost = 1}));
    CHECK(blend_add(b, &(struct blend_column){.n = {1, 0}, .kind = 1}));
    CHECK_INT(b->column_n, ==, 3);
    CHECK(blend_add(b, &(struct blend_column){.n = {2, 1}, .cost = 1}));
    CHECK_INT(b->column_n, ==, 2);
    free(b);
}

TAP_MAIN
