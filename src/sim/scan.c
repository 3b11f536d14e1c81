/* The run of a scanned queue; see scan.h. */
#include "sim/scan.h"

#include "base/macro.h"
#include "base/time.h"
#include "sim/agenda.h"
#include "sim/scan-place.h"
#include "sim/tally.h"

#include <stdlib.h>
#include <string.h>

enum { PROGRESS_EVERY = 8192 };

/* What an item of the agenda is about; kept where the engine's run has the GPU. */
enum scan_event { SCAN_MADE, SCAN_ENDS, SCAN_GONE, SCAN_GIVES_UP };

enum scan_state { SCAN_NONE, SCAN_WAITS, SCAN_STARTS, SCAN_RUNS, SCAN_LEAVES };

struct scan_job {
    struct sim_job job;
    uint32_t id, next; /* next: the unused one after this */
    enum scan_state state;
    int64_t until; /* it waits so long */
    unsigned n;
    struct lease_slice *at; /* [n] */
};

struct scan {
    const struct sim_setup *setup;
    const struct sim_source *source;
    struct scan_fleet fleet;
    struct agenda agenda;
    struct tally tally;
    struct sim_result *result;
    uint32_t ids, job_n, job_room, unused; /* unused: the first one, from 1; 0: none */
    struct scan_job *jobs;                 /* [1 .. job_n] */
    size_t queue_n, queue_room;
    uint32_t *queue; /* those that wait, by priority, then arrival; 0: no longer */
    struct lease lease;
    struct rng rng;
    int64_t now;
    struct error *err;
};

static int no_memory(struct scan *s)
{
    return error_set(s->err, ERROR_NO_MEMORY, "no memory for the jobs under way");
}

/* Doubles an array whose items are all in use. */
static void *grown(void *items, size_t *room, size_t size)
{
    size_t more = *room ? 2 * *room : 1024;
    void *p = reallocarray(items, more, size);
    *room = p ? more : *room;
    return p;
}

static int later(struct scan *s, uint32_t job, enum scan_event what, int64_t after)
{
    struct agenda_item item = {.at = s->now + after, .op = job, .gpu = what};
    return agenda_add(&s->agenda, item, s->err);
}

static int64_t driver_time(struct scan *s, const struct scan_job *j, enum sim_op op)
{
    unsigned group = s->fleet.repack ? j->at[0].gpu : s->fleet.gpus[j->at[0].gpu].group;
    if (j->job.whole || s->setup->groups[group].fixed.n)
        return 0;
    *(op == SIM_CREATE ? &s->result->made : &s->result->destroyed) += j->n;
    int64_t longest = 0;
    for (unsigned i = 0; i < j->n && s->setup->delay; i++)
        longest = MAX(longest, s->setup->delay(s->setup->delay_arg, group, op, &s->rng));
    return s->setup->delay    ? longest
           : op == SIM_CREATE ? s->setup->create_ns
                              : s->setup->destroy_ns;
}

/* The lease that a job would be; where nobody knows its places it has none. */
static const struct lease *lease_of(struct scan *s, const struct scan_job *j)
{
    s->lease.id = j->id;
    s->lease.slice_n = (uint8_t)(s->fleet.repack ? 0 : j->n);
    memcpy(s->lease.slices, j->at, s->lease.slice_n * sizeof *j->at);
    return &s->lease;
}

/* Starts a job if it fits: 1, 0, or a negative code. */
static int try_start(struct scan *s, uint32_t job)
{
    struct scan_job *j = &s->jobs[job];
    struct lease_slice at[REQUEST_SLICES];
    unsigned n = scan_take(&s->fleet, &j->job, at);
    if (n == 0)
        return 0;
    j->at = malloc(n * sizeof *at);
    if (!j->at)
        return no_memory(s);
    memcpy(j->at, at, (s->fleet.repack ? 1 : n) * sizeof *at);
    j->n = n;
    j->state = SCAN_STARTS;
    int rc = later(s, job, SCAN_MADE, driver_time(s, j, SIM_CREATE));
    return rc < 0 ? rc : 1;
}

static void forget(struct scan *s, uint32_t job)
{
    free(s->jobs[job].at);
    s->jobs[job] = (struct scan_job){.next = s->unused};
    s->unused = job;
}

/* Everything that waits, once. What has failed in this pass need not be tried again alike. */
static int scan_queue(struct scan *s)
{
    bool failed[BOARD_PROFILES] = {false}, whole_failed = false;
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < s->queue_n; i++) {
        const struct scan_job *j = &s->jobs[s->queue[i]];
        if (s->queue[i] == 0)
            continue;
        bool *fails = j->job.whole                     ? &whole_failed
                      : j->job.row[0] < BOARD_PROFILES ? &failed[j->job.row[0]]
                                                       : NULL;
        bool started = false;
        if (rc >= 0 && !(fails && *fails)) {
            rc = try_start(s, s->queue[i]);
            started = rc > 0;
            if (rc == 0 && fails && j->job.count == 1)
                *fails = true;
        }
        if (!started)
            s->queue[kept++] = s->queue[i];
    }
    s->queue_n = kept;
    return MIN(rc, 0);
}

static int wait_for(struct scan *s, uint32_t job)
{
    struct scan_job *j = &s->jobs[job];
    size_t i = s->queue_n;
    if (i == s->queue_room) {
        uint32_t *p = grown(s->queue, &s->queue_room, sizeof *p);
        if (!p)
            return no_memory(s);
        s->queue = p;
    }
    s->queue_n++;
    for (;
         i > 0 && (s->queue[i - 1] == 0 || s->jobs[s->queue[i - 1]].job.priority < j->job.priority);
         i--)
        s->queue[i] = s->queue[i - 1];
    s->queue[i] = job;
    j->state = SCAN_WAITS;
    tally_wait(&s->tally, j->id);
    j->until = j->job.wait == TIME_NEVER ? TIME_NEVER : s->now + j->job.wait;
    return j->until == TIME_NEVER ? 0 : later(s, job, SCAN_GIVES_UP, j->job.wait);
}

/* A number for one more job; 0 without memory. */
static uint32_t new_job(struct scan *s)
{
    uint32_t job = s->unused;
    if (job) {
        s->unused = s->jobs[job].next;
        return job;
    }
    if (s->job_n + 1 >= s->job_room) {
        size_t room = s->job_room;
        struct scan_job *p = grown(s->jobs, &room, sizeof *p);
        if (!p)
            return 0;
        s->jobs = p;
        s->job_room = (uint32_t)room;
    }
    return ++s->job_n;
}

static int ask(struct scan *s, const struct sim_job *asked)
{
    uint32_t job = new_job(s);
    if (!job)
        return no_memory(s);
    struct scan_job *j = &s->jobs[job];
    *j = (struct scan_job){.job = *asked, .id = ++s->ids};
    if (s->fleet.repack && j->job.gpc <= 0) /* it will have no places to count */
        j->job.gpc = (float)tally_gpc(&s->tally, asked);
    int rc = tally_ask(&s->tally, j->id, &j->job, s->now, s->err);
    if (rc < 0)
        return rc;
    rc = try_start(s, job);
    if (rc != 0)
        return MIN(rc, 0);
    if (asked->wait > 0)
        return wait_for(s, job);
    tally_refuse(&s->tally, j->id);
    forget(s, job);
    return 0;
}

static void give_up(struct scan *s, uint32_t job)
{
    struct scan_job *j = &s->jobs[job];
    if (j->state != SCAN_WAITS || j->until > s->now)
        return;
    for (size_t i = 0; i < s->queue_n; i++)
        if (s->queue[i] == job)
            s->queue[i] = 0;
    tally_refuse(&s->tally, j->id);
    forget(s, job);
}

static int leave(struct scan *s, uint32_t job)
{
    struct scan_job *j = &s->jobs[job];
    scan_give(&s->fleet, &j->job, j->at, j->n);
    forget(s, job);
    return scan_queue(s);
}

static int happen(struct scan *s)
{
    struct agenda_item item;
    int rc = agenda_take(&s->agenda, &item, s->err);
    if (rc < 0)
        return rc;
    struct scan_job *j = &s->jobs[item.op];
    int64_t after;
    switch ((enum scan_event)item.gpu) {
    case SCAN_MADE:
        j->state = SCAN_RUNS;
        return later(s, item.op, SCAN_ENDS, tally_grant(&s->tally, lease_of(s, j), s->now));
    case SCAN_ENDS:
        tally_end(&s->tally, lease_of(s, j), s->now);
        j->state = SCAN_LEAVES;
        after = driver_time(s, j, SIM_DESTROY);
        return after > 0 ? later(s, item.op, SCAN_GONE, after) : leave(s, item.op);
    case SCAN_GONE:
        return leave(s, item.op);
    case SCAN_GIVES_UP:
        give_up(s, item.op);
        return 0;
    }
    return 0;
}

static int fetch(struct scan *s, struct sim_job *ret)
{
    int rc = s->source->next(s->source->arg, ret, s->err);
    if (rc > 0 && (ret->submit < s->now || ret->run <= 0 || ret->wait < 0 || ret->count == 0 ||
                   ret->count > REQUEST_SLICES))
        return error_set(s->err, ERROR_INVALID,
                         "job %u was submitted before the one before it, or has no run time, a "
                         "negative wait, or not 1 to %d slices",
                         s->ids + 1, REQUEST_SLICES);
    return rc;
}

static int run_all(struct scan *s, sim_progress *progress, void *progress_arg)
{
    struct sim_job next;
    int rc, more = fetch(s, &next);
    while (more > 0 || (more == 0 && !agenda_empty(&s->agenda))) {
        int64_t at = agenda_next(&s->agenda);
        bool asks = more > 0 && next.submit < at;
        s->now = MAX(s->now, asks ? next.submit : at);
        s->result->steps++;
        tally_clock(&s->tally, s->now);
        rc = asks ? ask(s, &next) : happen(s);
        if (rc < 0)
            return rc;
        if (!asks)
            continue;
        more = fetch(s, &next);
        if (s->ids % PROGRESS_EVERY == 0 && progress)
            progress(progress_arg, s->ids);
    }
    for (size_t i = 0; i < s->queue_n && more == 0; i++)
        if (s->queue[i]) /* nothing is left that could make room for it */
            tally_refuse(&s->tally, s->jobs[s->queue[i]].id);
    return more;
}

int scan_run(const struct sim_setup *setup, const struct sim_source *source, sim_progress *progress,
             void *progress_arg, struct sim_result *ret, struct error *err)
{
    AUTO_FREE struct scan *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a fleet");
    s->setup = setup;
    s->source = source;
    s->result = ret;
    s->rng.state = setup->seed + 1;
    s->err = err;
    *ret = (struct sim_result){0};
    int rc = tally_init(&s->tally, setup, err);
    if (rc == 0)
        rc = scan_fleet_init(&s->fleet, setup, err);
    if (rc == 0)
        rc = run_all(s, progress, progress_arg);
    if (rc == 0)
        tally_finish(&s->tally, s->now, ret);
    for (uint32_t i = 1; i <= s->job_n; i++)
        free(s->jobs[i].at);
    free(s->jobs);
    free(s->queue);
    scan_fleet_done(&s->fleet);
    tally_done(&s->tally);
    agenda_done(&s->agenda);
    return rc;
}
