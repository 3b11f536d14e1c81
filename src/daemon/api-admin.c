/* What operators do: drain, manage, pools, configuration; and explaining to everybody. */
#include "base/str.h"
#include "base/time.h"
#include "daemon/call.h"
#include "daemon/driver.h"
#include "daemon/turn.h"
#include "text/field.h"

#include <stdlib.h>
#include <string.h>

static int no_such_gpu(struct daemon *d, const char *text, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, "there is no GPU %s; this machine has %u%s", text,
                     d->machine->gpu_n, d->machine->gpu_n ? ", counted from 0" : "");
}

int call_gpus(const struct call *c, const char *text, uint64_t *ret_slots, struct error *err)
{
    struct daemon *d = c->daemon;
    uint64_t indices = 0;
    *ret_slots = 0;
    for (unsigned i = 0; i < d->machine->gpu_n; i++)
        if (strcasecmp(d->machine->gpus[i].uuid, text) == 0) {
            *ret_slots = UINT64_C(1) << d->slot_of[i];
            return 0;
        }
    if (strspn(text, "0123456789") == strlen(text) && strtol(text, NULL, 10) > 63)
        return no_such_gpu(d, text, err);
    int r = config_gpu_list(text, "gpus", &indices, err);
    if (r < 0 && strncasecmp(text, "GPU-", 4) == 0)
        return no_such_gpu(d, text, err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < d->machine->gpu_n; i++) {
        uint32_t index = d->machine->gpus[i].index;
        if (index >= 64 || !(indices >> index & 1))
            continue;
        *ret_slots |= UINT64_C(1) << d->slot_of[i];
        indices &= ~(UINT64_C(1) << index);
    }
    if (strcmp(text, "all") == 0 || indices == 0)
        return 0;
    char number[8];
    (void)snprintf(number, sizeof number, "%d", __builtin_ctzll(indices));
    return no_such_gpu(d, number, err);
}

/* The leases that have a slice on a GPU. */
static json_t *leases_on(struct daemon *d, unsigned slot)
{
    json_t *list = json_array();
    for (const struct lease *l = NULL; (l = world_lease_after(d->world, l ? l->id : 0));) {
        bool here = false;
        for (unsigned i = 0; i < l->slice_n; i++)
            here = here || l->slices[i].gpu == slot;
        if (here)
            (void)json_array_append_new(list, json_integer(l->id));
    }
    return list;
}

static unsigned index_of(struct daemon *d, unsigned slot)
{
    const struct machine_gpu *g = daemon_gpu(d, slot);
    return g ? g->index : slot;
}

/* Posts one event for each GPU of the set; all of them or, after a refusal, none. */
static int each_gpu(struct call *c, uint64_t slots, struct event *e, uint32_t *gpu,
                    json_t **ret_list, struct error *err)
{
    struct daemon *d = c->daemon;
    int r = 0;
    for (unsigned slot = 0; r == 0 && slot < MACHINE_GPUS; slot++) {
        *gpu = slot;
        if ((slots >> slot & 1) && world_gpu(d->world, slot))
            r = turn_check(d, e, err);
    }
    *ret_list = r < 0 ? NULL : json_array();
    for (unsigned slot = 0; r == 0 && slot < MACHINE_GPUS; slot++) {
        *gpu = slot;
        if (!(slots >> slot & 1) || !world_gpu(d->world, slot))
            continue;
        r = turn_event(d, e, NULL, err);
        (void)json_array_append_new(*ret_list,
                                    json_pack("{s:i, s:o}", "gpu", (int)index_of(d, slot),
                                              "leases", leases_on(d, slot)));
    }
    return r;
}

int call_drain(struct call *c, struct error *err)
{
    const char *gpus = "all", *reason = "";
    bool on = true;
    uint64_t slots = 0;
    json_t *list = NULL;
    const struct field fields[] = {
        {"gpus", FIELD_STRING, &gpus, .required = true},
        {"reason", FIELD_STRING, &reason, .max = 119},
        {"on", FIELD_BOOL, &on},
    };
    struct field_at root = {.what = "request"};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = call_need_operator(c, "drain GPUs", err);
    if (r == 0)
        r = call_gpus(c, gpus, &slots, err);
    struct event e = {.kind = EVENT_DRAIN, .drain = {.on = on}};
    if (r == 0 && on && reason[0])
        r = store_intern(c->daemon->store, reason, &e.drain.reason, err);
    if (r == 0)
        r = each_gpu(c, slots, &e, &e.drain.gpu, &list, err);
    if (r < 0) {
        json_decref(list);
        return r;
    }
    return call_after_commit(c, json_pack("{s:o}", "gpus", list));
}

int call_manage(struct call *c, struct error *err)
{
    const char *gpus = NULL;
    uint64_t wanted = 0;
    json_t *list = NULL;
    const struct field fields[] = {{"gpus", FIELD_STRING, &gpus, .required = true}};
    struct field_at root = {.what = "request"};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = call_need_operator(c, "say which GPUs fetta may touch", err);
    if (r == 0 && strcmp(gpus, "none") != 0)
        r = call_gpus(c, gpus, &wanted, err);
    for (unsigned slot = 0; r == 0 && slot < MACHINE_GPUS; slot++) {
        bool on = wanted >> slot & 1;
        const struct gpu *g = world_gpu(c->daemon->world, slot);
        struct event e = {.kind = EVENT_MANAGE, .manage = {.gpu = slot, .on = on}};
        if (g && g->managed != on)
            r = turn_event(c->daemon, &e, NULL, err);
    }
    if (r < 0)
        return r;
    list = json_array();
    for (unsigned slot = 0; slot < MACHINE_GPUS; slot++)
        if (world_gpu(c->daemon->world, slot) && world_gpu(c->daemon->world, slot)->managed)
            (void)json_array_append_new(list, json_integer(index_of(c->daemon, slot)));
    return call_after_commit(c, json_pack("{s:o}", "managed", list));
}

int call_pool(struct call *c, struct error *err)
{
    static const char *const words[] = {"elastic", "sliced", "whole"};
    const char *gpus = NULL, *pool = NULL;
    uint64_t slots = 0;
    json_t *list = NULL;
    const struct field fields[] = {
        {"gpus", FIELD_STRING, &gpus, .required = true},
        {"pool", FIELD_STRING, &pool, .required = true},
    };
    struct field_at root = {.what = "request"};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = call_need_operator(c, "put GPUs into pools", err);
    if (r == 0)
        r = call_gpus(c, gpus, &slots, err);
    if (r < 0)
        return r;
    struct event e = {.kind = EVENT_POOL};
    unsigned i = 0;
    while (i < ARRAY_LEN(words) && strcmp(words[i], pool) != 0)
        i++;
    if (i == ARRAY_LEN(words))
        return error_set(err, ERROR_INVALID, "pool: '%s' is none of elastic, sliced, whole", pool);
    e.pool.pool = (enum pool)i;
    r = each_gpu(c, slots, &e, &e.pool.gpu, &list, err);
    if (r < 0) {
        json_decref(list);
        return r;
    }
    return call_after_commit(c, json_pack("{s:o}", "gpus", list));
}

int call_reload(struct call *c, struct error *err)
{
    int r = call_need_operator(c, "reload the configuration", err);
    if (r == 0)
        r = daemon_reload(c->daemon, err);
    return r < 0 ? r : call_after_commit(c, json_pack("{s:b}", "changed", 1));
}

int call_explain(struct call *c, struct error *err)
{
    struct event e;
    struct ask_text text;
    int r = ask_read(c, &e, &text, err);
    if (r < 0)
        return r;
    struct explanation *x = calloc(1, sizeof *x);
    if (!x)
        return error_set(err, ERROR_NO_MEMORY, "out of memory explaining");
    engine_explain(c->daemon->world, &e.ask.lease, lease_clock_now(c->daemon), x);
    json_t *reply = show_explanation(c->daemon, &e.ask.lease, x);
    bool refused = x->verdict != VERDICT_FITS;
    (void)json_object_set_new(reply, "rescue",
                              refused ? show_moves(c->daemon, &e.ask.lease) : json_null());
    (void)json_object_set_new(reply, "hint", json_string(c->hint));
    free(x);
    call_answer(c, 200, reply);
    return 0;
}
