/* The overlay of a step; see draft.h. */
#include "engine/draft.h"

#include <stdlib.h>
#include <string.h>

void draft_begin(struct draft *d, const struct world *w, struct outcome *o, int64_t now)
{
    d->w = w;
    d->o = o;
    d->now = now;
    d->failed = d->settling = false;
}

static bool grow_rows(struct outcome *o)
{
    size_t room = o->row_room ? o->row_room * 2 : 16;
    struct change **rows = realloc(o->rows, room * sizeof *rows);
    if (!rows)
        return false;
    o->rows = rows;
    uint64_t *keys = realloc(o->row_keys, room * sizeof *keys);
    if (!keys)
        return false;
    o->row_keys = keys;
    for (size_t i = o->row_room; i < room; i++) {
        o->rows[i] = calloc(1, sizeof **o->rows);
        if (!o->rows[i])
            return false;
        o->row_room = i + 1;
    }
    return true;
}

/* Without memory, edits go to a row that is thrown away. */
static struct change *fail(struct draft *d, enum change_kind kind)
{
    d->failed = true;
    memset(&d->waste, 0, sizeof d->waste);
    d->waste.kind = kind;
    return &d->waste;
}

/* A row for the caller to fill: what counts of it is his. */
static struct change *add_row(struct draft *d, enum change_kind kind, uint32_t id)
{
    struct outcome *o = d->o;
    if (o->row_n == o->row_room && !grow_rows(o))
        return fail(d, kind);
    o->row_keys[o->row_n] = draft_key(kind, id);
    o->rows[o->row_n]->kind = kind;
    return o->rows[o->row_n++];
}

struct change *draft_change(struct draft *d, enum change_kind kind, uint32_t id)
{
    struct change *row = draft_row(d, kind, id);
    if (row)
        return row;
    row = add_row(d, kind, id);
    if (kind == CHANGE_NEXT_ID) {
        row->next_id = 0;
        return row;
    }
    memset(row, 0, sizeof *row);
    row->kind = kind;
    return row;
}

struct gpu *draft_gpu_edit(struct draft *d, unsigned slot)
{
    struct change *row = draft_row(d, CHANGE_GPU, slot);
    if (row)
        return &row->gpu;
    const struct gpu *old = state_gpu(d->w, slot);
    row = add_row(d, CHANGE_GPU, slot);
    if (old)
        world_gpu_copy(&row->gpu, old);
    else
        row->gpu = (struct gpu){.slot = slot};
    return &row->gpu;
}

struct gpu *draft_gpu_new(struct draft *d, unsigned slot, unsigned board)
{
    struct change *row = draft_change(d, CHANGE_GPU, slot);
    row->gpu = (struct gpu){.slot = slot, .board = (uint8_t)board};
    return &row->gpu;
}

struct lease *draft_lease_edit(struct draft *d, uint32_t id)
{
    struct change *row = draft_row(d, CHANGE_LEASE, id);
    if (row)
        return &row->lease;
    const struct lease *old = state_find(d->w, id);
    row = add_row(d, CHANGE_LEASE, id);
    if (old)
        lease_copy(&row->lease, old);
    else
        lease_clear(&row->lease);
    row->lease.revision++;
    return &row->lease;
}

struct lease *draft_lease_new(struct draft *d, uint32_t id, const struct lease *like)
{
    struct change *row = add_row(d, CHANGE_LEASE, id);
    lease_copy(&row->lease, like);
    row->lease.id = id;
    row->lease.revision = 1;
    return &row->lease;
}

struct action *draft_action(struct draft *d, enum action_kind kind, uint32_t lease, unsigned gpu)
{
    struct outcome *o = d->o;
    if (o->action_n == o->action_room) {
        size_t room = o->action_room ? o->action_room * 2 : 16;
        struct action *actions = realloc(o->actions, room * sizeof *actions);
        if (!actions) {
            (void)fail(d, CHANGE_NEXT_ID);
            return &d->waste_action;
        }
        o->actions = actions;
        o->action_room = room;
    }
    struct action *a = &o->actions[o->action_n++];
    *a = (struct action){.kind = kind, .lease = lease, .gpu = gpu};
    return a;
}

void draft_each_lease(struct draft *d, draft_visit *visit, void *arg)
{
    for (const struct lease *l = world_lease_after(d->w, 0); l;
         l = world_lease_after(d->w, l->id)) {
        const struct lease *now = draft_lease(d, l->id);
        if (now)
            visit(d, now, arg);
    }
    for (size_t i = 0; i < d->o->row_n; i++) {
        const struct change *row = d->o->rows[i];
        if (row->kind == CHANGE_LEASE && row->lease.state != LEASE_ENDED &&
            !state_find(d->w, row->lease.id))
            visit(d, &row->lease, arg);
    }
}

static bool served_before(const struct lease *a, const struct lease *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

/* Position in the world's queue of the first lease served after `last`. */
static size_t position_after(const struct world *w, const struct lease *last)
{
    size_t low = 0, high = last ? w->waiting_n : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct state_waiting *at = &w->queue[middle];
        bool after =
            at->priority != last->priority ? at->priority < last->priority : at->id > last->id;
        if (after)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct lease *draft_queue_after(const struct draft *d, const struct lease *last)
{
    const struct lease *next = NULL;
    for (size_t i = position_after(d->w, last); i < d->w->waiting_n && !next; i++) {
        const struct lease *l = draft_lease(d, d->w->queue[i].id);
        if (l && l->state == LEASE_QUEUED)
            next = l;
    }
    for (size_t i = 0; i < d->o->row_n; i++) {
        const struct change *row = d->o->rows[i];
        if (row->kind != CHANGE_LEASE || row->lease.state != LEASE_QUEUED)
            continue;
        if (last && !served_before(last, &row->lease))
            continue;
        if (!next || served_before(&row->lease, next))
            next = &row->lease;
    }
    return next;
}

unsigned draft_compute(const struct board *b, unsigned row)
{
    return state_compute(b, row);
}

static void add_usage(const struct draft *d, const struct lease *l, uint32_t *slices_held,
                      uint32_t *compute_held)
{
    if (l->state == LEASE_QUEUED || l->state == LEASE_ENDED)
        return;
    *slices_held += l->slice_n;
    for (unsigned i = 0; i < l->slice_n; i++) {
        const struct gpu *g = draft_gpu(d, l->slices[i].gpu);
        unsigned profile = l->slices[i].profile;
        *compute_held +=
            draft_compute(draft_board(d, g), profile == BOARD_NO_PROFILE ? CHOOSE_WHOLE : profile);
    }
}

void draft_usage(const struct draft *d, struct owner owner, uint32_t *ret_slices,
                 uint32_t *ret_compute)
{
    const struct world *w = d->w;
    const struct state_sum *sum = state_sum_of(w, owner);
    *ret_slices = sum ? sum->slices : 0;
    *ret_compute = sum ? sum->compute : 0;
    for (size_t i = 0; i < d->o->row_n; i++) {
        const struct change *change = d->o->rows[i];
        if (change->kind != CHANGE_LEASE || !owner_equal(change->lease.owner, owner))
            continue;
        uint32_t row = state_row(w, change->lease.id);
        *ret_slices -= row != STATE_NONE ? w->rows[row].part.slices : 0;
        *ret_compute -= row != STATE_NONE ? w->rows[row].part.compute : 0;
        add_usage(d, &change->lease, ret_slices, ret_compute);
    }
}

/* A GPU that was only looked at costs no write. */
static bool unchanged(const struct draft *d, const struct change *row)
{
    const struct gpu *old = row->kind == CHANGE_GPU ? state_gpu(d->w, row->gpu.slot) : NULL;
    return old && old->seat_n == row->gpu.seat_n && memcmp(old, &row->gpu, gpu_size(old)) == 0;
}

int draft_finish(struct draft *d, struct error *err)
{
    struct outcome *o = d->o;
    struct changes *c = &o->changes;
    if (!d->failed && c->room < o->row_n) {
        struct change **at = realloc(c->at, o->row_room * sizeof *at);
        d->failed = !at;
        if (at) {
            c->at = at;
            c->room = o->row_room;
        }
    }
    if (d->failed) {
        outcome_clear(o);
        return error_set(err, ERROR_NO_MEMORY, "no memory to decide; nothing was changed");
    }
    for (size_t i = 0; i < o->row_n; i++) {
        if (!unchanged(d, o->rows[i]))
            c->at[c->n++] = o->rows[i];
    }
    o->row_n = 0;
    return 0;
}
