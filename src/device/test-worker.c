/* Workers against a library that hangs or crashes: neither parent nor others must notice.
 *
 * From the environment: TEST_CHILD the program, TEST_STUB and TEST_STUB_OLD the libraries. */
#include "base/time.h"
#include "device/fault.h"
#include "device/trace.h"
#include "device/worker.h"
#include "tests/tap.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct worker *start(const char *mode)
{
    char variable[64];
    snprintf(variable, sizeof variable, "STUB_MODE=%s", mode);
    const char *env[] = {variable, NULL};
    struct worker *w = NULL;
    struct error err = {0};
    if (worker_start(getenv("TEST_CHILD"), getenv("TEST_STUB"), env, &w, &err) < 0)
        printf("# %s\n", err.text);
    return w;
}

static int ask(struct worker *w, enum worker_call call, uint64_t tag)
{
    struct worker_request q = {.call = call, .tag = tag};
    struct error err;
    return worker_send(w, &q, &err);
}

/* The next answer within 10 s: as worker_receive. */
static int answer(struct worker *w, struct worker_answer *a)
{
    struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
    struct error err;
    poll(&p, 1, 10000);
    return worker_receive(w, a, &err);
}

/* Whether a killed child ends, and is then reaped by us if worker_free could not wait so long: a
 * large process (as under a sanitizer) takes its time to die on a busy machine. */
static bool gone(pid_t pid)
{
    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++) {
        waitpid(pid, NULL, WNOHANG);
        poll(NULL, 0, 10);
    }
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static struct worker_answer a; /* 16 kB, too much for each test's stack */

TEST(answers_come_in_order_with_their_tags)
{
    struct worker *w = start("");
    REQUIRE(w);
    struct error err;
    CHECK(worker_receive(w, &a, &err) == 0);
    for (uint64_t tag = 1; tag <= 3; tag++)
        CHECK(ask(w, tag == 2 ? WORKER_RELEASE : WORKER_OBSERVE, tag) == 0);
    for (uint64_t tag = 1; tag <= 3; tag++) {
        CHECK(answer(w, &a) == 1);
        CHECK(a.tag == tag && a.code == 0);
        CHECK((a.machine != NULL) == (tag != 2));
        CHECK(!a.machine || a.machine->gpu_n == 0);
    }
    worker_free(w);
}

TEST(no_driver_is_an_answer_not_an_end)
{
    struct worker *w = start("unloaded");
    REQUIRE(w);
    for (int i = 0; i < 2; i++) {
        CHECK(ask(w, WORKER_OBSERVE, 1) == 0);
        CHECK(answer(w, &a) == 1);
        CHECK_INT(a.code, ==, -ERROR_NOT_FOUND);
        CHECK_HAS(a.err.text, "Driver Not Loaded");
        CHECK(a.machine == NULL);
    }
    worker_free(w);
}

TEST(a_hanging_worker_is_killed_and_the_others_serve_on)
{
    struct worker *stuck = start("hang"), *other = start("");
    REQUIRE(stuck && other);
    CHECK(ask(stuck, WORKER_OBSERVE, 1) == 0);
    CHECK(ask(other, WORKER_OBSERVE, 2) == 0);
    CHECK(answer(other, &a) == 1 && a.tag == 2);
    struct pollfd p = {.fd = worker_fd(stuck), .events = POLLIN};
    CHECK(poll(&p, 1, 100) == 0);
    /* The parent can ask on without being held up, until the socket is full: then it is told. */
    int r = 0;
    for (int i = 0; i < 100000 && r == 0; i++)
        r = ask(stuck, WORKER_OBSERVE, 3);
    CHECK_INT(r, ==, -ERROR_IO);
    pid_t pid = worker_pid(stuck);
    int64_t before = time_boot();
    CHECK(worker_free(stuck) == NULL);
    CHECK(time_boot() - before < TIME_S);
    CHECK(gone(pid));
    CHECK(ask(other, WORKER_OBSERVE, 4) == 0);
    CHECK(answer(other, &a) == 1 && a.tag == 4);
    worker_free(other);
}

TEST(a_crash_is_seen_on_both_descriptors)
{
    struct worker *w = start("crash");
    REQUIRE(w);
    CHECK(ask(w, WORKER_OBSERVE, 1) == 0);
    struct pollfd p = {.fd = worker_pidfd(w), .events = POLLIN};
    CHECK(poll(&p, 1, 10000) == 1);
    CHECK(answer(w, &a) < 0);
    CHECK(ask(w, WORKER_OBSERVE, 2) < 0);
    pid_t pid = worker_pid(w);
    worker_free(w);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
}

TEST(the_child_has_nothing_of_ours)
{
    setenv("SECRET_OF_THE_PARENT", "1", 1);
    int extra[2];
    CHECK(pipe(extra) == 0);
    struct worker *w = start("");
    REQUIRE(w);
    CHECK(ask(w, WORKER_RELEASE, 1) == 0 && answer(w, &a) == 1);
    char path[64], environment[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/environ", worker_pid(w));
    FILE *f = fopen(path, "r");
    REQUIRE(f);
    size_t n = fread(environment, 1, sizeof environment - 1, f);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        environment[i] = environment[i] ? environment[i] : ' ';
    CHECK(!strstr(environment, "SECRET_OF_THE_PARENT"));
    CHECK_HAS(environment, "STUB_MODE=");
    snprintf(path, sizeof path, "/proc/%d/fd", worker_pid(w));
    int highest = 0;
    DIR *d = opendir(path);
    REQUIRE(d);
    for (struct dirent *e; (e = readdir(d));)
        highest = MAX(highest, (int)strtol(e->d_name, NULL, 10));
    closedir(d);
    CHECK_INT(highest, ==, WORKER_FD);
    worker_free(w);
    close(extra[0]);
    close(extra[1]);
}

TEST(programs_and_libraries_that_are_not_there)
{
    struct worker *w = NULL;
    struct error err;
    CHECK(worker_start("/no/such/program", NULL, NULL, &w, &err) == -ERROR_IO);
    CHECK(w == NULL);
    CHECK_HAS(err.text, "/no/such/program");
    struct device *d;
    CHECK(device_open_mig("/no/such/libnvidia-ml.so.1", &d, &err) == -ERROR_NOT_FOUND);
    CHECK_HAS(err.text, "is NVIDIA's driver installed");
    CHECK(device_open_mig(getenv("TEST_STUB_OLD"), &d, &err) == -ERROR_VERSION);
    CHECK_HAS(err.text, "nvmlGpuInstanceDestroy");
    CHECK_HAS(err.text, "nvmlDeviceSetMigMode");
    CHECK(!strstr(err.text, "nvmlInit_v2"));
    CHECK(worker_free(NULL) == NULL);
}

TEST(faults_happen_where_the_rules_say)
{
    struct device *d, *f, *t;
    struct error err;
    const struct fault_rule rules[] = {
        {.call = FAULT_OBSERVE, .nth = 2, .code = ERROR_HARDWARE},
        {.call = FAULT_OBSERVE, .nth = 3, .code = ERROR_DRIVER_LOST, .after = true},
        {.call = FAULT_WAIT, .code = ERROR_OK, .delay_ms = 50},
    };
    unsetenv("STUB_MODE");
    REQUIRE(device_open_mig(getenv("TEST_STUB"), &d, &err) == 0);
    REQUIRE(fault_new(d, rules, ARRAY_LEN(rules), &f, &err) == 0);
    REQUIRE(trace_new(f, &t, &err) == 0);
    struct machine *m = calloc(1, sizeof *m);
    REQUIRE(m);
    CHECK_INT(t->ops->observe(t, m, &err), ==, 0);
    CHECK_INT(t->ops->observe(t, m, &err), ==, -ERROR_HARDWARE);
    CHECK_INT(t->ops->observe(t, m, &err), ==, -ERROR_DRIVER_LOST);
    CHECK_INT(t->ops->observe(t, m, &err), ==, 0);
    int64_t start_ns = time_boot();
    CHECK_INT(t->ops->wait(t, 0, &err), ==, 0);
    CHECK(time_boot() - start_ns >= 50 * TIME_MS);
    t->ops->free(t);
    free(m);
}

TAP_MAIN
