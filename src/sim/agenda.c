/* Buckets of six bits of time; see agenda.h.
 *
 * `last` never goes back, and the bucket in which it would lie on a level is empty: its items have
 * moved down. So two items of one instant are always in one bucket, in the order they came. */
#include "sim/agenda.h"

#include "base/macro.h"

#include <assert.h>
#include <stdlib.h>

enum { BITS = 6, ROOM_LEAST = 8, ROOM_KEPT = 4096, SOON_MOST = 64 };

static bool put(struct agenda *q, const struct agenda_item *item)
{
    uint64_t differs = (uint64_t)item->at ^ (uint64_t)q->last;
    unsigned level = differs ? (63u - (unsigned)__builtin_clzll(differs)) / BITS : 0;
    unsigned digit = (unsigned)((uint64_t)item->at >> BITS * level) % AGENDA_DIGITS;
    struct agenda_bucket *b = &q->buckets[level][digit];
    if (b->first + b->n == b->room) {
        uint32_t room = b->room ? 2 * b->room : ROOM_LEAST;
        struct agenda_item *items = realloc(b->items, room * sizeof *items);
        if (!items)
            return false;
        b->items = items;
        b->room = room;
    }
    b->items[b->first + b->n++] = *item;
    q->used[level] |= UINT64_C(1) << digit;
    return true;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "no memory for what is still to happen");
}

int agenda_add(struct agenda *q, struct agenda_item item, struct error *err)
{
    assert(item.at >= q->last);
    if (!put(q, &item))
        return no_memory(err);
    q->next = q->n++ ? MIN(q->next, item.at) : item.at;
    return 0;
}

bool agenda_empty(const struct agenda *q)
{
    return q->n == 0;
}

int64_t agenda_next(const struct agenda *q)
{
    return q->n ? q->next : INT64_MAX;
}

/* The bucket with the first item; there must be one. */
static struct agenda_bucket *first_bucket(struct agenda *q, unsigned *ret_level)
{
    unsigned level = 0;
    while (!q->used[level])
        level++;
    *ret_level = level;
    return &q->buckets[level][__builtin_ctzll(q->used[level])];
}

static int64_t least(const struct agenda_bucket *b)
{
    int64_t at = b->items[b->first].at;
    for (uint32_t i = 1; i < b->n; i++)
        at = MIN(at, b->items[b->first + i].at);
    return at;
}

static void emptied(struct agenda *q, struct agenda_bucket *b, unsigned level)
{
    q->used[level] &= q->used[level] - 1; /* the first one it was */
    b->first = b->n = 0;
    if (b->room > ROOM_KEPT) {
        free(b->items);
        b->items = NULL;
        b->room = 0;
    }
}

/* Time goes on to `next`: the items of its bucket move to finer ones. */
static bool refine(struct agenda *q, struct agenda_bucket *b, unsigned level)
{
    q->last = q->next;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct agenda_item *item = &b->items[b->first + i];
        if (!put(q, item))
            return false;
        if (q->soon && b->n <= SOON_MOST)
            q->soon(q->soon_arg, item, false);
    }
    emptied(q, b, level);
    return true;
}

int agenda_take(struct agenda *q, struct agenda_item *ret, struct error *err)
{
    unsigned level;
    struct agenda_bucket *b = first_bucket(q, &level);
    if (level > 0 && b->n > 1) {
        if (!refine(q, b, level))
            return no_memory(err);
        b = first_bucket(q, &level);
    }
    *ret = b->items[b->first++];
    q->last = ret->at;
    q->n--;
    if (--b->n == 0)
        emptied(q, b, level);
    if (q->n) {
        b = first_bucket(q, &level);
        q->next = level ? least(b) : b->items[b->first].at;
        if (q->soon && b->n == 1)
            q->soon(q->soon_arg, &b->items[b->first], true);
    }
    return 0;
}

void agenda_done(struct agenda *q)
{
    for (unsigned level = 0; level < AGENDA_LEVELS; level++) {
        for (unsigned digit = 0; digit < AGENDA_DIGITS; digit++)
            free(q->buckets[level][digit].items);
    }
    *q = (struct agenda){0};
}
