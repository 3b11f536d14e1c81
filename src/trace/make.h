/* Traces made up: jobs that come at random in a mix that is given, as the placement literature has
 * them. The same setup and seed give the same trace. */
#pragma once

#include "sim/sim.h"

enum { MAKE_CLASSES = 6 }; /* 1g, 1g with double memory, 2g, 3g, 4g, 7g */

enum make_times {
    MAKE_EXPONENTIAL, /* with `mean` */
    MAKE_LOGNORMAL,   /* median 600 s, sigma 0.8: MIGBench's */
    MAKE_PHILLY,      /* between the published tenths and hundredths of Philly's run times */
    MAKE_TIMES
};

struct make {
    const char *mix;
    double load; /* compute slices x time asked for, of those the fleet has */
    enum make_times times;
    double mean_s; /* MAKE_EXPONENTIAL */
    uint64_t seed, jobs;
    /* Set by make_begin. */
    uint64_t state, made;
    double rate, now_s; /* jobs a second */
    double upto[MAKE_CLASSES];
    uint8_t row[MAKE_CLASSES]; /* on the first board, whose names all others must know */
};

/* Names of the mixes, NULL behind the last, and of the times. */
extern const char *const make_mixes[];
extern const char *const make_times[MAKE_TIMES];

/* Checks and begins. ERROR_INVALID for a mix that is not known or that the board cannot serve. */
int make_begin(struct make *m, const struct sim_setup *fleet, struct error *err);

/* A sim_source of a struct make: row[0] is the profile, the times are whole microseconds. */
int make_next(void *arg, struct sim_job *ret, struct error *err);
