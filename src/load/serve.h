/* A server of modelled requests: arrivals, one queue, one server that takes up to a batch at once.
 *
 * Time is that of the machine, and everything happens on it: a batch is worked on in short pieces,
 * before each of which the driver is asked who else works there now, and the piece gets as much
 * done as the tables say for that company. The server keeps a timeline of its own that it never
 * lets run ahead of the clock; where the host wakes it late, the timeline does not drift. */
#pragma once

#include "base/error.h"
#include "emud/protocol.h"
#include "emul/work.h"
#include "load/pace.h"
#include "load/tally.h"

#include <stdbool.h>
#include <stdint.h>

enum { SERVE_QUEUE_MAX = 1 << 20 };

struct serve_plan {
    struct work work;
    struct emu_device device;
    struct work_place place;
    unsigned batch, queue;
    bool mps;
    double rate;    /* requests each second; 0: as fast as it goes, one batch after the other */
    int64_t length; /* ns */
    uint64_t seed;
    uint64_t bytes;
};

struct serve_report {
    int64_t elapsed, late; /* ns that the run took; most that the host woke us late */
    uint64_t offered, served, refused, unfinished, batches;
    unsigned queue_most, others_most;
    struct tally latency, wait;
    double alone, busy;              /* ns of service: what it takes alone, and what it took */
    double with_others, of_measured; /* of these ns: beside others; there as somebody measured */
    enum work_basis basis, cost_basis;
    unsigned sources, cost_sources; /* bits: enum work_source */
    int sig;                        /* the signal that ended it; 0: its time was over */
};

/* Called about twice a second; `now` is ns since the start. */
typedef void serve_progress(void *arg, const struct serve_plan *p, const struct serve_report *r,
                            int64_t now);

/* Runs the plan. *ret is filled as far as it went, also after an error. -ERROR_DRIVER_LOST,
 * -ERROR_UNSUPPORTED, -ERROR_NO_MEMORY. */
int serve_run(const struct serve_plan *plan, const struct pace *pace, serve_progress *progress,
              void *arg, struct serve_report *ret, struct error *err);
