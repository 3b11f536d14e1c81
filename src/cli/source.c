/* Files, stdin and history as traces; see source.h. */
#include "cli/source.h"

#include "base/macro.h"
#include "base/time.h"
#include "cli/get.h"
#include "cli/when.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY "history:"

static int keep_stdin(FILE *to, struct error *err)
{
    char part[65536];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        if (fwrite(part, 1, n, to) != n)
            return error_errno(err, ERROR_IO, errno, "cannot keep the trace");
    return ferror(stdin) ? error_set(err, ERROR_IO, "reading stdin failed") : 0;
}

/* "30d@ann": since when, s since the epoch, and whose, -1: everybody's that may be seen. */
static int read_spec(const char *spec, int64_t *ret_since, int64_t *ret_uid, struct error *err)
{
    AUTO_FREE char *copy = strdup(spec + strlen(HISTORY));
    char *user = copy ? strchr(copy, '@') : NULL, *end;
    *ret_uid = -1;
    if (!copy)
        return error_set(err, ERROR_NO_MEMORY, "no memory left");
    if (user)
        *user++ = '\0';
    int rc = when_read(copy, "history", ret_since, err);
    if (rc < 0)
        return rc;
    *ret_since = MAX(*ret_since, 0);
    if (!user)
        return 0;
    const struct passwd *p = getpwnam(user);
    unsigned long uid = p ? p->pw_uid : strtoul(user, &end, 10);
    if (!p && (*user < '0' || *user > '9' || *end || uid > UINT32_MAX))
        return error_set(err, ERROR_NOT_FOUND, "there is no user '%s'; a number is taken as well",
                         user);
    *ret_uid = (int64_t)uid;
    return 0;
}

struct past {
    FILE *to;
    int64_t first; /* when the first of them asked, ns; 0 before it */
    uint64_t jobs, never_started;
};

/* What a lease asked for, as a trace says it, from how history says it: "1g.10gb", "2 GPUs",
 * "18 GiB, compute 2/7". */
static void slice_of(const json_t *lease, char *ret, size_t size)
{
    const char *asked = get_text(lease, "asked_for");
    const char *compute = strstr(asked, ", compute ");
    char *end;
    double gib = strtod(asked, &end);
    if (strcmp(get_text(lease, "kind"), "whole") == 0)
        (void)snprintf(ret, size, "gpu");
    else if (end == asked || strncmp(end, " GiB", 4) != 0)
        (void)snprintf(ret, size, "%s", asked);
    else if (gib > 0)
        (void)snprintf(ret, size, "%.0fM%s%s", ceil(gib * 1024 - 0.5), compute ? "+" : "",
                       compute ? compute + strlen(", compute ") : "");
    else
        (void)snprintf(ret, size, "%s", compute ? compute + strlen(", compute ") : "1M");
}

static void add_lease(struct past *p, const json_t *lease)
{
    char slice[64];
    int64_t asked = get_time(lease, "asked"), started = get_time(lease, "started");
    int64_t ran = get_time(lease, "ended") - started;
    if (!started || ran < 0) {
        p->never_started++;
        return;
    }
    p->first = p->first ? p->first : asked;
    slice_of(lease, slice, sizeof slice);
    (void)fprintf(p->to, "%.3f,%.3f,%s,%" PRId64 ",%s\n", (double)(asked - p->first) / TIME_S,
                  (double)ran / TIME_S, slice, get_int(lease, "count", 1), get_text(lease, "user"));
    p->jobs++;
}

static int keep_history(struct cli *c, const char *spec, FILE *to, struct error *err)
{
    struct past p = {.to = to};
    char path[160], user[32] = "";
    int64_t since = 0, uid = -1;
    int r = read_spec(spec, &since, &uid, err);
    if (uid >= 0)
        (void)snprintf(user, sizeof user, "&uid=%" PRId64, uid);
    (void)fputs("submit_s,run_s,slice,count,user\n", to);
    for (int64_t after = 0; after >= 0 && r == 0;) {
        json_t *reply = NULL, *lease;
        size_t i;
        (void)snprintf(path, sizeof path, "/history?after=%" PRId64 "&since=%" PRId64 "%s", after,
                       since, user);
        r = cli_call(c, "GET", path, NULL, &reply, err);
        json_array_foreach(get_in(reply, "leases"), i, lease) add_lease(&p, lease);
        after = get_int(reply, "next", -1);
        json_decref(reply);
    }
    if (r == 0 && p.jobs == 0)
        r = error_set(err, ERROR_NOT_FOUND, "%s: no lease that ran ended in that time", spec);
    if (r == 0 && p.never_started)
        cli_say(c, "%s: %" PRIu64 " leases never started and are left out", spec, p.never_started);
    return r;
}

int source_open(struct cli *c, const char *spec, FILE **ret, const char **ret_name,
                struct error *err)
{
    bool in = strcmp(spec, "-") == 0, past = strncmp(spec, HISTORY, strlen(HISTORY)) == 0;
    *ret_name = in ? "stdin" : spec;
    *ret = in || past ? tmpfile() : fopen(spec, "re");
    if (!*ret)
        return error_errno(err, ERROR_IO, errno, "cannot open %s",
                           in || past ? "a file to keep a trace in" : spec);
    int r = in ? keep_stdin(*ret, err) : past ? keep_history(c, spec, *ret, err) : 0;
    if (r == 0 && (in || past) && (fflush(*ret) != 0 || ferror(*ret)))
        r = error_errno(err, ERROR_IO, errno, "cannot keep the trace");
    rewind(*ret);
    return r;
}
