/* What the server (http.c) and its requests (http_request.c) know of each other. */
#pragma once

#include "base/str.h"
#include "wire/http.h"

#include <microhttpd.h>

enum { HTTP_ACCEPT_BATCH = 32 }; /* connections taken in one run */

struct http_user {
    uid_t uid;
    unsigned connections;
};

/* One open connection; those whose client has shut its sending side are in a list. */
struct http_connection {
    struct http_connection *next;
    struct http_user *user; /* NULL: too many, or unknown */
    int fd;                 /* libmicrohttpd's; -1: the slot is vacant */
    bool half;
};

struct http_server {
    struct http_handler handler;
    void *arg;
    struct MHD_Daemon *http;
    struct MHD_Response *no_memory;
    int epoll, timer, wake, listener;
    int halves; /* another epoll set, inside `epoll`: clients that shut their sending side */
    bool listening, armed, stopping;
    bool running, woken;        /* inside http_server_run; `wake` is readable */
    unsigned connections, waiting;
    unsigned user_n;
    struct http_user users[HTTP_CONNECTIONS + HTTP_ACCEPT_BATCH];
    struct http_connection open[HTTP_CONNECTIONS + HTTP_ACCEPT_BATCH];
    struct http_connection *vacant, *half; /* lists */
    struct http_request *first;            /* all of them */
};

enum http_state {
    STATE_READING,  /* its body comes in */
    STATE_HELD,     /* the handler has it */
    STATE_ANSWERED, /* `response` is ready or on its way */
    STATE_STREAM,   /* the handler sends lines */
    STATE_ENDED,    /* the handler has sent its last line */
    STATE_GONE,     /* the client left */
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_request *next, **at;
    struct http_peer peer;
    int fd;                 /* libmicrohttpd's */
    enum http_state state;
    bool suspended, watched;
    const char *method, *path;
    struct str in;          /* body */
    size_t discarded;
    struct MHD_Response *response;
    int status;
    bool cut;               /* a stream whose reader was too slow */
    struct http_page *page; /* whose `response` it is */
    struct str out;         /* of a stream, from `sent` on not sent yet */
    size_t sent;
    void *data;
};

/* The JSON body of an error as a response of libmicrohttpd, NULL without memory. */
struct MHD_Response *http_request_error(enum error_code code, const char *text);

/* The client of `r` is not there any more: stops watching and tells the handler if it has `r`. */
void http_request_gone(struct http_request *r);

/* Lets libmicrohttpd go on with the connection of `r`, from where it was suspended. */
void http_request_resume(struct http_request *r);

/* libmicrohttpd's callbacks for a request: it comes in, and it is over. `cls` is the server. */
enum MHD_Result http_request_access(void *cls, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_size, void **slot);
void http_request_completed(void *cls, struct MHD_Connection *connection, void **slot,
                            enum MHD_RequestTerminationCode why);
