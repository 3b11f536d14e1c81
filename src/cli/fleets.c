/* Fleets read; see fleets.h. */
#include "cli/fleets.h"

#include "base/macro.h"
#include "needs/fleet.h"

#include <stdlib.h>

int fleets_read(const char *spec, struct sim_setup *ret, struct error *err)
{
    AUTO_FREE struct fleet *f = malloc(sizeof *f);
    uint64_t gpus = 0;
    if (!f)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for a fleet");
    int r = fleet_parse(spec, f, err);
    if (r < 0)
        return error_context(err, "--machine");
    if (f->n > SIM_BOARDS)
        return error_set(err, ERROR_INVALID, "--machine: at most %d kinds of GPUs", SIM_BOARDS);
    for (unsigned i = 0; i < f->n; i++) {
        const struct board *b = board_find(f->groups[i].board.name);
        if (!b || !b->memory_slices)
            return error_set(err, ERROR_INVALID, "--machine: %s cannot be cut: it has no MIG",
                             f->groups[i].board.name);
        ret->groups[i] = (struct sim_group){.board = b, .gpus = f->groups[i].gpus};
        gpus += f->groups[i].gpus;
    }
    if (gpus > SIM_GPUS)
        return error_set(err, ERROR_INVALID, "--machine: at most %d GPUs can be simulated",
                         SIM_GPUS);
    ret->group_n = f->n;
    return 0;
}
