/* Parent and subreaper of a few commands, around one signalfd.
 *
 * Why a signalfd: the mask is all that has to be put back in a child, there are no handlers to race
 * with fork, and the descriptor sits in the same poll as the daemon's stream. */
#include "proc/spawn.h"

#include "base/fd.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const int forwarded[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGTSTP,
                                SIGCONT, SIGUSR1, SIGUSR2, SIGWINCH};

int spawn_begin(struct spawn *s, struct error *err)
{
    *s = (struct spawn){.fd = -1};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    for (size_t i = 0; i < ARRAY_LEN(forwarded); i++)
        sigaddset(&mask, forwarded[i]);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_errno(err, ERROR_UNSUPPORTED, errno, "cannot become a subreaper");
    /* Whoever started us may have ignored SIGCHLD, and then nobody could be waited for. */
    signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_BLOCK, &mask, &s->before) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot block signals");
    s->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->fd < 0) {
        int sys = errno;
        sigprocmask(SIG_SETMASK, &s->before, NULL);
        return error_errno(err, ERROR_IO, sys, "cannot make a signalfd");
    }
    return 0;
}

/* Whether `name` exists in some directory of PATH. */
static bool in_path(const char *name)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        char path[4096];
        int n = (int)strcspn(at, ":");
        if (snprintf(path, sizeof path, "%.*s/%s", n, at, name) < (int)sizeof path &&
            access(path, F_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/* Shells say 126 for a script whose interpreter is missing: the file is there, running failed. */
static int exec_error(const char *command, int sys, struct error *err)
{
    if (sys == ENOENT && strchr(command, '/') && access(command, F_OK) == 0)
        return error_errno(err, ERROR_NO_PERMISSION, ENOEXEC,
                           "cannot run %.200s (is its interpreter installed?)", command);
    /* exec says EACCES for a missing command when some directory of PATH may not be searched. */
    if (sys == EACCES && !strchr(command, '/') && !in_path(command))
        sys = ENOENT;
    if (sys == ENOENT || sys == ENOTDIR)
        return error_errno(err, ERROR_NOT_FOUND, sys, "cannot find the command %.200s", command);
    return error_errno(err, ERROR_NO_PERMISSION, sys, "cannot run %.200s", command);
}

int spawn_exec_status(const struct error *err)
{
    return err->sys == ENOENT || err->sys == ENOTDIR ? 127 : 126;
}

int spawn_become(char *const *argv, char *const *env, struct error *err)
{
    execvpe(argv[0], argv, env ? env : environ);
    return exec_error(argv[0], errno, err);
}

/* In the child: give back the mask, run, or tell the parent errno through the pipe. */
static _Noreturn void child_run(const struct spawn *s, char *const *argv, char *const *env,
                                int sys, int tell)
{
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    if (!sys) {
        execvpe(argv[0], argv, env ? env : environ);
        sys = errno;
    }
    ssize_t n = write(tell, &sys, sizeof sys);
    _exit(n == sizeof sys ? 127 : 126);
}

int spawn_start(struct spawn *s, char *const *argv, char *const *env, struct error *err)
{
    return spawn_start_with(s, argv, env, NULL, NULL, err);
}

int spawn_start_with(struct spawn *s, char *const *argv, char *const *env,
                     int (*prepare)(void *arg), void *arg, struct error *err)
{
    if (s->n == SPAWN_MAX)
        return error_set(err, ERROR_INVALID, "more than %d commands at once", SPAWN_MAX);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a pipe for %.200s", argv[0]);
    AUTO_FD int hear = ends[0];
    AUTO_FD int tell = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, ERROR_IO, errno, "cannot start %.200s", argv[0]);
    if (pid == 0)
        child_run(s, argv, env, prepare ? prepare(arg) : 0, tell);
    tell = fd_close(tell);
    /* End of file means that exec closed the pipe: the command runs. */
    int sys = 0;
    ssize_t got;
    do
        got = read(hear, &sys, sizeof sys);
    while (got < 0 && errno == EINTR);
    if (got == sizeof sys) {
        waitpid(pid, NULL, 0);
        return exec_error(argv[0], sys, err);
    }
    s->children[s->n] = (struct spawn_child){.pid = pid};
    return s->n++;
}

int spawn_fd(const struct spawn *s)
{
    return s->fd;
}

void spawn_signal(struct spawn *s, int sig)
{
    for (int i = 0; i < s->n; i++)
        if (!s->children[i].ended)
            kill(s->children[i].pid, sig);
}

/* Reaps one dead child; its index, -1 for an adopted one, -2 when there is none. */
static int reap(struct spawn *s)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0)
        return -2;
    for (int i = 0; i < s->n; i++) {
        if (s->children[i].pid != pid || s->children[i].ended)
            continue;
        s->children[i].ended = true;
        s->children[i].status = status;
        return i;
    }
    return -1;
}

/* A signal from the terminal came to the children from the kernel as well. */
static void pass_on(struct spawn *s, const struct signalfd_siginfo *i)
{
    if (i->ssi_code != SI_KERNEL)
        spawn_signal(s, (int)i->ssi_signo);
    if (i->ssi_signo == SIGTSTP)
        raise(SIGSTOP);
}

struct spawn_event spawn_next(struct spawn *s)
{
    for (;;) {
        int child = reap(s);
        if (child >= 0)
            return (struct spawn_event){.kind = SPAWN_ENDED, .child = child};
        if (child == -1)
            continue;
        struct signalfd_siginfo i;
        if (read(s->fd, &i, sizeof i) != sizeof i)
            return (struct spawn_event){.kind = SPAWN_NOTHING};
        if (i.ssi_signo == SIGCHLD)
            continue;
        pass_on(s, &i);
        return (struct spawn_event){.kind = SPAWN_SIGNAL, .sig = (int)i.ssi_signo};
    }
}

int spawn_exit_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int spawn_leftovers(const struct spawn *s, struct proc_list *ret, struct error *err)
{
    (void)s;
    return proc_list_descendants(getpid(), ret, err);
}

int spawn_kill_all(struct spawn *s, int64_t timeout_ns, struct error *err)
{
    int64_t end = time_boot() + timeout_ns;
    for (;;) {
        while (reap(s) != -2)
            ;
        AUTO_PROC_LIST struct proc_list l = {0};
        int r = spawn_leftovers(s, &l, err);
        if (r < 0)
            return r;
        if (l.n == 0)
            return 0;
        /* One we may not kill (a setuid program) counts as one that does not die. */
        proc_signal_all(&l, SIGKILL, NULL);
        char name[PROC_NAME];
        if (time_boot() >= end)
            return error_set(err, ERROR_TIMEOUT, "%zu processes do not die, such as %d (%s)", l.n,
                             l.ids[0].pid, proc_name(l.ids[0].pid, name));
        poll(NULL, 0, 5);
    }
}

void spawn_end(struct spawn *s)
{
    s->fd = fd_close(s->fd);
    sigprocmask(SIG_SETMASK, &s->before, NULL);
}
