/* The order that makes a crash harmless: decide, write, commit, act.
 *
 * After a failed commit nothing is retried, because what the disk holds is then unknown: the world
 * is read back from the store and the hardware is looked at again. Until a commit succeeds, no new
 * lease is given; running ones are not touched. */
#include "daemon/turn.h"

#include "base/log.h"
#include "base/time.h"
#include "daemon/act.h"
#include "daemon/api.h"
#include "daemon/ballot.h"
#include "daemon/bind.h"
#include "daemon/driver.h"
#include "daemon/peak.h"

#include <stdlib.h>

static int on_turn_end(sd_event_source *source, void *arg);

static int on_deadline(sd_event_source *source, uint64_t usec, void *arg)
{
    (void)source;
    (void)usec;
    turn_post(arg, &(struct event){.kind = EVENT_TICK});
    turn_touch(arg);
    return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *arg)
{
    struct daemon *d = arg;
    (void)source;
    (void)usec;
    struct error err;
    turn_rebuild(d);
    /* Something has to be written to find out whether that works again. */
    if (turn_open(d, &err) < 0 ||
        store_audit(d->store, time_wall(), 0, 0, "the state can be written again", &err) < 0)
        turn_fail(d, &err);
    return 0;
}

static int add_timer(struct daemon *d, sd_event_time_handler_t handler, sd_event_source **ret)
{
    int r = sd_event_add_time(d->loop, ret, CLOCK_BOOTTIME, UINT64_MAX, 1000, handler, d);
    return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int turn_init(struct daemon *d, struct error *err)
{
    struct turn *t = &d->turn;
    int r = sd_event_add_defer(d->loop, &t->post, on_turn_end, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(t->post, SD_EVENT_OFF);
    /* After everything else that is ready in this turn, so that all of it shares one commit. */
    if (r >= 0)
        r = sd_event_source_set_priority(t->post, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = add_timer(d, on_deadline, &t->timer);
    if (r >= 0)
        r = add_timer(d, on_retry, &t->retry);
    if (r < 0)
        return error_errno(err, ERROR_IO, -r, "cannot set up the event loop");
    return 0;
}

void turn_done(struct daemon *d)
{
    struct turn *t = &d->turn;
    if (t->open)
        (void)on_turn_end(NULL, d);
    sd_event_source_unref(t->post);
    sd_event_source_unref(t->timer);
    sd_event_source_unref(t->retry);
    outcome_done(&t->outcome);
    free(t->actions);
    *t = (struct turn){0};
}

void turn_touch(struct daemon *d)
{
    (void)sd_event_source_set_enabled(d->turn.post, SD_EVENT_ONESHOT);
}

/* Keeps what runs, looks again in a second. */
void turn_fail(struct daemon *d, const struct error *why)
{
    struct turn *t = &d->turn;
    log_error("cannot write the state, no new leases until it can be written: %s", why->text);
    store_rollback(d->store);
    t->open = false;
    t->failed = true;
    t->action_n = 0;
    api_stale(d);
    api_fail_all(d, why);
    (void)sd_event_source_set_time(t->retry, (uint64_t)((time_boot() + TIME_S) / TIME_US));
    (void)sd_event_source_set_enabled(t->retry, SD_EVENT_ONESHOT);
}

void turn_rebuild(struct daemon *d)
{
    struct error err;
    char boot[64];
    struct world *fresh = world_new(MACHINE_GPUS, DAEMON_LEASES);
    if (!fresh || store_load(d->store, fresh, boot, &err) < 0) {
        log_error("cannot read the state back: %s", fresh ? err.text : "out of memory");
        world_free(fresh);
        (void)sd_event_source_set_time(d->turn.retry, (uint64_t)((time_boot() + TIME_S) / TIME_US));
        (void)sd_event_source_set_enabled(d->turn.retry, SD_EVENT_ONESHOT);
        return;
    }
    world_free(d->world);
    d->world = fresh;
    d->seen_once = false; /* operations on their way are void: reconcile as after a start */
    driver_forget(d);
    binds_restore(d);
    driver_look(d);
    turn_touch(d);
}

int turn_open(struct daemon *d, struct error *err)
{
    if (d->turn.open)
        return 0;
    int r = store_begin(d->store, err);
    if (r < 0)
        return r;
    d->turn.open = true;
    turn_touch(d);
    return 0;
}

/* Makes room first, so that an applied change never loses its action. */
static int reserve_actions(struct turn *t, size_t more, struct error *err)
{
    if (t->action_n + more <= t->action_room)
        return 0;
    size_t room = MAX(t->action_n + more, 2 * t->action_room);
    struct action *wider = realloc(t->actions, room * sizeof *wider);
    if (!wider)
        return error_set(err, ERROR_NO_MEMORY, "out of memory deciding a request");
    t->actions = wider;
    t->action_room = room;
    return 0;
}

int turn_event(struct daemon *d, struct event *e, uint32_t *ret_lease, struct error *err)
{
    struct turn *t = &d->turn;
    e->now = lease_clock_now(d);
    int r = engine_step(d->world, e, &t->outcome, err);
    if (r < 0)
        return r;
    if (ret_lease)
        *ret_lease = t->outcome.lease;
    if (e->kind == EVENT_ASK)
        ballot_asked(d, &e->ask.lease);
    if (t->outcome.changes.n == 0 && t->outcome.action_n == 0)
        return 0;
    r = reserve_actions(t, t->outcome.action_n, err);
    if (r < 0)
        return r;
    r = turn_open(d, err);
    if (r == 0)
        r = store_write(d->store, &t->outcome.changes, time_wall(), err);
    if (r == 0)
        r = peaks_write(d, &t->outcome.changes, err);
    if (r < 0) {
        turn_fail(d, err);
        return r;
    }
    world_apply(d->world, &t->outcome.changes);
    api_changed(d, &t->outcome.changes);
    for (size_t i = 0; i < t->outcome.action_n; i++)
        t->actions[t->action_n++] = t->outcome.actions[i];
    return 0;
}

int turn_check(struct daemon *d, struct event *e, struct error *err)
{
    e->now = lease_clock_now(d);
    return engine_step(d->world, e, &d->turn.outcome, err);
}

void turn_post(struct daemon *d, struct event *e)
{
    struct error err;
    if (turn_event(d, e, NULL, &err) < 0)
        log_warn("%s", err.text);
}

static void arm_deadline(struct daemon *d)
{
    int64_t due = lease_clock_boot(d, world_deadline(d->world));
    /* Before the leases' processes were found again at a start, none could be ended. */
    if (due == TIME_NEVER || !d->serving) {
        (void)sd_event_source_set_enabled(d->turn.timer, SD_EVENT_OFF);
        return;
    }
    /* Rounded up: a timer that fires early would find nothing due and fire again. */
    uint64_t usec = due <= 0 ? 0 : (uint64_t)((due + TIME_US - 1) / TIME_US);
    (void)sd_event_source_set_time(d->turn.timer, usec);
    (void)sd_event_source_set_enabled(d->turn.timer, SD_EVENT_ONESHOT);
}

static int on_turn_end(sd_event_source *source, void *arg)
{
    struct daemon *d = arg;
    struct turn *t = &d->turn;
    struct error err;
    (void)source;
    if (t->open && store_commit(d->store, &err) < 0) {
        turn_fail(d, &err);
        return 0;
    }
    if (t->open && t->failed)
        api_stale(d);
    if (t->open && t->failed)
        log_info("the state can be written again");
    t->failed = t->failed && !t->open;
    t->open = false;
    /* An action may raise further events; they belong to the next turn and its commit. */
    struct action *actions = t->actions;
    size_t n = t->action_n;
    t->actions = NULL;
    t->action_n = t->action_room = 0;
    for (size_t i = 0; i < n; i++)
        act_do(d, &actions[i]);
    free(actions);
    api_turn_over(d);
    ballot_consider(d);
    arm_deadline(d);
    peaks_turn(d);
    return 0;
}
