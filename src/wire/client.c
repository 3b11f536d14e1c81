/* One connection, one request at a time; see client.h.
 *
 * The descriptor's number never changes between open and close: a broken connection is shut
 * down and a new one takes its number (dup3). So client_cancel, which may run in a signal
 * handler or another thread at any moment, can never hit a descriptor that meanwhile belongs to
 * somebody else.
 *
 * Everything that comes in is judged as if an enemy had sent it: numbers have a strict form and
 * a limit, memory grows with what really arrived and not with what was announced. */
#include "wire/client.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { IN_ROOM = 64 << 10, INTERIM_MAX = 8 };

struct client {
    struct sockaddr_un at;
    int fd;
    bool live;             /* connected, and between two replies */
    atomic_bool cancelled;
    size_t from, to;       /* what of `in` is not read yet */
    size_t head;           /* bytes of heads and chunk sizes seen in this reply */
    char in[IN_ROOM];
};

/* One request on its way: what was said of the reply, and where its body goes. */
struct call {
    int64_t deadline;
    struct error *err;
    bool any;              /* a byte of the reply came */
    int status;
    bool chunked, sized, close;
    uint64_t size;
    char version[32];
    struct str body;       /* of the reply, or of the line under way */
    int (*line)(const char *text, void *arg);
    void *arg;
    int stopped;           /* what `line` returned */
};

static int no_group_access(const char *path, struct error *err)
{
    struct stat st;
    char dir[sizeof ((struct sockaddr_un *)0)->sun_path];
    bool known = stat(path, &st) == 0;
    if (!known && str_copy(dir, sizeof dir, path)) {
        char *slash = strrchr(dir, '/');
        if (slash && slash > dir)
            *slash = '\0';
        known = slash && stat(dir, &st) == 0;
    }
    struct group group, *found = NULL;
    char room[4096];
    /* Nobody is to join the group of root for this. */
    known = known && st.st_gid != 0;
    if (known && getgrgid_r(st.st_gid, &group, room, sizeof room, &found) == 0 && found)
        return error_set(err, ERROR_NO_PERMISSION,
                         "you may not connect to %s: it is for members of the group \"%s\"; ask "
                         "the administrator for 'usermod -aG %s USER', then log in again",
                         path, found->gr_name, found->gr_name);
    return error_set(err, ERROR_NO_PERMISSION,
                     "you may not connect to %s: ask the administrator for access to it", path);
}

static int connect_error(const char *path, int sys, struct error *err)
{
    switch (sys) {
    case ENOENT:
    case ENOTDIR:
        return error_set(err, ERROR_NO_DAEMON,
                         "no fettad at %s; start it with 'systemctl start fettad', or try 'fetta "
                         "emulate dgx-a100 -- CMD' without a GPU", path);
    case ECONNREFUSED:
        return error_set(err, ERROR_NO_DAEMON,
                         "nobody listens at %s, which a fettad that is gone left behind; start it "
                         "with 'systemctl start fettad'", path);
    case EACCES:
    case EPERM:
        return no_group_access(path, err);
    case EAGAIN:
        return error_set(err, ERROR_TIMEOUT,
                         "fettad at %s accepts no connection for %d s; see 'systemctl status "
                         "fettad'", path, CLIENT_CONNECT_MS / 1000);
    default:
        return error_errno(err, ERROR_IO, sys, "cannot connect to %s", path);
    }
}

static int cancelled(struct error *err)
{
    error_set(err, ERROR_IO, "the request was given up");
    if (err)
        err->sys = ECANCELED;
    return -ERROR_IO;
}

static int link_up(struct client *c, struct error *err)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a socket");
    /* connect waits as long as sending may; afterwards nothing here blocks but poll. */
    struct timeval most = {.tv_sec = CLIENT_CONNECT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    int rc;
    do
        rc = connect(fd, (struct sockaddr *)&c->at, sizeof c->at);
    while (rc < 0 && errno == EINTR && !atomic_load(&c->cancelled));
    if (rc < 0 && errno != EINTR)
        return connect_error(c->at.sun_path, errno, err);
    if (c->fd < 0) {
        c->fd = fd;
        fd = -1;
    } else if (dup3(fd, c->fd, O_CLOEXEC) < 0) {
        return error_errno(err, ERROR_IO, errno, "cannot renew the connection to %s",
                           c->at.sun_path);
    }
    c->live = true;
    c->from = c->to = 0;
    return atomic_load(&c->cancelled) ? cancelled(err) : 0;
}

static void link_down(struct client *c)
{
    c->live = false;
    shutdown(c->fd, SHUT_RDWR);
}

int client_open(const char *path, struct client **ret, struct error *err)
{
    *ret = NULL;
    struct client *c = malloc(sizeof *c);
    if (!c)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a connection");
    c->at = (struct sockaddr_un){.sun_family = AF_UNIX};
    c->fd = -1;
    c->live = false;
    atomic_init(&c->cancelled, false);
    int rc = 0;
    if (!path[0] || !str_copy(c->at.sun_path, sizeof c->at.sun_path, path))
        rc = error_set(err, ERROR_INVALID,
                       "\"%.60s\" cannot be a socket: its path must have 1 to %zu bytes", path,
                       sizeof c->at.sun_path - 1);
    if (rc == 0)
        rc = link_up(c, err);
    if (rc < 0) {
        client_close(c);
        return rc;
    }
    *ret = c;
    return 0;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    fd_close(c->fd);
    free(c);
}

void client_cancel(struct client *c)
{
    int keep = errno;
    atomic_store(&c->cancelled, true);
    shutdown(c->fd, SHUT_RDWR);
    errno = keep;
}

/* Waits until the socket is ready for `events`; signals only interrupt to look for
 * client_cancel. */
static int ready(struct client *c, struct call *k, short events)
{
    for (;;) {
        if (atomic_load(&c->cancelled))
            return cancelled(k->err);
        int wait = -1;
        if (k->deadline != TIME_NEVER) {
            int64_t left = k->deadline - time_boot();
            if (left <= 0)
                return error_set(k->err, ERROR_TIMEOUT, "no answer from fettad at %s in time",
                                 c->at.sun_path);
            wait = (int)MIN((left + TIME_MS - 1) / TIME_MS, INT32_MAX);
        }
        struct pollfd p = {.fd = c->fd, .events = events};
        int n = poll(&p, 1, wait);
        if (n > 0)
            return atomic_load(&c->cancelled) ? cancelled(k->err) : 0;
        if (n < 0 && errno != EINTR)
            return error_errno(k->err, ERROR_IO, errno, "cannot wait for fettad at %s",
                               c->at.sun_path);
    }
}

/* Sends all. A daemon that stopped reading may still have answered, so a broken pipe is no error
 * here: reading finds out. */
static int send_all(struct client *c, struct call *k, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done >= 0) {
            bytes += done;
            n -= (size_t)done;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET)
            return 0;
        if (errno != EAGAIN && errno != EINTR)
            return error_errno(k->err, ERROR_IO, errno, "cannot write to fettad at %s",
                               c->at.sun_path);
        int rc = ready(c, k, POLLOUT);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int ended_early(struct client *c, struct call *k)
{
    if (atomic_load(&c->cancelled))
        return cancelled(k->err);
    return error_set(k->err, ERROR_IO,
                     "fettad at %s closed the connection before it had answered; it may be "
                     "restarting, see 'systemctl status fettad'", c->at.sun_path);
}

static int bad_reply(struct client *c, struct call *k, const char *what)
{
    return error_set(k->err, ERROR_IO, "what answers at %s is no fettad: %s", c->at.sun_path, what);
}

/* Reads more into `in`, which must have room once compacted. 1 more came, 0 end of file. */
static int fill(struct client *c, struct call *k)
{
    if (c->from == c->to)
        c->from = c->to = 0;
    if (c->to == IN_ROOM && c->from > 0) {
        memmove(c->in, c->in + c->from, c->to - c->from);
        c->to -= c->from;
        c->from = 0;
    }
    if (c->to == IN_ROOM)
        return bad_reply(c, k, "a line without an end");
    for (;;) {
        ssize_t n = recv(c->fd, c->in + c->to, IN_ROOM - c->to, MSG_DONTWAIT);
        if (n >= 0) {
            c->to += (size_t)n;
            k->any = k->any || n > 0;
            return n > 0;
        }
        if (errno == ECONNRESET)
            return 0;
        if (errno != EAGAIN && errno != EINTR)
            return error_errno(k->err, ERROR_IO, errno, "cannot read from fettad at %s",
                               c->at.sun_path);
        int rc = ready(c, k, POLLIN);
        if (rc < 0)
            return rc;
    }
}

/* The next line of a head, ended by CR LF, zero-terminated in place. It lives until the next
 * read. */
static int head_line(struct client *c, struct call *k, char **ret)
{
    size_t seen = 0;
    for (;;) {
        char *start = c->in + c->from;
        size_t have = c->to - c->from;
        char *end = have > seen ? memchr(start + seen, '\n', have - seen) : NULL;
        if (c->head + (end ? (size_t)(end - start) : have) > CLIENT_HEAD_MAX)
            return bad_reply(c, k, "its headers are too long");
        if (end) {
            size_t n = (size_t)(end - start);
            c->from += n + 1;
            c->head += n + 1;
            if (n == 0 || end[-1] != '\r' || memchr(start, '\0', n))
                return bad_reply(c, k, "a line of its headers ends wrongly");
            end[-1] = '\0';
            *ret = start;
            return 0;
        }
        seen = have;
        int rc = fill(c, k);
        if (rc <= 0)
            return rc < 0 ? rc : ended_early(c, k);
    }
}

/* Digits of `base` alone, at most `most`. */
static bool number(const char *text, unsigned base, uint64_t most, uint64_t *ret)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit;
        if (*text >= '0' && *text <= '9')
            digit = (unsigned)(*text - '0');
        else if (base == 16 && (*text | 0x20) >= 'a' && (*text | 0x20) <= 'f')
            digit = (unsigned)((*text | 0x20) - 'a' + 10);
        else
            return false;
        value = value * base + digit;
        if (value > most)
            return false;
    }
    *ret = value;
    return true;
}

static int status_line(struct client *c, struct call *k)
{
    char *line;
    int rc = head_line(c, k, &line);
    if (rc < 0)
        return rc;
    uint64_t status;
    char digits[4];
    if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
        return bad_reply(c, k, "it does not speak HTTP/1.1");
    str_copy(digits, sizeof digits, line + 9);
    if (!number(digits, 10, 599, &status) || status < 100 || (line[12] != ' ' && line[12] != '\0'))
        return bad_reply(c, k, "its status is no number from 100 to 599");
    k->status = (int)status;
    k->close = line[7] == '0';
    k->chunked = k->sized = false;
    k->size = 0;
    return 0;
}

static int header(struct client *c, struct call *k, const char *name, const char *value)
{
    if (strcasecmp(name, "content-length") == 0) {
        uint64_t size;
        if (!number(value, 10, CLIENT_BODY_MAX, &size))
            return bad_reply(c, k, "its Content-Length is no number or above 64 MiB");
        if (k->sized && size != k->size)
            return bad_reply(c, k, "it has two Content-Lengths");
        k->sized = true;
        k->size = size;
    } else if (strcasecmp(name, "transfer-encoding") == 0) {
        if (strcasecmp(value, "chunked") != 0 || k->chunked)
            return bad_reply(c, k, "its Transfer-Encoding is not \"chunked\"");
        k->chunked = true;
    } else if (strcasecmp(name, "connection") == 0) {
        k->close = k->close || strcasecmp(value, "close") == 0;
    } else if (strcasecmp(name, "fetta-version") == 0) {
        str_copy(k->version, sizeof k->version, value);
    }
    return 0;
}

/* The headers up to and with the empty line. */
static int headers(struct client *c, struct call *k, bool heed)
{
    for (;;) {
        char *line;
        int rc = head_line(c, k, &line);
        if (rc < 0)
            return rc;
        if (!*line)
            return 0;
        char *colon = strchr(line, ':');
        if (!colon || strcspn(line, " \t") < (size_t)(colon - line) || colon == line)
            return bad_reply(c, k, "a header of it has no name");
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " \t");
        size_t n = strlen(value);
        while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
            value[--n] = '\0';
        rc = heed ? header(c, k, line, value) : 0;
        if (rc < 0)
            return rc;
    }
}

static int lines(struct client *c, struct call *k, const char *bytes, size_t n)
{
    while (n > 0 && !k->stopped) {
        const char *end = memchr(bytes, '\n', n);
        size_t part = end ? (size_t)(end - bytes) : n;
        if (k->body.len + part > CLIENT_LINE_MAX)
            return bad_reply(c, k, "a line of its stream is too long");
        str_add_n(&k->body, bytes, part);
        if (k->body.failed)
            return error_set(k->err, ERROR_NO_MEMORY, "no memory for a line of %zu bytes", part);
        bytes += part;
        n -= part;
        if (!end)
            continue;
        bytes++;
        n--;
        if (k->body.len > 0)
            k->stopped = k->line(k->body.text, k->arg);
        k->body.len = 0;
    }
    return 0;
}

static int take(struct client *c, struct call *k, const char *bytes, size_t n)
{
    if (k->line && k->status == 200)
        return lines(c, k, bytes, n);
    if (k->body.len + n > CLIENT_BODY_MAX)
        return bad_reply(c, k, "its reply is above 64 MiB");
    str_add_n(&k->body, bytes, n);
    if (k->body.failed)
        return error_set(k->err, ERROR_NO_MEMORY, "no memory for a reply of %zu bytes",
                         k->body.len + n);
    return 0;
}

/* Takes `n` bytes of body, or all there are before the end of file if `open_end`. */
static int span(struct client *c, struct call *k, uint64_t n, bool open_end)
{
    while ((n > 0 || open_end) && !k->stopped) {
        if (c->from == c->to) {
            int rc = fill(c, k);
            if (rc == 0 && open_end)
                return 0;
            if (rc <= 0)
                return rc < 0 ? rc : ended_early(c, k);
        }
        size_t part = c->to - c->from;
        if (!open_end)
            part = (size_t)MIN((uint64_t)part, n);
        int rc = take(c, k, c->in + c->from, part);
        if (rc < 0)
            return rc;
        c->from += part;
        n -= part;
    }
    return 0;
}

static int chunks(struct client *c, struct call *k)
{
    for (;;) {
        char *line;
        uint64_t n;
        c->head = 0;
        int rc = head_line(c, k, &line);
        if (rc < 0)
            return rc;
        if (strlen(line) > 8 || !number(line, 16, CLIENT_BODY_MAX, &n))
            return bad_reply(c, k, "the size of a chunk is no number or above 64 MiB");
        if (n == 0)
            return headers(c, k, false);
        rc = span(c, k, n, false);
        if (rc < 0 || k->stopped)
            return rc;
        rc = head_line(c, k, &line);
        if (rc == 0 && *line)
            rc = bad_reply(c, k, "a chunk is longer than its size");
        if (rc < 0)
            return rc;
    }
}

static int read_reply(struct client *c, struct call *k)
{
    int interim = 0;
    c->head = 0;
    do {
        int rc = status_line(c, k);
        if (rc == 0)
            rc = headers(c, k, true);
        if (rc < 0)
            return rc;
        if (interim++ > INTERIM_MAX || k->status == 101)
            return bad_reply(c, k, "it answers with no end");
    } while (k->status < 200);
    if (k->chunked && k->sized)
        return bad_reply(c, k, "it has a Content-Length and chunks");
    if (k->status == 204 || k->status == 304)
        return 0;
    if (k->chunked)
        return chunks(c, k);
    k->close = k->close || !k->sized;
    return span(c, k, k->size, !k->sized);
}

/* True if the daemon closed the connection while it lay idle, or said what nobody had asked. */
static bool stale(struct client *c)
{
    char byte;
    return !c->live || c->from != c->to ||
           !(recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static int exchange(struct client *c, struct call *k, const struct str *request, bool twice)
{
    bool fresh = stale(c);
    int rc = 0;
    if (atomic_load(&c->cancelled))
        return cancelled(k->err);
    if (fresh)
        rc = link_up(c, k->err);
    if (rc == 0)
        rc = send_all(c, k, request->text, request->len);
    if (rc == 0)
        rc = read_reply(c, k);
    if (rc == 0 && !k->close && !k->stopped)
        return 0;
    link_down(c);
    if (rc == -ERROR_IO && !fresh && !k->any && twice && !atomic_load(&c->cancelled)) {
        rc = link_up(c, k->err);
        return rc < 0 ? rc : exchange(c, k, request, false);
    }
    return rc;
}

static bool plain_word(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p <= ' ' || *p == 0x7f)
            return false;
    }
    return *text != '\0';
}

static int call(struct client *c, const char *method, const char *target, const char *body,
                size_t size, struct call *k)
{
    if (!plain_word(method) || target[0] != '/' || !plain_word(target))
        return error_set(k->err, ERROR_INVALID,
                         "\"%.60s\" cannot be asked for: a path begins with / and has no blanks",
                         target);
    AUTO_STR struct str request = {0};
    str_addf(&request, "%s %s HTTP/1.1\r\nHost: fetta\r\nFetta-Version: %s\r\n", method, target,
             FETTA_VERSION);
    if (body)
        str_addf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", size);
    else if (strcmp(method, "POST") == 0)
        str_add(&request, "Content-Length: 0\r\n");
    str_add(&request, "\r\n");
    if (body)
        str_add_n(&request, body, size);
    if (request.failed)
        return error_set(k->err, ERROR_NO_MEMORY, "no memory for a request of %zu bytes", size);
    return exchange(c, k, &request, strcmp(method, "GET") == 0);
}

/* Hands the reply out of `k`, which is done then. */
static int finish(struct call *k, int rc, struct client_reply *ret)
{
    *ret = (struct client_reply){.status = k->status};
    str_copy(ret->version, sizeof ret->version, k->version);
    if (rc == 0) {
        ret->size = k->body.len;
        str_add(&k->body, ""); /* an empty body is a text too */
        ret->body = str_take(&k->body);
        if (!ret->body)
            rc = error_set(k->err, ERROR_NO_MEMORY, "no memory for a reply");
    }
    str_done(&k->body);
    return rc;
}

int client_request(struct client *c, const char *method, const char *target, const char *body,
                   size_t size, int timeout_ms, struct client_reply *ret, struct error *err)
{
    struct call k = {.err = err, .deadline = TIME_NEVER};
    if (timeout_ms >= 0)
        k.deadline = time_boot() + timeout_ms * TIME_MS;
    int rc = call(c, method, target, body, size, &k);
    return finish(&k, rc, ret);
}

int client_stream(struct client *c, const char *target,
                  int (*line)(const char *text, void *arg), void *arg, struct client_reply *ret,
                  struct error *err)
{
    struct call k = {.err = err, .deadline = TIME_NEVER, .line = line, .arg = arg};
    int rc = call(c, "GET", target, NULL, 0, &k);
    if (k.status == 200)
        k.body.len = 0;
    rc = finish(&k, rc, ret);
    return rc < 0 ? rc : k.stopped;
}
