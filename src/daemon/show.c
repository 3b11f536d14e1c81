/* Leases and GPUs as JSON.
 *
 * The status is the same bytes for everybody, so that it is rendered once per change; who looks
 * matters only for single leases (the command is its owner's business) and under `privacy: on`. */
#include "daemon/show.h"

#include "base/str.h"
#include "base/time.h"
#include "daemon/ballot.h"
#include "daemon/bind.h"
#include "daemon/driver.h"
#include "daemon/note.h"
#include "daemon/peak.h"
#include "daemon/user.h"
#include "engine/view.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *const pool_names[] = {
    [POOL_ELASTIC] = "elastic", [POOL_SLICED] = "sliced", [POOL_WHOLE] = "whole"};
static const char *const mig_names[] = {
    [MACHINE_MIG_NONE] = "none", [MACHINE_MIG_OFF] = "off", [MACHINE_MIG_ON] = "on"};
static const char *const health_names[] = {
    [MACHINE_OK] = "ok", [MACHINE_NOT_ANSWERING] = "not-answering", [MACHINE_LOST] = "lost"};
static const char *const seat_names[] = {
    [SEAT_CREATING] = "creating", [SEAT_IDLE] = "idle",
    [SEAT_LEASED] = "leased",     [SEAT_DESTROYING] = "destroying",
    [SEAT_FOREIGN] = "foreign",   [SEAT_QUARANTINED] = "quarantined"};
static const char *const kind_names[] = {
    [SLICE_GI] = "gi", [SLICE_WHOLE] = "whole", [SLICE_CI] = "ci", [SLICE_SHARE] = "share"};

json_t *show_instant(const struct daemon *d, int64_t at)
{
    if (at == 0 || at == TIME_NEVER)
        return json_null();
    return json_real((double)(time_wall() - time_boot() + lease_clock_boot(d, at)) / 1e9);
}

static json_t *wall_instant(int64_t wall)
{
    return wall ? json_real((double)wall / 1e9) : json_null();
}

static json_t *seconds(int64_t ns)
{
    return ns == TIME_NEVER || ns < 0 ? json_null() : json_real((double)ns / 1e9);
}

static void set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new(object, key, value);
}

static void set_text(json_t *object, const char *key, const char *text)
{
    set(object, key, text ? json_string(text) : json_null());
}

const char *show_owner(struct daemon *d, struct owner o, char buf[SHOW_OWNER])
{
    const char *name = o.kind == OWNER_NAMED ? store_name(d->store, o.id) : NULL;
    if (name)
        (void)str_copy(buf, SHOW_OWNER, name);
    else
        (void)snprintf(buf, SHOW_OWNER, "uid:%u", o.id);
    return buf;
}

/* ---- leases ---- */

/* The rest of a slice, for a single lease: what is in it. */
static void set_slice_details(json_t *o, const char *gpu_uuid, const struct lease_slice *s,
                              uint64_t mib, unsigned compute, unsigned of, unsigned sms)
{
    set_text(o, "gpu_uuid", gpu_uuid);
    set(o, "ci", s->made && s->profile != BOARD_NO_PROFILE ? json_integer(s->ci) : json_null());
    set(o, "memory_bytes", json_integer((json_int_t)(mib << 20)));
    set(o, "compute", json_integer(compute));
    set(o, "compute_of", json_integer(of));
    set(o, "sms", json_integer(sms));
}

static json_t *show_slice(struct daemon *d, const struct lease_slice *s, bool brief)
{
    json_t *o = json_object();
    const struct gpu *g = world_gpu(d->world, s->gpu);
    const struct board *b = g ? world_board(d->world, g->board) : NULL;
    const struct machine_gpu *seen = daemon_gpu(d, s->gpu);
    const char *gpu_uuid = store_gpu_uuid(d->store, s->gpu);
    char name[BOARD_PROFILE_NAME];
    set(o, "gpu", seen ? json_integer(seen->index) : json_null());
    if (!b || s->profile >= b->profile_n) {
        set_text(o, "profile", NULL);
        set_text(o, "uuid", gpu_uuid);
        set_text(o, "gi", NULL);
        set_text(o, "start", NULL);
        if (!brief && b)
            set_slice_details(o, gpu_uuid, s, b->total_mib, b->compute_slices, b->compute_slices,
                              b->sms);
        return o;
    }
    const struct profile *p = &b->profiles[s->profile];
    const struct machine_ci *ci = s->made ? daemon_ci(d, s) : NULL;
    set_text(o, "profile", board_profile_name(b, p, name));
    set_text(o, "uuid", ci ? ci->uuid : NULL);
    set(o, "gi", s->made ? json_integer(s->gi) : json_null());
    set(o, "start", json_integer(s->start));
    if (!brief)
        set_slice_details(o, gpu_uuid, s, p->mib, p->compute, b->compute_slices, p->sms);
    return o;
}

static const char *bind_text(struct daemon *d, const struct lease *l, char buf[SHOW_OWNER])
{
    const char *name = store_name(d->store, l->bind_ref);
    switch (l->bind) {
    case BIND_NONE:
        return "none";
    case BIND_PID:
        (void)snprintf(buf, SHOW_OWNER, "pid:%d", l->bind_pid);
        return buf;
    case BIND_LEASE:
        return "lease";
    case BIND_USER:
        return "user";
    case BIND_SESSION:
        (void)snprintf(buf, SHOW_OWNER, "session:%u", l->bind_ref);
        return buf;
    case BIND_CGROUP:
        (void)snprintf(buf, SHOW_OWNER, "cgroup:%s", name ? name : "?");
        return buf;
    case BIND_KEY:
        (void)snprintf(buf, SHOW_OWNER, "key:%s", name ? name : "?");
        return buf;
    }
    return "none";
}

/* What everybody sees of a lease in a list. */
static void set_brief(struct daemon *d, json_t *o, const struct lease *l, bool brief)
{
    set(o, "id", json_integer(l->id));
    set(o, "revision", json_integer(l->revision));
    set_text(o, "state", lease_state_name(l->state));
    if (!brief || l->why)
        set_text(o, "why", l->why ? lease_why_name(l->why) : NULL);
    if (!brief || l->count > 1)
        set(o, "count", json_integer(l->count));
    if (!brief || l->kind != SLICE_GI)
        set_text(o, "kind", kind_names[l->kind]);
    json_t *list = json_array();
    for (unsigned i = 0; i < l->slice_n; i++)
        (void)json_array_append_new(list, show_slice(d, &l->slices[i], brief));
    set(o, "slices", list);
}

/* ... and of a single one, apart from who may see what and what only a live one has. */
static void set_common(struct daemon *d, json_t *o, const struct lease *l)
{
    char text[SHOW_OWNER];
    set_brief(d, o, l, false);
    set_text(o, "why_text", l->why ? lease_why_text(l->why) : NULL);
    set(o, "grace", seconds(l->grace_ns));
    set(o, "for", seconds(l->for_ns));
    set_text(o, "bind", bind_text(d, l, text));
    set(o, "priority", json_integer(l->priority));
    set(o, "movable", json_boolean(l->movable));
    if (l->signal) {
        char before[TIME_TEXT];
        const char *name = sigabbrev_np(l->signal);
        (void)snprintf(text, sizeof text, "%s@%s", name ? name : "?",
                       time_format(l->signal_before, before));
    }
    set_text(o, "signal", l->signal ? text : NULL);
}

static void set_owner(struct daemon *d, json_t *o, const struct lease *l, bool hide)
{
    char text[SHOW_OWNER], name[USER_NAME];
    set_text(o, "owner", hide ? NULL : show_owner(d, l->owner, text));
    set_text(o, "user", hide ? NULL : user_name(&d->users, l->asker_uid, name));
}

/* When the first in the queue start; those far behind are told no time. */
struct starts {
    size_t n;
    int64_t at[256];
};

static void look_ahead(struct daemon *d, size_t n, struct starts *ret)
{
    ret->n = engine_forecast(d->world, lease_clock_now(d), ret->at, MIN(n, ARRAY_LEN(ret->at)));
}

/* "lease 3, or lease 4 5": the leases in the way, each set of them once though it may be in the way
 * on several GPUs. */
static void blockers_text(const struct explanation *x, struct str *text)
{
    for (size_t i = 0; i < x->n && text->len < 60; i++) {
        const struct gpu_reason *r = &x->gpus[i];
        bool named =
            i > 0 && r->blocker_n == x->gpus[i - 1].blocker_n &&
            memcmp(r->blockers, x->gpus[i - 1].blockers, r->blocker_n * sizeof r->blockers[0]) == 0;
        if (r->reason != REASON_BUSY || r->blocker_n == 0 || named)
            continue;
        str_addf(text, "%slease", text->len ? ", or " : "");
        for (unsigned b = 0; b < r->blocker_n; b++)
            str_addf(text, " %u", r->blockers[b]);
    }
}

/* What else it waits for. */
static const char *other_wait(const struct explanation *x)
{
    bool drained = false;
    for (size_t i = 0; i < x->n; i++)
        drained = drained || x->gpus[i].reason == REASON_DRAINED;
    return x->position > 1 ? "those before it" : drained ? "a drained GPU" : "room";
}

static void set_queued(struct daemon *d, json_t *o, const struct lease *l,
                       const struct starts *starts)
{
    static struct explanation x; /* large, and used by one thread one call at a time */
    struct starts own;
    engine_explain(d->world, l, lease_clock_now(d), &x);
    if (!starts)
        look_ahead(d, x.position, &own);
    starts = starts ? starts : &own;
    set(o, "position", json_integer((json_int_t)x.position));
    set(o, "latest_start",
        show_instant(d, x.position <= starts->n ? starts->at[x.position - 1] : TIME_NEVER));
    AUTO_STR struct str text = {0};
    blockers_text(&x, &text);
    set_text(o, "waits_for", text.len ? text.text : other_wait(&x));
}

/* Lines of "PID NAME". */
static json_t *show_left(const char *lines)
{
    json_t *list = json_array();
    for (const char *at = lines; *at;) {
        char *name;
        long pid = strtol(at, &name, 10);
        size_t n = strcspn(name, "\n");
        (void)json_array_append_new(list, json_pack("{s:i, s:s%}", "pid", (int)pid, "name",
                                                    name + (*name == ' '), n - (*name == ' ')));
        at = name + n + (name[n] == '\n');
    }
    return list;
}

/* What the holder should know of the GPUs he is on; NULL if nothing. */
static const char *notice(struct daemon *d, const struct lease *l, char buf[SHOW_OWNER])
{
    for (unsigned i = 0; i < l->slice_n; i++) {
        const struct gpu *g = world_gpu(d->world, l->slices[i].gpu);
        const struct machine_gpu *seen = daemon_gpu(d, l->slices[i].gpu);
        if (!g || !g->drained)
            continue;
        const char *reason = store_name(d->store, g->drain_reason);
        (void)snprintf(buf, SHOW_OWNER, "GPU %u is drained for maintenance%s%s",
                       seen ? seen->index : g->slot, reason ? ": " : "", reason ? reason : "");
        return buf;
    }
    return NULL;
}

/* The times and texts of a live lease. */
static void set_live(struct daemon *d, json_t *o, const struct lease *l, bool hide_owner,
                     const struct starts *starts)
{
    set_owner(d, o, l, hide_owner);
    set_text(o, "asked_for", notes_get(d, l->id)->asked_for);
    set(o, "asked", show_instant(d, l->asked_at));
    set(o, "started", show_instant(d, l->started_at));
    set(o, "ends", show_instant(d, l->ends_at));
    if (l->state == LEASE_QUEUED)
        set_queued(d, o, l, starts);
}

/* A line of the status: what a list of all leases needs, since it is sent often. */
static json_t *show_line(struct daemon *d, const struct lease *l, bool hide_owner,
                         const struct starts *starts)
{
    json_t *o = json_object();
    set_brief(d, o, l, true);
    set_live(d, o, l, hide_owner, starts);
    return o;
}

/* The smallest slice that would have held the peak with a tenth of it to spare; null where that is
 * not smaller, or no process was seen. */
static json_t *show_would_fit(struct daemon *d, const struct lease *l, uint64_t peak)
{
    const struct gpu *g = l->slice_n ? world_gpu(d->world, l->slices[0].gpu) : NULL;
    const struct board *b = g ? world_board(d->world, g->board) : NULL;
    char name[BOARD_PROFILE_NAME];
    unsigned fits = BOARD_NO_PROFILE;
    if (b && peak > 0)
        fits = board_profile_smaller(b, l->slices[0].profile, peak + peak / 10);
    if (fits == BOARD_NO_PROFILE)
        return json_null();
    const struct profile *p = &b->profiles[fits];
    return json_pack("{s:s, s:i, s:I}", "profile", board_profile_name(b, p, name), "compute",
                     (int)p->compute, "memory_bytes", (json_int_t)p->mib << 20);
}

static void set_peak(struct daemon *d, json_t *o, const struct lease *l, struct store_peak peak)
{
    set(o, "peak_bytes", peak.looks ? json_integer((json_int_t)peak.bytes) : json_null());
    set(o, "peak_looks", json_integer(peak.looks));
    set(o, "would_fit", show_would_fit(d, l, peak.bytes));
}

static bool is_mine(const struct lease *l, const struct viewer *v)
{
    return l->asker_uid == v->uid || (l->owner.kind == OWNER_UID && l->owner.id == v->uid);
}

json_t *show_lease(struct daemon *d, const struct lease *l, const struct viewer *v)
{
    bool mine = is_mine(l, v);
    char text[SHOW_OWNER];
    json_t *o = json_object();
    set_common(d, o, l);
    bool hide = d->config.privacy && !mine && !v->operator_;
    set_live(d, o, l, hide, NULL);
    if (hide) /* a process id names its owner, too */
        set_text(o, "bind", NULL);
    set(o, "ended", show_instant(d, l->ended_at));
    set(o, "confined", json_boolean(binds_confined(d, l->id)));
    set_text(o, "notice", notice(d, l, text));
    set_peak(d, o, l, peaks_get(d, l->id));
    set(o, "left_behind", show_left(""));
    set_text(o, "exit_status", NULL);
    set(o, "mine", json_boolean(mine));
    set_text(o, "command", mine || v->operator_ ? notes_get(d, l->id)->command : NULL);
    return o;
}

json_t *show_past(struct daemon *d, const struct store_past *p, const struct viewer *v)
{
    const struct lease *l = &p->lease;
    json_t *o = json_object();
    set_common(d, o, l);
    set_owner(d, o, l, false);
    set_text(o, "asked_for", p->profile);
    set(o, "asked", wall_instant(p->asked_wall));
    set(o, "started", wall_instant(p->started_wall));
    set_text(o, "ends", NULL);
    set(o, "ended", wall_instant(p->ended_wall));
    set(o, "mine", json_boolean(is_mine(l, v)));
    set(o, "confined", json_false());
    set_text(o, "notice", NULL);
    bool live = l->state != LEASE_ENDED;
    set_peak(d, o, l, live && peaks_get(d, l->id).looks ? peaks_get(d, l->id) : p->peak);
    set(o, "gid", json_integer(l->gid));
    set(o, "left_behind", show_left(p->left_behind));
    set_text(o, "command", p->command);
    set(o, "exit_status", p->exit_status >= 0 ? json_integer(p->exit_status) : json_null());
    return o;
}

/* ---- GPUs ---- */

/* What stands on a GPU if everything destroyable were destroyed. */
static struct layout hard_layout(const struct board *b, const struct gpu *g)
{
    struct layout l = {0};
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        if (s->state == SEAT_IDLE && !s->fixed)
            continue;
        slices span = (slices)(((1u << s->size) - 1) << s->start);
        /* While a forced layout waits, what comes may stand over what still goes. */
        if (s->profile < b->profile_n && !(l.busy & span))
            layout_add(b, &l, (struct placement){.profile = s->profile, .start = s->start});
        else
            l.busy |= span;
    }
    return l;
}

static unsigned count_free(const struct board *b, const struct gpu *g, struct layout l,
                           unsigned profile)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->seat_n; i++)
        n += g->seats[i].fixed && g->seats[i].state == SEAT_IDLE && g->seats[i].profile == profile;
    if (g->fixed)
        return n;
    for (int start; (start = layout_choose(b, &l, profile)) >= 0; n++)
        layout_add(b, &l, (struct placement){.profile = (uint8_t)profile, .start = (uint8_t)start});
    return n;
}

/* How many of each kind could be had, each kind alone. */
static json_t *show_free(const struct board *b, const struct gpu *g)
{
    json_t *o = json_object();
    char name[BOARD_PROFILE_NAME];
    bool usable = view_usable(g) && !g->whole_lease;
    bool sliced = usable && b->complete && g->pool != POOL_WHOLE && g->mig != MACHINE_MIG_NONE;
    struct layout l = hard_layout(b, g);
    for (unsigned i = 0; i < b->profile_n; i++)
        set(o, board_profile_name(b, &b->profiles[i], name),
            json_integer(sliced ? count_free(b, g, l, i) : 0));
    bool whole = usable && l.n == 0 && l.busy == 0 &&
                 (g->pool != POOL_SLICED || g->mig == MACHINE_MIG_NONE) &&
                 (!g->fixed || g->mig != MACHINE_MIG_ON);
    set(o, "gpu", json_integer(whole));
    return o;
}

static json_t *show_seat(struct daemon *d, const struct board *b, const struct gpu *g,
                         const struct seat *s)
{
    json_t *o = json_object();
    char name[BOARD_PROFILE_NAME];
    struct lease_slice at = {.gpu = g->slot, .gi = s->gi, .ci = s->ci};
    const struct machine_ci *ci = daemon_ci(d, &at);
    bool known = s->profile < b->profile_n;
    set_text(o, "profile", known ? board_profile_name(b, &b->profiles[s->profile], name) : NULL);
    set(o, "start", json_integer(s->start));
    set(o, "size", json_integer(s->size));
    set(o, "compute", json_integer(known ? b->profiles[s->profile].compute : 0));
    bool exists = s->state != SEAT_CREATING;
    set(o, "gi", exists ? json_integer(s->gi) : json_null());
    set_text(o, "state", seat_names[s->state]);
    set(o, "lease", s->lease ? json_integer(s->lease) : json_null());
    /* Of a leased slice the lease says it. */
    if (!s->lease)
        set_text(o, "uuid", exists && ci ? ci->uuid : NULL);
    if (s->fixed)
        set(o, "fixed", json_true());
    return o;
}

static void set_gpu_state(struct daemon *d, json_t *o, const struct gpu *g)
{
    bool slow = driver_slow(d, g->slot);
    bool lost = !g->present || g->health == MACHINE_LOST;
    set(o, "managed", json_boolean(g->managed));
    set(o, "drained", json_boolean(g->drained));
    const char *reason = store_name(d->store, g->drain_reason);
    set_text(o, "drain_reason", g->drained && reason ? reason : "");
    set(o, "fixed", json_boolean(g->fixed));
    set_text(o, "pool", pool_names[g->pool]);
    set_text(o, "health",
             health_names[lost   ? MACHINE_LOST
                          : slow ? MACHINE_NOT_ANSWERING
                                 : g->health]);
    set_text(o, "health_text",
             lost   ? driver_trouble(d)
             : slow ? "a driver call runs for more than two seconds"
                    : "");
}

static json_t *show_gpu(struct daemon *d, const struct gpu *g)
{
    json_t *o = json_object();
    const struct board *b = world_board(d->world, g->board);
    const struct machine_gpu *seen = daemon_gpu(d, g->slot);
    set(o, "index", json_integer(seen ? (json_int_t)seen->index : g->slot));
    set_text(o, "uuid", store_gpu_uuid(d->store, g->slot));
    set_text(o, "board", b->name);
    set_text(o, "product", b->product);
    set_text(o, "mig", mig_names[g->mig]);
    set_gpu_state(d, o, g);
    set(o, "memory_slices", json_integer(b->memory_slices));
    set(o, "compute_slices", json_integer(b->compute_slices));
    set(o, "memory_bytes", json_integer((json_int_t)b->total_mib << 20));
    set(o, "lease", g->whole_lease ? json_integer(g->whole_lease) : json_null());
    json_t *seats = json_array();
    for (unsigned i = 0; i < g->seat_n; i++)
        (void)json_array_append_new(seats, show_seat(d, b, g, &g->seats[i]));
    set(o, "slices", seats);
    set(o, "free", show_free(b, g));
    return o;
}

json_t *show_status(struct daemon *d, bool hide_owners)
{
    json_t *o = json_object();
    json_t *gpus = json_array(), *leases = json_array(), *queue = json_array();
    struct starts starts;
    look_ahead(d, SIZE_MAX, &starts);
    set_text(o, "version", FETTA_VERSION);
    set_text(o, "machine", d->emulated ? d->emulated : "");
    set(o, "emulated", json_boolean(d->emulated != NULL));
    set_text(o, "driver", d->machine->driver);
    set_text(o, "trouble", driver_trouble(d));
    set(o, "privacy", json_boolean(d->config.privacy));
    set_text(o, "placement", score_name(world_policy(d->world)->rule));
    set(o, "chosen", ballot_show(d));
    set_text(o, "store", d->turn.failed ? "failed" : "ok");
    for (unsigned slot = 0; slot < world_gpu_n(d->world); slot++)
        if (world_gpu(d->world, slot))
            (void)json_array_append_new(gpus, show_gpu(d, world_gpu(d->world, slot)));
    for (const struct lease *l = NULL; (l = world_lease_after(d->world, l ? l->id : 0));)
        (void)json_array_append_new(leases, show_line(d, l, hide_owners, &starts));
    const struct lease *waits = NULL;
    for (size_t i = 0; (waits = world_queue(d->world, i)); i++)
        (void)json_array_append_new(queue, json_integer(waits->id));
    set(o, "gpus", gpus);
    set(o, "leases", leases);
    set(o, "queue", queue);
    return o;
}
