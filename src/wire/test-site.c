/* The test's server and its clients; what each call is for stands in test-site.h. */
#include "wire/test-site.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

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
        str_copy(t->last, sizeof t->last, s.text ? s.text : "");
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

bool site_open(struct site *t)
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

void site_close(struct site *t)
{
    http_server_free(t->server);
    http_page_unref(t->page);
    close(t->listener);
    unlink(t->path);
}

/* One turn of a loop that waits at most `ms`. */
bool site_turn(struct site *t, int ms)
{
    struct pollfd p = {.fd = http_server_fd(t->server), .events = POLLIN};
    bool due = poll(&p, 1, ms) > 0;
    if (due)
        http_server_run(t->server);
    return due;
}

/* Runs `client` in a child; its status is what it returns. */
pid_t start(struct site *t, int (*client)(const char *path))
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
int serve_child(struct site *t, pid_t pid)
{
    int status;
    for (int64_t until = time_boot() + 20 * TIME_S; time_boot() < until;) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
        site_turn(t, 2);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

int dial(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    str_copy(at.sun_path, sizeof at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fd : -1;
}

bool say(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

/* Reads until `want` occurred or the end of file. */
bool hear(int fd, char *room, size_t size, const char *want)
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

int ask(struct client *c, const char *method, const char *target, const char *body,
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

int many_requests(const char *path)
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
