/* One row of a foreign trace, between the reader of lines (convert.c) and those who know what its
 * columns mean (convert-row.c, convert-slurm.c). */
#pragma once

#include "trace/convert.h"
#include "trace/trace.h"

enum { CONVERT_USER = 64 };

/* The fields of a row by the format's own numbering; NULL where the file has no such column. */
struct convert_row {
    char *text[CONVERT_FIELDS];
    size_t column[CONVERT_FIELDS]; /* where each begins in the line, from 1 */
};

struct convert_job {
    int64_t submit_us, run_us;
    char slice[TRACE_SLICE];
    unsigned count;
    char user[CONVERT_USER];
};

/* What became of a row: a job; or wrong, which convert_wrong has written down; or no job, for the
 * reason that is enum convert_left, as ROW_LEFT + reason. */
enum convert_row_is { ROW_JOB, ROW_WRONG, ROW_LEFT };

/* A format: the names of its columns, those that it cannot do without first. */
struct convert_kind {
    char separator;
    unsigned needed; /* so many of the first columns tell the format, and must be there */
    const char *columns[CONVERT_FIELDS];
    bool arrivals, runs, slices; /* whether it has them */
    int (*read)(struct convert *c, const struct convert_row *row, struct convert_job *ret);
};

extern const struct convert_kind convert_kinds[CONVERT_FORMATS];

/* Counts a wrong row, and writes the first few down: field `i` "must be ...". Returns ROW_WRONG. */
int convert_wrong(struct convert *c, const struct convert_row *row, unsigned i, const char *what);

/* Field `i` as a number of seconds, or as a whole number least..most; false once written down. */
bool convert_seconds(struct convert *c, const struct convert_row *row, unsigned i, int64_t *ret_us);
bool convert_whole(struct convert *c, const struct convert_row *row, unsigned i, long least,
                   long most, long *ret);

/* "2023-11-16 18:17:03.9799600" or with a T, taken as UTC: microseconds since 1970. Until
 * 2090, because times of a trace end 126 years after its first. */
bool convert_stamp(const char *text, int64_t *ret_us);

/* Copies a user's name, with what a trace cannot hold (commas, quotes) replaced by '_'. */
void convert_user(const char *text, char ret[CONVERT_USER]);

/* The reader of Slurm's rows, as struct convert_kind has it. */
int convert_slurm(struct convert *c, const struct convert_row *row, struct convert_job *ret);
