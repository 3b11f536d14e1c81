/* Clients, their connections and what waits for later: see server.h.
 *
 * No client can make the loop wait. A connection has one request in flight; one that sends another
 * meanwhile, sends anything that is not a request, or does not fetch its replies, is closed. Calls
 * that take time (fault rules, latencies, waiting for events) are parked with the instant of the
 * machine's clock at which they go on. */
#include "emud/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "emud/answer.h"
#include "emud/calls_work.h"
#include "emud/caps.h"
#include "emud/control.h"
#include "emud/listen.h"
#include "emud/page.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { QUIET_MS = 2 }; /* how long nothing happens before a virtual clock jumps */

enum phase {
    PHASE_IDLE,   /* waits for a request */
    PHASE_HANG,   /* the request waits for somebody to clear the fault, or until `due` */
    PHASE_BEFORE, /* the request waits to be carried out */
    PHASE_AFTER,  /* the answer waits to be sent */
    PHASE_EVENT,  /* nvmlEventSetWait: waits for an event, or until `due` */
};

struct client {
    struct client *prev, *next;
    int fd;
    bool greeted, gone;
    bool entered;                /* is a session of the box */
    enum phase phase;
    int64_t due;
    struct fault_verdict verdict;
    struct emu_request request;
    struct answer *late;         /* PHASE_AFTER */
    struct control_plan plan;
    struct box_session session;
    uint64_t seen;               /* events up to here are past */
    uint64_t *types;             /* event types wanted, by GPU; NULL before any was */
};

struct server {
    struct trouble *trouble;
    struct box *box; /* of trouble */
    const char *path;
    struct tree *files; /* NULL for none */
    uint64_t followed;  /* events that the files show */
    struct page page;
    uint64_t paged; /* events that the page has told of */
    int epoll, listener, signals;
    int64_t next; /* the next instant at which something goes on by itself */
    int64_t back; /* > 0: the driver is unloaded until then */
    bool deaf;        /* out of descriptors: not accepting until a client goes */
    unsigned parked;  /* clients in another phase than idle */
    bool hurry;       /* a call takes time, so that a virtual clock may jump */
    uint64_t told;    /* events that the waiting clients have been told about */
    struct client *first;
    struct answer answer;
};

static void set_phase(struct server *s, struct client *c, enum phase phase, int64_t due)
{
    s->parked += (phase != PHASE_IDLE) - (c->phase != PHASE_IDLE);
    c->phase = phase;
    c->due = due;
}

/* Disconnecting only marks: the turn may still hold events of the same client. */
static void drop(struct server *s, struct client *c)
{
    if (c->gone)
        return;
    c->gone = true;
    set_phase(s, c, PHASE_IDLE, 0);
    if (c->entered)
        box_leave(s->box, &c->session);
    c->fd = fd_close(c->fd);
    if (s->deaf && s->listener >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &s->listener};
        s->deaf = epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) < 0;
    }
}

static void bury(struct server *s)
{
    for (struct client *c = s->first, *next; c; c = next) {
        next = c->next;
        if (!c->gone)
            continue;
        if (c->prev)
            c->prev->next = next;
        else
            s->first = next;
        if (next)
            next->prev = c->prev;
        free(c->types);
        free(c->late);
        free(c->plan.bytes);
        free(c);
    }
}

/* Shows in the files what a call has changed, before anybody is told that it did. */
static void follow(struct server *s)
{
    struct error err;
    if (!s->files || s->followed == s->box->event_n)
        return;
    s->followed = s->box->event_n;
    if (tree_follow(s->files, &s->box->m, &err) < 0)
        log_warn("%s", err.text);
}

/* Lets clients forget what they have kept, once something has happened to the machine. */
static void forget(struct server *s, bool changed)
{
    if (changed || s->paged != s->box->event_n)
        page_bump(&s->page);
    s->paged = s->box->event_n;
}

/* A reply to a session's hello brings the page. */
static ssize_t send_frame(struct server *s, struct client *c, const struct answer *a, size_t size)
{
    if (a->head.call == EMU_HELLO && c->entered && c->request.arg[0] == EMU_HELLO_SESSION)
        return page_send(&s->page, c->fd, a, size);
    return send(c->fd, a, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_answer(struct server *s, struct client *c, struct answer *a)
{
    follow(s);
    set_phase(s, c, PHASE_IDLE, 0);
    a->head.size = a->head.status == 0 || a->head.call == NVML_CALL_nvmlDeviceSetMigMode
                       ? a->head.size
                       : 0;
    size_t size = sizeof a->head + a->head.size;
    if (send_frame(s, c, a, size) != (ssize_t)size)
        drop(s, c);
}

static struct client *client_of(struct box_session *session)
{
    return (struct client *)((char *)session - offsetof(struct client, session));
}

int emud_nvmlDeviceRegisterEvents(struct ask *k)
{
    struct client *c = client_of(k->session);
    const unsigned long long known = nvmlEventTypeXidCriticalError | nvmlEventMigConfigChange;
    if (k->at.ci != BOX_ANY || (k->request->arg[1] & ~known))
        return NVML_ERROR_NOT_SUPPORTED;
    if (!c->types && !(c->types = calloc(MACHINE_GPUS, sizeof *c->types)))
        return NVML_ERROR_MEMORY;
    c->types[k->at.gpu] |= k->request->arg[1];
    return NVML_SUCCESS;
}

/* The old layout is the beginning of the new one. */
int emud_nvmlEventSetWait(struct ask *k)
{
    int status = emud_nvmlEventSetWait_v2(k);
    k->answer->head.size = MIN(k->answer->head.size, (uint32_t)sizeof(nvmlEventData_v1_t));
    return status;
}

/* Answers with the next event the set wants, NVML_ERROR_TIMEOUT if there is none yet. */
int emud_nvmlEventSetWait_v2(struct ask *k)
{
    struct client *c = client_of(k->session);
    if (k->box->event_n - c->seen > BOX_EVENTS)
        c->seen = k->box->event_n - BOX_EVENTS;
    while (c->seen < k->box->event_n) {
        const struct box_event *e = &k->box->events[c->seen++ % BOX_EVENTS];
        uint64_t type =
            e->kind == BOX_EVENT_XID ? nvmlEventTypeXidCriticalError : nvmlEventMigConfigChange;
        if (!c->types || !(c->types[e->gpu] & type))
            continue;
        struct target at = {e->gpu, BOX_ANY, BOX_ANY};
        nvmlEventData_t data = {.device = (nvmlDevice_t)(uintptr_t)answer_device(k->box, at),
                                .eventType = type,
                                .eventData = e->data,
                                .gpuInstanceId = (unsigned)e->gi,
                                .computeInstanceId = (unsigned)e->ci};
        return answer_put(k, &data, sizeof data);
    }
    return NVML_ERROR_TIMEOUT;
}

static int hello(struct server *s, struct client *c)
{
    if (c->greeted)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (c->request.arg[1] != NVML_CALL_N)
        return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    c->greeted = true;
    c->entered = true;
    c->seen = s->box->event_n;
    box_enter(s->box, &c->session);
    return NVML_SUCCESS;
}

/* Keeps a finished answer until its time has come. */
static void send_later(struct server *s, struct client *c, int64_t due)
{
    free(c->late);
    c->late = malloc(sizeof *c->late);
    if (!c->late) {
        drop(s, c);
        return;
    }
    memcpy(c->late, &s->answer, sizeof s->answer.head + s->answer.head.size);
    set_phase(s, c, PHASE_AFTER, due);
}

/* Whether a request may change what others have kept; events tell of the rest. */
static bool may_change(const struct emu_request *q)
{
    if (q->call < EMU_HELLO)
        return answer_who(q->call) == NVML_ROOT;
    return q->call != EMU_HELLO && q->call != EMU_OPEN && q->call != EMU_HOLD;
}

static void perform(struct server *s, struct client *c)
{
    const struct emu_request *q = &c->request;
    if (c->verdict.code && !c->verdict.spoil)
        answer_start(&s->answer, q, c->verdict.code);
    else if (q->call == EMU_HELLO)
        answer_start(&s->answer, q, hello(s, c));
    else if (q->call > EMU_HELLO)
        control_answer(s->trouble, &c->session, &c->plan, q, &s->answer);
    else
        answer_call(s->box, &c->session, q, &s->answer);
    if (c->verdict.spoil)
        answer_start(&s->answer, q, c->verdict.code);
    forget(s, may_change(q));
    /* Where faults or latencies may befall a call, all of them have to come here. */
    const struct trouble *t = s->trouble;
    if (answer_who(q->call) == NVML_KEEP && t->faults.n == 0 && !t->latency)
        s->answer.head.generation = page_number(&s->page);
}

static void carry_out(struct server *s, struct client *c)
{
    const struct emu_request *q = &c->request;
    int64_t now = trouble_now(s->trouble);
    bool waits =
        q->call == NVML_CALL_nvmlEventSetWait_v2 || q->call == NVML_CALL_nvmlEventSetWait;
    perform(s, c);
    if (waits && c->phase == PHASE_IDLE && s->answer.head.status == NVML_ERROR_TIMEOUT) {
        bool forever = q->arg[2] >= UINT32_MAX;
        set_phase(s, c, PHASE_EVENT, forever ? TIME_NEVER : now + (int64_t)q->arg[2] * TIME_MS);
    } else if (c->verdict.after > 0) {
        send_later(s, c, now + c->verdict.after);
    } else {
        send_answer(s, c, &s->answer);
    }
}

/* A request that faults and latencies may befall: all calls, the hello of a session (which is what
 * nvmlInit does), and a reset. */
static bool is_operation(const struct emu_request *q)
{
    return q->call < EMU_HELLO || q->call == EMU_RESET ||
           (q->call == EMU_HELLO && q->arg[0] == EMU_HELLO_SESSION && q->arg[1] == NVML_CALL_N);
}

static void handle(struct server *s, struct client *c)
{
    /* Work is done in real time, whatever the machine's clock. */
    if (c->greeted &&
        calls_work_answer(s->box, &c->session, &c->request, time_boot(), &s->answer)) {
        send_answer(s, c, &s->answer);
        return;
    }
    if (!c->greeted && c->request.call != EMU_HELLO) {
        answer_start(&s->answer, &c->request, NVML_ERROR_UNINITIALIZED);
        send_answer(s, c, &s->answer);
        return;
    }
    c->verdict = (struct fault_verdict){0};
    if (is_operation(&c->request))
        c->verdict = trouble_take(s->trouble, &c->session, &c->request);
    if (c->verdict.hang)
        set_phase(s, c, PHASE_HANG, c->verdict.hang_until);
    else if (c->verdict.before > 0)
        set_phase(s, c, PHASE_BEFORE, trouble_now(s->trouble) + c->verdict.before);
    else
        carry_out(s, c);
}

static void receive(struct server *s, struct client *c)
{
    struct emu_request q;
    const ssize_t least = offsetof(struct emu_request, text);
    ssize_t n = recv(c->fd, &q, sizeof q, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 8 || q.magic != EMU_MAGIC || c->phase != PHASE_IDLE) {
        drop(s, c);
        return;
    }
    if (q.version != EMU_VERSION || n < least || n > (ssize_t)sizeof q) {
        answer_start(&s->answer, &q, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
        send_answer(s, c, &s->answer);
        drop(s, c);
        return;
    }
    memset((char *)&q + n, 0, MIN(sizeof q - (size_t)n, 128));
    q.text[EMU_TEXT - 1] = '\0';
    memcpy(&c->request, &q, MIN(sizeof q, (size_t)n + 128));
    handle(s, c);
}

static void welcome(struct server *s, int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;
    struct client *c = calloc(1, sizeof *c);
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
        free(c);
        (void)close(fd);
        return;
    }
    c->fd = fd;
    c->session.pid = (uint32_t)who.pid;
    c->session.uid = who.uid;
    c->session.config = who.uid != 0 && caps_may_configure(fd);
    c->next = s->first;
    if (s->first)
        s->first->prev = c;
    s->first = c;
}

static void accept_clients(struct server *s)
{
    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(s, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN && !s->deaf) {
            s->deaf = epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL) == 0;
            log_warn("no more clients until one leaves: %s", strerror(errno));
        }
        return;
    }
}

/* A parked client whose time has come, or for whom there may be an event now. */
static void go_on(struct server *s, struct client *c, int64_t now, bool news)
{
    bool due = c->due <= now;
    if (c->phase == PHASE_HANG && (due || s->trouble->cleared)) {
        set_phase(s, c, PHASE_BEFORE, now + c->verdict.before);
        due = c->due <= now;
    }
    if (c->phase == PHASE_BEFORE && due) {
        set_phase(s, c, PHASE_IDLE, 0);
        carry_out(s, c);
    } else if (c->phase == PHASE_AFTER && due) {
        send_answer(s, c, c->late);
    } else if (c->phase == PHASE_EVENT && (news || due)) {
        answer_call(s->box, &c->session, &c->request, &s->answer);
        if (s->answer.head.status != NVML_ERROR_TIMEOUT || due)
            send_answer(s, c, &s->answer);
    }
}

/* Lets parked clients go on; the next instant at which one of them will. */
static int64_t run_parked(struct server *s)
{
    int64_t now = trouble_now(s->trouble), next = TIME_NEVER;
    uint64_t heard = s->box->event_n;
    bool news = s->told != heard;
    for (struct client *c = s->first; c && s->parked > 0; c = c->next)
        go_on(s, c, now, news);
    s->hurry = s->back > 0;
    for (struct client *c = s->first; c && s->parked > 0; c = c->next) {
        bool ends = c->phase != PHASE_IDLE && c->due != TIME_NEVER;
        next = ends ? MIN(next, c->due) : next;
        s->hurry = s->hurry || (ends && c->phase != PHASE_EVENT);
    }
    s->told = heard;
    s->trouble->cleared = false;
    /* A parked call that went on just now may itself have made news for those already passed. */
    return s->parked > 0 && s->box->event_n != heard ? now : next;
}

/* The driver goes: for its clients as when the module is unloaded. */
static void unload(struct server *s)
{
    for (struct client *c = s->first; c; c = c->next)
        drop(s, c);
    s->listener = fd_close(s->listener);
    (void)unlink(s->path);
    s->back = s->trouble->away;
    s->trouble->away = 0;
    trouble_reload(s->trouble);
    forget(s, true);
}

static int hear(struct server *s, struct error *err)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &s->listener};
    int r = listen_open(s->path, &s->listener, err);
    s->deaf = false;
    if (r == 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) < 0)
        r = error_errno(err, ERROR_IO, errno, "the emulated driver cannot listen");
    return r;
}

/* What happens by itself, until nothing more is due. */
static int run_due(struct server *s, struct error *err)
{
    struct trouble *t = s->trouble;
    s->next = trouble_run(t);
    if (t->ended_n)
        for (struct client *c = s->first; c; c = c->next)
            if (trouble_ended(t, &c->session))
                drop(s, c);
    t->ended_n = 0;
    if (t->away)
        unload(s);
    s->next = MIN(s->next, run_parked(s));
    forget(s, false);
    trouble_log(t);
    if (s->back && trouble_now(t) >= s->back) {
        s->back = 0;
        return hear(s, err);
    }
    if (s->back)
        s->next = MIN(s->next, s->back);
    return 0;
}

/* How long to sleep, in ms as epoll wants it. */
static int pause_ms(const struct server *s)
{
    const struct clock *clock = &s->trouble->clock;
    int64_t ns = clock_until(clock, time_boot(), s->next);
    if (ns == TIME_NEVER)
        return -1;
    int64_t ms = MIN((ns + TIME_MS - 1) / TIME_MS, INT64_C(3600000));
    return (int)(clock->kind == CLOCK_KIND_VIRTUAL && s->hurry ? MIN(ms, QUIET_MS) : ms);
}

/* Nothing came: a virtual clock jumps to what is due next, if that brings a call nearer to its end.
 * Waiting for events is idleness: a monitor in a loop would make the time run away. */
static void jump(struct server *s)
{
    const struct clock *clock = &s->trouble->clock;
    int64_t ns = clock_until(clock, time_boot(), s->next);
    if (s->hurry && clock->kind == CLOCK_KIND_VIRTUAL && ns != TIME_NEVER)
        trouble_jump(s->trouble, ns);
}

static void turn(struct server *s, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct client *c = events[i].data.ptr;
        if (events[i].data.ptr == &s->listener) {
            accept_clients(s);
        } else if (events[i].data.ptr != &s->signals && !c->gone) {
            if (events[i].events & EPOLLIN)
                receive(s, c);
            if (!c->gone && (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
                drop(s, c);
        }
    }
}

static bool is_ending(const struct server *s, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr == &s->signals)
            return true;
    return false;
}

static int loop(struct server *s, struct error *err)
{
    for (;;) {
        struct epoll_event events[64];
        int result = run_due(s, err);
        if (result < 0)
            return result;
        bury(s);
        int n = epoll_wait(s->epoll, events, ARRAY_LEN(events), pause_ms(s));
        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, errno, "the emulated driver cannot wait for clients");
        if (is_ending(s, events, MAX(n, 0)))
            return 0;
        if (n == 0)
            jump(s);
        turn(s, events, MAX(n, 0));
    }
}

static int set_up(struct server *s, struct error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_signal = {.events = EPOLLIN, .data.ptr = &s->signals};
    if (s->signals < 0 || s->epoll < 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &on_signal) < 0)
        return error_errno(err, ERROR_IO, errno, "the emulated driver cannot set up its loop");
    return hear(s, err);
}

static void announce(int ready_fd)
{
    if (ready_fd < 0)
        return;
    (void)fd_write_all(ready_fd, "READY=1\n", 8, NULL);
    (void)close(ready_fd);
}

int server_run(const struct server_options *o, struct trouble *t, struct error *err)
{
    AUTO_FREE struct server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the emulated driver");
    s->trouble = t;
    s->box = t->box;
    s->path = o->path;
    s->files = o->files;
    s->followed = s->box->event_n;
    s->epoll = s->signals = s->listener = -1;
    page_open(&s->page);
    int result = set_up(s, err);
    if (result == 0) {
        announce(o->ready_fd);
        result = loop(s, err);
    }
    if (s->listener >= 0)
        (void)unlink(o->path);
    for (struct client *c = s->first; c; c = c->next)
        drop(s, c);
    bury(s);
    s->listener = fd_close(s->listener);
    s->epoll = fd_close(s->epoll);
    s->signals = fd_close(s->signals);
    page_close(&s->page);
    return result;
}

void server_raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}
