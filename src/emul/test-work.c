/* What the tables say comes out again, predictions stay near what was measured, and neighbours cost
 * what the sources measured. */
#include "emul/work.h"

#include "emul/box.h"
#include "emul/work_table.h"
#include "tests/tap.h"

#include <math.h>

/* A check that says in words what did not hold. */
#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            TAP_FAIL(__VA_ARGS__);                                                                 \
    } while (0)

static struct work_place slice_of(const char *board, const char *profile)
{
    const struct board *b = board_find(board);
    return work_place(b, profile ? board_profile_by_name(b, profile) : BOARD_NO_PROFILE, 0);
}

static struct work_time time_of(const char *model, struct work_place p, unsigned batch)
{
    struct work w;
    struct work_time t = {0};
    struct error err;
    EXPECT(work_find(model, &w, &err) == 0 && work_service(&w, &p, batch, &t, &err) == 0,
           "%s has a service time on %s", model, p.board);
    return t;
}

TEST(measured)
{
    struct work_time t = time_of("bert", slice_of("a100-80", "1g.10gb"), 8);
    EXPECT(t.ns == 78503000 && t.basis == WORK_MEASURED && t.source == WORK_PARVAGPU,
           "a measured point is given as it is");
    t = time_of("bert", slice_of("a100-80", "1g.10gb"), 6);
    EXPECT(t.ns == (42014000 + 78503000) / 2 && t.basis == WORK_INTERPOLATED,
           "between two batches lies what lies between them");
    t = time_of("yolos-small", slice_of("a100-80", NULL), 1);
    EXPECT(t.ns == 88200000 && t.basis == WORK_MEASURED, "the whole GPU has a column of its own");
    struct work_time one = time_of("resnet50", slice_of("a100-80", "1g.10gb"), 8);
    t = time_of("resnet50", slice_of("a100-80", "1g.20gb"), 8);
    EXPECT(t.basis == WORK_PREDICTED && t.ns < one.ns,
           "a slice with more memory was not measured, and has more bandwidth");
}

/* Leaves out one size at a time and predicts it from the others. The bar is what predictors that
 * know only the smallest and the largest size reached on the same data: 8 of 100. */
TEST(prediction)
{
    unsigned n = 0, points = 0, within = 0;
    double sum = 0;
    const struct work_row *rows = work_table_rows(&n);
    static const char *const names[2][6] = {
        {NULL, "1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"},
        {NULL, "1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"}};
    for (unsigned i = 0; i < n; i++) {
        bool big = strcmp(rows[i].board, "a100-80") == 0;
        if ((!big && strcmp(rows[i].board, "a100-40") != 0) || !rows[i].us[1] || !rows[i].us[5])
            continue;
        for (unsigned c = 2; c <= 4; c++) {
            if (!rows[i].us[c])
                continue;
            struct work_place p = slice_of(rows[i].board, names[!big][c]);
            double us = work_table_predict(&rows[i], &p, false, 1u << c) / 1000;
            double error = fabs(us - rows[i].us[c]) / rows[i].us[c];
            sum += error;
            points++;
            within += error < 0.25;
        }
    }
    printf("# %u points left out: mean error %.1f %%, %u within 25 %%\n", points,
           100 * sum / points, within);
    EXPECT(points > 200 && sum / points < 0.08,
           "sizes between are predicted within 8 %% on average");
    EXPECT(within * 100 > points * 95, "and hardly ever wrong by a quarter");
}

/* MLPerf measured the same networks on both boards; what is predicted from one is held against the
 * other. */
TEST(across_boards)
{
    unsigned n = 0, points = 0;
    double sum = 0;
    const struct work_row *rows = work_table_rows(&n);
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < n; k++) {
            if (strcmp(rows[i].model, rows[k].model) != 0 || strcmp(rows[i].board, "a30") != 0 ||
                strcmp(rows[k].board, "a100-80") != 0)
                continue;
            struct work_place p = slice_of("a30", NULL);
            double us = work_table_predict(&rows[k], &p, false, 0) / 1000;
            sum += fabs(us - rows[i].us[0]) / rows[i].us[0];
            points++;
        }
    printf("# A30 from A100, %u networks: mean error %.1f %%\n", points, 100 * sum / points);
    EXPECT(points == 6 && sum / points < 0.2, "another board is predicted within 20 %% on average");
}

/* Stronger slices are not slower, whatever the model, batch and board. */
TEST(monotone)
{
    static const char *const boards[] = {"h100-sxm", "h200", "a30"};
    unsigned bad = 0, compared = 0;
    for (unsigned m = 0; m < work_models(); m++)
        for (unsigned b = 0; b < ARRAY_LEN(boards); b++) {
            const struct board *board = board_find(boards[b]);
            struct work w;
            struct work_time t = {0}, whole = {0};
            struct error err;
            (void)work_find(work_model_name(m), &w, &err);
            struct work_place all = work_place(board, BOARD_NO_PROFILE, 0);
            EXPECT(work_service(&w, &all, 4, &whole, &err) == 0, "%s on %s", w.name, boards[b]);
            for (unsigned p = 0; p < board->profile_n; p++) {
                struct work_place at = work_place(board, p, 0);
                bad += work_service(&w, &at, 4, &t, &err) < 0 || t.ns < whole.ns;
                compared++;
            }
        }
    EXPECT(bad == 0, "no slice of %u is quicker than its whole GPU", compared);
}

static double factor(const char *model, struct work_place p, bool mps, struct work_around around,
                     enum work_basis *ret)
{
    struct work w;
    struct error err;
    (void)work_find(model, &w, &err);
    struct work_cost c = work_cost(&w, &p, 1, mps, &around);
    *ret = c.basis;
    return c.factor;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 0.002 * b;
}

/* The source's own table: seconds per inference of 1, 3, 5 and 7 clients. */
TEST(neighbours)
{
    enum work_basis basis;
    struct work_place whole = slice_of("a100-80", NULL), one = slice_of("a100-80", "1g.10gb");
    struct work_around six = {.sliced = 6}, six_mps = {.mps = 6}, full = {.other_busy = 6};
    EXPECT(near(factor("yolos-small", whole, false, six, &basis), 0.685 / 0.0882) &&
               basis == WORK_MEASURED,
           "seven take turns as measured");
    EXPECT(near(factor("yolos-small", whole, true, six_mps, &basis), 0.320 / 0.088) &&
               basis == WORK_MEASURED,
           "seven under MPS as measured");
    EXPECT(near(factor("yolos-small", one, false, full, &basis), 0.344 / 0.342) &&
               basis == WORK_MEASURED,
           "seven slices as measured");
    double worst = factor("vgg16", one, false, full, &basis);
    EXPECT(worst > 1 && worst < 1.03 && basis == WORK_PREDICTED,
           "a network that nobody measured there loses what the worst one lost, predicted");
    EXPECT(factor("vgg16", slice_of("a30", "1g.6gb"), false, (struct work_around){.other_busy = 3},
                  &basis) > 1.09,
           "an A30 loses more: power is shared");
    EXPECT(near(factor("bert", slice_of("gb10", NULL), false, (struct work_around){.sliced = 1},
                       &basis),
                2 / 0.96),
           "a GB10 has figures of its own for two");
    EXPECT(factor("bert", whole, false, (struct work_around){0}, &basis) == 1 &&
               basis == WORK_MEASURED,
           "nobody there costs nothing");
    for (unsigned n = 1; n < 20; n++) {
        struct work_around less = {.sliced = n}, more = {.sliced = n + 1};
        if (factor("bert", whole, false, less, &basis) >=
            factor("bert", whole, false, more, &basis))
            EXPECT(false, "one more neighbour costs more than %u", n);
    }
}

TEST(unknown)
{
    struct work w;
    struct work_time t;
    struct error err;
    EXPECT(work_find("brt", &w, &err) == -ERROR_NOT_FOUND && strstr(err.text, "is 'bert' meant"),
           "the nearest model is named");
    (void)work_find("bert", &w, &err);
    struct work_place p = slice_of("b300", NULL);
    EXPECT(work_service(&w, &p, 1, &t, &err) == -ERROR_UNSUPPORTED, "no rate, no prediction");
    w = (struct work){.name = "mine", .model = -1, .ns = 1000, .at = p};
    EXPECT(work_service(&w, &p, 1, &t, &err) == 0 && t.ns == 1000 && t.basis == WORK_GIVEN,
           "one's own figure serves where it was taken");
}

TEST(meter)
{
    struct meter m = {0};
    int64_t at = 1000 * METER_STEP;
    EXPECT(meter_ppt(&m, at) == 0, "never busy");
    for (int64_t t = at; t < at + 20 * METER_STEP; t += METER_STEP / 4)
        meter_add(&m, t, METER_STEP / 8);
    EXPECT(meter_ppt(&m, at + 20 * METER_STEP) == 500, "half of the time");
    for (int64_t t = at; t < at + 20 * METER_STEP; t += METER_STEP / 4)
        meter_add(&m, t, METER_STEP / 8);
    EXPECT(meter_ppt(&m, at + 20 * METER_STEP) == 500, "what was told before counts once");
    EXPECT(meter_ppt(&m, at + 25 * METER_STEP) == 250, "half a second later half of it is past");
    EXPECT(meter_ppt(&m, at + 40 * METER_STEP) == 0, "and later all");
    meter_add(&m, at + 1000 * METER_STEP, METER_STEP);
    EXPECT(meter_ppt(&m, at + 1001 * METER_STEP) == 100, "a long pause leaves nothing behind");
}

TEST(books)
{
    AUTO_FREE struct machine *m = calloc(1, sizeof *m);
    AUTO_FREE struct box *b = NULL;
    struct box_session s = {.pid = 7}, other = {.pid = 8};
    struct box_worker seen[2];
    struct error err;
    if (!m || machine_parse("1xa100-80", m, &err) < 0 || box_new(m, false, 0, &b, &err) < 0)
        return;
    box_enter(b, &s);
    box_enter(b, &other);
    EXPECT(!box_work_run(b, &s, 0, 0, 0, false, "bert"), "work needs an open device");
    (void)box_open(b, &s, b->m.gpus[0].uuid, 1 << 30);
    (void)box_open(b, &other, b->m.gpus[0].uuid, 0);
    EXPECT(box_work_run(b, &s, METER_STEP, METER_STEP, 2 * METER_STEP, true, "bert"), "it runs");
    EXPECT(box_work_others(b, 0, &other, METER_STEP, seen, 2) == 1 && seen[0].pid == 7 &&
               seen[0].running && seen[0].mps && strcmp(seen[0].name, "bert") == 0,
           "the neighbour sees what, and that it runs");
    EXPECT(box_work_others(b, 0, &other, 2 * METER_STEP, seen, 2) == 1 && !seen[0].running,
           "and that it no longer does");
    EXPECT(box_work_busy(b, 0, 2 * METER_STEP) == 100, "the GPU was busy for a tenth of a second");
    for (unsigned i = 10; i < 30; i++) {
        (void)box_work_run(b, &s, i * METER_STEP, METER_STEP, (i + 2) * METER_STEP, false, "a");
        (void)box_work_run(b, &other, i * METER_STEP, METER_STEP, (i + 2) * METER_STEP, false, "b");
    }
    EXPECT(box_work_others(b, 0, NULL, 30 * METER_STEP, seen, 2) == 2 &&
               seen[0].busy_ppt + seen[1].busy_ppt <= 1100 && seen[0].busy_ppt >= 500 &&
               seen[1].busy_ppt >= 500,
           "two that take turns have about half of it each, not %u and %u", seen[0].busy_ppt,
           seen[1].busy_ppt);
    EXPECT(box_work_busy(b, 0, 30 * METER_STEP) == 1000, "and the GPU never rests");
    box_leave(b, &s);
    EXPECT(box_work_others(b, 0, &other, METER_STEP, seen, 2) == 0, "a process that left is gone");
    box_leave(b, &other);
}

TAP_MAIN
