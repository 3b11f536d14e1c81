/* The machine that runs, as a plan begins from it: read from fettad's status. */
#pragma once

#include "cli/cli.h"
#include "needs/running.h"

/* Which lease holds what: by GPU of the machine as running.gpus has them, and by first memory
 * slice; 0: none. */
struct now {
    struct running running;
    uint32_t lease[MACHINE_GPUS][16];
};

/* Asks fettad. With `movable`, slices of leases that may move are what is idle in *ret, and slices
 * that nobody holds are not there. -ERROR_UNSUPPORTED for a board that has no table here. */
int now_read(struct cli *c, bool movable, struct now *ret, struct error *err);

/* A plan for it as text. `p` has what serves what; NULL: leases were packed, there is no work. */
struct planned;
void now_print(const struct now *n, const struct running_plan *plan, const struct planned *p,
               const struct table_look *look, struct str *out);

/* The same in figures; NULL without memory. */
json_t *now_json(const struct now *n, const struct running_plan *plan, const struct planned *p);

/* A layout file with one configuration, "plan", of the GPUs that are planned. NULL without memory.
 */
json_t *now_layout(const struct now *n, const struct running_plan *plan);
