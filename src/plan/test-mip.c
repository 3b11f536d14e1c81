/* The integer programs against trying everything, and their proofs against arithmetic. */
#include "plan/mip.h"

#include "base/rng.h"
#include "tests/tap.h"

#include <math.h>

enum { ROWS = 4, COLS = 5, MOST = 7 };

struct small {
    double a[ROWS * COLS], b[ROWS], c[COLS];
    struct mip m;
};

/* The least cost over all x of 0..MOST, HUGE_VAL if none holds. */
static double by_trying(const struct mip *m, unsigned j, double *x)
{
    double best = HUGE_VAL;
    if (j == m->cols) {
        double cost = 0;
        for (unsigned k = 0; k < m->cols; k++)
            cost += m->c[k] * x[k];
        return mip_holds(m, x) ? cost : HUGE_VAL;
    }
    for (x[j] = 0; x[j] <= MOST; x[j]++)
        best = fmin(best, by_trying(m, j + 1, x));
    return best;
}

/* A covering program whose rows may also take away, with demands that MOST of everything meets. */
static void random_program(struct small *p, struct rng *r)
{
    unsigned rows = 1 + rng_below(r, ROWS), cols = 1 + rng_below(r, COLS);
    for (unsigned j = 0; j < cols; j++)
        p->c[j] = rng_below(r, 4);
    for (unsigned i = 0; i < rows; i++) {
        for (unsigned j = 0; j < cols; j++)
            p->a[i * cols + j] = (double)rng_below(r, 6) - (rng_below(r, 3) == 0 ? 3 : 0);
        p->b[i] = rng_below(r, 12);
    }
    p->m = (struct mip){
        .rows = rows, .cols = cols, .a = p->a, .b = p->b, .c = p->c, .whole_cost = true};
}

TEST(the_answer_is_the_best_of_all)
{
    uint64_t seed = 20;
    struct rng r = {seed};
    struct mip_result *out = malloc(sizeof *out);
    unsigned solved = 0, impossible = 0;
    printf("# seed %llu\n", (unsigned long long)seed);
    for (unsigned turn = 0; turn < 400; turn++) {
        struct small p;
        double x[COLS] = {0};
        random_program(&p, &r);
        p.m.node_max = 20000;
        REQUIRE(mip_solve(&p.m, out, NULL) == 0);
        double best = by_trying(&p.m, 0, x);
        CHECK(out->bound <= best + 1e-6);
        if (out->state == MIP_OPTIMAL) {
            CHECK(mip_holds(&p.m, out->x));
            CHECK(out->cost <= best + 1e-6);
            CHECK(fabs(mip_bound(&p.m, out->price) - out->relax) < 1e-9);
            solved++;
        } else if (out->state == MIP_INFEASIBLE) {
            CHECK(isinf(best));
            impossible++;
        }
    }
    printf("# %u solved, %u impossible\n", solved, impossible);
    CHECK_INT(solved, >, 250);
    CHECK_INT(impossible, >, 20);
    free(out);
}

TEST(bad_programs_are_refused)
{
    double a[] = {1}, b[] = {1}, c[] = {-1};
    struct mip m = {.rows = 1, .cols = 1, .a = a, .b = b, .c = c};
    struct mip_result *out = malloc(sizeof *out);
    CHECK_INT(mip_solve(&m, out, NULL), ==, -ERROR_INVALID);
    m.cols = MIP_COLS + 1;
    CHECK_INT(mip_solve(&m, out, NULL), ==, -ERROR_INVALID);
    free(out);
}

TEST(a_hint_spares_what_is_no_better)
{
    double a[] = {2}, b[] = {5}, c[] = {1};
    struct mip m = {.rows = 1, .cols = 1, .a = a, .b = b, .c = c, .whole_cost = true, .hint = 3};
    struct mip_result *out = malloc(sizeof *out);
    CHECK_INT(mip_solve(&m, out, NULL), ==, 0);
    CHECK_INT(out->state, ==, MIP_UNKNOWN);
    m.hint = 4;
    CHECK_INT(mip_solve(&m, out, NULL), ==, 0);
    CHECK_INT(out->state, ==, MIP_OPTIMAL);
    CHECK_INT((int)out->cost, ==, 3);
    free(out);
}

TAP_MAIN
