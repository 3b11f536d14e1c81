/* The only writer of a world: rows in, indices kept. */
#include "engine/state.h"

#include "base/time.h"

#include <assert.h>
#include <string.h>

static const int64_t warnings[] = {15 * TIME_MIN, 5 * TIME_MIN, TIME_MIN};

static int64_t active_due(const struct lease *l)
{
    int64_t due = l->ends_at;
    if (due == TIME_NEVER)
        return due;
    if (l->warned < ARRAY_LEN(warnings))
        due = l->ends_at - warnings[l->warned];
    if (l->signal && !l->signalled)
        due = MIN(due, l->ends_at - l->signal_before);
    return due;
}

int64_t state_lease_due(const struct lease *l)
{
    switch (l->state) {
    case LEASE_QUEUED:
        return l->wait_until;
    case LEASE_ACTIVE:
        return active_due(l);
    case LEASE_ENDING:
        return l->term_at + l->grace_ns;
    case LEASE_KILLING:
        return l->kill_at + 10 * TIME_S;
    case LEASE_STARTING:
    case LEASE_ENDED:
        break;
    }
    return TIME_NEVER;
}

int64_t state_gpu_due(const struct gpu *g, const struct policy *p)
{
    if (!g->present || g->health != MACHINE_OK || !g->managed)
        return TIME_NEVER;
    int64_t due = g->mode_retry_at ? g->mode_retry_at : TIME_NEVER;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_IDLE && !s->fixed && p->idle_keep != TIME_NEVER)
            due = MIN(due, s->since + p->idle_keep);
        if (s->retry_at)
            due = MIN(due, s->retry_at);
    }
    return due;
}

static size_t waiting_at(const struct world *w, uint32_t id)
{
    size_t i = 0;
    while (i < w->waiting_n && w->queue[i].id != id)
        i++;
    return i;
}

static void queue_drop(struct world *w, uint32_t id)
{
    size_t i = waiting_at(w, id);
    if (i == w->waiting_n)
        return;
    w->waiting_n--;
    memmove(&w->queue[i], &w->queue[i + 1], (w->waiting_n - i) * sizeof w->queue[0]);
}

static void queue_add(struct world *w, const struct lease *l, uint32_t row)
{
    size_t i = w->waiting_n++;
    for (; i > 0; i--) {
        const struct state_waiting *before = &w->queue[i - 1];
        if (before->priority > l->priority ||
            (before->priority == l->priority && before->id < l->id))
            break;
        w->queue[i] = *before;
    }
    w->queue[i] = (struct state_waiting){l->id, row, l->priority};
}

static void remove_lease(struct world *w, uint32_t id)
{
    uint32_t row = state_row(w, id);
    if (row == STATE_NONE)
        return;
    if (w->leases[row].state == LEASE_QUEUED)
        queue_drop(w, id);
    state_chain_drop(&w->owners, row);
    state_heap_set(&w->heap, row, TIME_NEVER);
    size_t i = 0, high = w->lease_n;
    while (i < high) {
        size_t middle = (i + high) / 2;
        if (w->order[middle].id < id)
            i = middle + 1;
        else
            high = middle;
    }
    w->lease_n--;
    memmove(&w->order[i], &w->order[i + 1], (w->lease_n - i) * sizeof w->order[0]);
    w->free_rows[w->lease_max - w->lease_n - 1] = row;
}

static uint32_t new_row(struct world *w, uint32_t id)
{
    assert(w->lease_n < w->lease_max);
    uint32_t row = w->free_rows[w->lease_max - w->lease_n - 1];
    size_t i = w->lease_n++;
    for (; i > 0 && w->order[i - 1].id > id; i--)
        w->order[i] = w->order[i - 1];
    w->order[i] = (struct state_id){id, row};
    return row;
}

static void put_lease(struct world *w, const struct lease *l)
{
    if (l->state == LEASE_ENDED) {
        remove_lease(w, l->id);
        return;
    }
    uint32_t row = state_row(w, l->id);
    if (row == STATE_NONE) {
        row = new_row(w, l->id);
        state_chain_add(&w->owners, row, state_owner_key(l->owner));
    } else if (w->leases[row].state == LEASE_QUEUED) {
        queue_drop(w, l->id);
    }
    w->leases[row] = *l;
    if (l->state == LEASE_QUEUED)
        queue_add(w, l, row);
    state_heap_set(&w->heap, row, state_lease_due(l));
}

static void index_gpu(struct world *w, unsigned slot)
{
    const struct gpu *g = &w->gpus[slot];
    uint8_t ranks[CHOOSE_ROWS];
    view_ranks(g, &w->fits[g->board], ranks);
    choose_put(w->choose, slot, g->board, ranks);
    state_heap_set(&w->heap, (uint32_t)(w->lease_max + slot), state_gpu_due(g, &w->policy));
    for (uint32_t i = 0; i < BOARD_GIS; i++) {
        uint32_t item = slot * BOARD_GIS + i;
        state_chain_drop(&w->warm, item);
        if (i >= g->seat_n || g->seats[i].state != SEAT_IDLE || !view_usable(g))
            continue;
        const struct seat *s = &g->seats[i];
        state_chain_add(&w->warm, item,
                        state_warm_key(w->policy.warm_reuse, g->board, s->profile, s->used, s->last,
                                       s->last_gid));
    }
}

static void put_gpu(struct world *w, const struct gpu *g)
{
    assert(g->slot < w->gpu_max && g->board < MACHINE_BOARDS);
    w->gpus[g->slot] = *g;
    w->gpu_known[g->slot] = true;
    w->gpu_n = MAX(w->gpu_n, (size_t)g->slot + 1);
    index_gpu(w, g->slot);
}

/* A new table or new rules touch every GPU's place in the indices; both are rare. */
static void index_all(struct world *w)
{
    for (unsigned slot = 0; slot < w->gpu_n; slot++) {
        if (w->gpu_known[slot])
            index_gpu(w, slot);
    }
}

static void put_board(struct world *w, unsigned index, const struct board *b)
{
    assert(index < MACHINE_BOARDS);
    w->boards[index] = *b;
    w->board_known[index] = true;
    w->board_n = MAX(w->board_n, (size_t)index + 1);
    score_fill(&w->scores[index], b, w->policy.rule, &w->policy.mix);
    w->fits[index] = (struct fit){.board = &w->boards[index], .score = &w->scores[index]};
    index_all(w);
}

static void put_policy(struct world *w, const struct policy *p)
{
    w->policy = *p;
    for (unsigned i = 0; i < w->board_n; i++)
        if (w->board_known[i])
            score_fill(&w->scores[i], &w->boards[i], p->rule, &p->mix);
    index_all(w);
}

void world_apply(struct world *w, const struct changes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct change *change = &c->at[i];
        switch (change->kind) {
        case CHANGE_LEASE:
            put_lease(w, &change->lease);
            break;
        case CHANGE_GPU:
            put_gpu(w, &change->gpu);
            break;
        case CHANGE_BOARD:
            put_board(w, change->board.index, &change->board.board);
            break;
        case CHANGE_POLICY:
            put_policy(w, &change->policy);
            break;
        case CHANGE_NEXT_ID:
            w->next_id = change->next_id;
            break;
        }
    }
}
