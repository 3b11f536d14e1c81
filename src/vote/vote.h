/* Which rule of placement is best for what is asked for here: what was recorded is played again
 * under every rule, and the one in force is given up only for a gain that is more than noise.
 *
 * A pure function, so that it can run anywhere: in a child process at idle priority, and in tests.
 * The same question gives the same answer to the bit.
 *
 * Recorded requests are drawn anew, in runs of consecutive ones, for each replay; all rules get the
 * same draws. The best is found on some of them and judged against the rule in force on others,
 * because the best of many always looks better than it is where it was chosen. */
#pragma once

#include "sim/sim.h"

enum {
    VOTE_JOBS = 2000,     /* most requests that are looked at */
    VOTE_JOBS_LEAST = 16, /* fewer say nothing */
    VOTE_CHOOSING = 8,    /* replays to find the best on */
    VOTE_JUDGING = 24,    /* ... and to judge it on */
};

/* A recorded request. */
struct vote_job {
    int64_t gap;  /* ns since the one before it; the first one's counts too */
    int64_t run;  /* ns it ran; 0: not known, as it was refused: like another of its profile */
    int64_t wait; /* ns it was willing to wait: 0 now or never, TIME_NEVER without limit */
    uint32_t user; /* below SIM_USERS */
    int16_t priority;
    uint8_t count;
    bool whole;
    uint8_t row[SIM_BOARDS]; /* its profile on each group's board, BOARD_NO_PROFILE for none */
};

/* GPUs that are alike: of one board, of one pool, with one applied layout (empty: dynamic). */
struct vote_group {
    struct board board;
    uint32_t gpus;
    enum pool pool;
    struct layout fixed;
};

struct vote_question {
    uint64_t seed;
    int64_t idle_keep;    /* as in struct policy */
    bool warm_by_owner;   /* warm_reuse: owner; group is taken for any */
    enum score_rule rule; /* in force ... */
    struct score_mix mix; /* ... with this mix */
    uint32_t group_n, job_n;
    struct vote_group groups[SIM_BOARDS];
};

enum vote_for {
    VOTE_NOTHING, /* no rule is better than the one in force by more than noise */
    VOTE_WORK,    /* more of the work that is asked for finds a place */
    VOTE_WAIT,    /* as much does, after a shorter wait */
};

/* The gains are of the judging replays, paired, each with half the width of its 95 % interval. */
struct vote_result {
    enum vote_for won;
    enum score_rule rule;           /* the best of the choosing replays, won or not */
    struct score_mix mix;           /* ... and what it is told of the mix; all 0: nothing */
    double work, work_gain, work_noise; /* parts of compute slices x time asked for; under the rule
                                         * in force */
    double wait, wait_gain, wait_noise; /* s, mean; a gain is a shorter wait */
    uint64_t jobs;                  /* played in all */
};

/* Holds the vote on q->job_n requests. -ERROR_INVALID for a question that makes no sense,
 * -ERROR_NO_MEMORY. */
int vote_hold(const struct vote_question *q, const struct vote_job *jobs, struct vote_result *ret,
              struct error *err);
