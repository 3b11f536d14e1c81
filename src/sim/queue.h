/* What is to happen in a simulated run, in order of time, then of having been said. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum queue_kind { QUEUE_APPLIED, QUEUE_JOB_ENDS };

struct queue_item {
    int64_t at;
    uint64_t serial; /* set by queue_add */
    uint32_t op;     /* QUEUE_APPLIED: the action's number; else the lease */
    uint16_t gpu;
    uint8_t kind; /* enum queue_kind */
};

/* A heap, and beside it a ring of what is to happen in the very instant that is: a driver that
 * takes no time answers at once, and needs no sorting. */
struct queue {
    size_t n, room; /* of the heap */
    size_t now_first, now_n, now_room;
    uint64_t serial;
    struct queue_item *items, *now;
};

/* Adds an item, which may not be before `instant`, the time that is. -ERROR_NO_MEMORY. */
int queue_add(struct queue *q, struct queue_item item, int64_t instant, struct error *err);

/* Whether nothing is to happen; the next instant, INT64_MAX if there is none; and taking the first
 * item, which must be there. */
bool queue_empty(const struct queue *q);
int64_t queue_next(const struct queue *q);
struct queue_item queue_take(struct queue *q);

/* Frees its memory. */
void queue_done(struct queue *q);
