/* Staying: fetta as the parent of what runs on a lease. It passes on signals, terminal and status,
 * tells what happens to the lease, and ends what is left behind. */
#pragma once

#include "cli/grant.h"

enum stay_kind {
    STAY_RUN,    /* the lease ends with the command; what it left behind is ended and named */
    STAY_SHELL,  /* the lease ends when its last process has left */
    STAY_ATTACH, /* a guest: the lease goes on without us */
};

struct stay_plan {
    enum stay_kind kind;
    bool keep_going; /* other tasks go on when one fails */
    int64_t tasks;   /* one command for each slice; 0: one command for all of them */
    char *const *argv;
};

/* Runs the plan on an active lease; the exit status of the program. */
int stay_run(struct cli *c, const json_t *lease, const struct stay_plan *plan);

/* Gives a lease back, as well as it can: an error means that it is over already. */
void stay_give_back(struct cli *c, int64_t id);

/* How long before the end the next warning is due: the longest of 15, 5, 1 min and 0 that is not
 * yet told and not longer ago than the lease is old. `told` counts those passed. Returns the
 * instant on the wall clock, TIME_NEVER when there is none. */
int64_t stay_next_warning(int64_t started, int64_t ends, unsigned told);
