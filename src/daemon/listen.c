/* Exactly one daemon serves: the lock decides, the socket follows. */
#include "daemon/listen.h"

#include "base/fd.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int listen_lock(const char *dir, int *ret_fd, struct error *err)
{
    char path[4096];
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return error_errno(err, ERROR_IO, errno, "cannot make the state folder %s", dir);
    (void)snprintf(path, sizeof path, "%s/lock", dir);
    AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, ERROR_IN_USE,
                         "another fettad serves from %s; one is enough, stop it first", dir);
    *ret_fd = STEAL_FD(fd);
    return 0;
}

/* Whether somebody answers at the address. */
static bool is_served(const struct sockaddr_un *a)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) == 0;
}

int listen_open(const char *path, int *ret_fd, struct error *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!str_copy(a.sun_path, sizeof a.sun_path, path))
        return error_set(err, ERROR_INVALID, "the socket's path is too long: %s", path);
    char folder[sizeof a.sun_path];
    (void)str_copy(folder, sizeof folder, path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
            return error_errno(err, ERROR_IO, errno, "cannot make %s", folder);
    }
    if (is_served(&a))
        return error_set(err, ERROR_IN_USE, "another fettad serves at %s", path);
    (void)unlink(path);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 || chmod(path, 0666) < 0 ||
        listen(fd, 512) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot listen at %s", path);
    *ret_fd = STEAL_FD(fd);
    return 0;
}
