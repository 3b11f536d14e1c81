/* Processes from /proc, and pidfds checked against pid reuse.
 *
 * The order in proc_pin is the point: the descriptor pins whatever process has the number
 * now; reading /proc afterwards may look at a successor, but only if the pinned one has died, and
 * that the last poll finds out. So a descriptor that is returned belongs to the wanted process. */
#include "proc/proc.h"

#include "base/fd.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHILDREN_TRIES = 4 };

/* What one line of /proc/PID/stat says. */
struct stat_line {
    int pid, parent, session;
    char state;
    long threads;
    uint64_t start;
};

/* Reads up to size-1 bytes of /proc/PID/NAME and terminates them; bytes read or -1. */
static ssize_t proc_read(int pid, const char *name, char *buf, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t n = 0;
    while (n + 1 < size) {
        ssize_t got = read(fd, buf + n, size - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    buf[n] = 0;
    return (ssize_t)n;
}

/* The name in parentheses may hold anything, parentheses too: fields start after the last one. */
static bool stat_read(int pid, struct stat_line *ret)
{
    char buf[1024];
    if (pid <= 0 || proc_read(pid, "stat", buf, sizeof buf) <= 0)
        return false;
    const char *after = strrchr(buf, ')');
    unsigned long long start;
    *ret = (struct stat_line){.pid = pid};
    if (!after)
        return false;
    /* Fields 3 state, 4 parent, 6 session, 20 threads, 22 start. */
    int found = sscanf(after + 1,
                       " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d"
                       " %llu",
                       &ret->state, &ret->parent, &ret->session, &ret->threads, &start);
    if (found != 5)
        return false;
    ret->start = start;
    return true;
}

/* A leader that exited shows Z while its other threads run on; the last one ends the process. */
static bool stat_alive(const struct stat_line *s)
{
    return (s->state != 'Z' && s->state != 'X') || s->threads > 1;
}

/* The uids come from status, since the owner of /proc/PID is root for undumpable processes. */
static bool uids_read(int pid, uint32_t *ret_real, uint32_t *ret_effective)
{
    char buf[2048];
    if (proc_read(pid, "status", buf, sizeof buf) <= 0)
        return false;
    const char *line = strstr(buf, "\nUid:");
    return line && sscanf(line, "\nUid: %u %u", ret_real, ret_effective) == 2;
}

int proc_identify(int pid, struct proc_id *ret, struct error *err)
{
    struct stat_line s;
    uint32_t real, effective;
    if (!stat_read(pid, &s) || !stat_alive(&s) || !uids_read(pid, &real, &effective))
        return error_set(err, ERROR_NOT_FOUND, "process %d does not exist (any more)", pid);
    *ret = (struct proc_id){.pid = pid, .uid = effective, .start = s.start};
    return 0;
}

/* A pidfd is readable from the moment its process has ended. */
bool proc_pidfd_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

int proc_pin(int pid, struct proc_id *ret, int *ret_fd, struct error *err)
{
    AUTO_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && (errno == ESRCH || errno == EINVAL))
        return error_set(err, ERROR_NOT_FOUND, "process %d does not exist (any more)", pid);
    if (fd < 0 && errno == ENOSYS)
        return error_errno(err, ERROR_UNSUPPORTED, errno, "this kernel has no pidfd_open");
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot watch process %d", pid);
    int r = proc_identify(pid, ret, err);
    if (r < 0)
        return r;
    if (proc_pidfd_ended(fd))
        return error_set(err, ERROR_NOT_FOUND, "process %d has just ended", pid);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

int proc_open_pidfd(const struct proc_id *want, int *ret_fd, struct error *err)
{
    AUTO_FD int fd = -1;
    struct proc_id is;
    int r = proc_pin(want->pid, &is, &fd, err);
    if (r < 0)
        return r;
    if (is.start != want->start || is.uid != want->uid)
        return error_set(err, ERROR_NOT_FOUND,
                         "process %d is another one by now: the one meant has ended", want->pid);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

bool proc_alive(int pid, uint64_t start)
{
    struct stat_line s;
    return stat_read(pid, &s) && s.start == start && stat_alive(&s);
}

int proc_boot_id(char ret[PROC_BOOT_ID], struct error *err)
{
    AUTO_FREE char *text = NULL;
    int r = fd_read_file("/proc/sys/kernel/random/boot_id", 64, &text, NULL, err);
    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = 0;
    if (!str_copy(ret, PROC_BOOT_ID, text) || strlen(text) != 36)
        return error_set(err, ERROR_IO, "the kernel's boot id reads \"%.40s\"", text);
    return 0;
}

const char *proc_name(int pid, char buf[PROC_NAME])
{
    ssize_t n = proc_read(pid, "cmdline", buf, PROC_NAME);
    for (ssize_t i = 0; i + 1 < n; i++)
        buf[i] = buf[i] ? buf[i] : ' ';
    if (n <= 0)
        n = proc_read(pid, "comm", buf, PROC_NAME);
    while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == ' ' || !buf[n - 1]))
        buf[--n] = 0;
    if (n <= 0) {
        snprintf(buf, PROC_NAME, "pid %d", pid);
        return buf;
    }
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)buf[i] < ' ' || buf[i] == 127)
            buf[i] = '?';
    return buf;
}

int proc_session(int pid)
{
    struct stat_line s;
    return stat_read(pid, &s) ? s.session : -1;
}

void proc_list_done(struct proc_list *l)
{
    free(l->ids);
    *l = (struct proc_list){0};
}

static int list_add(struct proc_list *l, const struct proc_id *id, struct error *err)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        struct proc_id *ids = reallocarray(l->ids, room, sizeof *ids);
        if (!ids)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a list of %zu processes", room);
        l->ids = ids;
        l->room = room;
    }
    l->ids[l->n++] = *id;
    return 0;
}

/* All stat lines of the machine in one pass. */
struct table {
    struct stat_line *lines;
    size_t n, room;
};

static void table_done(struct table *t)
{
    free(t->lines);
}

static void dir_done(DIR **d)
{
    if (*d)
        closedir(*d);
}

static int table_add(struct table *t, const struct stat_line *s, struct error *err)
{
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 256;
        struct stat_line *lines = reallocarray(t->lines, room, sizeof *lines);
        if (!lines)
            return error_set(err, ERROR_NO_MEMORY, "no memory for a table of %zu processes", room);
        t->lines = lines;
        t->room = room;
    }
    t->lines[t->n++] = *s;
    return 0;
}

static int table_read(struct table *t, struct error *err)
{
    CLEANUP(dir_done) DIR *dir = opendir("/proc");
    if (!dir)
        return error_errno(err, ERROR_IO, errno, "cannot list processes in /proc");
    for (struct dirent *e; (e = readdir(dir));) {
        char *end;
        long pid = strtol(e->d_name, &end, 10);
        struct stat_line s;
        if (*end || pid <= 0 || !stat_read((int)pid, &s))
            continue;
        int r = table_add(t, &s, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Adds process `s` if it is alive; one that just ended is no error. */
static int list_add_line(struct proc_list *l, const struct stat_line *s, struct error *err)
{
    uint32_t real, effective;
    if (!stat_alive(s) || !uids_read(s->pid, &real, &effective))
        return 0;
    struct proc_id id = {.pid = s->pid, .uid = effective, .start = s->start};
    return list_add(l, &id, err);
}

/* Adds the children of one thread of `pid`; 1: this kernel does not list them. A list of which the
 * kernel let go of a process while it was written may lack others, so it is read again until all
 * in it are there. */
static int children_of_thread(int pid, const char *thread, struct table *t, struct error *err)
{
    char path[80], text[4096];
    snprintf(path, sizeof path, "task/%s/children", thread);
    size_t before = t->n;
    for (int attempt = 0; attempt < CHILDREN_TRIES; attempt++) {
        bool all = true;
        t->n = before;
        ssize_t size = proc_read(pid, path, text, sizeof text);
        if (size < 0)
            return errno == ENOENT && kill(pid, 0) == 0 ? 1 : 0;
        if (size + 1 == sizeof text)
            return 1; /* more than fit: look at everybody instead */
        char *end;
        for (char *at = text; *(at += strspn(at, " ")); at = end) {
            struct stat_line s;
            long child = strtol(at, &end, 10);
            bool there = stat_read((int)child, &s);
            int r = there ? table_add(t, &s, err) : 0;
            if (r < 0)
                return r;
            all = all && there;
        }
        if (all)
            return 0;
    }
    return 1;
}

static int children_of(int pid, struct table *t, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    CLEANUP(dir_done) DIR *dir = opendir(path);
    int r = 0;
    for (struct dirent *e; r == 0 && dir && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            r = children_of_thread(pid, e->d_name, t, err);
    return r;
}

/* What the kernel says are the descendants; 1: it does not. */
static int table_children(struct table *t, int pid, struct error *err)
{
    int r = children_of(pid, t, err);
    for (size_t i = 0; r == 0 && i < t->n; i++)
        r = children_of(t->lines[i].pid, t, err);
    return r;
}

/* Marks by moving to the front: lines[0..found) are known descendants, each gives its children. */
static size_t table_descendants(struct table *t, int pid)
{
    size_t found = 0;
    for (size_t at = 0; at <= found; at++) {
        int parent = at ? t->lines[at - 1].pid : pid;
        for (size_t i = found; i < t->n; i++) {
            if (t->lines[i].parent != parent)
                continue;
            struct stat_line s = t->lines[i];
            t->lines[i] = t->lines[found];
            t->lines[found++] = s;
        }
    }
    return found;
}

int proc_list_descendants(int pid, struct proc_list *ret, struct error *err)
{
    CLEANUP(table_done) struct table t = {0};
    int r = table_children(&t, pid, err);
    size_t n = t.n;
    if (r > 0) {
        t.n = 0;
        r = table_read(&t, err);
        n = table_descendants(&t, pid);
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if ((r = list_add_line(ret, &t.lines[i], err)) < 0)
            return r;
    return 0;
}

/* Kernel threads are the children of pid 2, and 2 itself. */
static bool is_kernel_thread(const struct stat_line *s)
{
    return s->pid == 2 || s->parent == 2;
}

int proc_list_uid(uint32_t uid, struct proc_list *ret, struct error *err)
{
    CLEANUP(table_done) struct table t = {0};
    int r = table_read(&t, err);
    for (size_t i = 0; r == 0 && i < t.n; i++) {
        const struct stat_line *s = &t.lines[i];
        uint32_t real, effective;
        if (is_kernel_thread(s) || !stat_alive(s) || !uids_read(s->pid, &real, &effective))
            continue;
        struct proc_id id = {.pid = s->pid, .uid = effective, .start = s->start};
        if (real == uid || effective == uid)
            r = list_add(ret, &id, err);
    }
    return r;
}

/* Entries as they stand in an environment: a zero on either side. */
struct marks {
    size_t n, longest;
    size_t size[PROC_MARKS];
    char text[PROC_MARKS][PROC_MARK + 2];
};

static bool marks_make(const char *const *entries, size_t n, struct marks *ret)
{
    *ret = (struct marks){.n = n};
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(entries[i]) + 2;
        if (n > PROC_MARKS || size > sizeof ret->text[i])
            return false;
        memcpy(ret->text[i] + 1, entries[i], size - 1);
        ret->size[i] = size;
        ret->longest = size > ret->longest ? size : ret->longest;
    }
    return true;
}

/* Whether an environment of any length has all of the marks. It is searched piece by piece, each
 * with the end of the one before. */
static bool environ_has(int fd, const struct marks *m)
{
    char buf[16 * 1024];
    size_t have = 1;
    unsigned found = 0, all = (1u << m->n) - 1;
    buf[0] = 0;
    while (found != all) {
        ssize_t got = read(fd, buf + have, sizeof buf - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (size_t)got;
        for (size_t i = 0; i < m->n; i++)
            if (memmem(buf, have, m->text[i], m->size[i]))
                found |= 1u << i;
        size_t keep = have < m->longest ? have : m->longest;
        memmove(buf, buf + have - keep, keep);
        have = keep;
    }
    return true;
}

/* The environment first: it is quick to read, kernel threads have none, and few have the marks. */
int proc_list_marked(uint32_t uid, const char *const *entries, size_t n, struct proc_list *ret,
                     struct error *err)
{
    struct marks m;
    if (!marks_make(entries, n, &m))
        return error_set(err, ERROR_INVALID, "a mark of a process is too long");
    CLEANUP(dir_done) DIR *dir = opendir("/proc");
    if (!dir)
        return error_errno(err, ERROR_IO, errno, "cannot list processes in /proc");
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(dir));) {
        char path[sizeof e->d_name + 16];
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "%s/environ", e->d_name);
        AUTO_FD int fd = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);
        struct stat_line s;
        uint32_t real, effective;
        int pid = (int)strtol(e->d_name, NULL, 10);
        if (fd < 0 || !environ_has(fd, &m) || !stat_read(pid, &s) || !stat_alive(&s) ||
            !uids_read(pid, &real, &effective) || (real != uid && effective != uid))
            continue;
        struct proc_id id = {.pid = pid, .uid = effective, .start = s.start};
        r = list_add(ret, &id, err);
    }
    return r;
}

int proc_list_session(int session, struct proc_list *ret, struct error *err)
{
    CLEANUP(table_done) struct table t = {0};
    int r = table_read(&t, err);
    for (size_t i = 0; r == 0 && i < t.n; i++)
        if (t.lines[i].session == session && !is_kernel_thread(&t.lines[i]))
            r = list_add_line(ret, &t.lines[i], err);
    return r;
}

int proc_list_text(const char *text, struct proc_list *ret, struct error *err)
{
    int r = 0;
    while (r == 0 && *text) {
        char *end;
        long pid = strtol(text, &end, 10);
        struct stat_line s;
        if (end == text)
            break;
        if (stat_read((int)pid, &s))
            r = list_add_line(ret, &s, err);
        text = end + strspn(end, " \n");
    }
    return r;
}

int proc_signal(const struct proc_id *id, int sig, struct error *err)
{
    AUTO_FD int fd = -1;
    struct error why;
    int r = proc_open_pidfd(id, &fd, &why);
    if (r == -ERROR_NOT_FOUND)
        return 0;
    if (r < 0)
        return error_set(err, why.code, "%s", why.text);
    if (syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0)
        return 1;
    if (errno == ESRCH)
        return 0;
    char name[PROC_NAME];
    int sys = errno;
    return error_errno(err, sys == EPERM ? ERROR_NO_PERMISSION : ERROR_IO, sys,
                       "cannot send signal %d to process %d (%s)", sig, id->pid,
                       proc_name(id->pid, name));
}

int proc_signal_all(const struct proc_list *l, int sig, struct error *err)
{
    int reached = 0, failed = 0;
    for (size_t i = 0; i < l->n; i++) {
        int r = proc_signal(&l->ids[i], sig, failed ? NULL : err);
        if (r < 0 && !failed)
            failed = r;
        else if (r > 0)
            reached++;
    }
    return failed ? failed : reached;
}
