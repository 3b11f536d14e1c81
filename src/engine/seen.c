/* What a GPU looks like, compared with what the world says of it.
 *
 * Instances nobody here made are adopted as foreign; ours that are gone end their lease. The first
 * look after a start also settles what was under way when the daemon went. */
#include "engine/parts.h"

struct look {
    struct draft *d;
    const struct event *e;
    struct gpu *g;
    bool used[BOARD_GIS];         /* sightings that are accounted for */
    uint32_t hurt[BOARD_GIS + 1]; /* leases whose instance is gone */
    unsigned hurt_n;
};

/* The sighting at the place of a seat, -1 if there is none. */
static int sighting_of(const struct look *k, const struct seat *s)
{
    for (int i = 0; i < k->e->gpu.n; i++) {
        const struct sighting *at = &k->e->gpu.seen[i];
        bool other = at->profile != s->profile && at->profile != BOARD_NO_PROFILE &&
                     s->profile != BOARD_NO_PROFILE;
        if (!k->used[i] && at->start == s->start && at->size == s->size && !other)
            return i;
    }
    return -1;
}

static void hurt(struct look *k, uint32_t lease)
{
    if (lease)
        k->hurt[k->hurt_n++] = lease;
}

/* An instance in use or idle; true if its seat stays. */
static bool reconcile_made(struct look *k, struct seat *s, const struct sighting *at)
{
    if (at && (at->has_ci || s->state == SEAT_FOREIGN)) {
        s->gi = at->gi;
        s->ci = at->ci;
        return true;
    }
    hurt(k, s->lease);
    s->lease = 0;
    s->fixed = false;
    s->state = SEAT_DESTROYING; /* a GI without its CI is of no use to anybody */
    return at != NULL;
}

/* What is on its way out; true if its seat stays. */
static bool reconcile_leaving(struct look *k, struct seat *s, const struct sighting *at)
{
    bool asked = s->state == SEAT_DESTROYING && s->op && !k->e->gpu.fresh;
    if (asked)
        return true;
    if (at && s->state == SEAT_QUARANTINED && !s->retry_at)
        s->state = SEAT_DESTROYING;
    /* Of one that was being made when the GPU went, this is the first that tells its number. */
    if (at) {
        s->gi = at->gi;
        s->ci = at->ci;
    }
    s->op = 0;
    return at != NULL;
}

static bool reconcile(struct look *k, struct seat *s, const struct sighting *at)
{
    switch (s->state) {
    case SEAT_LEASED:
    case SEAT_IDLE:
    case SEAT_FOREIGN:
        return reconcile_made(k, s, at);
    case SEAT_DESTROYING:
    case SEAT_QUARANTINED:
        return reconcile_leaving(k, s, at);
    case SEAT_CREATING:
        break;
    }
    return true;
}

static void reconcile_seats(struct look *k)
{
    struct gpu *g = k->g;
    for (unsigned i = g->seat_n; i-- > 0;) {
        if (g->seats[i].state == SEAT_CREATING)
            continue;
        int at = sighting_of(k, &g->seats[i]);
        if (at >= 0)
            k->used[at] = true;
        if (!reconcile(k, &g->seats[i], at < 0 ? NULL : &k->e->gpu.seen[at]))
            advance_remove_seat(g, i);
    }
}

/* An instance whose making was cut short: asked for again if anybody wants it, after a half of it
 * (a GI without its CI) is destroyed. */
static void start_over(struct gpu *g, unsigned i, const struct sighting *half)
{
    struct seat *s = &g->seats[i];
    bool wanted = s->lease || s->fixed;
    if (!half) {
        if (!wanted)
            advance_remove_seat(g, i);
        return;
    }
    struct seat rest = *s;
    rest.state = SEAT_DESTROYING;
    rest.gi = half->gi;
    rest.lease = 0;
    rest.fixed = false;
    if (!wanted)
        *s = rest;
    else if (g->seat_n < BOARD_GIS)
        advance_insert_seat(g, &rest);
}

/* What was being made: left alone, or settled by a first look. */
static void reconcile_creating(struct look *k)
{
    struct gpu *g = k->g;
    for (unsigned i = g->seat_n; i-- > 0;) {
        struct seat *s = &g->seats[i];
        int at = s->state == SEAT_CREATING && (s->op || k->e->gpu.fresh) ? sighting_of(k, s) : -1;
        if (at >= 0)
            k->used[at] = true;
        if (s->state != SEAT_CREATING || !k->e->gpu.fresh)
            continue;
        s->op = 0;
        if (at >= 0 && k->e->gpu.seen[at].has_ci)
            done_made(k->d, g, s, k->e->gpu.seen[at].gi, k->e->gpu.seen[at].ci);
        else
            start_over(g, i, at < 0 ? NULL : &k->e->gpu.seen[at]);
    }
}

/* Everything not accounted for is somebody else's; returns the slices taken so. */
static slices adopt(struct look *k)
{
    slices taken = 0;
    for (unsigned i = 0; i < k->g->seat_n; i++) {
        if (k->g->seats[i].state == SEAT_FOREIGN)
            taken |= view_seat_span(&k->g->seats[i]);
    }
    for (unsigned i = 0; i < k->e->gpu.n; i++) {
        const struct sighting *at = &k->e->gpu.seen[i];
        if (k->used[i] || k->g->seat_n >= BOARD_GIS)
            continue;
        struct seat s = {.state = SEAT_FOREIGN,
                         .profile = at->profile,
                         .start = at->start,
                         .size = at->size,
                         .gi = at->gi,
                         .ci = at->ci,
                         .since = k->d->now};
        taken |= view_seat_reach(&s, draft_board(k->d, k->g));
        advance_insert_seat(k->g, &s);
    }
    return taken;
}

/* Places kept behind an instance that will not go are given up. */
static void drop_blocked(struct gpu *g, slices taken)
{
    for (unsigned i = g->seat_n; i-- > 0;) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_CREATING && !s->op && !s->lease && (view_seat_span(s) & taken))
            advance_remove_seat(g, i);
    }
}

static void end_hurt(struct draft *d, unsigned slot, const uint32_t *leases, unsigned n,
                     enum lease_why why)
{
    for (unsigned i = 0; i < n; i++) {
        const struct lease *l = draft_lease(d, leases[i]);
        if (l && l->state == LEASE_STARTING)
            life_retry(d, l->id, slot, LEASE_WHY_NO_FIT);
        else if (l && (l->state == LEASE_ACTIVE || l->state == LEASE_ENDING))
            life_kill(d, l->id, why);
    }
}

/* The GPU or its driver is gone: its leases are over. What may still be on it when it returns is
 * remembered as ours, to be destroyed then. */
static void lose(struct draft *d, struct gpu *g)
{
    uint32_t leases[BOARD_GIS + 1];
    unsigned n = 0;
    if (g->whole_lease)
        leases[n++] = g->whole_lease; /* holds it until its processes are proved gone */
    g->mode_op = 0;
    g->mode_changing = false;
    for (unsigned i = g->seat_n; i-- > 0;) {
        struct seat *s = &g->seats[i];
        if (s->lease)
            leases[n++] = s->lease;
        s->lease = 0;
        if (s->state == SEAT_FOREIGN || s->state == SEAT_IDLE)
            continue;
        bool nothing = s->state == SEAT_CREATING && (!s->op || view_seat_beaten(g, s));
        s->state = SEAT_QUARANTINED;
        s->fixed = false;
        s->op = 0;
        s->retry_at = 0;
        if (nothing)
            advance_remove_seat(g, i);
    }
    end_hurt(d, g->slot, leases, n, LEASE_WHY_LOST);
}

static void look_at_mode(struct look *k)
{
    struct gpu *g = k->g;
    if (k->e->gpu.fresh) {
        g->mode_op = 0;
        g->mode_changing = false;
        g->mode_retry_at = 0;
    }
    if (g->mode_op)
        return;
    g->mig = k->e->gpu.mig;
    if (!g->whole_lease || g->mig != MACHINE_MIG_ON)
        return;
    const struct lease *l = draft_lease(k->d, g->whole_lease);
    if (l && l->state == LEASE_ACTIVE)
        hurt(k, l->id);
}

static void look_closer(struct draft *d, const struct event *e, struct gpu *g)
{
    struct look k = {.d = d, .e = e, .g = g};
    g->lost_at = 0;
    look_at_mode(&k);
    reconcile_seats(&k);
    reconcile_creating(&k);
    slices taken = adopt(&k);
    drop_blocked(g, taken);
    end_hurt(d, g->slot, k.hurt, k.hurt_n, LEASE_WHY_VANISHED);
    done_refused(d, g->slot, taken);
    if (taken)
        done_send_away(d, g->slot, taken);
    advance(d, g->slot);
}

int seen(struct draft *d, const struct event *e, struct error *err)
{
    unsigned slot = e->gpu.slot;
    if (slot >= d->w->gpu_max)
        return error_set(err, ERROR_INVALID, "GPU slot %u is beyond the %zu this world holds", slot,
                         d->w->gpu_max);
    if (!world_board(d->w, e->gpu.board))
        return error_set(err, ERROR_INVALID, "GPU slot %u names board %u, which was not told", slot,
                         e->gpu.board);
    if (e->gpu.n > BOARD_GIS)
        return error_set(err, ERROR_INVALID,
                         "GPU slot %u shows %u instances, more than a GPU holds", slot, e->gpu.n);
    struct gpu *g =
        draft_gpu(d, slot) ? draft_gpu_edit(d, slot) : draft_gpu_new(d, slot, e->gpu.board);
    d->settling = e->gpu.fresh;
    g->board = e->gpu.board;
    g->present = e->gpu.present;
    g->health = e->gpu.health;
    if (!g->present || g->health != MACHINE_OK) {
        g->lost_at = g->lost_at ? g->lost_at : d->now;
        if (!g->present || g->health == MACHINE_LOST)
            lose(d, g);
    } else {
        look_closer(d, e, g);
    }
    schedule(d);
    return 0;
}
