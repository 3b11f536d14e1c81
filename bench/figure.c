/* Means with intervals, and draws; see figure.h. */
#include "bench/figure.h"

#include "base/macro.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void figure_add(struct figure *f, double v)
{
    f->n++;
    f->sum += v;
    f->squares += v * v;
}

double figure_mean(const struct figure *f)
{
    return f->sum / f->n;
}

double figure_half(const struct figure *f)
{
    /* Of 1 to 30 degrees of freedom; from there on it hardly falls. */
    static const double t[] = {0,    12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23,
                               2.20, 2.18,  2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09, 2.08,
                               2.07, 2.07,  2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04};
    double spread = (f->squares - f->sum * f->sum / f->n) / (f->n - 1);
    return t[MIN(f->n - 1, (unsigned)ARRAY_LEN(t) - 1)] * sqrt(fmax(spread, 0) / f->n);
}

double figure_uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 1) / 9007199254740993.0;
}

double figure_exponential(struct rng *r, double mean)
{
    return -mean * log(figure_uniform(r));
}

double figure_lognormal(struct rng *r, double median, double sigma)
{
    double length = sqrt(-2 * log(figure_uniform(r)));
    return median * exp(sigma * length * cos(6.283185307179586 * figure_uniform(r)));
}

void figure_must(bool right, const char *what)
{
    if (right)
        return;
    (void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
    exit(1);
}
