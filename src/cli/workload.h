/* work.yaml: the work that `fetta plan` and `fetta compare` are asked about.
 *
 *     services:                 # answer requests, for good
 *       - name: search          # the model's name if left out
 *         model: bert           # one of `fetta emulate load --list`
 *         rate: 200             # requests per second
 *         latency: 100ms        # 99 of 100 requests are answered within it
 *     jobs:                     # run and end
 *       - name: nightly
 *         profile: 1g.10gb      # or memory: 18GiB and compute: 2/7, or gpus: 1
 *         count: 20
 *         duration: 30m         # on that slice
 */
#pragma once

#include "emul/work.h"

#include <stddef.h>

enum { WORKLOAD_MAX = 24, WORKLOAD_NAME = 48 };

struct workload_service {
    char name[WORKLOAD_NAME];
    struct work work;
    double rate;     /* requests per second, > 0 */
    int64_t latency; /* ns, > 0 */
};

struct workload_job {
    char name[WORKLOAD_NAME];
    char profile[BOARD_PROFILE_NAME]; /* "" where it is by need */
    uint64_t bytes;                   /* memory at least; 0: any */
    uint16_t compute_ppt;             /* thousandths of the compute slices at least; 0: any */
    bool whole;                       /* a whole GPU */
    uint32_t count;                   /* > 0 */
    int64_t duration;                 /* ns, > 0 */
};

struct workload {
    unsigned service_n, job_n;
    struct workload_service services[WORKLOAD_MAX];
    struct workload_job jobs[WORKLOAD_MAX];
};

/* Reads a file's text; `what` names it in errors, which say line, column and what was expected.
 * -ERROR_INVALID, also without any service or job; -ERROR_NOT_FOUND for a model that there are no
 * figures for, with the nearest. */
int workload_read(const char *text, size_t size, const char *what, struct workload *ret,
                  struct error *err);

/* Reads a file, "-" for stdin. */
int workload_load(const char *path, struct workload *ret, struct error *err);

/* A commented example, which workload_read takes. */
extern const char workload_example[];
