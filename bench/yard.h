/* A few GPUs of one board with jobs on them, placed by a rule, moved where that makes room, or held
 * by any packing there is: what the programs about moves share. */
#pragma once

#include "plan/pack.h"
#include "plan/rescue.h"
#include "plan/score.h"

enum {
    YARD_GPUS = 128,
    YARD_LIVE = YARD_GPUS * 8,
    YARD_REPACK = RESCUE_MOVES + 1, /* as `moves`: whatever any packing holds is let in */
};

struct yard_job {
    double end;
    uint32_t gpu, tag; /* tag: the caller's */
    uint8_t profile, start;
};

struct yard {
    const struct board *board;
    const struct table *table;
    const struct pack *pack;
    const struct score *score;
    unsigned gpus;
    unsigned moves;    /* most moves for one request, or YARD_REPACK */
    bool sparing;      /* moves stop no more compute slices than the request asks for */
    double charge;     /* s that a job stays longer for each move */
    uint32_t kept_gpu; /* where `kept` slices are not to be used by yard_take */
    slices kept;
    struct layout at[YARD_GPUS];
    unsigned live;
    struct yard_job jobs[YARD_LIVE]; /* [0..live), in no order */
    struct pack_demand held;
    uint64_t moved;
    double stopped; /* compute slices x s of charges */
};

/* Empties it; what is above `at` stays. */
void yard_clear(struct yard *p);

/* Places a job that ends at `end`, with moves if that is what it takes and may be; false: not. Ends
 * of moved jobs are put off. */
bool yard_take(struct yard *p, unsigned profile, double end, uint32_t tag);

/* Ends the job jobs[i]; another takes its number. */
void yard_end(struct yard *p, unsigned i);
