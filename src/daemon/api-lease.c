/* Leases over HTTP: ask, look, end, extend, join. */
#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"
#include "daemon/bind.h"
#include "daemon/call.h"
#include "daemon/note.h"
#include "daemon/turn.h"
#include "text/field.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* While it waits, a request lives with whoever asked, whatever it is bound to later. */
static int hold_asker(struct call *c, int *ret_pidfd, struct error *err)
{
    int r = proc_pin(c->who.pid, &c->asker, ret_pidfd, err);
    /* The user is the socket's, not the process's: they must still be the same. */
    if (r == 0 && c->asker.uid != c->who.uid)
        return error_set(err, ERROR_NO_PERMISSION, "process %d changed its user while asking",
                         c->asker.pid);
    return r;
}

int call_ask(struct call *c, struct error *err)
{
    struct daemon *d = c->daemon;
    struct event e;
    struct ask_text text;
    AUTO_FD int pidfd = -1;
    if (d->turn.failed)
        return error_set(err, ERROR_STORE,
                         "no new leases: the state cannot be written (is the disk full?); running "
                         "ones are not touched");
    int r = hold_asker(c, &pidfd, err);
    if (r == 0)
        r = ask_read(c, &e, &text, err);
    uint32_t next = world_next_id(d->world);
    if (r == 0)
        r = turn_event(d, &e, &c->lease, err);
    bool fresh = r == 0 && c->lease == next;
    if (r == 0 && fresh &&
        (r = notes_add(d, c->lease, text.asked_for, text.command, text.door, err)) < 0)
        turn_fail(d, err);
    if (r < 0)
        return r;
    if (fresh && e.ask.lease.bind != BIND_KEY)
        binds_watch(d, c->lease, &c->asker, STEAL_FD(pidfd));
    c->asks = fresh && !text.async;
    c->wait = text.async ? CALL_PLACED : CALL_GRANTED;
    turn_touch(d);
    return 0;
}

/* ---- looking ---- */

struct past_list {
    struct daemon *daemon;
    const struct viewer *who;
    json_t *list;
};

static int add_past(const struct store_past *p, void *arg)
{
    struct past_list *l = arg;
    const struct lease *live = world_lease(l->daemon->world, p->lease.id);
    return json_array_append_new(l->list, live ? show_lease(l->daemon, live, l->who)
                                               : show_past(l->daemon, p, l->who));
}

int call_list(struct call *c, struct error *err)
{
    struct daemon *d = c->daemon;
    json_t *list = json_array();
    const char *all = http_query(c->http, "all");
    const char *limit = http_query(c->http, "limit");
    char *end = NULL;
    long n = limit ? strtol(limit, &end, 10) : 100;
    if (n < 1 || n > 100000 || (end && *end)) {
        json_decref(list);
        return error_set(err, ERROR_INVALID, "limit: 1 to 100000, not '%s'", limit);
    }
    if (all && strcmp(all, "0") != 0) {
        struct past_list past = {d, &c->who, list};
        struct owner owner = {.kind = OWNER_UID, .id = c->who.uid};
        int r = store_history(d->store, 0, c->who.operator_ ? NULL : &owner, (size_t)n, add_past,
                              &past, err);
        if (r < 0) {
            json_decref(list);
            return r;
        }
    } else {
        for (const struct lease *l = NULL; (l = world_lease_after(d->world, l ? l->id : 0));)
            (void)json_array_append_new(list, show_lease(d, l, &c->who));
    }
    call_answer(c, 200, json_pack("{s:o}", "leases", list));
    return 0;
}

static int past_only(const struct store_past *p, void *arg)
{
    struct past_list *l = arg;
    l->list = show_past(l->daemon, p, l->who);
    return 0;
}

/* An ended lease's history is its owner's and the operators'. */
static int show_ended(struct call *c, struct error *err)
{
    struct past_list past = {c->daemon, &c->who, NULL};
    int r = store_history(c->daemon->store, c->id, NULL, 1, past_only, &past, err);
    if (r < 0)
        return r;
    if (!past.list)
        return error_set(err, ERROR_NOT_FOUND, "there is no lease %u", c->id);
    if (!json_is_true(json_object_get(past.list, "mine")) && !c->who.operator_) {
        json_decref(past.list);
        return error_set(err, ERROR_NO_PERMISSION, "lease %u was another user's", c->id);
    }
    call_answer(c, 200, json_pack("{s:o}", "lease", past.list));
    return 0;
}

static int on_wait_over(sd_event_source *source, uint64_t usec, void *arg)
{
    struct call *c = arg;
    struct error err;
    const struct lease *l = world_lease(c->daemon->world, c->lease);
    (void)source;
    (void)usec;
    if (l)
        call_answer(c, 200, json_pack("{s:o}", "lease", show_lease(c->daemon, l, &c->who)));
    else if (show_ended(c, &err) < 0)
        call_answer_error(c, &err);
    return 0;
}

static int wait_for(struct call *c, const char *what, struct error *err)
{
    const char *revision = http_query(c->http, "revision");
    const char *timeout = http_query(c->http, "timeout");
    char *end = NULL;
    double limit = timeout ? strtod(timeout, &end) : 3600;
    if (!(limit >= 0 && limit <= 86400) || (timeout && (end == timeout || *end)))
        return error_set(err, ERROR_INVALID, "timeout: 0 to 86400 seconds, not '%s'", timeout);
    c->lease = c->id;
    c->revision = revision ? (uint32_t)strtoul(revision, NULL, 10) : 0;
    if (strcmp(what, "granted") == 0)
        c->wait = CALL_GRANTED;
    else if (strcmp(what, "ended") == 0)
        c->wait = CALL_ENDED;
    else if (strcmp(what, "change") == 0)
        c->wait = CALL_CHANGED;
    else
        return error_set(err, ERROR_INVALID, "wait: '%s' is none of granted, ended, change", what);
    (void)sd_event_add_time(c->daemon->loop, &c->timeout, CLOCK_BOOTTIME,
                            (uint64_t)(time_boot() / TIME_US) + (uint64_t)(limit * 1e6), 0,
                            on_wait_over, c);
    turn_touch(c->daemon);
    return 0;
}

int call_show(struct call *c, struct error *err)
{
    const char *wait = http_query(c->http, "wait");
    const struct lease *l = world_lease(c->daemon->world, c->id);
    if (!l)
        return show_ended(c, err);
    if (wait)
        return wait_for(c, wait, err);
    call_answer(c, 200, json_pack("{s:o}", "lease", show_lease(c->daemon, l, &c->who)));
    return 0;
}

int call_card(struct call *c, struct error *err)
{
    const struct lease *l = world_lease(c->daemon->world, c->id);
    if (!l)
        return show_ended(c, err);
    call_answer(c, 200,
                json_pack("{s:o, s:o}", "lease", show_lease(c->daemon, l, &c->who), "card",
                          show_card(c->daemon, l)));
    return 0;
}

/* ---- changing ---- */

static int end_lease(struct call *c, const struct lease *l, bool hard, struct error *err)
{
    bool own = l->asker_uid == c->who.uid;
    struct event e = {
        .kind = EVENT_END,
        .end = {.lease = l->id,
                .why = l->state == LEASE_QUEUED ? LEASE_WHY_GAVE_UP
                       : binds_exit_known(c->daemon, l->id) ? LEASE_WHY_DONE
                       : own                    ? LEASE_WHY_RELEASED
                                                : LEASE_WHY_OPERATOR,
                .hard = hard},
    };
    int r = turn_event(c->daemon, &e, NULL, err);
    if (r < 0)
        return r;
    const struct lease *after = world_lease(c->daemon->world, l->id);
    return call_after_commit(c, after ? json_pack("{s:o}", "lease",
                                                  show_lease(c->daemon, after, &c->who))
                                      : json_pack("{s:b}", "changed", 1));
}

int call_end(struct call *c, struct error *err)
{
    const char *now = http_query(c->http, "now");
    const struct lease *l = NULL;
    bool hard = now && strcmp(now, "0") != 0;
    int r = call_lease(c, true, &l, err);
    if (r == 0 && hard)
        r = call_need_operator(c, "skip the grace of a lease", err);
    return r < 0 ? r : end_lease(c, l, hard, err);
}

int call_end_by_key(struct call *c, struct error *err)
{
    const char *key = http_query(c->http, "key");
    uint32_t number = 0;
    if (!key)
        return error_set(err, ERROR_INVALID, "DELETE /v1/leases needs ?key=NAME");
    struct owner owner = {.kind = OWNER_UID, .id = c->who.uid};
    const char *named = http_query(c->http, "owner");
    int r = store_intern(c->daemon->store, key, &number, err);
    if (r == 0 && named) {
        owner.kind = OWNER_NAMED;
        r = call_need_root(c, err);
        if (r == 0)
            r = store_intern(c->daemon->store, named, &owner.id, err);
    }
    if (r < 0)
        return r;
    const struct lease *l = world_lease_by_key(c->daemon->world, owner, number);
    if (l)
        return end_lease(c, l, false, err);
    call_answer(c, 200, json_pack("{s:b}", "changed", 0));
    return 0;
}

int call_extend(struct call *c, struct error *err)
{
    int64_t by = 0;
    const struct lease *l = NULL;
    struct field_at root = {.what = "request"};
    const struct field fields[] = {{"by", FIELD_DURATION, &by, .required = true}};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0 && by <= 0)
        return error_set(err, ERROR_INVALID, "by: how much longer, such as 1h, not 0");
    if (r == 0)
        r = call_lease(c, true, &l, err);
    if (r < 0)
        return r;
    if (l->state != LEASE_ACTIVE)
        return error_set(err, ERROR_STATE, "lease %u is %s; only an active lease can be extended",
                         l->id, lease_state_name(l->state));
    if (l->ends_at == TIME_NEVER)
        return error_set(err, ERROR_STATE, "lease %u has no end to extend", l->id);
    struct event e = {.kind = EVENT_EXTEND,
                      .extend = {.lease = l->id,
                                 .ends_at = l->ends_at + by,
                                 .beyond_max = c->who.operator_}};
    r = turn_event(c->daemon, &e, NULL, err);
    l = world_lease(c->daemon->world, c->id);
    return r < 0 ? r
                 : call_after_commit(c, json_pack("{s:o}", "lease",
                                                  show_lease(c->daemon, l, &c->who)));
}

int call_attach(struct call *c, struct error *err)
{
    int64_t pid = c->who.pid;
    const struct lease *l = NULL;
    struct proc_id who;
    struct field_at root = {.what = "request"};
    const struct field fields[] = {{"pid", FIELD_INT, &pid, .min = 1, .max = 4194304}};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = call_lease(c, true, &l, err);
    if (r == 0 && l->state != LEASE_ACTIVE)
        return error_set(err, ERROR_STATE, "lease %u is %s, not active", l->id,
                         lease_state_name(l->state));
    if (r == 0)
        r = proc_identify((int)pid, &who, err);
    if (r == 0 && who.uid != c->who.uid && !c->who.operator_)
        r = error_set(err, ERROR_NO_PERMISSION, "process %d belongs to another user", (int)pid);
    if (r == 0)
        r = binds_attach(c->daemon, l->id, &who, err);
    if (r < 0)
        return r;
    call_answer(c, 200, json_pack("{s:o}", "lease", show_lease(c->daemon, l, &c->who)));
    return 0;
}

static int own_past(const struct store_past *p, void *arg)
{
    struct call *c = arg;
    c->revision = p->lease.asker_uid == c->who.uid || c->who.operator_;
    return 0;
}

int call_exit(struct call *c, struct error *err)
{
    int64_t status = 0;
    struct field_at root = {.what = "request"};
    const struct field fields[] = {
        {"status", FIELD_INT, &status, .required = true, .min = 0, .max = 255}};
    int r = field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = store_history(c->daemon->store, c->id, NULL, 1, own_past, c, err);
    if (r == 0 && !c->revision)
        r = error_set(err, ERROR_NO_PERMISSION, "there is no lease %u of yours", c->id);
    if (r == 0)
        r = turn_open(c->daemon, err);
    if (r == 0)
        r = store_set_exit(c->daemon->store, c->id, (int)status, err);
    if (r == 0)
        binds_exit_told(c->daemon, c->id);
    return r < 0 ? r : call_after_commit(c, json_pack("{s:b}", "changed", 1));
}
