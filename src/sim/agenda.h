/* What is to happen in a simulated run, in order of time, then of having been said.
 *
 * Time only goes on, so nothing needs sorting: an item lies in a bucket by the highest six bits in
 * which its time differs from the time that is, and moves to finer buckets when its coarse one is
 * the next. Each moves a few times, through memory that lies in order, however many there are. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum agenda_kind { AGENDA_APPLIED, AGENDA_JOB_ENDS };

enum { AGENDA_GPUS = 0x7fffffff };

struct agenda_item {
    int64_t at;                  /* >= 0 */
    uint32_t op;                 /* AGENDA_APPLIED: the action's number; else the lease */
    uint32_t gpu : 31, kind : 1; /* enum agenda_kind */
};

enum { AGENDA_LEVELS = 11, AGENDA_DIGITS = 64 };

struct agenda_bucket {
    uint32_t first, n, room; /* items[first .. first + n - 1], in order of having been said */
    struct agenda_item *items;
};

/* Told of an item some while before it is taken, several items at a time, and again, `next`, when
 * it is the next that is known of: time to fetch what it will need. */
typedef void agenda_soon(void *arg, const struct agenda_item *item, bool next);

struct agenda {
    size_t n;
    int64_t last, next;           /* the time of what was taken, and of what will be */
    uint64_t used[AGENDA_LEVELS]; /* buckets with items, by digit */
    struct agenda_bucket buckets[AGENDA_LEVELS][AGENDA_DIGITS];
    agenda_soon *soon; /* NULL: nobody */
    void *soon_arg;
};

/* Adds an item, which may not be before what was taken last. -ERROR_NO_MEMORY. */
int agenda_add(struct agenda *q, struct agenda_item item, struct error *err);

/* Whether nothing is to happen; the next instant, INT64_MAX if there is none; and taking the first
 * item, which must be there. -ERROR_NO_MEMORY. */
bool agenda_empty(const struct agenda *q);
int64_t agenda_next(const struct agenda *q);
int agenda_take(struct agenda *q, struct agenda_item *ret, struct error *err);

/* Frees its memory. */
void agenda_done(struct agenda *q);
