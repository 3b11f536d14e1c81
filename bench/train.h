/* Training jobs whose speed on every slice is known, on a fleet that is cut for them: the jobs, the
 * ways to serve them, and a run. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    TRAIN_SIZES = 5, /* 1g, 2g, 3g, 4g, 7g */
    TRAIN_WHOLE = TRAIN_SIZES - 1,
    TRAIN_NOWHERE = -1,
    TRAIN_KINDS = 48,
    TRAIN_TRACE = 100,
    TRAIN_JOBS = 400,
    TRAIN_GPUS = 40,
    TRAIN_ON_GPU = 7,
    TRAIN_MIXES = 16,
};

struct train_kind {
    char model[24];
    unsigned batch;
    double speed[TRAIN_SIZES]; /* of that on a whole GPU; 0: does not fit */
};

struct train_job {
    double arrive, work, left; /* s on a whole GPU */
    double held_until;         /* stands still up to then */
    double end;
    unsigned kind;
    int gpu, size; /* TRAIN_NOWHERE: waits, or is over */
};

struct train_gpu {
    unsigned n, jobs[TRAIN_ON_GPU];
};

enum train_way { TRAIN_UNCUT, TRAIN_STAYS, TRAIN_MISO, TRAIN_OURS, TRAIN_FREE };

struct train_policy {
    enum train_way way;
    unsigned mix;   /* TRAIN_STAYS: every GPU is cut so */
    double charge;  /* s */
    double favour;  /* TRAIN_OURS: a job counts by its time left to minus this power */
    double horizon; /* s for which a cut is expected to last */
};

struct train_world {
    unsigned kind_n, mix_n, gpu_n, job_n;
    struct train_kind kinds[TRAIN_KINDS];
    struct {
        unsigned kind;
        double work;
    } trace[TRAIN_TRACE];
    uint8_t mixes[TRAIN_MIXES][TRAIN_SIZES]; /* slices of each size: the largest a GPU can hold */
    struct train_policy policy;
    struct train_job jobs[TRAIN_JOBS];
    struct train_gpu gpus[TRAIN_GPUS];
    double now;
    unsigned arrived;
    uint64_t changes; /* jobs whose slice changed while they ran */
};

/* Compute slices of each size. */
extern const unsigned train_compute[TRAIN_SIZES];

/* Reads miso-training in `dir` into an empty world; false if it is not there. */
bool train_read(const char *dir, struct train_world *w);

/* Draws job_n jobs at a load, 1 being what whole GPUs can just do; the fleet is empty. */
void train_make(struct train_world *w, double load, uint64_t seed);

/* Runs all jobs to their end by the policy; the mean time from arrival to end, in seconds. */
double train_run(struct train_world *w);
