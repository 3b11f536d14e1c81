/* Axes and charts by their values; and with --page SEED a page of whatever can be thrown at a
 * chart, which tests/cli/test-page.py reads with a strict parser. */
#include "draw/axis.h"
#include "draw/figure.h"

#include "base/rng.h"
#include "tests/tap.h"

#include <math.h>

TEST(places_are_on_the_axis_and_in_order)
{
    const enum chart_scale scales[] = {CHART_LINEAR, CHART_TIME, CHART_LOG, CHART_LOG_TIME,
                                       CHART_NINES};
    struct rng rng = {7};
    printf("# seed 7\n");
    for (unsigned i = 0; i < 20000; i++) {
        struct chart_axis a = {.scale = scales[i % 5]};
        struct axis_tick ticks[AXIS_TICKS];
        a.low = exp((double)rng_below(&rng, 30000) / 1000 - 15);
        a.high = a.low * exp((double)rng_below(&rng, 20000) / 1000);
        axis_round(&a);
        REQUIRE(a.high > a.low && isfinite(a.high) && isfinite(a.low));
        CHECK(axis_place(&a, a.low) == 0 && axis_place(&a, a.high) == 1);
        CHECK(axis_place(&a, -1) == 0 && axis_place(&a, INFINITY) == 1);
        unsigned n = axis_ticks(&a, 5, ticks);
        CHECK_INT(n, >=, 2);
        for (unsigned k = 0; k < n; k++) {
            CHECK(ticks[k].at >= a.low * 0.999999 && ticks[k].at <= a.high * 1.000001);
            CHECK(k == 0 || axis_place(&a, ticks[k].at) > axis_place(&a, ticks[k - 1].at));
            CHECK(k == 0 || strcmp(ticks[k].label, ticks[k - 1].label) != 0);
        }
        if (tap_failed) {
            printf("# scale %d from %g to %g has %u ticks\n", a.scale, a.low, a.high, n);
            return;
        }
    }
}

static void labels(struct chart_axis a, unsigned want, const char *expected)
{
    struct axis_tick ticks[AXIS_TICKS];
    AUTO_STR struct str out = {0};
    unsigned n = axis_ticks(&a, want, ticks);
    for (unsigned i = 0; i < n; i++)
        str_addf(&out, "%s%s", i ? ", " : "", ticks[i].label);
    CHECK_STR(out.text, expected);
}

TEST(ticks_are_round_in_the_unit_of_the_axis)
{
    labels((struct chart_axis){.scale = CHART_LINEAR, .high = 100}, 5, "0, 20, 40, 60, 80, 100");
    labels((struct chart_axis){.scale = CHART_TIME, .high = 7200}, 8,
           "0, 15 min, 30 min, 45 min, 60 min, 75 min, 90 min, 105 min, 120 min");
    labels((struct chart_axis){.scale = CHART_TIME, .high = 90000}, 8, "0, 6 h, 12 h, 18 h, 24 h");
    labels((struct chart_axis){.scale = CHART_TIME, .high = 864000}, 8,
           "0, 2 d, 4 d, 6 d, 8 d, 10 d");
    labels((struct chart_axis){.scale = CHART_LOG, .low = 3, .high = 300}, 8,
           "5, 10, 20, 50, 100, 200");
    labels((struct chart_axis){.scale = CHART_LOG_TIME, .low = 0.5, .high = 90000}, 8,
           "1 s, 10 s, 1 min, 10 min, 1 h, 6 h, 1 d");
    labels((struct chart_axis){.scale = CHART_LOG_TIME, .low = 0.4, .high = 4}, 8,
           "0.5 s, 1 s, 1.5 s, 2 s, 2.5 s, 3 s, 3.5 s");
    labels((struct chart_axis){.scale = CHART_TIME, .high = 0.04}, 4,
           "0, 10 ms, 20 ms, 30 ms, 40 ms");
    labels((struct chart_axis){.scale = CHART_NINES, .high = 99.9}, 5,
           "0 %, 50 %, 90 %, 99 %, 99.9 %");
}

TEST(text_of_others_stays_text)
{
    AUTO_STR struct str out = {0};
    page_escape(&out, "<b>&\"x\"\x01\xff\xc3\xa4");
    CHECK_STR(out.text, "&lt;b&gt;&amp;&quot;x&quot;\xef\xbf\xbd\xef\xbf\xbd\xc3\xa4");
}

TEST(lines_are_where_their_values_are)
{
    const double x[] = {0, 5, NAN, 10}, y[] = {0, 50, 3, 100};
    struct chart c = {
        .title = "a", .about = "b", .x = {"x", CHART_LINEAR}, .y = {"y", CHART_LINEAR}};
    AUTO_STR struct str out = {0};
    struct page p = {.out = &out};
    chart_add(&c, 4, x, y, true, "one");
    chart_mark(&c, 5, "here");
    chart_draw(&c, &p);
    /* The plot is 62..876 wide and 68..298 high: half of each at (5, 50), then a gap. */
    CHECK_HAS(out.text, "d=\"M62 298L469 298L469 183M876 68\"");
    CHECK_HAS(out.text, "<line class=\"mark\" x1=\"469\" y1=\"48\" x2=\"469\" y2=\"298\"/>");
    CHECK(!strstr(out.text, "nan"));
}

TEST(a_chart_without_values_says_so)
{
    const double none[] = {NAN};
    struct chart c = {.title = "a", .about = "b", .x = {"x", CHART_LOG}, .y = {"y", CHART_LINEAR}};
    AUTO_STR struct str out = {0};
    struct page p = {.out = &out};
    chart_add(&c, 1, none, none, false, "one");
    chart_draw(&c, &p);
    CHECK_HAS(out.text, "Nothing to draw");
    CHECK(!strstr(out.text, "<svg"));
}

static double odd(struct rng *rng)
{
    static const double odds[] = {NAN, INFINITY, -INFINITY, 0, -1, 1e300, 1e-300, 42};
    unsigned k = rng_below(rng, 40);
    return k < ARRAY_LEN(odds) ? odds[k] : exp((double)rng_below(rng, 20000) / 1000 - 8);
}

/* A page of charts, cells and tables with hostile names and numbers. */
static void nasty(uint64_t seed, struct str *out)
{
    static const char *const names[] = {
        "<svg>", "a & b", "\"quoted\"", "\xff\xfe\x01", "\xe2\x82\xac",
        "]]>",   "<!--",  "",           "]]&gt;",       "a long name of a policy"};
    enum { POINTS = 30 };
    double x[POINTS], y[POINTS];
    struct rng rng = {seed};
    struct page p;
    page_begin(&p, out, names[rng_below(&rng, ARRAY_LEN(names))]);
    for (unsigned i = 0; i < 6; i++) {
        struct chart c = {
            .title = names[i], .about = names[9 - i], .caption = i % 2 ? names[i] : NULL};
        c.x = (struct chart_axis){names[i], rng_below(&rng, CHART_NINES + 1)};
        c.y = (struct chart_axis){names[i], rng_below(&rng, CHART_NINES + 1)};
        for (unsigned k = 0; k < POINTS; k++) {
            x[k] = odd(&rng);
            y[k] = odd(&rng);
        }
        for (unsigned k = 0; k < rng_below(&rng, 30); k++)
            chart_add(&c, rng_below(&rng, POINTS + 1), x, y, k % 2, "%s", names[k % 10]);
        for (unsigned k = 0; k < 5; k++)
            chart_mark(&c, odd(&rng), "%s", names[k]);
        chart_draw(&c, &p);
    }
    figure_begin(&p, 100, "cells", "of all shades");
    for (unsigned i = 0; i < 20; i++)
        figure_cell(&p, odd(&rng), odd(&rng), odd(&rng), odd(&rng), figure_shade(i, i == 9),
                    names[i % 10]);
    figure_end(&p, NULL);
    page_table(&p, (const char *const[]){"<a>", "b", NULL}, 1);
    page_markupf(&p, "<tr><td>%d</td>", 1);
    page_element(&p, "td", "n", names[3]);
    page_markup(&p, "</tr>\n");
    page_table_end(&p);
    page_end(&p);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--page") == 0) {
        AUTO_STR struct str out = {0};
        nasty(strtoull(argv[2], NULL, 10), &out);
        return out.failed || fputs(out.text, stdout) < 0;
    }
    return tap_main(argc, argv);
}
