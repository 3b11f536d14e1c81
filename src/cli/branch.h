/* The driver branches that can be emulated: what `--driver` takes. */
#pragma once

#include "base/error.h"
#include "model/machine.h"

struct branch {
    const char *name;    /* "535" */
    const char *version; /* of the driver that the machine shows, "535.309.01" */
    unsigned number;
    const char *folder; /* of its library below the newest one's; "" for the newest */
};

/* All, oldest first. */
const struct branch *branch_all(unsigned *ret_n);

/* The branch of that name; the machine (NULL: any) must be one that it knows. INVALID says which
 * branches there are. */
int branch_find(const char *name, const struct machine *m, const struct branch **ret,
                struct error *err);
