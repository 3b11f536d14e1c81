/* A binary heap; see queue.h. */
#include "sim/queue.h"

#include <stdlib.h>

static bool before(const struct queue_item *a, const struct queue_item *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

int queue_add(struct queue *q, struct queue_item item, struct error *err)
{
    if (q->n == q->room) {
        size_t room = q->room ? 2 * q->room : 1024;
        struct queue_item *items = realloc(q->items, room * sizeof *items);
        if (!items)
            return error_set(err, ERROR_NO_MEMORY, "no memory for what is still to happen");
        q->items = items;
        q->room = room;
    }
    item.serial = q->serial++;
    size_t i = q->n++;
    for (; i > 0 && before(&item, &q->items[(i - 1) / 2]); i = (i - 1) / 2)
        q->items[i] = q->items[(i - 1) / 2];
    q->items[i] = item;
    return 0;
}

int64_t queue_next(const struct queue *q)
{
    return q->n ? q->items[0].at : INT64_MAX;
}

struct queue_item queue_take(struct queue *q)
{
    struct queue_item first = q->items[0], last = q->items[--q->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->n)
            break;
        if (child + 1 < q->n && before(&q->items[child + 1], &q->items[child]))
            child++;
        if (!before(&q->items[child], &last))
            break;
        q->items[i] = q->items[child];
        i = child;
    }
    if (q->n)
        q->items[i] = last;
    return first;
}

void queue_done(struct queue *q)
{
    free(q->items);
    *q = (struct queue){0};
}
