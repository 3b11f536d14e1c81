/* The verbs of `fetta-emud ctl`. */
#include "emud/ctl.h"

#include "base/fd.h"
#include "base/str.h"
#include "emud/listen.h"
#include "emud/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char ctl_help[] =
    "  hold UUID [MIB]                    work on a GPU or MIG device until killed\n"
    "  subscribe GPU [GI]                 hold a handle, as a monitor does, until killed\n"
    "  fail CALL CODE [COUNT] [gpu=G] [gi=I]\n"
    "                                     the next COUNT (0: all) calls return CODE\n"
    "  delay CALL MS [COUNT] [gpu=G] [gi=I] [after]\n"
    "                                     they take MS longer; 'after': done at once, told late\n"
    "  clear                              forget all of these\n"
    "  lose GPU                           the GPU falls off the bus\n"
    "  reset GPU                          the GPU is reset\n";

static int send_request(int fd, struct emu_request *q, struct error *err)
{
    struct emu_reply reply;
    q->magic = EMU_MAGIC;
    q->version = EMU_VERSION;
    if (send(fd, q, sizeof *q, MSG_NOSIGNAL) != (ssize_t)sizeof *q ||
        recv(fd, &reply, sizeof reply, 0) != (ssize_t)sizeof reply)
        return error_set(err, ERROR_DRIVER_LOST, "the emulated driver went away");
    if (reply.status == NVML_ERROR_LIB_RM_VERSION_MISMATCH)
        return error_set(err, ERROR_VERSION,
                         "the emulated driver speaks protocol %d, this program %d; use programs of "
                         "one build",
                         reply.version, EMU_VERSION);
    if (reply.status == NVML_SUCCESS)
        return 0;
    int result =
        error_set(err, ERROR_HARDWARE, "the emulated driver refuses with code %d", reply.status);
    err->sys = reply.status;
    return result;
}

/* A plain number in [0, most]. */
static int parse_number(const char *text, const char *what, uint64_t most, uint64_t *ret,
                        struct error *err)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value > most)
        return error_set(err, ERROR_INVALID, "%s: '%s' is not a number from 0 to %llu", what, text,
                         (unsigned long long)most);
    *ret = value;
    return 0;
}

/* "19" or "IN_USE". */
static int parse_code(const char *text, uint64_t *ret, struct error *err)
{
    static const struct {
        const char *name;
        unsigned value;
    } codes[] = {
#define RETURN(name, value, text) {#name, value},
#include "nvml/nvml_returns.def"
#undef RETURN
    };
    const char prefix[] = "NVML_ERROR_";
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        *ret = codes[i].value;
        if (strncmp(codes[i].name, prefix, sizeof prefix - 1) == 0 &&
            strcmp(codes[i].name + sizeof prefix - 1, text) == 0)
            return 0;
    }
    return parse_number(text, "the code", 999, ret, err);
}

struct options {
    uint64_t count, gpu, gi;
    bool after;
};

static int parse_options(int argc, char **argv, struct options *ret, struct error *err)
{
    *ret = (struct options){.count = 1, .gpu = 0xffff, .gi = 0xffff};
    int result = 0;
    for (int i = 0; i < argc && result == 0; i++) {
        if (strncmp(argv[i], "gpu=", 4) == 0)
            result = parse_number(argv[i] + 4, "gpu", 63, &ret->gpu, err);
        else if (strncmp(argv[i], "gi=", 3) == 0)
            result = parse_number(argv[i] + 3, "gi", 14, &ret->gi, err);
        else if (strcmp(argv[i], "after") == 0)
            ret->after = true;
        else
            result = parse_number(argv[i], "the count", UINT32_MAX, &ret->count, err);
    }
    return result;
}

static int verb_hold(struct emu_request *q, int argc, char **argv, struct error *err)
{
    uint64_t mib = 0;
    int result = argc > 2 ? parse_number(argv[2], "MIB", 1 << 24, &mib, err) : 0;
    q->call = EMU_OPEN;
    q->arg[0] = mib << 20;
    (void)str_copy(q->text, sizeof q->text, argv[1]);
    return result;
}

static int verb_subscribe(struct emu_request *q, int argc, char **argv, struct error *err)
{
    uint64_t gi = 0;
    q->call = EMU_HOLD;
    int result = parse_number(argv[1], "GPU", 63, &q->arg[0], err);
    if (result == 0 && argc > 2) {
        result = parse_number(argv[2], "GI", 14, &gi, err);
        q->arg[1] = gi + 1;
    }
    return result;
}

static int verb_fault(struct emu_request *q, int argc, char **argv, struct error *err)
{
    struct options o;
    q->call = EMU_FAULT;
    (void)str_copy(q->text, sizeof q->text, argv[1]);
    int result = strcmp(argv[0], "fail") == 0
                     ? parse_code(argv[2], &q->arg[2], err)
                     : parse_number(argv[2], "MS", 86400000, &q->arg[3], err);
    if (result == 0)
        result = parse_options(argc - 3, argv + 3, &o, err);
    if (result == 0) {
        q->arg[0] = o.count;
        q->arg[1] = EMU_FAULT_WHERE(o.gpu, o.gi, o.after);
    }
    return result;
}

static int verb_gpu(struct emu_request *q, int argc, char **argv, struct error *err)
{
    (void)argc;
    q->call = strcmp(argv[0], "lose") == 0 ? EMU_LOSE : EMU_RESET;
    return parse_number(argv[1], "GPU", 63, &q->arg[0], err);
}

static int verb_clear(struct emu_request *q, int argc, char **argv, struct error *err)
{
    (void)argc, (void)argv, (void)err;
    q->call = EMU_CLEAR;
    return 0;
}

static const struct {
    const char *name;
    int least, most; /* arguments, the verb included */
    bool stays;
    int (*fill)(struct emu_request *q, int argc, char **argv, struct error *err);
} verbs[] = {
    {"hold", 2, 3, true, verb_hold},    {"subscribe", 2, 3, true, verb_subscribe},
    {"fail", 3, 7, false, verb_fault},  {"delay", 3, 7, false, verb_fault},
    {"clear", 1, 1, false, verb_clear}, {"lose", 2, 2, false, verb_gpu},
    {"reset", 2, 2, false, verb_gpu},
};

/* The connection is the hold: stays until it or this process ends. */
static int stay(int fd, const char *what, struct error *err)
{
    char byte;
    (void)printf("holding %s\n", what);
    (void)fflush(stdout);
    while (recv(fd, &byte, 1, 0) < 0 && errno == EINTR)
        continue;
    return error_set(err, ERROR_DRIVER_LOST, "the emulated driver went away");
}

int ctl_run(const char *path, int argc, char **argv, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (argc < 1 || strcmp(verbs[i].name, argv[0]) != 0)
            continue;
        if (argc < verbs[i].least || argc > verbs[i].most)
            return error_set(err, ERROR_INVALID, "'%s' takes %d to %d arguments; see --help",
                             argv[0], verbs[i].least - 1, verbs[i].most - 1);
        AUTO_FD int fd = -1;
        struct emu_request q = {0};
        struct emu_request hello = {.call = EMU_HELLO, .arg = {EMU_HELLO_CONTROL, NVML_CALL_N}};
        int result = verbs[i].fill(&q, argc, argv, err);
        if (result == 0)
            result = listen_connect(path, &fd, err);
        if (result == 0)
            result = send_request(fd, &hello, err);
        if (result == 0)
            result = send_request(fd, &q, err);
        return result == 0 && verbs[i].stays ? stay(fd, argv[1], err) : result;
    }
    return error_set(err, ERROR_INVALID, "no such verb; see fetta-emud --help");
}
