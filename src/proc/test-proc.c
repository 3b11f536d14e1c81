/* Identities of real processes: what is alive, what was reused, who descends from whom. */
#include "proc/proc.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that sleeps until killed. */
static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

TEST(a_process_is_found_again)
{
    pid_t pid = sleeper();
    struct proc_id id, again;
    struct error err;
    CHECK(proc_identify(pid, &id, &err) == 0);
    CHECK(proc_identify(pid, &again, &err) == 0);
    CHECK(id.pid == pid && id.uid == geteuid() && id.start > 0 && id.start == again.start);
    CHECK(proc_alive(pid, id.start));
    int fd = -1;
    CHECK(proc_open_pidfd(&id, &fd, &err) == 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK(poll(&p, 1, 0) == 0);
    end(pid);
    CHECK(poll(&p, 1, 1000) == 1);
    close(fd);
    CHECK(!proc_alive(pid, id.start));
    CHECK(proc_open_pidfd(&id, &fd, &err) == -ERROR_NOT_FOUND);
}

TEST(another_start_time_or_uid_is_another_process)
{
    pid_t pid = sleeper();
    struct proc_id id;
    struct error err;
    CHECK(proc_identify(pid, &id, &err) == 0);
    struct proc_id older = id, stranger = id;
    older.start--;
    stranger.uid++;
    int fd = -1;
    CHECK(proc_open_pidfd(&older, &fd, &err) == -ERROR_NOT_FOUND);
    CHECK_HAS(err.text, "another one");
    CHECK(proc_open_pidfd(&stranger, &fd, &err) == -ERROR_NOT_FOUND);
    CHECK(fd == -1);
    CHECK(!proc_alive(pid, older.start));
    CHECK(proc_signal(&older, SIGKILL, &err) == 0);
    CHECK(proc_alive(pid, id.start));
    CHECK(proc_signal(&id, SIGKILL, &err) == 1);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

TEST(a_zombie_is_dead)
{
    pid_t pid = sleeper();
    struct proc_id id;
    struct error err;
    CHECK(proc_identify(pid, &id, &err) == 0);
    kill(pid, SIGKILL);
    siginfo_t si;
    CHECK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
    int fd = -1;
    CHECK(!proc_alive(pid, id.start));
    CHECK(proc_identify(pid, &id, &err) == -ERROR_NOT_FOUND);
    CHECK(proc_open_pidfd(&id, &fd, &err) == -ERROR_NOT_FOUND);
    waitpid(pid, NULL, 0);
}

TEST(impossible_pids)
{
    struct proc_id id = {.pid = 0};
    struct error err;
    int fd = -1;
    CHECK(proc_identify(0, &id, &err) == -ERROR_NOT_FOUND);
    CHECK(proc_identify(-1, &id, &err) == -ERROR_NOT_FOUND);
    id = (struct proc_id){.pid = -5};
    CHECK(proc_open_pidfd(&id, &fd, &err) == -ERROR_NOT_FOUND);
    CHECK(proc_session(-1) == -1);
}

TEST(names_are_printable)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/bin/sleep", "odd\x1b[31m) name\n", "1000", (char *)NULL);
        _exit(1);
    }
    char name[PROC_NAME];
    for (int i = 0; i < 200 && !strstr(proc_name(pid, name), "1000"); i++)
        poll(NULL, 0, 10);
    CHECK_STR(name, "odd?[31m) name? 1000");
    /* The name in stat has a parenthesis of its own and must not shift the fields. */
    struct proc_id id;
    struct error err;
    CHECK(proc_identify(pid, &id, &err) == 0);
    CHECK(proc_session(pid) == getsid(0));
    end(pid);
    snprintf(name, sizeof name, "%d", pid);
    char gone[PROC_NAME];
    CHECK_HAS(proc_name(pid, gone), name);
}

TEST(boot_id)
{
    char a[PROC_BOOT_ID], b[PROC_BOOT_ID];
    struct error err;
    CHECK(proc_boot_id(a, &err) == 0 && proc_boot_id(b, &err) == 0);
    CHECK_STR(a, b);
    CHECK(strlen(a) == 36 && a[8] == '-');
}

static bool has(const struct proc_list *l, int pid)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->ids[i].pid == pid)
            return true;
    return false;
}

TEST(lists_by_descent_session_and_uid)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        pid_t grandchild = sleeper();
        ssize_t n = write(ends[1], &grandchild, sizeof grandchild);
        for (;;)
            pause();
        _exit((int)n);
    }
    pid_t grandchild = 0;
    CHECK(read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    AUTO_PROC_LIST struct proc_list below = {0}, session = {0}, uid = {0};
    struct error err;
    CHECK(proc_list_descendants(getpid(), &below, &err) == 0);
    CHECK(has(&below, pid) && has(&below, grandchild) && !has(&below, getpid()));
    CHECK(proc_list_session(pid, &session, &err) == 0);
    CHECK(session.n == 2 && has(&session, pid) && has(&session, grandchild));
    CHECK(proc_list_uid(geteuid(), &uid, &err) == 0);
    CHECK(has(&uid, getpid()) && has(&uid, grandchild) && !has(&uid, 2));
    /* The grandchild also dies with its parent, so it may be gone before its own signal. */
    CHECK(proc_signal_all(&session, SIGKILL, &err) >= 1);
    waitpid(pid, NULL, 0);
    for (size_t i = 0; i < session.n; i++) {
        const struct proc_id *id = &session.ids[i];
        for (int wait = 0; wait < 500 && proc_alive(id->pid, id->start); wait++)
            poll(NULL, 0, 10);
        CHECK(!proc_alive(id->pid, id->start));
    }
    close(ends[0]);
    close(ends[1]);
}

/* A sleeper with an environment of its own, where `padding` bytes stand before `mark`. */
static pid_t marked_sleeper(const char *mark, size_t padding)
{
    int ends[2];
    char c;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        char *first = malloc(padding + 3);
        char last[] = "LAST=1";
        if (!first)
            _exit(1);
        memset(first, 'x', padding + 2);
        first[1] = '=';
        first[padding + 2] = 0;
        char *env[] = {first, (char *)(uintptr_t)mark, last, NULL};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execle("/bin/sleep", "sleep", "1000", (char *)NULL, env);
        _exit(1);
    }
    close(ends[1]);
    /* The pipe closes when it has become the program. */
    CHECK(read(ends[0], &c, 1) == 0);
    close(ends[0]);
    return pid;
}

TEST(marked_ones_are_found_wherever_the_mark_is)
{
    struct error err;
    char mark[64];
    snprintf(mark, sizeof mark, "FETTA_TEST_MARK=%d", getpid());
    const char *const both[] = {mark, "LAST=1"}, *const other[] = {mark, "LAST="};
    /* Around where one piece of the environment that is read ends and the next begins. */
    for (size_t padding = 16384 - 40; padding < 16384 + 40; padding++) {
        AUTO_PROC_LIST struct proc_list l = {0}, none = {0};
        pid_t pid = marked_sleeper(mark, padding);
        REQUIRE(pid > 0);
        CHECK(proc_list_marked(geteuid(), both, 2, &l, &err) == 0);
        CHECK(l.n == 1 && l.ids[0].pid == pid && l.ids[0].uid == geteuid());
        CHECK(proc_list_marked(geteuid() + 1, both, 2, &none, &err) == 0 && none.n == 0);
        /* A mark is a whole entry, neither the beginning nor the end of one. */
        CHECK(proc_list_marked(geteuid(), other, 2, &none, &err) == 0 && none.n == 0);
        end(pid);
    }
    pid_t longer = marked_sleeper("XFETTA_TEST_MARK=1", 0), far = marked_sleeper(mark, 100000);
    AUTO_PROC_LIST struct proc_list l = {0};
    CHECK(proc_list_marked(geteuid(), (const char *const[]){"FETTA_TEST_MARK=1"}, 1, &l, &err) ==
          0);
    CHECK(l.n == 0);
    CHECK(proc_list_marked(geteuid(), both, 2, &l, &err) == 0);
    CHECK(l.n == 1 && has(&l, far));
    end(longer);
    end(far);
    char much[PROC_MARK + 8];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = 0;
    CHECK(proc_list_marked(0, (const char *const[]){much}, 1, &l, &err) == -ERROR_INVALID);
}

/* So many that the kernel's list of children does not fit in one look at it. */
TEST(many_children_are_found_too)
{
    enum { MANY = 900 };
    int ends[2];
    char c;
    struct error err;
    REQUIRE(pipe(ends) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < MANY; i++)
            if (sleeper() < 0)
                _exit(1);
        (void)!write(ends[1], "x", 1);
        for (;;)
            pause();
    }
    REQUIRE(read(ends[0], &c, 1) == 1);
    AUTO_PROC_LIST struct proc_list below = {0}, mine = {0};
    CHECK(proc_list_descendants(parent, &below, &err) == 0);
    CHECK_INT(below.n, ==, MANY);
    CHECK(proc_list_descendants(getpid(), &mine, &err) == 0);
    CHECK_INT(mine.n, ==, MANY + 1);
    CHECK(has(&mine, parent));
    CHECK(proc_signal_all(&below, SIGKILL, &err) >= 0);
    end(parent);
    close(ends[0]);
    close(ends[1]);
}

TEST(list_of_numbers)
{
    char text[64];
    snprintf(text, sizeof text, "%d\n0\n999999999\n1\n", getpid());
    AUTO_PROC_LIST struct proc_list l = {0};
    struct error err;
    CHECK(proc_list_text(text, &l, &err) == 0);
    CHECK(has(&l, getpid()) && has(&l, 1) && l.n == 2);
}

TAP_MAIN
