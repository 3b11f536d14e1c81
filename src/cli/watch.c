/* The library's calls wait for their answers and this process must not, so the one request is
 * written by hand; it is short enough to fit any socket's buffer. */
#include "cli/watch.h"

#include "base/fd.h"
#include "base/macro.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { REQUEST = 160 };

int watch_lease(int64_t id, int64_t revision)
{
    const char *path = getenv("FETTA_SOCKET");
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char text[REQUEST];
    path = path && *path ? path : "/run/fetta/fetta.sock";
    if (strlen(path) >= sizeof at.sun_path)
        return -1;
    (void)str_copy(at.sun_path, sizeof at.sun_path, path);
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int n = snprintf(text, sizeof text,
                     "GET /v1/leases/%" PRId64 "?wait=change&revision=%" PRId64
                     " HTTP/1.1\r\nHost: fetta\r\nConnection: close\r\n\r\n",
                     id, revision);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof at) < 0 ||
        send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        return -1;
    return STEAL_FD(fd);
}
