/* What would have to move so that a request that is refused would fit; or that nothing helps. */
#pragma once

#include "engine/world.h"

enum moves_answer {
    MOVES_ROOM,    /* there is room: something else keeps it waiting (quota, its turn) */
    MOVES_NONE,    /* proved: no repacking of what may move holds it */
    MOVES_ENOUGH,  /* the moves told would do */
    MOVES_MORE,    /* a repacking exists, with more moves than are looked for */
    MOVES_UNKNOWN, /* too many different GPUs to search; nothing was proved */
};

enum {
    MOVES_MAX = 16,
    /* An instance destroyed and another one created, as measured on A30s: 0.10 to 0.11 s and 0.13
     * to 0.16 s (published with the FAR scheduler). The restart of what runs is not in it. */
    MOVES_MS = 250,
};

struct moves_one {
    uint32_t lease;
    uint32_t from, to; /* GPU slots */
    uint8_t profile, from_start, to_start;
};

struct moves {
    enum moves_answer answer;
    unsigned n;       /* ENOUGH */
    unsigned compute; /* compute slices that stop while they move */
    struct moves_one at[MOVES_MAX];
    unsigned slice_n; /* ... and where the request's slices go then */
    struct lease_slice slices[REQUEST_SLICES];
};

/* For one slice: the fewest moves, at most two, and among those the ones that stop the least. For
 * several: moves that do, found slice by slice. Only slices of active leases that said they are
 * movable move, to GPUs of the same board; with `all` as if every active lease were. Slices nobody
 * uses need no move. The queue and quotas are not looked at. -ERROR_NO_MEMORY. */
int moves_find(const struct world *w, const struct lease *ask, bool all,
               struct moves *ret, struct error *err);
