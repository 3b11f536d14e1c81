/* Answers that the library keeps: never a call to the driver while nothing changes, never an old
 * answer after something did, whoever changed it and however the driver went. */
#include "shim/nvml/test-emulated.h"

#include <sys/mman.h>

static nvmlDevice_t device;

static unsigned count_of(unsigned expected)
{
    unsigned count = 99;
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, 0);
    CHECK_INT(count, ==, expected);
    return count;
}

/* With the driver stopped, only what was kept is answered. */
TEST(a_kept_answer_needs_no_driver)
{
    char first[96] = "", again[96] = "";
    unsigned index = 9;
    (void)setenv(EMU_ENV_DEADLINE, "200", 1);
    REQUIRE(start("2xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    device = gpu(1);
    CHECK_INT(n.nvmlDeviceGetUUID(device, first, sizeof first), ==, 0);
    CHECK_INT(n.nvmlDeviceGetIndex(device, &index), ==, 0);
    (void)kill(driver, SIGSTOP);
    for (unsigned i = 0; i < 1000; i++)
        CHECK_INT(n.nvmlDeviceGetUUID(device, again, sizeof again), ==, 0);
    CHECK_STR(again, first);
    CHECK_INT(n.nvmlDeviceGetUUID(device, again, 8), ==, NVML_ERROR_TIMEOUT);
    (void)kill(driver, SIGCONT);
    (void)unsetenv(EMU_ENV_DEADLINE);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

static void switch_mig_off(void)
{
    nvmlReturn_t activation;
    CHECK_INT(n.nvmlInit_v2(), ==, 0);
    CHECK_INT(n.nvmlDeviceSetMigMode(gpu(0), 0, &activation), ==, 0);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
}

static void expect_mig(unsigned current, unsigned pending)
{
    unsigned c = 9, p = 9;
    CHECK_INT(n.nvmlDeviceGetMigMode(device, &c, &p), ==, 0);
    CHECK(c == current && p == pending);
}

TEST(what_others_change_is_seen_at_once)
{
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    nvmlGpuInstance_t gi;
    nvmlComputeInstance_t ci;
    char uuid[96];
    device = gpu(0);
    expect_mig(1, 1);
    nvmlDevice_t mig = slice(device, 19, 0, &gi, &ci);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, uuid, sizeof uuid), ==, 0);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, uuid, sizeof uuid), ==, 0);
    CHECK_INT(n.nvmlComputeInstanceDestroy(ci), ==, 0);
    CHECK_INT(n.nvmlDeviceGetUUID(mig, uuid, sizeof uuid), ==, NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(n.nvmlGpuInstanceDestroy(gi), ==, 0);
    /* Pending, as this process has the GPU open. */
    CHECK(in_child(switch_mig_off));
    expect_mig(1, 0);
    CHECK_INT(ctl("lose", "0", NULL, NULL, NULL), ==, 0);
    CHECK_INT(n.nvmlDeviceGetUUID(device, uuid, sizeof uuid), ==, NVML_ERROR_GPU_IS_LOST);
    CHECK_INT(ctl("reset", "0", NULL, NULL, NULL), ==, 0);
    CHECK_INT(n.nvmlDeviceGetUUID(device, uuid, sizeof uuid), ==, 0);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

TEST(faults_hit_what_was_kept)
{
    unsigned count = 0;
    REQUIRE(start("2xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    (void)count_of(2);
    CHECK_INT(ctl("fail", "nvmlDeviceGetCount_v2", "UNKNOWN", "2", NULL), ==, 0);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_UNKNOWN);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_UNKNOWN);
    (void)count_of(2);
    CHECK_INT(ctl("fail", "nvmlDeviceGetCount_v2", "UNKNOWN", "0", NULL), ==, 0);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_UNKNOWN);
    CHECK_INT(ctl("clear", NULL, NULL, NULL, NULL), ==, 0);
    (void)count_of(2);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

TEST(a_killed_driver_is_gone_for_what_was_kept_too)
{
    unsigned count = 0;
    REQUIRE(start("2xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    (void)count_of(2);
    end(driver);
    CHECK_INT(n.nvmlDeviceGetCount_v2(&count), ==, NVML_ERROR_DRIVER_NOT_LOADED);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    const char *argv[] = {EMUD_PATH, "3xa30", "--socket", path, "--ready-fd", "9", NULL};
    driver = spawn(argv, false);
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    (void)count_of(3);
    (void)count_of(3);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

/* Whoever can reach the socket gets the page; nobody but the driver can write to it. */
TEST(nobody_else_writes_the_page)
{
    struct emu_request q = {.magic = EMU_MAGIC, .version = EMU_VERSION, .call = EMU_HELLO};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct emu_reply reply;
    struct iovec part = {&reply, sizeof reply};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    REQUIRE(start("1xa100-80", NULL, NULL));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), page = -1;
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    REQUIRE(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    q.arg[1] = NVML_CALL_N;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    REQUIRE(send(fd, &q, offsetof(struct emu_request, text), 0) > 0);
    REQUIRE(recvmsg(fd, &m, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof reply);
    REQUIRE(reply.status == 0 && CMSG_FIRSTHDR(&m));
    memcpy(&page, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof page);
    size_t size = sizeof(struct emu_page);
    CHECK(mmap(NULL, size, PROT_READ, MAP_SHARED, page, 0) != MAP_FAILED);
    CHECK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0) == MAP_FAILED);
    CHECK(write(page, "x", 1) < 0 && ftruncate(page, 0) < 0);
    char file[40];
    (void)snprintf(file, sizeof file, "/proc/self/fd/%d", page);
    int again = open(file, O_RDWR | O_CLOEXEC);
    if (again >= 0) {
        CHECK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
        CHECK(write(again, "x", 1) < 0 && ftruncate(again, 0) < 0);
        (void)close(again);
    }
    (void)close(page);
    (void)close(fd);
    stop();
}

TAP_MAIN
