/* In /tmp rather than in the runtime directory of the user: other users of this machine are
 * ordinary users of the emulated one, so they must be able to reach the socket. The directory's
 * name cannot be guessed or listed by them, only told. */
#include "cli/place.h"

#include "base/fd.h"
#include "base/macro.h"
#include "base/str.h"
#include "base/time.h"
#include "cli/beside.h"
#include "proc/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Once fetta was killed, what it had started: is left alone so long, then told to end, then killed,
 * and at last given up. */
#define MARKED_ALONE TIME_S
#define MARKED_TERM (4 * TIME_S)
#define MARKED_MOST (10 * TIME_S)

int place_find_worker(char ret[PATH_MAX], struct error *err)
{
    static const char *const workers[] = {"../daemon/fetta-worker", FETTA_LIBEXEC "/fetta-worker",
                                          NULL};
    return beside_find(workers, "fetta-worker", ret, err);
}

static int find_programs(struct place *p, const char *folder, struct error *err)
{
    static const char *const emuds[] = {"../emud/fetta-emud", "fetta-emud",
                                        FETTA_BINDIR "/fetta-emud", NULL};
    static const char *const daemons[] = {"../daemon/fettad", "../sbin/fettad",
                                          FETTA_SBINDIR "/fettad", NULL};
    char built[64], installed[PATH_MAX];
    const char *const libraries[] = {built, installed, NULL};
    (void)snprintf(built, sizeof built, "../shim/nvml/%slibnvidia-ml.so.1", folder);
    (void)snprintf(installed, sizeof installed, FETTA_LIBDIR "/fetta/emulated/%slibnvidia-ml.so.1",
                   folder);
    int r = beside_bin(p->bin, err);
    if (r == 0)
        r = beside_find(emuds, "fetta-emud", p->emud, err);
    if (r == 0)
        r = beside_find(daemons, "fettad", p->fettad, err);
    return r ? r : beside_find(libraries, "the emulated libnvidia-ml.so.1", p->nvml, err);
}

static int write_config(const struct place *p, struct error *err)
{
    AUTO_STR struct str text = {0};
    AUTO_FD int fd = open(p->config, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot write %s", p->config);
    str_add(&text, "nvml: '");
    for (const char *at = p->nvml; *at; at++)
        str_add_n(&text, *at == '\'' ? "''" : at, *at == '\'' ? 2 : 1);
    str_add(&text, "'\nmanage: all\n");
    if (text.failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to write %s", p->config);
    return fd_write_all(fd, text.text, text.len, err);
}

static void name(char to[PLACE_FILE], const char *dir, const char *file)
{
    (void)snprintf(to, PLACE_FILE, "%s/%s", dir, file);
}

int place_make(struct place *ret, const char *folder, struct error *err)
{
    const char *tmp = getenv("TMPDIR");
    *ret = (struct place){0};
    int r = find_programs(ret, folder, err);
    if (r < 0)
        return r;
    /* A socket's path may have 108 bytes, so a long TMPDIR is no help. What follows the dot is also
     * how fettad tells the cgroups of its machine from those of others. */
    bool fits = tmp && *tmp == '/' && strlen(tmp) < PLACE_DIR - 20;
    (void)snprintf(ret->dir, sizeof ret->dir, "%s/fetta.XXXXXX", fits ? tmp : "/tmp");
    if (!mkdtemp(ret->dir)) {
        r = error_errno(err, ERROR_IO, errno, "cannot make a directory in %s", fits ? tmp : "/tmp");
        ret->dir[0] = '\0';
        return r;
    }
    name(ret->driver, ret->dir, "driver.sock");
    name(ret->socket, ret->dir, "fetta.sock");
    name(ret->state, ret->dir, "state");
    name(ret->config, ret->dir, "fetta.yaml");
    name(ret->image, ret->dir, "machine");
    name(ret->files, ret->dir, "files");
    name(ret->driver_log, ret->dir, "fetta-emud.log");
    name(ret->daemon_log, ret->dir, "fettad.log");
    name(ret->kmsg, ret->dir, "kmsg");
    name(ret->plan, ret->dir, "faults");
    name(ret->clock, ret->dir, "clock");
    if (chmod(ret->dir, 0711) < 0 || mkdir(ret->state, 0700) < 0)
        r = error_errno(err, ERROR_IO, errno, "cannot prepare %s", ret->dir);
    if (r == 0)
        r = write_config(ret, err);
    if (r < 0)
        place_remove(ret->dir);
    return r;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

void place_remove(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Ends what was started on the machine, wherever it hangs now: its environment still names the
 * socket. The machine's own programs end because we do, so they are given a moment first, and what
 * forks while it is looked for is found at the next look. */
static void end_marked(const char *socket_path)
{
    char mark[PLACE_FILE + 16];
    const char *const marks[] = {mark};
    (void)snprintf(mark, sizeof mark, "FETTA_SOCKET=%s", socket_path);
    for (int64_t begin = time_boot(), spent = 0; spent < MARKED_MOST;) {
        AUTO_PROC_LIST struct proc_list l = {0};
        struct error ignored;
        if (proc_list_marked(getuid(), marks, ARRAY_LEN(marks), &l, &ignored) < 0 || l.n == 0)
            return;
        if (spent >= MARKED_ALONE)
            (void)proc_signal_all(&l, spent < MARKED_TERM ? SIGTERM : SIGKILL, NULL);
        (void)poll(NULL, 0, 50);
        spent = time_boot() - begin;
    }
}

int place_watch(const char *dir, int lifeline)
{
    int pid = fork();
    if (pid != 0)
        return pid;
    char byte, socket_path[PLACE_FILE];
    sigset_t all;
    (void)setsid();
    (void)prctl(PR_SET_NAME, "fetta-cleaner");
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    /* Holds nothing of the terminal or of a pipe that somebody waits on. */
    for (int fd = 0; fd < 1024; fd++) {
        if (fd != lifeline)
            (void)close(fd);
    }
    while (read(lifeline, &byte, 1) > 0 || errno == EINTR)
        ;
    name(socket_path, dir, "fetta.sock");
    end_marked(socket_path);
    place_remove(dir);
    _exit(0);
}
