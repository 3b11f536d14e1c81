/* Who had what of a machine in some time: leases as rows in, sums by user or group out.
 *
 * What is counted how: a lease counts as asked (and as granted, and with its wait) where it was
 * asked for in that time; with its hours as far as they lie inside; with its end where it ended in
 * it. So months add up, whichever way a lease lies over their boundaries.
 *
 * Values in, values out: nobody is asked, no clock is read. */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { USAGE_NAME = 64, USAGE_WHY = 16, USAGE_WHYS = 16 };

/* One lease. */
struct usage_row {
    const char *who;               /* whose sum it goes into */
    int64_t asked, started, ended; /* wall clock, ns; 0 = not (yet) */
    const char *why;               /* how it ended */
    double slices, compute, gpus;  /* held at a time: slices, their compute slices, GPUs */
    double bytes;                  /* memory of all its slices; 0 = not known */
    double slice_bytes, peak;      /* of one slice: all, and the most seen in use; 0 = not known */
    const char *fits;              /* the smaller slice that would have held the peak; NULL, "" */
    double fits_compute, fits_bytes; /* ... compute slices and memory of one such */
};

struct usage_end {
    char why[USAGE_WHY];
    size_t n;
};

/* Slices that were larger than what they were seen to need. */
struct usage_spare {
    size_t leases;
    double compute_h, byte_h; /* held and not needed: compute slice hours, byte hours */
};

struct usage_sum {
    char who[USAGE_NAME];
    size_t asked, granted, refused; /* refused: ended without having started, whoever ended that */
    size_t held;                    /* leases that held slices in this time */
    double slice_h, compute_h, gpu_h;
    size_t seen;                     /* of those held: leases whose peak is known */
    double peak_byte_h, seen_byte_h; /* of these, hours times peak and times memory of a slice */
    struct usage_spare spare;
    size_t end_n;
    struct usage_end ends[USAGE_WHYS]; /* most frequent first */
    size_t wait_n, wait_room;
    int64_t *waits; /* of the granted; ascending once closed */
};

/* Leases that would have fitted in one kind of slice. */
struct usage_fit {
    char profile[USAGE_NAME];
    struct usage_spare spare;
};

struct usage {
    int64_t from, to, now; /* wall clock, ns; `to` is no later than `now` */
    size_t n, room, fit_n, fit_room;
    struct usage_sum *sums; /* most GPU hours first once closed */
    struct usage_fit *fits; /* most compute hours first once closed */
    struct usage_sum all;
};

/* A report over [from, to); what lies after `now` is not there yet. */
void usage_init(struct usage *r, int64_t from, int64_t to, int64_t now);

/* Counts a lease. NO_MEMORY. */
int usage_add(struct usage *r, const struct usage_row *row, struct error *err);

/* All were counted: sorts. */
void usage_close(struct usage *r);
void usage_done(struct usage *r);

/* Mean wait of the granted, and what `percent` (1..100) of them waited at most (nearest rank); 0
 * without any. Of a closed report. */
int64_t usage_wait_mean(const struct usage_sum *s);
int64_t usage_wait_percent(const struct usage_sum *s, unsigned percent);

/* The part of their slices' memory that was in use at the peak, over the leases whose peak is
 * known, each with its hours as weight; -1 where none is. */
double usage_peak_part(const struct usage_sum *s);

/* Hours from `from` to `to`. */
double usage_hours(const struct usage *r);
