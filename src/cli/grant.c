/* The way of a request from the command line to an active lease. */
#include "cli/grant.h"

#include "base/time.h"
#include "cli/get.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The lease is bound to this process, so ending is all it takes; the daemon notices at once. */
static void give_up(int sig)
{
    static const char text[] = "fetta: gave up the place in the queue\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(128 + sig);
    _exit(128 + sig);
}

static void on_interrupt(bool ours, struct sigaction before[2])
{
    static const int which[] = {SIGINT, SIGTERM};
    struct sigaction quit = {.sa_handler = give_up};
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        (void)sigaction(which[i], ours ? &quit : &before[i], ours ? &before[i] : NULL);
        /* What nohup or a shell has us ignore stays ignored. */
        if (ours && before[i].sa_handler == SIG_IGN)
            (void)sigaction(which[i], &before[i], NULL);
    }
}

/* Only the first in the queue has its start promised; the others' is how things stand. */
static void tell_queue(const struct cli *c, const json_t *lease)
{
    char when[TIME_TEXT];
    AUTO_STR struct str start = {0};
    int64_t latest = get_time(lease, "latest_start"), position = get_int(lease, "position", 1);
    const char *what = get_text(lease, "waits_for");
    if (latest)
        str_addf(&start, "starts at the latest %s%s", time_format_wall(latest, when),
                 position > 1 ? " as things stand" : "");
    else
        str_add(&start, "its latest start is not known");
    cli_say(c,
            "lease %" PRId64 " is number %" PRId64 " in the queue%s%s, %s; Ctrl-C gives up the "
            "place",
            get_int(lease, "id", 0), position, *what ? ", waits for " : "", what,
            start.text ? start.text : "");
}

const char *grant_why(const json_t *lease)
{
    const char *text = get_text(lease, "why_text");
    return *text ? text : get_text(lease, "why");
}

/* A lease that ended before it was granted, as an error. */
static int not_granted(const json_t *lease, struct error *err)
{
    const char *why = get_text(lease, "why");
    enum error_code code = ERROR_STATE;
    if (strcmp(why, "no-fit") == 0)
        code = ERROR_NO_FIT;
    else if (strcmp(why, "failed") == 0)
        code = ERROR_HARDWARE;
    else if (strcmp(why, "lost") == 0)
        code = ERROR_DRIVER_LOST;
    return error_set(err, code, "lease %" PRId64 " was not granted: %s", get_int(lease, "id", 0),
                     grant_why(lease));
}

static json_t *lease_of(json_t *reply)
{
    json_t *lease = json_incref(json_object_get(reply, "lease"));
    json_decref(reply);
    return lease;
}

/* A wish that just misses a smaller slice is worth a word: "20 GiB needs 3g.40gb; ...". */
static void tell_hint(const struct cli *c, const json_t *reply)
{
    const char *hint = get_text(reply, "hint");
    if (!*hint)
        hint = get_text(get_in(reply, "lease"), "hint");
    if (*hint)
        cli_say(c, "%s", hint);
}

/* Waits on; a daemon that is started anew meanwhile has kept our place. */
static int wait_on(struct cli *c, json_t **lease, struct error *err)
{
    while (strcmp(get_text(*lease, "state"), "queued") == 0 ||
           strcmp(get_text(*lease, "state"), "starting") == 0) {
        json_t *reply;
        int64_t id = get_int(*lease, "id", 0);
        int r = cli_wait_lease(c, id, "granted", &reply, err);
        if (r < 0)
            return r;
        json_decref(*lease);
        *lease = lease_of(reply);
    }
    return 0;
}

int grant_wait(struct cli *c, json_t *body, json_t **ret, struct error *err)
{
    json_t *reply;
    struct sigaction before[2];
    *ret = NULL;
    if (json_object_set_new(body, "async", json_true()) < 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    on_interrupt(true, before);
    c->patience_ms = -1;
    int r = cli_call(c, "POST", "/leases", body, &reply, err);
    if (r >= 0)
        tell_hint(c, reply);
    json_t *lease = r < 0 ? NULL : lease_of(reply);
    if (r >= 0 && strcmp(get_text(lease, "state"), "queued") == 0)
        tell_queue(c, lease);
    if (r >= 0)
        r = wait_on(c, &lease, err);
    c->patience_ms = 0;
    on_interrupt(false, before);
    if (r >= 0 && strcmp(get_text(lease, "state"), "active") != 0)
        r = not_granted(lease, err);
    if (r < 0) {
        json_decref(lease);
        return r;
    }
    *ret = lease;
    return 0;
}

void grant_uuids(const json_t *lease, int i, struct str *out)
{
    const json_t *slices = get_in(lease, "slices");
    for (size_t at = 0; at < json_array_size(slices); at++) {
        if (i >= 0 && at != (size_t)i)
            continue;
        str_addf(out, "%s%s", out->len ? "," : "", get_text(json_array_get(slices, at), "uuid"));
    }
}

void grant_free_env(char **env)
{
    for (char **at = env; at && *at; at++)
        free(*at);
    free(env);
}

bool grant_env_set(char ***env, const char *name, const char *value)
{
    size_t n = 0, len = strlen(name);
    char *line;
    if (asprintf(&line, "%s=%s", name, value) < 0)
        return false;
    for (; (*env)[n]; n++) {
        if (strncmp((*env)[n], name, len) != 0 || (*env)[n][len] != '=')
            continue;
        free((*env)[n]);
        (*env)[n] = line;
        return true;
    }
    char **more = reallocarray(*env, n + 2, sizeof *more);
    if (!more) {
        free(line);
        return false;
    }
    more[n] = line;
    more[n + 1] = NULL;
    *env = more;
    return true;
}

char **grant_copy_env(void)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(environ[i]);
        if (copy[i])
            continue;
        grant_free_env(copy);
        return NULL;
    }
    return copy;
}

/* "1g.10gb" for one slice, "whole" for GPUs; what a script can branch on. */
static const char *slice_name(const json_t *lease, int i)
{
    const json_t *slice = json_array_get(get_in(lease, "slices"), i < 0 ? 0 : (size_t)i);
    const char *profile = get_text(slice, "profile");
    return *profile ? profile : "whole";
}

char **grant_env(const json_t *lease, int i)
{
    AUTO_STR struct str uuids = {0};
    char id[24], expires[24] = "";
    int64_t ends = get_time(lease, "ends");
    char **env = grant_copy_env();
    grant_uuids(lease, i, &uuids);
    (void)snprintf(id, sizeof id, "%" PRId64, get_int(lease, "id", 0));
    if (ends)
        (void)snprintf(expires, sizeof expires, "%" PRId64, ends / TIME_S);
    const char *visible = uuids.text ? uuids.text : "";
    if (env && !uuids.failed && grant_env_set(&env, "CUDA_VISIBLE_DEVICES", visible) &&
        grant_env_set(&env, "NVIDIA_VISIBLE_DEVICES", visible) &&
        grant_env_set(&env, "FETTA_LEASE", id) &&
        grant_env_set(&env, "FETTA_SLICE", slice_name(lease, i)) &&
        grant_env_set(&env, "FETTA_EXPIRES", expires))
        return env;
    grant_free_env(env);
    return NULL;
}
