/* Buckets of lengths; see times.h. */
#include "sim/times.h"

#include "base/macro.h"
#include "base/time.h"

#include <math.h>
#include <stdlib.h>

bool times_init(struct times *t)
{
    t->buckets = calloc(TIMES_BUCKETS, sizeof *t->buckets);
    return t->buckets;
}

void times_done(struct times *t)
{
    free(t->buckets);
    t->buckets = NULL;
}

/* Exponent and the first bits of the mantissa of a length in ns. */
static unsigned bucket_of(int64_t ns)
{
    if (ns < TIMES_FINE)
        return (unsigned)MAX(ns, 0);
    unsigned shift = 63 - (unsigned)__builtin_clzll((unsigned long long)ns) - 9;
    return (shift + 1) * TIMES_FINE + (unsigned)(ns >> shift) - TIMES_FINE;
}

static double middle_of(unsigned bucket)
{
    if (bucket < TIMES_FINE)
        return bucket;
    unsigned shift = bucket / TIMES_FINE - 1;
    return ldexp(bucket % TIMES_FINE + TIMES_FINE + 0.5, (int)shift);
}

void times_add(struct times *t, int64_t ns)
{
    t->n++;
    t->sum += (double)ns;
    t->most = MAX(t->most, ns);
    t->buckets[bucket_of(ns)]++;
}

double times_mean(const struct times *t)
{
    return t->n ? t->sum / (double)t->n / TIME_S : 0;
}

double times_part(const struct times *t, double part)
{
    uint64_t left = MAX((uint64_t)ceil(part * (double)t->n), (uint64_t)1);
    for (unsigned i = 0; i < TIMES_BUCKETS && t->n; i++) {
        if (t->buckets[i] >= left)
            return middle_of(i) / TIME_S;
        left -= t->buckets[i];
    }
    return 0;
}
