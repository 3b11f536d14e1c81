/* What is to happen in a simulated run, in order of time, then of having been said. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum agenda_kind { AGENDA_APPLIED, AGENDA_JOB_ENDS };

struct agenda_item {
    int64_t at;
    uint64_t serial; /* set by agenda_add */
    uint32_t op;     /* AGENDA_APPLIED: the action's number; else the lease */
    uint16_t gpu;
    uint8_t kind; /* enum agenda_kind */
};

/* A heap, and beside it a ring of what is to happen in the very instant that is: a driver that
 * takes no time answers at once, and needs no sorting. */
struct agenda {
    size_t n, room; /* of the heap */
    size_t now_first, now_n, now_room;
    uint64_t serial;
    struct agenda_item *items, *now;
};

/* Adds an item, which may not be before `instant`, the time that is. -ERROR_NO_MEMORY. */
int agenda_add(struct agenda *q, struct agenda_item item, int64_t instant, struct error *err);

/* Whether nothing is to happen; the next instant, INT64_MAX if there is none; and taking the first
 * item, which must be there. */
bool agenda_empty(const struct agenda *q);
int64_t agenda_next(const struct agenda *q);
struct agenda_item agenda_take(struct agenda *q);

/* Frees its memory. */
void agenda_done(struct agenda *q);
