/* An explanation in words and JSON: per GPU one sentence, over all one verdict. */
#include "daemon/show.h"

#include "base/str.h"
#include "base/time.h"

#include <string.h>

static const char *const sentences[REASON_N] = {
    [REASON_FITS] = "free now",
    [REASON_FITS_WARM] = "an idle slice of yours is there",
    [REASON_FITS_CLEAR] = "free once idle slices are cleared",
    [REASON_FITS_MODE] = "empty; its MIG mode would be changed",
    [REASON_BUSY] = "in use",
    [REASON_FOREIGN] = "instances that fetta did not make are in the way",
    [REASON_QUARANTINED] = "an instance that could not be destroyed is in the way; it is retried",
    [REASON_FIXED] = "an applied layout holds here and has no free slice of this kind",
    [REASON_POOL] = "its pool keeps it for the other kind of lease (whole or sliced)",
    [REASON_DRAINED] = "drained for maintenance",
    [REASON_UNMANAGED] = "not managed by fetta ('fetta manage' changes that)",
    [REASON_LOST] = "not answering",
    [REASON_NO_PROFILE] = "its board has no such slice",
    [REASON_NO_MIG] = "its board has no MIG; whole GPUs only",
    [REASON_INCOMPLETE] = "the figures of its board are incomplete; whole GPUs only",
    [REASON_OTHER_GPU] = "not the GPU asked for",
    [REASON_RESERVED] = "kept for a request that waits before this one",
    [REASON_PART] = "has room, but not enough is free for all that was asked for",
    [REASON_QUOTA] = "has room, but the quota does not allow it now",
};

static const char *const verdicts[] = {
    [VERDICT_FITS] = "fits", [VERDICT_WAIT] = "wait", [VERDICT_NEVER] = "never"};

static bool is_fit(enum reason r)
{
    return r == REASON_FITS || r == REASON_FITS_WARM || r == REASON_FITS_CLEAR ||
           r == REASON_FITS_MODE;
}

static json_t *show_reason(struct daemon *d, const struct lease *ask, const struct gpu_reason *r)
{
    json_t *o = json_object();
    const struct machine_gpu *seen = daemon_gpu(d, r->gpu);
    AUTO_STR struct str text = {0};
    json_t *blockers = json_array();
    str_add(&text, sentences[r->reason]);
    for (unsigned i = 0; i < r->blocker_n; i++) {
        str_addf(&text, "%s %u", i == 0 ? ": would have to end: lease" : ",", r->blockers[i]);
        (void)json_array_append_new(blockers, json_integer(r->blockers[i]));
    }
    if (is_fit(r->reason) && ask->kind == SLICE_GI)
        str_addf(&text, ", at memory slice %u", r->start);
    (void)json_object_set_new(o, "gpu", json_integer(seen ? (json_int_t)seen->index : r->gpu));
    (void)json_object_set_new(o, "reason", json_string(explain_reason_name(r->reason)));
    (void)json_object_set_new(o, "text", json_string(text.text ? text.text : ""));
    (void)json_object_set_new(o, "start",
                              is_fit(r->reason) ? json_integer(r->start) : json_null());
    (void)json_object_set_new(o, "blockers", blockers);
    (void)json_object_set_new(o, "free_at", show_instant(d, r->free_at));
    return o;
}

json_t *show_explanation(struct daemon *d, const struct lease *ask, const struct explanation *x)
{
    json_t *o = json_object();
    json_t *gpus = json_array();
    unsigned fits = 0;
    char text[120];
    for (size_t i = 0; i < x->n; i++) {
        fits += is_fit(x->gpus[i].reason);
        (void)json_array_append_new(gpus, show_reason(d, ask, &x->gpus[i]));
    }
    switch (x->verdict) {
    case VERDICT_FITS:
        (void)snprintf(text, sizeof text, "fits now, on %u GPU%s", fits, fits == 1 ? "" : "s");
        break;
    case VERDICT_WAIT:
        (void)snprintf(text, sizeof text, "would wait, at place %zu of the queue", x->position);
        break;
    case VERDICT_NEVER:
        (void)snprintf(text, sizeof text, "can never be served by the GPUs fetta manages here");
        break;
    }
    (void)json_object_set_new(o, "verdict", json_string(verdicts[x->verdict]));
    (void)json_object_set_new(o, "text", json_string(text));
    (void)json_object_set_new(o, "latest_start", show_instant(d, x->latest_start));
    (void)json_object_set_new(o, "position", json_integer((json_int_t)x->position));
    (void)json_object_set_new(o, "gpus", gpus);
    return o;
}

/* "1g.10gb x 7, 3g.40gb", in the order of the board's profiles; false if the GPU holds none. */
static bool add_instances(struct daemon *d, const struct gpu *g, struct str *ret)
{
    const struct board *b = world_board(d->world, g->board);
    unsigned count[BOARD_PROFILES] = {0}, unknown = 0;
    bool any = false;
    for (unsigned i = 0; i < g->seat_n; i++)
        if (g->seats[i].profile < b->profile_n)
            count[g->seats[i].profile]++;
        else
            unknown++;
    for (unsigned p = 0; p < b->profile_n; p++) {
        char name[BOARD_PROFILE_NAME];
        if (count[p] == 0)
            continue;
        str_addf(ret, "%s%s", any ? ", " : "", board_profile_name(b, &b->profiles[p], name));
        if (count[p] > 1)
            str_addf(ret, " x %u", count[p]);
        any = true;
    }
    if (unknown)
        str_addf(ret, "%s%u unknown", any ? ", " : "", unknown);
    return any || unknown;
}

void show_instances(struct daemon *d, struct str *ret)
{
    enum { NAMED = 4 }; /* GPUs: an error is one line */
    unsigned empty = 0, full = 0;
    for (unsigned i = 0; i < world_gpu_n(d->world); i++) {
        const struct gpu *g = world_gpu(d->world, i);
        if (!g || !g->present)
            continue;
        AUTO_STR struct str held = {0};
        if (!add_instances(d, g, &held)) {
            empty++;
            continue;
        }
        const struct machine_gpu *seen = daemon_gpu(d, i);
        if (full++ < NAMED)
            str_addf(ret, "%s%s on GPU %u", full > 1 ? "; " : "", held.text ? held.text : "",
                     seen ? seen->index : i);
    }
    if (full > NAMED)
        str_addf(ret, "; instances on %u more", full - NAMED);
    if (full == 0)
        str_add(ret, "no instance");
    else if (empty)
        str_addf(ret, "; none on %u", empty);
}
