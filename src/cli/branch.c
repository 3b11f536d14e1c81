/* The driver branches that can be emulated. */
#include "cli/branch.h"

#include "base/macro.h"

#include <stdio.h>
#include <string.h>

/* The newest branch's library has no folder of its own: it is the one of machines without --driver.
 */
static const struct branch branches[] = {
#define BRANCH(number, version) {#number, version, number, number == 550 ? "" : #number "/"},
#include "nvml/branches.def"
#undef BRANCH
};

const struct branch *branch_all(unsigned *ret_n)
{
    *ret_n = ARRAY_LEN(branches);
    return branches;
}

/* NVIDIA's drivers know Blackwell from branch 570 on. */
static int check_boards(const struct branch *b, const struct machine *m, struct error *err)
{
    for (unsigned i = 0; m && i < m->board_n; i++)
        if (m->boards[i].family == BOARD_BLACKWELL)
            return error_set(err, ERROR_INVALID,
                             "--driver: driver %s does not know the board %s yet; leave --driver "
                             "out",
                             b->name, m->boards[i].name);
    return 0;
}

int branch_find(const char *name, const struct machine *m, const struct branch **ret,
                struct error *err)
{
    char known[64] = "";
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(branches); i++) {
        *ret = &branches[i];
        if (strcmp(branches[i].name, name) == 0)
            return check_boards(&branches[i], m, err);
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? " and " : "",
                                 branches[i].name);
    }
    return error_set(err, ERROR_INVALID, "--driver: driver '%.20s' is not modelled; %s are", name,
                     known);
}
