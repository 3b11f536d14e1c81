/* What must hold between the ways whatever the work is. */
#include "compare/inside.h"

#include "tests/tap.h"

#include <math.h>
#include <stdlib.h>

static const char small_work[] =
    "services:\n"
    "  - {name: bert, model: bert, rate: 60, latency: 300}\n"
    "  - {name: resnet50, model: resnet50, rate: 300, latency: 100}\n"
    "  - {name: mobilenet, model: mobilenetv2, rate: 200, latency: 50}\n"
    "  - {name: vgg16, model: vgg16, rate: 50, latency: 100}\n"
    "jobs:\n"
    "  - {name: nightly, profile: 1g.10gb, count: 20, duration: 1h}\n";

static struct compare_system *compared(const char *text, const char *board, unsigned gpus,
                                       struct needs *n)
{
    struct error err = {0};
    struct compare_system *s = calloc(1, sizeof *s);
    s->board = board_find(board);
    s->gpus = gpus;
    if (needs_read(text, strlen(text), "work", n, &err) < 0 || compare_run(n, 1, s, &err) < 0)
        TAP_FAIL("%s", err.text);
    return s;
}

/* Jobs are the same work in every way, so what they keep busy, over all of the time, is the same;
 * and a distribution goes through the percentiles that are told of it. */
static void drawn_is_told(const struct compare_system *s)
{
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_row *r = &s->rows[w];
        const struct compare_jobs *j = &r->jobs;
        double work = 0;
        REQUIRE(j->known && j->course_n > 0);
        for (unsigned i = 0; i < j->course_n; i++) {
            double end = i + 1 < j->course_n ? j->course_at[i + 1] : j->makespan;
            work += j->course_busy[i] * (end - j->course_at[i]) * (s->gpus - r->gpus);
        }
        CHECK(fabs(work / (20 * 3600 / 7.0) - 1) < 1e-4);
        CHECK(fabs(work / (j->busy * j->makespan * (s->gpus - r->gpus)) - 1) < 1e-4);
        for (unsigned i = 0; i < 4; i++) {
            const struct compare_service *v = &r->services[i];
            CHECK(compare_curve_part(3) < 0.5 && v->curve[3] <= v->p50 && v->p50 <= v->curve[4]);
            CHECK(fabs(compare_curve_part(20) - 0.99) < 1e-9 &&
                  fabs(v->curve[20] / v->p99 - 1) < 0.02);
        }
    }
}

TEST(ways)
{
    AUTO_NEEDS struct needs n = {0};
    struct compare_system *s = compared(small_work, "a100-80", 8, &n);
    const struct compare_row *w = &s->rows[COMPARE_WHOLE], *x = &s->rows[COMPARE_STATIC];
    const struct compare_row *f = &s->rows[COMPARE_FETTA], *m = &s->rows[COMPARE_MPS];
    for (unsigned i = 0; i < COMPARE_WAYS; i++)
        printf("# %s: %u GPUs, %.0f %% busy, p99 %.1f ms, jobs end %.0f s %s\n",
               compare_way_name(i), s->rows[i].gpus, 100 * s->rows[i].utilisation,
               s->rows[i].services[0].p99, s->rows[i].jobs.makespan, s->rows[i].why_not);
    CHECK_INT(w->gpus, >=, 4);
    CHECK_INT(f->gpus, <=, x->gpus);
    CHECK_INT(f->gpus, <, w->gpus);
    CHECK(m->gpus > 0 && m->gpus <= w->gpus);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(f->services[i].in_time && w->services[i].in_time && x->services[i].in_time);
        CHECK(f->services[i].alone >= w->services[i].alone * 0.9);
        CHECK(f->services[i].p50 <= f->services[i].p95 && f->services[i].p95 <= f->services[i].p99);
    }
    CHECK_INT(w->users, ==, 8);
    CHECK_INT(f->users, ==, 56);
    CHECK(f->jobs.known && w->jobs.known && f->jobs.makespan <= w->jobs.makespan);
    CHECK(fabs(f->jobs.makespan - 3600) < 60);
    drawn_is_told(s);
    free(s);
}

/* The same seed gives the same rows; a larger system needs no other number of GPUs. */
TEST(same_again)
{
    AUTO_NEEDS struct needs n = {0};
    AUTO_NEEDS struct needs again = {0};
    struct compare_system *a = compared(small_work, "a100-80", 8, &n);
    struct compare_system *b = compared(small_work, "a100-80", 16, &again);
    for (unsigned i = 0; i < COMPARE_WAYS; i++) {
        CHECK_INT(a->rows[i].gpus, ==, b->rows[i].gpus);
        CHECK(a->rows[i].services[1].p99 == b->rows[i].services[1].p99);
    }
    free(a);
    free(b);
}

/* Work that fills GPUs by itself: the advice is not to partition. */
TEST(do_not_partition)
{
    static const char big[] =
        "services:\n  - {name: resnet50, model: resnet50, rate: 4500, latency: 100}\n";
    AUTO_NEEDS struct needs n = {0};
    struct compare_system *s = compared(big, "a100-80", 8, &n);
    char advice[COMPARE_TEXT];
    struct compare_verdict v[COMPARE_CLAIMS];
    compare_advise(&n, s, advice);
    compare_judge(&n, s, v);
    CHECK_HAS(advice, "Do not partition");
    CHECK_STR(v[0].holds, "no");
    free(s);
}

TEST(no_mig)
{
    AUTO_NEEDS struct needs n = {0};
    struct compare_system *s = compared(small_work, "gb10", 1, &n);
    char advice[COMPARE_TEXT];
    CHECK_HAS(s->rows[COMPARE_FETTA].why_not, "no MIG");
    CHECK_HAS(s->rows[COMPARE_STATIC].why_not, "no MIG");
    compare_advise(&n, s, advice);
    printf("# %s\n", advice);
    CHECK(s->rows[COMPARE_WHOLE].services[0].p99 > 0);
    free(s);
}

TAP_MAIN
