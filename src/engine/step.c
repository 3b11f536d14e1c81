/* Events to their parts; see step.h. */
#include "engine/step.h"

#include "engine/parts.h"

static int add_board(struct draft *d, const struct event *e, struct error *err)
{
    if (e->board.index >= MACHINE_BOARDS || e->board.board.profile_n > BOARD_PROFILES ||
        e->board.board.memory_slices > 16)
        return error_set(err, ERROR_INVALID, "board %u (%.23s) is beyond what a world holds",
                         e->board.index, e->board.board.name);
    struct change *c = draft_change(d, CHANGE_BOARD, e->board.index);
    c->board.index = e->board.index;
    c->board.board = e->board.board;
    return 0;
}

static int set_policy(struct draft *d, const struct event *e)
{
    draft_change(d, CHANGE_POLICY, 0)->policy = e->policy;
    return 0;
}

static int decide(struct draft *d, const struct event *e, struct error *err)
{
    switch (e->kind) {
    case EVENT_BOARD:
        return add_board(d, e, err);
    case EVENT_GPU_SEEN:
        return seen(d, e, err);
    case EVENT_POLICY:
        return set_policy(d, e);
    case EVENT_ASK:
        return ask(d, e, err);
    case EVENT_END:
        return life_event_end(d, e, err);
    case EVENT_EXTEND:
        return life_extend(d, e, err);
    case EVENT_APPLIED:
        return done_applied(d, e, err);
    case EVENT_FAILED:
        return done_failed(d, e, err);
    case EVENT_DRAIN:
        return admin_drain(d, e, err);
    case EVENT_MANAGE:
        return admin_manage(d, e, err);
    case EVENT_LAYOUT:
        return admin_layout(d, e, err);
    case EVENT_POOL:
        return admin_pool(d, e, err);
    case EVENT_GONE:
        life_gone(d, e->lease);
        return 0;
    case EVENT_EMPTY:
        life_empty(d, e->lease);
        return 0;
    case EVENT_OVER:
        life_over(d, e->lease);
        return 0;
    case EVENT_RESTART:
        life_restart(d);
        return 0;
    case EVENT_TICK:
        life_tick(d);
        return 0;
    }
    return error_set(err, ERROR_INVALID, "there is no event of kind %d", (int)e->kind);
}

int engine_step(const struct world *w, const struct event *e, struct outcome *ret,
                struct error *err)
{
    outcome_clear(ret);
    struct draft d;
    draft_begin(&d, w, ret, e->now);
    int rc = decide(&d, e, err);
    if (rc) {
        outcome_clear(ret);
        return rc;
    }
    return draft_finish(&d, err);
}
