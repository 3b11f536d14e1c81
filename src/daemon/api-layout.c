/* Layouts as NVIDIA's mig-parted writes them: a list of specs, a later match overrides.
 *
 * mig-parted compares counts of profiles per GPU and clears a GPU before it builds; fetta keeps
 * what already stands in the right number and touches only the rest, and never a leased slice
 * unasked. */
#include "base/str.h"
#include "daemon/call.h"
#include "daemon/turn.h"
#include "plan/reshape.h"
#include "text/field.h"

#include <stdlib.h>
#include <string.h>

/* What the specs want of one GPU. */
struct want {
    bool named, mig;
    uint8_t count[BOARD_PROFILES];
};

static bool filter_matches(const json_t *filter, const struct board *b)
{
    char id[16];
    (void)snprintf(id, sizeof id, "0x%08X", b->pci_id);
    if (!filter)
        return true;
    if (json_is_string(filter))
        return strcasecmp(json_string_value(filter), id) == 0;
    for (size_t i = 0; i < json_array_size(filter); i++) {
        const char *one = json_string_value(json_array_get(filter, i));
        if (one && strcasecmp(one, id) == 0)
            return true;
    }
    return false;
}

static bool device_matches(const json_t *devices, uint32_t index)
{
    if (json_is_string(devices))
        return strcmp(json_string_value(devices), "all") == 0;
    for (size_t i = 0; i < json_array_size(devices); i++)
        if (json_integer_value(json_array_get(devices, i)) == (json_int_t)index)
            return true;
    return false;
}

static int check_devices(struct daemon *d, const struct field_at *at, const json_t *devices,
                         struct error *err)
{
    if (json_is_string(devices) && strcmp(json_string_value(devices), "all") == 0)
        return 0;
    if (!json_is_array(devices))
        return field_error(at, err, "devices: all, or a list of GPU indices, was expected");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *one = json_array_get(devices, i);
        bool here = false;
        for (unsigned k = 0; k < d->machine->gpu_n; k++)
            here = here || (json_is_integer(one) &&
                            json_integer_value(one) == (json_int_t)d->machine->gpus[k].index);
        if (!here)
            return field_error(at, err, "devices: there is no GPU %lld; this machine has %u",
                               (long long)json_integer_value(one), d->machine->gpu_n);
    }
    return 0;
}

static int want_profiles(const struct field_at *at, const struct board *b, uint32_t gpu,
                         json_t *devices, struct want *w, struct error *err)
{
    const char *name = NULL;
    json_t *count = NULL;
    memset(w->count, 0, sizeof w->count);
    json_object_foreach(devices, name, count)
    {
        unsigned p = board_profile_by_name(b, name);
        if (p == BOARD_NO_PROFILE)
            return field_error(at, err, "GPU %u (%s) has no profile '%s'", gpu, b->name, name);
        if (!json_is_integer(count) || json_integer_value(count) < 0 ||
            json_integer_value(count) > b->profiles[p].max)
            return field_error(at, err, "GPU %u (%s) takes 0 to %u of %s", gpu, b->name,
                               b->profiles[p].max, name);
        w->count[p] = (uint8_t)json_integer_value(count);
    }
    return 0;
}

/* One entry of the list: which GPUs, and what is to be on each of them. */
struct spec {
    json_t *filter, *devices, *profiles;
    bool enabled;
};

static int read_spec(struct daemon *d, const struct field_at *at, json_t *from, struct spec *ret,
                     struct error *err)
{
    *ret = (struct spec){0};
    const struct field fields[] = {
        {"device-filter", FIELD_ANY, &ret->filter},
        {"devices", FIELD_ANY, &ret->devices, .required = true},
        {"mig-enabled", FIELD_BOOL, &ret->enabled, .required = true},
        {"mig-devices", FIELD_OBJECT, &ret->profiles},
    };
    int r = field_read(at, from, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = check_devices(d, at, ret->devices, err);
    if (r == 0 && ret->enabled && !ret->profiles)
        r = field_error(at, err,
                        "mig-devices is required when mig-enabled is true ({} is allowed)");
    if (r == 0 && !ret->enabled && json_object_size(ret->profiles) > 0)
        r = field_error(at, err, "mig-devices must be empty when mig-enabled is false");
    return r;
}

/* Puts the spec over what earlier ones want. "all" passes over GPUs without MIG. */
static int want_spec(struct daemon *d, const struct field_at *at, const struct spec *s,
                     struct want wants[MACHINE_GPUS], struct error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < d->machine->gpu_n; i++) {
        const struct machine_gpu *g = &d->machine->gpus[i];
        const struct board *b = &d->machine->boards[g->board];
        if (!device_matches(s->devices, g->index) || !filter_matches(s->filter, b))
            continue;
        if (b->memory_slices == 0 && s->enabled && !json_is_string(s->devices))
            return field_error(at, err, "GPU %u (%s) has no MIG", g->index, b->name);
        if (b->memory_slices == 0)
            continue;
        wants[i].named = true;
        wants[i].mig = s->enabled;
        if (s->profiles)
            r = want_profiles(at, b, g->index, s->profiles, &wants[i], err);
    }
    return r;
}

/* ---- from counts to places ---- */

/* Leased instances that the wish has a use for stay where they are, and of the others as many as
 * can beside them. If not all leased ones can, as many of these as can. */
static bool plan_layout(const struct board *b, const struct gpu *g, const struct want *w,
                        struct layout *ret)
{
    struct layout leased = {0}, other = {0}, none = {0};
    uint8_t left[BOARD_PROFILES];
    memcpy(left, w->count, sizeof left);
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *s = &g->seats[i];
        struct layout *l = s->lease ? &leased : &other;
        if (s->profile >= b->profile_n || left[s->profile] == 0 ||
            !(layout_fits(b, l, s->profile) >> s->start & 1))
            continue;
        left[s->profile] = (uint8_t)(left[s->profile] - (s->lease > 0));
        layout_add(b, l, (struct placement){.profile = s->profile, .start = s->start});
    }
    return reshape_least(b, &leased, &other, w->count, ret) ||
           reshape_least(b, &none, &leased, w->count, ret);
}

static bool matches_now(const struct board *b, const struct gpu *g, const struct want *w)
{
    uint8_t count[BOARD_PROFILES] = {0};
    if (w->mig != (g->mig == MACHINE_MIG_ON))
        return false;
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].profile >= b->profile_n || g->seats[i].state == SEAT_CREATING)
            return false;
        count[g->seats[i].profile]++;
    }
    return memcmp(count, w->count, sizeof count) == 0;
}

static void add_names(json_t *list, const struct board *b, const struct layout *of,
                      const struct gpu *g, bool destroyed)
{
    char name[BOARD_PROFILE_NAME];
    if (destroyed) {
        for (unsigned i = 0; i < g->seat_n; i++) {
            const struct seat *s = &g->seats[i];
            bool kept = false;
            for (unsigned k = 0; k < of->n; k++)
                kept = kept || (of->at[k].profile == s->profile && of->at[k].start == s->start);
            if (!kept && s->profile < b->profile_n)
                (void)json_array_append_new(
                    list, json_string(board_profile_name(b, &b->profiles[s->profile], name)));
        }
        return;
    }
    for (unsigned k = 0; k < of->n; k++) {
        bool stands = false;
        for (unsigned i = 0; i < g->seat_n; i++)
            stands = stands || (of->at[k].profile == g->seats[i].profile &&
                                of->at[k].start == g->seats[i].start);
        if (!stands)
            (void)json_array_append_new(
                list, json_string(board_profile_name(b, &b->profiles[of->at[k].profile], name)));
    }
}

struct options {
    bool force, dry_run, assert_;
};

static json_t *show_gpu_plan(struct daemon *d, unsigned i, const struct layout *l, bool matches)
{
    const struct gpu *g = world_gpu(d->world, d->slot_of[i]);
    const struct board *b = world_board(d->world, g->board);
    json_t *destroy = json_array(), *create = json_array(), *leases = json_array();
    add_names(destroy, b, l, g, true);
    add_names(create, b, l, g, false);
    for (unsigned s = 0; s < g->seat_n; s++)
        if (g->seats[s].lease)
            (void)json_array_append_new(leases, json_integer(g->seats[s].lease));
    if (g->whole_lease)
        (void)json_array_append_new(leases, json_integer(g->whole_lease));
    return json_pack("{s:i, s:b, s:o, s:o, s:o}", "gpu", (int)d->machine->gpus[i].index, "matches",
                     matches, "destroy", destroy, "create", create, "leases", leases);
}

/* One GPU: plans its layout and asks the engine whether it would have it. */
static int plan_gpu(struct call *c, unsigned i, const struct want *w, const struct options *o,
                    struct event *ret, json_t *list, bool *changed, struct error *err)
{
    struct daemon *d = c->daemon;
    const struct gpu *g = world_gpu(d->world, d->slot_of[i]);
    const struct board *b = world_board(d->world, g->board);
    struct layout l = {0};
    bool matches = matches_now(b, g, w);
    if (w->mig && !plan_layout(b, g, w, &l))
        return error_set(err, ERROR_INVALID,
                         "GPU %u (%s): the layout cannot be placed; its slices overlap or exceed "
                         "the board",
                         d->machine->gpus[i].index, b->name);
    (void)json_array_append_new(list, show_gpu_plan(d, i, &l, matches));
    *changed = *changed || !matches;
    *ret = (struct event){
        .kind = EVENT_LAYOUT,
        .layout = {.gpu = g->slot, .fixed = true, .mig = w->mig, .force = o->force, .layout = l}};
    return o->assert_ ? 0 : turn_check(d, ret, err);
}

/* Plans every named GPU before the first is touched: all of it is possible, or none is done. */
static int apply_all(struct call *c, const struct want *wants, const struct options *o,
                     json_t *list, bool *changed, struct error *err)
{
    struct daemon *d = c->daemon;
    int r = 0;
    AUTO_FREE struct event *events = calloc(MACHINE_GPUS, sizeof *events);
    if (!events)
        return error_set(err, ERROR_NO_MEMORY, "out of memory planning a layout");
    for (unsigned i = 0; r == 0 && i < d->machine->gpu_n; i++)
        if (wants[i].named)
            r = plan_gpu(c, i, &wants[i], o, &events[i], list, changed, err);
    for (unsigned i = 0; r == 0 && i < d->machine->gpu_n; i++)
        if (wants[i].named && !o->dry_run && !o->assert_)
            r = turn_event(d, &events[i], NULL, err);
    return r;
}

int call_layout(struct call *c, struct error *err)
{
    struct daemon *d = c->daemon;
    json_t *specs = NULL;
    struct options o = {0};
    bool changed = false;
    const struct field fields[] = {
        {"specs", FIELD_ARRAY, &specs, .required = true, .max = 256},
        {"force", FIELD_BOOL, &o.force},
        {"dry_run", FIELD_BOOL, &o.dry_run},
        {"assert", FIELD_BOOL, &o.assert_},
    };
    struct field_at root = {.what = "request"};
    struct field_at at = field_key(&root, c->body, "specs");
    AUTO_FREE struct want *wants = calloc(MACHINE_GPUS, sizeof *wants);
    if (!wants)
        return error_set(err, ERROR_NO_MEMORY, "out of memory reading a layout");
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0 && !o.dry_run && !o.assert_)
        r = call_need_operator(c, "apply layouts", err);
    for (size_t i = 0; r == 0 && i < json_array_size(specs); i++) {
        struct field_at one = field_index(&at, specs, i);
        struct spec s;
        r = read_spec(d, &one, json_array_get(specs, i), &s, err);
        if (r == 0)
            r = want_spec(d, &one, &s, wants, err);
    }
    if (r < 0)
        return r;
    json_t *list = json_array();
    r = apply_all(c, wants, &o, list, &changed, err);
    if (r < 0) {
        json_decref(list);
        return r;
    }
    if (o.assert_ && changed) {
        json_decref(list);
        return error_set(err, ERROR_STATE, "the selected configuration is not currently applied");
    }
    return call_after_commit(c,
                             json_pack("{s:b, s:o, s:s}", "changed", changed, "gpus", list, "text",
                                       !changed    ? "nothing to change"
                                       : o.dry_run ? "nothing was changed: a dry run"
                                                   : "applied"));
}

int call_dynamic(struct call *c, struct error *err)
{
    const char *gpus = NULL;
    uint64_t slots = 0;
    const struct field fields[] = {{"gpus", FIELD_STRING, &gpus, .required = true}};
    struct field_at root = {.what = "request"};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = call_need_operator(c, "undo layouts", err);
    if (r == 0)
        r = call_gpus(c, gpus, &slots, err);
    for (unsigned slot = 0; r == 0 && slot < MACHINE_GPUS; slot++) {
        struct event e = {.kind = EVENT_LAYOUT, .layout = {.gpu = (uint16_t)slot, .fixed = false}};
        const struct gpu *g = world_gpu(c->daemon->world, slot);
        if (g && (slots >> slot & 1) && g->fixed)
            r = turn_event(c->daemon, &e, NULL, err);
    }
    return r < 0 ? r : call_after_commit(c, json_pack("{s:b}", "changed", 1));
}

/* ---- export ---- */

static json_t *spec_of(const struct board *b, const struct gpu *g)
{
    json_t *devices = json_object();
    char name[BOARD_PROFILE_NAME];
    for (unsigned p = 0; p < b->profile_n && g->mig == MACHINE_MIG_ON; p++) {
        int n = 0;
        for (unsigned i = 0; i < g->seat_n; i++)
            n += g->seats[i].profile == p;
        if (n > 0)
            (void)json_object_set_new(devices, board_profile_name(b, &b->profiles[p], name),
                                      json_integer(n));
    }
    return json_pack("{s:b, s:o}", "mig-enabled", g->mig == MACHINE_MIG_ON, "mig-devices", devices);
}

static bool same_member(const json_t *a, const json_t *b, const char *key)
{
    return json_equal(json_object_get(a, key), json_object_get(b, key));
}

/* Adds the GPU to an equal spec that is there, or as a new one. */
static void merge_spec(json_t *specs, json_t *spec, uint32_t index)
{
    for (size_t i = 0; i < json_array_size(specs); i++) {
        json_t *one = json_array_get(specs, i);
        if (!same_member(one, spec, "mig-devices") || !same_member(one, spec, "mig-enabled"))
            continue;
        (void)json_array_append_new(json_object_get(one, "devices"), json_integer(index));
        json_decref(spec);
        return;
    }
    (void)json_object_set_new(spec, "devices", json_pack("[i]", (int)index));
    (void)json_array_append_new(specs, spec);
}

int call_layout_show(struct call *c, struct error *err)
{
    struct daemon *d = c->daemon;
    json_t *specs = json_array(), *fixed = json_array();
    (void)err;
    for (unsigned i = 0; i < d->machine->gpu_n; i++) {
        const struct gpu *g = world_gpu(d->world, d->slot_of[i]);
        if (!g)
            continue;
        const struct board *b = world_board(d->world, g->board);
        if (b->memory_slices == 0)
            continue;
        merge_spec(specs, spec_of(b, g), d->machine->gpus[i].index);
        if (g->fixed)
            (void)json_array_append_new(fixed, json_integer(d->machine->gpus[i].index));
    }
    call_answer(c, 200, json_pack("{s:o, s:o}", "specs", specs, "fixed", fixed));
    return 0;
}
