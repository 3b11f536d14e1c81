/* `fetta emulate`: a private machine around a command. Starts the emulated driver and a fettad of
 * its own, keeps both running as systemd would, and takes everything away when the command has
 * ended. */
#include "cli/args.h"
#include "cli/boards.h"
#include "cli/branch.h"
#include "cli/get.h"
#include "cli/grant.h"
#include "cli/helper.h"
#include "cli/namespace.h"
#include "cli/place.h"
#include "cli/fault_plan.h"

#include "base/fd.h"
#include "base/time.h"
#include "emul/clock.h"
#include "model/machine.h"
#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NOBODY = -2, START_MS = 30000, STOP_MS = 5000, QUIET_MS = 3000, FAILURES_TOLD = 5 };

struct emulation {
    struct cli *c;
    const char *machine, *mig, *driver_name;
    struct machine *played;      /* of a board file; NULL: `machine` is a name */
    const struct branch *branch; /* NULL: the machine's own driver */
    bool as_user, files;
    struct place place;
    char root[16], daemon_root[16], life[16];
    const char *faults, *clock, *latency;
    char **env; /* of the helpers and the command */
    struct helper driver, daemon;
    int lifeline[2]; /* whoever reads it learns that we are gone */
    int cleaner;     /* pid */
    struct spawn s;
    int sig; /* the signal that ended the start */
};

static void add_trouble(struct args *a, struct emulation *m)
{
    args_add(a, (struct args_option){"faults", 0, ARGS_TEXT, &m->faults, "FILE",
                                     "what goes wrong; see fetta emulate fault --example"});
    args_add(a, (struct args_option){"clock", 0, ARGS_TEXT, &m->clock, "real|virtual|xN",
                                     "the machine's clock; virtual jumps over waiting (real)"});
    args_add(a, (struct args_option){"latency", 0, ARGS_TEXT, &m->latency, "board|off",
                                     "operations take their time; see fetta emulate fault "
                                     "--latency (off)"});
}

/* Whether what add_trouble reads makes sense; the plan itself is read later. */
static int check_trouble(const struct emulation *m, struct error *err)
{
    struct clock clock;
    struct error bad;
    if (m->clock && clock_parse(m->clock, &clock, &bad) < 0)
        return error_set(err, ERROR_INVALID, "--clock: %s", bad.text);
    if (m->latency && strcmp(m->latency, "board") != 0 && strcmp(m->latency, "off") != 0)
        return error_set(err, ERROR_INVALID, "--latency: '%.20s' is neither board nor off",
                         m->latency);
    return 0;
}

/* The machine by name, or by a board file, which is told apart by its ending or a slash. */
static int find_machine(struct emulation *m, struct error *err)
{
    AUTO_FREE struct machine *machine = malloc(sizeof *machine);
    if (!machine)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for a machine");
    bool file = boards_is_file(m->machine);
    int r = file ? boards_load(m->machine, machine, err) : machine_parse(m->machine, machine, err);
    if (r == 0 && m->driver_name)
        r = branch_find(m->driver_name, machine, &m->branch, err);
    if (r < 0 || !file)
        return r;
    const char *slash = strrchr(m->machine, '/');
    m->machine = slash ? slash + 1 : m->machine;
    m->played = STEAL(machine);
    return 0;
}

static int parse(struct cli *c, int argc, char **argv, struct emulation *m, int *ret_first,
                 struct error *err)
{
    struct args a = {.command = true};
    int end = 1;
    /* Options may stand before or after the machine; the command begins after --, or where neither
     * is. */
    args_add(&a, (struct args_option){"mig", 0, ARGS_TEXT, &m->mig, "on|off",
                                      "MIG mode at power-on (on)"});
    args_add(&a, (struct args_option){"driver", 0, ARGS_TEXT, &m->driver_name, "BRANCH",
                                      "functions and version of driver 535 or 550"});
    args_add(&a, (struct args_option){"files", 0, ARGS_FLAG, &m->files, NULL,
                                      "with /dev/nvidia*, /proc and /sys, for it alone (root)"});
    args_add(&a, (struct args_option){"as-user", 0, ARGS_FLAG, &m->as_user, NULL,
                                      "be an ordinary user of fettad, not its root"});
    add_trouble(&a, m);
    struct args b = a;
    int r = args_parse(&a, c, argc, argv, ret_first, err);
    if (r)
        return r;
    if (*ret_first == argc)
        return error_set(err, ERROR_INVALID, "which machine? fetta emulate list shows them");
    m->machine = argv[*ret_first];
    end = *ret_first;
    int more;
    r = args_parse(&b, c, argc - end, argv + end, &more, err);
    *ret_first = end + more;
    if (r)
        return r;
    if (strcmp(m->mig, "on") != 0 && strcmp(m->mig, "off") != 0)
        return error_set(err, ERROR_INVALID, "--mig: '%.20s' is neither on nor off", m->mig);
    r = check_trouble(m, err);
    if (r < 0)
        return r;
    if (*ret_first == argc)
        return error_set(err, ERROR_INVALID, "what to run on it? fetta emulate %s -- COMMAND",
                         m->machine);
    return find_machine(m, err);
}

/* `value` in front of what NAME holds already; for us too, since we look for the command. */
static bool prepend(const char *variable, const char *value)
{
    const char *old = getenv(variable);
    AUTO_STR struct str text = {0};
    str_addf(&text, "%s%s%s", value, old && *old ? ":" : "", old ? old : "");
    return !text.failed && setenv(variable, text.text, 1) == 0;
}

/* Whoever is started inside sees this machine and nothing of a lease we may be on ourselves. */
static bool make_env(struct emulation *m)
{
    static const char *const foreign[] = {"FETTA_LEASE",          "FETTA_SLICE",
                                          "FETTA_EXPIRES",        "NOTIFY_SOCKET",
                                          "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"};
    char library_dir[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        (void)unsetenv(foreign[i]);
    (void)str_copy(library_dir, sizeof library_dir, m->place.nvml);
    *strrchr(library_dir, '/') = '\0';
    if (!prepend("LD_LIBRARY_PATH", library_dir) || !prepend("PATH", m->place.bin) ||
        setenv("FETTA_SOCKET", m->place.socket, 1) < 0 ||
        setenv("FETTA_EMU_SOCKET", m->place.driver, 1) < 0 ||
        setenv("FETTA_EMU_KMSG", m->place.kmsg, 1) < 0)
        return false;
    m->env = grant_copy_env();
    return m->env;
}

/* An option more for a helper. */
static void add_option(struct helper *h, const char *name, const char *value)
{
    int n = h->ready_at + 1;
    while (h->argv[n])
        n++;
    h->argv[n] = name;
    h->argv[n + 1] = value;
}

static void make_helpers(struct emulation *m)
{
    const struct place *p = &m->place;
    (void)snprintf(m->root, sizeof m->root, "%u", (unsigned)getuid());
    (void)snprintf(m->daemon_root, sizeof m->daemon_root, "%u",
                   m->as_user ? (unsigned)NOBODY : (unsigned)getuid());
    (void)snprintf(m->life, sizeof m->life, "%d", m->lifeline[0]);
    m->driver = (struct helper){.name = "the emulated driver",
                                .argv = {p->emud, m->machine, "--socket", p->driver, "--mig",
                                         m->mig, "--root-uid", m->root, "--ready-fd", NULL, NULL},
                                .ready_at = 9,
                                .log = p->driver_log,
                                .env = m->env,
                                .keep = -1,
                                .pid = -1,
                                .pidfd = -1,
                                .ready_fd = -1,
                                .again = TIME_NEVER};
    if (m->played)
        add_option(&m->driver, "--image", p->image);
    if (m->files)
        add_option(&m->driver, "--files", p->files);
    if (m->branch)
        add_option(&m->driver, "--driver", m->branch->version);
    m->daemon =
        (struct helper){.name = "fettad",
                        .argv = {p->fettad, "--config", p->config, "--state", p->state, "--socket",
                                 p->socket, "--emulated", m->machine, "--root-uid", m->daemon_root,
                                 "--lifeline", m->life, "--ready-fd", NULL, NULL},
                        .ready_at = 14,
                        .log = p->daemon_log,
                        .env = m->env,
                        .keep = m->lifeline[0],
                        .pid = -1,
                        .pidfd = -1,
                        .ready_fd = -1,
                        .again = TIME_NEVER};
}

/* Whether the machine has another clock than the host. */
static bool own_clock(const struct emulation *m)
{
    return m->clock && strcmp(m->clock, "real") != 0;
}

/* What is wrong with the machine and what time it is there; fettad goes by the same clock. */
static void tell_helpers(struct emulation *m)
{
    add_option(&m->driver, "--kmsg", m->place.kmsg);
    if (m->faults)
        add_option(&m->driver, "--plan", m->place.plan);
    if (m->latency)
        add_option(&m->driver, "--latency", m->latency);
    if (!own_clock(m))
        return;
    add_option(&m->driver, "--clock", m->clock);
    add_option(&m->driver, "--clock-file", m->place.clock);
    add_option(&m->daemon, "--clock", m->place.clock);
}

/* The plan as the driver takes it, in a file, so that a driver started anew has it too. A call that
 * hangs does so for longer than the library would wait for a driver that is merely dead. */
static int write_plan(struct emulation *m, struct error *err)
{
    AUTO_FREE void *bytes = NULL;
    size_t size = 0;
    if (!m->faults)
        return 0;
    int r = fault_plan_read(m->faults, &bytes, &size, err);
    if (r < 0)
        return r;
    AUTO_FD int fd = open(m->place.plan, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot write %s", m->place.plan);
    (void)setenv("FETTA_EMU_DEADLINE_MS", "86400000", 0);
    return fd_write_all(fd, bytes, size, err);
}

/* Starts one and waits until it is ready. 1: a signal ended the waiting. */
static int bring_up(struct emulation *m, struct helper *h, struct error *err)
{
    int64_t end = time_boot() + START_MS * TIME_MS;
    char words[240];
    int r = helper_start(h, &m->s.before, err);
    while (r == 0 && !helper_ready(h)) {
        struct pollfd p[] = {{.fd = h->ready_fd, .events = POLLIN},
                             {.fd = h->pidfd, .events = POLLIN},
                             {.fd = spawn_fd(&m->s), .events = POLLIN}};
        (void)poll(p, ARRAY_LEN(p), 1000);
        struct spawn_event e = spawn_next(&m->s);
        if (e.kind == SPAWN_SIGNAL &&
            (e.sig == SIGINT || e.sig == SIGTERM || e.sig == SIGHUP || e.sig == SIGQUIT)) {
            m->sig = e.sig;
            return 1;
        }
        helper_look(h);
        if (h->pidfd >= 0 && time_boot() < end)
            continue;
        helper_last_words(h, words, sizeof words);
        return error_set(err, ERROR_HARDWARE, "%s did not start: %s", h->name, words);
    }
    return r;
}

static int on_parent_death(void *arg)
{
    (void)arg;
    return prctl(PR_SET_PDEATHSIG, SIGHUP) < 0 ? errno : 0;
}

/* Starts it again when its time has come. */
static void keep_up(struct emulation *m, struct helper *h)
{
    struct error err;
    int failures = h->failures;
    helper_look(h);
    if (h->failures > failures && h->failures == FAILURES_TOLD) {
        char words[240];
        helper_last_words(h, words, sizeof words);
        cli_say(m->c, "%s does not come back: %s", h->name, words);
    }
    if (h->again == TIME_NEVER || time_boot() < h->again)
        return;
    if (helper_start(h, &m->s.before, &err) < 0)
        (void)cli_fail(m->c, &err);
}

static int poll_ms(const struct emulation *m)
{
    int64_t next = MIN(m->driver.again, m->daemon.again);
    if (next == TIME_NEVER)
        return -1;
    return (int)(MAX(next - time_boot(), 0) / TIME_MS) + 1;
}

/* Until the command has ended: its exit status. */
static int supervise(struct emulation *m)
{
    const struct spawn_child *child = &m->s.children[0];
    while (!child->ended) {
        struct pollfd p[] = {{.fd = spawn_fd(&m->s), .events = POLLIN},
                             {.fd = m->driver.pidfd, .events = POLLIN},
                             {.fd = m->daemon.pidfd, .events = POLLIN},
                             {.fd = m->driver.ready_fd, .events = POLLIN},
                             {.fd = m->daemon.ready_fd, .events = POLLIN}};
        if (poll(p, ARRAY_LEN(p), poll_ms(m)) < 0 && errno != EINTR)
            break;
        while (spawn_next(&m->s).kind != SPAWN_NOTHING)
            ;
        keep_up(m, &m->driver);
        keep_up(m, &m->daemon);
    }
    return spawn_exit_status(child->status);
}

/* What the command left behind; our helpers and theirs are in sessions of their own. */
static void leftovers(struct emulation *m, struct proc_list *ret)
{
    AUTO_PROC_LIST struct proc_list all = {0};
    struct error ignored;
    while (spawn_next(&m->s).kind != SPAWN_NOTHING)
        ;
    if (spawn_leftovers(&m->s, &all, &ignored) < 0)
        return;
    for (size_t i = 0; i < all.n; i++) {
        int session = proc_session(all.ids[i].pid);
        char number[16];
        (void)snprintf(number, sizeof number, "%d\n", all.ids[i].pid);
        if (session > 0 && session != m->driver.pid && session != m->daemon.pid &&
            session != m->cleaner)
            (void)proc_list_text(number, ret, &ignored);
    }
}

static void end_leftovers(struct emulation *m)
{
    int64_t begin = time_boot();
    for (;;) {
        AUTO_PROC_LIST struct proc_list l = {0};
        leftovers(m, &l);
        int64_t spent = time_boot() - begin;
        if (l.n == 0 || spent > 2 * QUIET_MS * TIME_MS)
            return;
        struct pollfd p = {.fd = spawn_fd(&m->s), .events = POLLIN};
        (void)proc_signal_all(&l, spent < QUIET_MS * TIME_MS ? SIGTERM : SIGKILL, NULL);
        (void)poll(&p, 1, 50);
    }
}

static void end_leases(struct emulation *m, const json_t *leases)
{
    struct error ignored;
    size_t i;
    json_t *lease;
    json_array_foreach(leases, i, lease)(void)
        cli_call_lease(m->c, "DELETE", get_int(lease, "id", 0), "", NULL, NULL, &ignored);
}

/* fettad takes leases back as their processes end; that is waited for, so that its cgroups go too.
 * Those that live with something else are ended. */
static void wait_for_leases(struct emulation *m)
{
    bool asked = false;
    int64_t end = time_boot() + QUIET_MS * TIME_MS;
    bool empty = !helper_ready(&m->daemon);
    m->c->patience_ms = QUIET_MS;
    while (!empty && time_boot() < end) {
        struct error ignored;
        json_t *reply;
        if (cli_call(m->c, "GET", "/leases", NULL, &reply, &ignored) < 0)
            break;
        empty = json_array_size(get_in(reply, "leases")) == 0;
        if (!asked)
            end_leases(m, get_in(reply, "leases"));
        asked = true;
        json_decref(reply);
        if (!empty)
            (void)poll(NULL, 0, 20);
    }
    cli_hang_up(m->c);
}

static void tear_down(struct emulation *m)
{
    struct error ignored;
    end_leftovers(m);
    wait_for_leases(m);
    helper_stop(&m->daemon, STOP_MS);
    helper_stop(&m->driver, STOP_MS);
    if (m->files)
        namespace_leave(m->place.files);
    if (m->place.dir[0])
        place_remove(m->place.dir);
    if (m->cleaner > 0)
        (void)kill(m->cleaner, SIGKILL);
    (void)spawn_kill_all(&m->s, 2 * TIME_S, &ignored);
    grant_free_env(m->env);
    free(m->played);
    (void)fd_close(m->lifeline[0]);
    (void)fd_close(m->lifeline[1]);
    spawn_end(&m->s);
}

static int prepare(struct emulation *m, struct error *err)
{
    int r = write_plan(m, err);
    if (r == 0 && !make_env(m))
        r = error_set(err, ERROR_NO_MEMORY, "no memory left to start a machine");
    make_helpers(m);
    if (r == 0 && m->played)
        r = boards_pass(m->place.image, m->played, err);
    tell_helpers(m);
    return r;
}

/* The exit status of the program, once everything is taken down again. */
static int run(struct emulation *m, char **command)
{
    struct error err;
    int status = m->c->verb->exit;
    if (pipe2(m->lifeline, O_CLOEXEC) < 0)
        m->lifeline[0] = m->lifeline[1] = -1;
    int r = place_make(&m->place, m->branch ? m->branch->folder : "", &err);
    if (r == 0) {
        m->cleaner = place_watch(m->place.dir, m->lifeline[0]);
        r = prepare(m, &err);
    }
    if (r == 0 && m->files)
        r = namespace_enter(m->place.files, &err);
    if (r == 0)
        r = bring_up(m, &m->driver, &err);
    if (r == 0 && m->files)
        r = namespace_cover(m->place.files, &err);
    if (r == 0)
        r = bring_up(m, &m->daemon, &err);
    if (r == 0 && spawn_start_with(&m->s, command, m->env, on_parent_death, NULL, &err) < 0) {
        (void)cli_fail(m->c, &err);
        status = spawn_exec_status(&err);
    } else if (r == 0) {
        status = supervise(m);
    } else if (r > 0) {
        status = 128 + m->sig;
    } else {
        (void)cli_fail(m->c, &err);
    }
    tear_down(m);
    return status;
}

int verb_emulate(struct cli *c, int argc, char **argv)
{
    struct error err;
    int first;
    AUTO_FREE struct emulation *m = calloc(1, sizeof *m);
    if (!m) {
        error_set(&err, ERROR_NO_MEMORY, "no memory left for a machine");
        return cli_fail(c, &err);
    }
    m->c = c;
    m->mig = "on";
    m->driver.pidfd = m->daemon.pidfd = m->driver.ready_fd = m->daemon.ready_fd = -1;
    int r = parse(c, argc, argv, m, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = spawn_begin(&m->s, &err);
    return r < 0 ? cli_fail(c, &err) : run(m, argv + first);
}

int verb_emulate_run(struct cli *c, int argc, char **argv)
{
    return verb_emulate(c, argc, argv);
}
