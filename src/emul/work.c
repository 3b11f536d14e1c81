/* Reading the tables: service times by model, board, size and batch. */
#include "emul/work.h"

#include "base/macro.h"
#include "base/str.h"
#include "emul/work_table.h"
#include "share/share.h"

#include <stdio.h>
#include <string.h>

const char *work_basis_name(enum work_basis basis)
{
    static const char *const names[] = {"measured", "interpolated", "predicted", "own"};
    return names[basis];
}

static const struct {
    const char *name, *text;
} sources[] = {
#define SOURCE(id, name, text) {name, text},
#include "emul/tables/source.def"
#undef SOURCE
};

const char *work_source_name(enum work_source s)
{
    return sources[s].name;
}

const char *work_source_text(enum work_source s)
{
    return sources[s].text;
}

static const struct {
    const char *name;
    bool bandwidth;
    const char *text;
} models[] = {
#define MODEL(name, kind, text) {name, KIND_##kind, text},
#define KIND_MIXED              false
#define KIND_BANDWIDTH          true
#include "emul/tables/model.def"
#undef MODEL
};

unsigned work_models(void)
{
    return ARRAY_LEN(models);
}

const char *work_model_name(unsigned model)
{
    return models[model].name;
}

const char *work_model_text(unsigned model)
{
    return models[model].text;
}

/* Columns of a row: the whole GPU, then slices of so many compute slices. */
static const unsigned column_compute[WORK_COLUMNS] = {0, 1, 2, 3, 4, 7};

static const struct work_row rows[] = {
#define ROW(model, board, source, batch, whole, g1, g2, g3, g4, g7, mps)                           \
    {model, board, WORK_##source, batch, {whole, g1, g2, g3, g4, g7}, mps},
#define MPS(two, three, four, five)                                                                \
    {                                                                                              \
        two, three, four, five                                                                     \
    }
#define NO_MPS                                                                                     \
    {                                                                                              \
        0                                                                                          \
    }
#include "emul/tables/service.def"
#undef ROW
#undef MPS
#undef NO_MPS
};

const struct work_row *work_table_rows(unsigned *ret_n)
{
    *ret_n = ARRAY_LEN(rows);
    return rows;
}

unsigned work_model_boards(unsigned model, const char **ret_boards, enum work_source *ret_sources,
                           unsigned room)
{
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].model, models[model].name) != 0 ||
            (n > 0 && strcmp(rows[i].board, ret_boards[MIN(n, room) - 1]) == 0))
            continue;
        if (n++ < room) {
            ret_boards[n - 1] = rows[i].board;
            ret_sources[n - 1] = rows[i].source;
        }
    }
    return n;
}

int work_find(const char *name, struct work *ret, struct error *err)
{
    const char *names[ARRAY_LEN(models)];
    *ret = (struct work){.model = -1};
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        names[i] = models[i].name;
        if (strcmp(name, names[i]) == 0)
            ret->model = (int)i;
    }
    if (ret->model >= 0) {
        (void)str_copy(ret->name, sizeof ret->name, name);
        return 0;
    }
    const char *nearest = str_nearest(name, names, ARRAY_LEN(names));
    return error_set(err, ERROR_NOT_FOUND,
                     "there are no figures for a model '%.40s'%s%s%s --list shows those there are; "
                     "--service-ms and --slice give your own",
                     name, nearest ? "; is '" : "", nearest ? nearest : "",
                     nearest ? "' meant?" : ";");
}

struct work_place work_place(const struct board *b, unsigned profile, unsigned ci_sms)
{
    struct work_place p = {.sms = b->sms, .board_sms = b->sms, .slices = 1, .of_slices = 1};
    (void)str_copy(p.board, sizeof p.board, b->name);
    p.of_compute = b->compute_slices;
    if (profile == BOARD_NO_PROFILE)
        return p;
    const struct profile *mine = &b->profiles[profile];
    p.slices = mine->size;
    p.of_slices = b->memory_slices;
    p.compute = mine->compute;
    p.sms = ci_sms ? (uint16_t)ci_sms : mine->sms;
    p.plain = p.sms == mine->sms;
    for (unsigned i = 0; i < b->profile_n; i++)
        if (b->profiles[i].compute == mine->compute && b->profiles[i].size < mine->size)
            p.plain = false;
    return p;
}

static const struct {
    const char *board;
    double tflops, gbps;
} rates[] = {
#define RATE(board, tflops, gbps) {board, tflops, gbps},
#include "emul/tables/rate.def"
#undef RATE
};

/* The strength of a device; 0 where there is no rate for its board. */
static double strength(const struct work_place *p, bool bandwidth)
{
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        if (strcmp(rates[i].board, p->board) != 0)
            continue;
        double bytes = rates[i].gbps * p->slices / p->of_slices;
        double flops = rates[i].tflops * p->sms / p->board_sms;
        return bandwidth ? bytes : share_strength(&share_house, flops, bytes);
    }
    return 0;
}

/* The place that a column of a row stands for; false if the board has no such slice. */
static bool column_place(const char *board, unsigned column, struct work_place *ret)
{
    const struct board *b = board_find(board);
    if (column == 0)
        *ret = work_place(b, BOARD_NO_PROFILE, 0);
    for (unsigned i = 0; column > 0 && i < b->profile_n; i++) {
        *ret = work_place(b, i, 0);
        if (ret->plain && ret->compute == column_compute[column])
            return true;
    }
    return column == 0;
}

static bool is_row(const struct work_row *r, const char *model, const char *board)
{
    return strcmp(r->model, model) == 0 && (!board || strcmp(r->board, board) == 0);
}

/* The rows of a model on the board, or on the first board it was measured on; batches ascend. */
static const struct work_row *rows_of(const char *model, const char *board, unsigned *ret_n)
{
    const struct work_row *first = NULL, *end = rows + ARRAY_LEN(rows);
    for (const struct work_row *r = rows; r < end && !first; r++)
        first = is_row(r, model, board) ? r : NULL;
    for (const struct work_row *r = rows; r < end && !first; r++)
        first = is_row(r, model, NULL) ? r : NULL;
    *ret_n = 0;
    while (first + *ret_n < end && is_row(first + *ret_n, model, first->board))
        ++*ret_n;
    return first;
}

/* The weakest and the strongest device of a row, without the columns of a mask. */
struct anchors {
    unsigned weak, strong; /* columns; WORK_COLUMNS: none */
    double k_weak, k_strong;
};

static struct anchors find_anchors(const struct work_row *row, bool bandwidth, unsigned without)
{
    struct anchors a = {.weak = WORK_COLUMNS};
    struct work_place at;
    for (unsigned c = 0; c < WORK_COLUMNS; c++) {
        if (!row->us[c] || (without >> c & 1) || !column_place(row->board, c, &at))
            continue;
        double k = strength(&at, bandwidth);
        if (a.weak == WORK_COLUMNS || k < a.k_weak) {
            a.weak = c;
            a.k_weak = k;
        }
        if (k > a.k_strong) {
            a.strong = c;
            a.k_strong = k;
        }
    }
    return a;
}

double work_table_predict(const struct work_row *row, const struct work_place *p, bool bandwidth,
                          unsigned without)
{
    struct share_point points[WORK_BATCHES];
    double k = strength(p, bandwidth);
    struct anchors a = find_anchors(row, bandwidth, without);
    if (k <= 0 || a.weak == WORK_COLUMNS)
        return 0;
    if (a.k_strong <= a.k_weak * 1.000001)
        return row->us[a.strong] * 1000.0 * a.k_strong / k;
    unsigned n = 0, at = 0, batches = 0;
    const struct work_row *first = rows_of(row->model, row->board, &batches);
    for (unsigned i = 0; i < MIN(batches, WORK_BATCHES); i++) {
        if (&first[i] == row)
            at = n;
        points[n++] = (struct share_point){first[i].batch, first[i].us[a.weak] * 1000.0,
                                           first[i].us[a.strong] * 1000.0};
    }
    return share_time(&share_house, points, n, at, k / a.k_weak, a.k_strong / a.k_weak);
}

/* One row at a place: measured there, or predicted from it. */
static double row_time(const struct work_row *row, const struct work_place *p, bool bandwidth,
                       enum work_basis *ret_basis)
{
    *ret_basis = WORK_MEASURED;
    for (unsigned c = 0; c < WORK_COLUMNS && strcmp(row->board, p->board) == 0; c++)
        if (column_compute[c] == p->compute && row->us[c] && (c == 0 || p->plain))
            return row->us[c] * 1000.0;
    *ret_basis = WORK_PREDICTED;
    return work_table_predict(row, p, bandwidth, 0);
}

static int own_service(const struct work *w, const struct work_place *p, struct work_time *ret)
{
    bool same = strcmp(w->at.board, p->board) == 0 && w->at.sms == p->sms &&
                w->at.slices == p->slices && w->at.of_slices == p->of_slices;
    double from = strength(&w->at, false), to = strength(p, false);
    *ret = (struct work_time){.ns = w->ns, .basis = WORK_GIVEN, .source = WORK_OWN};
    if (same)
        return 0;
    ret->basis = WORK_PREDICTED;
    if (from <= 0 || to <= 0)
        return -1;
    ret->ns = (int64_t)((double)w->ns * from / to);
    return 0;
}

static int no_rate(const struct work_place *p, struct error *err)
{
    return error_set(err, ERROR_UNSUPPORTED,
                     "nothing was published from which to predict work on a board '%s'; measure on "
                     "this very slice and give --service-ms",
                     p->board);
}

int work_service(const struct work *w, const struct work_place *p, unsigned batch,
                 struct work_time *ret, struct error *err)
{
    unsigned n = 0, low = 0;
    if (w->model < 0)
        return own_service(w, p, ret) < 0 ? no_rate(p, err) : 0;
    bool bandwidth = models[w->model].bandwidth;
    const struct work_row *r = rows_of(models[w->model].name, p->board, &n);
    while (low + 1 < n && r[low + 1].batch <= batch)
        low++;
    enum work_basis basis, above;
    double ns = row_time(&r[low], p, bandwidth, &basis);
    *ret = (struct work_time){.basis = basis, .source = r[low].source};
    if (ns <= 0)
        return no_rate(p, err);
    if (r[low].batch != batch && low + 1 < n) {
        double next = row_time(&r[low + 1], p, bandwidth, &above);
        ns += (next - ns) * (batch - r[low].batch) / (r[low + 1].batch - r[low].batch);
        ret->basis =
            basis == WORK_MEASURED && above == WORK_MEASURED ? WORK_INTERPOLATED : WORK_PREDICTED;
    } else if (r[low].batch != batch) {
        ns = ns * batch / r[low].batch;
        ret->basis = WORK_PREDICTED;
    }
    ret->ns = (int64_t)ns;
    return 0;
}

const struct work_row *work_table_mps(const struct work *w, const struct work_place *p,
                                      unsigned batch)
{
    unsigned n = 0, low = 0;
    if (w->model < 0)
        return NULL;
    const struct work_row *r = rows_of(models[w->model].name, p->board, &n);
    while (low + 1 < n && r[low + 1].batch <= batch)
        low++;
    return r[low].mps[0] ? &r[low] : NULL;
}

bool work_table_bandwidth(const struct work *w)
{
    return w->model >= 0 && models[w->model].bandwidth;
}

double work_device(const struct work *w, const struct work_place *p, unsigned batch, double alone)
{
    const struct board *b = board_find(p->board);
    struct work_place small;
    struct work_time t;
    struct error err;
    if (!b || !column_place(b->name, 1, &small))
        (void)column_place("a100-80", 1, &small);
    bool bytes = work_table_bandwidth(w);
    double from = strength(&small, bytes), to = strength(p, bytes);
    if (from <= 0 || to <= 0 || work_service(w, &small, batch, &t, &err) < 0)
        return alone;
    return share_device(alone, (double)t.ns, to / from);
}
