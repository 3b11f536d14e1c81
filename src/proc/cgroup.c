/* cgroup2 by plain files: make, move in, watch, kill, remove.
 *
 * A killed group empties only when its last process is reaped, and rmdir says EBUSY until then.
 * Both are answers here, not errors: the daemon's loop asks again when cgroup.events says so. */
#include "proc/cgroup.h"

#include "base/fd.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void dir_done(DIR **d)
{
    if (*d)
        closedir(*d);
}

/* Writes `text` into DIR/FILE; 0 or errno. */
static int file_write(const char *dir, const char *file, const char *text)
{
    char path[CGROUP_PATH + 32];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    ssize_t n;
    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

/* Where the v2 hierarchy is mounted: /sys/fs/cgroup, on hybrid hosts /sys/fs/cgroup/unified. */
static int mount_find(char ret[CGROUP_PATH], struct error *err)
{
    AUTO_FREE char *text = NULL;
    int r = fd_read_file("/proc/self/mounts", 1 << 22, &text, NULL, err);
    if (r < 0)
        return r;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char where[256], type[32];
        if (sscanf(line, "%*255s %255s %31s", where, type) == 2 && strcmp(type, "cgroup2") == 0) {
            str_copy(ret, CGROUP_PATH, where);
            return 0;
        }
    }
    return error_set(err, ERROR_UNSUPPORTED,
                     "no cgroup2 hierarchy is mounted on this machine (see /proc/self/mounts)");
}

int cgroup_of(int pid, char ret[CGROUP_PATH], struct error *err)
{
    char mount[CGROUP_PATH], path[64];
    int r = mount_find(mount, err);
    if (r < 0)
        return r;
    AUTO_FREE char *text = NULL;
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    if ((r = fd_read_file(path, 1 << 16, &text, NULL, err)) < 0)
        return r;
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!line)
        return error_set(err, ERROR_UNSUPPORTED, "process %d is in no cgroup2 group", pid);
    line = strstr(line, "0::") + 3;
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "/..", 3) == 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "process %d is in a cgroup outside of our cgroup namespace", pid);
    int n = snprintf(ret, CGROUP_PATH, "%s%s", mount, strcmp(line, "/") == 0 ? "" : line);
    return n < CGROUP_PATH ? 0 : error_set(err, ERROR_INVALID, "cgroup path of %d too long", pid);
}

/* systemd marks what it delegated with one of two extended attributes; an ordinary user's own group
 * shows by being writable, which for root says nothing. */
static bool is_delegated(const char *dir)
{
    char value[4] = "";
    if (getxattr(dir, "trusted.delegate", value, sizeof value) > 0 && value[0] == '1')
        return true;
    if (getxattr(dir, "user.delegate", value, sizeof value) > 0 && value[0] == '1')
        return true;
    char procs[CGROUP_PATH + 32];
    snprintf(procs, sizeof procs, "%s/cgroup.procs", dir);
    return geteuid() != 0 && access(dir, W_OK) == 0 && access(procs, W_OK) == 0;
}

static bool prefix_ok(const char *prefix)
{
    size_t n = strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return n > 0 && !prefix[n] && n < CGROUP_PREFIX;
}

/* Group 0 is no lease's: making it shows that groups can be made here. */
static int tree_try(const struct cgroup_tree *t, struct error *err)
{
    char dir[CGROUP_PATH];
    int r = cgroup_make(t, 0, err);
    if (r == 0)
        r = cgroup_remove(cgroup_dir(t, 0, dir), err);
    cgroup_close(t);
    return r < 0 ? r : 0;
}

int cgroup_open(const char *prefix, struct cgroup_tree *ret, struct error *err)
{
    if (!prefix_ok(prefix))
        return error_set(err, ERROR_INVALID, "\"%s\" is no prefix for cgroup names", prefix);
    char own[CGROUP_PATH];
    int r = cgroup_of(getpid(), own, err);
    if (r < 0)
        return r;
    if (!is_delegated(own)) {
        if (geteuid() != 0)
            return error_set(err, ERROR_UNSUPPORTED,
                             "cgroup %s is not delegated to us and only root may make others", own);
        if ((r = mount_find(own, err)) < 0)
            return r;
    }
    struct cgroup_tree t = {0};
    struct error why = {0};
    str_copy(t.prefix, sizeof t.prefix, prefix);
    if (snprintf(t.base, sizeof t.base, "%s/fetta", own) >= (int)sizeof t.base)
        return error_set(err, ERROR_UNSUPPORTED, "the path of cgroup %.80s... is too long", own);
    if ((r = tree_try(&t, &why)) < 0)
        return error_set(err, ERROR_UNSUPPORTED, "no cgroup can be made in %.200s: %s", own,
                         strerror(why.sys));
    *ret = t;
    return 0;
}

void cgroup_close(const struct cgroup_tree *t)
{
    rmdir(t->base);
}

const char *cgroup_dir(const struct cgroup_tree *t, uint64_t id, char buf[CGROUP_PATH])
{
    snprintf(buf, CGROUP_PATH, "%s/%s.%llu", t->base, t->prefix, (unsigned long long)id);
    return buf;
}

int cgroup_make(const struct cgroup_tree *t, uint64_t id, struct error *err)
{
    char dir[CGROUP_PATH];
    cgroup_dir(t, id, dir);
    /* Twice, because another daemon may remove an empty `fetta` between the two steps. */
    for (int attempt = 0; attempt < 2; attempt++) {
        if (mkdir(t->base, 0755) < 0 && errno != EEXIST)
            return error_errno(err, ERROR_IO, errno, "cannot make cgroup %.300s", t->base);
        if (mkdir(dir, 0755) == 0 || errno == EEXIST)
            return 0;
        if (errno != ENOENT)
            break;
    }
    return error_errno(err, ERROR_IO, errno, "cannot make cgroup %.300s", dir);
}

int cgroup_add_held(const struct cgroup_tree *t, uint64_t id, int pid, int pidfd,
                    struct error *err)
{
    char dir[CGROUP_PATH], text[16];
    snprintf(text, sizeof text, "%d", pid);
    /* Ended already, and the number may be another's. */
    if (proc_pidfd_ended(pidfd))
        return error_set(err, ERROR_NOT_FOUND, "process %d has just ended", pid);
    int sys = file_write(cgroup_dir(t, id, dir), "cgroup.procs", text);
    if (sys == ESRCH)
        return error_set(err, ERROR_NOT_FOUND, "process %d has just ended", pid);
    if (sys)
        return error_errno(err, sys == EACCES || sys == EPERM ? ERROR_NO_PERMISSION : ERROR_IO, sys,
                           "cannot move process %d into cgroup %.200s", pid, dir);
    /* Still alive, so the number was its own when we wrote it. */
    if (proc_pidfd_ended(pidfd))
        return error_set(err, ERROR_NOT_FOUND, "process %d has just ended", pid);
    return 0;
}

int cgroup_add(const struct cgroup_tree *t, uint64_t id, const struct proc_id *who,
               struct error *err)
{
    AUTO_FD int fd = -1;
    int r = proc_open_pidfd(who, &fd, err);
    return r < 0 ? r : cgroup_add_held(t, id, who->pid, fd, err);
}

int cgroup_each(const struct cgroup_tree *t, void (*visit)(uint64_t id, void *arg), void *arg,
                struct error *err)
{
    CLEANUP(dir_done) DIR *dir = opendir(t->base);
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return error_errno(err, ERROR_IO, errno, "cannot list cgroup %.300s", t->base);
    size_t n = strlen(t->prefix);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strncmp(e->d_name, t->prefix, n) != 0 || e->d_name[n] != '.')
            continue;
        char *end;
        unsigned long long id = strtoull(e->d_name + n + 1, &end, 10);
        if (!*end && end != e->d_name + n + 1)
            visit(id, arg);
    }
    return 0;
}

/* Whether a component of the path is "..". */
static bool has_dots(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at += 2)
        if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
            return true;
    return false;
}

/* What stands before the name of the group in `path`: the mount, or what most hosts mount it at,
 * which is what people write on a hybrid host, too. */
static size_t mount_len(const char *mount, const char *path)
{
    const char *const places[] = {mount, "/sys/fs/cgroup"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        size_t n = strlen(places[i]);
        if (strncmp(path, places[i], n) == 0 && (path[n] == '/' || !path[n]))
            return n;
    }
    return 0;
}

int cgroup_join(const char *mount, const char *path, char ret[CGROUP_PATH], struct error *err)
{
    if (path[0] != '/' || has_dots(path))
        return error_set(err, ERROR_INVALID,
                         "cgroup \"%.200s\" must begin with / and have no .. in it", path);
    if (snprintf(ret, CGROUP_PATH, "%s%s", mount, path + mount_len(mount, path)) >= CGROUP_PATH)
        return error_set(err, ERROR_INVALID, "the cgroup path is too long");
    return 0;
}

int cgroup_resolve(const char *path, char ret[CGROUP_PATH], struct error *err)
{
    char mount[CGROUP_PATH];
    int r = mount_find(mount, err);
    if (r == 0)
        r = cgroup_join(mount, path, ret, err);
    if (r < 0)
        return r;
    struct stat st;
    char events[CGROUP_PATH + 32];
    snprintf(events, sizeof events, "%s/cgroup.events", ret);
    if (stat(events, &st) < 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no cgroup %.300s", ret);
    return 0;
}

int cgroup_pids(const char *dir, struct proc_list *ret, struct error *err)
{
    char path[CGROUP_PATH + 32];
    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    AUTO_FREE char *text = NULL;
    struct error why;
    int r = fd_read_file(path, 1 << 24, &text, NULL, &why);
    if (r == -ERROR_NOT_FOUND || (r < 0 && why.sys == ENODEV))
        return 0;
    if (r < 0)
        return error_set(err, why.code, "%s", why.text);
    return proc_list_text(text, ret, err);
}

int cgroup_events(const char *dir, int *ret_fd, struct error *err)
{
    char path[CGROUP_PATH + 32];
    snprintf(path, sizeof path, "%s/cgroup.events", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno,
                           "cannot watch cgroup %.300s", dir);
    *ret_fd = fd;
    return 0;
}

int cgroup_populated(int events_fd, struct error *err)
{
    char buf[256];
    ssize_t n = pread(events_fd, buf, sizeof buf - 1, 0);
    if (n < 0 && errno == ENODEV)
        return 0;
    if (n < 0)
        return error_errno(err, ERROR_IO, errno, "cannot read cgroup.events");
    buf[n] = 0;
    return strstr(buf, "populated 1") ? 1 : 0;
}

int cgroup_signal(const char *dir, int sig, struct error *err)
{
    AUTO_PROC_LIST struct proc_list l = {0};
    int r = cgroup_pids(dir, &l, err);
    return r < 0 ? r : proc_signal_all(&l, sig, err);
}

/* Calls `each` for every group directly below `dir`; stops at the first negative answer. */
static int each_below(const char *dir, int (*each)(const char *below, struct error *err),
                      struct error *err)
{
    CLEANUP(dir_done) DIR *d = opendir(dir);
    int r = 0;
    for (struct dirent *e; r >= 0 && d && (e = readdir(d));) {
        char below[CGROUP_PATH];
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        if (snprintf(below, sizeof below, "%s/%s", dir, e->d_name) < CGROUP_PATH)
            r = each(below, err);
    }
    return r;
}

/* Without cgroup.kill: a frozen group cannot fork, so one look reaches all; SIGKILL works on frozen
 * processes too. */
static int kill_each(const char *dir, struct error *err)
{
    int r = each_below(dir, kill_each, err);
    if (r < 0)
        return r;
    file_write(dir, "cgroup.freeze", "1");
    r = cgroup_signal(dir, SIGKILL, err);
    file_write(dir, "cgroup.freeze", "0");
    return r < 0 ? r : 0;
}

int cgroup_kill(const char *dir, struct error *err)
{
    int sys = file_write(dir, "cgroup.kill", "1");
    if (sys == 0 || access(dir, F_OK) < 0)
        return 0;
    if (sys == ENOENT)
        return kill_each(dir, err);
    return error_errno(err, ERROR_IO, sys, "cannot kill cgroup %.300s", dir);
}

int cgroup_remove(const char *dir, struct error *err)
{
    if (rmdir(dir) == 0 || errno == ENOENT)
        return 1;
    /* Groups below keep their parent: a job may have made some where it was allowed to. */
    int r = each_below(dir, cgroup_remove, err);
    if (r < 0)
        return r;
    if (rmdir(dir) == 0 || errno == ENOENT)
        return 1;
    if (errno == EBUSY || errno == ENOTEMPTY)
        return 0;
    return error_errno(err, ERROR_IO, errno, "cannot remove cgroup %.300s", dir);
}
