/* What neighbours cost, composed of what was measured one at a time: turns on the same device, MPS,
 * compute instances that share a GPU instance's memory, and busy slices elsewhere on the GPU. */
#include "emul/work.h"

#include "base/macro.h"
#include "emul/work_table.h"

#include <math.h>
#include <string.h>

enum way { WAY_SLICED, WAY_MPS };

static const struct turns {
    const char *board;
    enum way way;
    enum work_source source;
    unsigned n;
    double factor;
} turns[] = {
#define TURNS(board, way, source, n, ppt) {board, WAY_##way, WORK_##source, n, (ppt) / 1000.0},
#define BUSY(...)
#include "emul/tables/share.def"
#undef TURNS
#undef BUSY
};

static const struct busy {
    const char *board, *model;
    enum work_source source;
    double part;
} busy[] = {
#define TURNS(...)
#define BUSY(board, model, source, ppt) {board, model, WORK_##source, (ppt) / 1000.0},
#include "emul/tables/share.def"
#undef TURNS
#undef BUSY
};

/* Boards that nobody measured are taken for this one. */
static const char usual[] = "a100-80";

static bool is_measured_board(const char *board)
{
    for (size_t i = 0; i < ARRAY_LEN(turns); i++)
        if (strcmp(turns[i].board, board) == 0)
            return true;
    return false;
}

/* Two causes: the factors multiply, and the weaker basis is that of both. */
static void add(struct work_cost *c, double factor, enum work_basis basis, enum work_source source)
{
    c->basis = MAX(c->basis, basis);
    c->sources |= 1u << source;
    c->factor *= MAX(factor, 1);
}

/* What `n` processes at once (2 or more) cost each. */
static void add_turns(struct work_cost *c, const struct work *w, const char *board, enum way way,
                      unsigned n, bool other_work)
{
    const struct turns *low = NULL, *high = NULL;
    const char *from = is_measured_board(board) ? board : usual;
    for (size_t i = 0; i < ARRAY_LEN(turns); i++) {
        const struct turns *t = &turns[i];
        if (t->way != way || strcmp(t->board, from) != 0)
            continue;
        if (t->n <= n)
            low = t;
        else if (!high)
            high = t;
    }
    double factor = low->factor;
    if (high)
        factor += (high->factor - low->factor) * (n - low->n) / (high->n - low->n);
    else
        factor = factor * n / low->n;
    bool same_work = low->source != WORK_NOS || strcmp(w->name, "yolos-small") == 0;
    bool exact = low->n == n && from == board && same_work && !other_work;
    add(c, factor, exact ? WORK_MEASURED : WORK_PREDICTED, low->source);
}

/* What the others under MPS cost, by the work's own figures where there are some. */
static void add_mps(struct work_cost *c, const struct work *w, const struct work_place *p,
                    unsigned batch, unsigned n, bool other_work)
{
    const struct work_row *row = work_table_mps(w, p, batch);
    if (!row) {
        add_turns(c, w, p->board, WAY_MPS, n, other_work);
        return;
    }
    unsigned most = ARRAY_LEN(row->mps) + 1, at = MIN(n, most);
    bool exact = n == at && row->batch == batch && !other_work && p->compute == 7 &&
                 strcmp(p->board, row->board) == 0;
    add(c, row->mps[at - 2] / 1000.0 * n / at, exact ? WORK_MEASURED : WORK_PREDICTED, row->source);
}

static void add_busy(struct work_cost *c, const struct work *w, const struct work_place *p,
                     unsigned other_busy)
{
    const struct busy *best = NULL;
    const char *from = usual;
    for (size_t i = 0; i < ARRAY_LEN(busy); i++)
        if (strcmp(busy[i].board, p->board) == 0)
            from = busy[i].board;
    for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
        if (strcmp(busy[i].board, from) != 0)
            continue;
        if (strcmp(busy[i].model, w->name) == 0 || (!best && !*busy[i].model))
            best = &busy[i];
    }
    unsigned others = p->of_compute > p->compute ? p->of_compute - p->compute : 1;
    double share = MIN(1.0, (double)other_busy / others);
    bool exact = share == 1.0 && p->compute == 1 && *best->model && strcmp(from, p->board) == 0;
    add(c, 1 + share * (1 / best->part - 1), exact ? WORK_MEASURED : WORK_PREDICTED, best->source);
}

struct work_cost work_cost(const struct work *w, const struct work_place *p, unsigned batch,
                           bool mps, const struct work_around *around)
{
    struct work_cost c = {.factor = 1, .basis = WORK_MEASURED};
    /* Everybody under MPS is one to those who take turns. */
    unsigned together = around->mps + mps, in_turn = around->sliced + !mps + (together > 0);
    if (in_turn > 1)
        add_turns(&c, w, p->board, WAY_SLICED, in_turn, around->other_work);
    if (mps && together > 1)
        add_mps(&c, w, p, batch, together, around->other_work);
    if (around->instances > 0) {
        double n = around->instances + 1.0;
        add(&c, work_table_bandwidth(w) ? n : sqrt(n), WORK_PREDICTED, WORK_ASSUMED);
    }
    if (around->other_busy > 0 && p->compute > 0)
        add_busy(&c, w, p, around->other_busy);
    return c;
}
