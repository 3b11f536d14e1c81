/* What averages over all jobs hide: each kind of request by itself, requests that waited though
 * there was room of the wrong shape, and how much of the free room is of no use.
 *
 * Costs some hundred ns for each job, so it is kept only where somebody looks at it. It holds every
 * GPU's layout beside the engine, and asserts that no two leases ever share a slice. */
#pragma once

#include "sim/sim.h"

enum { DETAIL_CLASSES = SIM_BOARDS * BOARD_PROFILES + 1 };

/* Requests for one profile, or for whole GPUs. Times in seconds, of jobs that were judged. */
struct detail_class {
    uint16_t asked_for; /* as in struct sim_job; 0: whole GPUs */
    uint64_t asked, granted, refused;
    double gpc_asked, gpc_granted; /* compute slices x ns */
    double wait_mean, wait_p50, wait_p95, wait_p99;
    double end_mean, end_p50, end_p95, end_p99; /* from submit to end */
};

struct detail {
    unsigned class_n;
    struct detail_class classes[DETAIL_CLASSES]; /* in the order they first came */
    struct detail_class all;                     /* of which the times alone */
    uint64_t stranded; /* jobs that had to wait or were refused, though a GPU had as many compute
                          slices free */
    double useless;    /* compute slices that are free, and that a request of the mix cannot use:
                          expected, mean over the window, on GPUs of the first board */
    struct detail_work *work;
};

/* What the tally tells it. -ERROR_NO_MEMORY; detail_done frees in either case, and keeps what was
 * found. */
int detail_begin(struct detail *d, const struct sim_setup *s, struct error *err);
void detail_done(struct detail *d);

/* Time inside the window passes. */
void detail_clock(struct detail *d, int64_t ns);

/* A job asks: its class, or -ERROR_NO_MEMORY. The others are about a job of that class that is
 * judged: it cannot start at once; it is refused, granted after a wait, or over. */
int detail_ask(struct detail *d, const struct sim_job *j, double gpc, bool judged,
               struct error *err);
void detail_stuck(struct detail *d, unsigned class);
void detail_refuse(struct detail *d, unsigned class);
void detail_grant(struct detail *d, unsigned class, double gpc_ns, int64_t waited);
void detail_end(struct detail *d, unsigned class, int64_t since_submit);

/* A lease gets or leaves its places. */
void detail_place(struct detail *d, const struct lease *l, bool on);

/* Writes times and means down; the window was so long, ns. */
void detail_finish(struct detail *d, double window);
