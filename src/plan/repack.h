/* Whether something fits at all if whatever may move is placed afresh: with proof, or not said. */
#pragma once

#include "plan/rescue.h"

enum repack_answer {
    REPACK_NONE,    /* proved: no repacking holds it */
    REPACK_EXISTS,  /* one does, with however many moves */
    REPACK_UNKNOWN, /* too large to be searched */
};

/* `count` (at least 1) of the wanted beside everything that is in the fleet. What stays is part of
 * its GPU's kind; what may move is a demand like the wanted, covered by the largest mixes that can
 * stand beside what stays. That is an integer program whose size is that of the kinds.
 * ERROR_NO_MEMORY. */
int repack_holds(const struct rescue_fleet *f, const struct rescue_want *want, unsigned count,
                 enum repack_answer *ret, struct error *err);
