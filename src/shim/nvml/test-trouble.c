/* The emulated driver in trouble: faults by rule, lost GPUs and the events that tell of them,
 * hostile clients, and what it costs and exports. */
#include "shim/nvml/test-emulated.h"

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
    (void)send(fd, &q, offsetof(struct emu_request, text) - 1, MSG_NOSIGNAL);
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
        if (q.call == NVML_CALL_nvmlEventSetWait_v2 || q.call == NVML_CALL_nvmlEventSetWait)
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

/* A driver of another build, as far as a client's hello goes. */
static pid_t foreign_driver(uint16_t version, int32_t status)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct emu_reply reply = {
        .magic = EMU_MAGIC, .version = version, .call = EMU_HELLO, .status = status};
    char request[4096];
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
    pid_t pid = fork();
    for (int client; pid == 0 && (client = accept(fd, NULL, NULL)) >= 0; (void)close(client)) {
        (void)!recv(client, request, sizeof request, 0);
        (void)!send(client, &reply, sizeof reply, MSG_NOSIGNAL);
    }
    (void)close(fd);
    return pid;
}

TEST(another_protocol_is_a_version_mismatch)
{
    (void)snprintf(directory, sizeof directory, "/tmp/fetta-test-XXXXXX");
    REQUIRE(mkdtemp(directory) && load());
    (void)snprintf(path, sizeof path, "%s/emud", directory);
    (void)setenv(EMU_ENV_SOCKET, path, 1);
    pid_t pid = foreign_driver(EMU_VERSION + 1, NVML_SUCCESS);
    CHECK_INT(n.nvmlInit_v2(), ==, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    end(pid);
    (void)unlink(path);
    pid = foreign_driver(EMU_VERSION, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    CHECK_INT(n.nvmlInit_v2(), ==, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    end(pid);
    (void)unlink(path);
    (void)rmdir(directory);
    (void)dlclose(n.handle);
    /* The same protocol with another table of calls. */
    REQUIRE(start("1xa100-80", NULL, NULL));
    struct emu_request q = {.magic = EMU_MAGIC, .version = EMU_VERSION, .call = EMU_HELLO};
    struct emu_reply reply = {0};
    q.arg[1] = NVML_CALL_N + 1;
    int fd = raw();
    (void)send(fd, &q, offsetof(struct emu_request, text), MSG_NOSIGNAL);
    CHECK_INT(recv(fd, &reply, sizeof reply, 0), ==, sizeof reply);
    CHECK_INT(reply.status, ==, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
    (void)close(fd);
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
#ifdef __SANITIZE_ADDRESS__
    SKIP("a sanitizer's own memory is not small");
#endif
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

/* Only NVML's names are exported: a shim must not shadow anything of its host program. */
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
#define CALL(name, since, fidelity, who, ...) expected++;
#define ALIAS(name, since, as, ...) expected++;
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
#ifndef __SANITIZE_ADDRESS__ /* which multiplies the code */
    struct stat st;
    CHECK(stat(SHIM_PATH, &st) == 0 && st.st_size < 300000);
#endif
}

TAP_MAIN
