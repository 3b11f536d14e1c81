/* Verbs for operators that say something about GPUs: drain and resume, manage, pool, dynamic. A
 * list of GPUs is checked by the daemon, which knows them: "0", "0-3,5", "all", "none". */
#include "cli/args.h"
#include "cli/get.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Sends a body (taken) and forgets the reply unless it is wanted. */
static int send_body(struct cli *c, const char *path, json_t *body, json_t **ret, struct error *err)
{
    if (!body)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    c->patience_ms = -1;
    int r = cli_call(c, "POST", path, body, ret, err);
    json_decref(body);
    return r;
}

static void drained(const json_t *reply, struct str *out)
{
    size_t i, k;
    json_t *gpu, *id;
    json_array_foreach(get_in(reply, "gpus"), i, gpu)
    {
        const json_t *leases = get_in(gpu, "leases");
        str_addf(out, "GPU %" PRId64 " takes no new leases", get_int(gpu, "gpu", 0));
        json_array_foreach(leases, k, id) str_addf(
            out, "%s%" PRId64, k ? ", " : "; still there: lease ", (int64_t)json_integer_value(id));
        str_add(out, json_array_size(leases) ? "\n" : " and is empty\n");
    }
}

/* Waits until each lease that was on the drained GPUs has ended. */
static int wait_for_leases(struct cli *c, const json_t *reply, struct error *err)
{
    size_t i, k;
    json_t *gpu, *id;
    int r = 0;
    json_array_foreach(get_in(reply, "gpus"), i, gpu)
    {
        json_array_foreach(get_in(gpu, "leases"), k, id)
        {
            json_t *lease = NULL;
            do {
                json_decref(lease);
                r = cli_wait_lease(c, json_integer_value(id), "ended", &lease, err);
            } while (r >= 0 && strcmp(get_text(get_in(lease, "lease"), "state"), "ended") != 0);
            json_decref(lease);
            if (r < 0 && err->code != ERROR_NOT_FOUND)
                return r;
        }
    }
    return 0;
}

int verb_drain(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    const char *reason = "";
    bool wait = false;
    json_t *reply;
    int first;
    args_add(&a, (struct args_option){"reason", 0, ARGS_TEXT, &reason, "TEXT",
                                      "shown to holders and in status"});
    args_add(&a,
             (struct args_option){"wait", 0, ARGS_FLAG, &wait, NULL, "until the GPUs are empty"});
    int r = args_read(&a, c, argc, argv, 1, 1, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = send_body(c, "/drain",
                      json_pack("{s:s, s:s, s:b}", "gpus", argv[first], "reason", reason, "on", 1),
                      &reply, &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    drained(reply, &out);
    int status = cli_print(c, &out);
    r = wait ? wait_for_leases(c, reply, &err) : 0;
    json_decref(reply);
    return r < 0 ? cli_fail(c, &err) : status;
}

/* A verb whose whole argument is a list of GPUs. */
static int simple(struct cli *c, int argc, char **argv, const char *path, const char *done)
{
    struct args a = {0};
    struct error err;
    int first, r = args_read(&a, c, argc, argv, 1, 1, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0) {
        json_t *body = json_pack("{s:s}", "gpus", argv[first]);
        if (body && strcmp(path, "/drain") == 0)
            (void)json_object_set_new(body, "on", json_false());
        r = send_body(c, path, body, NULL, &err);
    }
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    str_addf(&out, "%s: %s\n", done, argv[first]);
    return cli_print(c, &out);
}

int verb_resume(struct cli *c, int argc, char **argv)
{
    return simple(c, argc, argv, "/drain", "GPUs that take leases again");
}

int verb_manage(struct cli *c, int argc, char **argv)
{
    return simple(c, argc, argv, "/manage", "GPUs fetta uses from now on");
}

int verb_dynamic(struct cli *c, int argc, char **argv)
{
    return simple(c, argc, argv, "/dynamic", "GPUs that are cut on demand again");
}

int verb_pool(struct cli *c, int argc, char **argv)
{
    static const char *const pools[] = {"sliced", "whole", "elastic"};
    struct args a = {0};
    struct error err;
    size_t known = 0;
    int first, r = args_read(&a, c, argc, argv, 2, 2, &first, &err);
    if (r > 0)
        return 0;
    while (r == 0 && known < ARRAY_LEN(pools) && strcmp(pools[known], argv[first + 1]) != 0)
        known++;
    if (r == 0 && known == ARRAY_LEN(pools))
        r = error_set(&err, ERROR_INVALID,
                      "'%.40s' is not a pool; it can be sliced, whole or elastic", argv[first + 1]);
    if (r == 0)
        r = send_body(c, "/pool",
                      json_pack("{s:s, s:s}", "gpus", argv[first], "pool", argv[first + 1]), NULL,
                      &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    str_addf(&out, "GPUs that are %s from now on: %s\n", argv[first + 1], argv[first]);
    return cli_print(c, &out);
}
