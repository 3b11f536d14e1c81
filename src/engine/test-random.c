/* Thousands of random events against hardware that obeys late, refuses, loses instances, falls off
 * the bus, gets instances from strangers and sees the daemon restart; after every step everything
 * that must hold of a world is checked, and so is every action against the hardware's own truth. */
#include "engine/test-sim.h"

#include "base/time.h"
#include "tests/tap.h"

#define BREAK(s, ...)                                                                              \
    do {                                                                                           \
        TAP_FAIL(__VA_ARGS__);                                                                     \
        (s)->broken = true;                                                                        \
    } while (0)

static struct lease random_want(struct sim *s)
{
    static const char *const names[] = {"1g.10gb", "1g.10gb", "1g.10gb+me", "2g.20gb",
                                        "3g.40gb", "4g.40gb", "7g.80gb",    "1g.20gb",
                                        "gpu",     "1g.6gb",  "2g.12gb"};
    struct lease l =
        rig_want(names[sim_below(s, ARRAY_LEN(names))], sim_below(s, 4) ? 1 : 1 + sim_below(s, 9));
    l.owner.id = 1000 + sim_below(s, 4);
    l.wait_until = sim_below(s, 4) == 0   ? s->r.now
                   : sim_below(s, 3) == 0 ? s->r.now + 60 * TIME_S
                                          : TIME_NEVER;
    l.for_ns = sim_below(s, 3) ? (int64_t)(1 + sim_below(s, 40)) * TIME_MIN : TIME_NEVER;
    l.priority = (int16_t)(sim_below(s, 6) == 0);
    if (sim_below(s, 8) == 0)
        l.gpu = (int16_t)sim_below(s, (unsigned)world_gpu_n(s->r.world));
    else if (sim_below(s, 6) == 0)
        l.gpus = 1 + sim_below(s, (1u << world_gpu_n(s->r.world)) - 1);
    if (sim_below(s, 4) == 0)
        l.limit_slices = 1 + sim_below(s, 8);
    if (sim_below(s, 6) == 0)
        l.limit_compute = 1 + sim_below(s, 14);
    return l;
}

static void check_reasons(struct sim *s, const struct explanation *x, const struct lease *want,
                          int rc)
{
    bool any = false, quota = want->limit_slices || want->limit_compute;
    for (size_t i = 0; i < x->n; i++)
        any = any || x->gpus[i].reason <= REASON_FITS_MODE;
    if (want->count != 1 || any == (x->verdict == VERDICT_FITS))
        return;
    if (!any)
        BREAK(s, "step %u: fits, but no GPU says so", s->step);
    else if (rc == 0 && x->position == 1 && !quota)
        BREAK(s, "step %u: waits as the first, but a GPU is free for it", s->step);
    else if (rc == -ERROR_NEVER)
        BREAK(s, "step %u: never fits, but a GPU is free for it", s->step);
}

static void ask(struct sim *s)
{
    struct event e = {.kind = EVENT_ASK};
    e.ask.lease = random_want(s);
    struct explanation *x = malloc(sizeof *x);
    engine_explain(s->r.world, &e.ask.lease, s->r.now, x);
    int rc = sim_step(s, &e);
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
    const struct lease *l = world_lease_after(s->r.world, sim_below(s, world_next_id(s->r.world)));
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
        (void)sim_step(s, &e);
        return;
    }
}

static void end_some(struct sim *s)
{
    const struct lease *l = some_lease(s);
    if (!l)
        return;
    static const enum event_kind kinds[] = {EVENT_END, EVENT_END, EVENT_GONE, EVENT_OVER};
    struct event e = {.kind = kinds[sim_below(s, ARRAY_LEN(kinds))]};
    if (e.kind == EVENT_OVER)
        s->running[l->id] = false;
    if (e.kind != EVENT_END) {
        e.lease = l->id;
    } else {
        e.end.lease = l->id;
        e.end.why = LEASE_WHY_RELEASED;
        e.end.hard = sim_below(s, 6) == 0;
    }
    (void)sim_step(s, &e);
}

static void admin(struct sim *s)
{
    unsigned gpu = sim_below(s, (unsigned)world_gpu_n(s->r.world));
    const struct gpu *g = world_gpu(s->r.world, gpu);
    struct event e = {.kind = EVENT_DRAIN};
    unsigned what = sim_below(s, 8);
    bool foreign = false;
    for (unsigned i = 0; i < g->seat_n; i++)
        foreign = foreign || g->seats[i].state == SEAT_FOREIGN;
    e.drain.gpu = (uint16_t)gpu;
    e.drain.on = sim_below(s, 3) == 0;
    if (what == 0) {
        e = (struct event){.kind = EVENT_MANAGE};
        e.manage.gpu = (uint16_t)gpu;
        e.manage.on = sim_below(s, 8) != 0;
    } else if (what == 1) {
        e = (struct event){.kind = EVENT_POOL};
        e.pool.gpu = (uint16_t)gpu;
        e.pool.pool = (enum pool)sim_below(s, 3);
    } else if (what < 6) {
        const struct board *b = world_board(s->r.world, g->board);
        e = (struct event){.kind = EVENT_LAYOUT};
        e.layout.gpu = (uint16_t)gpu;
        e.layout.fixed = sim_below(s, 2);
        e.layout.mig = sim_below(s, 4) != 0;
        e.layout.force = !foreign && sim_below(s, 2);
        for (unsigned i = 0; i < 5 && b->profile_n; i++) {
            unsigned p = sim_below(s, b->profile_n);
            int start = layout_choose(b, &e.layout.layout, p);
            if (start >= 0)
                layout_add(b, &e.layout.layout, (struct placement){(uint8_t)p, (uint8_t)start});
        }
    }
    (void)sim_step(s, &e);
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
    unsigned gpu = sim_below(s, (unsigned)world_gpu_n(s->r.world));
    struct truth *t = &s->gpu[gpu];
    const struct board *b = world_board(s->r.world, world_gpu(s->r.world, gpu)->board);
    if (t->lost)
        return;
    unsigned i = t->n ? sim_below(s, t->n) : 0;
    if (t->n && (t->at[i].foreign || sim_below(s, 6) == 0)) {
        if (!sim_user_of(s, gpu, sim_span(&t->at[i])))
            t->at[i] = t->at[--t->n];
    } else if (t->on && b->profile_n && t->n < 6) {
        struct layout l = sim_layout(t);
        unsigned p = sim_below(s, b->profile_n);
        int start = layout_choose(b, &l, p);
        if (start >= 0 && !ours_is(world_gpu(s->r.world, gpu), p, (unsigned)start))
            sim_add(s, gpu, p, (unsigned)start, true);
    }
    sim_look(s, gpu, false);
}

static void drop_ops(struct sim *s, int gpu, bool tell)
{
    for (size_t i = s->r.op_n; i-- > 0;) {
        if (i >= s->r.op_n || (gpu >= 0 && s->r.ops[i].gpu != (unsigned)gpu))
            continue;
        if (tell) {
            sim_answer(s, i);
            i = s->r.op_n;
            continue;
        }
        if (sim_below(s, 2))
            (void)sim_perform(s, &s->r.ops[i]);
        memmove(&s->r.ops[i], &s->r.ops[i + 1], (s->r.op_n - i - 1) * sizeof s->r.ops[0]);
        s->r.op_n--;
    }
}

static void lose_or_return(struct sim *s)
{
    unsigned gpu = sim_below(s, (unsigned)world_gpu_n(s->r.world));
    struct truth *t = &s->gpu[gpu];
    if (t->lost) {
        t->lost = false;
        if (sim_below(s, 2) && !sim_user_of(s, gpu, (slices)~0u))
            t->n = 0;
        sim_look(s, gpu, false);
        return;
    }
    t->lost = true;
    sim_look(s, gpu, false);
    drop_ops(s, (int)gpu, true);
}

static void daemon_restarts(struct sim *s)
{
    drop_ops(s, -1, false);
    s->r.op_n = 0;
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++)
        sim_look(s, i, true);
    struct event e = {.kind = EVENT_TICK};
    (void)sim_step(s, &e);
}

static void machine_restarts(struct sim *s)
{
    s->r.op_n = 0;
    memset(s->running, 0, IDS * sizeof *s->running);
    struct event e = {.kind = EVENT_RESTART};
    (void)sim_step(s, &e);
    s->r.op_n = 0;
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++) {
        s->gpu[i].n = 0;
        s->gpu[i].lost = false;
    }
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++)
        sim_look(s, i, true);
    s->wipes++;
}

static void random_step(struct sim *s)
{
    unsigned dice = sim_below(s, 1000);
    if (dice < 250) {
        ask(s);
    } else if (dice < 350) {
        end_some(s);
    } else if (dice < 520) {
        processes_end(s);
    } else if (dice < 800) {
        if (s->r.op_n)
            sim_answer(s, sim_below(s, (unsigned)s->r.op_n));
    } else if (dice < 900) {
        s->r.now += (int64_t)sim_below(s, 120) * TIME_S;
        struct event e = {.kind = EVENT_TICK};
        (void)sim_step(s, &e);
    } else if (dice < 940) {
        admin(s);
    } else if (dice < 970) {
        stranger(s);
    } else if (dice < 990 - 10 * (s->step % 2)) {
        lose_or_return(s);
    } else if (dice < 997) {
        daemon_restarts(s);
    } else if (sim_below(s, 5) == 0) {
        machine_restarts(s);
    }
}

static void everybody_leaves(struct sim *s)
{
    const struct lease *l = NULL;
    while ((l = world_lease_after(s->r.world, l ? l->id : 0)) && !s->broken) {
        struct event e = {.kind = EVENT_END};
        e.end.lease = l->id;
        e.end.hard = true;
        struct event empty = {.kind = EVENT_EMPTY, .lease = l->id};
        uint32_t id = l->id;
        (void)sim_step(s, &e);
        s->running[id] = false;
        (void)sim_step(s, &empty);
        l = world_lease(s->r.world, id);
        if (!l)
            return;
    }
}

static void check_rest(struct sim *s, const struct gpu *g)
{
    for (unsigned k = 0; k < g->seat_n && g->managed; k++) {
        enum seat_state state = g->seats[k].state;
        if (state == SEAT_IDLE || state == SEAT_FOREIGN)
            continue;
        rig_show(g);
        BREAK(s, "GPU %u seat %u is left in state %d", g->slot, k, (int)state);
    }
}

/* When everything is answered and everybody leaves, nothing may be left over. */
static void come_to_rest(struct sim *s)
{
    s->calm = true;
    for (unsigned i = 0; i < world_gpu_n(s->r.world); i++) {
        s->gpu[i].lost = false;
        sim_look(s, i, false);
    }
    for (unsigned turn = 0; turn < 300 && !s->broken; turn++) {
        everybody_leaves(s);
        while (s->r.op_n && !s->broken)
            sim_answer(s, 0);
        s->r.now += turn < 250 ? 0 : 61 * TIME_S;
        struct event e = {.kind = EVENT_TICK};
        (void)sim_step(s, &e);
    }
    if (world_lease_after(s->r.world, 0) && !s->broken)
        BREAK(s, "lease %u never ends", world_lease_after(s->r.world, 0)->id);
    for (unsigned i = 0; i < world_gpu_n(s->r.world) && !s->broken; i++)
        check_rest(s, world_gpu(s->r.world, i));
}

static unsigned run(const char *machine, uint64_t seed, unsigned steps)
{
    struct sim s = {.r = rig_new(machine), .rng = {seed}};
    s.running = calloc(IDS, sizeof *s.running);
    s.granted = calloc(IDS, sizeof *s.granted);
    for (unsigned i = 0; i < world_gpu_n(s.r.world); i++)
        s.gpu[i].on = s.r.machine->gpus[i].mig == MACHINE_MIG_ON;
    struct event e = {.kind = EVENT_POLICY};
    e.policy = (struct policy){.default_for = TIME_HOUR,
                               .max_for = TIME_NEVER,
                               .grace = 30 * TIME_S,
                               .queue_max = 6,
                               .idle_keep = seed % 2 ? 300 * TIME_S : TIME_NEVER,
                               .warm_reuse = (enum warm_reuse)(seed % 3)};
    (void)sim_step(&s, &e);
    for (s.step = 1; s.step <= steps && !s.broken && world_next_id(s.r.world) < IDS - 10; s.step++)
        random_step(&s);
    if (!s.broken)
        come_to_rest(&s);
    if (s.broken)
        TAP_FAIL("%s with FETTA_SEED=%" PRIu64 " broke in step %u", machine, seed, s.step);
    printf("# %s seed %" PRIu64 ": %u steps, %u fits %u waits %u nevers, %u grants\n", machine,
           seed, s.step, s.fits, s.waits, s.nevers, s.grants);
    CHECK(s.broken || s.waits + s.nevers > 0);
    free(s.running);
    free(s.granted);
    rig_done(&s.r);
    return s.grants;
}

TEST(random_small_fleets)
{
    static const char *const machines[] = {"1xa100-80",       "2xa100-80",  "dgx-a100",
                                           "1xa100-80,1xa30", "3xh100-sxm", "2xa30,1xgb10",
                                           "2xrtx-pro-6000"};
    uint64_t first = getenv("FETTA_SEED") ? strtoull(getenv("FETTA_SEED"), NULL, 10) : 1;
    unsigned grants = 0;
    for (uint64_t seed = first; seed < first + 14; seed++)
        grants += run(machines[seed % ARRAY_LEN(machines)], seed, 2500);
    CHECK_INT(grants, >, 200);
}

TAP_MAIN
