/* Frames of the emulated driver's protocol; see emud/protocol.h. */
#include "cli/emu.h"

#include "base/fd.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int lost(struct error *err)
{
    return error_set(err, ERROR_DRIVER_LOST, "the emulated driver went away");
}

int emu_connect(int *ret_fd, struct error *err)
{
    const char *path = getenv(EMU_ENV_SOCKET);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct emu_request hello = {.call = EMU_HELLO, .arg = {EMU_HELLO_CONTROL, NVML_CALL_N}};
    struct emu_reply reply;
    if (!path || !*path)
        return error_set(err, ERROR_INVALID,
                         "this is no emulated machine; run it inside one: fetta emulate MACHINE -- "
                         "COMMAND");
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || !str_copy(a.sun_path, sizeof a.sun_path, path) ||
        connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return error_errno(err, ERROR_DRIVER_LOST, errno, "no emulated driver answers at %s", path);
    int r = emu_ask(fd, &hello, &reply, NULL, 0, err);
    if (r == 0)
        *ret_fd = STEAL_FD(fd);
    return r;
}

int emu_ask(int fd, struct emu_request *q, struct emu_reply *ret_head, void *ret_data, size_t room,
            struct error *err)
{
    struct iovec parts[] = {{ret_head, sizeof *ret_head}, {ret_data, room}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = room ? 2 : 1};
    q->magic = EMU_MAGIC;
    q->version = EMU_VERSION;
    if (send(fd, q, sizeof *q, MSG_NOSIGNAL) != (ssize_t)sizeof *q)
        return lost(err);
    ssize_t n;
    do
        n = recvmsg(fd, &message, 0);
    while (n < 0 && errno == EINTR);
    if (n < (ssize_t)sizeof *ret_head)
        return lost(err);
    if (ret_head->version != EMU_VERSION || ret_head->status == NVML_ERROR_LIB_RM_VERSION_MISMATCH)
        return error_set(err, ERROR_VERSION,
                         "the emulated driver is of another build; use programs of one build");
    if (ret_head->status == NVML_ERROR_NO_PERMISSION)
        return error_set(err, ERROR_NO_PERMISSION, "only the root of the emulated machine may do "
                                              "that");
    if (ret_head->status != NVML_SUCCESS)
        return error_set(err, ERROR_INVALID, "the emulated driver refuses with code %d",
                         ret_head->status);
    return 0;
}
