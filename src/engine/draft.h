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

const struct gpu *draft_gpu(const struct draft *d, unsigned slot); /* NULL if there is none */
struct gpu *draft_gpu_edit(struct draft *d, unsigned slot);        /* it must exist */
struct gpu *draft_gpu_new(struct draft *d, unsigned slot, unsigned board);
bool draft_gpu_changed(const struct draft *d, unsigned slot);

/* NULL if there is none, or it has ended in this step. */
const struct lease *draft_lease(const struct draft *d, uint32_t id);
struct lease *draft_lease_edit(struct draft *d, uint32_t id); /* it must exist; counts a revision */
struct lease *draft_lease_new(struct draft *d, uint32_t id);

/* The row of that kind and number under change, zeroed if this step had not touched it; never
 * NULL. */
struct change *draft_change(struct draft *d, enum change_kind kind, uint32_t id);
/* The policy now in force; where things fit on a GPU of this kind; its board. Never NULL. */
const struct policy *draft_policy(const struct draft *d);
const struct fit *draft_fit(const struct draft *d, const struct gpu *g);
const struct board *draft_board(const struct draft *d, const struct gpu *g);

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
