/* Requests in, answers out, and the clients in between who wait.
 *
 * Nothing is answered before it is durable: handlers that changed something leave their call in the
 * list, and api_turn_over answers it after the commit. The status is rendered once per change. */
#include "daemon/api.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "daemon/call.h"
#include "daemon/note.h"
#include "daemon/turn.h"
#include "daemon/user.h"
#include "text/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANGED_MAX = 256 };

/* Seconds since the epoch have ten digits before the point: three behind it are milliseconds. */
#define API_JSON (JSON_COMPACT | JSON_REAL_PRECISION(13))

struct api {
    struct http_server *http;
    sd_event_source *io;
    int listen_fd;
    struct call *first;      /* calls that wait, streams among them */
    char *status[2][2];      /* rendered, by whether owners are hidden and whether it is brief */
    uint32_t leases[CHANGED_MAX]; /* changed in this turn, for streams */
    uint32_t gpus[CHANGED_MAX];
    size_t lease_n, gpu_n;
};

/* ---- answering ---- */

static void forget(struct call *c)
{
    struct call **at = &c->daemon->api->first;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
    sd_event_source_disable_unref(c->timeout);
    json_decref(c->body);
    json_decref(c->reply);
    free(c);
}

void call_answer(struct call *c, int status, json_t *reply)
{
    if (reply && c->hint[0] && json_object_get(reply, "lease"))
        (void)json_object_set_new(reply, "hint", json_string(c->hint));
    char *text = reply ? json_dumps(reply, API_JSON) : NULL;
    json_decref(reply);
    http_reply(c->http, status, text, text ? strlen(text) : 0);
    forget(c);
}

void call_answer_error(struct call *c, const struct error *err)
{
    http_reply_error(c->http, err);
    forget(c);
}

int call_after_commit(struct call *c, json_t *reply)
{
    c->reply = reply;
    c->wait = CALL_COMMIT;
    turn_touch(c->daemon);
    return 0;
}

int call_need_operator(const struct call *c, const char *what, struct error *err)
{
    if (c->who.operator_)
        return 0;
    return error_set(err, ERROR_NO_PERMISSION,
                     "only operators and root may %s; 'operators:' in %s names their group", what,
                     c->daemon->config_path);
}

int call_need_root(const struct call *c, struct error *err)
{
    if (c->who.uid == c->daemon->root_uid)
        return 0;
    return error_set(err, ERROR_NO_PERMISSION, "owner: only root may act in another's name");
}

int call_lease(const struct call *c, bool change, const struct lease **ret, struct error *err)
{
    const struct lease *l = world_lease(c->daemon->world, c->id);
    if (!l)
        return error_set(err, ERROR_NOT_FOUND,
                         "there is no live lease %u; 'fetta lease list --all' shows ended ones",
                         c->id);
    if (change && l->asker_uid != c->who.uid && !c->who.operator_)
        return error_set(err, ERROR_NO_PERMISSION, "lease %u is another user's; its owner and "
                         "operators may change it", c->id);
    *ret = l;
    return 0;
}

static bool says_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

/* Takes from every object of a list what `keys` name and what is null, false or "". */
static void shorten(json_t *list, const char *const *keys)
{
    size_t i;
    json_t *object, *value;
    const char *key;
    void *next;
    json_array_foreach(list, i, object)
    {
        for (size_t k = 0; keys[k]; k++)
            (void)json_object_del(object, keys[k]);
        json_object_foreach_safe(object, next, key, value)
        {
            if (says_nothing(value))
                (void)json_object_del(object, key);
        }
    }
}

/* Leaves what a table and a picture for people show: who draws one reads half as much. */
static void make_brief(json_t *status)
{
    static const char *const of_gpu[] = {"uuid", "board", "compute_slices", "memory_bytes", NULL};
    static const char *const of_slice[] = {"compute", "gi", "uuid", NULL};
    static const char *const of_lease[] = {"revision", NULL};
    static const char *const of_place[] = {"profile", "gi", "uuid", NULL};
    json_t *gpus = json_object_get(status, "gpus"), *leases = json_object_get(status, "leases");
    json_t *object;
    size_t i;
    shorten(gpus, of_gpu);
    shorten(leases, of_lease);
    json_array_foreach(gpus, i, object)
        shorten(json_object_get(object, "slices"), of_slice);
    json_array_foreach(leases, i, object)
    {
        shorten(json_object_get(object, "slices"), of_place);
        if (json_object_get(object, "started"))
            (void)json_object_del(object, "asked");
    }
}

static const char *render_status(struct daemon *d, bool hide, bool brief)
{
    char **kept = &d->api->status[hide][brief];
    if (*kept)
        return *kept;
    json_t *o = show_status(d, hide);
    if (brief)
        make_brief(o);
    char *text = o ? json_dumps(o, API_JSON) : NULL;
    json_decref(o);
    *kept = text;
    return text;
}

int call_status(struct call *c, struct error *err)
{
    struct daemon *d = c->daemon;
    bool hide = d->config.privacy && !c->who.operator_;
    const char *brief = http_query(c->http, "brief");
    const char *rest = render_status(d, hide, brief && strcmp(brief, "0") != 0);
    AUTO_STR struct str s = {0};
    if (!rest)
        return error_set(err, ERROR_NO_MEMORY, "out of memory showing the status");
    str_addf(&s, "{\"api\":1,\"daemon_pid\":%d,\"now\":%.3f,\"you\":{\"uid\":%u,\"operator\":%s},",
             (int)getpid(), (double)time_wall() / 1e9, c->who.uid,
             c->who.operator_ ? "true" : "false");
    str_add(&s, rest + 1);
    size_t n = s.len;
    http_reply(c->http, 200, str_take(&s), n);
    forget(c);
    return 0;
}

int call_events(struct call *c, struct error *err)
{
    char line[96];
    if (http_stream_begin(c->http, err) < 0) {
        forget(c); /* it was answered already */
        return 0;
    }
    c->wait = CALL_STREAM;
    int n = snprintf(line, sizeof line, "{\"event\":\"hello\",\"now\":%.3f}\n",
                     (double)time_wall() / 1e9);
    (void)http_stream_send(c->http, line, (size_t)n);
    return 0;
}

/* ---- routing ---- */

static const struct {
    const char *method, *path; /* '#' stands for a lease's id */
    call_handler *handler;
} routes[] = {
    {"GET", "/v1/status", call_status},
    {"GET", "/v1/events", call_events},
    {"GET", "/v1/history", call_history},
    {"GET", "/v1/leases", call_list},
    {"POST", "/v1/leases", call_ask},
    {"DELETE", "/v1/leases", call_end_by_key},
    {"GET", "/v1/leases/#", call_show},
    {"DELETE", "/v1/leases/#", call_end},
    {"GET", "/v1/leases/#/card", call_card},
    {"POST", "/v1/leases/#/extend", call_extend},
    {"POST", "/v1/leases/#/attach", call_attach},
    {"POST", "/v1/leases/#/exit", call_exit},
    {"POST", "/v1/explain", call_explain},
    {"GET", "/v1/layout", call_layout_show},
    {"POST", "/v1/layout", call_layout},
    {"POST", "/v1/dynamic", call_dynamic},
    {"POST", "/v1/drain", call_drain},
    {"POST", "/v1/manage", call_manage},
    {"POST", "/v1/pool", call_pool},
    {"POST", "/v1/reload", call_reload},
};

/* Whether `path` is `pattern`, reading the id where the pattern has '#'. */
static bool path_matches(const char *pattern, const char *path, uint32_t *ret_id)
{
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*path++ != *pattern)
                return false;
            continue;
        }
        char *end;
        if (*path < '1' || *path > '9')
            return false;
        unsigned long id = strtoul(path, &end, 10);
        if (id > UINT32_MAX)
            return false;
        *ret_id = (uint32_t)id;
        path = end;
    }
    return *path == '\0';
}

static call_handler *route(const char *method, const char *path, uint32_t *ret_id,
                           struct error *err)
{
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (!path_matches(routes[i].path, path, ret_id))
            continue;
        known = true;
        if (strcmp(routes[i].method, method) == 0)
            return routes[i].handler;
    }
    if (path[0] == '/' && path[1] == 'v' && strncmp(path, "/v1/", 4) != 0)
        (void)error_set(err, ERROR_VERSION,
                        "%s is of another version; this fettad %s speaks /v1, so upgrade the older "
                        "of the two",
                        path, FETTA_VERSION);
    else if (known)
        (void)error_set(err, ERROR_INVALID, "%s does not answer %s", path, method);
    else
        (void)error_set(err, ERROR_NOT_FOUND, "there is nothing at %s; docs/api.md lists the paths",
                        path);
    return NULL;
}

static bool is_operator(struct daemon *d, const struct http_peer *p)
{
    /* On an emulated machine its starter is root, and the host's root may be an ordinary user. */
    if (p->uid == d->root_uid)
        return true;
    for (size_t i = 0; i < d->config.operator_n; i++)
        if (d->config.operators[i] == p->gid ||
            user_in_group(&d->users, p->uid, d->config.operators[i]))
            return true;
    return false;
}

static int read_json(struct call *c, struct error *err)
{
    size_t size = 0;
    const char *text = http_body(c->http, &size);
    if (size == 0) {
        c->body = json_object();
        return c->body ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");
    }
    int r = json_parse(text, size, "request", &c->body, err);
    if (r == 0 && !json_is_object(c->body))
        r = error_set(err, ERROR_INVALID, "request: %s where an object was expected",
                      json_kind(c->body));
    return r;
}

static void on_request(void *arg, struct http_request *r)
{
    struct daemon *d = arg;
    struct error err;
    const struct http_peer *peer = http_peer(r);
    struct call *c = calloc(1, sizeof *c);
    if (!c) {
        http_reply(r, 500, NULL, 0);
        return;
    }
    c->daemon = d;
    c->http = r;
    c->who = (struct viewer){.pid = peer->pid,
                             .uid = peer->uid,
                             .gid = peer->gid,
                             .operator_ = is_operator(d, peer)};
    c->next = d->api->first;
    d->api->first = c;
    http_set_data(r, c);
    call_handler *handler = route(http_method(r), http_path(r), &c->id, &err);
    if (!handler || read_json(c, &err) < 0 || handler(c, &err) < 0)
        call_answer_error(c, &err);
}

/* The client went away: what only it was waiting for is given up. */
static void on_closed(void *arg, struct http_request *r)
{
    struct daemon *d = arg;
    struct call *c = http_data(r);
    if (!c)
        return;
    const struct lease *l = c->asks ? world_lease(d->world, c->lease) : NULL;
    struct event e = {.kind = EVENT_END,
                      .end = {.lease = c->lease, .why = LEASE_WHY_GAVE_UP}};
    forget(c);
    if (!l || l->state == LEASE_ENDED)
        return;
    turn_post(d, &e);
    turn_touch(d);
}

/* ---- after a turn ---- */

void api_stale(struct daemon *d)
{
    for (int i = 0; d->api && i < 4; i++) {
        char **kept = &d->api->status[i / 2][i % 2];
        free(*kept);
        *kept = NULL;
    }
}

void api_changed(struct daemon *d, const struct changes *c)
{
    struct api *a = d->api;
    if (!a)
        return;
    api_stale(d);
    for (size_t i = 0; i < c->n; i++) {
        if (c->at[i]->kind == CHANGE_LEASE && a->lease_n < CHANGED_MAX)
            a->leases[a->lease_n++] = c->at[i]->lease.id;
        if (c->at[i]->kind == CHANGE_GPU && a->gpu_n < CHANGED_MAX)
            a->gpus[a->gpu_n++] = c->at[i]->gpu.slot;
    }
}

static void refuse(struct call *c, const struct lease *l)
{
    struct error err;
    if (l && l->why == LEASE_WHY_NO_FIT)
        (void)error_set(&err, ERROR_NO_FIT,
                        "nothing is free for %s within the time it would wait; 'fetta explain' "
                        "says what is in the way",
                        notes_get(c->daemon, l->id)->asked_for);
    else
        (void)error_set(&err, ERROR_HARDWARE, "lease %u was not granted: %s", c->lease,
                        l ? lease_why_text(l->why) : "it has ended");
    call_answer_error(c, &err);
}

/* What history says of a lease that has left the world. */
struct epilogue {
    struct call *call;
    struct lease lease;
    json_t *shown;
};

static int read_epilogue(const struct store_past *p, void *arg)
{
    struct epilogue *e = arg;
    e->lease = p->lease;
    if (!e->shown)
        e->shown = show_past(e->call->daemon, p, &e->call->who);
    return 0;
}

/* The lease a call waits for is over. */
static void answer_over(struct call *c)
{
    struct error err;
    struct epilogue e = {.call = c};
    int r = store_history(c->daemon->store, c->lease, NULL, 1, read_epilogue, &e, &err);
    bool granted = e.shown && e.lease.started_at != 0;
    if (r < 0) {
        json_decref(e.shown);
        call_answer_error(c, &err);
    } else if (!e.shown || (!granted && c->wait == CALL_GRANTED)) {
        refuse(c, e.shown ? &e.lease : NULL);
        json_decref(e.shown);
    } else {
        call_answer(c, 200, json_pack("{s:o}", "lease", e.shown));
    }
}

/* Answers the call if what it waits for has come. */
static void settle(struct call *c)
{
    struct daemon *d = c->daemon;
    const struct lease *l = world_lease(d->world, c->lease);
    bool waits = l && (l->state == LEASE_QUEUED || l->state == LEASE_STARTING);
    bool ready = false;
    switch (c->wait) {
    case CALL_NEW:
    case CALL_STREAM:
        return;
    case CALL_COMMIT: {
        json_t *reply = c->reply;
        c->reply = NULL;
        call_answer(c, 200, reply);
        return;
    }
    case CALL_PLACED:
        ready = !waits || l->state == LEASE_QUEUED;
        break;
    case CALL_GRANTED:
        ready = !waits;
        break;
    case CALL_ENDED:
        ready = !l;
        break;
    case CALL_CHANGED:
        ready = !l || l->revision != c->revision;
        break;
    }
    if (ready && l)
        call_answer(c, waits && c->wait == CALL_PLACED ? 202 : 200,
                    json_pack("{s:o}", "lease", show_lease(d, l, &c->who)));
    else if (ready)
        answer_over(c);
}

static void stream_line(struct api *a, json_t *o)
{
    AUTO_FREE char *text = json_dumps(o, API_JSON);
    json_decref(o);
    if (!text)
        return;
    for (struct call *c = a->first; c; c = c->next)
        if (c->wait == CALL_STREAM && http_stream_send(c->http, text, strlen(text)))
            (void)http_stream_send(c->http, "\n", 1);
}

static void stream_changes(struct daemon *d)
{
    struct api *a = d->api;
    /* A stream tells what everybody may know; under privacy that is no owner. */
    struct viewer anybody = {.uid = UINT32_MAX};
    double now = (double)time_wall() / 1e9;
    bool any = false;
    for (struct call *c = a->first; c; c = c->next)
        any = any || c->wait == CALL_STREAM;
    for (size_t i = 0; any && i < a->lease_n; i++) {
        const struct lease *l = world_lease(d->world, a->leases[i]);
        json_t *lease = l ? show_lease(d, l, &anybody)
                          : json_pack("{s:i, s:s}", "id", (int)a->leases[i], "state", "ended");
        stream_line(a, json_pack("{s:f, s:s, s:o}", "now", now, "event", "lease", "lease", lease));
    }
    for (size_t i = 0; any && i < a->gpu_n; i++)
        stream_line(a, json_pack("{s:f, s:s, s:i}", "now", now, "event", "gpu", "gpu",
                                 (int)a->gpus[i]));
    a->lease_n = a->gpu_n = 0;
}

void api_turn_over(struct daemon *d)
{
    struct call *next = NULL;
    if (!d->api)
        return;
    stream_changes(d);
    for (struct call *c = d->api->first; c; c = next) {
        next = c->next;
        settle(c);
    }
}

void api_fail_all(struct daemon *d, const struct error *why)
{
    struct call *next = NULL;
    if (!d->api)
        return;
    for (struct call *c = d->api->first; c; c = next) {
        next = c->next;
        if (c->wait == CALL_COMMIT || c->wait == CALL_PLACED ||
            (c->wait == CALL_GRANTED && c->asks))
            call_answer_error(c, why);
    }
}

void api_lease_over(struct daemon *d, uint32_t lease)
{
    notes_drop(d, lease);
}

/* ---- beginning and end ---- */

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct daemon *d = arg;
    (void)source;
    (void)fd;
    (void)events;
    http_server_run(d->api->http);
    return 0;
}

int api_start(struct daemon *d, int listen_fd, struct error *err)
{
    static const struct http_handler handler = {.request = on_request, .closed = on_closed};
    struct api *a = calloc(1, sizeof *a);
    if (!a)
        return error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    a->listen_fd = listen_fd;
    d->api = a;
    int r = http_server_new(listen_fd, &handler, d, &a->http, err);
    if (r < 0)
        return r;
    int e = sd_event_add_io(d->loop, &a->io, http_server_fd(a->http), EPOLLIN, on_readable, d);
    return e < 0 ? error_errno(err, ERROR_IO, -e, "cannot watch the socket") : 0;
}

void api_stop(struct daemon *d)
{
    struct api *a = d->api;
    if (!a)
        return;
    api_stale(d);
    sd_event_source_disable_unref(a->io);
    http_server_free(a->http);
    while (a->first)
        forget(a->first);
    (void)fd_close(a->listen_fd);
    free(a);
    d->api = NULL;
}
