/* A step under way: the world overlaid with the rows the step has changed so far.
 *
 * Reads find the changed row first, then the world's; edits copy a row once. Addresses stay valid
 * until the step is over. When memory runs out, `failed` stays set, edits go to rows that are
 * thrown away, and the step ends as if it had not begun: nothing below needs to check. */
#pragma once

#include "engine/event.h"
#include "engine/outcome.h"
#include "engine/state.h"

struct draft {
    const struct world *w;
    struct outcome *o;
    int64_t now;
    bool failed;
    bool settling; /* other GPUs are not known yet: nothing is placed anywhere */
    struct action waste_action;
    struct change waste; /* where edits go after a failure */
};

/* A draft without changes. What is wasted is cleared when it is first needed, if ever. */
void draft_begin(struct draft *d, const struct world *w, struct outcome *o, int64_t now);

static inline uint64_t draft_key(enum change_kind kind, uint32_t id)
{
    return (uint64_t)kind << 32 | id;
}

/* The row of that kind and number that this step has changed, NULL if it has not. */
static inline struct change *draft_row(const struct draft *d, enum change_kind kind, uint32_t id)
{
    uint64_t key = draft_key(kind, id);
    for (size_t i = 0; i < d->o->row_n; i++) {
        if (d->o->row_keys[i] == key)
            return d->o->rows[i];
    }
    return NULL;
}

/* NULL if there is none. */
static inline const struct gpu *draft_gpu(const struct draft *d, unsigned slot)
{
    const struct change *row = draft_row(d, CHANGE_GPU, slot);
    const struct gpu *g = row ? &row->gpu : state_gpu(d->w, slot);
    return !g && d->failed ? &d->waste.gpu : g;
}

struct gpu *draft_gpu_edit(struct draft *d, unsigned slot); /* it must exist */
struct gpu *draft_gpu_new(struct draft *d, unsigned slot, unsigned board);
static inline bool draft_gpu_changed(const struct draft *d, unsigned slot)
{
    return draft_row(d, CHANGE_GPU, slot) != NULL;
}

/* NULL if there is none, or it has ended in this step. */
static inline const struct lease *draft_lease(const struct draft *d, uint32_t id)
{
    const struct change *row = draft_row(d, CHANGE_LEASE, id);
    if (row)
        return row->lease.state == LEASE_ENDED ? NULL : &row->lease;
    const struct lease *l = state_find(d->w, id);
    return !l && d->failed ? &d->waste.lease : l;
}
struct lease *draft_lease_edit(struct draft *d, uint32_t id); /* it must exist; counts a revision */
struct lease *draft_lease_new(struct draft *d, uint32_t id, const struct lease *like);

/* The row of that kind and number under change, zeroed if this step had not touched it; never
 * NULL. */
struct change *draft_change(struct draft *d, enum change_kind kind, uint32_t id);
/* The policy now in force; where things fit on a GPU of this kind; its board. Never NULL. */
static inline const struct policy *draft_policy(const struct draft *d)
{
    const struct change *row = draft_row(d, CHANGE_POLICY, 0);
    return row ? &row->policy : &d->w->policy;
}
static inline const struct fit *draft_fit(const struct draft *d, const struct gpu *g)
{
    return &d->w->fits[g->board];
}
static inline const struct board *draft_board(const struct draft *d, const struct gpu *g)
{
    return d->w->fits[g->board].board;
}

/* Adds an action for after the commit; the caller fills the rest of it. */
struct action *draft_action(struct draft *d, enum action_kind kind, uint32_t lease, unsigned gpu);

/* Walks every live lease with its changes, in order of id but for those of this step alone. */
typedef void draft_visit(struct draft *d, const struct lease *l, void *arg);
void draft_each_lease(struct draft *d, draft_visit *visit, void *arg);

/* The next waiting lease after `last` (NULL = the first) in the order of service. */
const struct lease *draft_queue_after(const struct draft *d, const struct lease *last);

/* The slices and compute slices an owner holds now. */
void draft_usage(const struct draft *d, struct owner owner, uint32_t *ret_slices,
                 uint32_t *ret_compute);

/* The compute slices one slice of `row` counts for against a quota. */
unsigned draft_compute(const struct board *b, unsigned row);

/* Moves the rows to o->changes. 0 or -ERROR_NO_MEMORY with an empty outcome. */
int draft_finish(struct draft *d, struct error *err);
