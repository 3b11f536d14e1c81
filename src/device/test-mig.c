/* The mig backend against the emulated driver, through its library by explicit path: never against
 * whatever driver this machine has.
 *
 * Paths come from the environment: TEST_EMUD the driver, TEST_NVML its library, TEST_CHILD a worker. */
#include "base/time.h"
#include "device/worker.h"
#include "nvml/abi.h"
#include "tests/tap.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], socket_path[96];
static pid_t driver;

/* Runs fetta-emud with these words; waits until clients can connect. */
static bool driver_start(const char *machine, const char *mig)
{
    int ready[2];
    char number[16], word[16] = "";
    if (!directory[0]) {
        snprintf(directory, sizeof directory, "/tmp/fetta-mig-XXXXXX");
        if (!mkdtemp(directory))
            return false;
        snprintf(socket_path, sizeof socket_path, "%s/driver", directory);
        setenv("FETTA_EMU_SOCKET", socket_path, 1);
    }
    if (pipe(ready) < 0)
        return false;
    driver = fork();
    if (driver == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(number, sizeof number, "%d", ready[1]);
        execl(getenv("TEST_EMUD"), "fetta-emud", machine, "--socket", socket_path, "--mig", mig,
              "--ready-fd", number, (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    ssize_t n = read(ready[0], word, sizeof word - 1);
    close(ready[0]);
    return n > 0;
}

static void driver_stop(void)
{
    if (driver > 0) {
        kill(driver, SIGKILL);
        waitpid(driver, NULL, 0);
    }
    driver = 0;
}

__attribute__((destructor)) static void clean(void)
{
    driver_stop();
    if (directory[0]) {
        unlink(socket_path);
        rmdir(directory);
    }
}

/* Starts `fetta-emud ctl WORDS...`; its pid. */
static pid_t ctl(const char *a, const char *b, const char *c, const char *d)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(2, 1); /* what it says is not TAP */
        execl(getenv("TEST_EMUD"), "fetta-emud", "ctl", a, b, c, d, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool ctl_done(const char *a, const char *b, const char *c, const char *d)
{
    int status = -1;
    return waitpid(ctl(a, b, c, d), &status, 0) > 0 && status == 0;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct machine machine; /* 200 kB */

static struct device *open_device(void)
{
    struct device *d = NULL;
    struct error err = {0};
    if (device_open_mig(getenv("TEST_NVML"), &d, &err) < 0)
        printf("# %s\n", err.text);
    return d;
}

static bool observe(struct device *d)
{
    struct error err = {0};
    if (d->ops->observe(d, &machine, &err) == 0)
        return true;
    printf("# %s\n", err.text);
    return false;
}

static struct device_op create_op(unsigned gpu, const char *profile, uint8_t start)
{
    const struct machine_gpu *g = &machine.gpus[gpu];
    const struct board *b = &machine.boards[g->board];
    unsigned p = board_profile_by_name(b, profile);
    struct device_op op = {.kind = DEVICE_CREATE, .start = start};
    snprintf(op.gpu, sizeof op.gpu, "%s", g->uuid);
    if (p < b->profile_n) {
        op.profile_id = b->profiles[p].id;
        op.size = b->profiles[p].size;
    }
    return op;
}

static int apply(struct device *d, const struct device_op *op, struct device_result *ret,
                 struct error *err)
{
    *err = (struct error){0};
    int r = d->ops->apply(d, op, ret, err);
    if (r < 0)
        printf("# %s\n", err->text);
    return r;
}

static int destroy(struct device *d, unsigned gpu, uint8_t gi, struct error *err)
{
    struct device_op op = {.kind = DEVICE_DESTROY, .gi = gi};
    struct device_result made;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[gpu].uuid);
    return apply(d, &op, &made, err);
}

static void same_text(const char *what, const char *a, const char *b)
{
    if (strcmp(a, b) != 0)
        TAP_FAIL("%s: \"%s\" against \"%s\"", what, a, b);
}

/* What the driver tells must be what the table says, since the emulated one speaks from the table. */
static void check_board(const struct board *is, const char *name)
{
    const struct board *table = board_find(name);
    REQUIRE(table);
    same_text("name", is->name, table->name);
    same_text("product", is->product, table->product);
    CHECK(is->pci_id == table->pci_id && is->family == table->family && is->sms == table->sms);
    CHECK_INT(is->total_mib, ==, table->total_mib);
    CHECK(is->memory_slices == table->memory_slices && is->compute_slices == table->compute_slices);
    CHECK_INT(is->profile_n, ==, table->profile_n);
    CHECK(is->complete == table->complete);
    for (unsigned i = 0; i < MIN(is->profile_n, table->profile_n); i++)
        if (memcmp(&is->profiles[i], &table->profiles[i], sizeof is->profiles[i]) != 0)
            TAP_FAIL("%s: profile %u differs from the table", name, i);
}

static void check_machine(const char *spec, const char *board, unsigned gpus)
{
    REQUIRE(driver_start(spec, "on"));
    struct device *d = open_device();
    REQUIRE(d);
    CHECK(observe(d));
    CHECK_INT(machine.gpu_n, ==, gpus);
    CHECK_INT(machine.board_n, ==, 1);
    CHECK(machine.driver[0]);
    struct machine *wanted = calloc(1, sizeof *wanted);
    struct error err;
    REQUIRE(wanted && machine_parse(spec, wanted, &err) == 0);
    CHECK(machine.unified_memory == wanted->unified_memory);
    for (unsigned i = 0; i < gpus; i++) {
        const struct machine_gpu *g = &machine.gpus[i];
        CHECK(g->index == i && g->minor == i && g->health == MACHINE_OK && g->gi_n == 0);
        CHECK(g->mig == wanted->gpus[i].mig && g->mig_pending == g->mig);
        CHECK_STR(g->uuid, wanted->gpus[i].uuid);
        CHECK_STR(g->pci, wanted->gpus[i].pci);
    }
    check_board(&machine.boards[0], board);
    free(wanted);
    d->ops->free(d);
    driver_stop();
}

TEST(dgx_a100_is_what_its_table_says)
{
    check_machine("dgx-a100", "a100-80", 8);
}

TEST(dgx_h100_is_what_its_table_says)
{
    check_machine("dgx-h100", "h100-sxm", 8);
}

TEST(a30_is_what_its_table_says)
{
    check_machine("4xa30", "a30", 4);
}

TEST(rtx_pro_6000_is_what_its_table_says)
{
    check_machine("rtx-pro-6000", "rtx-pro-6000", 1);
}

TEST(dgx_spark_has_a_gpu_and_no_mig)
{
    check_machine("dgx-spark", "gb10", 1);
}

TEST(mixed_boards_and_mig_off)
{
    REQUIRE(driver_start("2xh100-sxm,1xa30", "off"));
    struct device *d = open_device();
    REQUIRE(d);
    CHECK(observe(d));
    CHECK_INT(machine.board_n, ==, 2);
    CHECK(machine.gpus[0].board == 0 && machine.gpus[2].board == 1);
    CHECK(machine.gpus[1].mig == MACHINE_MIG_OFF);
    check_board(&machine.boards[0], "h100-sxm");
    check_board(&machine.boards[1], "a30");
    /* Only this GPU, with the board's number as the whole machine has it. */
    struct machine_gpu gpu;
    struct error err;
    struct device *fresh = open_device();
    REQUIRE(fresh);
    CHECK(fresh->ops->observe_gpu(fresh, machine.gpus[2].uuid, &gpu, &err) == 0);
    CHECK(gpu.index == 2 && gpu.board == 1);
    CHECK(fresh->ops->observe_gpu(fresh, "GPU-none", &gpu, &err) == -ERROR_NOT_FOUND);
    fresh->ops->free(fresh);
    d->ops->free(d);
    driver_stop();
}

/* Every profile of a board at every start: made, seen where it was asked for, and gone again. */
static void every_placement(const char *spec)
{
    REQUIRE(driver_start(spec, "on"));
    struct device *d = open_device();
    REQUIRE(d);
    CHECK(observe(d));
    const struct board b = machine.boards[0];
    struct machine_gpu gpu;
    struct device_result made;
    struct error err;
    for (unsigned p = 0; p < b.profile_n; p++)
        for (uint8_t start = 0; start < 16; start++) {
            char name[BOARD_PROFILE_NAME];
            if (!(b.profiles[p].starts & 1u << start))
                continue;
            struct device_op op = create_op(0, board_profile_name(&b, &b.profiles[p], name), start);
            op.profile_id = b.profiles[p].id;
            REQUIRE(apply(d, &op, &made, &err) == 0);
            CHECK_INT(made.gi, ==, board_gi_id(&b, start, b.profiles[p].size));
            CHECK(made.gi_minor == 3u + 9u * made.gi && made.ci_minor == made.gi_minor + 1 + made.ci);
            CHECK(d->ops->observe_gpu(d, op.gpu, &gpu, &err) == 0);
            REQUIRE(gpu.gi_n == 1 && gpu.gis[0].ci_n == 1);
            CHECK(gpu.gis[0].id == made.gi && gpu.gis[0].profile == p && gpu.gis[0].start == start &&
                  gpu.gis[0].size == b.profiles[p].size);
            CHECK_STR(gpu.gis[0].cis[0].uuid, made.uuid);
            CHECK(strncmp(made.uuid, "MIG-", 4) == 0 && gpu.gis[0].cis[0].id == made.ci);
            CHECK_INT(gpu.gis[0].cis[0].sms, ==, b.profiles[p].sms);
            CHECK(destroy(d, 0, made.gi, &err) == 0);
            CHECK(destroy(d, 0, made.gi, &err) == 0);
        }
    CHECK(observe(d) && machine.gpus[0].gi_n == 0);
    d->ops->free(d);
    driver_stop();
}

TEST(every_placement_of_an_a100)
{
    every_placement("a100-80");
}

TEST(every_placement_of_an_h100)
{
    every_placement("h100-nvl");
}

TEST(every_placement_of_a_12_slice_board)
{
    every_placement("rtx-pro-6000");
}

TEST(what_does_not_fit_is_refused_and_leaves_nothing)
{
    REQUIRE(driver_start("a100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_result made;
    struct error err;
    struct device_op big = create_op(0, "4g.40gb", 0), small = create_op(0, "1g.10gb", 2);
    CHECK(apply(d, &big, &made, &err) == 0);
    CHECK(apply(d, &small, &made, &err) == -ERROR_NO_FIT);
    CHECK_HAS(err.text, "Insufficient Resources");
    CHECK_INT(err.sys, ==, NVML_ERROR_INSUFFICIENT_RESOURCES);
    struct device_op unknown = small;
    unknown.profile_id = 77;
    unknown.start = 4;
    CHECK(apply(d, &unknown, &made, &err) < 0);
    snprintf(unknown.gpu, sizeof unknown.gpu, "GPU-none");
    CHECK(apply(d, &unknown, &made, &err) == -ERROR_NOT_FOUND);
    CHECK(observe(d) && machine.gpus[0].gi_n == 1);
    d->ops->free(d);
    driver_stop();
}

TEST(a_refused_compute_instance_takes_the_gpu_instance_back)
{
    REQUIRE(driver_start("a100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_result made;
    struct error err;
    struct device_op op = create_op(0, "3g.40gb", 4);
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceCreateComputeInstance", "23", "1"));
    CHECK(apply(d, &op, &made, &err) == -ERROR_NO_FIT);
    CHECK(observe(d) && machine.gpus[0].gi_n == 0);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(destroy(d, 0, made.gi, &err) == 0);
    /* Even the rollback fails: then it is said, with the id of what is left. */
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceCreateComputeInstance", "23", "1"));
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceDestroy", "19", "1"));
    CHECK(apply(d, &op, &made, &err) < 0);
    CHECK_HAS(err.text, "could not be removed again");
    CHECK(observe(d) && machine.gpus[0].gi_n == 1 && machine.gpus[0].gis[0].id == made.gi);
    CHECK(machine.gpus[0].gis[0].ci_n == 0);
    CHECK(destroy(d, 0, made.gi, &err) == 0);
    d->ops->free(d);
    driver_stop();
}

/* Waits until the GPU or instance has `n` processes; the number it has. */
static size_t process_count(struct device *d, const char *uuid, size_t n,
                            struct device_process ret[8])
{
    size_t is = 99;
    struct error err = {0};
    for (int i = 0; i < 200; i++) {
        if (d->ops->processes(d, uuid, ret, 8, &is, &err) < 0)
            printf("# %s\n", err.text);
        if (is == n)
            break;
        poll(NULL, 0, 10);
    }
    return is;
}

TEST(in_use_names_the_process_or_suspects_a_monitor)
{
    REQUIRE(driver_start("a100-80", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_result made;
    struct device_process on[8];
    struct error err;
    struct device_op op = create_op(0, "1g.10gb", 3);
    REQUIRE(apply(d, &op, &made, &err) == 0);
    pid_t user = ctl("hold", made.uuid, "100", NULL);
    REQUIRE(process_count(d, op.gpu, 1, on) == 1);
    CHECK(on[0].pid == (uint32_t)user && on[0].gi == made.gi && on[0].ci == made.ci);
    CHECK_INT(on[0].bytes >> 20, ==, 100);
    CHECK(destroy(d, 0, made.gi, &err) == -ERROR_IN_USE);
    char number[16];
    snprintf(number, sizeof number, "%d", user);
    CHECK_HAS(err.text, number);
    CHECK_INT(err.sys, ==, NVML_ERROR_IN_USE);
    end(user);
    CHECK_INT(process_count(d, op.gpu, 0, on), ==, 0);
    REQUIRE(ctl_done("fail", "nvmlGpuInstanceDestroy", "19", "1"));
    CHECK(destroy(d, 0, made.gi, &err) == -ERROR_IN_USE);
    CHECK_HAS(err.text, "monitor");
    /* The compute instance went already; asking again finishes the rest. */
    CHECK(observe(d) && machine.gpus[0].gi_n == 1 && machine.gpus[0].gis[0].ci_n == 0);
    CHECK(destroy(d, 0, made.gi, &err) == 0);
    d->ops->free(d);
    driver_stop();
}

TEST(mode_changes_on_an_idle_and_on_a_busy_gpu)
{
    REQUIRE(driver_start("2xa100-80", "off"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = {.kind = DEVICE_SET_MODE, .mig_on = true};
    struct device_result made;
    struct error err;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[1].uuid);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(!made.pending);
    CHECK(observe(d) && machine.gpus[1].mig == MACHINE_MIG_ON && machine.gpus[0].mig == MACHINE_MIG_OFF);
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    struct device_process on[8];
    pid_t user = ctl("hold", op.gpu, "100", NULL);
    REQUIRE(process_count(d, op.gpu, 1, on) == 1);
    CHECK(on[0].gi == 0xff);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(made.pending);
    CHECK_INT(err.code, ==, ERROR_IN_USE);
    CHECK(observe(d) && machine.gpus[0].mig == MACHINE_MIG_OFF &&
          machine.gpus[0].mig_pending == MACHINE_MIG_ON);
    end(user);
    REQUIRE(process_count(d, op.gpu, 0, on) == 0);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(!made.pending);
    d->ops->free(d);
    driver_stop();
}

TEST(a_machine_that_cannot_reset_says_that_a_reset_is_needed)
{
    REQUIRE(driver_start("p4d.24xlarge", "off"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = {.kind = DEVICE_SET_MODE, .mig_on = true};
    struct device_result made;
    struct error err;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    CHECK(apply(d, &op, &made, &err) == 0);
    CHECK(made.pending);
    CHECK_HAS(err.text, "reset");
    CHECK_INT(err.sys, ==, NVML_ERROR_RESET_REQUIRED);
    d->ops->free(d);
    driver_stop();
}

TEST(gpus_without_mig_refuse_in_words)
{
    REQUIRE(driver_start("dgx-spark", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    struct device_op op = {.kind = DEVICE_SET_MODE, .mig_on = true};
    struct device_result made;
    struct error err;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    CHECK(apply(d, &op, &made, &err) == -ERROR_UNSUPPORTED);
    CHECK_HAS(err.text, "Not Supported");
    op = (struct device_op){.kind = DEVICE_CREATE, .profile_id = 19, .size = 1};
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[0].uuid);
    CHECK(apply(d, &op, &made, &err) == -ERROR_UNSUPPORTED);
    d->ops->free(d);
    driver_stop();
}

TEST(one_lost_gpu_does_not_hide_the_others)
{
    REQUIRE(driver_start("4xa30", "on"));
    struct device *d = open_device();
    REQUIRE(d && observe(d));
    char uuid[MACHINE_UUID];
    snprintf(uuid, sizeof uuid, "%s", machine.gpus[2].uuid);
    REQUIRE(ctl_done("lose", "2", NULL, NULL));
    REQUIRE(observe(d));
    CHECK_INT(machine.gpu_n, ==, 4);
    CHECK(machine.gpus[2].health == MACHINE_LOST && machine.gpus[3].health == MACHINE_OK);
    CHECK_HAS(machine.gpus[2].health_text, "lost");
    CHECK_STR(machine.gpus[2].uuid, uuid);
    struct device_result made;
    struct error err;
    struct device_op op = create_op(3, "2g.12gb", 2);
    CHECK(apply(d, &op, &made, &err) == 0);
    d->ops->free(d);
    driver_stop();
}

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
