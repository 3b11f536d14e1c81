/* Lengths of time, any number of them in a fixed room: counted in buckets a fifth of a per cent
 * wide, so that means are exact and quantiles nearly so. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TIMES_FINE = 512, TIMES_BUCKETS = 64 * TIMES_FINE };

struct times {
    uint64_t n;
    double sum;
    int64_t most;
    uint32_t *buckets; /* [TIMES_BUCKETS] */
};

/* False without memory; times_done frees in either case. */
bool times_init(struct times *t);
void times_done(struct times *t);

/* Adds a length, ns. */
void times_add(struct times *t, int64_t ns);

/* Seconds: their mean, and what so large a part of them (0.95) is at most; 0 if there are none. */
double times_mean(const struct times *t);
double times_part(const struct times *t, double part);
