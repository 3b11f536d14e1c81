/* What a run looked like over time, in the same room however long it is.
 *
 * Time is cut into parts of equal length; when the last of them is used up, every two become one
 * and the length doubles. So the same run gives the same record, and a run of any length one that
 * is good to draw. Of large fleets a few GPUs are looked at slice by slice, spread evenly. */
#pragma once

#include "sim/sim.h"

enum { RECORD_PARTS = 300, RECORD_GPUS = 8, RECORD_SLICES = 16, RECORD_CURVE = 101 };

/* Who had a memory slice, and as part of what; lease 0: nobody. */
struct record_spot {
    uint32_t lease;
    uint8_t profile; /* BOARD_NO_PROFILE: the whole GPU */
};

struct record {
    int64_t begin, width, end; /* ns: of the run, of a part, and of what is written down */
    /* Sums over each part, in units x ns: compute slices at work, GPUs with any lease on them, jobs
     * that wait. record_mean divides. */
    double busy[RECORD_PARTS], used[RECORD_PARTS], waiting[RECORD_PARTS];
    unsigned gpu_n;
    uint32_t gpus[RECORD_GPUS]; /* those that are looked at, by number in the fleet */
    struct record_spot spots[RECORD_PARTS][RECORD_GPUS][RECORD_SLICES]; /* as each part began */
    /* Seconds that i per cent of the judged jobs waited at most; and from submit to end. */
    double waits[RECORD_CURVE], ends[RECORD_CURVE];

    struct record_spot now[RECORD_GPUS][RECORD_SLICES];
    int64_t waiting_now;
    bool begun;
};

/* Parts that have begun, 0..RECORD_PARTS; where a part begins, s from the begin of the record (part
 * record_parts: its end); and the mean of one of the sums over a part. */
unsigned record_parts(const struct record *r);
double record_at(const struct record *r, unsigned part);
double record_mean(const struct record *r, const double *sums, unsigned part);

/* An empty record of such a fleet that begins at `begin`. */
void record_begin(struct record *r, const struct sim_setup *s, int64_t begin);

/* Adds values to the time from..to, which is not before the begin. */
void record_add(struct record *r, int64_t from, int64_t to, double busy, double used,
                double waiting);

/* What the simulator tells it. Time passes; jobs come to wait and stop waiting; a lease gets or
 * leaves its places. */
void record_clock(struct record *r, int64_t from, int64_t to, double busy, double used);
void record_wait(struct record *r, const struct sim_setup *s, int64_t now, int change);
void record_place(struct record *r, const struct sim_setup *s, const struct lease *l, bool on);
