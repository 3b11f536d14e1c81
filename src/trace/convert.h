/* Traces of other schedulers and studies, turned into ours (trace.h).
 *
 * Rows are read one by one and written one by one, so that a trace may be larger than memory. What
 * a row cannot say is never guessed: a column that the format lacks (arrivals, run times, slices)
 * comes from a rule that the caller gave, and a row that is no job is counted under its reason. */
#pragma once

#include "sim/sim.h"

#include <stdio.h>

/* KIND(id, name, what tells it by its heading) */
#define CONVERT_LIST(KIND)                                                                         \
    KIND(SLURM, "slurm", "sacct -P with a heading: JobID and a column of TRES or GRES")            \
    KIND(ALIBABA, "alibaba", "pods of Alibaba's GPU trace of 2023: gpu_milli, num_gpu")            \
    KIND(PHILLY, "philly", "run times of Philly: runtime")                                         \
    KIND(MISO, "miso", "jobs of MISO: model, runtime_s")                                           \
    KIND(AZURE, "azure-llm", "requests of Azure's LLM traces: ContextTokens, GeneratedTokens")     \
    KIND(FETTA, "fetta", "our own: submit_s, run_s, slice")

enum convert_format {
#define KIND(id, name, what) CONVERT_##id,
    CONVERT_LIST(KIND)
#undef KIND
        CONVERT_FORMATS /* as a wish: to be told by the heading */
};

enum convert_arrivals {
    CONVERT_AS_WRITTEN,
    CONVERT_EVEN,         /* `gap_s` apart, 0: all at once */
    CONVERT_POISSON,      /* at random, `gap_s` apart on average */
    CONVERT_POISSON_LOAD, /* ... so that they ask for `load` of the fleet's compute slices x time */
};

enum convert_round {
    CONVERT_NEED,    /* parts of a GPU stay needs, which simulate meets by the next larger slice */
    CONVERT_UP,      /* the smallest profile of the first board that has as much */
    CONVERT_NEAREST, /* the profile of the first board whose compute is nearest, the larger of two
                      */
};

struct convert_rules {
    enum convert_format format;
    const char *slice; /* what jobs of formats without a slice ask for; NULL: they are refused */
    const char *whole; /* what jobs that ask for a whole GPU ask for: "gpu" */
    enum convert_arrivals arrivals;
    double load, gap_s;
    double speed_up;        /* arrivals come so many times as fast; > 0 */
    double read_s, write_s; /* s per token read and written, azure-llm; both 0: not known */
    uint64_t seed;
    bool sort;    /* put jobs into the order of their arrival */
    bool lenient; /* leave out what is wrong, take what is out of order at the time before it */
    enum convert_round round;
    const struct sim_setup *fleet; /* for a load and for rounding; else NULL */
};

/* Rows that are no jobs, by reason. The first is nobody's fault. */
enum convert_left {
    CONVERT_STEP,
    CONVERT_NO_GPU,
    CONVERT_NOT_STARTED,
    CONVERT_NOT_OVER,
    CONVERT_LEFT
};

enum { CONVERT_FIELDS = 16, CONVERT_COLUMNS = 128, CONVERT_SHOWN = 5, CONVERT_TEXT = 256 };

struct convert {
    struct convert_rules rules;
    const char *name; /* of the input, for errors */
    enum convert_format format;
    bool guessed; /* ... from the heading */
    char separator;
    unsigned column_n;
    int8_t column[CONVERT_FIELDS]; /* where the format's columns are, -1: not there */
    uint64_t line, jobs;
    uint64_t left[CONVERT_LEFT], bad, unordered, negative;
    unsigned shown_n;
    char shown[CONVERT_SHOWN][CONVERT_TEXT]; /* the first rows that were wrong: where, and why */
    int64_t first_us, last_us, least_us;     /* arrivals as written, of jobs */
    int64_t last_run_us;
    bool shorter; /* whether any job runs for less time than the one before it */
    double rate;  /* CONVERT_POISSON_LOAD: jobs a second, once written */
};

/* Reads all of `in` and writes its jobs to `kept`, a file that can be read again; both stay open.
 * Keeps `name` and what `rules` points at. ERROR_INVALID with file, line and column for a heading
 * that is none, for what the format lacks and no rule gives, and, if not lenient, for rows that are
 * wrong; ret->shown says which these are. ERROR_IO, ERROR_NO_MEMORY. */
int convert_read(struct convert *ret, FILE *in, const char *name, const struct convert_rules *rules,
                 FILE *kept, struct error *err);

/* Writes what was kept to `out` as a trace, with arrivals after the rules. ERROR_INVALID for a load
 * that cannot be. */
int convert_write(struct convert *c, FILE *kept, FILE *out, struct error *err);

/* The format called `name`, CONVERT_FORMATS if there is none; its name; and how it is told. */
enum convert_format convert_find(const char *name);
const char *convert_name(enum convert_format format);
const char *convert_about(enum convert_format format);
