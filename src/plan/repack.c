/* Feasibility by an integer program; see repack.h.
 *
 * A column is one GPU of a class (what stays on it) filled up with one of the largest mixes of what
 * is asked for; a row is a profile that must be covered, or a class whose GPUs are not more than
 * there are. Where the wanted may only go to some places, each of them is tried in turn as
 * something that stays. */
#include "plan/repack.h"

#include "plan/mip.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

enum { CLASSES = MIP_ROWS - BOARD_PROFILES, VISITS = 2000000, NODES = 20000 };

struct column {
    uint16_t class;
    uint8_t n[BOARD_PROFILES];
};

/* What stays on a number of GPUs. */
struct class
{
    struct layout stays;
    const slices *allowed;
    bool target;
    uint32_t n;
    unsigned first, end; /* its columns */
};

struct program {
    const struct board *board;
    uint32_t demand[BOARD_PROFILES];
    unsigned class_n, column_n, visits;
    bool too_large;
    struct class classes[CLASSES];
    struct column columns[MIP_COLS];
};

static bool same_class(const struct class *a, const struct class *b)
{
    bool same = a->stays.n == b->stays.n && a->stays.busy == b->stays.busy &&
                a->target == b->target &&
                memcmp(a->allowed, b->allowed, BOARD_PROFILES * sizeof *a->allowed) == 0;
    for (unsigned i = 0; same && i < a->stays.n; i++)
        same = a->stays.at[i].profile == b->stays.at[i].profile &&
               a->stays.at[i].start == b->stays.at[i].start;
    return same;
}

static void add_class(struct program *p, const struct class *c)
{
    unsigned i = 0;
    while (i < p->class_n && !same_class(&p->classes[i], c))
        i++;
    if (i == CLASSES) {
        p->too_large = true;
        return;
    }
    if (i == p->class_n) {
        p->classes[p->class_n++] = *c;
        p->classes[i].n = 0;
    }
    p->classes[i].n += c->n;
}

/* Every GPU without what may move, which becomes demand. */
static void gather(struct program *p, const struct rescue_fleet *f)
{
    for (unsigned i = 0; i < f->n; i++) {
        const struct rescue_kind *k = &f->kinds[i];
        struct class c = {
            .stays = k->layout, .allowed = k->allowed, .target = k->target, .n = k->n};
        for (unsigned j = 0; j < k->layout.n; j++) {
            if (!(k->movable >> j & 1))
                continue;
            layout_remove(f->board, &c.stays, k->layout.at[j].start);
            p->demand[k->layout.at[j].profile] += k->n;
        }
        add_class(p, &c);
    }
}

static bool covers(const struct column *big, const struct column *small)
{
    for (unsigned i = 0; i < BOARD_PROFILES; i++) {
        if (big->n[i] < small->n[i])
            return false;
    }
    return true;
}

/* Keeps a mix unless another of its class covers it. */
static void keep_column(struct program *p, struct class *c, const struct column *mix)
{
    unsigned kept = c->first;
    for (unsigned i = c->first; i < c->end; i++) {
        if (covers(&p->columns[i], mix))
            return;
    }
    for (unsigned i = c->first; i < c->end; i++) {
        if (!covers(mix, &p->columns[i]))
            p->columns[kept++] = p->columns[i];
    }
    if (kept == MIP_COLS) {
        p->too_large = true;
        return;
    }
    p->columns[kept++] = *mix;
    c->end = kept;
}

/* Fills up from `from` on with what is asked for, in order of start, so that every set of
 * placements is met once. */
static void fill(struct program *p, struct class *c, const struct layout *l, unsigned from,
                 struct column *mix)
{
    bool full = true;
    p->too_large = p->too_large || p->visits++ > VISITS;
    for (unsigned i = 0; !p->too_large && i < p->board->profile_n; i++) {
        slices starts = p->demand[i] ? layout_fits(p->board, l, i) & c->allowed[i] : 0;
        full = full && (!starts || mix->n[i] >= p->demand[i]);
        for (starts &= (slices)(~0u << from); starts; starts &= (slices)(starts - 1)) {
            unsigned start = (unsigned)__builtin_ctz(starts);
            struct layout made = *l;
            layout_add(p->board, &made, (struct placement){(uint8_t)i, (uint8_t)start});
            mix->n[i]++;
            fill(p, c, &made, start + p->board->profiles[i].size, mix);
            mix->n[i]--;
        }
    }
    if (full && !p->too_large)
        keep_column(p, c, mix);
}

static int solve(const struct program *p, enum repack_answer *ret, struct error *err)
{
    unsigned rows = p->board->profile_n + p->class_n;
    AUTO_FREE double *a = calloc((size_t)rows * (p->column_n + 1), sizeof *a);
    AUTO_FREE double *b = calloc(rows, sizeof *b);
    AUTO_FREE double *cost = calloc(p->column_n + 1, sizeof *cost);
    AUTO_FREE struct mip_result *r = malloc(sizeof *r);
    if (!a || !b || !cost || !r)
        return error_set(err, ERROR_NO_MEMORY, "no memory to look for a repacking");
    for (unsigned i = 0; i < p->board->profile_n; i++) {
        b[i] = p->demand[i];
        for (unsigned j = 0; j < p->column_n; j++)
            a[i * p->column_n + j] = p->columns[j].n[i];
    }
    for (unsigned c = 0; c < p->class_n; c++) {
        unsigned row = p->board->profile_n + c;
        b[row] = -(double)p->classes[c].n;
        for (unsigned j = p->classes[c].first; j < p->classes[c].end; j++)
            a[row * p->column_n + j] = -1;
    }
    struct mip m = {.rows = rows,
                    .cols = p->column_n,
                    .a = a,
                    .b = b,
                    .c = cost,
                    .whole_cost = true,
                    .node_max = NODES};
    int rc = mip_solve(&m, r, err);
    if (rc < 0)
        return rc;
    *ret = r->state == MIP_OPTIMAL || r->state == MIP_FEASIBLE ? REPACK_EXISTS
           : r->state == MIP_INFEASIBLE                        ? REPACK_NONE
                                                               : REPACK_UNKNOWN;
    return 0;
}

static int answer(struct program *p, enum repack_answer *ret, struct error *err)
{
    uint64_t wanted = 0;
    p->column_n = 0;
    for (unsigned i = 0; i < BOARD_PROFILES; i++)
        wanted += p->demand[i];
    *ret = wanted && p->class_n == 0 ? REPACK_NONE : REPACK_EXISTS;
    for (unsigned i = 0; wanted && i < p->class_n; i++) {
        struct column mix = {.class = (uint16_t)i};
        struct class *c = &p->classes[i];
        c->first = c->end = p->column_n;
        fill(p, c, &c->stays, 0, &mix);
        p->column_n = c->end;
    }
    if (p->too_large)
        *ret = REPACK_UNKNOWN;
    return p->column_n && !p->too_large ? solve(p, ret, err) : 0;
}

/* One of the wanted at one place of one class, as something that stays; then the others. */
static int pinned(struct program *p, const struct rescue_want *want, unsigned count,
                  enum repack_answer *ret, struct error *err);

static int pin(struct program *p, const struct rescue_want *want, unsigned count, unsigned at,
               unsigned start, enum repack_answer *ret, struct error *err)
{
    AUTO_FREE struct program *made = malloc(sizeof *made);
    if (!made)
        return error_set(err, ERROR_NO_MEMORY, "no memory to look for a repacking");
    *made = *p;
    struct class one = p->classes[at];
    one.n = 1;
    if (want->profile == RESCUE_WHOLE)
        one.stays.busy = (slices)~0u;
    else
        layout_add(p->board, &one.stays,
                   (struct placement){(uint8_t)want->profile, (uint8_t)start});
    made->classes[at].n--;
    add_class(made, &one);
    int rc = count > 1 ? pinned(made, want, count - 1, ret, err) : answer(made, ret, err);
    p->visits = made->visits;
    return rc;
}

static int pinned(struct program *p, const struct rescue_want *want, unsigned count,
                  enum repack_answer *ret, struct error *err)
{
    bool unknown = false;
    *ret = REPACK_NONE;
    for (unsigned i = 0; i < p->class_n; i++) {
        const struct class *c = &p->classes[i];
        slices starts =
            want->profile == RESCUE_WHOLE
                ? c->stays.busy == 0
                : layout_fits(p->board, &c->stays, want->profile) & c->allowed[want->profile];
        for (starts &= c->target && c->n ? want->starts : 0; starts;
             starts &= (slices)(starts - 1)) {
            int rc = pin(p, want, count, i, (unsigned)__builtin_ctz(starts), ret, err);
            if (rc < 0 || *ret == REPACK_EXISTS)
                return rc;
            unknown = unknown || *ret == REPACK_UNKNOWN;
        }
    }
    *ret = unknown ? REPACK_UNKNOWN : REPACK_NONE;
    return 0;
}

int repack_holds(const struct rescue_fleet *f, const struct rescue_want *want, unsigned count,
                 enum repack_answer *ret, struct error *err)
{
    AUTO_FREE struct program *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, ERROR_NO_MEMORY, "no memory to look for a repacking");
    p->board = f->board;
    gather(p, f);
    bool anywhere = want->profile != RESCUE_WHOLE && want->starts == (slices)~0u;
    for (unsigned i = 0; i < p->class_n; i++)
        anywhere = anywhere && p->classes[i].target;
    if (!anywhere)
        return pinned(p, want, count, ret, err);
    p->demand[want->profile] += count;
    return answer(p, ret, err);
}
