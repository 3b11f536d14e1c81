/* What an administrator decides about a GPU: drained, managed, its pool, its layout. */
#include "engine/parts.h"

#include "base/str.h"
#include "plan/reshape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WHO_TEXT = 120 };

static int find(const struct draft *d, unsigned slot, struct error *err)
{
    if (draft_gpu(d, slot))
        return 0;
    return error_set(err, ERROR_NOT_FOUND, "there is no GPU slot %u", slot);
}

static void add_lease(char who[WHO_TEXT], uint32_t lease)
{
    size_t used = strlen(who);
    if (used < WHO_TEXT - 16)
        (void)snprintf(who + used, WHO_TEXT - used, "%s%" PRIu32, used ? ", " : "", lease);
}

/* The leases on a GPU as text; "" if there are none. */
static void leases_on(const struct gpu *g, char who[WHO_TEXT])
{
    who[0] = 0;
    if (g->whole_lease)
        add_lease(who, g->whole_lease);
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].lease)
            add_lease(who, g->seats[i].lease);
    }
}

/* The lease's people shall hear that something about it changed. */
static void tell(struct draft *d, uint32_t lease)
{
    if (!lease || !draft_lease(d, lease))
        return;
    draft_lease_edit(d, lease)->revision++;
    draft_action(d, ACTION_TOLD, lease, 0);
}

int admin_drain(struct draft *d, const struct event *e, struct error *err)
{
    int rc = find(d, e->drain.gpu, err);
    if (rc)
        return rc;
    struct gpu *g = draft_gpu_edit(d, e->drain.gpu);
    g->drained = e->drain.on;
    g->drain_reason = e->drain.on ? e->drain.reason : 0;
    for (unsigned i = 0; i < g->seat_n; i++)
        tell(d, g->seats[i].lease);
    tell(d, g->whole_lease);
    schedule(d);
    return 0;
}

int admin_manage(struct draft *d, const struct event *e, struct error *err)
{
    int rc = find(d, e->manage.gpu, err);
    if (rc)
        return rc;
    char who[WHO_TEXT];
    leases_on(draft_gpu(d, e->manage.gpu), who);
    if (!e->manage.on && who[0])
        return error_set(err, ERROR_IN_USE, "GPU %u is held by lease %s; end it first",
                         e->manage.gpu, who);
    draft_gpu_edit(d, e->manage.gpu)->managed = e->manage.on;
    advance(d, e->manage.gpu);
    schedule(d);
    return 0;
}

int admin_pool(struct draft *d, const struct event *e, struct error *err)
{
    int rc = find(d, e->pool.gpu, err);
    if (rc)
        return rc;
    const struct gpu *g = draft_gpu(d, e->pool.gpu);
    if (g->pool == e->pool.pool)
        return 0;
    char who[WHO_TEXT];
    leases_on(g, who);
    if (who[0])
        return error_set(err, ERROR_IN_USE,
                         "GPU %u changes its pool only when empty; it is held by lease %s",
                         e->pool.gpu, who);
    bool against = g->fixed && e->pool.pool == (g->mode_wanted ? POOL_WHOLE : POOL_SLICED);
    if (against)
        return error_set(err, ERROR_STATE,
                         "GPU %u has an applied layout of the other kind; make it dynamic first",
                         e->pool.gpu);
    draft_gpu_edit(d, e->pool.gpu)->pool = e->pool.pool;
    schedule(d);
    return 0;
}

/* Whether a seat already is one of the wanted placements. */
static bool kept(const struct event *e, const struct seat *s)
{
    for (unsigned i = 0; e->layout.mig && i < e->layout.layout.n; i++) {
        const struct placement *p = &e->layout.layout.at[i];
        if (p->profile == s->profile && p->start == s->start)
            return true;
    }
    return false;
}

/* Whether a foreign instance stands where the layout wants something. */
static bool in_the_way(const struct draft *d, const struct event *e, const struct gpu *g,
                       const struct seat *s)
{
    const struct board *b = draft_board(d, g);
    bool way = !e->layout.mig;
    for (unsigned i = 0; i < e->layout.layout.n; i++)
        way = way || (layout_span(b, e->layout.layout.at[i]) & view_seat_span(s));
    return way;
}

static int check_free(const struct draft *d, const struct event *e, const struct gpu *g,
                      struct error *err)
{
    char who[WHO_TEXT] = "", foreign[WHO_TEXT] = "";
    if (g->whole_lease && e->layout.mig)
        add_lease(who, g->whole_lease);
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->lease && !kept(e, s))
            add_lease(who, s->lease);
        size_t used = strlen(foreign);
        if (s->state == SEAT_FOREIGN && in_the_way(d, e, g, s) && used < WHO_TEXT - 24)
            (void)snprintf(foreign + used, WHO_TEXT - used, "%sGI %u at memory slice %u",
                           used ? ", " : "", s->gi, s->start);
    }
    if (who[0])
        return error_set(
            err, ERROR_IN_USE,
            "GPU %u: lease %s holds slices this layout would destroy; wait, end it, or "
            "use --force",
            g->slot, who);
    if (foreign[0])
        return error_set(
            err, ERROR_IN_USE,
            "GPU %u: instances that are not fetta's are in the way (%s); destroy them, "
            "or use --force",
            g->slot, foreign);
    return 0;
}

static void force_end(struct draft *d, uint32_t id)
{
    const struct lease *l = draft_lease(d, id);
    if (!l)
        return;
    if (l->state == LEASE_STARTING)
        life_end(d, id, LEASE_WHY_FORCED);
    else if (l->state == LEASE_ACTIVE)
        life_term(d, id, LEASE_WHY_FORCED);
}

static void make_way(struct draft *d, const struct event *e, struct gpu *g)
{
    uint32_t ids[BOARD_GIS + 1];
    unsigned n = 0;
    g->fixed = false; /* the old layout must not claim what the new one frees */
    g->layout_fixed = (struct layout){0};
    if (g->whole_lease && e->layout.mig)
        ids[n++] = g->whole_lease;
    for (unsigned i = 0; i < g->seat_n; i++) {
        struct seat *s = &g->seats[i];
        s->fixed = false;
        if (s->lease && !kept(e, s))
            ids[n++] = s->lease;
        if (s->state == SEAT_FOREIGN && in_the_way(d, e, g, s))
            s->state = SEAT_DESTROYING;
    }
    for (unsigned i = 0; i < n; i++)
        force_end(d, ids[i]);
}

static int make_dynamic(struct draft *d, unsigned slot)
{
    struct gpu *g = draft_gpu_edit(d, slot);
    g->fixed = false;
    g->layout_fixed = (struct layout){0};
    for (unsigned i = g->seat_n; i-- > 0;) {
        struct seat *s = &g->seats[i];
        s->fixed = false;
        if (s->state == SEAT_CREATING && !s->op && !s->lease)
            advance_remove_seat(g, i);
    }
    advance(d, slot);
    schedule(d);
    return 0;
}

static int check_layout(const struct draft *d, const struct event *e, const struct gpu *g,
                        struct error *err)
{
    if (!g->managed)
        return error_set(err, ERROR_STATE,
                         "GPU %u is not managed; 'fetta manage %u' lets fetta "
                         "touch it",
                         g->slot, g->slot);
    if (e->layout.mig && g->mig == MACHINE_MIG_NONE)
        return error_set(err, ERROR_UNSUPPORTED, "GPU %u has no MIG", g->slot);
    if (e->layout.mig ? g->pool == POOL_WHOLE : g->pool == POOL_SLICED)
        return error_set(err, ERROR_STATE, "the pool of GPU %u does not allow this layout",
                         g->slot);
    if (e->layout.mig) {
        int rc = reshape_check(draft_board(d, g), &e->layout.layout, err);
        if (rc) {
            (void)error_context(err, "GPU %u", g->slot);
            return rc;
        }
    }
    return e->layout.force ? 0 : check_free(d, e, g, err);
}

int admin_layout(struct draft *d, const struct event *e, struct error *err)
{
    int rc = find(d, e->layout.gpu, err);
    if (rc)
        return rc;
    if (!e->layout.fixed)
        return make_dynamic(d, e->layout.gpu);
    rc = check_layout(d, e, draft_gpu(d, e->layout.gpu), err);
    if (rc)
        return rc;
    struct gpu *g = draft_gpu_edit(d, e->layout.gpu);
    make_way(d, e, g);
    g->fixed = true;
    g->mode_wanted = e->layout.mig;
    g->layout_fixed = e->layout.mig ? e->layout.layout : (struct layout){0};
    g->layout_fixed.busy = 0;
    for (unsigned i = 0; i < g->layout_fixed.n; i++)
        g->layout_fixed.busy |= layout_span(draft_board(d, g), g->layout_fixed.at[i]);
    for (unsigned i = g->seat_n; i-- > 0;) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_CREATING && !s->op && !s->lease)
            advance_remove_seat(g, i);
    }
    advance(d, g->slot);
    schedule(d);
    return 0;
}
