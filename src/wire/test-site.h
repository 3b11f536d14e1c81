/* A server in a test's own process, driven as a daemon's loop would, and what its clients need,
 * each of which runs in a forked child whose exit status is its verdict. */
#pragma once

#include "wire/client.h"
#include "wire/http.h"

#include "base/str.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { HELD_MAX = 400, BIG = 8 << 20 };

struct site {
    char path[64];
    int listener;
    struct http_server *server;
    struct http_page *page;
    struct http_request *held[HELD_MAX], *stream;
    unsigned held_n, requests, closed, stream_closed, most;
    struct http_peer peer;
    char last[256]; /* what was answered last */
};

/* Serves on a socket of its own in /tmp; false if it cannot. */
bool site_open(struct site *t);
void site_close(struct site *t);

/* One turn of a loop that waits at most `ms`; whether there was something to do. */
bool site_turn(struct site *t, int ms);

#define SERVE_UNTIL(t, condition)                                    \
    do {                                                             \
        int64_t until = time_boot() + 10 * TIME_S;                   \
        while (!(condition) && time_boot() < until)                  \
            site_turn(t, 5);                                              \
        CHECK(condition);                                            \
    } while (0)

/* Runs `client` in a child; its status is what it returns. */
pid_t start(struct site *t, int (*client)(const char *path));

/* The child's exit status, -1 when it does not end in time; serves meanwhile. */
int serve_child(struct site *t, pid_t pid);

/* A connection, -1 if there is none; sends all of a text; reads until `want` occurred (true) or
 * the end of file. */
int dial(const char *path);
bool say(int fd, const char *text);
bool hear(int fd, char *room, size_t size, const char *want);

/* Asks and compares: 0 if the status is right and the body has `want` in it. */
int ask(struct client *c, const char *method, const char *target, const char *body, int status,
        const char *want);

/* A client that is served often and well. */
int many_requests(const char *path);
