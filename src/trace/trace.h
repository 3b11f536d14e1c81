/* Traces of jobs: a CSV file that is read as it is needed, so that it may be larger than memory.
 *
 * The first line names the columns: submit_s, run_s and slice, and where wanted count, user, wait_s
 * and priority, in any order. A slice is a profile's name, "gpu" for a whole one, or a need such as
 * "18GiB", "2/7" or "18GiB+2/7". Jobs that were submitted before the one before them, and negative
 * times, are counted; whether that is an error is the caller's to say, after having read it once.
 */
#pragma once

#include "sim/sim.h"

#include <stdio.h>

enum { TRACE_COLUMNS = 7, TRACE_SLICES = 64, TRACE_SLICE = 48 };

/* A slice as written, and what it is on each board. */
struct trace_slice {
    char text[TRACE_SLICE];
    bool whole;
    uint8_t row[SIM_BOARDS];
};

struct trace {
    FILE *in;
    const char *name; /* of the file, for errors */
    const struct sim_setup *fleet;
    int64_t wait; /* of jobs that do not say; TIME_NEVER: without limit */
    unsigned column_n;
    int8_t column[TRACE_COLUMNS * 2];                    /* what each column of the file is */
    uint64_t line, jobs, unordered, negative, first_bad; /* first_bad: a line, 0 if all are good */
    int64_t last;                                        /* submit time of the job before */
    unsigned slice_n;
    struct trace_slice slices[TRACE_SLICES]; /* those met, so that each is understood once */
    char *text;
    size_t room;
};

/* Begins at the start of `in`, which can be rewound: reads the heading. Keeps `name` and `fleet`,
 * of which boards are looked at. ERROR_INVALID with file, line and column. */
int trace_begin(struct trace *t, FILE *in, const char *name, const struct sim_setup *fleet,
                int64_t wait, struct error *err);

/* A sim_source of a struct trace. A job that is out of order is taken at the time of the one before
 * it; one with a negative time is left out. ERROR_INVALID with file, line and column. */
int trace_next(void *arg, struct sim_job *ret, struct error *err);

/* Frees what reading took; the file stays open. */
void trace_done(struct trace *t);
