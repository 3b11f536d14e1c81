/* A world's memory and everything that reads it; see world.h and state.h. */
#include "engine/state.h"

#include "base/time.h"

#include <stdlib.h>
#include <string.h>

enum { MEMOS_PER_GPU = 8 };

void world_gpu_copy(struct gpu *to, const struct gpu *from)
{
    memcpy(to, from, gpu_size(from));
}

/* The next power of two, at least 16. */
static size_t round_up(size_t n)
{
    size_t power = 16;
    while (power < n)
        power *= 2;
    return power;
}

static bool init_indices(struct world *w)
{
    return state_chain_init(&w->keys, w->lease_max) && state_chain_init(&w->sums, w->lease_max) &&
           state_chain_init(&w->warm, w->gpu_max * BOARD_GIS) &&
           state_heap_init(&w->heap, w->lease_max + w->gpu_max);
}

static void *align_up(void *p, size_t align)
{
    return (char *)p + (align - (uintptr_t)p % align) % align;
}

static bool init_leases(struct world *w)
{
    size_t max = w->lease_max, heads = round_up(max);
    w->id_mask = (uint32_t)heads - 1;
    /* All of this is fresh from the system, and costs no memory before it is used. */
    w->row_room = calloc(max + 2, sizeof *w->rows);
    w->rows = align_up(w->row_room, _Alignof(struct state_row));
    w->wide = calloc(max + 1, sizeof *w->wide);
    w->free_rows = calloc(max + 1, sizeof *w->free_rows);
    w->order = calloc(2 * max + 2, sizeof *w->order);
    w->queue = calloc(max + 1, sizeof *w->queue);
    w->id_head = calloc(heads, sizeof *w->id_head);
    w->row_id = calloc(max + 1, sizeof *w->row_id);
    w->sum = calloc(max + 1, sizeof *w->sum);
    w->free_sums = calloc(max + 1, sizeof *w->free_sums);
    return w->row_room && w->wide && w->free_rows && w->order && w->queue && w->id_head &&
           w->row_id && w->sum && w->free_sums;
}

struct world *world_new(size_t gpu_max, size_t lease_max)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->gpu_max = gpu_max;
    w->lease_max = lease_max;
    w->next_id = 1;
    w->policy = (struct policy){.default_for = TIME_NEVER,
                                .max_for = TIME_NEVER,
                                .grace = 30 * TIME_S,
                                .idle_keep = TIME_NEVER};
    w->gpu_known = calloc(gpu_max + 1, sizeof *w->gpu_known);
    w->gpus = calloc(gpu_max + 1, sizeof *w->gpus);
    w->scores = calloc(MACHINE_BOARDS, sizeof *w->scores);
    w->choose = choose_new(gpu_max);
    w->memo_n = MIN(round_up(MEMOS_PER_GPU * gpu_max), (size_t)STATE_MEMOS);
    w->memos = calloc(w->memo_n, sizeof *w->memos);
    if (!w->gpu_known || !w->gpus || !w->scores || !w->choose || !w->memos || !init_leases(w) ||
        !init_indices(w))
        return world_free(w);
    return w;
}

struct world *world_free(struct world *w)
{
    if (!w)
        return NULL;
    free(w->gpu_known);
    free(w->gpus);
    free(w->row_room);
    free(w->wide);
    free(w->free_rows);
    free(w->order);
    free(w->queue);
    free(w->scores);
    choose_free(w->choose);
    free(w->id_head);
    free(w->row_id);
    free(w->sum);
    free(w->free_sums);
    free(w->memos);
    state_chain_done(&w->keys);
    state_chain_done(&w->sums);
    state_chain_done(&w->warm);
    state_heap_done(&w->heap);
    free(w);
    return NULL;
}

size_t world_gpu_n(const struct world *w)
{
    return w->gpu_n;
}

const struct gpu *world_gpu(const struct world *w, unsigned slot)
{
    return state_gpu(w, slot);
}

const struct board *world_board(const struct world *w, unsigned board)
{
    return board < MACHINE_BOARDS && w->board_known[board] ? &w->boards[board] : NULL;
}

unsigned world_board_n(const struct world *w)
{
    return (unsigned)w->board_n;
}

/* Index in `order` of the first id at or after `id`. */
static size_t order_at(const struct world *w, uint32_t id)
{
    size_t low = 0, high = w->order_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->order[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct lease *world_lease(const struct world *w, uint32_t id)
{
    return state_find(w, id);
}

void world_soon(const struct world *w, uint32_t lease, unsigned gpu, bool next)
{
    if (next) {
        uint32_t row = state_id_first(w, lease); /* nearly always its own */
        const char *at = row == STATE_NONE ? NULL : (const char *)&w->rows[row];
        for (size_t i = 0; at && i < sizeof(struct state_row); i += STATE_LINE)
            __builtin_prefetch(at + i);
        if (at)
            __builtin_prefetch(&w->row_id[row]);
        return;
    }
    __builtin_prefetch(&w->id_head[lease & w->id_mask]);
    state_gpu_soon(w, gpu);
    choose_soon(w->choose, gpu);
}

const struct lease *world_lease_by_key(const struct world *w, struct owner owner, uint32_t key)
{
    uint32_t row = key ? state_chain_first(&w->keys, state_lease_key(owner, key)) : STATE_NONE;
    for (; row != STATE_NONE; row = w->keys.link[row].next) {
        const struct lease *l = state_lease(w, row);
        if (l->key == key && owner_equal(l->owner, owner))
            return l;
    }
    return NULL;
}

unsigned state_compute(const struct board *b, unsigned row)
{
    if (row != CHOOSE_WHOLE)
        return b->profiles[row].compute;
    return b->compute_slices ? b->compute_slices : 1;
}

const struct state_sum *state_sum_of(const struct world *w, struct owner owner)
{
    uint32_t i = state_chain_first(&w->sums, state_owner_key(owner));
    while (i != STATE_NONE && !owner_equal(w->sum[i].owner, owner))
        i = w->sums.link[i].next;
    return i == STATE_NONE ? NULL : &w->sum[i];
}

const struct policy *world_policy(const struct world *w)
{
    return &w->policy;
}

uint32_t world_next_id(const struct world *w)
{
    return w->next_id;
}

const struct lease *world_lease_after(const struct world *w, uint32_t id)
{
    size_t i = order_at(w, id + 1);
    while (i < w->order_n && w->row_id[w->order[i].row] != w->order[i].id)
        i++;
    return i < w->order_n ? state_lease(w, w->order[i].row) : NULL;
}

const struct lease *world_queue(const struct world *w, size_t position)
{
    return position < w->waiting_n ? state_lease(w, w->queue[position].row) : NULL;
}

int64_t world_deadline(const struct world *w)
{
    return w->heap.n ? w->heap.due[w->heap.item[0]] : TIME_NEVER;
}
