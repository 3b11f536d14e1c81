/* libfetta against a scripted daemon: leases, refusals, silence, nonsense and death.
 *
 * The daemon is a forked child that reads one request after another and answers as the script
 * says; it checks what it was asked, so that what the library sends is tested too. */
#include "fetta/fetta.h"

#include "base/str.h"
#include "base/time.h"
#include "tests/tap.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* One exchange: what the request must hold, and the bytes of the answer. */
struct step {
    const char *want;
    const char *say;
    int status;      /* > 0: wrap `say` as a body with this status */
    bool hang_up;    /* close the connection after it */
    bool silent;     /* never answer */
};

static char path[64];
static pid_t daemon_pid;
static int listener = -1;

static void read_request(int fd, char *room, size_t size)
{
    size_t n = 0;
    room[0] = '\0';
    for (;;) {
        char *end = strstr(room, "\r\n\r\n"), *length = strstr(room, "Content-Length: ");
        size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
        if (end && n >= (size_t)(end + 4 - room) + body)
            return;
        ssize_t more = recv(fd, room + n, size - 1 - n, 0);
        if (more <= 0) {
            room[0] = '\0';
            return;
        }
        n += (size_t)more;
        room[n] = '\0';
    }
}

static void answer(int fd, const struct step *s)
{
    struct str text = {0};
    if (s->status > 0)
        str_addf(&text, "HTTP/1.1 %d X\r\nFetta-Version: 9.9\r\nContent-Length: %zu\r\n\r\n",
                 s->status, strlen(s->say));
    str_add(&text, s->say);
    for (size_t at = 0; at < text.len; at += 1000) /* in pieces */
        send(fd, text.text + at, MIN((size_t)1000, text.len - at), MSG_NOSIGNAL);
    str_done(&text);
}

/* Plays the script; its exit status is the number of requests that were not as wanted. */
static int play(const struct step *s)
{
    char room[8192];
    int fd = -1, wrong = 0;
    for (; s->want; s++) {
        room[0] = '\0';
        if (fd >= 0)
            read_request(fd, room, sizeof room);
        if (!room[0]) { /* a new connection */
            close(fd);
            fd = accept(listener, NULL, NULL);
            read_request(fd, room, sizeof room);
        }
        wrong += !strstr(room, s->want);
        if (s->silent)
            pause();
        answer(fd, s);
        if (s->hang_up) {
            close(fd);
            fd = -1;
        }
    }
    return wrong;
}

static struct fetta *begin(const struct step *script)
{
    static unsigned number;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct fetta *f = NULL;
    struct fetta_error err;
    snprintf(path, sizeof path, "/tmp/fetta-lib-%d-%u", (int)getpid(), number++);
    str_copy(at.sun_path, sizeof at.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 8) < 0)
        return NULL;
    daemon_pid = fork();
    if (daemon_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(play(script));
    }
    close(listener);
    return fetta_open(path, &f, &err) == 0 ? f : NULL;
}

/* Ends the script's child; true if all it was asked was as wanted. */
static bool end(struct fetta *f, bool kill_it)
{
    int status;
    fetta_close(f);
    unlink(path);
    if (kill_it)
        kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, &status, 0);
    return kill_it || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define SLICE "{\"gpu\":3,\"gpu_uuid\":\"GPU-1\",\"profile\":\"1g.10gb\",\"uuid\":\"MIG-1\"," \
    "\"gi\":7,\"ci\":0,\"start\":4,\"memory_bytes\":10200547328,\"compute\":1,\"sms\":14}"
#define LEASE(state, more) "{\"lease\":{\"id\":12,\"revision\":3,\"state\":\"" state "\"," \
    "\"why\":null,\"owner\":\"uid:1000\",\"asked\":1795362000.25,\"ends\":null," \
    "\"grace\":30,\"confined\":true,\"exit_status\":null," \
    "\"new_field\":[1],\"position\":2,\"slices\":[" more "]}}"

TEST(a_lease_comes_goes_and_is_read_whole)
{
    static const struct step script[] = {
        {"{\"profile\":\"1g.10gb\",\"memory\":5,\"compute\":\"286/1000\",\"count\":2,\"for\":60,"
         "\"wait\":0,\"stay\":true,\"key\":\"job \\\"1\\\"\"}",
         LEASE("active", SLICE "," SLICE), 200},
        {"POST /v1/leases HTTP/1.1\r\n", LEASE("queued", ""), 202},
        {"GET /v1/leases/12?wait=granted&timeout=1 ", LEASE("queued", ""), 200},
        {"GET /v1/leases/12?wait=granted&timeout=3600 ", LEASE("active", SLICE), 200},
        {"POST /v1/leases/12/extend ", LEASE("active", SLICE), 200},
        {"\r\n\r\n{\"pid\":77}", LEASE("active", SLICE), 200},
        {"DELETE /v1/leases/12 ", LEASE("ending", SLICE), 200},
        {"DELETE /v1/leases?key=%61%2F%26 ", "{}", 200},
        {NULL, NULL},
    };
    struct fetta *f = begin(script);
    REQUIRE(f);
    struct fetta_error err;
    struct fetta_lease lease = {.size = sizeof lease};
    struct fetta_ask ask = {.size = sizeof ask, .profile = "1g.10gb", .memory_bytes = 5,
                            .compute_ppt = 286, .count = 2, .for_s = 60, .key = "job \"1\"",
                            .flags = FETTA_ASK_NOW | FETTA_ASK_STAY};
    CHECK_INT(fetta_lease_new(f, &ask, &lease, &err), ==, 0);
    CHECK(lease.id == 12 && lease.revision == 3 && lease.slice_n == 2 && lease.confined == 1);
    CHECK(lease.asked == 1795362000.25 && lease.ends == 0 && lease.exit_status == -1);
    CHECK_STR(lease.state, "active");
    CHECK_STR(lease.owner, "uid:1000");
    const struct fetta_slice *s = &lease.slices[1];
    CHECK(s->gpu == 3 && s->gi == 7 && s->ci == 0 && s->start == 4);
    CHECK(s->compute == 1 && s->sms == 14);
    CHECK_INT(s->memory_bytes, ==, 10200547328);
    CHECK_STR(s->uuid, "MIG-1");
    struct fetta_ask plain = {.size = sizeof plain, .flags = FETTA_ASK_ASYNC};
    CHECK_INT(fetta_lease_new(f, &plain, &lease, &err), ==, 1);
    CHECK_INT(lease.position, ==, 2);
    CHECK_INT(fetta_lease_wait(f, 12, "granted", 1, &lease, &err), ==, 1);
    CHECK_INT(fetta_lease_wait(f, 12, "granted", -1, &lease, &err), ==, 0);
    CHECK_INT(fetta_lease_extend(f, 12, 3600, NULL, &err), ==, 0);
    CHECK_INT(fetta_lease_attach(f, 12, 77, &err), ==, 0);
    CHECK_INT(fetta_lease_end(f, 12, &err), ==, 0);
    CHECK_INT(fetta_lease_end_key(f, "a/&", &err), ==, 0);
    CHECK(end(f, false));
}

TEST(refusals_keep_their_name_text_and_exit_status)
{
    static const struct step script[] = {
        {"", "{\"error\":{\"code\":\"no-fit\",\"text\":\"nothing is free\"}}", 409},
        {"", "{\"error\":{\"code\":\"from-the-future\",\"text\":\"no flux\"}}", 418},
        {"", "{\"error\":", 500},
        {"", "<html>", 502},
        {"", "[]", 200},
        {"", "{\"lease\":{\"id\":\"12\"}}", 200},
        {NULL, NULL},
    };
    struct fetta *f = begin(script);
    REQUIRE(f);
    struct fetta_error err;
    struct fetta_lease lease = {.size = sizeof lease};
    CHECK_INT(fetta_lease_get(f, 1, &lease, &err), <, 0);
    CHECK_STR(err.name, "no-fit");
    CHECK_STR(err.text, "nothing is free");
    CHECK_INT(err.exit_status, ==, 75);
    CHECK_INT(fetta_lease_get(f, 1, &lease, &err), <, 0);
    CHECK_STR(err.name, "from-the-future");
    CHECK_STR(err.text, "no flux");
    for (int i = 0; i < 2; i++) {
        CHECK_INT(fetta_lease_get(f, 1, &lease, &err), <, 0);
        CHECK_STR(err.name, "io");
        CHECK_HAS(err.text, "its version is 9.9");
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(fetta_lease_get(f, 1, &lease, &err), <, 0);
        CHECK_HAS(err.text, "holds no lease");
    }
    CHECK(end(f, false));
}

TEST(a_restarted_daemon_is_found_again_but_nothing_is_asked_twice)
{
    static const struct step script[] = {
        {"GET /a", "{}", 200, .hang_up = true},
        {"POST /b", "{\"n\":2}", 200},
        {"POST /c", "", 0, .hang_up = true}, /* dies with the request in its hands */
        {"GET /d", "{}", 200},
        {"GET /e", "", 0, .hang_up = true},
        {"GET /e", "{\"again\":1}", 200},
        {"GET /f", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half", 0, .hang_up = true},
        {"GET /g", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}surplus", 0},
        {"GET /h", "{}", 200},
        {NULL, NULL},
    };
    struct fetta *f = begin(script);
    REQUIRE(f);
    struct fetta_error err;
    char *body = NULL;
    CHECK_INT(fetta_request(f, "GET", "/a", NULL, -1, NULL, &err), ==, 0);
    usleep(20000);
    CHECK_INT(fetta_request(f, "POST", "/b", "{}", -1, &body, &err), ==, 0);
    CHECK_STR(body ? body : "", "{\"n\":2}");
    fetta_free(body);
    CHECK_INT(fetta_request(f, "POST", "/c", "{}", -1, &body, &err), <, 0);
    CHECK_HAS(err.text, "closed the connection before it had answered");
    CHECK(!body);
    CHECK_INT(fetta_request(f, "GET", "/d", NULL, -1, NULL, &err), ==, 0);
    CHECK_INT(fetta_request(f, "GET", "/e", NULL, -1, &body, &err), ==, 0);
    CHECK_STR(body ? body : "", "{\"again\":1}");
    fetta_free(body);
    CHECK_INT(fetta_request(f, "GET", "/f", NULL, -1, NULL, &err), <, 0);
    CHECK_INT(fetta_request(f, "GET", "/g", NULL, -1, NULL, &err), ==, 0);
    usleep(20000);
    CHECK_INT(fetta_request(f, "GET", "/h", NULL, -1, NULL, &err), ==, 0);
    CHECK(end(f, false));
}

static struct fetta *to_cancel;

static void on_alarm(int number)
{
    (void)number;
    fetta_cancel(to_cancel);
}

TEST(silence_ends_by_the_clock_or_by_a_signal)
{
    static const struct step script[] = {{"GET /a", "", 0, .silent = true}, {NULL, NULL}};
    struct fetta_error err;
    struct fetta *f = begin(script);
    REQUIRE(f);
    int64_t from = time_boot();
    CHECK_INT(fetta_request(f, "GET", "/a", NULL, 100, NULL, &err), <, 0);
    CHECK_STR(err.name, "timeout");
    CHECK_INT(time_boot() - from, >=, 100 * TIME_MS);
    CHECK_INT(time_boot() - from, <, 5 * TIME_S);
    CHECK(end(f, true));

    to_cancel = f = begin(script);
    REQUIRE(f);
    signal(SIGALRM, on_alarm);
    ualarm(50000, 0);
    CHECK_INT(fetta_request(f, "GET", "/a", NULL, -1, NULL, &err), <, 0);
    CHECK_INT(err.sys, ==, ECANCELED);
    CHECK_INT(fetta_request(f, "GET", "/a", NULL, -1, NULL, &err), <, 0);
    CHECK_INT(err.sys, ==, ECANCELED);
    CHECK(end(f, true));
}

static int seen(const char *json, void *arg)
{
    strncat(arg, json, 20);
    return strstr(json, "stop") ? 5 : 0;
}

TEST(events_come_line_by_line)
{
    static const struct step script[] = {
        {"GET /v1/events", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n"
         "9\r\n1}\n\n{\"b\":\r\n3\r\n2}\n\r\n0\r\n\r\n", 0},
        {"GET /v1/events", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "8\r\n\"stop\"\n\"\r\n", 0},
        {"GET /v1/events", "{\"error\":{\"code\":\"version\",\"text\":\"too new\"}}", 400},
        {NULL, NULL},
    };
    char all[128] = "";
    struct fetta_error err;
    struct fetta *f = begin(script);
    REQUIRE(f);
    CHECK_INT(fetta_events(f, "/v1/events", seen, all, &err), ==, 0);
    CHECK_STR(all, "{\"a\":1}{\"b\":2}");
    CHECK_INT(fetta_events(f, "/v1/events", seen, all, &err), ==, 5);
    CHECK_INT(fetta_events(f, "/v1/events", seen, all, &err), <, 0);
    CHECK_STR(err.name, "version");
    CHECK(end(f, false));
}

TEST(who_is_not_there_is_named_with_the_next_step)
{
    struct fetta *f = (struct fetta *)-1;
    struct fetta_error err;
    char long_path[200];
    CHECK_INT(fetta_open("/nonexistent/fetta.sock", &f, &err), <, 0);
    CHECK(!f);
    CHECK_STR(err.name, "no-daemon");
    CHECK_HAS(err.text, "no fettad at /nonexistent/fetta.sock; start it with 'systemctl start");
    CHECK_HAS(err.text, "fetta emulate dgx-a100 -- CMD");
    memset(long_path, 'x', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    CHECK_INT(fetta_open(long_path, &f, &err), <, 0);
    CHECK_STR(err.name, "invalid");
    setenv("FETTA_SOCKET", "/nonexistent/from-environment", 1);
    CHECK_INT(fetta_open(NULL, &f, &err), <, 0);
    CHECK_HAS(err.text, "/nonexistent/from-environment");
    unsetenv("FETTA_SOCKET");

    static const struct step script[] = {{NULL, NULL}};
    fetta_close(begin(script)); /* it has nothing to say and may be gone before one connects */
    waitpid(daemon_pid, NULL, 0);
    CHECK_INT(fetta_open(path, &f, &err), <, 0);
    CHECK_STR(err.name, "no-daemon");
    CHECK_HAS(err.text, "left behind");
    unlink(path);
}

/* What somebody who may not connect is told has `text` in it. */
static bool forbidden_says(const char *text)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct fetta *f;
        struct fetta_error err;
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        int rc = fetta_open(path, &f, &err);
        _exit(!(rc < 0 && strcmp(err.name, "no-permission") == 0 && strstr(err.text, text)));
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(a_forbidden_socket_names_the_group)
{
    static const struct step script[] = {{"never", "", 0, .silent = true}, {NULL, NULL}};
    struct fetta *f = begin(script);
    REQUIRE(f);
    fetta_close(f);
    chmod(path, 0);
    /* Joining root's group would be bad advice. */
    if (geteuid() == 0) {
        CHECK(forbidden_says("ask the administrator for access"));
        CHECK_INT(chown(path, (uid_t)-1, 1), ==, 0);
    }
    CHECK(forbidden_says("members of the group"));
    CHECK(end(NULL, true));
}

TEST(misuse_is_an_error_and_sizes_are_kept)
{
    static const struct step script[] = {
        {"", LEASE("active", SLICE), 200}, {"", LEASE("active", SLICE), 200}, {NULL, NULL}};
    struct fetta *f = begin(script);
    REQUIRE(f);
    struct fetta_error err;
    struct fetta_lease none = {0};
    struct fetta_ask ask = {0};
    CHECK_INT(fetta_lease_get(f, 1, &none, &err), <, 0);
    CHECK_STR(err.name, "invalid");
    none.size = sizeof none;
    CHECK_INT(fetta_lease_new(f, &ask, &none, &err), <, 0);
    CHECK_INT(fetta_lease_wait(f, 1, "born", 0, &none, &err), <, 0);
    CHECK_INT(fetta_lease_end_key(f, "", &err), <, 0);
    CHECK_INT(fetta_request(NULL, "GET", "/", NULL, 0, NULL, NULL), <, 0);
    CHECK_INT(fetta_request(f, "GET", "/a b", NULL, 0, NULL, &err), <, 0);
    CHECK_INT(fetta_request(f, "GET", "/a\r\nX: y", NULL, 0, NULL, &err), <, 0);
    CHECK_STR(err.name, "invalid");
    /* A newer caller's struct is larger: what we do not know must be zero, and stays untouched. */
    struct {
        struct fetta_ask ask;
        int more;
    } newer = {.ask = {.size = sizeof newer}, .more = 1};
    CHECK_INT(fetta_lease_new(f, &newer.ask, &none, &err), <, 0);
    CHECK_HAS(err.text, "older libfetta");
    newer.more = 0;
    CHECK_INT(fetta_lease_new(f, &newer.ask, &none, &err), ==, 0);
    struct {
        struct fetta_lease lease;
        int more;
    } wide = {.lease = {.size = sizeof wide}, .more = 42};
    CHECK_INT(fetta_lease_get(f, 1, &wide.lease, &err), ==, 0);
    CHECK(wide.more == 42 && wide.lease.size == sizeof wide && wide.lease.id == 12);
    CHECK(end(f, false));
    char *quoted = fetta_quote("a\"\n");
    CHECK_STR(quoted ? quoted : "", "\"a\\\"\\n\"");
    fetta_free(quoted);
    CHECK(!fetta_quote("\xff"));
    CHECK_STR(fetta_version(), FETTA_VERSION);
}

TAP_MAIN
