/* A fleet on a virtual clock, decided by the very engine that the daemon runs.
 *
 * Jobs come in, the engine places them or makes them wait, a make-believe driver makes and destroys
 * instances in the times it is given, and jobs end when they have run. Nothing is decided here: a
 * policy is a rule that the engine follows, or a layout that was applied to it. The same jobs,
 * setup and seed give the same result to the bit. */
#pragma once

#include "base/rng.h"
#include "engine/outcome.h"

enum {
    SIM_BOARDS = 4,      /* most kinds of GPUs in one fleet */
    SIM_GPUS = 1 << 21,  /* most GPUs */
    SIM_USERS = 1 << 20, /* owners are numbered below this */
};

/* One request and what becomes of it when it gets its slices. */
struct sim_job {
    int64_t submit; /* ns of the run; not before the job that came before it */
    int64_t run;    /* ns it runs from its grant on; > 0 */
    int64_t wait;   /* ns it waits at most; 0 now or never, TIME_NEVER without limit */
    uint32_t user;
    int16_t priority;
    uint8_t count;           /* slices, all or none */
    bool whole;              /* whole GPUs; `row` is not looked at */
    uint8_t row[SIM_BOARDS]; /* its profile on each board, BOARD_NO_PROFILE where it has none */
    float gpc; /* compute slices it has use for, where it gets more than that; 0: all it gets */
    uint16_t asked_for; /* sim_asked_for what it is counted under; 0: as it stands here */
};

/* A profile of a group's board, or 0 for whole GPUs, as one number. */
static inline uint16_t sim_asked_for(unsigned group, unsigned row)
{
    return (uint16_t)(1 + group * BOARD_PROFILES + row);
}

struct sim_group {
    const struct board *board;
    uint32_t gpus;
    struct layout fixed; /* applied to each of them before the first job; empty: dynamic */
    enum pool pool;      /* what each of them may become; elastic if nothing is said */
};

struct record; /* sim/record.h */

/* What the driver takes to do something on a GPU of a group, ns. May draw from `rng`, which begins
 * at the setup's seed in every run, so that the same run takes the same times. */
enum sim_op { SIM_CREATE, SIM_DESTROY, SIM_MODE };
typedef int64_t sim_delay(const void *arg, unsigned group, enum sim_op op, struct rng *rng);

/* Who decides which job is next, and where it goes: the engine; or a queue that is scanned
 * (sim/scan.h), with the engine's rule or one of those that others have. */
enum sim_queue { SIM_ENGINE, SIM_SCAN };
enum sim_place {
    SIM_BY_RULE,
    SIM_ROUND_ROBIN, /* the first GPU with room after the last that was used, its lowest start */
    SIM_RANDOM,      /* any GPU with room, any start */
    SIM_HAMI,        /* the first GPU with room, starts in HAMi's order */
    SIM_REPACK,      /* anything that some packing of all that runs would hold: a reference */
};

struct sim_setup {
    unsigned group_n;
    struct sim_group groups[SIM_BOARDS];
    int64_t create_ns, destroy_ns, mode_ns; /* what the driver takes; 0: no time */
    sim_delay *delay;                       /* ... if not NULL, this instead */
    const void *delay_arg;
    uint64_t seed;
    int64_t idle_keep;      /* instances nobody uses stay so long; TIME_NEVER: until in the way */
    bool warm_by_owner;     /* idle instances are for their last owner alone, not for anybody */
    enum sim_queue queue;
    enum sim_place place;   /* of SIM_SCAN */
    enum score_rule rule;   /* how the engine chooses a place */
    struct score_mix mix;   /* ... for which requests */
    bool told_runtime;      /* the engine knows how long jobs run, as by --for */
    uint32_t quota_compute; /* compute slices of one user at a time; 0: no limit */
    int64_t from,
        until;          /* the window of the figures; until 0: from the first job to the last end */
    uint32_t lease_max; /* most that live or wait at a time; 0: enough for any but huge queues */
    struct detail *detail; /* filled with what averages hide; NULL: nothing is */
    struct record *record; /* filled with what the run looked like over time; NULL: nothing is */
};

/* Where jobs come from: fills one and returns 1, returns 0 after the last, or a negative code. */
struct sim_source {
    int (*next)(void *arg, struct sim_job *ret, struct error *err);
    void *arg;
};

/* What happened. Figures in GPC are compute slices of the profile times ns of running. */
struct sim_result {
    uint64_t asked, granted, refused, done, steps;
    double gpc_asked, gpc_granted; /* compute slices x run time of jobs that asked in the window */
    double gpc_busy;               /* compute slices x ns in use, inside the window */
    double gpc_all;                /* compute slices x ns there were */
    double gpu_used;               /* GPUs with any lease on them, mean over the window */
    double wait_mean, wait_p95, wait_p99, wait_most; /* s, of jobs granted */
    double end_mean;                                 /* s from submit to end */
    double makespan;                                 /* s from the first submit to the last end */
    uint64_t made, destroyed;                        /* instances */
    struct outcome_cost cost;                        /* of all steps */
    int64_t last;                                    /* ns of the last event */
};

/* Called now and then on long runs with the jobs asked so far; NULL: not. */
typedef void sim_progress(void *arg, uint64_t asked);

/* Runs all jobs to their end. ERROR_INVALID for a setup or a job that cannot be (with its number),
 * the source's error, ERROR_NO_MEMORY. */
int sim_run(const struct sim_setup *setup, const struct sim_source *source, sim_progress *progress,
            void *progress_arg, struct sim_result *ret, struct error *err);
