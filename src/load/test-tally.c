/* Quantiles are within the promised 0.4 % of those of the numbers themselves. */
#include "load/tally.h"

#include "base/rng.h"
#include "tests/tap.h"

enum { SAMPLES = 20000 };

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

TEST(quantiles_agree_with_sorting)
{
    static int64_t all[SAMPLES];
    static struct tally t;
    struct rng r = {42};
    double sum = 0;
    printf("# seed 42\n");
    for (unsigned i = 0; i < SAMPLES; i++) {
        all[i] = (int64_t)(rng_next(&r) >> (24 + rng_below(&r, 39)));
        sum += (double)all[i];
        tally_add(&t, all[i]);
    }
    qsort(all, SAMPLES, sizeof *all, compare);
    for (unsigned percent = 1; percent < 100; percent++) {
        double want = (double)all[SAMPLES * percent / 100 - 1];
        double got = tally_quantile(&t, percent / 100.0);
        if (got < want * 0.996 - 1 || got > want * 1.004 + 1)
            TAP_FAIL("p%u is %.0f, not %.0f", percent, got, want);
    }
    CHECK(tally_mean(&t) == sum / SAMPLES);
    CHECK(tally_quantile(&t, 1) == (double)t.most);
}

TEST(an_empty_tally_is_zero)
{
    static struct tally t;
    CHECK(tally_mean(&t) == 0);
    CHECK(tally_quantile(&t, 0.5) == 0);
    tally_add(&t, INT64_MAX);
    CHECK(t.n == 1);
}

TAP_MAIN
