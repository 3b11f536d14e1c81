/* Thousands of random events against hardware that obeys late, refuses, loses instances, falls off
 * the bus, gets instances from strangers and sees the daemon restart; after every step everything
 * that must hold of a world is checked, and so is every action against the hardware's own truth. */
#include "engine/test-rig.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"

enum { IDS = 1 << 16, GPUS = 16 };

struct thing {
    uint8_t profile, start, size, gi;
    bool foreign;
};

/* One GPU as it really is. */
struct truth {
    bool on, lost;
    unsigned n;
    struct thing at[BOARD_GIS];
};

struct sim {
    struct rig r;
    struct rng rng;
    struct truth gpu[GPUS];
    bool *running;         /* by lease id: processes are there */
    struct lease *granted; /* by lease id: where */
    bool broken, calm;
    unsigned step;
    unsigned grants, waits, fits, nevers, wipes;
};

static unsigned below(struct sim *s, unsigned n)
{
    return rng_below(&s->rng, n);
}

#define BREAK(s, ...)                             \
    do {                                          \
        TAP_FAIL(__VA_ARGS__);                    \
        (s)->broken = true;                       \
    } while (0)

static slices span_of(const struct thing *t)
{
    return (slices)(((1u << t->size) - 1) << t->start);
}

/* Whether a running lease uses any of `span` on a GPU. */
static uint32_t user_of(const struct sim *s, unsigned gpu, slices span)
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
        uint32_t user = user_of(s, at->gpu, span);
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
    }
}

/* One event, with all that must hold afterwards. */
static int step(struct sim *s, struct event *e)
{
    bool restart = e->kind == EVENT_RESTART;
    uint32_t before = world_next_id(s->r.world);
    struct outcome twin = {0};
    e->now = s->r.now;
    int twin_rc = engine_step(s->r.world, e, &twin, NULL);
    uint64_t waiting[IDS / 64] = {0};
    for (size_t i = 0; world_queue(s->r.world, i); i++)
        waiting[world_queue(s->r.world, i)->id / 64] |= UINT64_C(1)
                                                        << world_queue(s->r.world, i)->id % 64;
    int rc = rig_step(&s->r, e);
    const struct outcome *o = &s->r.out;
    if (rc != twin_rc || twin.action_n != o->action_n || twin.changes.n != o->changes.n ||
        (o->action_n && memcmp(twin.actions, o->actions, o->action_n * sizeof *o->actions) != 0) ||
        (o->changes.n && memcmp(twin.changes.at, o->changes.at,
                                o->changes.n * sizeof *o->changes.at) != 0))
        BREAK(s, "step %u: the same event twice decided differently", s->step);
    outcome_done(&twin);
    if (rc && (o->action_n || o->changes.n))
        BREAK(s, "step %u: a refused event left something", s->step);
    for (size_t i = 0; i < o->action_n; i++) {
        const struct action *a = &o->actions[i];
        if (a->kind == ACTION_GRANT)
            on_grant(s, a->lease);
        if (a->kind == ACTION_ENDED && s->running[a->lease] && !restart)
            BREAK(s, "step %u: lease %u over while it runs", s->step, a->lease);
    }
    for (size_t i = 0; i < o->changes.n; i++) {
        const struct change *c = &o->changes.at[i];
        bool placed = c->kind == CHANGE_LEASE &&
                      (c->lease.state == LEASE_STARTING || c->lease.state == LEASE_ACTIVE);
        if (placed && (c->lease.id >= before ||
                       waiting[c->lease.id / 64] >> c->lease.id % 64 & 1))
            check_new_places(s, c);
    }
    if (!rig_sound(&s->r))
        BREAK(s, "step %u: the world is not sound after event %d", s->step, (int)e->kind);
    return rc;
}

static void look(struct sim *s, unsigned gpu, bool fresh)
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
                                                  t->at[i].gi, true, 0};
    (void)step(s, &e);
}

static struct layout truth_layout(const struct truth *t)
{
    struct layout l = {0};
    for (unsigned i = 0; i < t->n; i++) {
        l.at[l.n++] = (struct placement){t->at[i].profile, t->at[i].start};
        l.busy |= span_of(&t->at[i]);
    }
    return l;
}

static void add_thing(struct sim *s, unsigned gpu, unsigned profile, unsigned start, bool foreign)
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
    struct layout l = truth_layout(t);
    if (t->on && (layout_fits(b, &l, a->profile) >> a->start & 1)) {
        add_thing(s, a->gpu, a->profile, a->start, false);
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
        uint32_t user = user_of(s, a->gpu, span_of(&t->at[i]));
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
    uint32_t user = user_of(s, a->gpu, (slices)~0u);
    if (user && !over(s, user))
        BREAK(s, "step %u: changes the mode under lease %u", s->step, user);
    if (user || t->n)
        return ERROR_IN_USE;
    t->on = a->mig_on;
    return ERROR_OK;
}

/* The hardware does what it was asked, or not. */
static enum error_code perform(struct sim *s, const struct action *a)
{
    if (s->gpu[a->gpu].lost)
        return ERROR_DRIVER_LOST;
    if (!s->calm && below(s, 12) == 0)
        return a->kind == ACTION_CREATE ? ERROR_HARDWARE : ERROR_IN_USE;
    if (a->kind == ACTION_CREATE)
        return create(s, a);
    return a->kind == ACTION_DESTROY ? destroy(s, a) : set_mode(s, a);
}

static void answer(struct sim *s, size_t op)
{
    struct action a = s->r.ops[op];
    enum error_code code = perform(s, &a);
    s->r.op_n--;
    memmove(&s->r.ops[op], &s->r.ops[op + 1], (s->r.op_n - op) * sizeof s->r.ops[0]);
    struct event e = {.kind = code ? EVENT_FAILED : EVENT_APPLIED};
    e.done.gpu = a.gpu;
    e.done.op = a.op;
    e.done.code = code;
    e.done.gi = (uint8_t)(a.start + 1);
    (void)step(s, &e);
}

static struct lease random_want(struct sim *s)
{
    static const char *const names[] = {"1g.10gb", "1g.10gb", "1g.10gb+me", "2g.20gb", "3g.40gb",
                                        "4g.40gb", "7g.80gb", "1g.20gb", "gpu", "1g.6gb", "2g.12gb"};
    struct lease l = rig_want(names[below(s, ARRAY_LEN(names))], below(s, 4) ? 1 : 1 + below(s, 9));
    l.owner.id = 1000 + below(s, 4);
    l.wait_until = below(s, 4) == 0 ? s->r.now : below(s, 3) == 0 ? s->r.now + 60 * TIME_S : TIME_NEVER;
    l.for_ns = below(s, 3) ? (int64_t)(1 + below(s, 40)) * TIME_MIN : TIME_NEVER;
    l.priority = (int16_t)(below(s, 6) == 0);
    if (below(s, 8) == 0)
        l.gpu = (int16_t)below(s, (unsigned)world_gpu_n(s->r.world));
    if (below(s, 4) == 0)
        l.limit_slices = 1 + below(s, 8);
    if (below(s, 6) == 0)
        l.limit_compute = 1 + below(s, 14);
    return l;
}

static void check_reasons(struct sim *s, const struct explanation *x, const struct lease *want,
                          int rc)
{
    if (want->count != 1)
        return;
    bool any = false;
    for (size_t i = 0; i < x->n; i++)
        any = any || x->gpus[i].reason <= REASON_FITS_MODE;
    if (x->verdict == VERDICT_FITS && !any)
        BREAK(s, "step %u: fits, but no GPU says so", s->step);
    if (rc == 0 && x->verdict == VERDICT_WAIT && x->position == 1 && any && !want->limit_slices &&
        !want->limit_compute)
        BREAK(s, "step %u: waits as the first, but a GPU is free for it", s->step);
    if (rc == -ERROR_NEVER && any && !want->limit_slices && !want->limit_compute)
        BREAK(s, "step %u: never fits, but a GPU is free for it", s->step);
}

static void ask(struct sim *s)
{
    struct event e = {.kind = EVENT_ASK};
    e.ask.lease = random_want(s);
    struct explanation *x = malloc(sizeof *x);
    engine_explain(s->r.world, &e.ask.lease, s->r.now, x);
    int rc = step(s, &e);
    check_reasons(s, x, &e.ask.lease, rc);
    bool granted = false, refused_now = rc == 0;
    const struct lease *l = rc ? NULL : rig_lease(&s->r, s->r.out.lease);
    granted = l && l->state != LEASE_QUEUED;
    refused_now = !rc && !l;
    enum verdict told = rc ? VERDICT_NEVER : granted ? VERDICT_FITS : VERDICT_WAIT;
    if (told != x->verdict && rc != -ERROR_QUOTA)
        BREAK(s, "step %u: told %d, decided %d: %s", s->step, (int)x->verdict, (int)told,
              s->r.err.text);
    if (refused_now && e.ask.lease.wait_until > s->r.now)
        BREAK(s, "step %u: refused though it would wait", s->step);
    s->fits += told == VERDICT_FITS;
    s->waits += told == VERDICT_WAIT;
    s->nevers += told == VERDICT_NEVER;
    free(x);
}

/* A lease by chance, NULL if there is none. */
static const struct lease *some_lease(struct sim *s)
{
    const struct lease *l = world_lease_after(s->r.world, below(s, world_next_id(s->r.world)));
    return l ? l : world_lease_after(s->r.world, 0);
}

static void processes_end(struct sim *s)
{
    for (unsigned tries = 0; tries < 8; tries++) {
        const struct lease *l = some_lease(s);
        if (!l || (l->state != LEASE_ENDING && l->state != LEASE_KILLING))
            continue;
        s->running[l->id] = false;
        struct event e = {.kind = EVENT_EMPTY, .lease = l->id};
        (void)step(s, &e);
        return;
    }
}

static void end_some(struct sim *s)
{
    const struct lease *l = some_lease(s);
    if (!l)
        return;
    struct event e = {.kind = below(s, 2) ? EVENT_END : EVENT_GONE};
    if (e.kind == EVENT_GONE) {
        e.lease = l->id;
    } else {
        e.end.lease = l->id;
        e.end.why = LEASE_WHY_RELEASED;
        e.end.hard = below(s, 6) == 0;
    }
    (void)step(s, &e);
}

static void admin(struct sim *s)
{
    unsigned gpu = below(s, (unsigned)world_gpu_n(s->r.world));
    const struct gpu *g = world_gpu(s->r.world, gpu);
    struct event e = {.kind = EVENT_DRAIN};
    unsigned what = below(s, 8);
    bool foreign = false;
    for (unsigned i = 0; i < g->seat_n; i++)
        foreign = foreign || g->seats[i].state == SEAT_FOREIGN;
    e.drain.gpu = (uint16_t)gpu;
    e.drain.on = below(s, 3) == 0;
    if (what == 0) {
        e = (struct event){.kind = EVENT_MANAGE};
        e.manage.gpu = (uint16_t)gpu;
        e.manage.on = below(s, 8) != 0;
    } else if (what == 1) {
        e = (struct event){.kind = EVENT_POOL};
        e.pool.gpu = (uint16_t)gpu;
        e.pool.pool = (enum pool)below(s, 3);
    } else if (what < 6) {
        const struct board *b = world_board(s->r.world, g->board);
        e = (struct event){.kind = EVENT_LAYOUT};
        e.layout.gpu = (uint16_t)gpu;
        e.layout.fixed = below(s, 2);
        e.layout.mig = below(s, 4) != 0;
        e.layout.force = !foreign && below(s, 2);
        for (unsigned i = 0; i < 5 && b->profile_n; i++) {
            unsigned p = below(s, b->profile_n);
            int start = layout_choose(b, &e.layout.layout, p);
            if (start >= 0)
                layout_add(b, &e.layout.layout, (struct placement){(uint8_t)p, (uint8_t)start});
        }
    }
    (void)step(s, &e);
}

/* A stranger's instance exactly where ours is being made or destroyed cannot be told from ours once
 * the answer is lost, so the test leaves that alone. */
static bool ours_is(const struct gpu *g, unsigned profile, unsigned start)
{
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->state != SEAT_FOREIGN && s->profile == profile && s->start == start)
            return true;
    }
    return false;
}

static void stranger(struct sim *s)
{
    unsigned gpu = below(s, (unsigned)world_gpu_n(s->r.world));
    struct truth *t = &s->gpu[gpu];
    const struct board *b = world_board(s->r.world, world_gpu(s->r.world, gpu)->board);
    if (t->lost)
        return;
    unsigned i = t->n ? below(s, t->n) : 0;
    if (t->n && (t->at[i].foreign || below(s, 6) == 0)) {
        if (!user_of(s, gpu, span_of(&t->at[i])))
            t->at[i] = t->at[--t->n];
    } else if (t->on && b->profile_n && t->n < 6) {
        struct layout l = truth_layout(t);
        unsigned p = below(s, b->profile_n);
        int start = layout_choose(b, &l, p);
        if (start >= 0 && !ours_is(world_gpu(s->r.world, gpu), p, (unsigned)start))
            add_thing(s, gpu, p, (unsigned)start, true);
    }
    look(s, gpu, false);
}

static void drop_ops(struct sim *s, int gpu, bool tell)
{
    for (size_t i = s->r.op_n; i-- > 0;) {
        if (i >= s->r.op_n || (gpu >= 0 && s->r.ops[i].gpu != gpu))
            continue;
        if (tell) {
            answer(s, i);
            i = s->r.op_n;
            continue;
        }
        if (below(s, 2))
            (void)perform(s, &s->r.ops[i]);
        memmove(&s->r.ops[i], &s->r.ops[i + 1], (s->r.op_n - i - 1) * sizeof s->r.ops[0]);
        s->r.op_n--;
    }
}

static void lose_or_return(struct sim *s)
{
    unsigned gpu = below(s, (unsigned)world_gpu_n(s->r.world));
    struct truth *t = &s->gpu[gpu];
    if (t->lost) {
        t->lost = false;
        if (below(s, 2) && !user_of(s, gpu, (slices)~0u))
            t->n = 0;
        look(s, gpu, false);
        return;
    }
    t->lost = true;
    look(s, gpu, false);
    drop_ops(s, (int)gpu, true);
}

static void daemon_restarts(struct sim *s)
{
    drop_ops(s, -1, false);
    s->r.op_n = 0;
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++)
        look(s, i, true);
    struct event e = {.kind = EVENT_TICK};
    (void)step(s, &e);
}

static void machine_restarts(struct sim *s)
{
    s->r.op_n = 0;
    memset(s->running, 0, IDS * sizeof *s->running);
    struct event e = {.kind = EVENT_RESTART};
    (void)step(s, &e);
    s->r.op_n = 0;
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++) {
        s->gpu[i].n = 0;
        s->gpu[i].lost = false;
    }
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++)
        look(s, i, true);
    s->wipes++;
}

static void random_step(struct sim *s)
{
    unsigned dice = below(s, 1000);
    if (dice < 250) {
        ask(s);
    } else if (dice < 350) {
        end_some(s);
    } else if (dice < 520) {
        processes_end(s);
    } else if (dice < 800) {
        if (s->r.op_n)
            answer(s, below(s, (unsigned)s->r.op_n));
    } else if (dice < 900) {
        s->r.now += (int64_t)below(s, 120) * TIME_S;
        struct event e = {.kind = EVENT_TICK};
        (void)step(s, &e);
    } else if (dice < 940) {
        admin(s);
    } else if (dice < 970) {
        stranger(s);
    } else if (dice < 990 - 10 * (s->step % 2)) {
        lose_or_return(s);
    } else if (dice < 997) {
        daemon_restarts(s);
    } else if (below(s, 5) == 0) {
        machine_restarts(s);
    }
}

/* When everything is answered and everybody leaves, nothing may be left over. */
static void come_to_rest(struct sim *s)
{
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++) {
        s->gpu[i].lost = false;
        look(s, i, false);
    }
    s->calm = true;
    for (unsigned turn = 0; turn < 100 && !s->broken; turn++) {
        for (const struct lease *l = world_lease_after(s->r.world, 0); l && !s->broken;
             l = world_lease_after(s->r.world, l->id)) {
            struct event e = {.kind = EVENT_END};
            e.end.lease = l->id;
            e.end.hard = true;
            (void)step(s, &e);
        }
        for (const struct lease *l = world_lease_after(s->r.world, 0); l && !s->broken;
             l = world_lease_after(s->r.world, l->id)) {
            s->running[l->id] = false;
            struct event e = {.kind = EVENT_EMPTY, .lease = l->id};
            (void)step(s, &e);
        }
        while (s->r.op_n && !s->broken)
            answer(s, 0);
        s->r.now += 61 * TIME_S;
        struct event e = {.kind = EVENT_TICK};
        (void)step(s, &e);
    }
    if (world_lease_after(s->r.world, 0) && !s->broken)
        BREAK(s, "lease %u never ends", world_lease_after(s->r.world, 0)->id);
    for (unsigned i = 0; i < world_gpu_n(s->r.world) && !s->broken; i++) {
        const struct gpu *g = world_gpu(s->r.world, i);
        for (unsigned k = 0; k < g->seat_n && g->managed; k++) {
            if (g->seats[k].state != SEAT_IDLE && g->seats[k].state != SEAT_FOREIGN)
{
                rig_show(g);
                BREAK(s, "GPU %u seat %u is left in state %d", i, k, (int)g->seats[k].state);
            }
        }
    }
}

static unsigned run(const char *machine, uint64_t seed, unsigned steps)
{
    struct sim s = {.r = rig_new(machine), .rng = {seed}};
    s.running = calloc(IDS, sizeof *s.running);
    s.granted = calloc(4096, sizeof *s.granted);
    for (unsigned i = 0; i < world_gpu_n(s.r.world); i++)
        s.gpu[i].on = s.r.machine->gpus[i].mig == MACHINE_MIG_ON;
    struct event e = {.kind = EVENT_POLICY};
    e.policy = (struct policy){.default_for = TIME_HOUR, .max_for = TIME_NEVER,
                               .grace = 30 * TIME_S, .queue_max = 6,
                               .idle_keep = seed % 2 ? 300 * TIME_S : TIME_NEVER,
                               .warm_reuse = (enum warm_reuse)(seed % 3)};
    (void)step(&s, &e);
    for (s.step = 1; s.step <= steps && !s.broken && world_next_id(s.r.world) < 4090; s.step++)
        random_step(&s);
    if (!s.broken)
        come_to_rest(&s);
    printf("# %s seed %" PRIu64 ": %u steps, %u fits %u waits %u nevers, %u grants\n", machine, seed,
           s.step, s.fits, s.waits, s.nevers, s.grants);
    CHECK(s.broken || s.waits + s.nevers > 0);
    free(s.running);
    free(s.granted);
    rig_done(&s.r);
    return s.grants;
}

TEST(random_small_fleets)
{
    static const char *const machines[] = {"1xa100-80", "2xa100-80", "dgx-a100", "1xa100-80,1xa30",
                                           "3xh100-sxm", "2xa30,1xgb10", "2xrtx-pro-6000"};
    uint64_t first = getenv("FETTA_SEED") ? strtoull(getenv("FETTA_SEED"), NULL, 10) : 1;
    unsigned grants = 0;
    for (uint64_t seed = first; seed < first + 14; seed++)
        grants += run(machines[seed % ARRAY_LEN(machines)], seed, 2500);
    CHECK_INT(grants, >, 200);
}

TAP_MAIN
