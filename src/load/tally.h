/* Durations counted in classes of a width of 1 in 256, so that a run of any length takes the same
 * memory and its quantiles are right within 0.4 %. */
#pragma once

#include <stdint.h>

enum { TALLY_PARTS = 256, TALLY_CLASSES = 56 * TALLY_PARTS };

/* All zero is an empty one. */
struct tally {
    uint64_t n;
    double sum;
    int64_t most;
    uint32_t counts[TALLY_CLASSES];
};

/* Counts a duration of at least 0 ns. */
void tally_add(struct tally *t, int64_t ns);

/* Mean and quantile (0 to 1) in ns; 0 for an empty tally. */
double tally_mean(const struct tally *t);
double tally_quantile(const struct tally *t, double q);
