/* What is to run, planned onto the GPUs of some machines.
 *
 * GPUs of one board are planned together and exactly (plan/serve.h), GPUs of several as one program
 * with proof (plan/blend.h): as few as can be, and among as few those with the least memory. Prices
 * of GPUs are known for few boards and move every month, so they decide nothing. Only where the
 * boards have more kinds of slices than the program takes does a rule plan them, and it is told as
 * such: one board does all of it if it can, else the one that can do the largest part does that,
 * and the others the rest in the same way. Where all GPUs do not suffice, every rate is cut to the
 * same part of itself, the largest whole percentage that fits. */
#pragma once

#include "model/machine.h"
#include "needs/needs.h"
#include "plan/blend.h"

enum { FLEET_PARTS = 16, FLEET_GPUS = 1000000 };

/* Machines that are alike. */
struct fleet_part {
    uint32_t machines;
    unsigned gpu_n;
    uint8_t group[MACHINE_GPUS]; /* of each GPU */
};

/* All GPUs of one board. */
struct fleet_group {
    struct board board;
    uint32_t gpus;
    unsigned mask; /* profiles that are of interest whatever is asked for, beside the plain ones */
};

struct fleet {
    unsigned n, part_n;
    struct fleet_group groups[MACHINE_BOARDS];
    struct fleet_part parts[FLEET_PARTS];
};

/* Reads "4xdgx-a100", "dgx-a100,2xa30" (one machine, where the parts are boards or one of each
 * machine), "2xdgx-a100,8xdgx-h100". At most FLEET_GPUS GPUs. -ERROR_INVALID, -ERROR_NO_MEMORY. */
int fleet_parse(const char *spec, struct fleet *ret, struct error *err);

/* Adds `machines` machines like `m`. -ERROR_INVALID if that is too much. */
int fleet_add(struct fleet *f, const struct machine *m, uint32_t machines, struct error *err);

/* What the GPUs of one board do. */
struct fleet_use {
    unsigned group;
    struct table *table;
    struct pack *pack;
    unsigned n;              /* needs on it */
    uint8_t need[SERVE_MAX]; /* their numbers */
    double asked[SERVE_MAX]; /* rate or slices, of each */
    struct needs_offer offer[SERVE_MAX][BOARD_PROFILES];
    struct serve_plan plan;
};

struct fleet_plan {
    unsigned n;
    struct fleet_use *uses;  /* in the order planned */
    double part;             /* of every rate; 1: all */
    bool proved;             /* no plan with fewer GPUs exists; or, with part < 1, none at all */
    uint32_t gpus;           /* that are needed for all of it; with several boards, if it fits */
    uint32_t bound;          /* nothing does with fewer; 0: not known */
    struct serve_plan whole; /* the plan for all of it on the first board, if it fits or not */
    /* Boards planned together. */
    bool mixed;
    bool searched;                                /* the proof is a search, not prices alone */
    bool smallest;                                /* no plan of as many GPUs takes less memory */
    struct blend_proof proof;                     /* least[] by need, rent[] by group */
    double price[MACHINE_BOARDS][BOARD_PROFILES]; /* ... its prices, by group and profile */
};

/* -ERROR_NEVER with the need that no slice serves and why, -ERROR_UNSUPPORTED, -ERROR_NO_MEMORY. */
int fleet_solve(const struct fleet *f, const struct needs *n, struct fleet_plan *ret,
                struct error *err);
void fleet_done(struct fleet_plan *p);

#define AUTO_FLEET_PLAN CLEANUP(fleet_done)

/* The beginning of a plan: a use for each of the fleet's groups, none of it planned. `uses` has
 * room for MACHINE_BOARDS and is zeroed; fleet_end frees what is in it in any case. Errors as those
 * of fleet_solve. */
int fleet_begin(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
                struct error *err);
void fleet_end(struct fleet_use *uses, unsigned n);

/* GPUs in use, and how each is cut: calls `each` for every run of GPUs that are cut alike, in the
 * order of the board's GPUs. */
typedef void fleet_each(void *arg, const struct fleet_use *u, const struct table_mix *mix,
                        uint32_t first, uint32_t count);
void fleet_cuts(const struct fleet_use *u, fleet_each *each, void *arg);

/* The rate that one slice of a profile gets of need `i` of a use: what is asked for, shared by what
 * each can serve. */
double fleet_share(const struct fleet_use *u, unsigned i, unsigned profile);
