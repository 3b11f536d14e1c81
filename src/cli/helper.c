/* Starting, watching and stopping one program. */
#include "cli/helper.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOG_MAX = 1 << 20 };

/* A few at once, since somebody may just have killed it twice; then ever slower, for ever. */
static int64_t pause_after(int failures)
{
    return failures < 3 ? 0 : MIN(failures * 100 * TIME_MS, TIME_S);
}

/* In the child; never returns. */
static void become(const struct helper *h, const sigset_t *mask, int parent, int ready)
{
    char number[16];
    const char *argv[HELPER_ARGS];
    memcpy(argv, h->argv, sizeof argv);
    (void)snprintf(number, sizeof number, "%d", ready);
    argv[h->ready_at] = number;
    (void)setsid();
    /* Both may be too late to be told that we are gone: then there is nothing to serve. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        _exit(125);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log = open(h->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(125);
    (void)fcntl(ready, F_SETFD, 0);
    if (h->keep >= 0)
        (void)fcntl(h->keep, F_SETFD, 0);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    execve(argv[0], (char *const *)(void *)argv, h->env);
    (void)dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int helper_start(struct helper *h, const sigset_t *mask, struct error *err)
{
    int ends[2], parent = getpid();
    h->again = TIME_NEVER;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a pipe for %s", h->name);
    AUTO_FD int ready = ends[1];
    h->ready_fd = fd_close(h->ready_fd);
    h->ready_fd = ends[0];
    h->pid = fork();
    if (h->pid == 0)
        become(h, mask, parent, ready);
    if (h->pid < 0) {
        h->ready_fd = fd_close(h->ready_fd);
        return error_errno(err, ERROR_IO, errno, "cannot start %s", h->name);
    }
    h->pidfd = (int)syscall(SYS_pidfd_open, h->pid, 0);
    return h->pidfd < 0 ? error_errno(err, ERROR_IO, errno, "cannot watch %s", h->name) : 0;
}

static bool has_ended(const struct helper *h, int timeout_ms)
{
    struct pollfd p = {.fd = h->pidfd, .events = POLLIN};
    return h->pidfd < 0 || poll(&p, 1, timeout_ms) > 0;
}

static void gone(struct helper *h)
{
    (void)waitpid(h->pid, NULL, WNOHANG);
    h->pidfd = fd_close(h->pidfd);
    h->ready_fd = fd_close(h->ready_fd);
    h->pid = -1;
}

void helper_look(struct helper *h)
{
    char byte[64];
    if (h->ready_fd >= 0 && read(h->ready_fd, byte, sizeof byte) > 0) {
        h->ready_fd = fd_close(h->ready_fd);
        h->failures = 0;
    }
    if (h->pidfd < 0 || !has_ended(h, 0))
        return;
    bool was_ready = h->ready_fd < 0;
    gone(h);
    if (!was_ready)
        h->failures++;
    h->again = time_boot() + pause_after(h->failures);
}

bool helper_ready(const struct helper *h)
{
    return h->pidfd >= 0 && h->ready_fd < 0;
}

void helper_stop(struct helper *h, int timeout_ms)
{
    if (h->pidfd < 0)
        return;
    (void)kill(h->pid, SIGTERM);
    if (!has_ended(h, timeout_ms)) {
        (void)kill(h->pid, SIGKILL);
        (void)has_ended(h, -1);
    }
    gone(h);
}

void helper_last_words(const struct helper *h, char *buf, unsigned size)
{
    AUTO_FREE char *text = NULL;
    size_t n;
    struct error ignored;
    (void)str_copy(buf, size, "it said nothing");
    if (fd_read_file(h->log, LOG_MAX, &text, &n, &ignored) < 0)
        return;
    while (n && text[n - 1] == '\n')
        text[--n] = '\0';
    const char *line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    if (line[0] == '<' && line[1] && line[2] == '>')
        line += 3;
    if (*line)
        (void)str_copy(buf, size, line);
}
