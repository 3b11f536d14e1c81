/* fettad: owns the leases and the layout of every GPU of one machine.
 *
 * Order of a start: lock, state, look at the hardware, find the running leases' processes again,
 * and only then open the socket, so that the first client already sees a world that is true. */
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "daemon/api.h"
#include "daemon/ballot.h"
#include "daemon/bind.h"
#include "daemon/daemon.h"
#include "daemon/driver.h"
#include "daemon/listen.h"
#include "daemon/note.h"
#include "daemon/peak.h"
#include "daemon/turn.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { TABLE = 8 * 1024, LARGE = 64 * 1024 }; /* bytes */

enum { PRUNE_ROWS = 1000 };

static const char help[] =
    "fettad - leases GPU slices of this machine\n"
    "\n"
    "  fettad [--config FILE] [--state DIR] [--socket PATH]\n"
    "\n"
    "  --config FILE    configuration, default /etc/fetta/fetta.yaml; see fetta.yaml(5)\n"
    "  --state DIR      where leases are remembered, default /var/lib/fetta\n"
    "  --socket PATH    where clients connect, default /run/fetta/fetta.sock\n"
    "  --check-config   read the configuration, say whether it is right, and exit\n"
    "  --help, --version\n"
    "\n"
    "For 'fetta emulate':\n"
    "  --emulated NAME  the driver is an emulated machine of this name\n"
    "  --clock FILE     leases go by the clock its driver keeps there\n"
    "  --root-uid UID   this user is root on that machine\n"
    "  --ready-fd N     write a byte there when service begins\n"
    "  --lifeline N     end when the other end of this descriptor closes\n";

struct options {
    const char *config, *state, *socket, *emulated, *clock;
    bool explicit_config, check;
    uint32_t root_uid;
    int ready_fd, lifeline;
};

static int number_option(const char *text, const char *what, long max)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || *end || end == text || n < 0 || n > max) {
        (void)fprintf(stderr, "fettad: %s: '%s' is not a number of 0 to %ld\n", what, text, max);
        exit(2);
    }
    return (int)n;
}

static struct options read_options(int argc, char **argv)
{
    enum { CONFIG = 256, STATE, SOCKET, EMULATED, CLOCK, ROOT, READY, LIFELINE, CHECK, HELP };
    enum { VERS = HELP + 1 };
    static const struct option longs[] = {
        {"config", required_argument, NULL, CONFIG},
        {"state", required_argument, NULL, STATE},
        {"socket", required_argument, NULL, SOCKET},
        {"emulated", required_argument, NULL, EMULATED},
        {"clock", required_argument, NULL, CLOCK},
        {"root-uid", required_argument, NULL, ROOT},
        {"ready-fd", required_argument, NULL, READY},
        {"lifeline", required_argument, NULL, LIFELINE},
        {"check-config", no_argument, NULL, CHECK},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERS},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.config = "/etc/fetta/fetta.yaml",
                        .state = "/var/lib/fetta",
                        .ready_fd = -1,
                        .lifeline = -1};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case CONFIG: o.config = optarg; o.explicit_config = true; break;
        case STATE: o.state = optarg; break;
        case SOCKET: o.socket = optarg; break;
        case EMULATED: o.emulated = optarg; break;
        case CLOCK: o.clock = optarg; break;
        case ROOT: o.root_uid = (uint32_t)strtoul(optarg, NULL, 10); break;
        case READY: o.ready_fd = number_option(optarg, "--ready-fd", 1 << 20); break;
        case LIFELINE: o.lifeline = number_option(optarg, "--lifeline", 1 << 20); break;
        case CHECK: o.check = true; break;
        case HELP: (void)fputs(help, stdout); exit(0);
        case VERS: (void)puts("fettad " FETTA_VERSION); exit(0);
        default: exit(2);
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "fettad: '%s' is not an option; see 'fettad --help'\n", argv[optind]);
        exit(2);
    }
    return o;
}

/* ---- service ---- */

static void fail(struct daemon *d, const struct error *err)
{
    log_error("%s", err->text);
    d->exit_status = 1;
    (void)sd_event_exit(d->loop, 1);
}

/* Ended leases are kept for a while; a few of the oldest go at each start. */
static void prune(struct daemon *d)
{
    struct error err;
    if (d->config.history != TIME_NEVER &&
        store_prune(d->store, time_wall() - d->config.history, PRUNE_ROWS, &err) < 0)
        log_warn("cannot prune the history: %s", err.text);
}

void daemon_looked(struct daemon *d)
{
    struct error err;
    int fd = -1;
    if (d->serving)
        return;
    if (!driver_trouble(d)[0] && config_check_gpus(&d->config, d->machine->gpu_n, &err) < 0) {
        fail(d, &err);
        return;
    }
    binds_restore(d);
    if (listen_open(d->socket_path, &fd, &err) < 0) {
        fail(d, &err);
        return;
    }
    d->serving = true;
    if (api_start(d, fd, &err) < 0) {
        fail(d, &err);
        return;
    }
    (void)sd_notify(0, "READY=1\nSTATUS=serving");
    if (d->ready_fd >= 0) {
        (void)fd_write_all(d->ready_fd, "r", 1, &err);
        d->ready_fd = fd_close(d->ready_fd);
    }
    log_info("serving %u GPUs on %s", d->machine->gpu_n, d->socket_path);
    turn_touch(d);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    struct daemon *d = arg;
    (void)source;
    (void)info;
    (void)sd_notify(0, "STOPPING=1");
    return sd_event_exit(d->loop, 0);
}

int daemon_reload(struct daemon *d, struct error *err)
{
    struct config fresh;
    int r = config_read(d->config_path, true, &fresh, err);
    if (r == 0)
        r = config_check_gpus(&fresh, d->machine->gpu_n, err);
    if (r < 0)
        return r;
    struct event e = {.kind = EVENT_POLICY, .policy = fresh.policy};
    ballot_settle(d, &fresh, &e.policy);
    r = turn_event(d, &e, NULL, err);
    if (r < 0)
        return r;
    d->config = fresh;
    peaks_again(d);
    log_info("configuration read again from %s", d->config_path);
    return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    struct error err;
    (void)source;
    (void)info;
    if (daemon_reload(arg, &err) < 0)
        log_error("the configuration stays as it was: %s", err.text);
    return 0;
}

static int on_lifeline(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct daemon *d = arg;
    (void)source;
    (void)fd;
    (void)events;
    d->abandoned = true;
    return sd_event_exit(d->loop, 0);
}

/* ---- start ---- */

static int open_state(struct daemon *d, struct error *err)
{
    char path[4096], recorded[64];
    char boot[PROC_BOOT_ID];
    (void)snprintf(path, sizeof path, "%s/state.db", d->state_dir);
    int r = proc_boot_id(boot, err);
    if (r == 0)
        r = store_open_sqlite(path, &d->store, err);
    /* The tables of a world are for the most that may be: what comes from the system, not from the
     * heap, costs memory only as far as it is used. */
    (void)mallopt(M_MMAP_THRESHOLD, TABLE);
    if (r == 0 && !(d->world = world_new(MACHINE_GPUS, DAEMON_LEASES)))
        r = error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    if (r == 0)
        r = store_load(d->store, d->world, recorded, err);
    if (r < 0)
        return r;
    prune(d);
    if (strcmp(recorded, boot) == 0)
        return 0;
    /* What lived before the restart is over, and the new boot is on record with it. */
    struct event e = {.kind = EVENT_RESTART};
    r = turn_event(d, &e, NULL, err);
    if (r == 0)
        r = turn_open(d, err);
    return r < 0 ? r : store_set_boot(d->store, boot, err);
}

static int open_loop(struct daemon *d, const struct options *o, struct error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    int r = sd_event_default(&d->loop);
    if (r >= 0)
        r = sd_event_add_signal(d->loop, NULL, SIGTERM, on_stop, d);
    if (r >= 0)
        r = sd_event_add_signal(d->loop, NULL, SIGINT, on_stop, d);
    if (r >= 0)
        r = sd_event_add_signal(d->loop, NULL, SIGHUP, on_reload, d);
    if (r >= 0 && o->lifeline >= 0)
        r = sd_event_add_io(d->loop, NULL, o->lifeline, EPOLLIN | EPOLLHUP, on_lifeline, d);
    if (r >= 0)
        r = sd_event_set_watchdog(d->loop, true);
    return r < 0 ? error_errno(err, ERROR_IO, -r, "cannot set up the event loop") : 0;
}

/* The worker stands beside fettad in a build folder, and in FETTA_LIBEXEC once installed: below the
 * same root as fettad in FETTA_SBINDIR. */
static int find_worker(struct daemon *d, struct error *err)
{
    static const char name[] = "/fetta-worker", sbin[] = FETTA_SBINDIR;
    size_t room = sizeof d->program - sizeof name;
    ssize_t n = readlink("/proc/self/exe", d->program, room);
    if (n <= 0)
        return error_errno(err, ERROR_IO, errno, "cannot find our own program");
    d->program[n] = '\0';
    char *slash = strrchr(d->program, '/');
    memcpy(slash ? slash : d->program, name, sizeof name);
    if (access(d->program, X_OK) == 0)
        return 0;
    size_t before = slash ? (size_t)(slash - d->program) : 0, installed = sizeof sbin - 1;
    bool rooted = before > installed && memcmp(slash - installed, sbin, installed) == 0;
    char *end = d->program + (rooted ? before - installed : 0);
    size_t left = sizeof d->program - (size_t)(end - d->program);
    (void)snprintf(end, left, "%s%s", FETTA_LIBEXEC, name);
    if (access(d->program, X_OK) == 0)
        return 0;
    return error_errno(err, ERROR_IO, errno, "cannot find %s; is fetta installed whole?",
                       d->program);
}

static int start(struct daemon *d, const struct options *o, struct error *err)
{
    d->machine = calloc(1, sizeof *d->machine);
    if (!d->machine)
        return error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    int r = find_worker(d, err);
    if (r == 0)
        r = config_read(o->config, !o->explicit_config, &d->config, err);
    if (r == 0)
        r = listen_lock(d->state_dir, &d->lock_fd, err);
    if (r == 0)
        r = open_loop(d, o, err);
    if (r == 0)
        r = lease_clock_init(d, o->clock, err);
    if (r == 0)
        r = turn_init(d, err);
    if (r == 0)
        r = peaks_init(d, err);
    if (r == 0)
        r = open_state(d, err);
    if (r == 0)
        r = ballot_init(d, err);
    struct event e = {.kind = EVENT_POLICY, .policy = d->config.policy};
    if (r == 0)
        ballot_settle(d, &d->config, &e.policy);
    if (r == 0)
        r = turn_event(d, &e, NULL, err);
    if (r == 0)
        r = binds_init(d, err);
    return r < 0 ? r : driver_start(d, err);
}

static bool is_cut(int lifeline)
{
    struct pollfd p = {.fd = lifeline, .events = POLLIN};
    return lifeline >= 0 && poll(&p, 1, 0) > 0;
}

static void stop(struct daemon *d, int lifeline)
{
    /* An emulated machine that is gone has no next fettad. */
    if (d->binds && (d->abandoned || is_cut(lifeline)))
        binds_abandon(d);
    /* Leases and their processes stay: the next fettad finds them again. */
    api_stop(d);
    peaks_stop(d);
    if (d->loop)
        turn_done(d);
    driver_stop(d);
    ballot_done(d);
    binds_done(d);
    peaks_done(d);
    notes_done(d);
    lease_clock_done(d);
    world_free(d->world);
    if (d->store)
        store_close(d->store);
    if (d->serving)
        (void)unlink(d->socket_path);
    sd_event_unref(d->loop);
    (void)fd_close(d->lock_fd);
    free(d->machine);
}

static int check_config(const struct options *o)
{
    struct config c;
    struct error err;
    if (config_read(o->config, !o->explicit_config, &c, &err) < 0) {
        (void)fprintf(stderr, "fettad: %s\n", err.text);
        return 1;
    }
    (void)printf("%s: the configuration is right\n", o->config);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = read_options(argc, argv);
    struct error err;
    if (o.check)
        return check_config(&o);
    log_init("fettad", LOG_LEVEL_INFO);
    /* Pictures and answers are large for a moment: give their memory back at once, since a daemon
     * that idles should weigh what it keeps. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE);
    struct daemon *d = calloc(1, sizeof *d);
    if (!d)
        return 1;
    *d = (struct daemon){.config_path = o.config,
                         .state_dir = o.state,
                         .emulated = o.emulated,
                         .root_uid = o.root_uid,
                         .ready_fd = o.ready_fd,
                         .lock_fd = -1};
    d->socket_path = o.socket ? o.socket : "/run/fetta/fetta.sock";
    int r = start(d, &o, &err);
    if (r == 0 && !o.socket && d->config.socket[0])
        d->socket_path = d->config.socket;
    if (r < 0)
        log_error("%s", err.text);
    else
        d->exit_status = sd_event_loop(d->loop) != 0;
    int status = r < 0 ? 1 : d->exit_status;
    stop(d, o.lifeline);
    free(d);
    return status;
}
