/* What the hardware answered, and what is tried again later. */
#include "engine/parts.h"

#include "base/time.h"

static const int64_t mode_pause = 5 * TIME_S; /* before a refused mode change is asked again */
static const int64_t make_pause = 30 * TIME_S; /* ... and a refused instance of a fixed layout */
static const int64_t destroy_pause_most = 60 * TIME_S;

static struct seat *seat_of_op(struct gpu *g, uint32_t op)
{
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].op == op)
            return &g->seats[i];
    }
    return NULL;
}

/* Whether somebody still waits for this answer. */
static bool awaited(const struct gpu *g, uint32_t op)
{
    if (!g || !op)
        return false;
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].op == op)
            return true;
    }
    return g->mode_op == op;
}

void done_made(struct draft *d, struct gpu *g, struct seat *s, uint8_t gi, uint8_t ci)
{
    s->gi = gi;
    s->ci = ci;
    s->op = 0;
    s->tries = 0;
    s->used = false;
    s->since = d->now;
    s->state = s->lease ? SEAT_LEASED : SEAT_IDLE;
    if (!s->lease)
        return;
    struct lease *l = draft_lease_edit(d, s->lease);
    for (unsigned i = 0; i < l->slice_n; i++) {
        struct lease_slice *slice = &l->slices[i];
        if (slice->gpu != g->slot || slice->start != s->start || slice->made)
            continue;
        slice->gi = gi;
        slice->ci = ci;
        slice->made = true;
        break;
    }
    life_progress(d, l->id);
}

int done_applied(struct draft *d, const struct event *e, struct error *err)
{
    (void)err;
    if (!awaited(draft_gpu(d, e->done.gpu), e->done.op))
        return 0;
    struct gpu *g = draft_gpu_edit(d, e->done.gpu);
    struct seat *s = seat_of_op(g, e->done.op);
    if (!s) {
        g->mig = g->mode_asked ? MACHINE_MIG_ON : MACHINE_MIG_OFF;
        g->mode_op = 0;
        g->mode_changing = false;
        g->mode_retry_at = 0;
    } else if (s->state == SEAT_CREATING) {
        done_made(d, g, s, e->done.gi, e->done.ci);
    } else {
        advance_remove_seat(g, (unsigned)(s - g->seats));
    }
    advance(d, g->slot);
    schedule(d);
    return 0;
}

void done_send_away(struct draft *d, unsigned slot, slices span)
{
    const struct gpu *g = draft_gpu(d, slot);
    uint32_t leases[BOARD_GIS + 1];
    unsigned n = 0;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_CREATING && s->lease && !s->op && (view_seat_span(s) & span))
            leases[n++] = s->lease;
    }
    if (g->whole_lease && draft_lease(d, g->whole_lease)->state == LEASE_STARTING)
        leases[n++] = g->whole_lease;
    for (unsigned i = 0; i < n; i++) {
        const struct lease *l = draft_lease(d, leases[i]);
        bool still = false;
        for (unsigned s = 0; l && l->state == LEASE_STARTING && s < l->slice_n; s++)
            still = still || (l->slices[s].gpu == slot && !l->slices[s].made);
        if (still)
            life_retry(d, leases[i], slot, LEASE_WHY_NO_FIT);
    }
}

void done_refused(struct draft *d, unsigned slot, slices taken)
{
    const struct gpu *g = draft_gpu(d, slot);
    uint32_t leases[BOARD_GIS];
    bool beaten[BOARD_GIS];
    unsigned n = 0;
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->state != SEAT_CREATING || !s->lease || s->op || !s->retry_at)
            continue;
        beaten[n] = view_seat_span(s) & taken;
        leases[n++] = s->lease;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct lease *l = draft_lease(d, leases[i]);
        if (l->state != LEASE_STARTING)
            continue;
        if (beaten[i])
            life_beaten(d, leases[i], slot);
        else
            life_retry(d, leases[i], slot, LEASE_WHY_FAILED);
    }
}

static void create_failed(struct draft *d, struct gpu *g, struct seat *s, enum error_code code)
{
    uint32_t lease = s->lease;
    s->op = 0;
    s->retry_at = d->now + make_pause;
    draft_action(d, ACTION_LOOK, 0, g->slot);
    /* No room where the world has some: what is there now decides; see done_refused. */
    if (lease && code == ERROR_NO_FIT)
        return;
    s->lease = 0;
    struct seat again = *s;
    advance_remove_seat(g, (unsigned)(s - g->seats));
    struct layout hard = view_layout(g, false, 0);
    if (again.fixed && layout_fits(draft_board(d, g), &hard, again.profile) >> again.start & 1)
        advance_insert_seat(g, &again);
    if (lease)
        life_retry(d, lease, g->slot, LEASE_WHY_FAILED);
}

static void destroy_failed(struct draft *d, struct gpu *g, struct seat *s)
{
    slices span = view_seat_reach(s, draft_board(d, g));
    if (view_seat_beaten(g, s)) {
        advance_remove_seat(g, (unsigned)(s - g->seats));
        return;
    }
    int64_t pause = TIME_S << MIN(s->tries, 6);
    s->state = SEAT_QUARANTINED;
    s->op = 0;
    s->since = d->now;
    s->retry_at = d->now + MIN(pause, destroy_pause_most);
    s->tries = (uint8_t)MIN(s->tries + 1, 255);
    for (unsigned i = g->seat_n; i-- > 0;) {
        const struct seat *other = &g->seats[i];
        if (other->state == SEAT_CREATING && !other->op && !other->lease &&
            (view_seat_span(other) & span))
            advance_remove_seat(g, i);
    }
    done_send_away(d, g->slot, span);
}

int done_failed(struct draft *d, const struct event *e, struct error *err)
{
    (void)err;
    if (!awaited(draft_gpu(d, e->done.gpu), e->done.op))
        return 0;
    struct gpu *g = draft_gpu_edit(d, e->done.gpu);
    struct seat *s = seat_of_op(g, e->done.op);
    if (!s) {
        g->mode_op = 0;
        g->mode_changing = false;
        g->mode_retry_at = d->now + mode_pause;
        done_send_away(d, g->slot, (slices)~0u);
        draft_action(d, ACTION_LOOK, 0, g->slot);
    } else if (s->state == SEAT_CREATING) {
        create_failed(d, g, s, e->done.code);
    } else {
        destroy_failed(d, g, s);
    }
    advance(d, e->done.gpu);
    schedule(d);
    return 0;
}

void done_tick(struct draft *d, unsigned slot)
{
    struct gpu *g = draft_gpu_edit(d, slot);
    const struct policy *p = draft_policy(d);
    if (g->mode_retry_at && g->mode_retry_at <= d->now)
        g->mode_retry_at = 0;
    for (unsigned i = 0; i < g->seat_n; i++) {
        struct seat *s = &g->seats[i];
        bool old = s->state == SEAT_IDLE && !s->fixed && p->idle_keep != TIME_NEVER &&
                   s->since <= d->now - p->idle_keep;
        bool retry = s->retry_at && s->retry_at <= d->now;
        if (retry)
            s->retry_at = 0;
        if (old || (retry && s->state == SEAT_QUARANTINED))
            s->state = SEAT_DESTROYING;
    }
    advance(d, slot);
}
