/* The run; see sim.h. Three things make time pass: the next job, what the driver or a running job
 * has under way, and what the engine wants to be woken for. The earliest of them happens next. */
#include "sim/sim.h"

#include "engine/step.h"
#include "sim/agenda.h"
#include "sim/scan.h"
#include "sim/tally.h"

#include "base/macro.h"
#include "base/time.h"

#include <stdlib.h>
#include <string.h>

enum { PROGRESS_EVERY = 8192, LEASES_LEAST = 1 << 17 };

struct run {
    const struct sim_setup *setup;
    const struct sim_source *source;
    struct world *world;
    struct outcome out;
    struct agenda agenda;
    struct tally tally;
    struct sim_result *result;
    uint64_t job_n;      /* asked so far, inside the window or not */
    struct sim_job next; /* the next to ask, if there is `more` */
    bool more;
    bool built; /* until then the driver takes no time */
    sim_progress *progress;
    void *progress_arg;
    int64_t now;
    struct rng rng; /* for what the driver takes */
    struct error *err;
};

static int step(struct run *r, struct event *e)
{
    e->now = r->now;
    r->result->steps++;
    int rc = engine_step(r->world, e, &r->out, r->err);
    if (rc < 0)
        return rc;
    world_apply(r->world, &r->out.changes);
    r->result->cost.gpus += r->out.cost.gpus;
    r->result->cost.words += r->out.cost.words;
    r->result->cost.kept += r->out.cost.kept;
    return 0;
}

static int64_t driver_time(struct run *r, const struct action *a)
{
    enum sim_op op = a->kind == ACTION_CREATE    ? SIM_CREATE
                     : a->kind == ACTION_DESTROY ? SIM_DESTROY
                                                 : SIM_MODE;
    if (r->setup->delay)
        return r->setup->delay(r->setup->delay_arg, world_gpu(r->world, a->gpu)->board, op,
                               &r->rng);
    return op == SIM_CREATE    ? r->setup->create_ns
           : op == SIM_DESTROY ? r->setup->destroy_ns
                               : r->setup->mode_ns;
}

/* The job of a lease that was granted runs; what follows from all other actions comes later. */
static int carry_out(struct run *r)
{
    int rc = 0;
    for (size_t i = 0; i < r->out.action_n && rc == 0; i++) {
        const struct action *a = &r->out.actions[i];
        struct agenda_item item = {.at = r->now, .gpu = a->gpu & AGENDA_GPUS, .op = a->op};
        if (a->kind <= ACTION_SET_MODE) {
            int64_t takes = driver_time(r, a);
            item.at += r->built ? takes : 0;
            r->result->made += a->kind == ACTION_CREATE;
            r->result->destroyed += a->kind == ACTION_DESTROY;
            rc = agenda_add(&r->agenda, item, r->err);
        } else if (a->kind == ACTION_GRANT) {
            item.kind = AGENDA_JOB_ENDS;
            item.op = a->lease;
            item.at += tally_grant(&r->tally, world_lease(r->world, a->lease), r->now);
            rc = agenda_add(&r->agenda, item, r->err);
        } else if (a->kind == ACTION_REFUSE) {
            tally_refuse(&r->tally, a->lease);
        } else if (a->kind == ACTION_QUEUED) {
            tally_wait(&r->tally, a->lease);
        }
    }
    return rc;
}

static int tell(struct run *r, struct event *e)
{
    int rc = step(r, e);
    return rc < 0 ? rc : carry_out(r);
}

static void fill_lease(const struct run *r, const struct sim_job *j, struct lease *l)
{
    lease_clear(l);
    l->kind = j->whole ? SLICE_WHOLE : SLICE_GI;
    l->count = j->count;
    l->gpu = l->start = REQUEST_ANY;
    l->priority = j->priority;
    l->owner = (struct owner){OWNER_UID, j->user};
    l->asker_uid = j->user;
    l->bind = BIND_PID;
    l->limit_compute = r->setup->quota_compute;
    l->wait_until = j->wait == TIME_NEVER ? TIME_NEVER : r->now + j->wait;
    l->for_ns = r->setup->told_runtime ? j->run + TIME_S : 0;
    memset(l->profile_on, BOARD_NO_PROFILE, sizeof l->profile_on);
    for (unsigned i = 0; i < r->setup->group_n && !j->whole; i++)
        l->profile_on[i] = j->row[i];
}

static int submit(struct run *r, const struct sim_job *j)
{
    struct event e; /* what its kind does not use is not cleared: this is done for every job */
    e.kind = EVENT_ASK;
    e.ask.gid = 0;
    fill_lease(r, j, &e.ask.lease);
    uint32_t id = world_next_id(r->world);
    int rc = tally_ask(&r->tally, id, j, r->now, r->err);
    if (rc < 0)
        return rc;
    rc = step(r, &e);
    if (rc == -ERROR_NEVER || rc == -ERROR_QUOTA || rc == -ERROR_NO_FIT) {
        tally_refuse(&r->tally, id);
        return 0;
    }
    return rc < 0 ? rc : carry_out(r);
}

/* A job ends by itself: what it was bound to is gone, and nothing of it is left. */
static int end_job(struct run *r, uint32_t lease)
{
    struct event e;
    e.kind = EVENT_OVER;
    e.lease = lease;
    tally_end(&r->tally, world_lease(r->world, lease), r->now);
    return tell(r, &e);
}

static int happen(struct run *r)
{
    struct agenda_item item;
    int rc = agenda_take(&r->agenda, &item, r->err);
    if (rc < 0)
        return rc;
    if (item.kind == AGENDA_JOB_ENDS)
        return end_job(r, item.op);
    struct event e;
    e.kind = EVENT_APPLIED;
    e.done.gpu = item.gpu;
    e.done.op = item.op;
    e.done.gi = e.done.ci = 0;
    return tell(r, &e);
}

static int add_gpu(struct run *r, unsigned slot, unsigned group)
{
    const struct sim_group *g = &r->setup->groups[group];
    bool mig = g->board->memory_slices > 0;
    struct event seen = {.kind = EVENT_GPU_SEEN,
                         .gpu = {.slot = slot,
                                 .board = (uint8_t)group,
                                 .present = true,
                                 .mig = mig ? MACHINE_MIG_ON : MACHINE_MIG_NONE}};
    struct event manage = {.kind = EVENT_MANAGE, .manage = {.gpu = slot, .on = true}};
    struct event fix = {
        .kind = EVENT_LAYOUT,
        .layout = {.gpu = slot, .fixed = true, .mig = true, .layout = g->fixed}};
    struct event keep = {.kind = EVENT_POOL, .pool = {.gpu = slot, .pool = g->pool}};
    int rc = step(r, &seen);
    if (rc == 0)
        rc = step(r, &manage);
    if (rc == 0 && g->pool != POOL_ELASTIC)
        rc = tell(r, &keep);
    if (rc == 0 && g->fixed.n)
        rc = tell(r, &fix);
    return rc;
}

static int build(struct run *r)
{
    unsigned slot = 0;
    struct event policy = {.kind = EVENT_POLICY,
                           .policy = {.default_for = TIME_NEVER,
                                      .max_for = TIME_NEVER,
                                      .idle_keep = r->setup->idle_keep,
                                      .warm_reuse = r->setup->warm_by_owner ? WARM_OWNER : WARM_ANY,
                                      .rule = r->setup->rule,
                                      .mix = r->setup->mix}};
    int rc = step(r, &policy);
    for (unsigned i = 0; i < r->setup->group_n && rc == 0; i++) {
        struct event e = {.kind = EVENT_BOARD,
                          .board = {.index = (uint8_t)i, .board = *r->setup->groups[i].board}};
        rc = step(r, &e);
        for (unsigned k = 0; k < r->setup->groups[i].gpus && rc == 0; k++)
            rc = add_gpu(r, slot++, i);
    }
    while (rc == 0 && !agenda_empty(&r->agenda)) /* layouts are there before the first job */
        rc = happen(r);
    r->built = true;
    return rc;
}

static int check(const struct sim_setup *s, size_t *ret_gpus, struct error *err)
{
    uint64_t gpus = 0;
    for (unsigned i = 0; i < s->group_n; i++)
        gpus += s->groups[i].gpus;
    if (gpus == 0 || gpus > SIM_GPUS)
        return error_set(err, ERROR_INVALID, "a fleet has 1 to %d GPUs, not %llu", SIM_GPUS,
                         (unsigned long long)gpus);
    *ret_gpus = gpus;
    return 0;
}

static int check_job(const struct run *r, const struct sim_job *j)
{
    unsigned long long n = r->job_n + 1;
    if (j->submit < r->now)
        return error_set(r->err, ERROR_INVALID, "job %llu was submitted before the one before it",
                         n);
    if (j->run <= 0 || j->wait < 0 || j->count == 0 || j->count > REQUEST_SLICES)
        return error_set(r->err, ERROR_INVALID,
                         "job %llu has no run time, a negative wait, or not 1 to %d slices", n,
                         REQUEST_SLICES);
    return 0;
}

static int fetch_job(struct run *r)
{
    int rc = r->source->next(r->source->arg, &r->next, r->err);
    r->more = rc > 0;
    return rc > 0 ? check_job(r, &r->next) : rc;
}

/* The next job asks, and the one after it is fetched. */
static int take_job(struct run *r)
{
    int rc = submit(r, &r->next);
    if (rc < 0)
        return rc;
    if (++r->job_n % PROGRESS_EVERY == 0 && r->progress)
        r->progress(r->progress_arg, r->job_n);
    return fetch_job(r);
}

static int tick(struct run *r)
{
    struct event e;
    e.kind = EVENT_TICK;
    return tell(r, &e);
}

/* One turn: what is due first happens. Returns 1 while there is more. */
static int turn(struct run *r)
{
    int64_t job_at = r->more ? r->next.submit : INT64_MAX;
    int64_t item_at = agenda_next(&r->agenda), due = world_deadline(r->world);
    int64_t at = MIN(job_at, MIN(item_at, due));
    if (at >= TIME_NEVER)
        return 0;
    r->now = MAX(r->now, at);
    tally_clock(&r->tally, r->now);
    int rc = item_at <= job_at && item_at <= due ? happen(r)
             : due < job_at                      ? tick(r)
                                                 : take_job(r);
    return rc < 0 ? rc : 1;
}

static void soon(void *arg, const struct agenda_item *item, bool next)
{
    struct run *r = arg;
    if (item->kind != AGENDA_JOB_ENDS)
        return;
    world_soon(r->world, item->op, item->gpu, next);
    tally_soon(&r->tally, item->op, item->gpu);
}

static int run_all(struct run *r)
{
    int rc = build(r);
    if (rc == 0)
        rc = fetch_job(r);
    while (rc == 0) {
        int on = turn(r);
        if (on <= 0)
            return on;
    }
    return rc;
}

int sim_run(const struct sim_setup *setup, const struct sim_source *source, sim_progress *progress,
            void *progress_arg, struct sim_result *ret, struct error *err)
{
    struct run r = {.setup = setup,
                    .source = source,
                    .progress = progress,
                    .progress_arg = progress_arg,
                    .result = ret,
                    .rng = {setup->seed},
                    .err = err};
    size_t gpus = 0;
    *ret = (struct sim_result){0};
    int rc = check(setup, &gpus, err);
    if (rc < 0)
        return rc;
    if (setup->queue == SIM_SCAN)
        return scan_run(setup, source, progress, progress_arg, ret, err);
    size_t room = MAX(LEASES_LEAST, 8 * gpus); /* every GPU full, and some waiting */
    r.world = world_new(gpus, setup->lease_max ? setup->lease_max : room);
    if (!r.world)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a fleet");
    rc = tally_init(&r.tally, setup, err);
    r.agenda.soon = soon;
    r.agenda.soon_arg = &r;
    if (rc == 0)
        rc = run_all(&r);
    if (rc == 0)
        tally_finish(&r.tally, r.now, ret);
    tally_done(&r.tally);
    agenda_done(&r.agenda);
    outcome_done(&r.out);
    world_free(r.world);
    return rc;
}
