/* Asking fettad, by way of libfetta as anybody else's program would. */
#include "cli/cli.h"

#include "fetta/fetta.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, PATH = 1024, AGAIN_US = 100000, AGAIN_TOLD = 10, AGAIN_TRIES = 300 };

/* The daemon's own word for it, kept as it is. */
static int translate(const struct fetta_error *from, struct error *err)
{
    enum error_code code = error_from_wire(from->name);
    error_set(err, code == ERROR_OK ? ERROR_IO : code, "%s", from->text);
    err->sys = from->sys;
    return -(int)err->code;
}

static int read_reply(const char *text, json_t **ret, struct error *err)
{
    json_error_t bad;
    *ret = json_loads(text, JSON_DECODE_ANY, &bad);
    if (!*ret)
        return error_set(
            err, ERROR_VERSION,
            "the reply of fettad makes no sense (%s); are fetta and fettad of one version?",
            bad.text);
    return 0;
}

/* An old daemon may be up for long: only the path is of version 1, everything else may be newer. */
int cli_call(struct cli *c, const char *method, const char *path, const json_t *body,
             json_t **ret_reply, struct error *err)
{
    struct fetta_error bad;
    char full[PATH];
    if (ret_reply)
        *ret_reply = NULL;
    if (snprintf(full, sizeof full, "/v1%s", path) >= (int)sizeof full)
        return error_set(err, ERROR_INVALID, "this is too long to ask for");
    if (!c->fetta && fetta_open(NULL, &c->fetta, &bad) < 0)
        return translate(&bad, err);
    AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    char *reply = NULL;
    int r = fetta_request(c->fetta, method, full, text,
                          c->patience_ms ? c->patience_ms : PATIENCE_MS, &reply, &bad);
    if (r < 0)
        return translate(&bad, err);
    r = ret_reply ? read_reply(reply ? reply : "null", ret_reply, err) : 0;
    fetta_free(reply);
    return r;
}

int cli_call_lease(struct cli *c, const char *method, int64_t id, const char *more,
                   const json_t *body, json_t **ret_reply, struct error *err)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/leases/%" PRId64 "%s", id, more);
    return cli_call(c, method, path, body, ret_reply, err);
}

int cli_wait_lease(struct cli *c, int64_t id, const char *until, json_t **ret_reply,
                   struct error *err)
{
    char more[32];
    (void)snprintf(more, sizeof more, "?wait=%s", until);
    c->patience_ms = -1;
    for (int tries = 0;; tries++) {
        int r = cli_call_lease(c, "GET", id, more, NULL, ret_reply, err);
        bool gone = r < 0 && (err->code == ERROR_NO_DAEMON || err->code == ERROR_IO);
        if (!gone || tries == AGAIN_TRIES)
            return r;
        if (tries == AGAIN_TOLD)
            cli_say(c, "fettad is gone; waiting for it to come back, for lease %" PRId64, id);
        (void)usleep(AGAIN_US);
    }
}

void cli_hang_up(struct cli *c)
{
    fetta_close(c->fetta);
    c->fetta = NULL;
}
