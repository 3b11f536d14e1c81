/* An HTTP/1.1 server on a Unix socket for a program with one event loop and no threads.
 *
 * libmicrohttpd speaks the protocol; this adds what it does not do: who is asking
 * (SO_PEERCRED), an answer that comes later, news that the one who waits for it has gone
 * (libmicrohttpd does not poll a suspended connection, so a dup of its descriptor is watched
 * here), a limit of connections per user, so that nobody locks the others out, and streams
 * that a slow reader cannot make grow.
 *
 * Everything hangs on one descriptor: put http_server_fd into the loop and call
 * http_server_run when it is readable. The idle timeout is inside too, as a timer descriptor
 * that is armed only while connections are open. Callbacks come from http_server_run alone,
 * one at a time. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    HTTP_BODY_MAX = 1 << 20,     /* bytes of a request's body; more is answered 413 */
    HTTP_CONNECTIONS = 512,      /* open at once */
    HTTP_CONNECTIONS_USER = 384, /* of one user (not of root nor of the daemon's own) */
    HTTP_IDLE_S = 60,            /* a connection without a request running is closed after this */
    HTTP_STREAM_MAX = 1 << 20,   /* unsent bytes of a stream before its reader is cut off */
};

struct http_server;
struct http_request;
struct http_page;

/* Who is at the other end, as the kernel recorded it when the connection was made. */
struct http_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

struct http_handler {
    /* A whole request is in (GET, POST or DELETE). Answer it exactly once with http_reply,
     * http_reply_page, http_reply_error or http_stream_begin, here or any time later. `r` is valid
     * until it is answered, for a stream until http_stream_end, or until `closed` was called. */
    void (*request)(void *arg, struct http_request *r);
    /* The client went away (or shut down its sending side, or read a stream too slowly) before the
     * answer or in the middle of the stream; `r` is invalid after this returns. Called at most
     * once, and never after an answer that was not a stream. */
    void (*closed)(void *arg, struct http_request *r);
};

/* Serves `listen_fd`, which stays the caller's (close it after http_server_free) and must be a
 * listening AF_UNIX stream socket; it is made non-blocking. `h` is copied. -ERROR_IO or
 * -ERROR_NO_MEMORY. */
int http_server_new(int listen_fd, const struct http_handler *h, void *arg,
                    struct http_server **ret, struct error *err);

/* Closes all connections without calling `closed`; requests still held are invalid from now on. */
void http_server_free(struct http_server *s);

/* The descriptor to poll for reading. */
int http_server_fd(const struct http_server *s);

/* Does all that can be done now without waiting. */
void http_server_run(struct http_server *s);

/* Open connections and requests that wait for an answer (streams included). */
unsigned http_server_connections(const struct http_server *s);
unsigned http_server_waiting(const struct http_server *s);

/* The request. Strings live as long as the request. */
const char *http_method(const struct http_request *r); /* "GET", "POST", "DELETE" */
const char *http_path(const struct http_request *r);   /* decoded, no query: "/v1/status" */
/* The value of `name` in the query, "" when it has none ("?all"), NULL when it is not there. */
const char *http_query(const struct http_request *r, const char *name);
/* Calls `each` for every name of the query (value as http_query), to refuse unknown ones. */
void http_query_each(const struct http_request *r,
                     void (*each)(void *arg, const char *name, const char *value), void *arg);
/* A header's value or NULL; `name` in any case. */
const char *http_header(const struct http_request *r, const char *name);
/* The body, zero-terminated behind its *ret_size bytes; "" when there is none. */
const char *http_body(const struct http_request *r, size_t *ret_size);
const struct http_peer *http_peer(const struct http_request *r);

/* A slot for the caller's own state of the request, NULL at first. */
void *http_data(const struct http_request *r);
void http_set_data(struct http_request *r, void *data);

/* Answers with `size` bytes of JSON at `body`, which was allocated with malloc and is freed
 * here (json_dumps gives such). A NULL `body` answers that memory ran out, so that a caller
 * need not check. */
void http_reply(struct http_request *r, int status, char *body, size_t size);

/* Answers {"error": {"code": WIRE NAME, "text": TEXT}} with the code's HTTP status. */
void http_reply_error(struct http_request *r, const struct error *err);

/* An answer rendered once for many: owns `body` (malloc; NULL gives NULL), counted references. */
struct http_page *http_page_new(int status, char *body, size_t size);
struct http_page *http_page_ref(struct http_page *p);
/* Drops one reference; NULL is allowed. */
void http_page_unref(struct http_page *p);
/* Answers with the page; takes a reference of its own. NULL answers that memory ran out. */
void http_reply_page(struct http_request *r, struct http_page *p);

/* Begins a stream of "application/x-ndjson" with status 200. -ERROR_NO_MEMORY: the request was
 * answered so and is over. */
int http_stream_begin(struct http_request *r, struct error *err);
/* Sends bytes soon. False when the reader was too slow or memory ran out: it is cut off, `closed`
 * follows from http_server_run, and more sends do nothing. */
bool http_stream_send(struct http_request *r, const void *bytes, size_t size);
/* Ends the stream after what was sent; `r` is over. */
void http_stream_end(struct http_request *r);
