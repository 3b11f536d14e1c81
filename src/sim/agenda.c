/* A heap and a ring; see agenda.h. */
#include "sim/agenda.h"

#include "base/macro.h"

#include <stdlib.h>

enum { CHILDREN = 4 }; /* of a node: half as deep as with two, and they lie side by side */

static bool before(const struct agenda_item *a, const struct agenda_item *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

static bool grow(struct agenda_item **items, size_t *room, struct error *err)
{
    size_t more = *room ? 2 * *room : 1024;
    struct agenda_item *grown = realloc(*items, more * sizeof *grown);
    if (!grown) {
        (void)error_set(err, ERROR_NO_MEMORY, "no memory for what is still to happen");
        return false;
    }
    *items = grown;
    *room = more;
    return true;
}

int agenda_add(struct agenda *q, struct agenda_item item, int64_t instant, struct error *err)
{
    item.serial = q->serial++;
    if (item.at <= instant) {
        if (q->now_n == 0)
            q->now_first = 0;
        if (q->now_first + q->now_n == q->now_room && !grow(&q->now, &q->now_room, err))
            return -ERROR_NO_MEMORY;
        q->now[q->now_first + q->now_n++] = item;
        return 0;
    }
    if (q->n == q->room && !grow(&q->items, &q->room, err))
        return -ERROR_NO_MEMORY;
    size_t i = q->n++;
    for (; i > 0 && before(&item, &q->items[(i - 1) / CHILDREN]); i = (i - 1) / CHILDREN)
        q->items[i] = q->items[(i - 1) / CHILDREN];
    q->items[i] = item;
    return 0;
}

bool agenda_empty(const struct agenda *q)
{
    return q->n == 0 && q->now_n == 0;
}

int64_t agenda_next(const struct agenda *q)
{
    int64_t now = q->now_n ? q->now[q->now_first].at : INT64_MAX;
    return q->n && q->items[0].at < now ? q->items[0].at : now;
}

static struct agenda_item take_from_heap(struct agenda *q)
{
    struct agenda_item first = q->items[0], last = q->items[--q->n];
    size_t i = 0;
    for (;;) {
        size_t child = CHILDREN * i + 1, end = MIN(child + CHILDREN, q->n);
        if (child >= q->n)
            break;
        for (size_t other = child + 1; other < end; other++) {
            if (before(&q->items[other], &q->items[child]))
                child = other;
        }
        if (!before(&q->items[child], &last))
            break;
        q->items[i] = q->items[child];
        i = child;
    }
    if (q->n)
        q->items[i] = last;
    return first;
}

struct agenda_item agenda_take(struct agenda *q)
{
    if (q->now_n && (!q->n || before(&q->now[q->now_first], &q->items[0]))) {
        q->now_n--;
        return q->now[q->now_first++];
    }
    return take_from_heap(q);
}

void agenda_done(struct agenda *q)
{
    free(q->items);
    free(q->now);
    *q = (struct agenda){0};
}
