/* Both halves of the wire while memory runs out: whichever allocation of ours fails, the client is
 * told so or refused, and the next request is served as if nothing had been. */
#include "base/test-fail.h"
#include "wire/test-site.h"

#include "tests/tap.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const requests[] = {"GET /v1/x?wait=5m&all", "GET /page", "GET /error",
                                       "GET /nothing", "POST /big-body"};

/* One request on a connection of its own: the status, 0 for a closed connection. */
static int status_of(struct site *t, const char *request)
{
    char text[300], room[4096] = "";
    struct pollfd p = {.fd = dial(t->path), .events = POLLIN};
    (void)snprintf(text, sizeof text,
                   "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody",
                   request);
    if (p.fd < 0 || !say(p.fd, text))
        return -1;
    for (int i = 0; i < 400 && poll(&p, 1, 0) == 0; i++)
        (void)site_turn(t, 5);
    ssize_t n = recv(p.fd, room, sizeof room - 1, MSG_DONTWAIT);
    close(p.fd);
    return n > 9 && strncmp(room, "HTTP/1.1 ", 9) == 0 ? (int)strtol(room + 9, NULL, 10) : 0;
}

TEST(a_server_without_memory_says_so_and_serves_on)
{
    unsigned refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(requests) && !tap_failed; i++) {
        struct site t;
        REQUIRE(site_open(&t));
        int usual = status_of(&t, requests[i]);
        CHECK_INT(usual, >=, 200);
        for (long n = 0; n < 200; n++) {
            fail_at = n;
            int got = status_of(&t, requests[i]);
            bool met = fail_at < 0;
            fail_at = -1;
            if (got != usual && got != 0 && got != 503 && got != 500)
                TAP_FAIL("%s, allocation %ld: %d", requests[i], n, got);
            refused += got != usual;
            CHECK_INT(status_of(&t, requests[i]), ==, usual);
            if (!met)
                break;
        }
        SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
        site_close(&t);
    }
    printf("# %u requests refused for want of memory\n", refused);
    CHECK_INT(refused, >, 5);
}

/* A server in a child, until it is killed. */
static pid_t serve_beside(struct site *t)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    for (;;)
        (void)site_turn(t, 1000);
}

TEST(a_client_without_memory_says_so_and_asks_again)
{
    struct site t;
    unsigned refused = 0;
    REQUIRE(site_open(&t));
    pid_t server = serve_beside(&t);
    for (long n = 0; n < 200; n++) {
        struct client *c = NULL;
        struct client_reply r = {0};
        struct error err = {0};
        fail_at = n;
        int rc = client_open(t.path, &c, &err);
        if (rc == 0)
            rc = client_request(c, "POST", "/v1/a?b", "{}", 2, 5000, &r, &err);
        bool met = fail_at < 0;
        fail_at = -1;
        if (rc < 0 && (rc != -ERROR_NO_MEMORY || !err.text[0]))
            TAP_FAIL("allocation %ld: %d, \"%s\"", n, rc, err.text);
        refused += rc < 0;
        free(r.body);
        r = (struct client_reply){0};
        if (c)
            CHECK_INT(client_request(c, "GET", "/page", NULL, 0, 5000, &r, &err), ==, 0);
        CHECK(!c || r.status == 200);
        free(r.body);
        client_close(c);
        if (!met)
            break;
    }
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    site_close(&t);
    printf("# %u requests refused for want of memory\n", refused);
    CHECK_INT(refused, >, 1);
}

TAP_MAIN
