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

/* Where a waiting lease stands, or would, by priority then id. */
static size_t waiting_at(const struct world *w, uint32_t id, int16_t priority)
{
    size_t low = 0, high = w->waiting_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct state_waiting *at = &w->queue[middle];
        if (at->priority > priority || (at->priority == priority && at->id < id))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void queue_drop(struct world *w, const struct lease *l)
{
    size_t i = waiting_at(w, l->id, l->priority);
    if (i == w->waiting_n || w->queue[i].id != l->id)
        return;
    w->waiting_n--;
    memmove(&w->queue[i], &w->queue[i + 1], (w->waiting_n - i) * sizeof w->queue[0]);
}

static void queue_add(struct world *w, const struct lease *l, uint32_t row)
{
    size_t i = waiting_at(w, l->id, l->priority);
    memmove(&w->queue[i + 1], &w->queue[i], (w->waiting_n - i) * sizeof w->queue[0]);
    w->waiting_n++;
    w->queue[i] = (struct state_waiting){l->id, row, l->priority};
}

/* Takes entries of leases that are over out of the order, once they are as many as the others: so
 * a removal costs nothing, and a walk over all leases at most twice what it must. */
static void tidy_order(struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->order_n; i++) {
        if (w->row_id[w->order[i].row] == w->order[i].id)
            w->order[n++] = w->order[i];
    }
    w->order_n = n;
}

static void order_add(struct world *w, uint32_t id, uint32_t row)
{
    if (w->order_n > 2 * w->lease_n + 1)
        tidy_order(w);
    size_t i = w->order_n;
    while (i > 0 && w->order[i - 1].id > id)
        i--;
    if (i == 0 || w->order[i - 1].id != id) {
        memmove(&w->order[i + 1], &w->order[i], (w->order_n++ - i) * sizeof w->order[0]);
        i++;
    }
    w->order[i - 1] = (struct state_id){id, row};
}

/* The sum of an owner, a new one if need be: there are no more owners than leases. */
static uint32_t sum_of(struct world *w, struct owner owner)
{
    const struct state_sum *known = state_sum_of(w, owner);
    if (known)
        return (uint32_t)(known - w->sum);
    uint32_t i = w->free_sum_n ? w->free_sums[--w->free_sum_n] : (uint32_t)w->sum_n++;
    w->sum[i] = (struct state_sum){.owner = owner};
    state_chain_add(&w->sums, i, state_owner_key(owner));
    return i;
}

/* Adds what a lease holds to its owner's sum and notes the parts, so that the same is taken off. */
static void count(struct world *w, uint32_t row)
{
    const struct lease *l = state_lease(w, row);
    struct state_part *part = &w->rows[row].part;
    *part = (struct state_part){.sum = sum_of(w, l->owner)};
    if (l->state != LEASE_QUEUED) {
        part->slices = l->slice_n;
        for (unsigned i = 0; i < l->slice_n; i++) {
            unsigned slot = l->slices[i].gpu, profile = l->slices[i].profile;
            const struct board *b = slot < w->gpu_max ? w->fits[w->gpus[slot].board].board : NULL;
            if (b)
                part->compute +=
                    state_compute(b, profile == BOARD_NO_PROFILE ? CHOOSE_WHOLE : profile);
        }
    }
    struct state_sum *sum = &w->sum[part->sum];
    sum->leases++;
    sum->slices += part->slices;
    sum->compute += part->compute;
}

static void uncount(struct world *w, uint32_t row)
{
    const struct state_part *part = &w->rows[row].part;
    struct state_sum *sum = &w->sum[part->sum];
    sum->slices -= part->slices;
    sum->compute -= part->compute;
    if (--sum->leases > 0)
        return;
    state_chain_drop(&w->sums, part->sum);
    w->free_sums[w->free_sum_n++] = part->sum;
}

/* Boards give slices their compute: another board, other sums. */
static void count_all(struct world *w)
{
    for (size_t i = 0; i < w->order_n; i++) {
        uint32_t row = w->order[i].row;
        if (w->row_id[row] != w->order[i].id)
            continue;
        uncount(w, row);
        count(w, row);
    }
}

/* Changes when a lease is due; most are never, and those need not be looked up. */
static void set_due(struct world *w, uint32_t row, int64_t before, int64_t due)
{
    if (before != TIME_NEVER || due != TIME_NEVER)
        state_heap_set(&w->heap, row, due);
}

static void remove_lease(struct world *w, uint32_t id)
{
    uint32_t row = state_row(w, id);
    if (row == STATE_NONE)
        return;
    const struct lease *l = state_lease(w, row);
    if (l->state == LEASE_QUEUED)
        queue_drop(w, l);
    uncount(w, row);
    if (l->key)
        state_chain_drop(&w->keys, row);
    set_due(w, row, state_lease_due(l), TIME_NEVER);
    uint32_t at = state_id_first(w, id), next = w->rows[row].next;
    if (at == row)
        w->id_head[id & w->id_mask] = next == STATE_NONE ? 0 : next + 1;
    while (at != row && w->rows[at].next != row)
        at = w->rows[at].next;
    if (at != row)
        w->rows[at].next = next;
    w->row_id[row] = 0;
    w->lease_n--;
    w->free_rows[w->free_row_n++] = row;
}

static uint32_t new_row(struct world *w, uint32_t id)
{
    assert(w->lease_n < w->lease_max);
    uint32_t row = w->free_row_n ? w->free_rows[--w->free_row_n] : (uint32_t)w->row_n++;
    w->lease_n++;
    w->row_id[row] = id;
    order_add(w, id, row);
    w->rows[row].next = state_id_first(w, id);
    w->id_head[id & w->id_mask] = row + 1;
    return row;
}

/* Whether both count the same towards a quota. */
static bool counts_alike(const struct lease *a, const struct lease *b)
{
    if (!owner_equal(a->owner, b->owner) || a->slice_n != b->slice_n ||
        (a->state == LEASE_QUEUED) != (b->state == LEASE_QUEUED))
        return false;
    for (unsigned i = 0; i < a->slice_n; i++) {
        if (a->slices[i].gpu != b->slices[i].gpu || a->slices[i].profile != b->slices[i].profile)
            return false;
    }
    return true;
}

static void write_lease(struct world *w, uint32_t row, const struct lease *l)
{
    w->rows[row].is_wide = l->slice_n > 1;
    lease_copy(state_lease(w, row), l);
}

static void put_new(struct world *w, const struct lease *l)
{
    uint32_t row = new_row(w, l->id);
    write_lease(w, row, l);
    if (l->key)
        state_chain_add(&w->keys, row, state_lease_key(l->owner, l->key));
    count(w, row);
    if (l->state == LEASE_QUEUED)
        queue_add(w, l, row);
    set_due(w, row, TIME_NEVER, state_lease_due(l));
}

static void put_lease(struct world *w, const struct lease *l)
{
    uint32_t row = state_row(w, l->id);
    if (l->state == LEASE_ENDED) {
        remove_lease(w, l->id);
        return;
    }
    if (row == STATE_NONE) {
        put_new(w, l);
        return;
    }
    const struct lease *to = state_lease(w, row);
    int64_t before = state_lease_due(to);
    bool recount = !counts_alike(to, l);
    if (to->state == LEASE_QUEUED)
        queue_drop(w, to);
    if (recount)
        uncount(w, row);
    if (to->key)
        state_chain_drop(&w->keys, row);
    write_lease(w, row, l);
    if (l->key)
        state_chain_add(&w->keys, row, state_lease_key(l->owner, l->key));
    if (recount)
        count(w, row);
    if (l->state == LEASE_QUEUED)
        queue_add(w, l, row);
    set_due(w, row, before, state_lease_due(l));
}

static bool same_key(const uint64_t a[4], const uint64_t b[4])
{
    return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* The ranks of a GPU, which most often are known from another one in the same state. */
static const uint8_t *ranks_of(struct world *w, const struct gpu *g)
{
    uint64_t key[4], hash = 0;
    view_key(g, w->policy.warm_reuse, key);
    for (unsigned i = 0; i < 4; i++)
        hash = (hash ^ key[i]) * UINT64_C(0x9e3779b97f4a7c15);
    struct state_memo *m = &w->memos[(hash >> 40) & (w->memo_n - 1)];
    if (!same_key(m->key, key)) {
        memcpy(m->key, key, sizeof key);
        view_ranks(g, &w->fits[g->board], w->policy.warm_reuse, m->ranks);
    }
    return m->ranks;
}

/* Idle instances that are kept for their last holder or his group. `seats`: how many the GPU had at
 * most, before or now. */
static void index_warm(struct world *w, unsigned slot, unsigned seats)
{
    const struct gpu *g = &w->gpus[slot];
    enum warm_reuse rule = w->policy.warm_reuse;
    for (uint32_t i = 0; i < seats; i++) {
        uint32_t item = slot * BOARD_GIS + i;
        const struct seat *s = &g->seats[i];
        state_chain_drop(&w->warm, item);
        if (i < g->seat_n && s->state == SEAT_IDLE && view_usable(g) && !view_seat_anyones(s, rule))
            state_chain_add(&w->warm, item,
                            state_warm_key(rule, g->board, s->profile, s->last, s->last_gid));
    }
}

/* `before`: when the GPU was due; most are never, and those need not be looked up. */
static void index_gpu(struct world *w, unsigned slot, unsigned seats, int64_t before)
{
    const struct gpu *g = &w->gpus[slot];
    int64_t due = state_gpu_due(g, &w->policy);
    choose_put(w->choose, slot, g->board, ranks_of(w, g));
    if (before != TIME_NEVER || due != TIME_NEVER)
        state_heap_set(&w->heap, (uint32_t)(w->lease_max + slot), due);
    if (w->policy.warm_reuse != WARM_ANY)
        index_warm(w, slot, seats);
}

static void put_gpu(struct world *w, const struct gpu *g)
{
    assert(g->slot < w->gpu_max && g->board < MACHINE_BOARDS);
    struct gpu *to = &w->gpus[g->slot];
    unsigned seats = MAX(to->seat_n, g->seat_n);
    int64_t before = w->heap.n ? state_gpu_due(to, &w->policy) : TIME_NEVER;
    bool other_board = to->board != g->board;
    world_gpu_copy(to, g);
    w->gpu_known[g->slot] = true;
    w->gpu_n = MAX(w->gpu_n, (size_t)g->slot + 1);
    index_gpu(w, g->slot, seats, before);
    if (other_board)
        count_all(w);
}

/* A new table or new rules touch every GPU's place in the indices; both are rare. */
static void index_all(struct world *w)
{
    memset(w->memos, 0, w->memo_n * sizeof *w->memos);
    for (unsigned slot = 0; slot < w->gpu_n; slot++) {
        if (!w->gpu_known[slot])
            continue;
        for (uint32_t i = 0; i < w->gpus[slot].seat_n; i++)
            state_chain_drop(&w->warm, slot * BOARD_GIS + i);
        index_gpu(w, slot, w->gpus[slot].seat_n, 0);
    }
    count_all(w);
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
        const struct change *change = c->at[i];
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
