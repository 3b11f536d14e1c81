/* The mig backend over time: a driver that goes and comes back, changes by others, ordinary users,
 * and the same through a worker process (TEST_CHILD names its program). */
#include "base/time.h"
#include "device/test-driver.h"
#include "device/worker.h"

#include <sys/stat.h>

TEST(the_driver_goes_and_comes_back)
{
    REQUIRE(driver_start("2xa100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = create_op(0, "7g.80gb", 0);
    struct device_result made;
    struct error err = {0};
    CHECK(apply(d, &op, &made, &err) == 0);
    for (int round = 0; round < 3; round++) {
        driver_stop();
        for (int i = 0; i < 2; i++) {
            int64_t before = time_boot();
            CHECK_INT(d->ops->observe(d, &machine, &err), ==, -ERROR_DRIVER_LOST);
            CHECK(time_boot() - before < TIME_S);
            CHECK_INT(d->ops->apply(d, &op, &made, &err), ==, -ERROR_DRIVER_LOST);
            CHECK_INT(d->ops->wait(d, 0, &err), ==, -ERROR_DRIVER_LOST);
        }
        REQUIRE(driver_start("2xa100-80", "on"));
        CHECK(observe(d) && machine.gpu_n == 2 && machine.gpus[0].gi_n == 0);
        CHECK(apply(d, &op, &made, &err) == 0);
    }
    d->ops->free(d);
    driver_stop();
    CHECK(device_open_mig(getenv("TEST_NVML"), &d, &err) == -ERROR_NOT_FOUND);
}

TEST(somebody_elses_change_is_an_event)
{
    REQUIRE(driver_start("2xa100-80", "on"));
    struct device *watcher = open_device(), *other = open_device();
    REQUIRE(watcher && other && observe(other));
    struct error err = {0};
    CHECK_INT(watcher->ops->wait(watcher, 0, &err), ==, 0);
    struct device_op op = create_op(1, "1g.10gb", 0);
    struct device_result made;
    CHECK(apply(other, &op, &made, &err) == 0);
    CHECK_INT(watcher->ops->wait(watcher, 5000, &err), ==, 1);
    other->ops->free(other);
    watcher->ops->free(watcher);
    driver_stop();
}

/* In a child of another uid: sees the same instances, may change nothing. */
static int as_nobody(void)
{
    struct device *d = NULL;
    struct machine *root = malloc(sizeof *root);
    struct error err = {0};
    struct device_result made;
    if (!root || setgid(65534) < 0 || setuid(65534) < 0)
        return 2;
    *root = machine;
    if (device_open_mig(getenv("TEST_NVML"), &d, &err) < 0 || !observe(d)) {
        printf("# %s\n", err.text);
        return 3;
    }
    int wrong = memcmp(&machine.boards[0], &root->boards[0], sizeof machine.boards[0]) ? 4 : 0;
    if (machine.gpus[0].gi_n != root->gpus[0].gi_n)
        return 5;
    for (unsigned i = 0; i < machine.gpus[0].gi_n; i++) {
        const struct machine_gi *a = &machine.gpus[0].gis[i], *b = &root->gpus[0].gis[i];
        if (a->id != b->id || a->profile != b->profile || a->start != b->start ||
            a->size != b->size || strcmp(a->cis[0].uuid, b->cis[0].uuid) != 0)
            wrong = 6;
    }
    struct device_op op = create_op(0, "1g.10gb", 6);
    if (d->ops->apply(d, &op, &made, &err) != -ERROR_NO_PERMISSION)
        wrong = 7;
    d->ops->free(d);
    free(root);
    return wrong;
}

TEST(an_ordinary_user_sees_the_same_picture)
{
    if (geteuid() != 0)
        SKIP("only root can become another user to see this");
    REQUIRE(driver_start("a100-80", "on"));
    chmod(directory, 0755);
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    const struct device_op ops[] = {create_op(0, "3g.40gb", 0), create_op(0, "1g.20gb", 4),
                                    create_op(0, "1g.10gb", 6)};
    struct device_result made;
    struct error err;
    for (unsigned i = 0; i < 2; i++)
        CHECK(apply(d, &ops[i], &made, &err) == 0);
    CHECK(observe(d) && machine.gpus[0].gi_n == 2);
    pid_t pid = fork();
    if (pid == 0)
        _exit(as_nobody());
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_INT(WEXITSTATUS(status), ==, 0);
    CHECK(WIFEXITED(status));
    d->ops->free(d);
    driver_stop();
}

TEST(the_same_through_a_worker)
{
    REQUIRE(driver_start("dgx-a100", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    char variable[160];
    snprintf(variable, sizeof variable, "FETTA_EMU_SOCKET=%s", socket_path);
    const char *env[] = {variable, NULL};
    struct worker *w = NULL, *watcher = NULL;
    static struct worker_answer a;
    struct error err = {0};
    REQUIRE(worker_start(getenv("TEST_CHILD"), getenv("TEST_NVML"), env, &w, &err) == 0);
    REQUIRE(worker_start(getenv("TEST_CHILD"), getenv("TEST_NVML"), env, &watcher, &err) == 0);
    struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
    struct pollfd hears = {.fd = worker_fd(watcher), .events = POLLIN};
    struct worker_request q = {.call = WORKER_WAIT, .tag = 5};
    CHECK(worker_send(watcher, &q, &err) == 0);
    /* One answer says that it listens; then nothing, since nothing happens. */
    CHECK(poll(&hears, 1, 10000) == 1 && worker_receive(watcher, &a, &err) == 1 && a.code == 0);
    CHECK(poll(&hears, 1, 300) == 0);
    q = (struct worker_request){.call = WORKER_APPLY, .tag = 6, .op = create_op(7, "2g.20gb", 2)};
    CHECK(worker_send(w, &q, &err) == 0);
    CHECK(poll(&p, 1, 10000) == 1 && worker_receive(w, &a, &err) == 1);
    CHECK(a.tag == 6 && a.code == 0 && a.result.gi_minor == 3u + 7 * 135 + 9u * a.result.gi);
    CHECK(poll(&hears, 1, 10000) == 1 && worker_receive(watcher, &a, &err) == 1);
    CHECK(a.tag == 5 && a.code == 0 && a.call == WORKER_WAIT);
    q = (struct worker_request){.call = WORKER_OBSERVE, .tag = 7};
    CHECK(worker_send(w, &q, &err) == 0);
    CHECK(poll(&p, 1, 10000) == 1 && worker_receive(w, &a, &err) == 1);
    CHECK(observe(d));
    CHECK(a.machine && memcmp(a.machine, &machine, sizeof machine) == 0);
    driver_stop();
    /* The compute instance was a second event, which may have been told by itself. */
    do
        CHECK(poll(&hears, 1, 2000) == 1);
    while (worker_receive(watcher, &a, &err) == 1 && a.code == 0);
    CHECK_INT(a.code, ==, -ERROR_DRIVER_LOST);
    worker_free(w);
    worker_free(watcher);
    d->ops->free(d);
}

TAP_MAIN
