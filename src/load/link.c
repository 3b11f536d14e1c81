/* Frames of protocol.h, one question at a time. */
#include "load/link.h"

#include "base/fd.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct reply {
    struct emu_reply head;
    uint8_t data[EMU_DATA];
};

/* Sends a request; the reply's status is the caller's to read. */
static int ask(int fd, struct emu_request *q, struct reply *ret, struct error *err)
{
    q->magic = EMU_MAGIC;
    q->version = EMU_VERSION;
    ssize_t n = -1;
    if (send(fd, q, sizeof *q, MSG_NOSIGNAL) == (ssize_t)sizeof *q)
        n = recv(fd, ret, sizeof *ret, 0);
    if (n < (ssize_t)sizeof ret->head || ret->head.size != (size_t)n - sizeof ret->head)
        return error_set(err, ERROR_DRIVER_LOST, "the emulated driver went away");
    if (ret->head.status == NVML_ERROR_LIB_RM_VERSION_MISMATCH)
        return error_set(err, ERROR_VERSION,
                         "the emulated driver speaks protocol %d, this program %d; use programs of "
                         "one build",
                         ret->head.version, EMU_VERSION);
    return 0;
}

static int refused(const struct reply *r, struct error *err)
{
    if (r->head.status == NVML_ERROR_GPU_IS_LOST)
        return error_set(err, ERROR_DRIVER_LOST, "the GPU is lost");
    if (r->head.status == NVML_ERROR_UNINITIALIZED)
        return error_set(err, ERROR_DRIVER_LOST, "the device was taken from us: its GPU was reset");
    return error_set(err, ERROR_HARDWARE, "the emulated driver refuses with code %d",
                     r->head.status);
}

int link_open(int *ret_fd, struct error *err)
{
    const char *path = getenv(EMU_ENV_SOCKET);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct emu_request hello = {.call = EMU_HELLO};
    struct reply r;
    if (!path || !str_copy(address.sun_path, sizeof address.sun_path, path))
        return error_set(err, ERROR_DRIVER_LOST,
                         "there is no emulated machine here; put fetta emulate MACHINE -- in front "
                         "of the command");
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return error_set(err, ERROR_DRIVER_LOST, "no emulated driver answers at %s", path);
    hello.arg[1] = NVML_CALL_N;
    int result = ask(fd, &hello, &r, err);
    if (result < 0)
        return result;
    *ret_fd = STEAL_FD(fd);
    return 0;
}

int link_device(int fd, const char *name, struct emu_device *ret, struct error *err)
{
    struct emu_request q = {.call = EMU_DEVICE};
    struct reply r;
    (void)str_copy(q.text, sizeof q.text, name);
    int result = ask(fd, &q, &r, err);
    if (result < 0)
        return result;
    if (r.head.status == NVML_ERROR_NOT_FOUND)
        return error_set(err, ERROR_NOT_FOUND,
                         "there is no device '%.80s' on this machine; a GPU's index or the UUID of "
                         "a GPU or MIG device names one",
                         name);
    if (r.head.status || r.head.size != sizeof *ret)
        return refused(&r, err);
    memcpy(ret, r.data, sizeof *ret);
    return 0;
}

static int no_memory(const struct emu_device *d, uint64_t bytes, struct error *err)
{
    char text[LINK_TEXT];
    const double gib = 1 << 30;
    if (bytes > d->total)
        return error_set(err, ERROR_NEVER,
                         "%s has %.1f GiB of memory, not %.1f; ask for less --memory or for a "
                         "larger slice",
                         link_text(d, text), (double)d->total / gib, (double)bytes / gib);
    return error_set(err, ERROR_NO_FIT,
                     "%s has %.1f GiB of memory free, not %.1f: others hold the rest of %.1f GiB",
                     link_text(d, text), (double)d->free / gib, (double)bytes / gib,
                     (double)d->total / gib);
}

enum { PROHIBITED = 2, EXCLUSIVE = 3 }; /* nvmlComputeMode_t */

/* A device in exclusive mode takes one process, or those under MPS. The open itself decided. */
static int check_mode(int fd, const struct emu_device *d, bool mps, struct error *err)
{
    struct work_around around;
    struct work nothing = {.name = "(new)"};
    char text[LINK_TEXT];
    unsigned others = 0;
    if (d->compute_mode == PROHIBITED)
        return error_set(err, ERROR_IN_USE, "the compute mode of %s prohibits all work",
                         link_text(d, text));
    if (d->compute_mode != EXCLUSIVE || mps)
        return 0;
    int result = link_work(fd, d, &nothing, mps, 0, 0, &around, &others, err);
    if (result == 0 && others > 0)
        return error_set(err, ERROR_IN_USE,
                         "the compute mode of %s is exclusive and somebody is there; --sharing mps "
                         "is how several processes share it",
                         link_text(d, text));
    return result;
}

int link_take(int fd, const struct emu_device *d, uint64_t bytes, bool mps, struct error *err)
{
    struct emu_request q = {.call = EMU_OPEN};
    struct reply r;
    struct emu_device now = *d;
    q.arg[0] = bytes;
    (void)str_copy(q.text, sizeof q.text, d->uuid);
    int result = ask(fd, &q, &r, err);
    if (result < 0)
        return result;
    if (r.head.status == NVML_ERROR_NOT_SUPPORTED)
        return error_set(err, ERROR_STATE,
                         "GPU %u is in MIG mode, so only its slices take work; fetta run -s 1g... "
                         "takes one",
                         d->gpu);
    if (r.head.status == NVML_ERROR_MEMORY) {
        (void)link_device(fd, d->uuid, &now, err);
        return no_memory(&now, bytes, err);
    }
    return r.head.status ? refused(&r, err) : check_mode(fd, d, mps, err);
}

/* Adds a neighbour to what is around us. */
static void place_neighbour(const struct emu_device *d, const struct work *w,
                            const struct emu_neighbour *n, struct work_around *a, uint64_t *gis,
                            uint64_t *cis)
{
    if (!n->running)
        return;
    if (n->gi == d->gi && n->ci == d->ci) {
        a->mps += n->mps != 0;
        a->sliced += n->mps == 0;
        a->other_work = a->other_work || strcmp(n->name, w->name) != 0;
    } else if (n->gi == d->gi && !(*cis >> (n->ci & 63) & 1)) {
        *cis |= UINT64_C(1) << (n->ci & 63);
        a->instances++;
    } else if (n->gi != d->gi && !(*gis >> (n->gi & 63) & 1)) {
        *gis |= UINT64_C(1) << (n->gi & 63);
        a->other_busy += n->compute;
    }
}

int link_work(int fd, const struct emu_device *d, const struct work *w, bool mps, int64_t ns,
              int64_t seen, struct work_around *ret_around, unsigned *ret_others, struct error *err)
{
    struct emu_request q = {.call = EMU_WORK};
    struct reply r;
    uint64_t gis = 0, cis = 0;
    q.arg[0] = (uint64_t)ns;
    q.arg[1] = (uint64_t)seen;
    q.arg[2] = mps;
    (void)str_copy(q.text, sizeof q.text, w->name);
    *ret_around = (struct work_around){0};
    *ret_others = 0;
    int result = ask(fd, &q, &r, err);
    if (result < 0)
        return result;
    if (r.head.status)
        return refused(&r, err);
    for (uint32_t at = 0; at + sizeof(struct emu_neighbour) <= r.head.size;
         at += sizeof(struct emu_neighbour)) {
        struct emu_neighbour n;
        memcpy(&n, r.data + at, sizeof n);
        n.name[sizeof n.name - 1] = '\0';
        ++*ret_others;
        place_neighbour(d, w, &n, ret_around, &gis, &cis);
    }
    return 0;
}

struct work_place link_place(const struct emu_device *d)
{
    struct work_place p = {.sms = (uint16_t)d->sms,
                           .board_sms = (uint16_t)d->board_sms,
                           .slices = (uint8_t)d->slices,
                           .of_slices = (uint8_t)d->of_slices,
                           .compute = (uint8_t)d->compute,
                           .of_compute = (uint8_t)d->of_compute,
                           .plain = d->plain != 0};
    (void)str_copy(p.board, sizeof p.board, d->board);
    return p;
}

const char *link_text(const struct emu_device *d, char buf[LINK_TEXT])
{
    if (d->gi < 0)
        (void)snprintf(buf, LINK_TEXT, "GPU %u (%s)", d->gpu, d->board);
    else
        (void)snprintf(buf, LINK_TEXT, "MIG %s of GPU %u (%s), GI %d", d->profile, d->gpu, d->board,
                       d->gi);
    return buf;
}
