/* Time of many repetitions: medians, since a mean tells more of the machine's other work. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Monotonic time in ns. */
int64_t clock_now(void);

/* Sorts `took` (ns) and prints "NAME P50 P90 P99 N" with numbers in ns. */
void clock_print(const char *name, int64_t *took, size_t n);
