/* The machine's clock, and the durations that are drawn on it. */
#include "emul/clock.h"

#include "base/time.h"
#include "emul/latency.h"
#include "tests/tap.h"

TEST(words)
{
    struct clock c;
    struct error err;
    REQUIRE(clock_parse("real", &c, &err) == 0 && c.kind == CLOCK_KIND_REAL);
    REQUIRE(clock_parse("virtual", &c, &err) == 0 && c.kind == CLOCK_KIND_VIRTUAL);
    REQUIRE(clock_parse("x60", &c, &err) == 0 && c.kind == CLOCK_KIND_SCALED && c.factor == 60);
    static const char *const bad[] = {"",         "x",    "x0",   "x-1", "60",
                                      "x1000001", "x2.5", "fast", "x 2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(clock_parse(bad[i], &c, &err) < 0);
        CHECK_HAS(err.text, "real, virtual");
    }
}

TEST(scaled)
{
    struct clock c;
    struct error err;
    REQUIRE(clock_parse("x60", &c, &err) == 0);
    clock_start(&c, 100 * TIME_S);
    CHECK_INT(clock_at(&c, 100 * TIME_S), ==, 100 * TIME_S);
    CHECK_INT(clock_at(&c, 101 * TIME_S), ==, 160 * TIME_S);
    CHECK_INT(clock_at(&c, 99 * TIME_S), ==, 100 * TIME_S);
    CHECK_INT(clock_until(&c, 100 * TIME_S, 160 * TIME_S), ==, TIME_S);
    CHECK_INT(clock_until(&c, 100 * TIME_S, 100 * TIME_S + 1), ==, 1);
    CHECK_INT(clock_until(&c, 101 * TIME_S, 100 * TIME_S), ==, 0);
    CHECK(clock_until(&c, 101 * TIME_S, TIME_NEVER) == TIME_NEVER);
    clock_advance(&c, TIME_HOUR);
    CHECK_INT(clock_at(&c, 101 * TIME_S), ==, 160 * TIME_S + TIME_HOUR);
    clock_advance(&c, INT64_MAX);
    CHECK(clock_at(&c, 200 * TIME_S) < TIME_NEVER);
}

static int below(const struct latency *l, int64_t ns, unsigned n)
{
    struct rng r = {7};
    int count = 0;
    for (unsigned i = 0; i < n; i++)
        count += latency_draw(l, &r) < ns;
    return count;
}

/* Within four standard deviations of what the distribution promises. */
TEST(distributions)
{
    struct latency fixed = {.kind = LATENCY_FIXED, .a = 5};
    CHECK_INT(below(&fixed, 6, 100), ==, 100);
    CHECK_INT(below(&fixed, 5, 100), ==, 0);
    struct latency uniform = {.kind = LATENCY_UNIFORM, .a = 1000000, .b = 3000000};
    CHECK_INT(below(&uniform, 1000000, 10000), ==, 0);
    CHECK_INT(below(&uniform, 3000000, 10000), ==, 10000);
    int half = below(&uniform, 2000000, 10000);
    CHECK(half > 4800 && half < 5200);
    struct latency exponential = {.kind = LATENCY_EXPONENTIAL, .a = 1000000};
    int mean = below(&exponential, 1000000, 10000); /* 1 - 1/e */
    CHECK(mean > 6121 && mean < 6521);
    struct latency lognormal = {.kind = LATENCY_LOGNORMAL, .a = 10 * TIME_MS, .b = 80 * TIME_MS};
    int median = below(&lognormal, 10 * TIME_MS, 10000);
    int tail = below(&lognormal, 80 * TIME_MS, 10000);
    CHECK(median > 4800 && median < 5200);
    CHECK(tail > 9860 && tail < 9940);
    CHECK(latency_valid(&lognormal) && latency_valid(&uniform));
    lognormal.b = 1;
    CHECK(!latency_valid(&lognormal));
    CHECK(!latency_valid(&(struct latency){.kind = 9}));
    CHECK(!latency_valid(&(struct latency){.a = -1}));
}

TEST(every_operation_says_where_its_figure_is_from)
{
    const struct board *a30 = board_find("a30"), *a100 = board_find("a100-80");
    const struct board *h100 = board_find("h100-sxm");
    unsigned n;
    const struct board *all = board_all(&n);
    for (unsigned i = 0; i < n; i++)
        for (unsigned op = 0; op < LATENCY_OPS; op++) {
            const char *source = NULL;
            struct latency l = latency_board(&all[i], op, &source);
            CHECK(latency_valid(&l) && l.a > 0);
            CHECK(latency_op_name(op)[0] && strstr(source, "assumed"));
        }
    CHECK(latency_board(a100, LATENCY_MODE, NULL).a > latency_board(h100, LATENCY_MODE, NULL).a);
    CHECK_INT(latency_board(a30, LATENCY_MODE, NULL).a, ==,
              latency_board(a100, LATENCY_MODE, NULL).a);
    CHECK_INT(latency_board(a30, LATENCY_GI_CREATE, NULL).a +
                  latency_board(a30, LATENCY_CI_CREATE, NULL).a,
              ==, 160 * TIME_MS);
    CHECK_INT(latency_board(a100, LATENCY_GI_CREATE, NULL).a, ==,
              latency_board(h100, LATENCY_GI_CREATE, NULL).a);
}

TAP_MAIN
