/* What is counted where, and that months add up to the year they are part of. */
#include "base/rng.h"
#include "tests/tap.h"
#include "usage/usage.h"

#include <math.h>

#define H (INT64_C(3600) * 1000000000)

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

/* A lease of one 3g.40gb from hour `started` to `ended`. */
static struct usage_row row(const char *who, double asked, double started, double ended)
{
    return (struct usage_row){.who = who,
                              .asked = (int64_t)(asked * (double)H),
                              .started = (int64_t)(started * (double)H),
                              .ended = (int64_t)(ended * (double)H),
                              .why = "done",
                              .slices = 1,
                              .compute = 3,
                              .gpus = 3.0 / 7,
                              .bytes = 40,
                              .slice_bytes = 40};
}

static void add(struct usage *r, struct usage_row one)
{
    struct error err;
    CHECK_INT(usage_add(r, &one, &err), ==, 0);
}

TEST(a_lease_over_the_boundary_counts_the_part_inside)
{
    struct usage r;
    usage_init(&r, 100 * H, 200 * H, 500 * H);
    add(&r, row("a", 89, 90, 110));   /* began before: 10 inside */
    add(&r, row("a", 190, 195, 210)); /* ends after: 5 inside */
    add(&r, row("a", 50, 60, 400));   /* all of it: 100 */
    add(&r, row("a", 150, 160, 0));   /* still lives: 40 */
    add(&r, row("b", 10, 20, 30));    /* not in it */
    add(&r, row("b", 300, 310, 320)); /* neither */
    usage_close(&r);
    CHECK_INT(r.n, ==, 1);
    CHECK_INT(r.sums[0].held, ==, 4);
    CHECK(near(r.sums[0].slice_h, 155) && near(r.sums[0].compute_h, 465));
    CHECK_INT(r.sums[0].asked, ==, 2);
    CHECK_INT(r.sums[0].end_n, ==, 1);
    CHECK_INT(r.sums[0].ends[0].n, ==, 1);
    CHECK(near(usage_hours(&r), 100));
    usage_done(&r);
}

TEST(what_lies_ahead_is_not_there_yet)
{
    struct usage r;
    usage_init(&r, 100 * H, 200 * H, 150 * H);
    add(&r, row("a", 100, 100, 0));
    usage_close(&r);
    CHECK(near(r.all.slice_h, 50) && near(usage_hours(&r), 50));
    usage_done(&r);
}

TEST(waits_and_refusals)
{
    struct usage r;
    usage_init(&r, 1 * H, 1000 * H, 1000 * H);
    for (int i = 1; i <= 20; i++)
        add(&r, row("a", 10, 10 + i, 40));
    struct usage_row left = row("a", 10, 0, 30), waits = row("a", 10, 0, 0);
    left.why = "gave-up";
    add(&r, left);
    add(&r, waits);
    usage_close(&r);
    const struct usage_sum *s = &r.sums[0];
    CHECK_INT(s->asked, ==, 22);
    CHECK_INT(s->granted, ==, 20);
    CHECK_INT(s->refused, ==, 1);
    CHECK_INT(usage_wait_mean(s), ==, 10 * H + H / 2);
    CHECK_INT(usage_wait_percent(s, 95), ==, 19 * H);
    CHECK_INT(usage_wait_percent(s, 100), ==, 20 * H);
    CHECK_INT(usage_wait_percent(s, 1), ==, 1 * H);
    CHECK_INT(s->end_n, ==, 2);
    CHECK_STR(s->ends[0].why, "done");
    CHECK_STR(s->ends[1].why, "gave-up");
    usage_done(&r);
}

TEST(nobody_asked)
{
    struct usage r;
    usage_init(&r, 0, H, H);
    usage_close(&r);
    CHECK_INT(r.n, ==, 0);
    CHECK_INT(usage_wait_mean(&r.all), ==, 0);
    CHECK_INT(usage_wait_percent(&r.all, 95), ==, 0);
    CHECK(usage_peak_part(&r.all) < 0);
    usage_done(&r);
}

/* Two 3g.40gb that used a quarter of theirs for ten hours; beside them one whose peak is unknown.
 */
TEST(what_would_have_fitted)
{
    struct usage r;
    usage_init(&r, 1 * H, 1000 * H, 1000 * H);
    struct usage_row two = row("a", 10, 10, 20);
    two.slices = 2;
    two.compute = 6;
    two.bytes = 80;
    two.peak = 10;
    two.fits = "1g.20gb";
    two.fits_compute = 1;
    two.fits_bytes = 20;
    add(&r, two);
    add(&r, row("b", 10, 10, 20));
    struct usage_row full = row("a", 10, 10, 20);
    full.peak = 30;
    full.fits = "";
    add(&r, full);
    usage_close(&r);
    CHECK_INT(r.fit_n, ==, 1);
    CHECK_STR(r.fits[0].profile, "1g.20gb");
    CHECK_INT(r.fits[0].spare.leases, ==, 1);
    CHECK(near(r.fits[0].spare.compute_h, 40) && near(r.fits[0].spare.byte_h, 400));
    CHECK_INT(r.all.held, ==, 3);
    CHECK_INT(r.all.seen, ==, 2);
    CHECK(near(usage_peak_part(&r.all), (10.0 * 2 + 30) / (40 * 2 + 40)));
    CHECK_STR(r.sums[0].who, "a"); /* most GPU hours first */
    CHECK(usage_peak_part(&r.sums[1]) < 0);
    usage_done(&r);
}

enum { PARTS = 5, LEASES = 300 };

/* Any lease: waiting, refused, running or over. */
static struct usage_row any(struct rng *rng)
{
    static const char *const whos[] = {"a", "b", "c"};
    double asked = rng_below(rng, 700), started = asked + rng_below(rng, 50) + 1;
    double ended = started + rng_below(rng, 200);
    bool starts = rng_below(rng, 10) > 0, ends = rng_below(rng, 10) > 0;
    return row(whos[rng_below(rng, 3)], asked, starts ? started : 0, ends ? ended : 0);
}

static void sum_up(const struct usage_sum *s, struct usage_sum *all)
{
    all->asked += s->asked;
    all->granted += s->granted;
    all->refused += s->refused;
    all->gpu_h += s->gpu_h;
    all->ends[0].n += s->ends[0].n;
}

static bool equal(const struct usage_sum *a, const struct usage_sum *b)
{
    return a->asked == b->asked && a->granted == b->granted && a->refused == b->refused &&
           a->ends[0].n == b->ends[0].n && near(a->gpu_h, b->gpu_h);
}

static void check_parts(uint64_t seed)
{
    struct rng rng = {seed};
    struct usage parts[PARTS], whole;
    int64_t from = 100 * H, at = from;
    for (int i = 0; i < PARTS; i++) {
        int64_t to = at + (int64_t)rng_below(&rng, 100) * H + 1;
        usage_init(&parts[i], at, to, 10000 * H);
        at = to;
    }
    usage_init(&whole, from, at, 10000 * H);
    for (int i = 0; i < LEASES; i++) {
        struct usage_row one = any(&rng);
        add(&whole, one);
        for (int p = 0; p < PARTS; p++)
            add(&parts[p], one);
    }
    struct usage_sum times = {0}, people = {0};
    for (int p = 0; p < PARTS; p++) {
        sum_up(&parts[p].all, &times);
        usage_done(&parts[p]);
    }
    for (size_t i = 0; i < whole.n; i++)
        sum_up(&whole.sums[i], &people);
    bool sound = equal(&times, &whole.all) && equal(&people, &whole.all);
    if (!sound)
        printf("# seed %" PRIu64 "\n", seed);
    CHECK(sound);
    usage_done(&whole);
}

/* The parts of a time add up to the whole of it, and users to everybody. */
TEST(parts_add_up)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        check_parts(seed);
}

TAP_MAIN
