/* What is to run on a fleet, as people write it in a work file: services that serve requests of a
 * model at a rate within a time, and jobs that need slices for a while. Read by tables of fields,
 * so that mistakes are told with file, line and column; values from then on. */
#pragma once

#include "base/error.h"
#include "emul/work.h"
#include "plan/serve.h"

#include <stddef.h>

enum { NEEDS_NAME = 32, NEEDS_COMMAND = 512 };

/* One measurement of the user's own. */
struct needs_point {
    char slice[BOARD_PROFILE_NAME]; /* "1g" (the smallest such slice), or a profile's name */
    unsigned batch, processes;
    double rate; /* requests per second, of all processes together */
    double ms;   /* of one batch */
};

struct need {
    char name[NEEDS_NAME];
    bool job;
    char command[NEEDS_COMMAND]; /* what its units run; "" = none given */
    uint64_t bytes;              /* memory that a slice must have */
    /* A service. */
    double rate;      /* requests per second, > 0 */
    double target_ms; /* 99 of 100 are to be served in */
    double most;      /* 0..1 of what a slice can serve is planned for */
    unsigned batch;   /* largest that may be used */
    struct work work; /* model < 0: own points */
    size_t point_n;
    struct needs_point *points;
    /* A job. */
    char profile[BOARD_PROFILE_NAME]; /* "": by need */
    uint16_t compute_ppt;
    unsigned count, at_once; /* jobs, and slices for them at a time */
    int64_t duration;        /* ns, 0 = not said */
};

struct needs {
    unsigned n;
    struct need all[SERVE_MAX];
};

#define AUTO_NEEDS CLEANUP(needs_done)

/* A commented work file that shows every key. */
extern const char needs_example[];

/* Reads a work file's text; `what` names it in errors, and files it names are looked for beside it.
 * -ERROR_INVALID, -ERROR_NOT_FOUND for an unknown model, -ERROR_IO, -ERROR_NO_MEMORY. */
int needs_read(const char *text, size_t size, const char *what, struct needs *ret,
               struct error *err);
void needs_done(struct needs *n);

/* What one slice serves, and how. */
struct needs_offer {
    double rate; /* requests per second in time; of a job: 1; 0: none */
    unsigned batch, processes;
    double ms; /* of one batch */
    enum work_basis basis;
    enum work_source source; /* not for a job, nor for own points */
};

/* What a slice of a profile of a board is to a need. */
struct needs_offer needs_offer(const struct need *n, const struct board *b, unsigned profile);
