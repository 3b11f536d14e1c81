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
    enum queue_kind kind;
    uint16_t gpu;
    uint32_t op; /* QUEUE_APPLIED: the action's number; else the lease */
};

struct queue {
    size_t n, room;
    uint64_t serial;
    struct queue_item *items;
};

/* -ERROR_NO_MEMORY. */
int queue_add(struct queue *q, struct queue_item item, struct error *err);

/* The next instant, INT64_MAX if there is none; and taking the first item (q->n > 0). */
int64_t queue_next(const struct queue *q);
struct queue_item queue_take(struct queue *q);

/* Frees its memory. */
void queue_done(struct queue *q);
