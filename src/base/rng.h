/* A small seeded generator (splitmix64): the same seed gives the same run everywhere. */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t state;
};

/* The next 64 bits, and the next number of 0..n-1 (n > 0). */
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);
