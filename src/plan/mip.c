/* Dual simplex on a dictionary, and branch and bound around it; see mip.h.
 *
 * A dictionary writes every basic variable as a number plus multiples of the nonbasic ones, of
 * which there are always as many as columns. A branch adds one row and copies the rest, so going
 * back is free and nothing is ever undone. */
#include "plan/mip.h"

#include "base/macro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double tiny = 1e-9, near_whole = 1e-6;

enum {
    DEPTH = 400,
    CUT_ROUNDS = 30, /* of cutting fractions off before branching */
    CUTS = 24,       /* most that stand at a time */
};

/* rows 0..m-1 are basic variables, row m is the cost; column n is the number. Variables 0..n-1 are
 * the x, n.. the surplus of a row or a branch. */
struct dict {
    unsigned m, n, room;
    unsigned *basic, *nonbasic;
    double *cell; /* [room + 1][n + 1]; the cost row is kept first */
};

struct search {
    const struct mip *m;
    struct mip_result *out;
    uint64_t node_max;
    double best;
    bool stopped; /* out of branches: what was left is not known */
    bool no_memory;
};

static double *row_of(const struct dict *d, unsigned i)
{
    return d->cell + (size_t)(i + 1) * (d->n + 1);
}

static double *cost_of(const struct dict *d)
{
    return d->cell;
}

static void dict_done(struct dict *d)
{
    free(d->basic);
    free(d->nonbasic);
    free(d->cell);
}

static bool dict_init(struct dict *d, unsigned n, unsigned room)
{
    *d = (struct dict){.n = n, .room = room};
    d->basic = calloc(room, sizeof *d->basic);
    d->nonbasic = calloc(n, sizeof *d->nonbasic);
    d->cell = calloc((size_t)(room + 1) * (n + 1), sizeof *d->cell);
    if (d->basic && d->nonbasic && d->cell)
        return true;
    dict_done(d);
    return false;
}

static bool dict_copy(struct dict *d, const struct dict *from)
{
    if (!dict_init(d, from->n, from->m + 1))
        return false;
    d->m = from->m;
    memcpy(d->basic, from->basic, from->m * sizeof *d->basic);
    memcpy(d->nonbasic, from->nonbasic, from->n * sizeof *d->nonbasic);
    memcpy(d->cell, from->cell, (size_t)(from->m + 1) * (from->n + 1) * sizeof *d->cell);
    return true;
}

static void pivot(struct dict *d, unsigned r, unsigned j)
{
    double *p = row_of(d, r);
    double by = 1 / p[j];
    unsigned swap = d->basic[r];
    d->basic[r] = d->nonbasic[j];
    d->nonbasic[j] = swap;
    for (unsigned k = 0; k <= d->n; k++)
        p[k] *= -by;
    p[j] = by;
    for (unsigned i = 0; i <= d->m; i++) {
        double *q = d->cell + (size_t)i * (d->n + 1);
        double f = q[j];
        if (q == p || f == 0)
            continue;
        q[j] = 0;
        for (unsigned k = 0; k <= d->n; k++)
            q[k] += f * p[k];
    }
}

/* The basic variable that is most below 0, or with `first` the one of the lowest number, which
 * cannot go round in circles; -1 if all are in order. */
static int leaving(const struct dict *d, bool first)
{
    int r = -1;
    double worst = -tiny * 10; /* less than what mip_holds lets pass */
    for (unsigned i = 0; i < d->m; i++) {
        double v = row_of(d, i)[d->n];
        if (v >= (first ? -tiny * 10 : worst))
            continue;
        if (first && r >= 0 && d->basic[i] > d->basic[r])
            continue;
        worst = v;
        r = (int)i;
    }
    return r;
}

/* What comes in for row r without making any cost negative: the least cost per unit, and among
 * equals the largest pivot, which keeps rounding errors small, or with `first` the lowest number.
 */
static int entering(const struct dict *d, unsigned r, bool first)
{
    const double *p = row_of(d, r), *c = cost_of(d);
    int j = -1;
    double least = HUGE_VAL;
    for (unsigned k = 0; k < d->n; k++) {
        if (p[k] <= tiny * 100)
            continue;
        double ratio = fmax(c[k], 0) / p[k];
        bool tie = j >= 0 && fabs(ratio - least) <= tiny;
        bool wins = first ? d->nonbasic[k] < d->nonbasic[MAX(j, 0)] : p[k] > p[MAX(j, 0)];
        if (j >= 0 && !(tie ? wins : ratio < least))
            continue;
        j = (int)k;
        least = tie ? MIN(ratio, least) : ratio;
    }
    return j;
}

/* Runs to the optimum of the relaxed program; false if nothing holds, or it costs `limit`. */
static bool optimise(struct search *s, struct dict *d, double limit)
{
    unsigned circles = 50 + 4 * (d->m + d->n);
    for (unsigned turn = 0;; turn++) {
        bool first = turn > circles;
        int r = leaving(d, first);
        if (r < 0)
            return cost_of(d)[d->n] < limit;
        int j = entering(d, (unsigned)r, first);
        if (j < 0 || cost_of(d)[d->n] >= limit)
            return false;
        pivot(d, (unsigned)r, (unsigned)j);
        s->out->pivots++;
        if (turn > 40 * circles) { /* no progress for all we know: give the branch up unproved */
            s->stopped = true;
            return false;
        }
    }
}

static void values(const struct dict *d, double *x)
{
    memset(x, 0, d->n * sizeof *x);
    for (unsigned i = 0; i < d->m; i++)
        if (d->basic[i] < d->n)
            x[d->basic[i]] = row_of(d, i)[d->n];
}

bool mip_holds(const struct mip *m, const double *x)
{
    for (unsigned j = 0; j < m->cols; j++)
        if (x[j] < -near_whole || isnan(x[j]))
            return false;
    for (unsigned i = 0; i < m->rows; i++) {
        double sum = 0, size = fmax(fabs(m->b[i]), 1); /* 1: noise around 0 is none either */
        for (unsigned j = 0; j < m->cols; j++) {
            sum += m->a[i * m->cols + j] * x[j];
            size += fabs(m->a[i * m->cols + j] * x[j]);
        }
        if (sum < m->b[i] - 1e-7 * size)
            return false;
    }
    return true;
}

double mip_bound(const struct mip *m, const double *price)
{
    double shrink = 1, bound = 0;
    for (unsigned j = 0; j < m->cols; j++) {
        double sum = 0, size = m->c[j];
        for (unsigned i = 0; i < m->rows; i++) {
            sum += MAX(price[i], 0) * m->a[i * m->cols + j];
            size += fabs(MAX(price[i], 0) * m->a[i * m->cols + j]);
        }
        if (sum > m->c[j] + tiny * size)
            shrink = MIN(shrink, m->c[j] / sum);
    }
    for (unsigned i = 0; i < m->rows; i++)
        bound += MAX(price[i], 0) * m->b[i];
    return MAX(bound, 0) * shrink;
}

static double cost_at(const struct mip *m, const double *x)
{
    double cost = 0;
    for (unsigned j = 0; j < m->cols; j++)
        cost += m->c[j] * x[j];
    return cost;
}

/* What a branch must stay below to be worth anything. */
static double limit_of(const struct search *s)
{
    if (isinf(s->best))
        return HUGE_VAL;
    return s->m->whole_cost ? s->best - 1 + near_whole : s->best - near_whole * fabs(s->best);
}

static void offer(struct search *s, const double *x)
{
    double whole[MIP_COLS];
    for (unsigned j = 0; j < s->m->cols; j++)
        whole[j] = s->m->continuous && s->m->continuous[j] ? x[j] : round(x[j]);
    double cost = cost_at(s->m, whole);
    if (cost >= s->best - near_whole || !mip_holds(s->m, whole))
        return;
    s->best = cost;
    s->out->cost = cost;
    s->out->state = MIP_FEASIBLE;
    memcpy(s->out->x, whole, s->m->cols * sizeof *whole);
}

/* The x to branch on: farthest from whole; costly ones first, as they decide. -1: all are whole. */
static int fractional(const struct mip *m, const double *x)
{
    int pick = -1;
    double most = 0;
    for (unsigned j = 0; j < m->cols; j++) {
        double off = fabs(x[j] - round(x[j]));
        if (off <= near_whole || (m->continuous && m->continuous[j]))
            continue;
        off += (m->c[j] > 0 ? 1 : 0) + (m->early && m->early[j] ? 2 : 0);
        if (off > most) {
            most = off;
            pick = (int)j;
        }
    }
    return pick;
}

/* Adds the row "x_j at least its value rounded up", or at most rounded down. x_j is basic. */
static void add_branch(struct dict *d, unsigned j, bool up)
{
    unsigned i = 0;
    while (d->basic[i] != j)
        i++;
    const double *from = row_of(d, i);
    double *to = row_of(d, d->m);
    for (unsigned k = 0; k <= d->n; k++)
        to[k] = up ? from[k] : -from[k];
    to[d->n] = up ? from[d->n] - ceil(from[d->n]) : floor(from[d->n]) - from[d->n];
    d->basic[d->m] = d->n + MIP_ROWS + d->m;
    d->m++;
}

static void branch(struct search *s, const struct dict *d, unsigned depth);

static void take_branch(struct search *s, const struct dict *from, unsigned j, bool up,
                        unsigned depth)
{
    struct dict d;
    if (s->no_memory || limit_of(s) <= s->out->bound - near_whole)
        return;
    if (depth >= DEPTH || s->out->nodes >= s->node_max) {
        s->stopped = true;
        return;
    }
    s->out->nodes++;
    if (!dict_copy(&d, from)) {
        s->no_memory = true;
        return;
    }
    add_branch(&d, j, up);
    if (optimise(s, &d, limit_of(s)))
        branch(s, &d, depth + 1);
    dict_done(&d);
}

static void branch(struct search *s, const struct dict *d, unsigned depth)
{
    double x[MIP_COLS], rounded[MIP_COLS];
    values(d, x);
    int j = fractional(s->m, x);
    if (j < 0) {
        offer(s, x);
        return;
    }
    memcpy(rounded, x, sizeof rounded);
    if (s->m->round && s->m->round(s->m->arg, rounded))
        offer(s, rounded);
    if (cost_of(d)[d->n] >= limit_of(s))
        return;
    take_branch(s, d, (unsigned)j, true, depth);
    take_branch(s, d, (unsigned)j, false, depth);
}

static bool first_dict(const struct mip *m, struct dict *d)
{
    if (!dict_init(d, m->cols, m->rows + 2 * CUTS + 1))
        return false;
    d->m = m->rows;
    for (unsigned j = 0; j < m->cols; j++) {
        d->nonbasic[j] = j;
        cost_of(d)[j] = m->c[j];
    }
    for (unsigned i = 0; i < m->rows; i++) {
        d->basic[i] = m->cols + i;
        memcpy(row_of(d, i), m->a + (size_t)i * m->cols, m->cols * sizeof *m->a);
        row_of(d, i)[m->cols] = -m->b[i];
    }
    return true;
}

/* The prices of rows are the costs of their surplus at the relaxed optimum. */
static void read_prices(const struct dict *d, const struct mip *m, struct mip_result *ret)
{
    for (unsigned k = 0; k < d->n; k++)
        if (d->nonbasic[k] >= m->cols && d->nonbasic[k] < m->cols + m->rows)
            ret->price[d->nonbasic[k] - m->cols] = MAX(cost_of(d)[k], 0);
    ret->relax = mip_bound(m, ret->price);
    ret->bound = m->whole_cost ? ceil(ret->relax - near_whole) : ret->relax;
}

static double fraction(double v)
{
    return v - floor(v);
}

/* Whether a variable is whole in every whole solution: an x, or the surplus of a row in whole
 * numbers. The surplus of a cut is not. */
static bool is_whole(const struct mip *m, unsigned v)
{
    if (v < m->cols)
        return !(m->continuous && m->continuous[v]);
    unsigned i = v - m->cols;
    if (i >= m->rows || fraction(m->b[i]) != 0)
        return false;
    for (unsigned j = 0; j < m->cols; j++) {
        double a = m->a[(size_t)i * m->cols + j];
        if (a != 0 && (fraction(a) != 0 || (m->continuous && m->continuous[j])))
            return false;
    }
    return true;
}

/* Gomory's mixed-integer cut from the row of a fractional x: adds a row that the present values
 * break and every whole solution keeps. Rows of wild figures are left out, as they would cut by
 * rounding errors; the right side is eased a little for the same reason. */
static bool add_cut(const struct mip *m, struct dict *d, unsigned i)
{
    const double *from = row_of(d, i);
    double *to = row_of(d, d->m);
    double f0 = fraction(from[d->n]), least = HUGE_VAL, most = 0;
    if (f0 < 0.02 || f0 > 0.98)
        return false;
    for (unsigned k = 0; k < d->n; k++) {
        double a = -from[k], f = fraction(a);
        if (is_whole(m, d->nonbasic[k])) {
            f = f > 1 - tiny ? 0 : f;
            to[k] = f <= f0 ? f / f0 : (1 - f) / (1 - f0);
        } else {
            to[k] = a > 0 ? a / f0 : -a / (1 - f0);
        }
        to[k] = to[k] < tiny ? 0 : to[k];
        least = to[k] > 0 ? fmin(least, to[k]) : least;
        most = fmax(most, to[k]);
    }
    to[d->n] = -1 + 1e-7;
    if (most > 1e6 * least)
        return false;
    d->basic[d->m] = d->n + MIP_ROWS + d->m;
    d->m++;
    return true;
}

/* Lets go of cuts that do not bind any more. */
static void drop_cuts(const struct mip *m, struct dict *d)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < d->m; i++) {
        if (d->basic[i] >= m->cols + m->rows && row_of(d, i)[d->n] > tiny)
            continue;
        if (kept != i) {
            d->basic[kept] = d->basic[i];
            memcpy(row_of(d, kept), row_of(d, i), (d->n + 1) * sizeof(double));
        }
        kept++;
    }
    d->m = kept;
}

/* Tightens the relaxed program before any branching; false if nothing below the limit is left. */
static bool cut_fractions(struct search *s, struct dict *d)
{
    for (unsigned turn = 0; turn < CUT_ROUNDS; turn++) {
        double before = cost_of(d)[d->n];
        unsigned rows = d->m, added = 0;
        for (unsigned i = 0; i < rows && added < CUTS && d->m < d->room - 1; i++)
            if (d->basic[i] < d->n && !(s->m->continuous && s->m->continuous[d->basic[i]]))
                added += add_cut(s->m, d, i);
        if (!added)
            return true;
        if (!optimise(s, d, limit_of(s)))
            return false;
        drop_cuts(s->m, d);
        if (cost_of(d)[d->n] < before + 1e-5)
            return true;
    }
    return true;
}

static int check(const struct mip *m, struct error *err)
{
    if (m->rows > MIP_ROWS || m->cols > MIP_COLS || m->cols == 0)
        return error_set(err, ERROR_INVALID, "a program of %u rows and %u columns is too large",
                         m->rows, m->cols);
    for (unsigned j = 0; j < m->cols; j++)
        if (!(m->c[j] >= 0))
            return error_set(err, ERROR_INVALID, "column %u costs less than nothing", j);
    return 0;
}

int mip_solve(const struct mip *m, struct mip_result *ret, struct error *err)
{
    struct dict d;
    *ret = (struct mip_result){.state = MIP_UNKNOWN};
    int rc = check(m, err);
    if (rc < 0)
        return rc;
    if (!first_dict(m, &d))
        return error_set(err, ERROR_NO_MEMORY, "no memory for the plan");
    struct search s = {.m = m,
                       .out = ret,
                       .node_max = m->node_max ? m->node_max : 1000000,
                       .best = m->hint > 0 ? m->hint : HUGE_VAL};
    if (optimise(&s, &d, HUGE_VAL)) {
        read_prices(&d, m, ret);
        if (cut_fractions(&s, &d))
            branch(&s, &d, 0);
        bool all = !s.stopped && !s.no_memory;
        if (ret->state == MIP_FEASIBLE && all) {
            ret->state = MIP_OPTIMAL;
            ret->bound = ret->cost;
        } else if (ret->state == MIP_UNKNOWN && all && !(m->hint > 0)) {
            ret->state = MIP_INFEASIBLE;
        }
    } else if (!s.stopped) {
        ret->state = MIP_INFEASIBLE;
    }
    dict_done(&d);
    return s.no_memory ? error_set(err, ERROR_NO_MEMORY, "no memory for the plan") : 0;
}
