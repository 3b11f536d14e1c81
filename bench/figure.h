/* What several runs say together: a mean and its 95 % interval, and the draws that runs are made
 * of. */
#pragma once

#include "base/rng.h"

#include <stdbool.h>

struct figure {
    unsigned n;
    double sum, squares;
};

void figure_add(struct figure *f, double v);
double figure_mean(const struct figure *f);

/* Half a 95 % interval of the mean, by Student's t; two runs or more. */
double figure_half(const struct figure *f);

/* Draws: evenly from (0, 1], exponential, and lognormal with this median and this sigma. */
double figure_uniform(struct rng *r);
double figure_exponential(struct rng *r, double mean);
double figure_lognormal(struct rng *r, double median, double sigma);

/* Ends the program with `what` on standard error unless `right`. */
void figure_must(bool right, const char *what);
