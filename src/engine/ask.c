/* A request: checked, numbered, queued, and granted at once where possible. */
#include "engine/parts.h"

#include "base/time.h"

#include <inttypes.h>
#include <string.h>

/* Whether the same key was used for the same thing. */
static bool same_request(const struct lease *a, const struct lease *b)
{
    return a->kind == b->kind && a->count == b->count && a->gpu == b->gpu && a->gpus == b->gpus &&
           a->start == b->start &&
           memcmp(a->profile_on, b->profile_on, sizeof a->profile_on) == 0 &&
           a->bytes == b->bytes && a->compute_ppt == b->compute_ppt;
}

static int check_times(const struct draft *d, struct lease *l, struct error *err)
{
    const struct policy *p = draft_policy(d);
    char text[TIME_TEXT];
    if (l->for_ns == 0)
        l->for_ns = p->default_for;
    if (l->for_ns < 0)
        return error_set(err, ERROR_INVALID, "a lease needs a duration above zero");
    if (l->for_ns > p->max_for)
        return error_set(err, ERROR_INVALID,
                         "a lease lasts at most %s here (max_for); ask for less",
                         time_format(p->max_for, text));
    if (l->bind == BIND_NONE && l->for_ns == TIME_NEVER)
        return error_set(err, ERROR_INVALID, "a lease bound to nothing needs an end; add --for");
    if (l->grace_ns < 0)
        l->grace_ns = p->grace;
    return 0;
}

/* The fewest compute slices one slice of the lease can count for; 0 if no board has its profile. */
static unsigned least_compute(const struct draft *d, const struct lease *l)
{
    unsigned least = 0;
    for (unsigned i = 0; i < d->w->board_n; i++) {
        unsigned row = place_row(l, i);
        if (!d->w->board_known[i] || row == BOARD_NO_PROFILE ||
            (row != CHOOSE_WHOLE && row >= d->w->boards[i].profile_n))
            continue;
        unsigned compute = draft_compute(&d->w->boards[i], row);
        least = !least || compute < least ? compute : least;
    }
    return least;
}

static int check_quota(const struct draft *d, const struct lease *l, struct error *err)
{
    if (l->limit_slices && l->count > l->limit_slices)
        return error_set(err, ERROR_QUOTA,
                         "%u slices were asked for; the quota of this owner is %" PRIu32, l->count,
                         l->limit_slices);
    unsigned compute = least_compute(d, l) * l->count;
    if (l->limit_compute && compute > l->limit_compute)
        return error_set(err, ERROR_QUOTA,
                         "%u compute slices were asked for; the quota of this owner is %" PRIu32,
                         compute, l->limit_compute);
    uint32_t queue_max = draft_policy(d)->queue_max, waiting = 0;
    const struct lease *w = queue_max ? draft_queue_after(d, NULL) : NULL;
    for (; w; w = draft_queue_after(d, w))
        waiting += owner_equal(w->owner, l->owner);
    if (queue_max && waiting >= queue_max)
        return error_set(err, ERROR_QUOTA,
                         "%" PRIu32 " requests of this owner wait already, its most (queue_max)",
                         waiting);
    return 0;
}

static int never(const struct draft *d, const struct lease *l, unsigned have, struct error *err)
{
    unsigned managed = 0;
    for (unsigned slot = 0; slot < d->w->gpu_n; slot++) {
        const struct gpu *g = draft_gpu(d, slot);
        managed += g && g->managed && g->present;
    }
    if (!managed)
        return error_set(err, ERROR_NEVER,
                         "fetta manages no GPU that is there; an administrator "
                         "names some with 'fetta manage all'");
    if (have)
        return error_set(
            err, ERROR_NEVER,
            "%u %s were asked for; all managed GPUs together hold at most %u of them%s", l->count,
            l->kind == SLICE_WHOLE ? "GPUs" : "slices", have,
            l->gpus ? " (on the GPUs named)" : l->gpu == REQUEST_ANY ? "" : " (on the GPU named)");
    return error_set(err, ERROR_NEVER,
                     "%s ever serve this request; 'fetta explain' says why for each",
                     l->gpus                 ? "none of the GPUs named can"
                     : l->gpu == REQUEST_ANY ? "no managed GPU can"
                                             : "the GPU named cannot");
}

/* How many such slices all GPUs together could ever hold, counting no further than needed. */
static unsigned capacity(const struct draft *d, const struct lease *l)
{
    unsigned have = 0;
    for (unsigned slot = 0; slot < d->w->gpu_n && have < l->count; slot++) {
        const struct gpu *g = draft_gpu(d, slot);
        unsigned row = g ? place_row(l, g->board) : BOARD_NO_PROFILE;
        if (row == BOARD_NO_PROFILE || !lease_wants(l, slot))
            continue;
        have += l->count == 1 ? view_ever(g, draft_board(d, g), row, l->start)
                              : view_capacity(g, draft_board(d, g), row, l->start);
    }
    return have;
}

static int check(const struct draft *d, struct lease *l, struct error *err)
{
    if (l->kind != SLICE_GI && l->kind != SLICE_WHOLE)
        return error_set(err, ERROR_UNSUPPORTED,
                         "only GPU instances and whole GPUs can be leased so far");
    if (l->count < 1 || l->count > REQUEST_SLICES)
        return error_set(err, ERROR_INVALID, "%u slices were asked for; a lease holds 1 to %d",
                         l->count, REQUEST_SLICES);
    if (l->gpu != REQUEST_ANY && (l->gpu < 0 || !draft_gpu(d, (unsigned)l->gpu)))
        return error_set(err, ERROR_INVALID, "there is no GPU slot %d", l->gpu);
    if (l->start != REQUEST_ANY && (l->start < 0 || l->start > 15 || l->kind == SLICE_WHOLE))
        return error_set(err, ERROR_INVALID, "there is no memory slice %d to start at", l->start);
    int rc = check_times(d, l, err);
    return rc ? rc : check_quota(d, l, err);
}

static void admit(struct draft *d, const struct lease *asked, int64_t now)
{
    uint32_t id = d->w->next_id;
    draft_change(d, CHANGE_NEXT_ID, 0)->next_id = id + 1;
    struct lease *l = draft_lease_new(d, id, asked);
    l->state = LEASE_QUEUED;
    l->asked_at = now;
    d->o->lease = id;
    schedule(d);
    if (l->state != LEASE_QUEUED)
        return;
    if (l->wait_until <= now)
        life_end(d, id, LEASE_WHY_NO_FIT);
    else
        draft_action(d, ACTION_QUEUED, id, 0);
}

int ask(struct draft *d, const struct event *e, struct error *err)
{
    struct lease l;
    lease_copy(&l, &e->ask.lease);
    l.why = LEASE_WHY_NONE;
    l.gid = e->ask.gid ? e->ask.gid : l.gid;
    l.tries = l.warned = l.slice_n = 0;
    l.signalled = false;
    l.started_at = l.ends_at = l.term_at = l.kill_at = l.ended_at = 0;
    const struct lease *known = world_lease_by_key(d->w, l.owner, l.key);
    if (known && !same_request(known, &l))
        return error_set(err, ERROR_CONFLICT,
                         "this key belongs to lease %" PRIu32 ", which asked for something else; "
                         "end it or take another key",
                         known->id);
    if (known) {
        d->o->lease = known->id;
        return 0;
    }
    int rc = check(d, &l, err);
    if (rc)
        return rc;
    unsigned have = capacity(d, &l);
    if (have < l.count)
        return never(d, &l, have, err);
    if (d->w->lease_n >= d->w->lease_max)
        return error_set(err, ERROR_NO_MEMORY,
                         "%zu leases live or wait, as many as there is room for", d->w->lease_n);
    admit(d, &l, e->now);
    return 0;
}
