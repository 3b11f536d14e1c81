/* Whole reads and writes over interrupted system calls, and closing that keeps errno. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int fd_close(int fd)
{
    int saved = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

void fd_close_at(int *fd)
{
    *fd = fd_close(*fd);
}

int fd_write_all(int fd, const void *data, size_t size, struct error *err)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_IO, errno, "cannot write");
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int fd_read_all(int fd, void *data, size_t size, struct error *err)
{
    char *at = data;
    while (size > 0) {
        ssize_t n = read(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_IO, errno, "cannot read");
        if (n == 0)
            return error_set(err, ERROR_IO, "cannot read: end of file");
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* One read(2) that survives signals; -1 with errno as read. */
static ssize_t read_some(int fd, char *at, size_t room)
{
    ssize_t n;
    do
        n = read(fd, at, room);
    while (n < 0 && errno == EINTR);
    return n;
}

int fd_read_file(const char *path, size_t max, char **ret_text, size_t *ret_size,
                 struct error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_errno(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno,
                           "cannot open %s", path);
    /* Files in /proc say size 0, so grow until a read returns nothing. */
    size_t room = 4096, used = 0;
    AUTO_FREE char *text = malloc(room + 1);
    while (text) {
        ssize_t n = read_some(fd, text + used, room - used);
        if (n < 0)
            return error_errno(err, ERROR_IO, errno, "cannot read %s", path);
        used += (size_t)n;
        if (used > max)
            return error_set(err, ERROR_INVALID, "%s is longer than %zu bytes", path, max);
        if (n == 0) {
            text[used] = '\0';
            *ret_text = STEAL(text);
            if (ret_size)
                *ret_size = used;
            return 0;
        }
        if (used < room)
            continue;
        room *= 2;
        char *more = realloc(text, room + 1);
        if (!more)
            break;
        text = more;
    }
    return error_set(err, ERROR_NO_MEMORY, "out of memory reading %s", path);
}
