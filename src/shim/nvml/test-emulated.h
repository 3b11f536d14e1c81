/* What the tests of the emulated driver share: a driver of their own in a directory of its own, the
 * library loaded by hand, children, and programs that hold devices. */
#pragma once

#include "emud/protocol.h"
#include "tests/tap.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The whole ABI as function pointers. */
static struct {
    void *handle;
#define CALL(name, since, fidelity, who, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#define ALIAS(name, since, as, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
} n;

static char directory[64], path[96];
static pid_t driver;

static inline bool load(void)
{
    n.handle = dlopen(SHIM_PATH, RTLD_NOW | RTLD_LOCAL);
    bool all = n.handle != NULL;
#define CALL(name, since, fidelity, who, ...) \
    all = all && (*(void **)&n.name = dlsym(n.handle, #name));
#define ALIAS(name, since, as, ...) \
    all = all && (*(void **)&n.name = dlsym(n.handle, #name));
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    return all;
}

static inline int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Starts a program with a pipe as descriptor 9; waits for its first bytes there or on stdout. */
static inline pid_t spawn(const char *const argv[], bool stdout_too)
{
    int fds[2];
    char byte[64];
    if (pipe(fds) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], stdout_too ? 1 : 9);
        (void)close(fds[0]);
        (void)execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    (void)close(fds[1]);
    ssize_t got = read(fds[0], byte, sizeof byte);
    (void)close(fds[0]);
    return got > 0 ? pid : -1;
}

static inline bool start(const char *machine, const char *option, const char *value)
{
    const char *argv[] = {EMUD_PATH, machine, "--socket", path, "--ready-fd", "9",
                    option, value, NULL};
    (void)snprintf(directory, sizeof directory, "/tmp/fetta-test-XXXXXX");
    if (!mkdtemp(directory) || chmod(directory, 0755) < 0)
        return false;
    (void)snprintf(path, sizeof path, "%s/emud", directory);
    (void)setenv(EMU_ENV_SOCKET, path, 1);
    driver = spawn(argv, false);
    return driver > 0 && load();
}

static inline void stop(void)
{
    int status = 0;
    (void)kill(driver, SIGTERM);
    CHECK(waitpid(driver, &status, 0) == driver);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(access(path, F_OK) < 0);
    (void)rmdir(directory);
    (void)dlclose(n.handle);
}

/* Runs `fetta-emud ctl ...` to its end; its exit status. */
static inline int ctl(const char *a, const char *b, const char *c, const char *d, const char *e)
{
    const char *argv[] = {EMUD_PATH, "ctl", a, b, c, d, e, NULL};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, 2);
        (void)execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A GPU program: `fetta-emud ctl hold ...`, returned once it holds. */
static inline pid_t holder(const char *verb, const char *a, const char *b)
{
    const char *argv[] = {EMUD_PATH, "ctl", verb, a, b, NULL};
    return spawn(argv, true);
}

static inline void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* Runs `body` in a process of its own; false if a check failed there. */
static inline bool in_child(void (*body)(void))
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        tap_failed = false;
        body();
        (void)fflush(stdout);
        _exit(tap_failed);
    }
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static inline nvmlDevice_t gpu(unsigned index)
{
    nvmlDevice_t d = NULL;
    CHECK_INT(n.nvmlDeviceGetHandleByIndex_v2(index, &d), ==, 0);
    return d;
}

/* The MIG device of a compute instance, found as clients do: by walking. */
static inline nvmlDevice_t find_mig(nvmlDevice_t parent, const nvmlComputeInstanceInfo_t *info)
{
    nvmlGpuInstanceInfo_t gi = {0};
    nvmlDevice_t d = NULL;
    unsigned gi_id = 0, ci_id = 0;
    CHECK(info->device == parent);
    CHECK_INT(n.nvmlGpuInstanceGetInfo(info->gpuInstance, &gi), ==, 0);
    for (unsigned i = 0; n.nvmlDeviceGetMigDeviceHandleByIndex(parent, i, &d) == 0; i++) {
        CHECK_INT(n.nvmlDeviceGetGpuInstanceId(d, &gi_id), ==, 0);
        CHECK_INT(n.nvmlDeviceGetComputeInstanceId(d, &ci_id), ==, 0);
        if (gi_id == gi.id && ci_id == info->id)
            return d;
    }
    TAP_FAIL("no MIG device %u/%u", gi.id, info->id);
    return NULL;
}

/* Makes a GI with its full CI; its MIG device. */
static inline nvmlDevice_t slice(nvmlDevice_t d, unsigned profile, unsigned ci_profile,
                          nvmlGpuInstance_t *ret_gi, nvmlComputeInstance_t *ret_ci)
{
    nvmlComputeInstanceInfo_t info = {0};
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(d, profile, ret_gi), ==, 0);
    CHECK_INT(n.nvmlGpuInstanceCreateComputeInstance(*ret_gi, ci_profile, ret_ci), ==, 0);
    CHECK_INT(n.nvmlComputeInstanceGetInfo_v2(*ret_ci, &info), ==, 0);
    return find_mig(d, &info);
}
