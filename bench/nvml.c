/* What a call of NVML costs a program, over whichever library it is given: the emulated one, to
 * see whether a program would notice. Its anchors are here, too: the least that anything made so
 * must pay. Each verb prints one line of bench/clock.h. Warm-up rounds are not counted. */
#include "bench/clock.h"

#include "nvml/calls.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WARM_UP = 50, ROUNDS_MAX = 1000000, BATCH = 100, MESSAGE = 64, SMALLEST = 19 };

static const char usage[] =
    "usage: bench-nvml [--cpu N] ROUNDS VERB LIBRARY\n"
    "  call      nvmlDeviceGetPowerUsage, which the driver answers\n"
    "  kept      nvmlDeviceGetName, which the library may keep\n"
    "  init      nvmlInit_v2 and nvmlShutdown\n"
    "  cut       a GPU instance 1g and its compute instance made and destroyed (root, MIG on)\n"
    "  message   64 bytes to another process and back over a SOCK_SEQPACKET socket (no library)\n"
    "  clock     clock_gettime, which needs no kernel either (no library)\n"
    "  --cpu N   this program, and whom it sends messages to, on one CPU\n";

static void die(const char *what)
{
    (void)fprintf(stderr, "bench-nvml: %s\n", what);
    exit(1);
}

/* ---- the library's functions that are measured, or needed for that ---- */

#define USED(X)                                                                                    \
    X(nvmlInit_v2)                                                                                 \
    X(nvmlShutdown) X(nvmlDeviceGetHandleByIndex_v2) X(nvmlDeviceGetPowerUsage)                    \
        X(nvmlDeviceGetName) X(nvmlDeviceCreateGpuInstance) X(nvmlGpuInstanceDestroy)              \
            X(nvmlGpuInstanceCreateComputeInstance) X(nvmlComputeInstanceDestroy)

struct job {
    int64_t (*round)(struct job *j);
    nvmlDevice_t device;
    int peer;
#define POINTER(name) __typeof__(name) *name;
    USED(POINTER)
#undef POINTER
};

static void load(struct job *j, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die(dlerror());
#define FIND(name)                                                                                 \
    if (!(*(void **)&j->name = dlsym(library, #name)))                                             \
        die(#name " is not in the library");
    USED(FIND)
#undef FIND
}

static void must(nvmlReturn_t status, const char *what)
{
    char text[96];
    if (status == NVML_SUCCESS)
        return;
    (void)snprintf(text, sizeof text, "%s answers %d", what, (int)status);
    die(text);
}

/* ---- one round each, in ns ---- */

static int64_t round_call(struct job *j)
{
    unsigned milliwatts;
    int64_t began = clock_now();
    must(j->nvmlDeviceGetPowerUsage(j->device, &milliwatts), "nvmlDeviceGetPowerUsage");
    return clock_now() - began;
}

/* What takes less than looking at the clock is measured in batches. */
static int64_t round_kept(struct job *j)
{
    char name[96];
    int64_t began = clock_now();
    for (int i = 0; i < BATCH; i++)
        must(j->nvmlDeviceGetName(j->device, name, sizeof name), "nvmlDeviceGetName");
    return (clock_now() - began) / BATCH;
}

static int64_t round_clock(struct job *j)
{
    struct timespec t;
    (void)j;
    int64_t began = clock_now();
    for (int i = 0; i < BATCH; i++)
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (clock_now() - began) / BATCH;
}

static int64_t round_init(struct job *j)
{
    int64_t began = clock_now();
    must(j->nvmlInit_v2(), "nvmlInit_v2");
    must(j->nvmlShutdown(), "nvmlShutdown");
    return clock_now() - began;
}

static int64_t round_cut(struct job *j)
{
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci;
    int64_t began = clock_now();
    must(j->nvmlDeviceCreateGpuInstance(j->device, SMALLEST, &gi), "nvmlDeviceCreateGpuInstance");
    must(j->nvmlGpuInstanceCreateComputeInstance(gi, 0, &ci),
         "nvmlGpuInstanceCreateComputeInstance");
    must(j->nvmlComputeInstanceDestroy(ci), "nvmlComputeInstanceDestroy");
    must(j->nvmlGpuInstanceDestroy(gi), "nvmlGpuInstanceDestroy");
    return clock_now() - began;
}

static int64_t round_message(struct job *j)
{
    char bytes[MESSAGE] = {0};
    int64_t began = clock_now();
    if (send(j->peer, bytes, sizeof bytes, 0) != MESSAGE ||
        recv(j->peer, bytes, sizeof bytes, 0) != MESSAGE)
        die("nobody sends messages back");
    return clock_now() - began;
}

/* ---- setting up ---- */

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        die("cannot stay on one CPU");
}

/* Another process that sends back what it gets, and ends with us. */
static void open_peer(struct job *j)
{
    int ends[2];
    char bytes[MESSAGE];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
        die("no sockets");
    pid_t peer = fork();
    if (peer < 0)
        die("no other process");
    j->peer = ends[0];
    if (peer > 0) {
        (void)close(ends[1]);
        return;
    }
    (void)close(ends[0]);
    while (recv(ends[1], bytes, sizeof bytes, 0) == MESSAGE &&
           send(ends[1], bytes, sizeof bytes, 0) == MESSAGE)
        ;
    _exit(0);
}

static void prepare(struct job *j, const char *verb, const char *library)
{
    static const struct verb {
        const char *name;
        int64_t (*round)(struct job *j);
        bool library, session;
    } verbs[] = {{"call", round_call, true, true},         {"kept", round_kept, true, true},
                 {"init", round_init, true, false},        {"cut", round_cut, true, true},
                 {"message", round_message, false, false}, {"clock", round_clock, false, false}};
    const struct verb *v = NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, verb) == 0)
            v = &verbs[i];
    if (!v || v->library != (library != NULL))
        die(usage);
    j->round = v->round;
    if (v->library)
        load(j, library);
    else
        open_peer(j);
    if (!v->session)
        return;
    must(j->nvmlInit_v2(), "nvmlInit_v2");
    must(j->nvmlDeviceGetHandleByIndex_v2(0, &j->device), "nvmlDeviceGetHandleByIndex_v2");
}

int main(int argc, char **argv)
{
    struct job j = {.peer = -1};
    if (argc > 2 && strcmp(argv[1], "--cpu") == 0) {
        pin((int)strtol(argv[2], NULL, 10));
        argc -= 2;
        argv += 2;
    }
    unsigned long n = argc == 3 || argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    if (n == 0 || n > ROUNDS_MAX)
        die(usage);
    int64_t *took = calloc(n, sizeof *took);
    if (!took)
        die("out of memory");
    prepare(&j, argv[2], argc == 4 ? argv[3] : NULL);
    for (unsigned i = 0; i < WARM_UP && i < n; i++)
        (void)j.round(&j);
    for (unsigned long i = 0; i < n; i++)
        took[i] = j.round(&j);
    clock_print(argv[2], took, n);
    free(took);
    return 0;
}
