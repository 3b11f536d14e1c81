/* The inside of a world: rows and the indices over them. Private to the engine.
 *
 * Everything is an array sized by world_new; indices are kept by world_apply alone. A lease lives
 * in a numbered row (its index), found by id through `order`. */
#pragma once

#include "engine/outcome.h"
#include "engine/view.h"
#include "plan/choose.h"

enum { STATE_NONE = 0x7fffffff };

enum { STATE_MEMOS = 1 << 15 }; /* the most memos, enough for the states of a large fleet */

struct state_id {
    uint32_t id, row; /* over, and to be tidied away, if the row is not that lease's any more */
};

struct state_waiting {
    uint32_t id, row;
    int16_t priority;
};

/* An item of a chain: prev is STATE_NONE for a first one, `at` its head + 1, 0 when it is in no
 * chain. Here and below 0 is what nobody wrote: a world has room for the most there may ever be,
 * and what of it is never used shall never be touched, so that it costs no memory. */
struct state_link {
    uint32_t next, prev, at;
};

/* Chains of equal hash: heads by hash, links by item. */
struct state_chain {
    uint32_t mask;  /* heads - 1 */
    uint32_t *head; /* item + 1, or 0 */
    struct state_link *link;
};

/* A binary heap of items by due time. Items: lease rows first, then GPUs. */
struct state_heap {
    size_t n;
    uint32_t *item;
    uint32_t *place; /* by item: index in `item` + 1, 0 when not due ever */
    int64_t *due;    /* by item */
};

/* What all leases of one owner hold together. */
struct state_sum {
    struct owner owner;
    uint32_t leases, slices, compute;
};

/* What one lease row adds to the sum of its owner. */
struct state_part {
    uint32_t sum, slices, compute;
};

/* Ranks of a GPU by all that they depend on. Fleets are in few states at a time, so the ranks of a
 * changed GPU have nearly always been worked out before. */
struct state_memo {
    uint64_t key[4]; /* see view_key; all zero: empty */
    uint8_t ranks[CHOOSE_ROWS];
};

enum { STATE_NARROW = offsetof(struct lease, slices) + sizeof(struct lease_slice) };

/* The room of one lease: four cache lines, since nearly all have one slice. Those with more are in
 * `wide`, which costs no memory where there are none. */
struct state_row {
    _Alignas(64) uint32_t next; /* the next row of ids with the same head */
    struct state_part part;
    bool is_wide;
    _Alignas(struct lease) unsigned char lease[STATE_NARROW];
};

struct world {
    size_t gpu_max, lease_max;
    size_t gpu_n; /* highest known slot + 1 */
    size_t lease_n, order_n, waiting_n, board_n;
    uint32_t next_id;
    struct policy policy;
    bool *gpu_known, board_known[MACHINE_BOARDS];
    struct gpu *gpus;
    void *row_room;
    struct state_row *rows;      /* in row_room */
    struct lease *wide;          /* by row: leases of several slices */
    uint32_t *free_rows;         /* free_row_n rows that had a lease and have none */
    size_t free_row_n, row_n;    /* rows from row_n on never had one */
    struct state_id *order;      /* order_n (room for twice lease_max), by id */
    struct state_waiting *queue; /* waiting_n, by priority then id */
    uint32_t *row_id;            /* by row: the lease in it, 0 if there is none */
    uint32_t id_mask;            /* ids have one of so many + 1 heads ... */
    uint32_t *id_head;           /* ... row + 1 or 0, and rows lead to further rows */
    struct state_chain keys;     /* lease rows that have a key, by owner and key */
    struct state_chain sums;     /* sums by owner */
    struct state_sum *sum;       /* lease_max */
    uint32_t *free_sums;         /* free_sum_n sums that had an owner and have none */
    size_t free_sum_n, sum_n;    /* sums from sum_n on never had one */
    struct state_chain warm; /* idle seats (slot * BOARD_GIS + index) kept for somebody, by profile
                              * and holder */
    struct state_heap heap;
    struct state_memo *memos; /* memo_n, a power of two */
    size_t memo_n;
    struct choose *choose;
    struct score *scores; /* by board */
    struct fit fits[MACHINE_BOARDS];
    struct board boards[MACHINE_BOARDS];
};

enum { STATE_LINE = 64, STATE_SEATS = 5 }; /* bytes of a cache line; seats that most GPUs have */

/* Begins to fetch a GPU from memory, all of it at once. */
static inline void state_gpu_soon(const struct world *w, unsigned slot)
{
    const char *at = (const char *)&w->gpus[slot];
    for (size_t i = 0; i < offsetof(struct gpu, seats[STATE_SEATS]); i += STATE_LINE)
        __builtin_prefetch(at + i);
}

/* Bytes of a row that count. */
static inline size_t gpu_size(const struct gpu *g)
{
    return offsetof(struct gpu, seats) + g->seat_n * sizeof g->seats[0];
}

/* What an owner's leases hold, NULL if there are none. */
const struct state_sum *state_sum_of(const struct world *w, struct owner owner);

/* The compute slices a slice of `row` counts for against a quota. */
unsigned state_compute(const struct board *b, unsigned row);

/* The lease in a row that has one. */
static inline struct lease *state_lease(const struct world *w, uint32_t row)
{
    struct state_row *r = &w->rows[row];
    return r->is_wide ? &w->wide[row] : (struct lease *)(void *)r->lease;
}

/* The first row of the ids with the same head as `id`, STATE_NONE if there is none. */
static inline uint32_t state_id_first(const struct world *w, uint32_t id)
{
    uint32_t row = w->id_head[id & w->id_mask];
    return row ? row - 1 : STATE_NONE;
}

/* Row of a lease, STATE_NONE if it is not live. */
static inline uint32_t state_row(const struct world *w, uint32_t id)
{
    uint32_t row = state_id_first(w, id);
    while (row != STATE_NONE && w->row_id[row] != id)
        row = w->rows[row].next;
    return row;
}

/* The same as world_lease and world_gpu. */
static inline const struct lease *state_find(const struct world *w, uint32_t id)
{
    uint32_t row = state_row(w, id);
    return row == STATE_NONE ? NULL : state_lease(w, row);
}
static inline const struct gpu *state_gpu(const struct world *w, unsigned slot)
{
    return slot < w->gpu_n && w->gpu_known[slot] ? &w->gpus[slot] : NULL;
}

/* Chains of up to `items` items, numbered from 0; false without memory (then too, state_chain_done
 * frees what there is). An item must be in no chain when it is added; dropping one that is in none
 * does nothing. */
bool state_chain_init(struct state_chain *c, size_t items);
void state_chain_done(struct state_chain *c);
void state_chain_add(struct state_chain *c, uint32_t item, uint64_t key);
void state_chain_drop(struct state_chain *c, uint32_t item);
/* First and next item whose key has the hash of `key` (others may be among them); STATE_NONE. */
uint32_t state_chain_first(const struct state_chain *c, uint64_t key);

/* A heap of up to `items` items; false without memory, as above. state_heap_set puts an item in,
 * moves it, or takes it out when `due` (boot time, ns) is TIME_NEVER. */
bool state_heap_init(struct state_heap *h, size_t items);
void state_heap_done(struct state_heap *h);
void state_heap_set(struct state_heap *h, uint32_t item, int64_t due);
/* Items due at or before `now`, at most `max`, in order of item. */
size_t state_heap_due(const struct state_heap *h, int64_t now, uint32_t *ret, size_t max);

/* The key of an owner's leases, and of the one with an idempotency key. */
uint64_t state_owner_key(struct owner o);
uint64_t state_lease_key(struct owner o, uint32_t key);
/* The key of idle instances that are kept for a holder, or for a group. */
uint64_t state_warm_key(enum warm_reuse rule, unsigned board, unsigned profile, struct owner last,
                        uint32_t gid);

/* When a lease or GPU needs a tick; TIME_NEVER if never. */
int64_t state_lease_due(const struct lease *l);
int64_t state_gpu_due(const struct gpu *g, const struct policy *p);
