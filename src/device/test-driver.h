/* An emulated driver for a test to start, steer and kill, and a device opened on it.
 *
 * Paths come from the environment: TEST_EMUD the driver, TEST_NVML its library. Always that library
 * by its path, never whatever driver the machine has: these tests change what GPUs are cut into. */
#pragma once

#include "device/device.h"
#include "tests/tap.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64], socket_path[96];
static pid_t driver;

/* Kills the driver, if one runs, as if it had been unloaded. */
static inline void driver_stop(void)
{
    if (driver > 0) {
        kill(driver, SIGKILL);
        waitpid(driver, NULL, 0);
    }
    driver = 0;
}

/* Runs fetta-emud with these words; waits until clients can connect. */
static inline bool driver_start(const char *machine, const char *mig)
{
    int ready[2];
    char number[16], uid[16], word[16] = "";
    driver_stop();
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
        snprintf(uid, sizeof uid, "%u", geteuid());
        execl(getenv("TEST_EMUD"), "fetta-emud", machine, "--socket", socket_path, "--mig", mig,
              "--ready-fd", number, "--root-uid", uid, (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    ssize_t n = read(ready[0], word, sizeof word - 1);
    close(ready[0]);
    return n > 0;
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
static inline pid_t ctl(const char *a, const char *b, const char *c, const char *d)
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

static inline bool ctl_done(const char *a, const char *b, const char *c, const char *d)
{
    int status = -1;
    return waitpid(ctl(a, b, c, d), &status, 0) > 0 && status == 0;
}

static inline void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct machine machine; /* 200 kB */

static inline struct device *open_device(void)
{
    struct device *d = NULL;
    struct error err = {0};
    if (device_open_mig(getenv("TEST_NVML"), &d, &err) < 0)
        printf("# %s\n", err.text);
    return d;
}

static inline bool observe(struct device *d)
{
    struct error err = {0};
    if (d->ops->observe(d, &machine, &err) == 0)
        return true;
    printf("# %s\n", err.text);
    return false;
}

static inline struct device_op create_op(unsigned gpu, const char *profile, uint8_t start)
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

static inline int apply(struct device *d, const struct device_op *op, struct device_result *ret,
                 struct error *err)
{
    *err = (struct error){0};
    int r = d->ops->apply(d, op, ret, err);
    if (r < 0)
        printf("# %s\n", err->text);
    return r;
}

static inline int destroy(struct device *d, unsigned gpu, uint8_t gi, struct error *err)
{
    struct device_op op = {.kind = DEVICE_DESTROY, .gi = gi};
    struct device_result made;
    snprintf(op.gpu, sizeof op.gpu, "%s", machine.gpus[gpu].uuid);
    return apply(d, &op, &made, err);
}
