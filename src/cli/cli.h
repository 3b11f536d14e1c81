/* What the verbs of `fetta` share: the streams and how to write on them, the one connection to
 * fettad, and how trouble is told.
 *
 * A verb is one file with one function; it prints what is for people through text/table.h, and
 * returns the exit status of the program. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "cli/verb.h"
#include "text/table.h"

#include <jansson.h>
#include <stdbool.h>

struct fetta;

struct cli {
    const struct verb *verb;
    char **typed; /* the whole command line */
    struct table_look out, err; /* how to write on stdout and stderr */
    bool json;                  /* --json was given */
    int patience_ms;            /* a call may take so long; 0: a minute, -1: without limit */
    struct fetta *fetta;        /* the connection, once something was asked */
};

/* Prints "fetta VERB: text" on stderr and returns the status the program ends with. */
int cli_fail(const struct cli *c, const struct error *err);

/* Prints "fetta: text" on stderr, as one line. */
FORMAT(2, 3) void cli_say(const struct cli *c, const char *fmt, ...);

/* Writes a built text to stdout and frees it. 0, or the exit status of the failure. */
int cli_print(const struct cli *c, struct str *text);

/* Writes a JSON value to stdout on one indented page. 0 or the exit status. */
int cli_print_json(const struct cli *c, const json_t *value);

/* Prints a reply of fettad as JSON where that is wanted, else the text made of it, and lets both
 * go. 0 or the exit status. */
int cli_print_reply(const struct cli *c, json_t *reply, struct str *text);

/* Asks fettad. `path` is below /v1 with its query ("/leases/12"), `body` (NULL: none) is kept by
 * the caller. *ret_reply (may be NULL) is the caller's to json_decref. Errors of the daemon keep
 * their code and text. Returns 0 or a negative code. */
int cli_call(struct cli *c, const char *method, const char *path, const json_t *body,
             json_t **ret_reply, struct error *err);

/* The same as cli_call for a path "/leases/ID" + `more`. */
int cli_call_lease(struct cli *c, const char *method, int64_t id, const char *more,
                   const json_t *body, json_t **ret_reply, struct error *err);

/* Waits until a lease is "granted" or "ended", or for an hour. A fettad that is being started anew
 * is given half a minute to come back. Leaves c->patience_ms at -1. */
int cli_wait_lease(struct cli *c, int64_t id, const char *until, json_t **ret_reply,
                   struct error *err);

/* Closes the connection; the next call opens a new one (a forked child must not share it). */
void cli_hang_up(struct cli *c);
