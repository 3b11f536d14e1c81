/* The same work on the GPUs of a system, shared in each of the ways there are.
 *
 * How many GPUs a way needs is planned by the bound that `fetta plan` uses (needs/late.h) where a
 * slice or GPU is one server's own, and by trying where servers share a device. What requests then
 * take is seen by running arrivals (share/queue.h); jobs run through the daemon's own engine
 * (sim/sim.h), or, where a GPU is shared without slices, by the sums that jobs.c states. Service
 * times are measured or predicted (emul/work.h), and every row says which. The same seed gives the
 * same rows. */
#pragma once

#include "needs/needs.h"

#include <stddef.h>

enum compare_way {
    COMPARE_WHOLE,  /* a whole GPU for each server or job */
    COMPARE_STATIC, /* every GPU cut alike into slices of one size, for good */
    COMPARE_FETTA,  /* slices of the sizes that are needed */
    COMPARE_MPS,    /* whole GPUs, on each of which every service has processes under MPS */
    COMPARE_TURNS,  /* the same without MPS: they take turns */
    COMPARE_WAYS,
};

/* "whole GPUs", ... and what it isolates and what not. */
const char *compare_way_name(enum compare_way way);
const char *compare_isolates(enum compare_way way);
const char *compare_shares(enum compare_way way);

/* Points of a distribution of latencies, and the part of all requests that each is of: rising from
 * 0 to 0.999, evenly in what is left over on a logarithmic scale. */
enum { COMPARE_CURVE = 31 };
double compare_curve_part(unsigned i);

struct compare_service {
    unsigned replicas;    /* servers on all GPUs */
    unsigned batch;       /* most requests at once */
    double rate;          /* requests per second served, all replicas together */
    double p50, p95, p99; /* ms; of one replica as loaded as they are; 0: none */
    double curve[COMPARE_CURVE]; /* ms; the whole distribution */
    double alone;         /* ms of one request when nothing else is there */
    bool in_time;         /* p99 within the target */
    uint8_t profile;      /* of most of the replicas; BOARD_NO_PROFILE: a whole GPU */
    enum work_basis basis;
};

enum { COMPARE_COURSE = 300 };

struct compare_jobs {
    bool known;
    double mean_end, makespan; /* s from the start, all jobs there at once */
    double busy;               /* of these GPUs, the part that jobs need, until the last ended */
    unsigned course_n;         /* the same over time: course_busy[i] from course_at[i] s on */
    double course_at[COMPARE_COURSE], course_busy[COMPARE_COURSE];
};

struct compare_row {
    enum compare_way way;
    char why_not[160]; /* "" where this way can do it at all; what follows is empty otherwise */
    uint32_t gpus;     /* needed for the services; 0 without services */
    bool fits;         /* the system has so many */
    double part;       /* of every rate that the system's GPUs serve in time; at most 1 */
    double rate;       /* requests per second served */
    unsigned tight;    /* the service nearest to its target */
    struct compare_service services[SERVE_MAX];
    double utilisation; /* of the needed GPUs' SMs by services, 0..1; -1: unknown */
    uint32_t users;     /* who can have a share of their own at once; 0: no limit but memory */
    struct compare_jobs jobs;
    double watts;              /* of all GPUs of the system; 0: unknown */
    double usd_hour;           /* of the GPUs needed; 0: unknown */
    unsigned processes, batch; /* MPS, turns: of each service on a GPU, and most at once */
    bool apart; /* MPS, turns: sharing takes more GPUs than one service on each, so none share */
    uint8_t profile; /* STATIC: its only slice */
    unsigned mix_n;  /* layouts in use, and by how many GPUs */
    struct compare_mix {
        uint8_t n[BOARD_PROFILES];
        uint32_t gpus;
    } mixes[SERVE_MIXES];
};

struct compare_system {
    char name[64];
    const struct board *board;
    uint32_t gpus;
    bool unified_memory;
    struct compare_row rows[COMPARE_WAYS];
};

/* Fills rows of a system whose name, board and gpus are set. -ERROR_NO_MEMORY, -ERROR_UNSUPPORTED
 * for a board without published rates. */
int compare_run(const struct needs *n, uint64_t seed, struct compare_system *ret,
                struct error *err);

/* Dollars an hour for one GPU and who says so; 0 and NULL where nothing is published. */
double compare_price(const char *board, const char **ret_source);

/* What is claimed for MIG, held against the rows of a system. */
enum { COMPARE_CLAIMS = 6, COMPARE_TEXT = 400 };
struct compare_verdict {
    const char *claim;
    const char *holds; /* "yes", "no", "only if ..." in one word: "yes", "no", "partly" */
    char figure[COMPARE_TEXT], condition[COMPARE_TEXT];
};
void compare_judge(const struct needs *n, const struct compare_system *s,
                   struct compare_verdict ret[COMPARE_CLAIMS]);

/* The advice in a sentence or two: which way for this work, also "do not partition". */
void compare_advise(const struct needs *n, const struct compare_system *s, char ret[COMPARE_TEXT]);
