/* Both ends of the socket's path. */
#include "emud/listen.h"

#include "base/fd.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int make_socket(const char *path, struct sockaddr_un *ret, int *ret_fd, struct error *err)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!str_copy(ret->sun_path, sizeof ret->sun_path, path) || !path[0])
        return error_set(err, ERROR_INVALID,
                         "'%s' cannot be a socket's path; it needs 1 to %zu bytes", path,
                         sizeof ret->sun_path - 1);
    *ret_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return *ret_fd < 0 ? error_errno(err, ERROR_IO, errno, "cannot make a socket") : 0;
}

int listen_connect(const char *path, int *ret_fd, struct error *err)
{
    struct sockaddr_un address;
    AUTO_FD int fd = -1;
    int result = make_socket(path, &address, &fd, err);
    if (result < 0)
        return result;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return error_errno(err, ERROR_DRIVER_LOST, errno,
                           "no emulated driver answers at %s; start one with fetta-emud", path);
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* Whether the socket's directory keeps strangers from replacing it. */
static mode_t wanted_mode(const char *path)
{
    char directory[108];
    struct stat st;
    (void)str_copy(directory, sizeof directory, path);
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    if (stat(slash ? directory : ".", &st) < 0)
        return 0600;
    return st.st_uid == geteuid() && !(st.st_mode & 022) ? 0666 : 0600;
}

int listen_open(const char *path, int *ret_fd, struct error *err)
{
    struct sockaddr_un address;
    AUTO_FD int other = -1;
    AUTO_FD int fd = -1;
    if (listen_connect(path, &other, err) == 0)
        return error_set(err, ERROR_CONFLICT, "another emulated driver serves %s already", path);
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    int result = make_socket(path, &address, &fd, err);
    if (result < 0)
        return result;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make the socket %s", path);
    if (chmod(path, wanted_mode(path)) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        listen(fd, 1024) < 0) {
        int saved = errno;
        (void)unlink(path);
        return error_errno(err, ERROR_IO, saved, "cannot listen at %s", path);
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}
