/* Real groups with real processes: escapees stay inside, all die at once, nothing is left. */
#include "base/time.h"
#include "proc/cgroup.h"
#include "tests/tap.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *no_tree; /* why there is none */
static struct cgroup_tree tree;

__attribute__((constructor)) static void tree_open(void)
{
    static struct error err;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "test-%d", getpid());
    if (cgroup_open(prefix, &tree, &err) < 0)
        no_tree = err.text;
}

/* Waits until nobody lives in the group; false after 10 s. */
static bool wait_empty(const char *dir)
{
    int fd = -1;
    struct error err;
    if (cgroup_events(dir, &fd, &err) < 0)
        return false;
    int64_t end = time_boot() + 10 * TIME_S;
    int r;
    while ((r = cgroup_populated(fd, &err)) == 1 && time_boot() < end) {
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        poll(&p, 1, 1000);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    close(fd);
    return r == 0;
}

static bool remove_soon(const char *dir)
{
    struct error err;
    for (int i = 0; i < 500; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (cgroup_remove(dir, &err) == 1)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

/* A child waits for one byte before it does anything, so that it can be moved first. */
static pid_t child_waiting(int ends[2])
{
    if (pipe(ends) < 0)
        return -1;
    pid_t pid = fork();
    char go;
    if (pid == 0 && read(ends[0], &go, 1) != 1)
        _exit(1);
    return pid;
}

static _Noreturn void sleep_in_own_session(void)
{
    setsid();
    for (;;)
        pause();
}

static void count(uint64_t id, void *arg)
{
    if (id > 0)
        ++*(int *)arg;
}

TEST(names)
{
    struct cgroup_tree t;
    struct error err;
    CHECK(cgroup_open("a/b", &t, &err) == -ERROR_INVALID);
    CHECK(cgroup_open("", &t, &err) == -ERROR_INVALID);
    char dir[CGROUP_PATH];
    if (no_tree)
        SKIP(no_tree);
    CHECK(cgroup_resolve("/../etc", dir, &err) == -ERROR_INVALID);
    CHECK(cgroup_resolve("relative", dir, &err) == -ERROR_INVALID);
    CHECK(cgroup_resolve("/no-such-group-here", dir, &err) == -ERROR_NOT_FOUND);
}

TEST(a_path_is_known_with_and_without_where_it_is_mounted)
{
    static const struct {
        const char *mount, *path, *dir;
    } cases[] = {
        {"/sys/fs/cgroup", "/a/b", "/sys/fs/cgroup/a/b"},
        {"/sys/fs/cgroup", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a"},
        {"/sys/fs/cgroup/unified", "/a", "/sys/fs/cgroup/unified/a"},
        {"/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/a", "/sys/fs/cgroup/unified/a"},
        {"/sys/fs/cgroup/unified", "/sys/fs/cgroup/a", "/sys/fs/cgroup/unified/a"},
        {"/sys/fs/cgroup", "/sys/fs/cgroups/a", "/sys/fs/cgroup/sys/fs/cgroups/a"},
        {"/mnt/groups", "/sys/fs/cgroup", "/mnt/groups"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err;
        char dir[CGROUP_PATH];
        CHECK_INT(cgroup_join(cases[i].mount, cases[i].path, dir, &err), ==, 0);
        CHECK_STR(dir, cases[i].dir);
    }
}

TEST(double_forked_session_leader_is_inside)
{
    if (no_tree)
        SKIP(no_tree);
    struct error err;
    char dir[CGROUP_PATH], own[CGROUP_PATH], resolved[CGROUP_PATH];
    CHECK(cgroup_make(&tree, 7, &err) == 0);
    CHECK(cgroup_make(&tree, 7, &err) == 0);
    cgroup_dir(&tree, 7, dir);
    CHECK(cgroup_resolve(dir, resolved, &err) == 0);
    CHECK_STR(resolved, dir);
    int ends[2];
    pid_t pid = child_waiting(ends);
    if (pid == 0) {
        setsid();
        if (fork() > 0)
            _exit(0);
        setsid();
        for (;;)
            pause();
    }
    struct proc_id id;
    CHECK(proc_identify(pid, &id, &err) == 0);
    struct proc_id wrong = id;
    wrong.start++;
    CHECK(cgroup_add(&tree, 7, &wrong, &err) == -ERROR_NOT_FOUND);
    CHECK(cgroup_add(&tree, 7, &id, &err) == 0);
    CHECK(cgroup_of(pid, own, &err) == 0);
    CHECK_STR(own, dir);
    CHECK(write(ends[1], "g", 1) == 1);
    waitpid(pid, NULL, 0);
    AUTO_PROC_LIST struct proc_list l = {0};
    CHECK(cgroup_pids(dir, &l, &err) == 0);
    CHECK(l.n == 1 && l.ids[0].pid != pid);
    int groups = 0;
    CHECK(cgroup_each(&tree, count, &groups, &err) == 0);
    CHECK_INT(groups, ==, 1);
    CHECK(cgroup_remove(dir, &err) == 0);
    CHECK(cgroup_signal(dir, SIGKILL, &err) == 1);
    CHECK(wait_empty(dir));
    CHECK(remove_soon(dir));
    CHECK(cgroup_remove(dir, &err) == 1);
    CHECK(cgroup_kill(dir, &err) == 0);
    cgroup_close(&tree);
    close(ends[0]);
    close(ends[1]);
}

TEST(kills_500_processes_in_sessions_of_their_own)
{
    if (no_tree)
        SKIP(no_tree);
    struct error err;
    char dir[CGROUP_PATH], below[CGROUP_PATH + 16];
    CHECK(cgroup_make(&tree, 8, &err) == 0);
    cgroup_dir(&tree, 8, dir);
    snprintf(below, sizeof below, "%s/below", dir);
    CHECK(mkdir(below, 0755) == 0);
    int ends[2], ready[2];
    CHECK(pipe(ready) == 0);
    pid_t pid = child_waiting(ends);
    if (pid == 0) {
        for (int i = 0; i < 500; i++)
            if (fork() == 0)
                sleep_in_own_session();
        ssize_t n = write(ready[1], "r", 1);
        for (;;)
            pause();
        _exit((int)n);
    }
    struct proc_id id;
    CHECK(proc_identify(pid, &id, &err) == 0);
    CHECK(cgroup_add(&tree, 8, &id, &err) == 0);
    char go = 'g';
    CHECK(write(ends[1], &go, 1) == 1 && read(ready[0], &go, 1) == 1);
    AUTO_PROC_LIST struct proc_list l = {0};
    CHECK(cgroup_pids(dir, &l, &err) == 0);
    CHECK_INT(l.n, ==, 501);
    int64_t start = time_boot();
    CHECK(cgroup_kill(dir, &err) == 0);
    CHECK(wait_empty(dir));
    printf("# 501 processes gone after %lld ms\n", (long long)((time_boot() - start) / TIME_MS));
    CHECK(remove_soon(dir));
    CHECK(access(dir, F_OK) < 0);
    cgroup_close(&tree);
    waitpid(pid, NULL, WNOHANG);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(ready[i]);
    }
}

TAP_MAIN
