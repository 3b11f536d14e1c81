/* Leases as C structs, for plugins that want no JSON; see fetta/fetta.h.
 *
 * Structs carry their size. A caller built against an older header passes a smaller one: what lies
 * behind it counts as zero in what it asks, and is not written in what it is told. */
#include "lib/inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The smallest structs there ever were: those of the first version. */
static const size_t ask_first = offsetof(struct fetta_ask, signal) + sizeof(const char *);
static const size_t lease_first =
    offsetof(struct fetta_lease, slices) + sizeof(struct fetta_slice) * FETTA_SLICES;

/* Adds a member to `to` unless it failed already; owns `value`. */
static void put(json_t **to, const char *name, json_t *value)
{
    if (*to && json_object_set_new(*to, name, value) < 0) {
        json_decref(*to);
        *to = NULL;
    }
}

static void put_text(json_t **to, const char *name, const char *text)
{
    if (text)
        put(to, name, json_string(text));
}

static void put_number(json_t **to, const char *name, int64_t number)
{
    if (number != 0)
        put(to, name, json_integer(number));
}

static void put_flag(json_t **to, const char *name, bool set)
{
    if (set)
        put(to, name, json_true());
}

/* The body of POST /v1/leases; NULL without memory or for text that is not UTF-8. */
static char *ask_body(const struct fetta_ask *ask)
{
    json_t *body = json_object();
    put_text(&body, "profile", ask->profile);
    put_number(&body, "memory", (int64_t)ask->memory_bytes);
    if (ask->compute_ppt) {
        char part[16];
        snprintf(part, sizeof part, "%u/1000", ask->compute_ppt);
        put_text(&body, "compute", part);
    }
    put_number(&body, "gpus", ask->gpus);
    put_number(&body, "count", ask->count);
    put_text(&body, "gpu", ask->gpu);
    put_number(&body, "priority", ask->priority);
    put_number(&body, "for", ask->for_s);
    if (ask->flags & FETTA_ASK_NOW)
        put(&body, "wait", json_integer(0));
    else
        put_number(&body, "wait", ask->wait_s);
    put_number(&body, "grace", ask->grace_s);
    put_flag(&body, "async", ask->flags & FETTA_ASK_ASYNC);
    put_flag(&body, "stay", ask->flags & FETTA_ASK_STAY);
    put_flag(&body, "movable", ask->flags & FETTA_ASK_MOVABLE);
    put_text(&body, "bind", ask->bind);
    put_text(&body, "key", ask->key);
    put_text(&body, "owner", ask->owner);
    put_text(&body, "command", ask->command);
    put_text(&body, "door", ask->door);
    put_text(&body, "signal", ask->signal);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static void get_text(const json_t *from, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(from, name));
    str_copy(to, size, text ? text : "");
}

static int64_t get_number(const json_t *from, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(from, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* Like get_number, for fields of 32 bits: what does not fit is as good as not there. */
static int32_t get_small(const json_t *from, const char *name, int32_t otherwise)
{
    int64_t value = get_number(from, name, otherwise);
    return value >= INT32_MIN && value <= INT32_MAX ? (int32_t)value : otherwise;
}

static void get_slice(const json_t *from, struct fetta_slice *ret)
{
    *ret = (struct fetta_slice){
        .gpu = get_small(from, "gpu", -1),
        .gi = get_small(from, "gi", -1),
        .ci = get_small(from, "ci", -1),
        .start = get_small(from, "start", -1),
        .compute = (uint32_t)get_small(from, "compute", 0),
        .sms = (uint32_t)get_small(from, "sms", 0),
        .memory_bytes = (uint64_t)get_number(from, "memory_bytes", 0),
    };
    get_text(from, "gpu_uuid", ret->gpu_uuid, sizeof ret->gpu_uuid);
    get_text(from, "uuid", ret->uuid, sizeof ret->uuid);
    get_text(from, "profile", ret->profile, sizeof ret->profile);
}

/* Fills all but `size`. A slice's number beyond FETTA_SLICES cannot be: no lease has more. */
static void get_lease(const json_t *from, struct fetta_lease *ret)
{
    ret->id = get_number(from, "id", 0);
    ret->revision = get_number(from, "revision", 0);
    get_text(from, "state", ret->state, sizeof ret->state);
    get_text(from, "why", ret->why, sizeof ret->why);
    get_text(from, "why_text", ret->why_text, sizeof ret->why_text);
    get_text(from, "owner", ret->owner, sizeof ret->owner);
    ret->asked = json_number_value(json_object_get(from, "asked"));
    ret->started = json_number_value(json_object_get(from, "started"));
    ret->ends = json_number_value(json_object_get(from, "ends"));
    ret->ended = json_number_value(json_object_get(from, "ended"));
    ret->grace_s = json_number_value(json_object_get(from, "grace"));
    ret->confined = json_is_true(json_object_get(from, "confined"));
    ret->position = get_small(from, "position", 0);
    ret->exit_status = get_small(from, "exit_status", -1);
    const json_t *slices = json_object_get(from, "slices");
    ret->slice_n = (uint32_t)MIN(json_array_size(slices), (size_t)FETTA_SLICES);
    for (uint32_t i = 0; i < ret->slice_n; i++)
        get_slice(json_array_get(slices, i), &ret->slices[i]);
}

/* Reads {"lease": {...}} into the caller's struct, of whatever size that is. */
static int read_lease(const char *body, struct fetta_lease *ret, struct fetta_error *err)
{
    AUTO_FREE struct fetta_lease *all = calloc(1, sizeof *all);
    json_t *tree = all ? json_loads(body, 0, NULL) : NULL;
    const json_t *lease = json_object_get(tree, "lease");
    bool whole = json_is_integer(json_object_get(lease, "id")) &&
                 json_is_string(json_object_get(lease, "state"));
    if (whole)
        get_lease(lease, all);
    json_decref(tree);
    if (!all)
        return lib_no_memory(err);
    if (!whole) {
        struct error e;
        error_set(&e, ERROR_IO, "fettad's answer holds no lease: \"%.80s\"", body);
        return lib_fail(&e, err);
    }
    size_t size = MIN(ret->size, sizeof *all);
    all->size = ret->size;
    memcpy(ret, all, size);
    return 0;
}

/* One call that answers with a lease; `ret` may be NULL. */
static int call(struct fetta *f, const char *method, const char *path, const char *json,
                struct fetta_lease *ret, struct fetta_error *err)
{
    if (ret && ret->size < lease_first)
        return lib_invalid(err, "set `size` of the lease to sizeof(struct fetta_lease)");
    AUTO_FREE char *body = NULL;
    int rc = fetta_request(f, method, path, json, -1, &body, err);
    int read = rc >= 0 && ret ? read_lease(body, ret, err) : 0;
    return read < 0 ? read : rc;
}

int fetta_lease_new(struct fetta *f, const struct fetta_ask *ask, struct fetta_lease *ret,
                    struct fetta_error *err)
{
    struct fetta_ask all = {0};
    if (!ask || !ret || ask->size < ask_first)
        return lib_invalid(err, "set `size` of the ask to sizeof(struct fetta_ask)");
    memcpy(&all, ask, MIN(ask->size, sizeof all));
    for (size_t i = sizeof all; i < ask->size; i++) {
        if (((const char *)ask)[i])
            return lib_invalid(err, "the ask uses what this older libfetta does not know");
    }
    if (all.memory_bytes > INT64_MAX)
        return lib_invalid(err, "no GPU has so many bytes of memory");
    AUTO_FREE char *body = ask_body(&all);
    if (!body)
        return lib_invalid(err, "the ask holds text that is not UTF-8, or memory is short");
    return call(f, "POST", "/v1/leases", body, ret, err);
}

enum { PATH_ROOM = 160 };

int fetta_lease_get(struct fetta *f, int64_t id, struct fetta_lease *ret, struct fetta_error *err)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "/v1/leases/%" PRId64, id);
    return call(f, "GET", path, NULL, ret, err);
}

/* Whether a lease in this state has got as far as `until`; an ended one is past everything. */
static bool reached(const char *state, const char *until)
{
    if (strcmp(state, "ended") == 0 || strcmp(until, "ended") == 0)
        return strcmp(state, "ended") == 0;
    return strcmp(state, "queued") != 0 && strcmp(state, "starting") != 0;
}

int fetta_lease_wait(struct fetta *f, int64_t id, const char *until, int64_t timeout_s,
                     struct fetta_lease *ret, struct fetta_error *err)
{
    enum { HOUR = 3600 };
    if (!ret || !until || (strcmp(until, "granted") != 0 && strcmp(until, "ended") != 0))
        return lib_invalid(err, "a lease is waited for until it is \"granted\" or \"ended\"");
    for (;;) {
        int64_t now = timeout_s < 0 || timeout_s > HOUR ? HOUR : timeout_s;
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "/v1/leases/%" PRId64 "?wait=%s&timeout=%" PRId64, id, until,
                 now);
        int rc = call(f, "GET", path, NULL, ret, err);
        if (rc < 0)
            return rc;
        if (reached(ret->state, until))
            return 0;
        if (timeout_s >= 0 && (timeout_s -= now) <= 0)
            return 1;
    }
}

int fetta_lease_end(struct fetta *f, int64_t id, struct fetta_error *err)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "/v1/leases/%" PRId64, id);
    int rc = fetta_request(f, "DELETE", path, NULL, -1, NULL, err);
    return MIN(rc, 0);
}

int fetta_lease_end_key(struct fetta *f, const char *key, struct fetta_error *err)
{
    if (!key || !*key)
        return lib_invalid(err, "a lease is ended by a key that is not empty");
    AUTO_STR struct str path = {0};
    str_add(&path, "/v1/leases?key=");
    for (const unsigned char *p = (const unsigned char *)key; *p; p++)
        str_addf(&path, "%%%02X", *p);
    if (path.failed)
        return lib_no_memory(err);
    int rc = fetta_request(f, "DELETE", path.text, NULL, -1, NULL, err);
    return MIN(rc, 0);
}

int fetta_lease_extend(struct fetta *f, int64_t id, int64_t by_s, struct fetta_lease *ret,
                       struct fetta_error *err)
{
    char path[PATH_ROOM], body[64];
    snprintf(path, sizeof path, "/v1/leases/%" PRId64 "/extend", id);
    snprintf(body, sizeof body, "{\"by\":%" PRId64 "}", by_s);
    return call(f, "POST", path, body, ret, err);
}

int fetta_lease_attach(struct fetta *f, int64_t id, int64_t pid, struct fetta_error *err)
{
    char path[PATH_ROOM], body[64];
    snprintf(path, sizeof path, "/v1/leases/%" PRId64 "/attach", id);
    if (pid)
        snprintf(body, sizeof body, "{\"pid\":%" PRId64 "}", pid);
    else
        snprintf(body, sizeof body, "{}");
    return call(f, "POST", path, body, NULL, err);
}
