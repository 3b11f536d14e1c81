/* The emulated driver and its library as programs meet them: real processes, the socket, dlopen.
 * Everything is spoken through the ABI; only what hardware and bad luck do goes through ctl. */
#include "shim/nvml/test-emulated.h"

#include <pthread.h>

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
    nvmlReturn_t last = n.nvmlDeviceGetGpuInstanceProfileInfoV(d, 0x12, &v2);
    CHECK_INT(last, ==, NVML_ERROR_INVALID_ARGUMENT);
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

/* nvidia-smi's private table: its size first, nothing but four slots, and the processes in one. */
TEST(the_private_table)
{
    struct {
        unsigned pid;
        unsigned long long bytes;
        unsigned gi, ci;
        unsigned long long other;
        char name[4096];
    } found[2];
    nvmlReturn_t (*get)(const void **, const void *);
    nvmlReturn_t (*list)(nvmlDevice_t, unsigned *, void *);
    nvmlReturn_t (*handle)(unsigned, nvmlDevice_t *);
    nvmlDevice_t d = NULL;
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci;
    char uuid[96] = "";
    const void *const *slots = NULL;
    unsigned count = 2, used = 0;
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    *(void **)&get = dlsym(n.handle, "nvmlInternalGetExportTable");
    CHECK_INT(get(NULL, uuid), ==, NVML_ERROR_INVALID_ARGUMENT);
    REQUIRE(get((const void **)&slots, uuid) == NVML_SUCCESS);
    REQUIRE((size_t)slots[0] == 251 * sizeof(void *));
    for (unsigned i = 1; i < 251; i++)
        used += slots[i] != NULL;
    CHECK_INT(used, ==, 4);
    memcpy(&handle, &slots[81], sizeof handle);
    memcpy(&list, &slots[213], sizeof list);
    CHECK_INT(handle(0, &d), ==, 0);
    CHECK(d == gpu(0));
    CHECK_INT(n.nvmlDeviceGetUUID(slice(d, 19, 0, &gi, &ci), uuid, sizeof uuid), ==, 0);
    pid_t program = holder("hold", uuid, "512");
    REQUIRE(program > 0);
    CHECK_INT(list(d, &count, found), ==, 0);
    CHECK(count == 1 && found[0].pid == (unsigned)program && found[0].bytes == 512 << 20);
    CHECK(found[0].gi == 13 && found[0].ci == 0);
    CHECK_HAS(found[0].name, "fetta-emud");
    count = 0;
    CHECK_INT(list(d, &count, found), ==, NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK_INT(count, ==, 1);
    memcpy(&list, &slots[214], sizeof list);
    count = 2;
    nvmlReturn_t status = list(d, &count, found);
    CHECK(status == NVML_ERROR_NOT_SUPPORTED || (status == NVML_SUCCESS && count == 0));
    end(program);
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
    for (int i = 0; i < 1000; i++) {
        unsigned count = 0;
        REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
        if (i % 100 == 0)
            CHECK(in_child(count_in_child));
        CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
        CHECK_INT(n.nvmlShutdown(), ==, 0);
        CHECK(dlclose(n.handle) == 0 && load());
    }
    CHECK_INT(open_files(), ==, files);
    stop();
}

static void *call_all_the_time(void *stopped)
{
    unsigned long long types;
    nvmlMemory_t memory;
    while (!__atomic_load_n((int *)stopped, __ATOMIC_RELAXED)) {
        (void)n.nvmlDeviceGetMemoryInfo(gpu(0), &memory);
        (void)n.nvmlDeviceGetSupportedEventTypes(gpu(0), &types);
    }
    return NULL;
}

/* A fork while another thread is inside a call: the child can call, and the parent goes on. */
TEST(fork_beside_a_calling_thread)
{
    int stopped = 0, status = -1;
    pthread_t thread;
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    (void)setenv(EMU_ENV_DEADLINE, "5000", 1);
    REQUIRE(pthread_create(&thread, NULL, call_all_the_time, &stopped) == 0);
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            unsigned count = 0;
            nvmlMemory_t memory = {0};
            bool good = n.nvmlDeviceGetCount_v2(&count) == 0 && count == 1 &&
                        n.nvmlDeviceGetMemoryInfo(gpu(0), &memory) == 0;
            _exit(!good);
        }
        REQUIRE(waitpid(pid, &status, 0) == pid);
        CHECK_INT(status, ==, 0);
    }
    __atomic_store_n(&stopped, 1, __ATOMIC_RELAXED);
    (void)pthread_join(thread, NULL);
    (void)unsetenv(EMU_ENV_DEADLINE);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
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

TAP_MAIN
