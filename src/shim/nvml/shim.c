/* libnvidia-ml.so.1 for emulated machines: NVIDIA's public ABI, behind it a socket.
 *
 * It must not disturb the program that loads it: no threads, no signal handlers, nothing at load or
 * unload time, no abort. The only state is below. It survives fork: a child finds by its pid that
 * the connection is its parent's, and makes its own at its next call, as a process that opens the
 * device for itself. Handles are numbers that the driver understands and stay valid in the child.
 *
 * After the driver has gone every call says DRIVER_NOT_LOADED until the program has shut NVML down
 * and initialised it anew, as it must do when a real driver is reloaded. */
#include "shim/nvml/wire.h"

#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { SHIM_SETS = 16 };

static struct {
    int lock;       /* 0, or the pid of the process one of whose threads is inside */
    int owner;      /* pid whose connection this is */
    unsigned users; /* nvmlInit calls not yet matched by nvmlShutdown */
    int fd;         /* valid if users > 0 and not lost */
    int lost;
    int sets[SHIM_SETS]; /* connection + 1 of each set of events */
    struct keep keep;    /* of the connection */
} state;

/* A lock that a fork in another thread cannot leave locked for ever in the child: its holder's pid
 * is in it, and a holder that is not this process is a copy of memory, not a thread. Returns our
 * pid. */
static int lock(void)
{
    int me = (int)getpid();
    for (;;) {
        int found = 0;
        if (__atomic_compare_exchange_n(&state.lock, &found, me, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return me;
        if (found != me && __atomic_compare_exchange_n(&state.lock, &found, me, 0,
                                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return me;
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

static void unlock(void)
{
    __atomic_store_n(&state.lock, 0, __ATOMIC_RELEASE);
}

/* A session of our own, and what comes with it. */
static nvmlReturn_t connect_session(void)
{
    int page = -1;
    nvmlReturn_t status = wire_connect(EMU_HELLO_SESSION, &state.fd, &page);
    keep_start(&state.keep, page);
    return status;
}

/* In a child of fork: leave the parent's connections to the parent and make one of our own. */
static void own_connection(int me)
{
    if (state.users == 0 || state.owner == me)
        return;
    if (!state.lost)
        (void)close(state.fd);
    for (unsigned i = 0; i < SHIM_SETS; i++) {
        if (state.sets[i])
            (void)close(state.sets[i] - 1);
        state.sets[i] = 0;
    }
    state.owner = me;
    state.lost = connect_session() != NVML_SUCCESS;
}

static nvmlReturn_t initialise(void)
{
    nvmlReturn_t status = NVML_SUCCESS;
    int me = lock();
    own_connection(me);
    if (state.users == 0) {
        status = connect_session();
        state.owner = me;
        state.lost = 0;
    } else if (state.lost) {
        status = NVML_ERROR_DRIVER_NOT_LOADED;
    }
    state.users += status == NVML_SUCCESS;
    unlock();
    return status;
}

EXPORT nvmlReturn_t nvmlInit_v2(void)
{
    return initialise();
}

EXPORT nvmlReturn_t nvmlInit(void)
{
    return initialise();
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags)
{
    return flags & ~(unsigned)(NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH)
               ? NVML_ERROR_INVALID_ARGUMENT
               : initialise();
}

EXPORT nvmlReturn_t nvmlShutdown(void)
{
    nvmlReturn_t status = NVML_SUCCESS;
    int me = lock();
    own_connection(me);
    if (state.users == 0) {
        status = NVML_ERROR_UNINITIALIZED;
    } else if (--state.users == 0) {
        keep_stop(&state.keep);
        if (!state.lost)
            (void)close(state.fd);
        for (unsigned i = 0; i < SHIM_SETS; i++) {
            if (state.sets[i])
                (void)close(state.sets[i] - 1);
            state.sets[i] = 0;
        }
    }
    unlock();
    return status;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t result)
{
    switch (result) {
#define RETURN(name, value, text) \
    case name:                    \
        return text;
#include "nvml/nvml_returns.def"
#undef RETURN
    }
    return "Unknown Error";
}

/* Handles of sets are their place in state.sets, tagged. */
static const uint64_t set_tag = UINT64_C(0x5e70) << 32;

static int *find_set(uint64_t handle)
{
    uint64_t i = handle - set_tag;
    return i < SHIM_SETS && state.sets[i] ? &state.sets[i] : NULL;
}

EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    nvmlReturn_t status = NVML_ERROR_INSUFFICIENT_RESOURCES;
    int fd = -1;
    if (!set)
        return NVML_ERROR_INVALID_ARGUMENT;
    int me = lock();
    own_connection(me);
    unsigned i = 0;
    while (i < SHIM_SETS && state.sets[i])
        i++;
    if (state.users == 0)
        status = NVML_ERROR_UNINITIALIZED;
    else if (i < SHIM_SETS)
        status = wire_connect(EMU_HELLO_EVENTS, &fd, NULL);
    if (status == NVML_SUCCESS) {
        state.sets[i] = fd + 1;
        *set = (nvmlEventSet_t)(uintptr_t)(set_tag + i);
    }
    unlock();
    return status;
}

EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    nvmlReturn_t status = NVML_ERROR_INVALID_ARGUMENT;
    int me = lock();
    own_connection(me);
    int *found = find_set((uint64_t)(uintptr_t)set);
    if (state.users == 0)
        status = NVML_ERROR_UNINITIALIZED;
    if (state.users > 0 && found) {
        (void)close(*found - 1);
        *found = 0;
        status = NVML_SUCCESS;
    }
    unlock();
    return status;
}

/* Waiting for events may last: it happens on the set's own connection and without the lock.
 * Not inlined: only the wait comes here, but a compiler would see calls with fewer arguments do. */
static __attribute__((noinline)) nvmlReturn_t wait_on_set(int fd, unsigned call,
                                                          const struct nvml_param *params,
                                                          const uint64_t *args)
{
    unsigned timeout = (unsigned)args[2];
    int broken = 0;
    wire_deadline(fd, timeout == UINT32_MAX ? 0 : timeout + wire_default_deadline());
    return wire_call(fd, NULL, call, params, 3, args, &broken);
}

static nvmlReturn_t call_on_set(int fd, unsigned call, const struct nvml_param *params, unsigned n,
                                const uint64_t *args)
{
    int broken = 0;
    wire_deadline(fd, wire_default_deadline());
    return wire_call(fd, NULL, call, params, n, args, &broken);
}

static int is_wait(unsigned call)
{
    return call == NVML_CALL_nvmlEventSetWait_v2 || call == NVML_CALL_nvmlEventSetWait;
}

/* The set among the arguments: 1 if there is one, 0 if the call takes none, -1 if it is stale. */
static int set_argument(const struct nvml_param *params, unsigned n, const uint64_t *args,
                        int *ret_fd)
{
    for (unsigned i = 0; i < n; i++) {
        if (params[i].kind != NVML_KIND_EVS)
            continue;
        const int *set = find_set(args[i]);
        *ret_fd = set ? *set - 1 : -1;
        return set ? 1 : -1;
    }
    return 0;
}

static nvmlReturn_t call_locked(int me, unsigned call, const struct nvml_param *params, unsigned n,
                                const uint64_t *args, int *ret_wait_fd)
{
    int fd = -1, broken = 0;
    own_connection(me);
    if (state.users == 0)
        return NVML_ERROR_UNINITIALIZED;
    if (state.lost)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    int on_set = set_argument(params, n, args, &fd);
    if (on_set < 0)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (on_set > 0 && is_wait(call)) {
        *ret_wait_fd = fd;
        return NVML_SUCCESS;
    }
    if (on_set > 0)
        return call_on_set(fd, call, params, n, args);
    nvmlReturn_t status = wire_call(state.fd, &state.keep, call, params, n, args, &broken);
    if (broken) {
        (void)close(state.fd);
        state.lost = 1;
    }
    return status;
}

static nvmlReturn_t call_driver(unsigned call, const struct nvml_param *params, unsigned n,
                                const uint64_t *args)
{
    int wait_fd = -1;
    int me = lock();
    nvmlReturn_t status = call_locked(me, call, params, n, args, &wait_fd);
    unlock();
    return wait_fd >= 0 ? wait_on_set(wait_fd, call, params, args) : status;
}

/* The bodies of all other functions. LOCAL ones are above. */
#define BODY(name, number, ...)                                                              \
    EXPORT nvmlReturn_t name(NVML_DECLS(__VA_ARGS__))                                        \
    {                                                                                        \
        static const struct nvml_param params[] = {NVML_PARAMS(__VA_ARGS__)};                \
        const uint64_t args[] = {NVML_ARGS(__VA_ARGS__)};                                    \
        return call_driver(number, params, NVML_COUNT(__VA_ARGS__), args);                   \
    }
#define BODY_EXACT(name, ...) BODY(name, NVML_CALL_##name, __VA_ARGS__)
#define BODY_MODELLED(name, ...) BODY(name, NVML_CALL_##name, __VA_ARGS__)
#define BODY_CONSTANT(name, ...) BODY(name, NVML_CALL_##name, __VA_ARGS__)
#define BODY_NONE(name, ...) BODY(name, NVML_CALL_##name, __VA_ARGS__)
#define BODY_LOCAL(name, ...)
#define CALL(name, since, fidelity, who, ...) BODY_##fidelity(name, __VA_ARGS__)
#define ALIAS(name, since, as, ...) BODY(name, NVML_CALL_##as, __VA_ARGS__)
#include "nvml/nvml_calls.def"
