/* Who works on a GPU at this moment, on what, and how busy that makes it.
 *
 * A program that models work says before each piece of it: so long the device is mine. From that
 * follow what its neighbours see of it and what NVML's utilisation shows. */
#pragma once

#include "emul/meter.h"

#include <stdbool.h>
#include <stdint.h>

struct box;
struct box_session;

enum { BOX_WORK_NAME = 32 };

/* The work of one session, on the first device that it opened for work. */
struct box_work {
    int64_t until; /* it counts as running before this instant */
    bool mps;
    char name[BOX_WORK_NAME];
    struct meter meter;
};

/* A process at work beside another. */
struct box_worker {
    uint32_t pid;
    int gi, ci;       /* BOX_ANY: the whole GPU */
    unsigned compute; /* compute slices of its GI, 0 for the whole GPU */
    bool running, mps;
    unsigned busy_ppt; /* its part of the last second; who takes turns has only his turns */
    char name[BOX_WORK_NAME];
};

/* The session runs its work from `now` for `ns`, and counts as running until `until`; ns = 0 and
 * until = now say that it does nothing. False if it has no device open for work. */
bool box_work_run(struct box *b, struct box_session *s, int64_t now, int64_t ns, int64_t until,
                  bool mps, const char *name);

/* Where the session's work is; false as above. */
bool box_work_at(const struct box_session *s, unsigned *ret_gpu, int *ret_gi, int *ret_ci);

/* Sessions with work on a GPU, except one (or NULL): returns how many there are and writes at most
 * `room` of them. Those that never told of work are left out. */
unsigned box_work_others(struct box *b, unsigned gpu, const struct box_session *except, int64_t now,
                         struct box_worker *ret, unsigned room);

/* Thousandths of the last second in which any work ran on the GPU. */
unsigned box_work_busy(const struct box *b, unsigned gpu, int64_t now);
