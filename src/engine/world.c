/* A world's memory and everything that reads it; see world.h and state.h. */
#include "engine/state.h"

#include "base/time.h"

#include <stdlib.h>

static bool init_indices(struct world *w)
{
    return state_chain_init(&w->owners, w->lease_max) &&
           state_chain_init(&w->warm, w->gpu_max * BOARD_GIS) &&
           state_heap_init(&w->heap, w->lease_max + w->gpu_max);
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
    w->leases = calloc(lease_max + 1, sizeof *w->leases);
    w->free_rows = calloc(lease_max + 1, sizeof *w->free_rows);
    w->order = calloc(lease_max + 1, sizeof *w->order);
    w->queue = calloc(lease_max + 1, sizeof *w->queue);
    w->scores = calloc(MACHINE_BOARDS, sizeof *w->scores);
    w->choose = choose_new(gpu_max);
    if (!w->gpu_known || !w->gpus || !w->leases || !w->free_rows || !w->order || !w->queue ||
        !w->scores || !w->choose || !init_indices(w))
        return world_free(w);
    for (size_t i = 0; i < lease_max; i++)
        w->free_rows[i] = (uint32_t)(lease_max - 1 - i);
    return w;
}

struct world *world_free(struct world *w)
{
    if (!w)
        return NULL;
    free(w->gpu_known);
    free(w->gpus);
    free(w->leases);
    free(w->free_rows);
    free(w->order);
    free(w->queue);
    free(w->scores);
    choose_free(w->choose);
    state_chain_done(&w->owners);
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
    return slot < w->gpu_n && w->gpu_known[slot] ? &w->gpus[slot] : NULL;
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
    size_t low = 0, high = w->lease_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->order[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t state_row(const struct world *w, uint32_t id)
{
    size_t i = order_at(w, id);
    return i < w->lease_n && w->order[i].id == id ? w->order[i].row : STATE_NONE;
}

const struct lease *world_lease(const struct world *w, uint32_t id)
{
    uint32_t row = state_row(w, id);
    return row == STATE_NONE ? NULL : &w->leases[row];
}

const struct lease *world_lease_by_key(const struct world *w, struct owner owner, uint32_t key)
{
    uint32_t row = state_chain_first(&w->owners, state_owner_key(owner));
    for (; row != STATE_NONE; row = w->owners.next[row]) {
        const struct lease *l = &w->leases[row];
        if (key && l->key == key && owner_equal(l->owner, owner))
            return l;
    }
    return NULL;
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
    return i < w->lease_n ? &w->leases[w->order[i].row] : NULL;
}

const struct lease *world_queue(const struct world *w, size_t position)
{
    return position < w->waiting_n ? &w->leases[w->queue[position].row] : NULL;
}

int64_t world_deadline(const struct world *w)
{
    return w->heap.n ? w->heap.due[w->heap.item[0]] : TIME_NEVER;
}
