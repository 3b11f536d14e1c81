/* Frames as datagrams of a seqpacket socket, machines in memfds. */
#include "device/worker_frame.h"

#include "base/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct request_frame {
    uint64_t stamp;
    struct worker_request request;
};

struct answer_frame {
    uint64_t stamp;
    struct worker_answer answer;
};

/* FNV-1a over the version and the sizes of what travels. */
static uint64_t stamp(void)
{
    const uint64_t sizes[] = {sizeof(struct request_frame), sizeof(struct answer_frame),
                              sizeof(struct machine), sizeof(struct board)};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *c = FETTA_VERSION; *c; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        hash = (hash ^ sizes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static int send_frame(int fd, const void *frame, size_t size, int passed, int flags,
                      struct error *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)frame, .iov_len = size};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed >= 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed, sizeof passed);
    }
    ssize_t n;
    do
        n = sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)size ? 0 : error_errno(err, ERROR_IO, errno, "cannot reach the worker");
}

int worker_frame_send_request(int fd, const struct worker_request *r, int flags,
                              struct error *err)
{
    struct request_frame f = {.stamp = stamp(), .request = *r};
    return send_frame(fd, &f, sizeof f, -1, flags, err);
}

/* A memfd holding `m`, or -1. */
static int machine_pack(const struct machine *m)
{
    AUTO_FD int fd = memfd_create("fetta-machine", MFD_CLOEXEC);
    if (fd < 0 || fd_write_all(fd, m, sizeof *m, NULL) < 0)
        return -1;
    int kept = fd;
    fd = -1;
    return kept;
}

int worker_frame_send_answer(int fd, const struct worker_answer *a, struct error *err)
{
    AUTO_FREE struct answer_frame *f = calloc(1, sizeof *f);
    AUTO_FD int machine = -1;
    if (!f)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an answer");
    f->stamp = stamp();
    f->answer = *a;
    f->answer.machine = NULL;
    if (a->machine && (machine = machine_pack(a->machine)) < 0)
        f->answer.code = error_errno(&f->answer.err, ERROR_NO_MEMORY, errno,
                                     "cannot hand over the picture of the machine");
    return send_frame(fd, f, sizeof *f, machine, 0, err);
}

/* Receives into `frame`, a passed descriptor into *ret_fd. 1, 0 or negative as the header says. */
static int take_frame(int fd, void *frame, size_t size, int flags, int *ret_fd, struct error *err)
{
    struct iovec part = {.iov_base = frame, .iov_len = size};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                         .msg_controllen = sizeof control};
    ssize_t n;
    do
        n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n < 0)
        return error_errno(err, ERROR_IO, errno, "the worker cannot be heard");
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
    if (n == 0)
        return error_set(err, ERROR_IO, "the worker has ended");
    uint64_t is;
    memcpy(&is, frame, sizeof is);
    if ((size_t)n != size || is != stamp())
        return error_set(err, ERROR_VERSION,
                         "the worker is of another build: restart fettad after its upgrade");
    return 1;
}

int worker_frame_take_request(int fd, struct worker_request *ret, struct error *err)
{
    struct request_frame f = {0};
    AUTO_FD int passed = -1;
    int r = take_frame(fd, &f, sizeof f, 0, &passed, err);
    *ret = f.request;
    return r;
}

int worker_frame_take_answer(int fd, struct machine *room, struct worker_answer *ret,
                             struct error *err)
{
    AUTO_FREE struct answer_frame *f = calloc(1, sizeof *f);
    AUTO_FD int machine = -1;
    if (!f)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an answer");
    int r = take_frame(fd, f, sizeof *f, MSG_DONTWAIT, &machine, err);
    if (r <= 0)
        return r;
    *ret = f->answer;
    ret->machine = NULL;
    if (machine < 0)
        return 1;
    if (pread(machine, room, sizeof *room, 0) != (ssize_t)sizeof *room)
        return error_set(err, ERROR_IO, "the worker sent an incomplete picture of the machine");
    ret->machine = room;
    return 1;
}
