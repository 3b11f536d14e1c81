/* The fixed layout that would have served best what this machine really ran, and what cutting on
 * demand makes of the same. */
#pragma once

#include "cli/cli.h"
#include "sim/sim.h"

/* So many GPUs of a board that are cut alike. */
struct past_part {
    uint8_t board; /* of past.groups */
    uint32_t gpus;
    struct layout layout;
};

struct past {
    unsigned board_n;
    struct sim_group groups[SIM_BOARDS]; /* boards of the machine */
    uint32_t index[SIM_BOARDS][64];      /* their GPUs, as people type them */
    enum score_rule rule;                /* by which fettad places now */
    char since[32];
    uint64_t jobs;
    unsigned part_n;
    struct past_part parts[SIM_BOARDS];
    struct sim_result fixed, alike, dynamic; /* `alike`: the best with all GPUs of a board alike */
    uint64_t tried;                          /* layouts that were played */
    bool ended; /* no GPU cut otherwise makes it better; else the search ran out of time */
};

/* Reads history and plans from it; `since` is such as "30d". ERROR_NOT_FOUND without any lease that
 * ran, ERROR_UNSUPPORTED for a machine that cannot be cut or has too many kinds of boards. */
int past_plan(struct cli *c, const char *since, struct past *ret, struct error *err);

/* The plan as text, in figures, and as a layout file; NULL without memory. */
void past_print(const struct past *p, const struct table_look *look, struct str *out);
json_t *past_json(const struct past *p);
json_t *past_layout(const struct past *p);
