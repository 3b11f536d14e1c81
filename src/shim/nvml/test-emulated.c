/* The emulated driver and its library as programs meet them: real processes, the socket, dlopen.
 * Everything is spoken through the ABI; only what hardware and bad luck do goes through ctl. */
#include "emud/protocol.h"
#include "tests/tap.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The whole ABI as function pointers. */
static struct {
    void *library;
#define CALL(name, fidelity, who, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#define ALIAS(name, as, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
} n;

static char directory[64], path[96];
static pid_t driver;

static bool load(void)
{
    n.library = dlopen(SHIM_PATH, RTLD_NOW | RTLD_LOCAL);
    bool all = n.library != NULL;
#define CALL(name, fidelity, who, ...) all = all && (*(void **)&n.name = dlsym(n.library, #name));
#define ALIAS(name, as, ...) all = all && (*(void **)&n.name = dlsym(n.library, #name));
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    return all;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Starts a program with a pipe as descriptor 9; waits for its first bytes there or on stdout. */
static pid_t spawn(const char *const argv[], bool stdout_too)
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

static bool start(const char *machine, const char *option, const char *value)
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

static void stop(void)
{
    int status = 0;
    (void)kill(driver, SIGTERM);
    CHECK(waitpid(driver, &status, 0) == driver);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(access(path, F_OK) < 0);
    (void)rmdir(directory);
    (void)dlclose(n.library);
}

/* Runs `fetta-emud ctl ...` to its end; its exit status. */
static int ctl(const char *a, const char *b, const char *c, const char *d, const char *e)
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
static pid_t holder(const char *verb, const char *a, const char *b)
{
    const char *argv[] = {EMUD_PATH, "ctl", verb, a, b, NULL};
    return spawn(argv, true);
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* Runs `body` in a process of its own; false if a check failed there. */
static bool in_child(void (*body)(void))
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

static nvmlDevice_t gpu(unsigned index)
{
    nvmlDevice_t d = NULL;
    CHECK_INT(n.nvmlDeviceGetHandleByIndex_v2(index, &d), ==, 0);
    return d;
}

/* Makes a GI with its full CI; its MIG device. */
static nvmlDevice_t slice(nvmlDevice_t d, unsigned profile, unsigned ci_profile,
                          nvmlGpuInstance_t *ret_gi, nvmlComputeInstance_t *ret_ci)
{
    nvmlComputeInstanceInfo_t info = {0};
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(d, profile, ret_gi), ==, 0);
    CHECK_INT(n.nvmlGpuInstanceCreateComputeInstance(*ret_gi, ci_profile, ret_ci), ==, 0);
    CHECK_INT(n.nvmlComputeInstanceGetInfo_v2(*ret_ci, &info), ==, 0);
    return info.device;
}

static void make_slices(void)
{
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci;
    CHECK_INT(n.nvmlInit_v2(), ==, 0);
    (void)slice(gpu(1), 9, 2, &gi, &ci);
    (void)slice(gpu(1), 19, 0, &gi, &ci);
}

TEST(one_process_makes_another_sees)
{
    REQUIRE(start("dgx-a100", NULL, NULL));
    CHECK(in_child(make_slices));
    unsigned count = 0, id = 99, most = 0;
    nvmlDevice_t mig = NULL, again = NULL;
    char name[96], uuid[96];
    nvmlDeviceAttributes_t a = {0};
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_UNINITIALIZED);
    REQUIRE(n.nvmlInitWithFlags(0) == NVML_SUCCESS);
    CHECK_INT(n.nvmlDeviceGetCount(&count), ==, 0);
    CHECK_INT(count, ==, 8);
    CHECK_INT(n.nvmlDeviceGetMaxMigDeviceCount(gpu(1), &most), ==, 0);
    CHECK_INT(most, ==, 7);
    CHECK_INT(n.nvmlDeviceGetMigDeviceHandleByIndex(gpu(1), 0, &mig), ==, 0);
    CHECK_INT(n.nvmlDeviceGetName(mig, name, sizeof name), ==, 0);
    CHECK_HAS(name, " MIG 3g.40gb");
    CHECK_INT(n.nvmlDeviceGetGpuInstanceId(mig, &id), ==, 0);
    CHECK_INT(id, ==, 2);
    CHECK_INT(n.nvmlDeviceGetAttributes_v2(mig, &a), ==, 0);
    CHECK_INT(a.multiprocessorCount, ==, 42);
    CHECK_INT(a.gpuInstanceSliceCount, ==, 3);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, uuid, sizeof uuid), ==, 0);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, uuid, 8), ==, NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK_INT(n.nvmlDeviceGetHandleByUUID(uuid, &again), ==, 0);
    CHECK(again == mig);
    CHECK_INT(n.nvmlDeviceGetMigDeviceHandleByIndex(gpu(1), 2, &mig), ==, NVML_ERROR_NOT_FOUND);
    CHECK_INT(n.nvmlDeviceGetMigDeviceHandleByIndex(gpu(0), 0, &mig), ==, NVML_ERROR_NOT_FOUND);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    CHECK_INT(n.nvmlShutdown(), ==, NVML_ERROR_UNINITIALIZED);
    stop();
}

/* The count that comes with a list is output only: clients pass whatever is on their stack. */
TEST(lists_and_layouts)
{
    REQUIRE(start("dgx-a100", NULL, NULL));
    REQUIRE(n.nvmlInit() == NVML_SUCCESS);
    nvmlGpuInstance_t gi, found[7];
    nvmlComputeInstance_t ci;
    nvmlGpuInstancePlacement_t places[8];
    nvmlGpuInstanceInfo_t info;
    nvmlGpuInstanceProfileInfo_v2_t v2 = {.version = 0x02000098};
    nvmlGpuInstanceProfileInfo_v3_t v3 = {.version = 0x03000098};
    unsigned count = 0;
    nvmlDevice_t d = gpu(0), mig = slice(d, 9, 2, &gi, &ci);
    CHECK_INT(n.nvmlDeviceGetGpuInstances(d, 9, found, &count), ==, 0);
    CHECK(count == 1 && found[0] == gi);
    count = 32765;
    CHECK_INT(n.nvmlDeviceGetGpuInstancePossiblePlacements_v2(d, 19, NULL, &count), ==, 0);
    CHECK_INT(count, ==, 7);
    CHECK_INT(n.nvmlDeviceGetGpuInstancePossiblePlacements_v2(d, 9, places, &count), ==, 0);
    CHECK(count == 2 && places[1].start == 4 && places[1].size == 4);
    CHECK_INT(n.nvmlGpuInstanceGetInfo(gi, &info), ==, 0);
    CHECK(info.device == d && info.profileId == 9 && info.placement.start == 4);
    nvmlGpuInstanceProfileInfo_v2_t *as_v2 = &v2;
    CHECK_INT(n.nvmlDeviceGetGpuInstanceProfileInfoV(d, 0, as_v2), ==, 0);
    CHECK_STR(v2.name, "MIG 1g.10gb");
    CHECK_INT(v2.id, ==, 19);
    as_v2 = (void *)&v3;
    CHECK_INT(n.nvmlDeviceGetGpuInstanceProfileInfoV(d, 2, as_v2), ==, 0);
    CHECK_STR(v3.name, "MIG 3g.40gb");
    v2.version = 0x05000098;
    CHECK_INT(n.nvmlDeviceGetGpuInstanceProfileInfoV(d, 0, &v2), ==,
              NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    CHECK_INT(n.nvmlDeviceGetGpuInstanceProfileInfoV(d, 5, &v2), ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(n.nvmlDeviceGetGpuInstanceProfileInfoV(d, 0x12, &v2), ==, NVML_ERROR_INVALID_ARGUMENT);
    /* Handles die with what they name, even when another takes its place. */
    CHECK_INT(n.nvmlGpuInstanceDestroy(gi), ==, NVML_ERROR_IN_USE);
    CHECK_INT(n.nvmlComputeInstanceDestroy(ci), ==, 0);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, v2.name, 96), ==, NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(n.nvmlGpuInstanceDestroy(gi), ==, 0);
    (void)slice(d, 9, 2, &found[0], &ci);
    CHECK(found[0] != gi);
    CHECK_INT(n.nvmlGpuInstanceDestroy(gi), ==, NVML_ERROR_INVALID_ARGUMENT);
    places[0] = (nvmlGpuInstancePlacement_t){0, 4};
    CHECK_INT(n.nvmlDeviceCreateGpuInstanceWithPlacement(d, 9, places, &gi), ==, 0);
    CHECK_INT(n.nvmlDeviceCreateGpuInstanceWithPlacement(d, 9, places, &gi), ==,
              NVML_ERROR_INSUFFICIENT_RESOURCES);
    places[0].start = 2;
    CHECK_INT(n.nvmlDeviceCreateGpuInstanceWithPlacement(d, 9, places, &gi), ==,
              NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(n.nvmlDeviceGetUtilizationRates(d, (nvmlUtilization_t *)places), ==,
              NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(n.nvmlDeviceGetIndex(d, NULL), ==, NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(n.nvmlDeviceGetIndex(NULL, &count), ==, NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

TEST(a_killed_program_lets_go)
{
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci;
    nvmlProcessInfo_t infos[4];
    nvmlMemory_t memory = {0};
    char uuid[96] = "";
    nvmlDevice_t mig = slice(gpu(0), 19, 0, &gi, &ci);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, uuid, sizeof uuid), ==, 0);
    pid_t program = holder("hold", uuid, "512");
    REQUIRE(program > 0);
    unsigned count = 0;
    CHECK_INT(n.nvmlDeviceGetComputeRunningProcesses_v3(mig, &count, NULL), ==,
              NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK_INT(count, ==, 1);
    count = 4;
    CHECK_INT(n.nvmlDeviceGetComputeRunningProcesses_v3(gpu(0), &count, infos), ==, 0);
    CHECK(count == 1 && infos[0].pid == (unsigned)program && infos[0].gpuInstanceId == 13);
    CHECK_INT(n.nvmlDeviceGetMemoryInfo(mig, &memory), ==, 0);
    CHECK_INT(memory.used, ==, 512 << 20);
    CHECK_INT(n.nvmlSystemGetProcessName((unsigned)program, uuid, sizeof uuid), ==, 0);
    CHECK_HAS(uuid, "fetta-emud");
    CHECK_INT(n.nvmlComputeInstanceDestroy(ci), ==, NVML_ERROR_IN_USE);
    end(program);
    nvmlReturn_t status = NVML_ERROR_IN_USE;
    for (int64_t until = now_ms() + 2000; status == NVML_ERROR_IN_USE && now_ms() < until;)
        status = n.nvmlComputeInstanceDestroy(ci);
    CHECK_INT(status, ==, 0);
    pid_t monitor = holder("subscribe", "0", "13");
    CHECK(monitor > 0);
    CHECK_INT(n.nvmlGpuInstanceDestroy(gi), ==, NVML_ERROR_IN_USE);
    end(monitor);
    status = NVML_ERROR_IN_USE;
    for (int64_t until = now_ms() + 2000; status == NVML_ERROR_IN_USE && now_ms() < until;)
        status = n.nvmlGpuInstanceDestroy(gi);
    CHECK_INT(status, ==, 0);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

static void as_nobody(void)
{
    nvmlGpuInstance_t gi;
    nvmlReturn_t activation;
    unsigned current, pending;
    if (setuid(65534) < 0)
        TAP_FAIL("cannot become nobody");
    CHECK_INT(n.nvmlInit_v2(), ==, 0);
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(gpu(0), 19, &gi), ==, NVML_ERROR_NO_PERMISSION);
    CHECK_INT(n.nvmlDeviceSetMigMode(gpu(0), 0, &activation), ==, NVML_ERROR_NO_PERMISSION);
    CHECK_INT(n.nvmlDeviceGetMigMode(gpu(0), &current, &pending), ==, 0);
    CHECK(ctl("lose", "0", NULL, NULL, NULL) != 0);
}

static void as_emulated_root(void)
{
    nvmlGpuInstance_t gi;
    if (setuid(4242) < 0)
        TAP_FAIL("cannot become 4242");
    CHECK_INT(n.nvmlInit_v2(), ==, 0);
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(gpu(0), 19, &gi), ==, 0);
}

TEST(only_root_changes)
{
    if (getuid() != 0)
        SKIP("needs root to become somebody else");
    REQUIRE(start("1xa100-80", "--root-uid", "4242"));
    CHECK(in_child(as_nobody));
    CHECK(in_child(as_emulated_root));
    stop();
}

static int gate[2];

/* Opens the GPU and keeps it open until told. */
static pid_t opener(void)
{
    char byte = 'x';
    int ready[2];
    if (pipe(gate) < 0 || pipe(ready) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(gate[1]);
        (void)n.nvmlInit_v2();
        (void)gpu(0);
        (void)!write(ready[1], &byte, 1);
        (void)!read(gate[0], &byte, 1);
        _exit(0);
    }
    (void)!read(ready[0], &byte, 1);
    return pid;
}

TEST(mig_mode_is_pending_while_others_hold_the_gpu)
{
    REQUIRE(start("1xa100-80", "--mig", "off"));
    pid_t other = opener();
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    nvmlReturn_t activation = NVML_ERROR_UNKNOWN;
    unsigned current = 9, pending = 9, most = 9;
    CHECK_INT(n.nvmlDeviceSetMigMode(gpu(0), 1, &activation), ==, 0);
    CHECK_INT(activation, ==, NVML_ERROR_IN_USE);
    CHECK_INT(n.nvmlDeviceGetMigMode(gpu(0), &current, &pending), ==, 0);
    CHECK(current == 0 && pending == 1);
    CHECK_INT(n.nvmlDeviceGetMaxMigDeviceCount(gpu(0), &most), ==, 0);
    CHECK_INT(most, ==, 0);
    end(other);
    for (int64_t until = now_ms() + 2000; activation && now_ms() < until;)
        CHECK_INT(n.nvmlDeviceSetMigMode(gpu(0), 1, &activation), ==, 0);
    CHECK_INT(activation, ==, 0);
    CHECK_INT(n.nvmlDeviceGetMigMode(gpu(0), &current, &pending), ==, 0);
    CHECK(current == 1 && pending == 1);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

static void count_in_child(void)
{
    unsigned count = 0;
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
    CHECK_INT(count, ==, 1);
}

static int open_files(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        count++;
    (void)closedir(d);
    return count;
}

TEST(fork_and_unloading)
{
    REQUIRE(start("1xa100-80", NULL, NULL));
    int files = open_files();
    for (int i = 0; i < 50; i++) {
        unsigned count = 0;
        REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
        if (i % 10 == 0)
            CHECK(in_child(count_in_child));
        CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
        CHECK_INT(n.nvmlShutdown(), ==, 0);
        CHECK(dlclose(n.library) == 0 && load());
    }
    CHECK_INT(open_files(), ==, files);
    stop();
}

TEST(a_dead_driver_is_not_a_hang)
{
    (void)unsetenv(EMU_ENV_SOCKET);
    REQUIRE(load());
    CHECK_INT(n.nvmlInit_v2(), ==, NVML_ERROR_DRIVER_NOT_LOADED);
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    unsigned count = 0;
    int64_t before = now_ms();
    end(driver);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK_INT(now_ms() - before, <, 500);
    /* The dead driver's socket is replaced; the program has to begin anew. */
    const char *argv[] = {EMUD_PATH, "2xa30", "--socket", path, "--ready-fd", "9", NULL};
    driver = spawn(argv, false);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    CHECK_INT(n.nvmlInit_v2(), ==, 0);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
    CHECK_INT(count, ==, 2);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    /* A stopped one is a timeout. */
    (void)setenv(EMU_ENV_DEADLINE, "150", 1);
    CHECK_INT(n.nvmlInit_v2(), ==, 0);
    (void)kill(driver, SIGSTOP);
    before = now_ms();
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_TIMEOUT);
    CHECK_INT(now_ms() - before, <, 2000);
    (void)kill(driver, SIGCONT);
    (void)unsetenv(EMU_ENV_DEADLINE);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    /* Only one serves a socket. */
    CHECK(spawn(argv, false) < 0);
    stop();
}

TEST(faults)
{
    REQUIRE(start("2xa100-80", "--latency", "nvmlDeviceGetMinorNumber=30"));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    nvmlGpuInstance_t gi = NULL;
    nvmlComputeInstance_t ci = NULL;
    unsigned value = 0;
    nvmlDevice_t d = gpu(0);
    int64_t before = now_ms();
    CHECK_INT(n.nvmlDeviceGetMinorNumber(d, &value), ==, 0);
    CHECK_INT(now_ms() - before, >=, 30);
    CHECK_INT(ctl("fail", "nvmlGpuInstanceCreateComputeInstance", "INSUFFICIENT_RESOURCES", "1",
                  "gpu=0"), ==, 0);
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(d, 19, &gi), ==, 0);
    CHECK_INT(n.nvmlGpuInstanceCreateComputeInstance(gi, 0, &ci), ==,
              NVML_ERROR_INSUFFICIENT_RESOURCES);
    CHECK_INT(n.nvmlGpuInstanceCreateComputeInstance(gi, 0, &ci), ==, 0);
    /* One slow GPU does not slow the driver for others. */
    CHECK_INT(ctl("delay", "nvmlDeviceGetIndex", "300", "1", "gpu=0"), ==, 0);
    (void)fflush(stdout);
    pid_t slow = fork();
    if (slow == 0)
        _exit(n.nvmlDeviceGetIndex(d, &value) != NVML_SUCCESS);
    (void)usleep(50000);
    before = now_ms();
    CHECK_INT(n.nvmlDeviceGetIndex(gpu(1), &value), ==, 0);
    CHECK_INT(now_ms() - before, <, 200);
    int status = -1;
    (void)waitpid(slow, &status, 0);
    CHECK_INT(status, ==, 0);
    CHECK_INT(now_ms() - before, >=, 150);
    CHECK(ctl("fail", "nvmlNoSuchCall", "19", NULL, NULL) != 0);
    CHECK(ctl("fail", "nvmlDeviceGetIndex", "NONSENSE", NULL, NULL) != 0);
    CHECK(ctl("dance", NULL, NULL, NULL, NULL) != 0);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

TEST(events)
{
    REQUIRE(start("2xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    nvmlEventSet_t set = NULL;
    nvmlEventData_t data = {0};
    nvmlGpuInstance_t gi;
    unsigned long long types = 0;
    nvmlDevice_t d = gpu(1);
    CHECK_INT(n.nvmlEventSetCreate(&set), ==, 0);
    CHECK_INT(n.nvmlDeviceGetSupportedEventTypes(d, &types), ==, 0);
    CHECK_INT(types, ==, 0x108);
    CHECK_INT(n.nvmlDeviceRegisterEvents(d, types, set), ==, 0);
    CHECK_INT(n.nvmlDeviceRegisterEvents(d, 1, set), ==, NVML_ERROR_NOT_SUPPORTED);
    int64_t before = now_ms();
    CHECK_INT(n.nvmlEventSetWait_v2(set, &data, 100), ==, NVML_ERROR_TIMEOUT);
    CHECK_INT(now_ms() - before, >=, 100);
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(gpu(0), 19, &gi), ==, 0);
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(d, 19, &gi), ==, 0);
    CHECK_INT(n.nvmlEventSetWait_v2(set, &data, 1000), ==, 0);
    CHECK(data.device == d && data.eventType == nvmlEventMigConfigChange);
    CHECK_INT(n.nvmlEventSetWait_v2(set, &data, 0), ==, NVML_ERROR_TIMEOUT);
    (void)fflush(stdout);
    pid_t later = fork();
    if (later == 0) {
        (void)usleep(100000);
        _exit(ctl("lose", "1", NULL, NULL, NULL));
    }
    CHECK_INT(n.nvmlEventSetWait_v2(set, &data, 5000), ==, 0);
    CHECK(data.eventType == nvmlEventTypeXidCriticalError && data.eventData == 79);
    (void)waitpid(later, NULL, 0);
    CHECK_INT(n.nvmlDeviceCreateGpuInstance(d, 19, &gi), ==, NVML_ERROR_GPU_IS_LOST);
    CHECK_INT(n.nvmlDeviceGetHandleByIndex_v2(1, &d), ==, NVML_ERROR_GPU_IS_LOST);
    CHECK_INT(ctl("reset", "1", NULL, NULL, NULL), ==, 0);
    CHECK_INT(n.nvmlDeviceGetHandleByIndex_v2(1, &d), ==, 0);
    CHECK_INT(n.nvmlEventSetFree(set), ==, 0);
    CHECK_INT(n.nvmlEventSetWait_v2(set, &data, 0), ==, NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

static int raw(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct timeval t = {.tv_sec = 2};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* Whether the driver closed the connection rather than keep silent. */
static bool hung_up(int fd)
{
    char buffer[EMU_DATA + 64];
    ssize_t got;
    do
        got = recv(fd, buffer, sizeof buffer, 0);
    while (got > 0);
    (void)close(fd);
    return got == 0 || errno == ECONNRESET;
}

TEST(hostile_clients)
{
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    struct emu_request q = {.magic = EMU_MAGIC, .version = EMU_VERSION, .call = EMU_HELLO};
    struct emu_reply reply;
    char junk[4096];
    memset(junk, 0xa5, sizeof junk);
    for (size_t size = 1; size < sizeof junk; size = size * 2 + 1) {
        int fd = raw();
        (void)send(fd, junk, size, MSG_NOSIGNAL);
        CHECK(hung_up(fd));
    }
    int fd = raw();
    (void)send(fd, &q, sizeof q - 1, MSG_NOSIGNAL);
    CHECK(hung_up(fd));
    fd = raw();
    q.version = 77;
    (void)send(fd, &q, 8, MSG_NOSIGNAL);
    CHECK_INT(recv(fd, &reply, sizeof reply, 0), ==, sizeof reply);
    CHECK_INT(reply.version, ==, EMU_VERSION);
    CHECK_INT(reply.status, ==, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    CHECK(hung_up(fd));
    /* Every call with every kind of wrong argument is an answer. */
    fd = raw();
    q = (struct emu_request){.magic = EMU_MAGIC, .version = EMU_VERSION, .call = EMU_HELLO};
    q.arg[1] = NVML_CALL_N;
    (void)send(fd, &q, sizeof q, MSG_NOSIGNAL);
    (void)recv(fd, &reply, sizeof reply, 0);
    for (unsigned i = 0; i < 20000; i++) {
        q.call = (uint16_t)(i % (NVML_CALL_N + 2));
        for (unsigned k = 0; k < NVML_MAX_PARAMS; k++)
            q.arg[k] = (i * UINT64_C(0x9e3779b97f4a7c15)) >> (i + 16 * k) % 61;
        memset(q.text, (int)i, sizeof q.text);
        if (q.call == NVML_CALL_nvmlEventSetWait_v2)
            q.arg[2] = 0;
        REQUIRE(send(fd, &q, sizeof q, MSG_NOSIGNAL) == (ssize_t)sizeof q);
        REQUIRE(recv(fd, junk, sizeof junk, 0) >= (ssize_t)sizeof reply);
    }
    /* One that never fetches its replies, and many that say nothing. */
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 100000 && send(fd, &q, sizeof q, MSG_NOSIGNAL) > 0; i++)
        continue;
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    static int many[1000];
    unsigned opened = 0, count = 0;
    while (opened < 1000 && opened + 64 < limit.rlim_cur)
        many[opened++] = raw();
    int64_t before = now_ms();
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
    CHECK_INT(now_ms() - before, <, 1000);
    for (unsigned i = 0; i < opened; i++)
        (void)close(many[i]);
    (void)close(fd);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

/* A number of /proc/PID/smaps_rollup, kB. */
static long rollup(pid_t pid, const char *key)
{
    char file[64], line[128];
    long value = -1;
    (void)snprintf(file, sizeof file, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(file, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtol(line + strlen(key), NULL, 10);
    if (f)
        (void)fclose(f);
    return value;
}

TEST(memory_is_small)
{
    REQUIRE(start("16xh100-sxm", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 7; k++) {
            nvmlGpuInstance_t gi;
            nvmlComputeInstance_t ci;
            (void)slice(gpu(i), 19, 0, &gi, &ci);
        }
    }
    long kb = rollup(driver, "Rss:");
    printf("# 16 GPUs, 112 slices: %ld kB resident\n", kb);
    CHECK(kb < 8192);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

/* Only NVML's names are exported: a shim must not shadow anything of the program it is loaded in. */
TEST(exports)
{
    int fds[2];
    char line[256];
    REQUIRE(pipe(fds) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        (void)close(fds[0]);
        (void)execlp("nm", "nm", "-D", "--defined-only", SHIM_PATH, NULL);
        _exit(127);
    }
    (void)close(fds[1]);
    FILE *f = fdopen(fds[0], "r");
    unsigned names = 0, expected = 2; /* nvmlErrorString, nvmlInternalGetExportTable */
#define CALL(name, fidelity, who, ...) expected++;
#define ALIAS(name, as, ...) expected++;
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    while (f && fgets(line, sizeof line, f)) {
        CHECK_HAS(line, " T nvml");
        names++;
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    (void)fclose(f);
    if (WEXITSTATUS(status) == 127)
        SKIP("nm is not installed");
    CHECK_INT(names, ==, expected);
    struct stat st;
    CHECK(stat(SHIM_PATH, &st) == 0 && st.st_size < 300000);
}

TAP_MAIN
