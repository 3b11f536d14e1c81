/* Frames on one connection. Every length that comes in is checked against what the caller gave
 * room for, so that even a broken driver cannot make the library write elsewhere. */
#include "shim/nvml/wire.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { WIRE_LIST = 16 }; /* most entries of an LST */

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

/* Receives a frame and the descriptor with it; -1 in *ret_passed if there is none. */
static ssize_t receive_with(int fd, struct frame *f, int *ret_passed)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {f, sizeof *f};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
    *ret_passed = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_passed, CMSG_DATA(c), sizeof(int));
    return n;
}

/* Sends a request of which `text` bytes of text are used, and receives its reply. False, with
 * errno, when the connection is of no more use. `ret_passed`, if not NULL, gets a descriptor that
 * came along. */
static int exchange(int fd, struct emu_request *q, size_t text, struct frame *f, int *ret_passed)
{
    q->magic = EMU_MAGIC;
    q->version = EMU_VERSION;
    size_t size = offsetof(struct emu_request, text) + text;
    ssize_t n;
    do
        n = send(fd, q, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)size)
        return 0;
    do
        n = ret_passed ? receive_with(fd, f, ret_passed) : recv(fd, f, sizeof *f, MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return 0;
    errno = ECONNRESET;
    return (size_t)n >= sizeof f->head && (size_t)n <= sizeof *f && f->head.magic == EMU_MAGIC &&
           f->head.size == (size_t)n - sizeof f->head;
}

static nvmlReturn_t greet(int fd, uint64_t kind, int *ret_page)
{
    struct emu_request q;
    struct frame f;
    memset(&q, 0, offsetof(struct emu_request, text));
    q.call = EMU_HELLO;
    q.arg[0] = kind;
    q.arg[1] = NVML_CALL_N;
    if (!exchange(fd, &q, 0, &f, ret_page))
        return NVML_ERROR_DRIVER_NOT_LOADED;
    return f.head.version == EMU_VERSION ? (nvmlReturn_t)f.head.status
                                         : NVML_ERROR_LIB_RM_VERSION_MISMATCH;
}

nvmlReturn_t wire_connect(uint64_t kind, int *ret_fd, int *ret_page)
{
    const char *path = getenv(EMU_ENV_SOCKET);
    if (ret_page)
        *ret_page = -1;
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
        status = greet(fd, kind, ret_page);
    else if (errno == EACCES || errno == EPERM)
        status = NVML_ERROR_NO_PERMISSION;
    if (status == NVML_SUCCESS)
        *ret_fd = fd;
    else
        (void)close(fd);
    if (status != NVML_SUCCESS && ret_page && *ret_page >= 0) {
        (void)close(*ret_page);
        *ret_page = -1;
    }
    return status;
}

/* A call's arguments and what its row says of them. */
struct call {
    const struct nvml_param *params;
    unsigned n;
    const uint64_t *args;
};

static void *pointer(const struct call *c, unsigned i)
{
    return (void *)(uintptr_t)c->args[i];
}

static int may_be_null(unsigned kind)
{
    return kind == NVML_KIND_ARR || kind == NVML_KIND_LSN;
}

static int is_pointer(unsigned kind)
{
    return kind >= NVML_KIND_STR && kind != NVML_KIND_LEN;
}

/* Puts the first bytes of each entry of an IOA into the text; -1 if that is too much. */
static ssize_t pack_entries(const struct call *c, unsigned i, char *text)
{
    int64_t count = (int32_t)c->args[i - 1];
    const char *entry = pointer(c, i);
    if (count <= 0 || count >= EMU_TEXT / EMU_INPUT)
        return -1;
    for (int64_t k = 0; k < count; k++)
        memcpy(text + k * EMU_INPUT, entry + k * c->params[i].size, EMU_INPUT);
    return (ssize_t)count * EMU_INPUT;
}

/* Puts what a pointer brings along into the request; how much of its text that is, -1 if it cannot
 * be. */
static ssize_t pack_pointer(const struct call *c, unsigned i, struct emu_request *q)
{
    const void *p = pointer(c, i);
    unsigned kind = c->params[i].kind;
    q->arg[i] = p != NULL;
    if (!p)
        return may_be_null(kind) ? 0 : -1;
    if (kind == NVML_KIND_IOA)
        return pack_entries(c, i, q->text);
    if (kind == NVML_KIND_PLC || kind == NVML_KIND_VER) {
        q->arg[i] = 0;
        memcpy(&q->arg[i], p, kind == NVML_KIND_PLC ? 8 : 4);
    } else if (kind == NVML_KIND_STR || kind == NVML_KIND_INS) {
        size_t size = kind == NVML_KIND_STR ? strnlen(p, EMU_TEXT) + 1 : c->params[i].size;
        if (size > EMU_TEXT)
            return -1;
        memcpy(q->text, p, size);
        return (ssize_t)size;
    }
    return 0;
}

/* Turns the arguments into a request, filled as far as it is sent; how much text, -1 if something
 * is null or too long. */
static ssize_t pack(const struct call *c, struct emu_request *q)
{
    ssize_t text = 0;
    int64_t count_at = -1, arrays = 0;
    for (unsigned i = 0; i < c->n; i++) {
        unsigned kind = c->params[i].kind;
        q->arg[i] = c->args[i];
        ssize_t more = is_pointer(kind) ? pack_pointer(c, i, q) : 0;
        if (more < 0)
            return -1;
        text += more;
        arrays += kind == NVML_KIND_ARR && pointer(c, i);
        if (kind == NVML_KIND_CNT)
            count_at = i;
    }
    /* An array's capacity is its count; of the others the count is output only. */
    if (count_at >= 0)
        q->arg[count_at] = arrays ? *(unsigned *)pointer(c, (unsigned)count_at) : 0;
    return text;
}

/* How many bytes of `size` go to parameter `i`, at most its room; SIZE_MAX if they do not fit. */
static size_t share(const struct call *c, unsigned i, uint64_t capacity, const struct frame *f,
                    const char *data, size_t size)
{
    size_t want = c->params[i].size;
    uint64_t room = want;
    switch ((enum nvml_kind)c->params[i].kind) {
    case NVML_KIND_OUT:
        break;
    case NVML_KIND_VER:
        room = want = *(unsigned *)pointer(c, i) & 0xffffff;
        break;
    case NVML_KIND_BUF:
        want = strnlen(data, size) + 1;
        room = c->args[i + 1];
        break;
    case NVML_KIND_TXT:
        want = strnlen(data, size) + 1;
        room = NVML_TEXT_ROOM;
        break;
    case NVML_KIND_RAW:
        want = size;
        room = c->args[i + 1];
        break;
    case NVML_KIND_SET:
    case NVML_KIND_IOA:
        room *= c->args[i - 1];
        want = size;
        break;
    case NVML_KIND_ARR:
        room *= capacity;
        want *= f->head.count;
        break;
    case NVML_KIND_LST:
    case NVML_KIND_LSN:
        room *= WIRE_LIST;
        want *= f->head.count;
        break;
    case NVML_KIND_NONE:
    case NVML_KIND_DEV:
    case NVML_KIND_GIN:
    case NVML_KIND_CIN:
    case NVML_KIND_EVS:
    case NVML_KIND_NUM:
    case NVML_KIND_STR:
    case NVML_KIND_PLC:
    case NVML_KIND_LEN:
    case NVML_KIND_CNT:
    case NVML_KIND_INS:
        return 0;
    }
    return want > room || want > size ? SIZE_MAX : want;
}

/* Hands the received bytes to the pointers, in order; false if they are not what was asked for. */
static int unpack(const struct call *c, const struct emu_request *q, const struct frame *f)
{
    const char *data = f->data;
    size_t size = f->head.size;
    uint64_t capacity = 0;
    for (unsigned i = 0; i < c->n; i++)
        if (c->params[i].kind == NVML_KIND_CNT)
            capacity = q->arg[i];
    for (unsigned i = 0; i < c->n && size > 0; i++) {
        void *p = is_pointer(c->params[i].kind) ? pointer(c, i) : NULL;
        size_t bytes = p ? share(c, i, capacity, f, data, size) : 0;
        if (bytes == SIZE_MAX)
            return 0;
        if (bytes > 0)
            memcpy(p, data, bytes);
        data += bytes;
        size -= bytes;
    }
    return size == 0;
}

/* Hands a reply to the caller's pointers. */
static nvmlReturn_t deliver(const struct call *c, const struct emu_request *q,
                            const struct frame *f)
{
    nvmlReturn_t status = (nvmlReturn_t)f->head.status;
    if (f->head.size > 0 && !unpack(c, q, f))
        return NVML_ERROR_UNKNOWN;
    for (unsigned i = 0; i < c->n; i++)
        if (c->params[i].kind == NVML_KIND_CNT &&
            (status == NVML_SUCCESS || status == NVML_ERROR_INSUFFICIENT_SIZE))
            *(unsigned *)pointer(c, i) = f->head.count;
    return status;
}

nvmlReturn_t wire_call(int fd, struct keep *keep, unsigned call, const struct nvml_param *params,
                       unsigned n, const uint64_t *args, int *ret_broken)
{
    const struct call c = {params, n, args};
    struct emu_request q;
    struct frame f;
    memset(&q, 0, offsetof(struct emu_request, text));
    q.call = (uint16_t)call;
    ssize_t text = pack(&c, &q);
    if (text < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (keep && text == 0 && keep_find(keep, &q, &f))
        return deliver(&c, &q, &f);
    if (!exchange(fd, &q, (size_t)text, &f, NULL)) {
        *ret_broken = 1;
        return errno == EAGAIN ? NVML_ERROR_TIMEOUT : NVML_ERROR_DRIVER_NOT_LOADED;
    }
    if (f.head.call != call || f.head.version != EMU_VERSION) {
        *ret_broken = 1;
        return NVML_ERROR_DRIVER_NOT_LOADED;
    }
    if (keep && text == 0)
        keep_store(keep, &q, &f);
    return deliver(&c, &q, &f);
}
