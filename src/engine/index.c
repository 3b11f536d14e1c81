/* The small index structures of a world: hash chains and a heap of due times. */
#include "engine/state.h"

#include "base/time.h"

#include <stdlib.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

bool state_chain_init(struct state_chain *c, size_t items)
{
    uint32_t heads = 16;
    while (heads < items)
        heads *= 2;
    c->mask = heads - 1;
    c->head = calloc(heads, sizeof *c->head);
    c->link = calloc(items + 1, sizeof *c->link);
    return c->head && c->link;
}

void state_chain_done(struct state_chain *c)
{
    free(c->head);
    free(c->link);
}

static uint32_t first(const struct state_chain *c, uint32_t at)
{
    return c->head[at] ? c->head[at] - 1 : STATE_NONE;
}

void state_chain_add(struct state_chain *c, uint32_t item, uint64_t key)
{
    uint32_t at = (uint32_t)mix(key) & c->mask, next = first(c, at);
    c->link[item] = (struct state_link){.next = next, .prev = STATE_NONE, .at = at + 1};
    if (next != STATE_NONE)
        c->link[next].prev = item;
    c->head[at] = item + 1;
}

void state_chain_drop(struct state_chain *c, uint32_t item)
{
    struct state_link *link = &c->link[item];
    if (link->at == 0)
        return;
    if (link->next != STATE_NONE)
        c->link[link->next].prev = link->prev;
    if (link->prev != STATE_NONE)
        c->link[link->prev].next = link->next;
    else
        c->head[link->at - 1] = link->next == STATE_NONE ? 0 : link->next + 1;
    link->at = 0;
}

uint32_t state_chain_first(const struct state_chain *c, uint64_t key)
{
    return first(c, (uint32_t)mix(key) & c->mask);
}

bool state_heap_init(struct state_heap *h, size_t items)
{
    h->item = malloc((items + 1) * sizeof *h->item);
    h->place = calloc(items + 1, sizeof *h->place);
    h->due = malloc((items + 1) * sizeof *h->due);
    return h->item && h->place && h->due;
}

void state_heap_done(struct state_heap *h)
{
    free(h->item);
    free(h->place);
    free(h->due);
}

static void put(struct state_heap *h, size_t place, uint32_t item)
{
    h->item[place] = item;
    h->place[item] = (uint32_t)place + 1;
}

/* Lets the item of `place` rise or sink to where its due time belongs. */
static void settle(struct state_heap *h, size_t place)
{
    uint32_t item = h->item[place];
    for (; place > 0 && h->due[h->item[(place - 1) / 2]] > h->due[item]; place = (place - 1) / 2)
        put(h, place, h->item[(place - 1) / 2]);
    for (;;) {
        size_t child = 2 * place + 1;
        if (child + 1 < h->n && h->due[h->item[child + 1]] < h->due[h->item[child]])
            child++;
        if (child >= h->n || h->due[h->item[child]] >= h->due[item])
            break;
        put(h, place, h->item[child]);
        place = child;
    }
    put(h, place, item);
}

void state_heap_set(struct state_heap *h, uint32_t item, int64_t due)
{
    size_t place = h->place[item];
    if (due == TIME_NEVER) {
        if (place == 0)
            return;
        h->place[item] = 0;
        uint32_t last = h->item[--h->n];
        if (last != item) {
            put(h, place - 1, last);
            settle(h, place - 1);
        }
        return;
    }
    h->due[item] = due;
    if (place == 0) {
        place = ++h->n;
        put(h, place - 1, item);
    }
    settle(h, place - 1);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t state_heap_due(const struct state_heap *h, int64_t now, uint32_t *ret, size_t max)
{
    /* Breadth first over the due part of the heap; `ret` is its own work list. */
    size_t n = 0;
    if (h->n && max && h->due[h->item[0]] <= now)
        ret[n++] = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t child = 2 * (size_t)ret[i] + 1; child <= 2 * (size_t)ret[i] + 2; child++) {
            if (child < h->n && n < max && h->due[h->item[child]] <= now)
                ret[n++] = (uint32_t)child;
        }
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = h->item[ret[i]];
    qsort(ret, n, sizeof *ret, by_number);
    return n;
}

uint64_t state_owner_key(struct owner o)
{
    return (uint64_t)o.kind << 32 | o.id;
}

uint64_t state_lease_key(struct owner o, uint32_t key)
{
    return mix(state_owner_key(o)) + key;
}

uint64_t state_warm_key(enum warm_reuse rule, unsigned board, unsigned profile, struct owner last,
                        uint32_t gid)
{
    uint64_t who = rule == WARM_GROUP ? UINT64_C(2) << 32 | gid : state_owner_key(last);
    return who << 16 | board << 8 | profile;
}
