/* Holds the forms of src/share against points that bench/share hands over, and tells how far off
 * they are.
 *
 * Lines in, words separated by spaces, times in any unit, 0 for what was not measured:
 *     F bend mix weak                            a form for slices to be judged; several are
 *     S table model work t1 t2 t3 t4 t7          a step on slices; 1g and 7g are known, the rest
 * judged M table processes alone weak k measured    under MPS; `weak`, `k`: the same step on a
 * slice; the error is that of throughput T table processes alone switching measured time slicing P
 * table sum measured weight                a pair without partition, utilisation and speed Lines
 * out: form or kind, table, points, mean error and median error in percent, mean signed error. */
#include "share/share.h"

#include "base/macro.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4096, FORMS = 1024, NAME = 32 };

struct row {
    char kind, table[NAME], model[NAME];
    double x[7];
};

static struct row rows[ROWS];
static unsigned row_n, form_n;
static struct share_form forms[FORMS];
static double errors[ROWS * 3], weights[ROWS * 3];

static const unsigned columns[] = {1, 2, 3, 4, 7};
/* Shares of an A100's memory slices, in eighths. */
static const unsigned bandwidth[] = {1, 2, 4, 4, 8};

static bool read_line(const char *line)
{
    struct row *r = &rows[row_n];
    struct share_form *f = &forms[form_n];
    double *x = r->x;
    *r = (struct row){.kind = line[0]};
    if (line[0] == 'F' && form_n < FORMS &&
        sscanf(line, "F %lf %lf %lf", &f->bend, &f->mix, &f->weak) == 3) {
        form_n++;
        return true;
    }
    int n = 0;
    if (line[0] == 'S')
        n = sscanf(line, "S %31s %31s %lf %lf %lf %lf %lf %lf", r->table, r->model, &x[0], &x[1],
                   &x[2], &x[3], &x[4], &x[5]);
    else
        n = sscanf(line + 1, "%31s %lf %lf %lf %lf %lf", r->table, &x[0], &x[1], &x[2], &x[3],
                   &x[4]);
    row_n += row_n + 1 < ROWS;
    return n >= 4;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void tell(const char *what, unsigned index, const char *table, unsigned n)
{
    double sum = 0, bias = 0, weight = 0;
    for (unsigned i = 0; i < n; i++) {
        sum += fabs(errors[i]) * weights[i];
        bias += errors[i] * weights[i];
        weight += weights[i];
        errors[i] = fabs(errors[i]);
    }
    qsort(errors, n, sizeof *errors, by_size);
    if (n > 0)
        printf("%s %u %s %u %.4f %.4f %.4f\n", what, index, table, n, 100 * sum / weight,
               100 * (errors[(n - 1) / 2] + errors[n / 2]) / 2, 100 * bias / weight);
}

static void add(unsigned *n, double predicted, double measured, double weight)
{
    errors[*n] = predicted / measured - 1;
    weights[(*n)++] = weight;
}

/* All rows of one model of a table, from the first of them, judged; returns how many there are. */
static unsigned judge_model(const struct share_form *f, unsigned first, unsigned *n)
{
    struct share_point points[ROWS];
    unsigned size = 0;
    while (first + size < row_n && rows[first + size].kind == 'S' &&
           strcmp(rows[first + size].table, rows[first].table) == 0 &&
           strcmp(rows[first + size].model, rows[first].model) == 0) {
        const double *x = rows[first + size].x;
        points[size++] = (struct share_point){x[0], x[1], x[5]};
    }
    double strong = share_strength(f, 7, 8);
    for (unsigned i = 0; i < size; i++)
        for (unsigned c = 1; c < 4 && points[i].weak > 0 && points[i].strong > 0; c++) {
            double k = share_strength(f, columns[c], bandwidth[c]);
            if (rows[first + i].x[1 + c] > 0)
                add(n, share_time(f, points, size, i, k, strong), rows[first + i].x[1 + c], 1);
        }
    return size;
}

static double predict(const struct row *r)
{
    const double *x = r->x;
    if (r->kind == 'M')
        return share_mps(x[1], share_device(x[1], x[2], x[3]), (unsigned)x[0]);
    return r->kind == 'T' ? share_turns(x[1], (unsigned)x[0], x[2]) : share_together(x[0]);
}

static void judge_row(const struct row *r, unsigned *n)
{
    double is = predict(r);
    if (r->kind == 'M')
        add(n, 1 / is, 1 / r->x[4], 1);
    else
        add(n, is, r->x[r->kind == 'T' ? 3 : 1], r->kind == 'P' ? r->x[2] : 1);
}

static void judge(const char *table, char kind)
{
    unsigned n = 0;
    for (unsigned f = 0; f < form_n && kind == 'S'; f++, n = 0) {
        for (unsigned i = 0; i < row_n;)
            i += strcmp(rows[i].table, table) == 0 && rows[i].kind == 'S'
                     ? judge_model(&forms[f], i, &n)
                     : 1;
        tell("S", f, table, n);
    }
    for (unsigned i = 0; i < row_n && kind != 'S'; i++)
        if (strcmp(rows[i].table, table) == 0 && rows[i].kind == kind)
            judge_row(&rows[i], &n);
    if (kind != 'S')
        tell((char[2]){kind, 0}, 0, table, n);
}

int main(void)
{
    char line[256];
    forms[form_n++] = share_house;
    for (unsigned n = 1; fgets(line, sizeof line, stdin); n++)
        if (!read_line(line)) {
            fprintf(stderr, "bench-share: line %u is none of mine: %s", n, line);
            return 2;
        }
    for (unsigned i = 0; i < row_n; i++) {
        bool first = true;
        for (unsigned k = 0; k < i && first; k++)
            first = rows[k].kind != rows[i].kind || strcmp(rows[k].table, rows[i].table) != 0;
        if (first)
            judge(rows[i].table, rows[i].kind);
    }
    return 0;
}
