/* Mounting the files of an emulated machine.
 *
 * /dev is a tmpfs with copies of the host's nodes, so that nothing done to one of them reaches the
 * host; what is mounted below /dev (pts, shm) stays itself. /sys has too many files to copy: there
 * a read-only overlay shows ours beside the host's. */
#include "cli/namespace.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 8, DEVICES_MAX = 1 << 16 };

static int failed(struct error *err, const char *what, const char *path)
{
    bool refused = errno == EPERM || errno == EACCES;
    return error_errno(err, refused ? ERROR_NO_PERMISSION : ERROR_IO, errno, "cannot %s %s", what,
                       path);
}

static bool has_real_driver(void)
{
    AUTO_FREE char *text = NULL;
    return fd_read_file("/proc/devices", DEVICES_MAX, &text, NULL, NULL) == 0 &&
           (strstr(text, "195 nvidia") || access("/proc/driver/nvidia/version", F_OK) == 0);
}

int namespace_enter(const char *dir, struct error *err)
{
    if (has_real_driver())
        return error_set(err, ERROR_UNSUPPORTED,
                         "--files: NVIDIA's driver is loaded here, and /dev/nvidia0 would be the "
                         "real GPU; leave out --files, all NVML programs work without");
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
        return error_set(err, ERROR_NO_PERMISSION,
                         "--files takes root, for mounts and device nodes: use sudo, or leave it "
                         "out: all NVML programs work, only /dev/nvidia* and the files of /proc "
                         "and /sys are missing then");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failed(err, "make private the mounts below", "/");
    if (mkdir(dir, 0755) < 0)
        return failed(err, "make", dir);
    if (mount("fetta", dir, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") < 0)
        return failed(err, "mount a tmpfs at", dir);
    return 0;
}

static int bind(const char *from, const char *to, struct error *err)
{
    return mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0 ? failed(err, "mount", to) : 0;
}

/* 0 also for a link that went away. */
static int copy_link(const char *from, const char *to, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlink(from, target, sizeof target - 1);
    target[MAX(n, 0)] = '\0';
    return n >= 0 && symlink(target, to) < 0 && errno != EEXIST ? failed(err, "make", to) : 0;
}

static int copy_node(const char *to, const struct stat *st, struct error *err)
{
    if (mknod(to, st->st_mode, st->st_rdev) < 0 && errno != EEXIST)
        return failed(err, "make", to);
    /* mknod heeds the umask. */
    if (chmod(to, st->st_mode & 07777) < 0 || lchown(to, st->st_uid, st->st_gid) < 0)
        return failed(err, "make", to);
    return 0;
}

/* A copy of one thing that is no directory of the same file system. */
static int copy_one(const char *from, const char *to, const struct stat *st, bool mounted,
                    struct error *err)
{
    bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) || S_ISFIFO(st->st_mode);
    if (S_ISLNK(st->st_mode))
        return copy_link(from, to, err);
    if (device && !mounted)
        return copy_node(to, st, err);
    bool dir = S_ISDIR(st->st_mode);
    if ((dir ? mkdir(to, 0755) : mknod(to, S_IFREG | 0600, 0)) < 0 && errno != EEXIST)
        return failed(err, "make", to);
    return bind(from, to, err);
}

static int make_dir(const char *path, unsigned mode, struct error *err)
{
    if ((mkdir(path, 0755) < 0 && errno != EEXIST) || chmod(path, mode & 07777) < 0)
        return failed(err, "make", path);
    return 0;
}

/* Adds to `to` what `from` has and it lacks. */
static int copy_tree(const char *from, const char *to, dev_t on, int depth, struct error *err)
{
    DIR *dir = depth < DEPTH ? opendir(from) : NULL;
    int r = 0;
    if (!dir)
        return 0;
    for (const struct dirent *e = readdir(dir); e && r == 0; e = readdir(dir)) {
        char source[PATH_MAX], copy[PATH_MAX];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            snprintf(source, sizeof source, "%s/%s", from, e->d_name) >= (int)sizeof source ||
            snprintf(copy, sizeof copy, "%s/%s", to, e->d_name) >= (int)sizeof copy ||
            lstat(source, &st) < 0)
            continue;
        if (!S_ISDIR(st.st_mode) || st.st_dev != on) {
            r = copy_one(source, copy, &st, st.st_dev != on, err);
            continue;
        }
        r = make_dir(copy, st.st_mode, err);
        r = r < 0 ? r : copy_tree(source, copy, on, depth + 1, err);
    }
    (void)closedir(dir);
    return r;
}

/* `dir`/`name` completed with what the host has at `place`, over it. */
static int cover_copy(const char *dir, const char *name, const char *place, struct error *err)
{
    char ours[PATH_MAX];
    struct stat st;
    (void)snprintf(ours, sizeof ours, "%s/%s", dir, name);
    if (stat(place, &st) < 0)
        return failed(err, "look at", place);
    int r = copy_tree(place, ours, st.st_dev, 0, err);
    return r < 0 ? r : bind(ours, place, err);
}

/* `dir`/`name` beside what the host has at `place`, which may be missing (no PCI, no modules). */
static int cover_overlay(const char *dir, const char *name, const char *place, struct error *err)
{
    char options[PATH_MAX];
    if (access(place, F_OK) < 0)
        return 0;
    (void)snprintf(options, sizeof options, "lowerdir=%s/%s:%s", dir, name, place);
    if (mount("fetta", place, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
        return failed(err, "mount an overlay over", place);
    return 0;
}

int namespace_cover(const char *dir, struct error *err)
{
    char devices[PATH_MAX];
    (void)snprintf(devices, sizeof devices, "%s/devices", dir);
    int r = cover_copy(dir, "dev", "/dev", err);
    r = r < 0 ? r : cover_copy(dir, "driver", "/proc/driver", err);
    r = r < 0 ? r : bind(devices, "/proc/devices", err);
    r = r < 0 ? r : cover_overlay(dir, "module", "/sys/module", err);
    return r < 0 ? r : cover_overlay(dir, "pci", "/sys/bus/pci", err);
}

void namespace_leave(const char *dir)
{
    (void)umount2(dir, MNT_DETACH);
}
