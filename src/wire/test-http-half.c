/* Requests that are not whole, and clients that shut their sending side: what cannot become a
 * request any more is closed at once, and what is one is answered. */
#include "wire/test-site.h"

#include "tests/tap.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int half_closes(const char *path)
{
    char room[64];
    int fd = dial(path);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    return recv(fd, room, sizeof room, 0) != 0;
}

TEST(a_waiting_client_that_shuts_its_side_has_gone)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, half_closes)), ==, 0);
    CHECK_INT(t.requests, ==, 1);
    CHECK_INT(t.closed, ==, 1);
    site_close(&t);
}

static int half_requests(const char *path)
{
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = dial(path);
    say(fd[0], "GET /la");
    say(fd[1], "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\":");
    usleep(50000);
    return 0;
}

/* Each with a side shut: the server must close its own, long before the idle timeout. */
static int halves_shut(const char *path)
{
    static const char *const texts[] = {
        "", "GET /la", "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b",
        "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"half\":"};
    const struct timeval patience = {.tv_sec = 20};
    int bad = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char room[4096];
        ssize_t n;
        int fd = dial(path);
        say(fd, texts[i]);
        usleep(20000 * (i & 1)); /* with what was said, or after it */
        shutdown(fd, SHUT_WR);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        while ((n = recv(fd, room, sizeof room, 0)) > 0)
            ;
        bad += n < 0;
        close(fd);
    }
    return bad;
}

TEST(half_a_request_with_the_sending_side_shut_is_closed_at_once)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, halves_shut)), ==, 0);
    SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
    CHECK_INT(t.closed, ==, 0);
    site_close(&t);
}

static int whole_then_shut(const char *path)
{
    char room[4096];
    static char body[200001], text[200200];
    memset(body, 'x', sizeof body - 1);
    (void)snprintf(text, sizeof text,
                   "POST /big-body HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                   sizeof body - 1, body);
    int fd = dial(path);
    say(fd, text);
    shutdown(fd, SHUT_WR);
    return !hear(fd, room, sizeof room, "size=200000");
}

TEST(a_whole_request_is_answered_though_the_sending_side_is_shut)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, whole_then_shut)), ==, 0);
    site_close(&t);
}

TEST(half_a_request_never_reaches_the_handler)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, half_requests)), ==, 0);
    SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
    CHECK_INT(t.requests + t.closed, ==, 0);
    site_close(&t);
}

static int junk(const char *path)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02", "GET /a HTTP/9.9\r\n\r\n",
        "GET /a HTTP/1.1\r\nno colon\r\n\r\n", "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    char room[4096];
    int answered = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = dial(path);
        say(fd, texts[i]);
        shutdown(fd, SHUT_WR);
        hear(fd, room, sizeof room, "never");
        answered += strncmp(room, "HTTP/1.1 200", 12) == 0;
        close(fd);
    }
    return answered;
}

TEST(junk_is_not_served_and_harms_nobody)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, junk)), ==, 0);
    CHECK_INT(serve_child(&t, start(&t, many_requests)), ==, 0);
    site_close(&t);
}

TAP_MAIN
