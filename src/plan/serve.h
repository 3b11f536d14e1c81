/* The fewest GPUs of one kind that serve so many requests per second of each model in time.
 *
 * Every service may run on any number of slices of any sizes; what one slice of each profile serves
 * within the latency target is measured or predicted elsewhere and given here as a rate. What is
 * left is a covering program over the board's largest mixes and the whole ways to serve a service;
 * prices of slices are a proof that no layout of fewer GPUs exists. */
#pragma once

#include "plan/pack.h"

enum { SERVE_MAX = 24, SERVE_MIXES = 128 };

struct serve_service {
    double rate;                      /* requests per second wanted, > 0 */
    double per_slice[BOARD_PROFILES]; /* served by one slice of the profile; 0: not in time */
};

struct serve_plan {
    bool optimal;                                 /* false: `gpus` holds, `bound` is all we know */
    uint32_t gpus, bound;                         /* nothing does with fewer than `bound` */
    double relax;                                 /* the sum of least[], whose ceiling is `bound` */
    uint32_t replicas[SERVE_MAX][BOARD_PROFILES]; /* slices of each profile for each service */
    uint32_t mixes[SERVE_MIXES];                  /* GPUs cut to each Pareto mix of the table */
    /* The proof: at these prices no mix of the table costs more than one GPU, and no whole number
     * of slices that serves a service costs less than least[] of it. */
    double price[BOARD_PROFILES], least[SERVE_MAX];
    uint64_t nodes; /* branches looked at */
};

/* `n` services, at most SERVE_MAX. ERROR_NEVER if one of them has a rate and no profile that serves
 * it in time, with *ret_which its number; ERROR_UNSUPPORTED if the program is too large;
 * ERROR_NO_MEMORY. */
int serve_fewest(const struct pack *p, const struct table *t, const struct serve_service *services,
                 unsigned n, struct serve_plan *ret, unsigned *ret_which, struct error *err);
