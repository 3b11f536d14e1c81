/* The client half of our HTTP: requests over one Unix socket, kept open between them.
 *
 * Small, because it is loaded into other people's programs; strict, because what answers may
 * be anything: a reply that is not HTTP/1.x as fettad speaks it is an error with a text, never
 * a guess. It never raises SIGPIPE, starts no thread and keeps no global state. */
#pragma once

#include "base/error.h"

#include <stddef.h>

enum {
    CLIENT_HEAD_MAX = 16 << 10,  /* bytes of status line and headers, and of trailers */
    CLIENT_BODY_MAX = 64 << 20,  /* bytes of one reply */
    CLIENT_LINE_MAX = 4 << 20,   /* bytes of one line of a stream */
    CLIENT_CONNECT_MS = 10000,   /* a daemon that accepts nobody for so long is an error */
};

struct client;

struct client_reply {
    int status;       /* 100..599 */
    char *body;       /* zero-terminated behind its `size` bytes; the caller's to free */
    size_t size;
    char version[32]; /* the Fetta-Version header, "" without */
};

/* Connects to the socket at `path`. -ERROR_NO_DAEMON: nobody there; -ERROR_NO_PERMISSION;
 * -ERROR_INVALID: `path` is longer than a socket's name may be; -ERROR_TIMEOUT;
 * -ERROR_NO_MEMORY; -ERROR_IO. */
int client_open(const char *path, struct client **ret, struct error *err);
void client_close(struct client *c);

/* Sends one request and waits for its whole reply, at most `timeout_ms` (-1: for ever). `body`
 * may be NULL. A connection that the daemon closed meanwhile is made anew; only a GET is ever
 * sent twice. After an error the next request starts a new connection. Returns 0 for every
 * status below 600. Errors as client_open, and -ERROR_IO for a reply that makes no sense or
 * ends early (sys = ECANCELED after client_cancel). */
int client_request(struct client *c, const char *method, const char *target, const char *body,
                   size_t size, int timeout_ms, struct client_reply *ret, struct error *err);

/* GETs `target` and calls `line` for each line, zero-terminated without its end, until the
 * stream ends (0) or `line` returns not 0 (that value). Waits without limit. A status other
 * than 200 fills *ret as client_request does and returns 0 with ret->status set; after a
 * stream ret->status is 200 and the body empty. */
int client_stream(struct client *c, const char *target,
                  int (*line)(const char *text, void *arg), void *arg, struct client_reply *ret,
                  struct error *err);

/* Makes the request that waits now, and every later one, fail at once. The only call that may
 * come from a signal handler or another thread. */
void client_cancel(struct client *c);
