/* `fetta lease ...`: leases by hand, for scripts and for what outlives a command. */
#include "cli/get.h"
#include "cli/grant.h"
#include "cli/show.h"

#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* So that eval "$(fetta lease new ...)" works; the id is the first line. */
static void exports(const json_t *lease, struct str *out)
{
    AUTO_STR struct str uuids = {0};
    int64_t ends = get_time(lease, "ends");
    const json_t *slice = json_array_get(get_in(lease, "slices"), 0);
    const char *profile = get_text(slice, "profile");
    grant_uuids(lease, -1, &uuids);
    const char *visible = uuids.text ? uuids.text : "";
    str_addf(out, "export FETTA_LEASE=%" PRId64 "\n", get_int(lease, "id", 0));
    str_addf(out, "export FETTA_SLICE=%s\n", *profile ? profile : "whole");
    if (ends)
        str_addf(out, "export FETTA_EXPIRES=%" PRId64 "\n", ends / TIME_S);
    else
        str_add(out, "export FETTA_EXPIRES=\n");
    str_addf(out, "export CUDA_VISIBLE_DEVICES=%s\nexport NVIDIA_VISIBLE_DEVICES=%s\n", visible,
             visible);
}

/* A process of its own would be over at once, so by hand a lease lives with the caller's session,
 * or with whatever --bind says. */
static json_t *request(const struct ask *k, const char *bind)
{
    json_t *body = ask_body(k);
    char keyed[160];
    (void)snprintf(keyed, sizeof keyed, "key:%.140s", k->key ? k->key : "");
    const char *with = bind ? bind : k->key ? keyed : "session";
    if (body && json_object_set_new(body, "bind", json_string(with)) == 0 &&
        json_object_set_new(body, "door", json_string("lease")) == 0)
        return body;
    json_decref(body);
    return NULL;
}

static int parse_new(struct cli *c, int argc, char **argv, struct ask *k, const char **bind,
                     struct error *err)
{
    struct args a = {0};
    const struct args_option own[] = {
        {"bind", 0, ARGS_TEXT, bind, "WHAT",
         "what it lives with: session (if not said), user, pid:P, cgroup:PATH, key:NAME, none"},
        {"key", 0, ARGS_TEXT, &k->key, "NAME", "asking again with it gives the same lease"},
        {"owner", 0, ARGS_TEXT, &k->owner, "OWNER", "kube:NAMESPACE and such, for operators"},
        {"movable", 0, ARGS_FLAG, &k->movable, NULL, "may be moved while idle"},
    };
    int first;
    ask_which(&a, k);
    ask_tasks(&a, k);
    ask_terms(&a, k);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        args_add(&a, own[i]);
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, err);
    if (r == 0 && *bind && strcmp(*bind, "none") == 0 && !k->length)
        r = error_set(err, ERROR_INVALID, "--bind none needs an end: add --for, such as --for 2h");
    return r ? r : ask_check(k, err);
}

int verb_lease_new(struct cli *c, int argc, char **argv)
{
    struct ask k = {0};
    struct error err;
    const char *bind = NULL;
    json_t *lease = NULL;
    int r = parse_new(c, argc, argv, &k, &bind, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    json_t *body = request(&k, bind);
    r = body ? grant_wait(c, body, &lease, &err)
             : error_set(&err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    json_decref(body);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    exports(lease, &out);
    return cli_print_reply(c, lease, &out);
}

int verb_lease_list(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    json_t *reply;
    bool all = false;
    int first;
    args_add(&a, (struct args_option){"all", 'a', ARGS_FLAG, &all, NULL, "past leases too"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = cli_call(c, "GET", all ? "/leases?all=1" : "/leases", NULL, &reply, &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    const json_t *leases = get_in(reply, "leases");
    show_leases(leases, all ? SHOW_PAST : SHOW_LIVE, time_wall(), &c->out, &out);
    if (json_array_size(leases) == 0)
        str_add(&out, "no leases; fetta run and fetta lease new make one\n");
    return cli_print_reply(c, reply, &out);
}

int verb_lease_show(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    json_t *reply;
    int64_t id;
    int first;
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 1, 1, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = args_id(argv[first], &id, &err);
    if (r == 0)
        r = cli_call_lease(c, "GET", id, "/card", NULL, &reply, &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    show_card(reply, &c->out, &out);
    return cli_print_reply(c, reply, &out);
}

int verb_lease_extend(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    const char *by = NULL;
    json_t *reply = NULL;
    int64_t id;
    int first;
    args_add(&a,
             (struct args_option){"by", 0, ARGS_DURATION, &by, "DURATION", "so much longer (1h)"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 1, 1, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = args_id(argv[first], &id, &err);
    if (r == 0 && !by)
        r = error_set(&err, ERROR_INVALID, "by how much? add --by, such as --by 1h");
    json_t *body = r == 0 ? json_pack("{s:s}", "by", by) : NULL;
    if (r == 0)
        r = body ? cli_call_lease(c, "POST", id, "/extend", body, &reply, &err)
                 : error_set(&err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    json_decref(body);
    if (r < 0)
        return cli_fail(c, &err);
    char when[TIME_TEXT];
    AUTO_STR struct str out = {0};
    str_addf(&out, "lease %" PRId64 " ends at %s\n", id,
             time_format_wall(get_time(get_in(reply, "lease"), "ends"), when));
    return cli_print_reply(c, reply, &out);
}

/* A key may hold anything: everything but the plain characters is escaped. */
static void escape(struct str *out, const char *text)
{
    for (; *text; text++) {
        unsigned char ch = (unsigned char)*text;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                     (ch >= '0' && ch <= '9') || strchr("-._~", ch);
        if (plain)
            str_add_n(out, text, 1);
        else
            str_addf(out, "%%%02X", ch);
    }
}

static int end_key(struct cli *c, const char *key, bool now, struct error *err)
{
    AUTO_STR struct str path = {0};
    str_add(&path, "/leases?key=");
    escape(&path, key);
    str_add(&path, now ? "&now=1" : "");
    if (path.failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    return cli_call(c, "DELETE", path.text, NULL, NULL, err);
}

static int end_ids(struct cli *c, int n, char **words, bool now, struct error *err)
{
    int64_t id;
    int r = 0;
    bool failed = false;
    for (int i = 0; r == 0 && i < n; i++)
        r = args_id(words[i], &id, err);
    /* One that cannot be ended is no reason to keep the others; the last error is the caller's. */
    for (int i = 0; r == 0 && i < n; i++) {
        struct error one;
        (void)args_id(words[i], &id, err);
        if (cli_call_lease(c, "DELETE", id, now ? "?now=1" : "", NULL, NULL, &one) >= 0)
            continue;
        if (failed)
            (void)cli_fail(c, err);
        failed = true;
        *err = one;
    }
    return r < 0 ? r : failed ? -(int)err->code : 0;
}

int verb_lease_end(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    const char *key = NULL;
    bool now = false;
    int first;
    args_add(&a, (struct args_option){"key", 0, ARGS_TEXT, &key, "KEY",
                                      "the lease asked for with this key"});
    args_add(&a, (struct args_option){"now", 0, ARGS_FLAG, &now, NULL, "kill at once (operators)"});
    int r = args_parse(&a, c, argc, argv, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = args_count(c, argc - first, key ? 0 : 1, key ? 0 : -1, &err);
    if (r == 0)
        r = key ? end_key(c, key, now, &err) : end_ids(c, argc - first, argv + first, now, &err);
    if (r < 0)
        return cli_fail(c, &err);
    return 0;
}
