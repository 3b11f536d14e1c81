/* The forms know their anchors, never turn round, and find back a truth that is of their kind. */
#include "share/share.h"

#include "base/macro.h"
#include "base/rng.h"
#include "tests/tap.h"

#include <math.h>

enum { SIZES = 8 };

static const unsigned seed = 7;

static double draw(struct rng *r, double from, double to)
{
    return from + (to - from) * rng_below(r, 1u << 20) / (1u << 20);
}

/* A step whose work fills devices as real ones do: time = (host^p + (work / min(k,
 * work))...)^(1/p), a smooth maximum of a floor and of the work a device of that strength does. */
struct truth {
    double host, each, p;
};

static double truth_time(const struct truth *t, double work, double k)
{
    return pow(pow(t->host, t->p) + pow(t->each * work / k, t->p), 1 / t->p);
}

static unsigned curve_of(const struct truth *t, double strong, struct share_point points[SIZES])
{
    for (unsigned i = 0; i < SIZES; i++)
        points[i] = (struct share_point){1u << i, truth_time(t, 1u << i, 1),
                                         truth_time(t, 1u << i, strong)};
    return SIZES;
}

TEST(anchors)
{
    struct rng r = {seed};
    for (unsigned i = 0; i < 1000; i++) {
        double weak = draw(&r, 1, 100), strong = draw(&r, 0.1, 1) * weak, k = draw(&r, 2, 10);
        struct share_point p = {8, weak, strong};
        CHECK(fabs(share_time(&share_house, &p, 1, 0, 1, k) - weak) < 1e-9 * weak);
        CHECK(fabs(share_time(&share_house, &p, 1, 0, k, k) - strong) < 1e-6 * strong);
    }
}

/* A stronger slice is never slower, and none is quicker than the whole or slower than the weakest.
 */
TEST(monotone)
{
    struct rng r = {seed};
    unsigned bad = 0;
    for (unsigned i = 0; i < 500; i++) {
        struct truth t = {draw(&r, 0, 20), draw(&r, 0.1, 5), draw(&r, 1, 8)};
        struct share_point points[SIZES];
        unsigned n = curve_of(&t, 7.5, points), at = rng_below(&r, n);
        /* Measurements are never smooth. */
        for (unsigned m = 0; m < n; m++)
            points[m].weak *= draw(&r, 0.8, 1.2);
        double before = INFINITY;
        struct share_point one = points[at];
        for (double k = 1; k <= 7.5 && one.weak > one.strong; k += 0.05) {
            double now = share_time(&share_house, points, n, at, k, 7.5);
            bad += now > before * (1 + 1e-9);
            bad += now > one.weak * (1 + 1e-9) || now < one.strong * (1 - 1e-9);
            before = now;
        }
    }
    CHECK_INT(bad, ==, 0);
}

/* Known truths, also of other exponents than the house's: what is predicted between the two devices
 * that are known is near, and other sizes of step make it nearer. */
TEST(known_truth)
{
    struct rng r = {seed};
    double alone = 0, with = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < 500; i++) {
        struct truth t = {draw(&r, 1, 20), draw(&r, 0.1, 5), draw(&r, 1.5, 8)};
        struct share_point points[SIZES];
        unsigned size = curve_of(&t, 7.5, points), at = 2 + rng_below(&r, 4);
        for (double k = 2; k < 5; k++) {
            double true_time = truth_time(&t, points[at].work, k);
            double a = share_time(&share_house, &points[at], 1, 0, k, 7.5);
            double b = share_time(&share_house, points, size, at, k, 7.5);
            alone += fabs(a / true_time - 1);
            with += fabs(b / true_time - 1);
            n++;
        }
    }
    printf("# seed %u: mean error %.2f %% from two points, %.2f %% with other sizes\n", seed,
           100 * alone / n, 100 * with / n);
    CHECK(alone / n < 0.05);
    CHECK(with < alone);
    /* Where the truth is of the form's own kind nothing is left. */
    struct truth own = {10, 2, share_house.bend};
    struct share_point p = {16, truth_time(&own, 16, 1), truth_time(&own, 16, 7.5)};
    double found = share_curve(own.p, 1, p.weak, 7.5, p.strong, 3);
    CHECK(fabs(found / truth_time(&own, 16, 3) - 1) < 1e-9);
    CHECK(fabs(share_time(&share_house, &p, 1, 0, 3, 7.5) / found - 1) < 0.01);
}

/* Neighbours never speed anybody up; together they are never quicker than the device. */
TEST(neighbours)
{
    struct rng r = {seed};
    for (unsigned i = 0; i < 1000; i++) {
        double alone = draw(&r, 1, 100), device = draw(&r, 0, 1) * alone, before = 0;
        CHECK(fabs(share_mps(alone, device, 1) - alone) < 1e-9 * alone);
        for (unsigned n = 1; n < 12; n++) {
            double now = share_mps(alone, device, n), turns = share_turns(alone, n, 1);
            CHECK(now >= before && now >= alone);
            CHECK(now >= device * n * (1 - 1e-9));
            CHECK(now <= turns * (1 + 1e-9));
            before = now;
        }
    }
    CHECK(share_turns(5, 1, 1.1) == 5 && share_turns(5, 3, 1.1) > 15);
    CHECK(share_together(0.7) == 1 && share_together(2) == 0.5);
    CHECK(share_device(10, 40, 8) == 5 && share_device(10, 400, 8) == 10);
}

TAP_MAIN
