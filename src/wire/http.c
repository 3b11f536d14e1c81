/* The HTTP server around libmicrohttpd; see http.h.
 *
 * One epoll set of ours holds the listening socket, libmicrohttpd's own epoll descriptor, a
 * timer and the sockets of requests that wait. libmicrohttpd takes a suspended connection out
 * of its set, so watching the same socket in ours is the only way to hear that the client has
 * gone. Requests are freed in one place, where libmicrohttpd says that it is done with them,
 * and a run handles the watched sockets before it lets libmicrohttpd free anything: no event
 * can meet a freed request. */
#include "wire/http_inside.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    EVENTS = 64,
    ROUNDS = 16,               /* of libmicrohttpd in one run */
    CONNECTION_MEMORY = 16 << 10,
};

/* Which event it is; anything above is a request's address. */
enum { TAG_LISTEN = 1, TAG_HTTP, TAG_TIMER, TAG_WAKE, TAG_HALF, TAG_N };

/* Counts connections by user. */
static struct http_user *user_of(struct http_server *s, uid_t uid)
{
    struct http_user *vacant = NULL;
    for (unsigned i = 0; i < s->user_n; i++) {
        if (s->users[i].connections > 0 && s->users[i].uid == uid)
            return &s->users[i];
        if (s->users[i].connections == 0 && !vacant)
            vacant = &s->users[i];
    }
    if (!vacant && s->user_n < ARRAY_LEN(s->users))
        vacant = &s->users[s->user_n++];
    if (vacant)
        *vacant = (struct http_user){.uid = uid};
    return vacant;
}

static void unlink_half(struct http_server *s, const struct http_connection *c)
{
    for (struct http_connection **at = &s->half; *at; at = &(*at)->next) {
        if (*at != c)
            continue;
        *at = c->next;
        return;
    }
}

static void opened(struct http_server *s, struct http_connection *c, int fd)
{
    struct epoll_event e = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};
    struct ucred peer;
    socklen_t size = sizeof peer;
    *c = (struct http_connection){.fd = fd};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        c->user = user_of(s, peer.uid);
    if (c->user)
        c->user->connections++;
    /* Without it, a half request stays until it has idled for too long. */
    (void)epoll_ctl(s->halves, EPOLL_CTL_ADD, fd, &e);
}

static void closed(struct http_server *s, struct http_connection *c)
{
    if (c->user)
        c->user->connections--;
    if (c->half)
        unlink_half(s, c);
    (void)epoll_ctl(s->halves, EPOLL_CTL_DEL, c->fd, NULL);
    *c = (struct http_connection){.next = s->vacant, .fd = -1};
    s->vacant = c;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **slot,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = cls;
    struct http_connection *c = *slot;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        s->connections--;
        if (c)
            closed(s, c);
        return;
    }
    s->connections++;
    *slot = c = s->vacant; /* libmicrohttpd takes no more than there are */
    if (!c)
        return;
    s->vacant = c->next;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    opened(s, c, fd);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX in place. %00 stays as it is: a path must not end earlier for us than for others. */
static size_t on_unescape(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    char *to = text;
    for (const char *from = text; *from; from++) {
        int high = from[0] == '%' ? hex(from[1]) : -1;
        int low = high >= 0 ? hex(from[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

static bool add(struct http_server *s, int fd, uint64_t tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static int start(struct http_server *s, struct error *err)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->halves = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0 || s->timer < 0 || s->wake < 0 || s->halves < 0)
        return error_errno(err, ERROR_IO, errno, "cannot watch the daemon's socket");
    s->no_memory = http_request_error(ERROR_NO_MEMORY, "fettad has no memory left for this answer");
    s->http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
        http_request_access, s, MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape,
        NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)ARRAY_LEN(s->users),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!s->http || !s->no_memory)
        return error_set(err, ERROR_NO_MEMORY, "cannot start the HTTP server");
    int http = MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    s->listening = add(s, s->listener, TAG_LISTEN);
    if (!s->listening || !add(s, http, TAG_HTTP) || !add(s, s->timer, TAG_TIMER) ||
        !add(s, s->wake, TAG_WAKE) || !add(s, s->halves, TAG_HALF))
        return error_errno(err, ERROR_IO, errno, "cannot watch the daemon's socket");
    return 0;
}

int http_server_new(int listen_fd, const struct http_handler *h, void *arg,
                    struct http_server **ret, struct error *err)
{
    *ret = NULL;
    int flags = fcntl(listen_fd, F_GETFL);
    if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot listen on descriptor %d", listen_fd);
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the HTTP server");
    s->handler = *h;
    s->arg = arg;
    s->listener = listen_fd;
    s->epoll = s->timer = s->wake = s->halves = -1;
    for (size_t i = ARRAY_LEN(s->open); i-- > 0;) {
        s->open[i] = (struct http_connection){.next = s->vacant, .fd = -1};
        s->vacant = &s->open[i];
    }
    int rc = start(s, err);
    if (rc < 0)
        http_server_free(s);
    else
        *ret = s;
    return rc;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    s->stopping = true;
    for (struct http_request *r = s->first; r; r = r->next) {
        http_request_gone(r);
        http_request_resume(r);
    }
    if (s->http)
        MHD_stop_daemon(s->http);
    if (s->no_memory)
        MHD_destroy_response(s->no_memory);
    fd_close(s->timer);
    fd_close(s->wake);
    fd_close(s->halves);
    fd_close(s->epoll);
    free(s);
}

int http_server_fd(const struct http_server *s)
{
    return s->epoll;
}

unsigned http_server_connections(const struct http_server *s)
{
    return s->connections;
}

unsigned http_server_waiting(const struct http_server *s)
{
    return s->waiting;
}

static void arm(struct http_server *s, uint64_t ms)
{
    struct itimerspec at = {0};
    at.it_value.tv_sec = (time_t)(ms / 1000);
    at.it_value.tv_nsec = (long)(ms % 1000) * 1000000L;
    timerfd_settime(s->timer, 0, &at, NULL);
    s->armed = ms > 0;
}

/* Stops listening for a second when descriptors have run out; else the loop would spin on a socket
 * that stays readable. */
static void pause_listening(struct http_server *s)
{
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
    s->listening = false;
    arm(s, 1000);
}

static bool too_many(struct http_server *s, int fd)
{
    static const char busy[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        "Fetta-Version: " FETTA_VERSION "\r\nConnection: close\r\n\r\n"
        "{\"error\": {\"code\": \"in-use\", \"text\": \"too many connections to fettad are open: "
        "close some, then repeat\"}}";
    struct ucred peer;
    socklen_t size = sizeof peer;
    bool full = s->connections >= HTTP_CONNECTIONS;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid != 0 &&
        peer.uid != geteuid()) {
        const struct http_user *u = user_of(s, peer.uid);
        full = full || !u || u->connections >= HTTP_CONNECTIONS_USER;
    }
    if (full)
        (void)send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    return full;
}

static void accept_some(struct http_server *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    for (int i = 0; i < HTTP_ACCEPT_BATCH; i++) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            if (errno != EAGAIN)
                pause_listening(s);
            return;
        }
        if (too_many(s, fd))
            fd_close(fd);
        else /* closes it if it fails */
            MHD_add_connection(s->http, fd, (struct sockaddr *)&at, sizeof at);
    }
}

static void note_halves(struct http_server *s)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(s->halves, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct http_connection *c = events[i].data.ptr;
        c->half = true;
        c->next = s->half;
        s->half = c;
    }
}

/* Whether all that the client sent is read, and yet no whole request of it is under way. */
static bool never_whole(const struct http_server *s, const struct http_connection *c)
{
    int unread = 0;
    if (ioctl(c->fd, FIONREAD, &unread) < 0 || unread > 0)
        return false;
    for (const struct http_request *r = s->first; r; r = r->next) {
        if (r->fd == c->fd)
            return r->state == STATE_READING;
    }
    return true;
}

/* Nothing more comes from who shut his sending side, so what is not a request by now never will
 * be; libmicrohttpd would wait for the rest of it until it has idled for too long. */
static void close_halves(struct http_server *s)
{
    struct http_connection *c = s->half;
    while (c) {
        struct http_connection *next = c->next;
        if (never_whole(s, c)) {
            unlink_half(s, c);
            c->half = false;
            (void)shutdown(c->fd, SHUT_RDWR);
        }
        c = next;
    }
}

/* Lets libmicrohttpd work until it has nothing left to do, and sees to its timeouts. */
static void run_http(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms = 0;
    enum MHD_Result due = MHD_YES;
    for (int i = 0; i < ROUNDS && due == MHD_YES && ms == 0; i++) {
        MHD_run(s->http);
        due = MHD_get_timeout(s->http, &ms);
    }
    if (s->half && !(due == MHD_YES && ms == 0))
        close_halves(s);
    if (!s->listening)
        return; /* the timer is in use, and short */
    if (due != MHD_YES && s->armed)
        arm(s, 0);
    else if (due == MHD_YES && (!s->armed || ms == 0))
        arm(s, MAX(ms, 1));
}

static void timer_fired(struct http_server *s)
{
    uint64_t times;
    (void)!read(s->timer, &times, sizeof times);
    s->armed = false;
    if (!s->listening)
        s->listening = add(s, s->listener, TAG_LISTEN);
    if (!s->listening)
        arm(s, 1000);
}

void http_server_run(struct http_server *s)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(s->epoll, events, EVENTS, 0);
    bool calling = false;
    eventfd_t times;
    s->running = true;
    if (s->woken)
        s->woken = eventfd_read(s->wake, &times) < 0;
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 < TAG_N) {
            calling = calling || events[i].data.u64 == TAG_LISTEN;
            if (events[i].data.u64 == TAG_HALF)
                note_halves(s);
            if (events[i].data.u64 == TAG_TIMER)
                timer_fired(s);
            continue;
        }
        struct http_request *r = (struct http_request *)(uintptr_t)events[i].data.u64;
        if (!r->watched)
            continue;
        bool stream = r->state == STATE_STREAM;
        http_request_gone(r);
        if (stream)
            shutdown(r->fd, SHUT_RDWR); /* it may be stuck in sending, not suspended */
        http_request_resume(r);
    }
    if (calling)
        accept_some(s);
    run_http(s);
    s->running = false;
}
