/* Frames on one connection. Every length that comes in is checked against what the caller gave
 * room for, so that even a broken driver cannot make the library write elsewhere. */
#include "shim/nvml/wire.h"

#include "base/macro.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { WIRE_OUTS = 512, WIRE_LIST = 16 }; /* bytes of written parameters; most entries of an LST */

void wire_deadline(int fd, int64_t ms)
{
    struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

int64_t wire_default_deadline(void)
{
    const char *text = getenv(EMU_ENV_DEADLINE);
    long ms = text ? strtol(text, NULL, 10) : 0;
    return ms > 0 ? ms : EMU_DEADLINE_MS;
}

/* Receives one reply whose data goes to `data`; how many bytes of data came, -1 on failure. */
static ssize_t receive(int fd, struct emu_reply *head, void *data, size_t room)
{
    struct iovec parts[] = {{head, sizeof *head}, {data, room}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;
    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    errno = ECONNRESET;
    if ((size_t)n < sizeof *head || (message.msg_flags & MSG_TRUNC) || head->magic != EMU_MAGIC ||
        head->size != (size_t)n - sizeof *head)
        return -1;
    return n - (ssize_t)sizeof *head;
}

static ssize_t exchange(int fd, struct emu_request *q, struct emu_reply *head, void *data,
                        size_t room)
{
    q->magic = EMU_MAGIC;
    q->version = EMU_VERSION;
    ssize_t n;
    do
        n = send(fd, q, sizeof *q, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *q ? receive(fd, head, data, room) : -1;
}

static nvmlReturn_t greet(int fd, uint64_t kind)
{
    struct emu_request q = {.call = EMU_HELLO, .arg = {kind, NVML_CALL_N}};
    struct emu_reply reply;
    char none;
    if (exchange(fd, &q, &reply, &none, 0) < 0)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    return reply.version == EMU_VERSION ? (nvmlReturn_t)reply.status
                                        : NVML_ERROR_LIB_RM_VERSION_MISMATCH;
}

nvmlReturn_t wire_connect(uint64_t kind, int *ret_fd)
{
    const char *path = getenv(EMU_ENV_SOCKET);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof address.sun_path)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NVML_ERROR_UNKNOWN;
    wire_deadline(fd, wire_default_deadline());
    nvmlReturn_t status = NVML_ERROR_DRIVER_NOT_LOADED;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        status = greet(fd, kind);
    else if (errno == EACCES || errno == EPERM)
        status = NVML_ERROR_NO_PERMISSION;
    if (status == NVML_SUCCESS)
        *ret_fd = fd;
    else
        (void)close(fd);
    return status;
}

/* Where a call's array goes; data of all other parameters goes to a buffer first. */
struct landing {
    void *array;
    size_t room;
    unsigned *count;
};

static int is_array(unsigned kind)
{
    return kind == NVML_KIND_ARR || kind == NVML_KIND_LST || kind == NVML_KIND_LSN;
}

static int is_written(unsigned kind)
{
    return kind == NVML_KIND_OUT || kind == NVML_KIND_BUF || kind == NVML_KIND_VER ||
           kind == NVML_KIND_CNT;
}

/* Turns one argument into its number on the wire; false for a null pointer that must not be. */
static int pack(struct emu_request *q, unsigned i, unsigned kind, uint64_t value)
{
    const void *p = (const void *)(uintptr_t)value;
    q->arg[i] = value;
    if (kind == NVML_KIND_STR) {
        if (!p || strlen(p) >= sizeof q->text)
            return 0;
        memcpy(q->text, p, strlen(p) + 1);
        q->arg[i] = 0;
    } else if (kind == NVML_KIND_PLC || kind == NVML_KIND_VER) {
        q->arg[i] = 0;
        if (p)
            memcpy(&q->arg[i], p, kind == NVML_KIND_PLC ? 8 : 4);
    } else if (is_written(kind) || is_array(kind)) {
        q->arg[i] = p != NULL;
    }
    return p || !(is_written(kind) || kind == NVML_KIND_PLC || kind == NVML_KIND_LST);
}

/* Finds the array and the count among the parameters. An ARR's capacity is *count, which goes on
 * the wire; elsewhere *count is output only and whatever is in it is ignored. */
static struct landing find_array(struct emu_request *q, const struct nvml_param *params, unsigned n,
                                 const uint64_t *args)
{
    struct landing l = {0};
    unsigned element = 0, kind = NVML_KIND_NONE, count_at = 0;
    for (unsigned i = 0; i < n; i++) {
        if (params[i].kind == NVML_KIND_CNT) {
            count_at = i;
            l.count = (unsigned *)(uintptr_t)args[i];
        } else if (is_array(params[i].kind)) {
            l.array = (void *)(uintptr_t)args[i];
            element = params[i].size;
            kind = params[i].kind;
        }
    }
    if (kind == NVML_KIND_ARR) {
        q->arg[count_at] = l.array ? *l.count : 0;
        l.room = MIN(q->arg[count_at] * element, (uint64_t)EMU_DATA);
    } else if (l.array) {
        l.room = (size_t)WIRE_LIST * element;
    }
    return l;
}

/* Hands the received bytes to the pointers, in order; false if they are not what was asked for. */
static int unpack(const struct nvml_param *params, unsigned n, const uint64_t *args,
                  const char *data, size_t size)
{
    for (unsigned i = 0; i < n; i++) {
        void *p = (void *)(uintptr_t)args[i];
        size_t want = params[i].size;
        if (params[i].kind == NVML_KIND_VER)
            want = *(unsigned *)p & 0xffffff;
        else if (params[i].kind == NVML_KIND_BUF)
            want = strnlen(data, size) + 1;
        else if (params[i].kind != NVML_KIND_OUT)
            continue;
        if (want > size || (params[i].kind == NVML_KIND_BUF && want > args[i + 1]))
            return 0;
        memcpy(p, data, want);
        data += want;
        size -= want;
    }
    return size == 0;
}

/* Hands a reply to the caller's pointers. */
static nvmlReturn_t deliver(const struct emu_reply *reply, const struct landing *l,
                            const struct nvml_param *params, unsigned n, const uint64_t *args,
                            const char *outs)
{
    nvmlReturn_t status = (nvmlReturn_t)reply->status;
    if (l->count && (status == NVML_SUCCESS || status == NVML_ERROR_INSUFFICIENT_SIZE))
        *l->count = reply->count;
    if (!l->count && reply->size > 0 && !unpack(params, n, args, outs, reply->size))
        return NVML_ERROR_UNKNOWN;
    return status;
}

nvmlReturn_t wire_call(int fd, unsigned call, const struct nvml_param *params, unsigned n,
                       const uint64_t *args, int *ret_broken)
{
    struct emu_request q = {.call = (uint16_t)call};
    struct emu_reply reply;
    char outs[WIRE_OUTS];
    for (unsigned i = 0; i < n; i++)
        if (!pack(&q, i, params[i].kind, args[i]))
            return NVML_ERROR_INVALID_ARGUMENT;
    struct landing l = find_array(&q, params, n, args);
    ssize_t size = exchange(fd, &q, &reply, l.count ? l.array : outs, l.count ? l.room : WIRE_OUTS);
    if (size < 0 || reply.call != call || reply.version != EMU_VERSION) {
        *ret_broken = 1;
        return size < 0 && errno == EAGAIN ? NVML_ERROR_TIMEOUT : NVML_ERROR_DRIVER_NOT_LOADED;
    }
    return deliver(&reply, &l, params, n, args, outs);
}
