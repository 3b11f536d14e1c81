/* The server against real client processes: answers now, later and never, crowds and rude
 * guests. */
#include "wire/test-site.h"

#include "tests/tap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(one_connection_carries_many_requests)
{
    struct site t;
    REQUIRE(site_open(&t));
    pid_t pid = start(&t, many_requests);
    CHECK_INT(serve_child(&t, pid), ==, 0);
    CHECK_INT(t.requests, ==, 100);
    CHECK_INT(t.most, ==, 1);
    CHECK_INT(t.closed, ==, 0);
    CHECK_INT(t.peer.pid, ==, pid);
    CHECK_INT(t.peer.uid, ==, geteuid());
    SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
    CHECK(!site_turn(&t, 100)); /* nothing left that would wake the loop */
    site_close(&t);
}

static int pipelined(const char *path)
{
    char room[4096];
    int fd = dial(path);
    say(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /later HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    if (!hear(fd, room, sizeof room, "GET /b"))
        return 1;
    const char *a = strstr(room, "GET /a"), *later = strstr(room, "after all");
    return !(a && later && a < later && later < strstr(room, "GET /b"));
}

TEST(pipelined_requests_are_answered_in_order)
{
    struct site t;
    REQUIRE(site_open(&t));
    pid_t pid = start(&t, pipelined);
    SERVE_UNTIL(&t, t.held_n == 1);
    for (int i = 0; i < 10; i++)
        site_turn(&t, 5);
    CHECK_INT(t.requests, ==, 2);
    CHECK_INT(http_server_waiting(t.server), ==, 1);
    CHECK(http_data(t.held[0]) == &t);
    http_reply(t.held[0], 200, strdup("after all"), 9);
    CHECK_INT(serve_child(&t, pid), ==, 0);
    CHECK_INT(t.closed, ==, 0);
    site_close(&t);
}

static int waits(const char *path)
{
    struct client *c;
    if (client_open(path, &c, NULL) < 0)
        return 99;
    return ask(c, "POST", "/later", "{}", 200, "yours");
}

TEST(a_crowd_waits_and_the_dead_are_noticed_at_once)
{
    enum { CROWD = 300 };
    struct site t;
    REQUIRE(site_open(&t));
    pid_t pids[CROWD];
    for (int i = 0; i < CROWD; i++)
        pids[i] = start(&t, waits);
    SERVE_UNTIL(&t, t.held_n == CROWD);
    CHECK_INT(http_server_connections(t.server), ==, CROWD);
    for (int i = 0; i < CROWD / 2; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    int64_t killed = time_boot();
    SERVE_UNTIL(&t, t.closed == CROWD / 2);
    CHECK_INT(time_boot() - killed, <, TIME_S);
    CHECK_INT(t.held_n, ==, CROWD / 2);
    unsigned left = t.held_n;
    for (unsigned i = 0; i < left; i++)
        http_reply(t.held[i], 200, strdup("yours"), 5);
    int bad = 0;
    for (int i = CROWD / 2; i < CROWD; i++)
        bad += serve_child(&t, pids[i]) != 0;
    CHECK_INT(bad, ==, 0);
    CHECK_INT(t.closed, ==, CROWD / 2);
    SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
    CHECK_INT(http_server_waiting(t.server), ==, 0);
    site_close(&t);
}

static int too_large(const char *path)
{
    struct client *c;
    static char body[HTTP_BODY_MAX + 2];
    if (client_open(path, &c, NULL) < 0)
        return 99;
    memset(body, 'x', sizeof body - 1);
    int bad = ask(c, "POST", "/big-body", body, 413, "larger than 1 MiB");
    body[HTTP_BODY_MAX] = '\0';
    body[HTTP_BODY_MAX - 1] = 'z';
    bad += ask(c, "POST", "/big-body", body, 200, "size=1048576 last=xxxz");
    bad += ask(c, "PUT", "/a", NULL, 405, "only GET, POST and DELETE");
    char *long_path = calloc(1, 40000);
    memset(long_path, '/', 39999);
    struct client_reply r;
    if (client_request(c, "GET", long_path, NULL, 0, 5000, &r, NULL) < 0 || r.status < 400)
        bad++;
    /* Chunks announce no size: the limit must hold while they come. */
    char room[4096];
    int fd = dial(path);
    say(fd, "POST /big-body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    body[0xffff] = '\0';
    for (int i = 0; i < 20; i++) {
        say(fd, "ffff\r\n");
        say(fd, body);
        say(fd, "\r\n");
    }
    say(fd, "0\r\n\r\n");
    return bad + !hear(fd, room, sizeof room, "HTTP/1.1 413 ");
}

TEST(what_is_too_large_or_unknown_is_refused)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, too_large)), ==, 0);
    CHECK_INT(t.requests, ==, 1);
    site_close(&t);
}

static int line_seen(const char *text, void *arg)
{
    int *n = arg;
    if (strstr(text, "stop"))
        return 7;
    char want[32];
    snprintf(want, sizeof want, "{\"n\": %d}", *n);
    *n += strcmp(text, want) == 0 ? 1 : 1000;
    return 0;
}

static int reads_stream(const char *path)
{
    struct client *c;
    struct client_reply r;
    int n = 0;
    if (client_open(path, &c, NULL) < 0 ||
        client_stream(c, "/stream", line_seen, &n, &r, NULL) != 0)
        return 1;
    return !(n == 1000 && r.status == 200);
}

TEST(a_stream_brings_every_line_and_ends)
{
    struct site t;
    REQUIRE(site_open(&t));
    pid_t pid = start(&t, reads_stream);
    SERVE_UNTIL(&t, t.stream);
    REQUIRE(t.stream);
    for (int i = 0; i < 1000; i++) {
        char line[32];
        int n = snprintf(line, sizeof line, "{\"n\": %d}\n", i);
        CHECK(http_stream_send(t.stream, line, (size_t)n));
        if (i % 7 == 0)
            site_turn(&t, 1);
    }
    http_stream_end(t.stream);
    CHECK_INT(serve_child(&t, pid), ==, 0);
    CHECK_INT(t.closed, ==, 0);
    site_close(&t);
}

static int sleeps_on_stream(const char *path)
{
    int fd = dial(path);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    pause();
    return 0;
}

TEST(a_slow_reader_is_cut_off_and_a_dead_one_noticed)
{
    struct site t;
    REQUIRE(site_open(&t));
    for (int round = 0; round < 2; round++) {
        pid_t pid = start(&t, sleeps_on_stream);
        SERVE_UNTIL(&t, t.stream);
        REQUIRE(t.stream);
        static char block[8192];
        memset(block, 'x', sizeof block);
        int sent = 0;
        while (round == 0 && sent < 1000 && http_stream_send(t.stream, block, sizeof block)) {
            sent++;
            site_turn(&t, 0);
        }
        CHECK_INT(sent, <, 500);
        if (round == 0)
            CHECK_INT(sent, >=, 100);
        else
            kill(pid, SIGKILL);
        SERVE_UNTIL(&t, t.stream_closed == (unsigned)round + 1);
        CHECK(!t.stream);
        SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    site_close(&t);
}

static int big_reply(const char *path)
{
    struct client *c;
    struct client_reply r;
    if (client_open(path, &c, NULL) < 0 ||
        client_request(c, "GET", "/big", NULL, 0, 10000, &r, NULL) < 0)
        return 1;
    return r.size != BIG || r.body[BIG - 1] != 'x';
}

TEST(a_large_answer_arrives_whole)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, big_reply)), ==, 0);
    site_close(&t);
}

static int opens_too_many(const char *path)
{
    char room[2048];
    int last = -1;
    for (int i = 0; i < HTTP_CONNECTIONS + 1; i++)
        last = dial(path);
    return !hear(last, room, sizeof room, "too many connections");
}

TEST(one_connection_too_many_is_told_so_and_the_others_stay)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, opens_too_many)), ==, 0);
    SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
    CHECK_INT(serve_child(&t, start(&t, many_requests)), ==, 0);
    site_close(&t);
}

static int one_user_opens_too_many(const char *path)
{
    char room[2048];
    int last = -1;
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 99;
    for (int i = 0; i < HTTP_CONNECTIONS_USER + 64; i++)
        last = dial(path);
    bool told = hear(last, room, sizeof room, "too many connections");
    usleep(300000); /* the others are served meanwhile */
    return !told;
}

TEST(one_user_cannot_take_all_connections)
{
    struct site t;
    if (geteuid() != 0)
        SKIP("needs a second user, so root");
    REQUIRE(site_open(&t));
    CHECK(chmod(t.path, 0777) == 0);
    pid_t greedy = start(&t, one_user_opens_too_many);
    SERVE_UNTIL(&t, http_server_connections(t.server) >= HTTP_CONNECTIONS_USER);
    CHECK_INT(serve_child(&t, start(&t, many_requests)), ==, 0);
    CHECK_INT(http_server_connections(t.server), <, HTTP_CONNECTIONS_USER + 33);
    CHECK_INT(serve_child(&t, greedy), ==, 0);
    site_close(&t);
}

TEST(stopping_drops_those_who_wait_without_a_word_to_the_handler)
{
    struct site t;
    REQUIRE(site_open(&t));
    pid_t waiting = start(&t, waits), streaming = start(&t, reads_stream);
    SERVE_UNTIL(&t, t.held_n == 1 && t.stream);
    http_server_free(t.server);
    CHECK_INT(t.closed, ==, 0);
    t.server = NULL;
    int status;
    CHECK(waitpid(waiting, &status, 0) == waiting && WEXITSTATUS(status) == 1);
    CHECK(waitpid(streaming, &status, 0) == streaming && WEXITSTATUS(status) == 1);
    site_close(&t);
}

static int curl(const char *path)
{
    const char *args[] = {"curl", "-fsS", "-m", "5", "--unix-socket", path, "-d", "{\"a\": 1}",
                          "-o", "/dev/null", "http://fetta/v1/leases?wait=0", NULL};
    execvp("curl", (char **)args);
    return 127;
}

TEST(curl_is_understood)
{
    struct site t;
    REQUIRE(site_open(&t));
    int rc = serve_child(&t, start(&t, curl));
    site_close(&t);
    if (rc == 127)
        SKIP("curl is not installed");
    CHECK_INT(rc, ==, 0);
    CHECK_STR(t.last, "POST /v1/leases wait=0 all=- size=8 last=: 1}");
}

TAP_MAIN
