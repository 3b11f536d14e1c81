/* Real commands: their status as a shell gives it, signals handed on, escapees found. */
#include "base/time.h"
#include "proc/spawn.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const *sh(const char *script, char *argv[4])
{
    argv[0] = (char *)"sh";
    argv[1] = (char *)"-c";
    argv[2] = (char *)script;
    argv[3] = NULL;
    return argv;
}

/* Waits for the next event of `kind`, at most 10 s. */
static struct spawn_event wait_for(struct spawn *s, enum spawn_kind kind)
{
    struct spawn_event e = {0};
    for (int i = 0; i < 100; i++) {
        while ((e = spawn_next(s)).kind != SPAWN_NOTHING)
            if (e.kind == kind)
                return e;
        struct pollfd p = {.fd = spawn_fd(s), .events = POLLIN};
        poll(&p, 1, 100);
    }
    return e;
}

static int status_of(const char *script)
{
    struct spawn s;
    struct error err;
    char *argv[4];
    if (spawn_begin(&s, &err) < 0 || spawn_start(&s, sh(script, argv), NULL, &err) < 0)
        return -1;
    struct spawn_event e = wait_for(&s, SPAWN_ENDED);
    int status = e.kind == SPAWN_ENDED ? spawn_exit_status(s.children[e.child].status) : -1;
    spawn_end(&s);
    return status;
}

TEST(status_as_shells_give_it)
{
    CHECK_INT(status_of("exit 0"), ==, 0);
    CHECK_INT(status_of("exit 7"), ==, 7);
    CHECK_INT(status_of("exit 127"), ==, 127);
    CHECK_INT(status_of("kill -9 $$"), ==, 137);
    CHECK_INT(status_of("kill -TERM $$"), ==, 143);
}

/* The parent blocks what it handles; a child must not inherit that. */
TEST(children_have_the_old_signal_mask)
{
    CHECK_INT(status_of("grep -q '^SigBlk:.0*$' /proc/self/status"), ==, 0);
}

TEST(what_cannot_run_is_told_from_what_failed)
{
    struct spawn s;
    struct error err;
    char path[] = "/tmp/fetta-test-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "#!/no/such/interpreter\n", 23) == 23);
    close(fd);
    char *missing[] = {(char *)"no-such-command-here", NULL};
    char *file[] = {path, NULL};
    CHECK(spawn_begin(&s, &err) == 0);
    CHECK(spawn_start(&s, missing, NULL, &err) == -ERROR_NOT_FOUND);
    CHECK_INT(spawn_exec_status(&err), ==, 127);
    CHECK_HAS(err.text, "no-such-command-here");
    CHECK(spawn_start(&s, file, NULL, &err) < 0);
    CHECK_INT(spawn_exec_status(&err), ==, 126);
    CHECK(chmod(path, 0700) == 0);
    CHECK(spawn_start(&s, file, NULL, &err) < 0);
    CHECK_INT(spawn_exec_status(&err), ==, 126);
    CHECK(spawn_become(missing, NULL, &err) == -ERROR_NOT_FOUND);
    CHECK_INT(s.n, ==, 0);
    spawn_end(&s);
    unlink(path);
}

TEST(signals_from_others_are_handed_on)
{
    struct spawn s;
    struct error err;
    char *argv[4];
    char *env[] = {(char *)"CODE=42", (char *)"PATH=/usr/bin:/bin", NULL};
    CHECK(spawn_begin(&s, &err) == 0);
    int child = spawn_start(
        &s, sh("trap 'kill $!; exit $CODE' USR1; kill -USR2 $PPID; sleep 100 & wait", argv), env,
        &err);
    REQUIRE(child == 0);
    struct spawn_event e = wait_for(&s, SPAWN_SIGNAL);
    CHECK(e.kind == SPAWN_SIGNAL && e.sig == SIGUSR2);
    /* The shell got its own USR2 back and died of it. */
    e = wait_for(&s, SPAWN_ENDED);
    CHECK_INT(spawn_exit_status(s.children[0].status), ==, 128 + SIGUSR2);
    child = spawn_start(
        &s, sh("trap 'kill $!; exit $CODE' USR1; sleep 100 & kill -CONT $PPID; wait", argv),
        env, &err);
    REQUIRE(child == 1);
    e = wait_for(&s, SPAWN_SIGNAL);
    CHECK(e.sig == SIGCONT);
    kill(getpid(), SIGUSR1);
    e = wait_for(&s, SPAWN_SIGNAL);
    CHECK(e.sig == SIGUSR1);
    e = wait_for(&s, SPAWN_ENDED);
    CHECK_INT(e.child, ==, 1);
    CHECK_INT(spawn_exit_status(s.children[1].status), ==, 42);
    CHECK(spawn_kill_all(&s, 10 * TIME_S, &err) == 0);
    spawn_end(&s);
}

TEST(several_children_each_with_its_end)
{
    struct spawn s;
    struct error err;
    char *argv[4], script[4][16];
    bool seen[4] = {0};
    CHECK(spawn_begin(&s, &err) == 0);
    for (int i = 0; i < 4; i++) {
        snprintf(script[i], sizeof script[i], "exit %d", 10 + i);
        CHECK(spawn_start(&s, sh(script[i], argv), NULL, &err) == i);
    }
    for (int i = 0; i < 4; i++) {
        struct spawn_event e = wait_for(&s, SPAWN_ENDED);
        REQUIRE(e.kind == SPAWN_ENDED && !seen[e.child]);
        seen[e.child] = true;
        CHECK_INT(spawn_exit_status(s.children[e.child].status), ==, 10 + e.child);
    }
    spawn_end(&s);
}

TEST(double_forked_escapees_are_found_named_and_ended)
{
    struct spawn s;
    struct error err;
    char *argv[4];
    CHECK(spawn_begin(&s, &err) == 0);
    const char *escape = "setsid sh -c 'setsid sleep 98765 & setsid sleep 98765 &' & wait; exit 3";
    CHECK(spawn_start(&s, sh(escape, argv), NULL, &err) == 0);
    struct spawn_event e = wait_for(&s, SPAWN_ENDED);
    CHECK_INT(spawn_exit_status(s.children[e.child].status), ==, 3);
    AUTO_PROC_LIST struct proc_list l = {0};
    int sleeping = 0;
    for (int i = 0; i < 200 && sleeping < 2; i++) {
        sleeping = 0;
        l.n = 0;
        CHECK(spawn_leftovers(&s, &l, &err) == 0);
        for (size_t k = 0; k < l.n; k++) {
            char name[PROC_NAME];
            sleeping += strcmp(proc_name(l.ids[k].pid, name), "sleep 98765") == 0;
        }
        poll(NULL, 0, 10);
    }
    CHECK_INT(sleeping, ==, 2);
    CHECK(spawn_kill_all(&s, 10 * TIME_S, &err) == 0);
    for (size_t k = 0; k < l.n; k++)
        CHECK(!proc_alive(l.ids[k].pid, l.ids[k].start));
    CHECK(waitpid(-1, NULL, WNOHANG) < 0);
    spawn_end(&s);
}

TAP_MAIN
