/* A lease from its grant to its end: warn, SIGTERM, grace, kill, proof, give back. */
#include "engine/parts.h"

#include "base/time.h"

#include <inttypes.h>

enum { DUE_MOST = 256 };  /* timers served by one tick; the rest stay due and are next */
enum { BEATEN_MOST = 3 }; /* places of one lease that somebody else may take before it ends */

static const int64_t warnings[] = {15 * TIME_MIN, 5 * TIME_MIN, TIME_MIN};
static const int64_t gone_grace = 5 * TIME_S; /* for what an ended command left behind */

static void grant(struct draft *d, struct lease *l)
{
    l->state = LEASE_ACTIVE;
    l->started_at = d->now;
    l->ends_at = l->for_ns == TIME_NEVER ? TIME_NEVER : d->now + l->for_ns;
    l->warned = 0;
    while (l->warned < ARRAY_LEN(warnings) && l->ends_at != TIME_NEVER &&
           warnings[l->warned] >= l->for_ns)
        l->warned++;
    draft_action(d, ACTION_GRANT, l->id, l->slices[0].gpu);
}

void life_progress(struct draft *d, uint32_t id)
{
    const struct lease *now = draft_lease(d, id);
    if (!now || now->state != LEASE_STARTING)
        return;
    for (unsigned i = 0; i < now->slice_n; i++) {
        if (!now->slices[i].made)
            return;
    }
    grant(d, draft_lease_edit(d, id));
}

void life_end(struct draft *d, uint32_t id, enum lease_why why)
{
    struct lease *l = draft_lease_edit(d, id);
    bool granted = l->started_at != 0;
    place_release(d, id);
    l->state = LEASE_ENDED;
    l->why = why;
    l->ended_at = d->now;
    draft_action(d, granted ? ACTION_ENDED : ACTION_REFUSE, id, l->slice_n ? l->slices[0].gpu : 0);
}

void life_term(struct draft *d, uint32_t id, enum lease_why why)
{
    struct lease *l = draft_lease_edit(d, id);
    l->state = LEASE_ENDING;
    l->why = why;
    l->term_at = d->now;
    draft_action(d, ACTION_TERM, id, l->slices[0].gpu);
}

void life_kill(struct draft *d, uint32_t id, enum lease_why why)
{
    struct lease *l = draft_lease_edit(d, id);
    l->state = LEASE_KILLING;
    l->why = why;
    l->kill_at = d->now;
    draft_action(d, ACTION_KILL, id, l->slices[0].gpu);
}

/* Instances made for a lease that never ran are nobody's; they go. */
static void destroy_unused(struct draft *d, const struct lease *l)
{
    for (unsigned i = 0; i < l->slice_n; i++) {
        struct gpu *g = draft_gpu_edit(d, l->slices[i].gpu);
        for (unsigned s = 0; s < g->seat_n; s++) {
            struct seat *seat = &g->seats[s];
            if (seat->state == SEAT_IDLE && !seat->fixed && !seat->used && seat->since == d->now)
                seat->state = SEAT_DESTROYING;
        }
        advance(d, g->slot);
    }
}

/* Back in the queue, and placed off that GPU if that can be. */
static bool elsewhere(struct draft *d, uint32_t id, unsigned gpu, bool again)
{
    struct place_kept broken = {.n = 1, .at = {{.gpu = gpu, .span = (slices)~0u}}};
    return again && place_lease(d, id, &broken) == PLACE_DONE;
}

/* A place of a STARTING lease could not be had. `why` FAILED: one more try elsewhere, then it ends;
 * NO_FIT: it may go back and wait. That GPU is tried, too, if it was `beaten` there by somebody
 * whose instance is seen now. */
static void retry(struct draft *d, uint32_t id, unsigned gpu, enum lease_why why, bool beaten)
{
    place_release(d, id);
    struct lease *l = draft_lease_edit(d, id);
    struct lease before = *l;
    l->state = LEASE_QUEUED;
    l->slice_n = 0;
    l->ends_at = 0;
    if (d->settling)
        return;
    bool again = why != LEASE_WHY_FAILED || l->tries == 0;
    l->tries++;
    bool placed =
        elsewhere(d, id, gpu, again) || (beaten && place_lease(d, id, NULL) == PLACE_DONE);
    destroy_unused(d, &before);
    if (placed)
        return;
    if (why != LEASE_WHY_FAILED && l->wait_until > d->now)
        draft_action(d, ACTION_QUEUED, id, gpu);
    else
        life_end(d, id, why);
}

void life_retry(struct draft *d, uint32_t id, unsigned gpu, enum lease_why why)
{
    retry(d, id, gpu, why, false);
}

void life_beaten(struct draft *d, uint32_t id, unsigned gpu)
{
    bool again = draft_lease(d, id)->tries < BEATEN_MOST;
    retry(d, id, gpu, again ? LEASE_WHY_NO_FIT : LEASE_WHY_FAILED, again);
}

int life_event_end(struct draft *d, const struct event *e, struct error *err)
{
    const struct lease *l = draft_lease(d, e->end.lease);
    if (!l)
        return error_set(err, ERROR_NOT_FOUND,
                         "lease %" PRIu32 " is not live; 'fetta lease list --all' shows past ones",
                         e->end.lease);
    switch (l->state) {
    case LEASE_QUEUED:
    case LEASE_STARTING:
        life_end(d, l->id, e->end.why);
        schedule(d);
        break;
    case LEASE_ACTIVE:
    case LEASE_ENDING:
        if (e->end.hard)
            life_kill(d, l->id, e->end.why);
        else if (l->state == LEASE_ACTIVE)
            life_term(d, l->id, e->end.why);
        break;
    case LEASE_KILLING:
    case LEASE_ENDED:
        break;
    }
    return 0;
}

int life_extend(struct draft *d, const struct event *e, struct error *err)
{
    const struct lease *l = draft_lease(d, e->extend.lease);
    if (!l)
        return error_set(err, ERROR_NOT_FOUND, "lease %" PRIu32 " is not live", e->extend.lease);
    if (l->state != LEASE_ACTIVE)
        return error_set(err, ERROR_STATE,
                         "lease %" PRIu32 " is %s; only an active one can be extended", l->id,
                         lease_state_name(l->state));
    if (e->extend.ends_at <= d->now)
        return error_set(err, ERROR_INVALID, "the new end of lease %" PRIu32 " is in the past",
                         l->id);
    if (e->extend.ends_at == TIME_NEVER && l->bind == BIND_NONE)
        return error_set(err, ERROR_INVALID,
                         "lease %" PRIu32 " is bound to nothing, so it needs an end", l->id);
    int64_t max_for = draft_policy(d)->max_for;
    bool over = max_for != TIME_NEVER &&
                (e->extend.ends_at == TIME_NEVER || e->extend.ends_at - l->started_at > max_for);
    if (over && !e->extend.beyond_max) {
        char text[TIME_TEXT];
        return error_set(err, ERROR_INVALID,
                         "lease %" PRIu32 " may last %s in all (max_for); ask an operator for more",
                         l->id, time_format(max_for, text));
    }
    struct lease *edit = draft_lease_edit(d, l->id);
    edit->ends_at = e->extend.ends_at;
    edit->for_ns = edit->ends_at == TIME_NEVER ? TIME_NEVER : edit->ends_at - edit->started_at;
    edit->signalled = false;
    edit->warned = 0;
    while (edit->warned < ARRAY_LEN(warnings) && edit->ends_at != TIME_NEVER &&
           edit->ends_at - warnings[edit->warned] <= d->now)
        edit->warned++;
    draft_action(d, ACTION_TOLD, edit->id, edit->slices[0].gpu);
    schedule(d);
    return 0;
}

void life_gone(struct draft *d, uint32_t id)
{
    const struct lease *l = draft_lease(d, id);
    if (!l)
        return;
    if (l->state == LEASE_QUEUED || l->state == LEASE_STARTING) {
        life_end(d, id, LEASE_WHY_GAVE_UP);
        schedule(d);
    } else if (l->state == LEASE_ACTIVE) {
        struct lease *edit = draft_lease_edit(d, id);
        edit->grace_ns = MIN(edit->grace_ns, gone_grace);
        life_term(d, id, LEASE_WHY_DONE);
    }
}

void life_empty(struct draft *d, uint32_t id)
{
    const struct lease *l = draft_lease(d, id);
    if (!l || (l->state != LEASE_ENDING && l->state != LEASE_KILLING))
        return;
    life_end(d, id, l->why);
    schedule(d);
}

void life_over(struct draft *d, uint32_t id)
{
    const struct lease *l = draft_lease(d, id);
    if (!l || l->state != LEASE_ACTIVE) {
        life_gone(d, id);
        life_empty(d, id);
        return;
    }
    life_end(d, id, LEASE_WHY_DONE);
    schedule(d);
}

static void restart_lease(struct draft *d, const struct lease *l, void *arg)
{
    (void)arg;
    struct lease *edit = draft_lease_edit(d, l->id);
    edit->state = LEASE_ENDED;
    edit->why = LEASE_WHY_RESTART;
    edit->ended_at = d->now;
    draft_action(d, ACTION_ENDED, edit->id, edit->slice_n ? edit->slices[0].gpu : 0);
}

void life_restart(struct draft *d)
{
    draft_each_lease(d, restart_lease, NULL);
    for (unsigned slot = 0; slot < d->w->gpu_n; slot++) {
        if (!draft_gpu(d, slot))
            continue;
        struct gpu *g = draft_gpu_edit(d, slot);
        while (g->seat_n)
            advance_remove_seat(g, g->seat_n - 1u);
        g->whole_lease = 0;
        g->mode_op = 0;
        g->mode_changing = false;
        g->mode_retry_at = 0;
        g->lost_at = 0;
        g->present = false;
    }
}

static void tick_active(struct draft *d, const struct lease *l)
{
    if (l->ends_at <= d->now) {
        life_term(d, l->id, LEASE_WHY_TIME);
        return;
    }
    struct lease *edit = draft_lease_edit(d, l->id);
    int64_t left = edit->ends_at - d->now;
    if (edit->signal && !edit->signalled && left <= edit->signal_before) {
        edit->signalled = true;
        draft_action(d, ACTION_SIGNAL, edit->id, edit->slices[0].gpu)->signal = edit->signal;
    }
    unsigned warned = edit->warned;
    while (edit->warned < ARRAY_LEN(warnings) && left <= warnings[edit->warned])
        edit->warned++;
    if (edit->warned != warned)
        draft_action(d, ACTION_WARN, edit->id, edit->slices[0].gpu)->left_ns = left;
}

static void tick_lease(struct draft *d, const struct lease *l)
{
    switch (l->state) {
    case LEASE_QUEUED:
        life_end(d, l->id, LEASE_WHY_NO_FIT);
        break;
    case LEASE_ACTIVE:
        tick_active(d, l);
        break;
    case LEASE_ENDING:
    case LEASE_KILLING:
        life_kill(d, l->id, l->why);
        break;
    case LEASE_STARTING:
    case LEASE_ENDED:
        break;
    }
}

void life_tick(struct draft *d)
{
    uint32_t due[DUE_MOST];
    size_t n = state_heap_due(&d->w->heap, d->now, due, DUE_MOST);
    for (size_t i = 0; i < n; i++) {
        if (due[i] >= d->w->lease_max) {
            done_tick(d, (unsigned)(due[i] - d->w->lease_max));
            continue;
        }
        const struct lease *l = draft_lease(d, d->w->row_id[due[i]]);
        if (l && state_lease_due(l) <= d->now)
            tick_lease(d, l);
    }
    schedule(d);
}
