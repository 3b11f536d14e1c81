/* Where a job of a scanned queue goes: GPUs with what is on them, and the rules of others. */
#pragma once

#include "base/rng.h"
#include "sim/sim.h"

struct scan_gpu {
    struct layout layout; /* of what is on it */
    uint8_t group;
    bool whole;     /* one job has all of it */
    uint16_t taken; /* instances of the group's fixed layout, by index */
};

struct scan_fleet {
    const struct sim_setup *setup;
    size_t gpu_n;
    struct scan_gpu *gpus;
    struct score *scores[SIM_BOARDS]; /* SIM_BY_RULE */
    size_t turn;                      /* SIM_ROUND_ROBIN: the GPU to look at first */
    struct rng rng;                   /* SIM_RANDOM */
    struct scan_repack *repack;       /* SIM_REPACK */
};

/* -ERROR_NO_MEMORY; done in either case. */
int scan_fleet_init(struct scan_fleet *f, const struct sim_setup *s, struct error *err);
void scan_fleet_done(struct scan_fleet *f);

/* Takes all slices of a job, or none: their number, 0 if they do not fit, and where they are in
 * ret[0 .. REQUEST_SLICES). With SIM_REPACK nobody knows where; ret[0].gpu is then the group. */
unsigned scan_take(struct scan_fleet *f, const struct sim_job *j, struct lease_slice *ret);

/* Gives n slices back that a job of this kind has taken. */
void scan_give(struct scan_fleet *f, const struct sim_job *j, const struct lease_slice *at,
               unsigned n);
