/* Questions and changes to the driver, each in a worker process that may hang or crash alone.
 *
 * An observation can be older than a change that finished meanwhile; so each GPU counts its
 * changes, and what an observation says of a GPU that changed since it was asked is thrown away
 * and asked again. A mode change needs every NVML session closed (an open one holds the GPU), so
 * it waits for running calls, ends all other workers and lets them start again afterwards. */
#include "daemon/driver.h"

#include "base/log.h"
#include "base/time.h"
#include "daemon/bind.h"
#include "daemon/peak.h"
#include "daemon/see.h"
#include "daemon/turn.h"
#include "device/worker.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_UNIT = MACHINE_GPUS, WAIT_UNIT, UNIT_N, JOB_MAX = 64, DEATHS_MAX = 5 };

/* Driver calls may take 45 s and more (a GSP time-out); after this the worker is given up. */
#define CALL_DEADLINE (120 * TIME_S)
#define SLOW (2 * TIME_S)
#define LOST_RETRY (250 * TIME_MS)
#define SETTLE (100 * TIME_MS)

/* Something a unit's worker shall do, in order. */
struct job {
    struct worker_request request;
    uint32_t op;      /* APPLY: the action's number */
    struct action action;
};

/* One worker and its work. Units below MACHINE_GPUS belong to the GPU slot of that number. */
struct unit {
    struct driver *driver;
    struct worker *worker;
    sd_event_source *io, *death, *late;
    struct job *jobs;         /* JOB_MAX of the driver's; jobs[0] is being done */
    size_t job_n;
    bool asked;               /* jobs[0] was sent */
    bool slow;
    unsigned deaths;          /* of its workers, in a row */
    uint32_t changes;         /* counts changes submitted and answered on this GPU */
    uint32_t changes_at_look;
    int64_t changed_at;       /* boot time of the last answer to a change; 0: none yet */
};

struct driver {
    struct daemon *daemon;
    struct unit units[UNIT_N];
    struct job jobs[UNIT_N][JOB_MAX]; /* apart: most are never written, and cost nothing then */
    sd_event_source *again;   /* a further look, soon */
    bool look_wanted;
    bool lost;                /* the driver did not answer the last look */
    bool forget;              /* answers to changes are for a world that is gone */
    char trouble[ERROR_TEXT];
};

static void pump(struct unit *u);
static void pump_all(struct driver *v);

static unsigned unit_index(const struct unit *u)
{
    return (unsigned)(u - u->driver->units);
}

static bool is_mode_change(const struct unit *u)
{
    return u->job_n > 0 && u->jobs[0].request.call == WORKER_APPLY &&
           u->jobs[0].request.op.kind == DEVICE_SET_MODE;
}

static void stop_worker(struct unit *u)
{
    u->io = sd_event_source_disable_unref(u->io);
    u->death = sd_event_source_disable_unref(u->death);
    u->late = sd_event_source_disable_unref(u->late);
    u->worker = worker_free(u->worker);
    u->asked = false;
    u->slow = false;
}

static void drop_job(struct unit *u)
{
    u->job_n--;
    memmove(&u->jobs[0], &u->jobs[1], u->job_n * sizeof u->jobs[0]);
    u->asked = false;
    u->slow = false;
}

/* ---- answers ---- */

static void look_soon(struct driver *v, int64_t delay)
{
    v->look_wanted = true;
    (void)sd_event_source_set_time(v->again, (uint64_t)((time_boot() + delay) / TIME_US));
    (void)sd_event_source_set_enabled(v->again, SD_EVENT_ONESHOT);
}

/* One question that is answered again and again, until the driver goes away. */
static void start_waiting(struct driver *v)
{
    struct unit *u = &v->units[WAIT_UNIT];
    if (u->job_n == 0)
        u->jobs[u->job_n++] = (struct job){.request = {.call = WORKER_WAIT}};
    pump(u);
}

/* Sessions with a driver that is gone are of no use with the one that comes back. */
static void stop_idle_workers(struct driver *v)
{
    for (unsigned i = 0; i < UNIT_N; i++) {
        struct unit *u = &v->units[i];
        if (u->asked && i != WAIT_UNIT)
            continue;
        stop_worker(u);
        if (i == WAIT_UNIT)
            u->job_n = 0;
    }
}

static void answer_change(struct unit *u, const struct job *job, int code,
                          const struct device_result *result, const struct error *err)
{
    struct daemon *d = u->driver->daemon;
    u->changes++;
    u->changed_at = time_boot();
    if (u->driver->forget && job->op == 0)
        return;
    struct event e = {.kind = EVENT_APPLIED,
                      .done = {.gpu = job->action.gpu, .op = job->op}};
    if (code < 0) {
        e.kind = EVENT_FAILED;
        e.done.code = err->code;
        log_warn("GPU %u: %s", job->action.gpu, err->text);
    } else if (result->pending) {
        e.kind = EVENT_FAILED;
        e.done.code = ERROR_IN_USE;
        log_warn("GPU %u: the mode change is pending: %s", job->action.gpu, err->text);
    } else {
        e.done.gi = job->action.kind == ACTION_CREATE ? result->gi : job->action.gi;
        e.done.ci = result->ci;
        see_changed(d, &job->action, result);
    }
    turn_post(d, &e);
    if (e.kind == EVENT_FAILED && e.done.code == ERROR_DRIVER_LOST)
        look_soon(u->driver, 0);
}

static void answer_look(struct unit *u, int code, struct machine *m, const struct error *err)
{
    struct driver *v = u->driver;
    struct daemon *d = v->daemon;
    bool was_lost = v->lost;
    v->lost = code < 0;
    if (code < 0) {
        if (!was_lost || strcmp(v->trouble, err->text) != 0)
            log_warn("no driver: %s", err->text);
        (void)snprintf(v->trouble, sizeof v->trouble, "%s", err->text);
        see_lost(d);
        stop_idle_workers(v);
        look_soon(v, LOST_RETRY);
        daemon_looked(d);
        return;
    }
    v->trouble[0] = '\0';
    bool stale[MACHINE_GPUS];
    bool any_stale = false;
    for (unsigned i = 0; i < MACHINE_GPUS; i++) {
        struct unit *gpu = &v->units[i];
        /* A change under way may be half seen, and its answer may come after this one. */
        stale[i] = gpu->changes != gpu->changes_at_look || gpu->job_n > 0;
        any_stale = any_stale || stale[i];
    }
    see_machine(d, m, stale);
    daemon_looked(d);
    v->forget = false;
    if (any_stale || v->look_wanted)
        look_soon(v, any_stale ? SETTLE : 0);
    start_waiting(v);
}

/* Whether we are changing the hardware ourselves, or have just done so. */
static bool changing(const struct driver *v)
{
    int64_t now = time_boot();
    for (unsigned i = 0; i < MACHINE_GPUS; i++) {
        const struct unit *u = &v->units[i];
        bool under_way = u->job_n > 0 && u->jobs[0].request.call == WORKER_APPLY;
        if (under_way || (u->changed_at && now - u->changed_at < SETTLE))
            return true;
    }
    return false;
}

/* Something happened to the hardware, or the driver went away: both mean look. Our own changes are
 * such events, too, and nothing in an event says whose it is or how many a change makes: so none is
 * spared, but a burst of them is one look, once they have settled. */
static void answer_wait(struct unit *u, int code)
{
    struct driver *v = u->driver;
    if (code < 0)
        drop_job(u);
    if (code < 0 || !changing(v))
        look_soon(v, 0);
    else if (!v->look_wanted)
        look_soon(v, SETTLE);
}

/* Memory first: what is heard of processes may be the end of their lease. */
static void answer_processes(struct unit *u, unsigned slot, const struct worker_answer *a)
{
    struct driver *v = u->driver;
    peaks_heard(v->daemon, slot, a->code, a->processes, a->process_n);
    if (unit_index(u) != LOOK_UNIT) {
        binds_processes(v->daemon, slot, a->code, a->processes, a->process_n);
    } else if (v->look_wanted) {
        /* It waits for us; where a driver is slow or asked often, it must not wait for ever. */
        u->job_n = 0;
        look_soon(v, 0);
    }
}

static void answer(struct unit *u, struct worker_answer *a)
{
    struct job job = u->jobs[0];
    struct driver *v = u->driver;
    if (u->slow)
        see_slow(v->daemon, unit_index(u), false);
    if (a->call == WORKER_WAIT) {
        answer_wait(u, a->code);
        return;
    }
    u->deaths = 0;
    u->late = sd_event_source_disable_unref(u->late);
    drop_job(u);
    switch (a->call) {
    case WORKER_APPLY:
        answer_change(u, &job, a->code, &a->result, &a->err);
        break;
    case WORKER_OBSERVE:
        answer_look(u, a->code, a->machine, &a->err);
        break;
    case WORKER_PROCESSES:
        answer_processes(u, job.action.gpu, a);
        break;
    case WORKER_WAIT:
    case WORKER_OBSERVE_GPU:
    case WORKER_RELEASE:
        break;
    }
}

/* The worker could not do its job: whoever asked hears `code`. */
static void fail_job(struct unit *u, enum error_code code, const char *text)
{
    if (u->job_n == 0)
        return;
    struct worker_answer *a = calloc(1, sizeof *a);
    if (!a)
        return;
    a->call = u->jobs[0].request.call;
    a->code = error_set(&a->err, code, "%s", text);
    answer(u, a);
    free(a);
}

/* A worker that died says nothing about the driver: a look is asked again of a new one, and only
 * many deaths in a row are taken for the driver's. A change may or may not have happened, so it
 * counts as failed and the GPU is looked at. */
static void worker_died(struct unit *u)
{
    stop_worker(u);
    if (u->job_n == 0)
        return;
    unsigned deaths = ++u->deaths;
    bool repeatable = u->jobs[0].request.call != WORKER_APPLY;
    if (repeatable && deaths < DEATHS_MAX)
        return;
    fail_job(u, ERROR_DRIVER_LOST, "the worker that speaks to the driver died");
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct unit *u = arg;
    struct error err;
    (void)source;
    (void)fd;
    (void)events;
    AUTO_FREE struct worker_answer *a = calloc(1, sizeof *a);
    if (!a || !u->worker)
        return 0;
    int r = worker_receive(u->worker, a, &err);
    if (r == 0)
        return 0;
    if (r < 0)
        worker_died(u);
    else if (u->asked)
        answer(u, a);
    if (u->worker)
        worker_forget(u->worker);
    pump_all(u->driver);
    return 0;
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct unit *u = arg;
    (void)source;
    (void)fd;
    (void)events;
    log_warn("the worker for unit %u died", unit_index(u));
    worker_died(u);
    pump_all(u->driver);
    return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
    struct unit *u = arg;
    (void)usec;
    if (!u->slow) {
        u->slow = true;
        see_slow(u->driver->daemon, unit_index(u), true);
        (void)sd_event_source_set_time(
            source, (uint64_t)((time_boot() + CALL_DEADLINE - SLOW) / TIME_US));
        (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
    }
    log_error("unit %u: a driver call did not return within two minutes", unit_index(u));
    stop_worker(u);
    fail_job(u, ERROR_TIMEOUT, "the driver did not answer within two minutes");
    pump_all(u->driver);
    return 0;
}

/* ---- questions ---- */

static int start_worker(struct unit *u, struct error *err)
{
    struct daemon *d = u->driver->daemon;
    const char *socket = getenv("FETTA_EMU_SOCKET");
    char emulated[256];
    const char *env[2] = {NULL, NULL};
    /* Workers start from nothing; only an emulated machine has to say where its driver is. */
    if (d->emulated && socket) {
        (void)snprintf(emulated, sizeof emulated, "FETTA_EMU_SOCKET=%s", socket);
        env[0] = emulated;
    }
    int r = worker_start(d->program, d->config.nvml[0] ? d->config.nvml : NULL, env, &u->worker,
                         err);
    if (r < 0)
        return r;
    int e = sd_event_add_io(d->loop, &u->io, worker_fd(u->worker), EPOLLIN, on_answer, u);
    if (e >= 0)
        e = sd_event_add_io(d->loop, &u->death, worker_pidfd(u->worker), EPOLLIN, on_death, u);
    /* Answers before deaths: a worker that answered and then died has answered. */
    if (e >= 0)
        e = sd_event_source_set_priority(u->death, SD_EVENT_PRIORITY_NORMAL + 1);
    if (e < 0)
        return error_errno(err, ERROR_IO, -e, "cannot watch a worker");
    return 0;
}

/* A mode change may start only when no other call runs; it then ends the other workers. */
static bool may_change_mode(struct unit *u)
{
    struct driver *v = u->driver;
    for (unsigned i = 0; i < UNIT_N; i++)
        if (&v->units[i] != u && i != WAIT_UNIT && v->units[i].asked)
            return false;
    for (unsigned i = 0; i < UNIT_N; i++)
        if (&v->units[i] != u)
            stop_worker(&v->units[i]);
    return true;
}

static bool mode_is_changing(const struct unit *u)
{
    for (unsigned i = 0; i < MACHINE_GPUS; i++) {
        const struct unit *other = &u->driver->units[i];
        if (other != u && is_mode_change(other))
            return true;
    }
    return false;
}

static void arm_late(struct unit *u)
{
    struct daemon *d = u->driver->daemon;
    if (u->jobs[0].request.call == WORKER_WAIT)
        return;
    (void)sd_event_add_time(d->loop, &u->late, CLOCK_BOOTTIME,
                            (uint64_t)((time_boot() + SLOW) / TIME_US), 0, on_late, u);
}

/* Sends the next job if the unit is free and nothing forbids it. */
static void pump(struct unit *u)
{
    struct error err;
    if (u->job_n == 0 || u->asked)
        return;
    if (is_mode_change(u) ? !may_change_mode(u) : mode_is_changing(u))
        return;
    if (!u->worker && start_worker(u, &err) < 0) {
        stop_worker(u);
        fail_job(u, err.code, err.text);
        return;
    }
    u->jobs[0].request.tag = unit_index(u);
    if (worker_send(u->worker, &u->jobs[0].request, &err) < 0) {
        worker_died(u);
        pump(u); /* what may be asked twice is asked of a new worker; too many deaths end it */
        return;
    }
    u->asked = true;
    arm_late(u);
}

static void pump_all(struct driver *v)
{
    for (unsigned i = 0; i < UNIT_N; i++)
        pump(&v->units[i]);
}

static bool push(struct unit *u, const struct job *job)
{
    if (u->job_n == JOB_MAX)
        return false;
    u->jobs[u->job_n++] = *job;
    pump(u);
    return true;
}

void driver_look(struct daemon *d)
{
    struct driver *v = d->driver;
    struct unit *u = &v->units[LOOK_UNIT];
    /* One at a time: what counts as stale is measured from the start of the one under way. */
    v->look_wanted = u->job_n > 0;
    if (v->look_wanted)
        return;
    for (unsigned i = 0; i < MACHINE_GPUS; i++)
        v->units[i].changes_at_look = v->units[i].changes;
    (void)push(u, &(struct job){.request = {.call = WORKER_OBSERVE}});
}

static int on_again(sd_event_source *source, uint64_t usec, void *arg)
{
    struct driver *v = arg;
    (void)source;
    (void)usec;
    if (v->look_wanted)
        driver_look(v->daemon);
    return 0;
}

void driver_submit(struct daemon *d, const struct action *a)
{
    struct unit *u = &d->driver->units[a->gpu];
    const struct gpu *g = world_gpu(d->world, a->gpu);
    const char *uuid = store_gpu_uuid(d->store, a->gpu);
    struct job job = {.op = a->op, .action = *a, .request = {.call = WORKER_APPLY}};
    struct device_op *op = &job.request.op;
    if (!g || !uuid)
        return;
    (void)snprintf(op->gpu, sizeof op->gpu, "%s", uuid);
    op->gi = a->gi;
    op->mig_on = a->mig_on;
    if (a->kind == ACTION_CREATE) {
        const struct profile *p = &world_board(d->world, g->board)->profiles[a->profile];
        op->kind = DEVICE_CREATE;
        op->profile_id = p->id;
        op->start = a->start;
        op->size = p->size;
    } else {
        op->kind = a->kind == ACTION_DESTROY ? DEVICE_DESTROY : DEVICE_SET_MODE;
    }
    u->changes++;
    if (push(u, &job))
        return;
    struct event e = {.kind = EVENT_FAILED,
                      .done = {.gpu = a->gpu, .op = a->op, .code = ERROR_TIMEOUT}};
    turn_post(d, &e);
}

bool driver_ask_processes(struct daemon *d, unsigned slot)
{
    const char *uuid = store_gpu_uuid(d->store, slot);
    struct job job = {.request = {.call = WORKER_PROCESSES},
                      .action = {.gpu = (uint16_t)slot}};
    if (!uuid || d->driver->lost)
        return false;
    (void)snprintf(job.request.op.gpu, sizeof job.request.op.gpu, "%s", uuid);
    return push(&d->driver->units[slot], &job);
}

void driver_ask_memory(struct daemon *d, unsigned slot)
{
    const char *uuid = store_gpu_uuid(d->store, slot);
    struct job job = {.request = {.call = WORKER_PROCESSES},
                      .action = {.gpu = (uint16_t)slot}};
    if (!uuid || d->driver->lost)
        return;
    (void)snprintf(job.request.op.gpu, sizeof job.request.op.gpu, "%s", uuid);
    (void)push(&d->driver->units[LOOK_UNIT], &job);
}

bool driver_slow(const struct daemon *d, unsigned slot)
{
    return slot < MACHINE_GPUS && d->driver->units[slot].slow;
}

const char *driver_trouble(const struct daemon *d)
{
    return d->driver->trouble;
}

void driver_forget(struct daemon *d)
{
    struct driver *v = d->driver;
    v->forget = true;
    for (unsigned i = 0; i < MACHINE_GPUS; i++) {
        struct unit *u = &v->units[i];
        size_t kept = u->asked ? 1 : 0;
        for (size_t j = 0; j < kept; j++)
            u->jobs[j].op = 0;
        u->job_n = kept;
        u->changes++;
    }
}

int driver_start(struct daemon *d, struct error *err)
{
    struct driver *v = calloc(1, sizeof *v);
    if (!v)
        return error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    v->daemon = d;
    for (unsigned i = 0; i < UNIT_N; i++) {
        v->units[i].driver = v;
        v->units[i].jobs = v->jobs[i];
    }
    d->driver = v;
    int r = sd_event_add_time(d->loop, &v->again, CLOCK_BOOTTIME, UINT64_MAX, 0, on_again, v);
    if (r >= 0)
        r = sd_event_source_set_enabled(v->again, SD_EVENT_OFF);
    if (r < 0)
        return error_errno(err, ERROR_IO, -r, "cannot set up the event loop");
    driver_look(d);
    return 0;
}

void driver_stop(struct daemon *d)
{
    struct driver *v = d->driver;
    if (!v)
        return;
    for (unsigned i = 0; i < UNIT_N; i++)
        stop_worker(&v->units[i]);
    sd_event_source_disable_unref(v->again);
    free(v);
    d->driver = NULL;
}
