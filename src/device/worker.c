/* Both sides of a worker: the parent starts, asks and kills, the child calls the driver.
 *
 * A fresh exec instead of a fork, so that a worker shares nothing with the daemon: neither memory
 * that a crashing driver could spoil nor descriptors that it would keep open. Deadlines are the
 * parent's: a child inside a driver call cannot keep one. */
#include "device/worker.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "device/trace.h"
#include "device/worker_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    REAP_MS = 100,           /* how long worker_free waits for a killed child */
    WAIT_MS = 3600 * 1000,   /* one wait for events; only the end of it looks at the socket */
    DRAIN = 64,              /* events of one burst that become one answer */
    ENV_MAX = 64,
};

struct worker {
    int fd, pidfd;
    pid_t pid;
    struct machine *machine; /* of the last OBSERVE */
};

/* The child's environment: `env` and the library's path. */
static int environment(const char *nvml, const char *const *env, char *library, size_t size,
                       char *ret[ENV_MAX], struct error *err)
{
    int n = 0;
    if (nvml && snprintf(library, size, WORKER_ENV_NVML "=%s", nvml) >= (int)size)
        return error_set(err, ERROR_INVALID, "the path of the NVML library is too long");
    if (nvml)
        ret[n++] = library;
    for (; env && *env; env++) {
        if (n + 1 == ENV_MAX)
            return error_set(err, ERROR_INVALID, "more than %d variables for a worker",
                             ENV_MAX - 2);
        ret[n++] = (char *)(uintptr_t)*env;
    }
    ret[n] = NULL;
    return 0;
}

/* Spawns with the socket as descriptor WORKER_FD, nothing else but stderr, and signals as new. */
static int spawn_child(const char *program, int socket, char *const *env, pid_t *ret,
                       struct error *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)"--worker", NULL};
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int sys = posix_spawn_file_actions_adddup2(&files, socket, WORKER_FD);
    if (!sys)
        sys = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!sys)
        sys = posix_spawn_file_actions_adddup2(&files, 2, 1);
    if (!sys)
        sys = posix_spawn_file_actions_addclosefrom_np(&files, WORKER_FD + 1);
    if (!sys)
        sys = posix_spawn(ret, program, &files, &attributes, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return sys ? error_errno(err, ERROR_IO, sys, "cannot start the worker %.200s", program) : 0;
}

int worker_start(const char *program, const char *nvml, const char *const *env,
                 struct worker **ret, struct error *err)
{
    char library[4200], *vars[ENV_MAX];
    int r = environment(nvml, env, library, sizeof library, vars, err);
    if (r < 0)
        return r;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a socket for a worker");
    AUTO_FD int ours = ends[0];
    AUTO_FD int theirs = ends[1];
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a worker");
    *w = (struct worker){.fd = -1, .pidfd = -1};
    r = spawn_child(program, theirs, vars, &w->pid, err);
    if (r < 0) {
        w->pid = 0;
        worker_free(w);
        return r;
    }
    w->fd = ours;
    ours = -1;
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    if (w->pidfd < 0) {
        r = error_errno(err, ERROR_IO, errno, "cannot watch the worker just started");
        worker_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

int worker_fd(const struct worker *w)
{
    return w->fd;
}

int worker_pidfd(const struct worker *w)
{
    return w->pidfd;
}

int worker_pid(const struct worker *w)
{
    return w->pid;
}

int worker_send(struct worker *w, const struct worker_request *r, struct error *err)
{
    return worker_frame_send_request(w->fd, r, MSG_DONTWAIT, err);
}

int worker_receive(struct worker *w, struct worker_answer *ret, struct error *err)
{
    if (!w->machine)
        w->machine = calloc(1, sizeof *w->machine);
    if (!w->machine)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the picture of the machine");
    return worker_frame_take_answer(w->fd, w->machine, ret, err);
}

void worker_forget(struct worker *w)
{
    free(w->machine);
    w->machine = NULL;
}

struct worker *worker_free(struct worker *w)
{
    if (!w)
        return NULL;
    fd_close(w->fd);
    if (w->pid > 0) {
        struct pollfd ended = {.fd = w->pidfd, .events = POLLIN};
        /* Without a pidfd it was never handed out, so nobody else can have reaped it. */
        if (w->pidfd < 0)
            kill(w->pid, SIGKILL);
        else
            syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
        poll(&ended, 1, REAP_MS);
        waitpid(w->pid, NULL, WNOHANG);
    }
    fd_close(w->pidfd);
    free(w->machine);
    free(w);
    return NULL;
}

/* The child's side. */
struct server {
    int fd;
    const char *nvml;
    struct device *device; /* NULL until asked for something, and after RELEASE */
};

static int device_need(struct server *s, struct error *err)
{
    if (s->device)
        return 0;
    int r = device_open_mig(s->nvml, &s->device, err);
    if (r < 0 || !getenv(WORKER_ENV_TRACE))
        return r;
    struct device *traced;
    if (trace_new(s->device, &traced, NULL) == 0)
        s->device = traced;
    return 0;
}

static void release(struct server *s)
{
    if (s->device)
        s->device = s->device->ops->free(s->device);
}

/* Answers at every event until an error or until the parent wants something; many events of one
 * moment are one answer. */
static int serve_wait(struct server *s, struct worker_answer *a, struct error *err)
{
    /* The first answer says that events are being heard from now on: who looks after it misses
     * none. */
    for (int timeout = 0;; timeout = WAIT_MS) {
        int r = s->device->ops->wait(s->device, timeout, &a->err);
        for (int i = 0; r == 1 && i < DRAIN; i++)
            if (s->device->ops->wait(s->device, 0, &a->err) != 1)
                break;
        a->code = r < 0 ? r : 0;
        if ((r != 0 || timeout == 0) && worker_frame_send_answer(s->fd, a, err) < 0)
            return -ERROR_IO;
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (r < 0 || poll(&p, 1, 0) > 0)
            return 0;
    }
}

/* The picture is large: while nobody asks for one, there is none. */
static int serve_observe(struct server *s, struct worker_answer *a, struct error *err)
{
    AUTO_FREE struct machine *machine = calloc(1, sizeof *machine);
    a->code = machine ? s->device->ops->observe(s->device, machine, &a->err)
                      : error_set(&a->err, ERROR_NO_MEMORY,
                                  "no memory for the picture of the machine");
    a->machine = a->code == 0 ? machine : NULL;
    int r = worker_frame_send_answer(s->fd, a, err);
    a->machine = NULL;
    return r;
}

/* Does one request; 0 = answered. */
static int serve(struct server *s, const struct worker_request *q, struct worker_answer *a,
                 struct error *err)
{
    *a = (struct worker_answer){.tag = q->tag, .call = q->call};
    if (q->call != WORKER_RELEASE)
        a->code = device_need(s, &a->err);
    const struct device_ops *ops = s->device ? s->device->ops : NULL;
    if (ops && a->code == 0) {
        switch (q->call) {
        case WORKER_OBSERVE:
            return serve_observe(s, a, err);
        case WORKER_OBSERVE_GPU:
            a->code = ops->observe_gpu(s->device, q->op.gpu, &a->gpu, &a->err);
            break;
        case WORKER_APPLY:
            a->code = ops->apply(s->device, &q->op, &a->result, &a->err);
            break;
        case WORKER_PROCESSES:
            a->code = ops->processes(s->device, q->op.gpu, a->processes, WORKER_PROCESSES_MAX,
                                     &a->process_n, &a->err);
            break;
        case WORKER_WAIT:
            return serve_wait(s, a, err);
        case WORKER_RELEASE:
            release(s);
            break;
        }
    }
    return worker_frame_send_answer(s->fd, a, err);
}

static int serve_all(struct server *s, struct worker_answer *a)
{
    for (;;) {
        struct worker_request q;
        struct error err = {0};
        int r = worker_frame_take_request(s->fd, &q, &err);
        /* The parent's end closed is the normal end of a worker. */
        if (r == -ERROR_IO)
            return 0;
        if (r < 0) {
            log_error("%s", err.text);
            return 1;
        }
        if (serve(s, &q, a, &err) < 0)
            return 0;
    }
}

int worker_main(int fd, const char *nvml)
{
    /* The socket closes with the parent too, but a child inside the driver would not notice. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct server s = {.fd = fd, .nvml = nvml ? nvml : getenv(WORKER_ENV_NVML)};
    AUTO_FREE struct worker_answer *a = calloc(1, sizeof *a);
    int status = a ? serve_all(&s, a) : 1;
    release(&s);
    return status;
}
