/* The truth behind the random test; see test-sim.h. */
#include "engine/test-sim.h"

#include "base/time.h"

#define BREAK(s, ...)                                                                              \
    do {                                                                                           \
        printf("# ");                                                                              \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        (s)->broken = true;                                                                        \
    } while (0)

#include <stdio.h>
#include <string.h>

unsigned sim_below(struct sim *s, unsigned n)
{
    return rng_below(&s->rng, n);
}

slices sim_span(const struct thing *t)
{
    return (slices)(((1u << t->size) - 1) << t->start);
}

/* Whether a running lease uses any of `span` on a GPU. */
uint32_t sim_user_of(const struct sim *s, unsigned gpu, slices span)
{
    for (uint32_t id = 1; id < world_next_id(s->r.world); id++) {
        for (unsigned i = 0; s->running[id] && i < s->granted[id].slice_n; i++) {
            const struct lease_slice *at = &s->granted[id].slices[i];
            const struct board *b = world_board(s->r.world, world_gpu(s->r.world, gpu)->board);
            slices used = (slices)~0u;
            if (at->profile != BOARD_NO_PROFILE)
                used = layout_span(b, (struct placement){at->profile, at->start});
            if (at->gpu == gpu && (used & span))
                return id;
        }
    }
    return 0;
}

static bool over(const struct sim *s, uint32_t id)
{
    const struct lease *l = rig_lease(&s->r, id);
    return !l || l->state == LEASE_KILLING;
}

static bool exists(const struct sim *s, const struct lease_slice *at)
{
    const struct truth *t = &s->gpu[at->gpu];
    if (at->profile == BOARD_NO_PROFILE)
        return !t->n && (!t->on || world_gpu(s->r.world, at->gpu)->mig == MACHINE_MIG_NONE);
    for (unsigned i = 0; i < t->n; i++) {
        if (t->at[i].start == at->start && t->at[i].profile == at->profile)
            return !t->at[i].foreign;
    }
    return false;
}

static void on_grant(struct sim *s, uint32_t id)
{
    const struct lease *l = rig_lease(&s->r, id);
    for (unsigned i = 0; l && i < l->slice_n; i++) {
        const struct lease_slice *at = &l->slices[i];
        const struct board *b = world_board(s->r.world, world_gpu(s->r.world, at->gpu)->board);
        slices span = (slices)~0u;
        if (at->profile != BOARD_NO_PROFILE)
            span = layout_span(b, (struct placement){at->profile, at->start});
        uint32_t user = sim_user_of(s, at->gpu, span);
        if (user)
            BREAK(s, "step %u: lease %u granted where lease %u runs", s->step, id, user);
        if (!exists(s, at))
            BREAK(s, "step %u: lease %u granted on nothing (GPU %u)", s->step, id, at->gpu);
    }
    if (l) {
        s->granted[id] = *l;
        s->running[id] = true;
        s->grants++;
    }
}

static void check_new_places(struct sim *s, const struct change *c)
{
    const struct lease *l = &c->lease;
    for (unsigned i = 0; i < l->slice_n; i++) {
        const struct gpu *g = world_gpu(s->r.world, l->slices[i].gpu);
        if (!g->managed || g->drained || !g->present)
            BREAK(s, "step %u: lease %u placed on GPU %u, which is not to be used", s->step, l->id,
                  g->slot);
        if (!lease_wants(l, g->slot))
            BREAK(s, "step %u: lease %u placed on GPU %u, which it did not want", s->step, l->id,
                  g->slot);
    }
}

static void check_actions(struct sim *s, bool restart)
{
    const struct outcome *o = &s->r.out;
    for (size_t i = 0; i < o->action_n; i++) {
        const struct action *a = &o->actions[i];
        if (a->kind == ACTION_GRANT)
            on_grant(s, a->lease);
        if (a->kind == ACTION_ENDED && s->running[a->lease] && !restart)
            BREAK(s, "step %u: lease %u over while it runs", s->step, a->lease);
    }
}

/* What was placed in this step: new leases, and those that `waiting` names. */
static void check_places(struct sim *s, uint32_t first_new, const bool *waiting)
{
    const struct outcome *o = &s->r.out;
    for (size_t i = 0; i < o->changes.n; i++) {
        const struct change *c = o->changes.at[i];
        bool placed = c->kind == CHANGE_LEASE &&
                      (c->lease.state == LEASE_STARTING || c->lease.state == LEASE_ACTIVE);
        if (placed && (c->lease.id >= first_new || waiting[c->lease.id]))
            check_new_places(s, c);
    }
}

int sim_step(struct sim *s, struct event *e)
{
    uint32_t first_new = world_next_id(s->r.world);
    bool waiting[IDS] = {false};
    const struct lease *l;
    for (size_t i = 0; (l = world_queue(s->r.world, i)); i++)
        waiting[l->id] = true;
    struct outcome twin = {0};
    e->now = s->r.now;
    int twin_rc = engine_step(s->r.world, e, &twin, NULL);
    int rc = rig_step(&s->r, e);
    if (rc != twin_rc || !rig_same(&twin, &s->r.out))
        BREAK(s, "step %u: the same event twice decided differently", s->step);
    outcome_done(&twin);
    if (rc && (s->r.out.action_n || s->r.out.changes.n))
        BREAK(s, "step %u: a refused event left something", s->step);
    check_actions(s, e->kind == EVENT_RESTART);
    check_places(s, first_new, waiting);
    if (!rig_sound(&s->r))
        BREAK(s, "step %u: the world is not sound after event %d", s->step, (int)e->kind);
    return rc;
}

void sim_look(struct sim *s, unsigned gpu, bool fresh)
{
    const struct gpu *g = world_gpu(s->r.world, gpu);
    struct event e = {.kind = EVENT_GPU_SEEN};
    const struct truth *t = &s->gpu[gpu];
    e.gpu.slot = (uint16_t)gpu;
    e.gpu.board = g->board;
    e.gpu.present = true;
    e.gpu.fresh = fresh;
    e.gpu.health = t->lost ? MACHINE_LOST : MACHINE_OK;
    e.gpu.mig = s->r.machine->gpus[gpu].mig == MACHINE_MIG_NONE ? MACHINE_MIG_NONE
                : t->on                                         ? MACHINE_MIG_ON
                                                                : MACHINE_MIG_OFF;
    for (unsigned i = 0; i < t->n && !t->lost; i++)
        e.gpu.seen[e.gpu.n++] = (struct sighting){t->at[i].profile, t->at[i].start, t->at[i].size,
                                                  t->at[i].gi,      true,           0};
    (void)sim_step(s, &e);
}

struct layout sim_layout(const struct truth *t)
{
    struct layout l = {0};
    for (unsigned i = 0; i < t->n; i++) {
        l.at[l.n++] = (struct placement){t->at[i].profile, t->at[i].start};
        l.busy |= sim_span(&t->at[i]);
    }
    return l;
}

void sim_add(struct sim *s, unsigned gpu, unsigned profile, unsigned start, bool foreign)
{
    struct truth *t = &s->gpu[gpu];
    const struct board *b = world_board(s->r.world, world_gpu(s->r.world, gpu)->board);
    t->at[t->n++] = (struct thing){(uint8_t)profile, (uint8_t)start, b->profiles[profile].size,
                                   (uint8_t)(start + 1), foreign};
}

static enum error_code create(struct sim *s, const struct action *a)
{
    struct truth *t = &s->gpu[a->gpu];
    const struct board *b = world_board(s->r.world, world_gpu(s->r.world, a->gpu)->board);
    struct layout l = sim_layout(t);
    if (t->on && (layout_fits(b, &l, a->profile) >> a->start & 1)) {
        sim_add(s, a->gpu, a->profile, a->start, false);
        return ERROR_OK;
    }
    bool foreign = !t->on;
    for (unsigned i = 0; i < t->n; i++)
        foreign = foreign || t->at[i].foreign;
    if (!foreign)
        BREAK(s, "step %u: GPU %u asked to make what cannot stand", s->step, a->gpu);
    return ERROR_NO_FIT;
}

static enum error_code destroy(struct sim *s, const struct action *a)
{
    struct truth *t = &s->gpu[a->gpu];
    for (unsigned i = 0; i < t->n; i++) {
        if (t->at[i].start != a->start || t->at[i].profile != a->profile)
            continue;
        uint32_t user = sim_user_of(s, a->gpu, sim_span(&t->at[i]));
        if (user && !over(s, user))
            BREAK(s, "step %u: destroys under lease %u", s->step, user);
        if (user)
            return ERROR_IN_USE;
        if (t->at[i].foreign)
            BREAK(s, "step %u: destroys a stranger's instance on GPU %u", s->step, a->gpu);
        t->at[i] = t->at[--t->n];
        break;
    }
    return ERROR_OK;
}

static enum error_code set_mode(struct sim *s, const struct action *a)
{
    struct truth *t = &s->gpu[a->gpu];
    uint32_t user = sim_user_of(s, a->gpu, (slices)~0u);
    if (user && !over(s, user))
        BREAK(s, "step %u: changes the mode under lease %u", s->step, user);
    if (user || t->n)
        return ERROR_IN_USE;
    t->on = a->mig_on;
    return ERROR_OK;
}

/* The hardware does what it was asked, or not. */
enum error_code sim_perform(struct sim *s, const struct action *a)
{
    if (s->gpu[a->gpu].lost)
        return ERROR_DRIVER_LOST;
    if (!s->calm && sim_below(s, 12) == 0)
        return a->kind == ACTION_CREATE ? ERROR_HARDWARE : ERROR_IN_USE;
    if (a->kind == ACTION_CREATE)
        return create(s, a);
    return a->kind == ACTION_DESTROY ? destroy(s, a) : set_mode(s, a);
}

void sim_answer(struct sim *s, size_t op)
{
    struct action a = s->r.ops[op];
    enum error_code code = sim_perform(s, &a);
    s->r.op_n--;
    memmove(&s->r.ops[op], &s->r.ops[op + 1], (s->r.op_n - op) * sizeof s->r.ops[0]);
    struct event e = {.kind = code ? EVENT_FAILED : EVENT_APPLIED};
    e.done.gpu = a.gpu;
    e.done.op = a.op;
    e.done.code = code;
    e.done.gi = (uint8_t)(a.start + 1);
    (void)sim_step(s, &e);
}
