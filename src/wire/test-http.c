/* The server against real client processes: answers now, later and never, crowds and rude guests.
 *
 * The server runs in this process, driven as a daemon's loop would; what a client does runs in a
 * forked child, whose exit status is its verdict. */
#include "wire/client.h"
#include "wire/http.h"

#include "base/str.h"
#include "base/time.h"
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

static void on_request(void *arg, struct http_request *r)
{
    struct site *t = arg;
    const char *path = http_path(r);
    size_t size;
    const char *body = http_body(r, &size);
    struct str s = {0};
    struct error err;
    t->requests++;
    t->most = MAX(t->most, http_server_connections(t->server));
    t->peer = *http_peer(r);
    if (strcmp(path, "/later") == 0) {
        if (t->held_n < HELD_MAX)
            t->held[t->held_n++] = r;
        http_set_data(r, t);
        return;
    }
    if (strcmp(path, "/page") == 0) {
        http_reply_page(r, t->page);
    } else if (strcmp(path, "/stream") == 0) {
        if (http_stream_begin(r, &err) == 0)
            t->stream = r;
    } else if (strcmp(path, "/error") == 0) {
        error_set(&err, ERROR_NEVER, "a \"quoted\" text with a bad byte \xff in it");
        http_reply_error(r, &err);
    } else if (strcmp(path, "/nothing") == 0) {
        http_reply(r, 200, NULL, 0);
    } else if (strcmp(path, "/big") == 0) {
        char *big = malloc(BIG);
        memset(big, 'x', BIG);
        http_reply(r, 200, big, BIG);
    } else {
        const char *wait = http_query(r, "wait");
        str_addf(&s, "%s %s wait=%s all=%s size=%zu last=%.4s", http_method(r), path,
                 wait ? wait : "-", http_query(r, "all") ? http_query(r, "all") : "-", size,
                 size >= 4 ? body + size - 4 : body);
        size_t len = s.len;
        str_copy(t->last, sizeof t->last, s.text);
        http_reply(r, 200, str_take(&s), len);
    }
}

static void on_closed(void *arg, struct http_request *r)
{
    struct site *t = arg;
    t->closed++;
    if (r == t->stream) {
        t->stream = NULL;
        t->stream_closed++;
    }
    for (unsigned i = 0; i < t->held_n; i++) {
        if (t->held[i] == r)
            t->held[i] = t->held[--t->held_n];
    }
}

static bool site_open(struct site *t)
{
    static unsigned number;
    struct error err;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct http_handler h = {on_request, on_closed};
    *t = (struct site){0};
    snprintf(t->path, sizeof t->path, "/tmp/fetta-http-%d-%u", (int)getpid(), number++);
    str_copy(at.sun_path, sizeof at.sun_path, t->path);
    t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(t->listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(t->listener, 1024) < 0)
        return false;
    t->page = http_page_new(200, strdup("{\"page\": true}"), 14);
    return t->page && http_server_new(t->listener, &h, t, &t->server, &err) == 0;
}

static void site_close(struct site *t)
{
    http_server_free(t->server);
    http_page_unref(t->page);
    close(t->listener);
    unlink(t->path);
}

/* One turn of a loop that waits at most `ms`. */
static bool turn(struct site *t, int ms)
{
    struct pollfd p = {.fd = http_server_fd(t->server), .events = POLLIN};
    bool due = poll(&p, 1, ms) > 0;
    if (due)
        http_server_run(t->server);
    return due;
}

#define SERVE_UNTIL(t, condition)                                    \
    do {                                                             \
        int64_t until = time_boot() + 10 * TIME_S;                   \
        while (!(condition) && time_boot() < until)                  \
            turn(t, 5);                                              \
        CHECK(condition);                                            \
    } while (0)

/* Runs `client` in a child; its status is what it returns. */
static pid_t start(struct site *t, int (*client)(const char *path))
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* Only the test's own process may hold the server's descriptors: a child that kept them would
     * keep connections open that the server has closed. */
    for (int fd = 3; fd < 1200; fd++)
        close(fd);
    _exit(client(t->path));
}

/* The child's exit status, -1 when it does not end in time; serves meanwhile. */
static int serve_child(struct site *t, pid_t pid)
{
    int status;
    for (int64_t until = time_boot() + 20 * TIME_S; time_boot() < until;) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
        turn(t, 2);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

static int dial(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    str_copy(at.sun_path, sizeof at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : -1;
}

static bool say(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Reads until `want` occurred or the end of file. */
static bool hear(int fd, char *room, size_t size, const char *want)
{
    size_t n = 0;
    room[0] = '\0';
    while (n + 1 < size && !strstr(room, want)) {
        ssize_t more = recv(fd, room + n, size - 1 - n, 0);
        if (more <= 0)
            return false;
        n += (size_t)more;
        room[n] = '\0';
    }
    return strstr(room, want) != NULL;
}

static int ask(struct client *c, const char *method, const char *target, const char *body,
               int status, const char *want)
{
    struct client_reply r;
    struct error err;
    if (client_request(c, method, target, body, body ? strlen(body) : 0, 5000, &r, &err) < 0) {
        return 1;
    }
    bool good = r.status == status && strstr(r.body, want) && strcmp(r.version, FETTA_VERSION) == 0;
    if (!good)
        printf("# %s: %d %.300s\n", target, r.status, r.body);
    free(r.body);
    return !good;
}

static int many_requests(const char *path)
{
    struct client *c;
    int bad = 0;
    if (client_open(path, &c, NULL) < 0)
        return 99;
    for (int i = 0; i < 20; i++) {
        bad += ask(c, "GET", "/v1/x?wait=5m&all", NULL, 200, "GET /v1/x wait=5m all= size=0");
        bad += ask(c, "POST", "/v1/%41%00b", "{\"a\":1}", 200,
                   "POST /v1/A%00b wait=- all=- size=7 last=\":1}");
        bad += ask(c, "DELETE", "/page", NULL, 200, "{\"page\": true}");
        bad += ask(c, "GET", "/error", NULL, 422,
                   "{\"error\":{\"code\":\"never-fits\",\"text\":\"a \\\"quoted\\\" text with a "
                   "bad byte ? in it\"}}");
        bad += ask(c, "GET", "/nothing", NULL, 500, "\"no-memory\"");
    }
    client_close(c);
    return bad;
}

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
    CHECK(!turn(&t, 100)); /* nothing left that would wake the loop */
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
        turn(&t, 5);
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

TEST(half_a_request_never_reaches_the_handler)
{
    struct site t;
    REQUIRE(site_open(&t));
    CHECK_INT(serve_child(&t, start(&t, half_requests)), ==, 0);
    SERVE_UNTIL(&t, http_server_connections(t.server) == 0);
    CHECK_INT(t.requests + t.closed, ==, 0);
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

static int junk(const char *path)
{
    static const char *const texts[] = {
        "\r\n\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02", "GET /a HTTP/9.9\r\n\r\n",
        "GET /a HTTP/1.1\r\nno colon\r\n\r\n", "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    /* Half a request may be left to the idle timeout. */
    const struct timeval patience = {.tv_usec = 200000};
    char room[4096];
    int answered = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int fd = dial(path);
        say(fd, texts[i]);
        shutdown(fd, SHUT_WR);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
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
            turn(&t, 1);
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
            turn(&t, 0);
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
