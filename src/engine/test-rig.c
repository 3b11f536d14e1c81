/* The test rig of the engine; see test-rig.h. */
#include "engine/test-rig.h"

#include "engine/state.h"

#include "base/time.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct world *current; /* of the rig that stepped last: rig_want reads its boards */

static void fill(struct rig *r)
{
    for (unsigned i = 0; i < r->machine->board_n; i++) {
        struct event e = {.kind = EVENT_BOARD};
        e.board.index = (uint8_t)i;
        e.board.board = r->machine->boards[i];
        (void)rig_step(r, &e);
    }
    for (unsigned i = 0; i < r->machine->gpu_n; i++) {
        struct event e = {.kind = EVENT_GPU_SEEN};
        e.gpu.slot = (uint16_t)i;
        e.gpu.board = r->machine->gpus[i].board;
        e.gpu.present = true;
        e.gpu.mig = r->machine->gpus[i].mig;
        (void)rig_step(r, &e);
        struct event m = {.kind = EVENT_MANAGE};
        m.manage.gpu = (uint16_t)i;
        m.manage.on = true;
        (void)rig_step(r, &m);
    }
}

struct rig rig_new(const char *machine)
{
    struct rig r = {.world = world_new(64, 512),
                    .copy = world_new(64, 512),
                    .machine = calloc(1, sizeof *r.machine),
                    .now = 1000 * TIME_S};
    assert(r.world && r.copy && r.machine);
    if (machine_parse(machine, r.machine, &r.err))
        printf("# %s: %s\n", machine, r.err.text);
    fill(&r);
    return r;
}

void rig_done(struct rig *r)
{
    current = NULL;
    world_free(r->world);
    world_free(r->copy);
    free(r->machine);
    outcome_done(&r->out);
}

int rig_step(struct rig *r, struct event *e)
{
    current = r->world;
    e->now = r->now;
    r->err = (struct error){0};
    int rc = engine_step(r->world, e, &r->out, &r->err);
    world_apply(r->world, &r->out.changes);
    world_apply(r->copy, &r->out.changes);
    for (size_t i = 0; i < r->out.action_n; i++) {
        const struct action *a = &r->out.actions[i];
        if (a->kind > ACTION_SET_MODE)
            continue;
        assert(r->op_n < 1024);
        r->ops[r->op_n++] = *a;
    }
    return rc;
}

void rig_answer(struct rig *r, size_t op, enum error_code code)
{
    struct action a = r->ops[op];
    r->op_n--;
    memmove(&r->ops[op], &r->ops[op + 1], (r->op_n - op) * sizeof r->ops[0]);
    struct event e = {.kind = code ? EVENT_FAILED : EVENT_APPLIED};
    e.done.gpu = a.gpu;
    e.done.op = a.op;
    e.done.code = code;
    e.done.gi = (uint8_t)(a.start + 1);
    (void)rig_step(r, &e);
}

void rig_finish(struct rig *r)
{
    struct outcome kept = {0};
    while (r->op_n)
        rig_answer(r, 0, ERROR_OK);
    outcome_done(&kept);
}

struct lease rig_want(const char *profile, unsigned count)
{
    struct lease l = {.kind = SLICE_GI,
                      .count = (uint8_t)count,
                      .gpu = REQUEST_ANY,
                      .start = REQUEST_ANY,
                      .owner = {OWNER_UID, 1000},
                      .asker_uid = 1000,
                      .bind = BIND_PID,
                      .wait_until = TIME_NEVER,
                      .grace_ns = -1};
    memset(l.profile_on, BOARD_NO_PROFILE, sizeof l.profile_on);
    if (strcmp(profile, "gpu") == 0)
        l.kind = SLICE_WHOLE;
    for (unsigned i = 0; l.kind == SLICE_GI && current && i < world_board_n(current); i++)
        l.profile_on[i] = (uint8_t)board_profile_by_name(world_board(current, i), profile);
    return l;
}

uint32_t rig_ask(struct rig *r, struct lease want)
{
    struct event e = {.kind = EVENT_ASK};
    e.ask.lease = want;
    return rig_step(r, &e) ? 0 : r->out.lease;
}

int rig_end(struct rig *r, uint32_t id, enum lease_why why)
{
    struct event e = {.kind = EVENT_END};
    e.end.lease = id;
    e.end.why = why;
    return rig_step(r, &e);
}

void rig_empty(struct rig *r, uint32_t id)
{
    struct event e = {.kind = EVENT_EMPTY, .lease = id};
    (void)rig_step(r, &e);
}

void rig_give_back(struct rig *r, uint32_t id)
{
    (void)rig_end(r, id, LEASE_WHY_RELEASED);
    rig_empty(r, id);
}

int rig_tick(struct rig *r, int64_t ns)
{
    r->now += ns;
    struct event e = {.kind = EVENT_TICK};
    return rig_step(r, &e);
}

int rig_look(struct rig *r, unsigned slot, struct event *e)
{
    const struct gpu *g = world_gpu(r->world, slot);
    *e = (struct event){.kind = EVENT_GPU_SEEN};
    e->gpu.slot = (uint16_t)slot;
    e->gpu.board = g->board;
    e->gpu.present = true;
    e->gpu.mig = g->mig;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_CREATING)
            continue;
        e->gpu.seen[e->gpu.n++] =
            (struct sighting){s->profile, s->start, s->size, s->gi, true, s->ci};
    }
    return 0;
}

const struct lease *rig_lease(const struct rig *r, uint32_t id)
{
    return world_lease(r->world, id);
}

const struct action *rig_action(const struct rig *r, enum action_kind kind)
{
    for (size_t i = 0; i < r->out.action_n; i++) {
        if (r->out.actions[i].kind == kind)
            return &r->out.actions[i];
    }
    return NULL;
}

size_t rig_count(const struct rig *r, enum action_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < r->out.action_n; i++)
        n += r->out.actions[i].kind == kind;
    return n;
}

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# broken: %s: ", #condition);                                                  \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

/* Whether a seat claims that its instance is there or will be: not on a lost GPU, and not under way
 * where a stranger was faster. */
static bool stands(const struct gpu *g, const struct seat *s)
{
    bool going = s->state == SEAT_CREATING || (s->state == SEAT_DESTROYING && s->op);
    if (g->health != MACHINE_OK)
        return false;
    for (unsigned i = 0; going && i < g->seat_n; i++) {
        if (g->seats[i].state == SEAT_FOREIGN)
            return false;
    }
    return !(s->state == SEAT_CREATING && !s->op);
}

/* Instances do not overlap, what is being made fits beside what is there, links point back. */
static bool gpu_sound(const struct rig *r, const struct gpu *g)
{
    const struct board *b = world_board(r->world, g->board);
    struct layout l = {0};
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        MUST(i == 0 || g->seats[i - 1].start <= s->start, "GPU %u seats out of order", g->slot);
        if (s->state == SEAT_LEASED)
            MUST(s->lease, "GPU %u seat %u leased to nobody", g->slot, i);
        if (s->state == SEAT_CREATING)
            MUST(s->lease || s->op || s->fixed, "GPU %u seat %u made for nobody", g->slot, i);
        if (s->lease) {
            const struct lease *lease = world_lease(r->world, s->lease);
            bool back = false;
            for (unsigned k = 0; lease && k < lease->slice_n; k++)
                back =
                    back || (lease->slices[k].gpu == g->slot && lease->slices[k].start == s->start);
            MUST(back, "GPU %u seat %u: lease %u does not point back", g->slot, i, s->lease);
        }
        if (!stands(g, s) || s->profile == BOARD_NO_PROFILE)
            continue;
        MUST(layout_fits(b, &l, s->profile) >> s->start & 1, "GPU %u seat %u overlaps", g->slot, i);
        layout_add(b, &l, (struct placement){s->profile, s->start});
    }
    if (g->whole_lease)
        MUST(world_lease(r->world, g->whole_lease), "GPU %u held by a lease that is over", g->slot);
    return true;
}

static bool slice_sound(const struct rig *r, const struct lease *l, const struct lease_slice *s)
{
    const struct gpu *g = world_gpu(r->world, s->gpu);
    if (s->profile == BOARD_NO_PROFILE)
        return g->whole_lease == l->id;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *seat = &g->seats[i];
        if (seat->lease == l->id && seat->start == s->start && seat->profile == s->profile)
            return s->made == (seat->state == SEAT_LEASED);
    }
    return false;
}

static bool lease_sound(const struct rig *r, const struct lease *l)
{
    MUST(l->id < world_next_id(r->world), "lease %u has an id to come", l->id);
    MUST(l->state != LEASE_ENDED, "lease %u is over", l->id);
    if (l->state == LEASE_QUEUED) {
        MUST(l->slice_n == 0, "lease %u waits with slices", l->id);
        return true;
    }
    MUST(l->slice_n == l->count, "lease %u has %u of %u slices", l->id, l->slice_n, l->count);
    bool lost =
        l->why == LEASE_WHY_LOST || l->why == LEASE_WHY_VANISHED || l->state == LEASE_KILLING;
    for (unsigned i = 0; i < l->slice_n && !lost; i++) {
        MUST(slice_sound(r, l, &l->slices[i]), "lease %u slice %u has no seat", l->id, i);
        MUST(l->state != LEASE_ACTIVE || l->slices[i].made, "lease %u runs on nothing", l->id);
    }
    return true;
}

/* Rows are equal where they count. */
static bool same_lease(const struct lease *a, const struct lease *b)
{
    return memcmp(a, b, offsetof(struct lease, slices)) == 0 &&
           memcmp(a->slices, b->slices, a->slice_n * sizeof a->slices[0]) == 0;
}

static bool same_gpu(const struct gpu *a, const struct gpu *b)
{
    return a->seat_n == b->seat_n && memcmp(a, b, gpu_size(a)) == 0;
}

static bool same_change(const struct change *a, const struct change *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case CHANGE_LEASE:
        return same_lease(&a->lease, &b->lease);
    case CHANGE_GPU:
        return same_gpu(&a->gpu, &b->gpu);
    case CHANGE_BOARD:
        return memcmp(&a->board, &b->board, sizeof a->board) == 0;
    case CHANGE_POLICY:
        return memcmp(&a->policy, &b->policy, sizeof a->policy) == 0;
    case CHANGE_NEXT_ID:
        return a->next_id == b->next_id;
    }
    return false;
}

bool rig_same(const struct outcome *a, const struct outcome *b)
{
    bool same =
        a->action_n == b->action_n && a->changes.n == b->changes.n && a->lease == b->lease &&
        (!a->action_n || memcmp(a->actions, b->actions, a->action_n * sizeof *a->actions) == 0);
    for (size_t i = 0; same && i < a->changes.n; i++)
        same = same_change(a->changes.at[i], b->changes.at[i]);
    return same;
}

static bool same_worlds(const struct rig *r)
{
    MUST(world_next_id(r->world) == world_next_id(r->copy), "next id");
    MUST(world_deadline(r->world) == world_deadline(r->copy), "deadline");
    const struct lease *l = NULL;
    while ((l = world_lease_after(r->world, l ? l->id : 0))) {
        const struct lease *other = world_lease(r->copy, l->id);
        MUST(other && same_lease(l, other), "lease %u differs", l->id);
    }
    for (unsigned i = 0; i < world_gpu_n(r->world); i++)
        MUST(same_gpu(world_gpu(r->world, i), world_gpu(r->copy, i)), "GPU %u differs", i);
    return true;
}

/* What is kept so that a step need not count it is what counting gives. */
static bool sums_sound(const struct world *w)
{
    const struct lease *l = NULL, *other = NULL;
    size_t n = 0;
    while ((l = world_lease_after(w, l ? l->id : 0))) {
        struct state_sum want = {.owner = l->owner};
        const struct state_sum *sum = state_sum_of(w, l->owner);
        while ((other = world_lease_after(w, other ? other->id : 0))) {
            bool counts = owner_equal(other->owner, l->owner);
            want.leases += counts;
            for (unsigned i = 0; counts && other->state != LEASE_QUEUED && i < other->slice_n;
                 i++) {
                unsigned row = other->slices[i].profile;
                const struct board *b = world_board(w, w->gpus[other->slices[i].gpu].board);
                want.slices++;
                want.compute += state_compute(b, row == BOARD_NO_PROFILE ? CHOOSE_WHOLE : row);
            }
        }
        MUST(sum && sum->leases == want.leases && sum->slices == want.slices &&
                 sum->compute == want.compute,
             "the sum of lease %u's owner", l->id);
        MUST(!l->key || world_lease_by_key(w, l->owner, l->key), "key of lease %u", l->id);
        n++;
    }
    MUST(n == w->lease_n, "%zu leases are walked, %zu live", n, w->lease_n);
    return true;
}

static bool ranks_sound(const struct world *w)
{
    for (unsigned slot = 0; slot < w->gpu_n; slot++) {
        uint8_t ranks[CHOOSE_ROWS];
        const struct gpu *g = world_gpu(w, slot);
        if (!g)
            continue;
        view_ranks(g, &w->fits[g->board], w->policy.warm_reuse, ranks);
        for (unsigned row = 0; row < CHOOSE_ROWS; row++) {
            struct choose_at at = {ranks[row], slot};
            uint64_t looked = 0;
            bool found =
                ranks[row] != CHOOSE_NONE && choose_next(w->choose, g->board, row, &at, &looked);
            MUST(ranks[row] == CHOOSE_NONE || (found && at.rank == ranks[row] && at.gpu == slot),
                 "GPU %u is not where it ranks for row %u", slot, row);
        }
    }
    return true;
}

void rig_show(const struct gpu *g)
{
    printf("# GPU %u: mig %d fixed %d whole %u mode_op %u\n", g->slot, (int)g->mig, g->fixed,
           g->whole_lease, g->mode_op);
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        printf("#   seat %u: state %d profile %u at %u+%u lease %u op %u fixed %d\n", i,
               (int)s->state, s->profile, s->start, s->size, s->lease, s->op, s->fixed);
    }
}

bool rig_sound(const struct rig *r)
{
    for (unsigned i = 0; i < world_gpu_n(r->world); i++) {
        if (!gpu_sound(r, world_gpu(r->world, i))) {
            rig_show(world_gpu(r->world, i));
            return false;
        }
    }
    const struct lease *l = NULL;
    while ((l = world_lease_after(r->world, l ? l->id : 0))) {
        if (!lease_sound(r, l))
            return false;
    }
    return same_worlds(r) && sums_sound(r->world) && ranks_sound(r->world);
}

const struct policy rig_usual = {.default_for = TIME_HOUR,
                                 .max_for = 4 * TIME_HOUR,
                                 .grace = 30 * TIME_S,
                                 .idle_keep = TIME_NEVER};

int rig_policy(struct rig *r, struct policy p)
{
    struct event e = {.kind = EVENT_POLICY, .policy = p};
    return rig_step(r, &e);
}

uint32_t rig_have(struct rig *r, struct lease want)
{
    uint32_t id = rig_ask(r, want);
    rig_finish(r);
    const struct lease *l = id ? rig_lease(r, id) : NULL;
    return l && l->state == LEASE_ACTIVE ? id : 0;
}

enum lease_state rig_state(const struct rig *r, uint32_t id)
{
    const struct lease *l = rig_lease(r, id);
    return l ? l->state : LEASE_ENDED;
}

enum lease_why rig_why(const struct rig *r, uint32_t id)
{
    for (size_t i = 0; i < r->out.changes.n; i++) {
        const struct change *c = r->out.changes.at[i];
        if (c->kind == CHANGE_LEASE && c->lease.id == id && c->lease.state == LEASE_ENDED)
            return c->lease.why;
    }
    return LEASE_WHY_NONE;
}
