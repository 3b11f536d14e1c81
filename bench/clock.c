/* Time of many repetitions; see clock.h. */
#include "bench/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t clock_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void clock_print(const char *name, int64_t *took, size_t n)
{
    if (n == 0)
        return;
    qsort(took, n, sizeof *took, by_size);
    (void)printf("%s %lld %lld %lld %zu\n", name, (long long)took[n / 2],
                 (long long)took[n * 9 / 10], (long long)took[n * 99 / 100], n);
}
