/* The life of a lease's processes, from the pidfd of who asked to the proof that none is left. */
#include "daemon/bind.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "daemon/driver.h"
#include "daemon/gather.h"
#include "daemon/note.h"
#include "daemon/turn.h"
#include "proc/cgroup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHECK_FIRST (10 * TIME_MS)
#define CHECK_SLOWEST (250 * TIME_MS)
#define PRESENCE_EVERY (5 * TIME_S)

struct bound {
    struct daemon *daemon;
    struct bound *next;
    uint32_t lease;
    sd_event_source *gone;     /* pidfd, or cgroup.events of what it is bound to */
    int32_t held_pid;          /* whose pidfd `gone` has; 0: nobody's */
    uint64_t held_start;
    sd_event_source *presence; /* bind user: is any process of his left? */
    sd_event_source *check;    /* while ending */
    int64_t check_after;
    bool confined;             /* it has a cgroup of its own */
    bool joined;               /* ... and some process was put there */
    bool exit_told;            /* its parent said how the command ended */
    bool leaving;              /* the lease is over; its cgroup will be removable in a moment */
    bool ending, hard;
    uint64_t asked_gpus;       /* slots whose process list we wait for */
    bool driver_busy;          /* the driver still saw a process on a slice of ours */
};

struct binds {
    struct bound *first;
    bool have_tree;            /* cgroups can be made here */
    struct cgroup_tree tree;
};

static struct bound *find(const struct daemon *d, uint32_t lease)
{
    for (struct bound *b = d->binds->first; b; b = b->next)
        if (b->lease == lease)
            return b;
    return NULL;
}

static struct bound *find_or_add(struct daemon *d, uint32_t lease)
{
    struct bound *b = find(d, lease);
    if (b)
        return b;
    b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    *b = (struct bound){.daemon = d, .lease = lease, .next = d->binds->first};
    d->binds->first = b;
    return b;
}

static void drop(struct daemon *d, struct bound *b)
{
    struct bound **at = &d->binds->first;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    sd_event_source_disable_unref(b->gone);
    sd_event_source_disable_unref(b->presence);
    sd_event_source_disable_unref(b->check);
    free(b);
}

static const char *dir_of(const struct bound *b, char buf[CGROUP_PATH])
{
    return b->confined ? cgroup_dir(&b->daemon->binds->tree, b->lease, buf) : NULL;
}

/* ---- noticing that what a lease lives with has ended ---- */

static void report_gone(struct bound *b)
{
    struct daemon *d = b->daemon;
    const struct lease *l = world_lease(d->world, b->lease);
    b->gone = sd_event_source_disable_unref(b->gone);
    if (!l)
        return;
    struct event e = {.kind = EVENT_GONE, .lease = l->id};
    if (l->state == LEASE_QUEUED) {
        e.kind = EVENT_END;
        e.end.lease = l->id;
        e.end.why = LEASE_WHY_GAVE_UP;
        e.end.hard = false;
    }
    turn_post(d, &e);
    turn_touch(d);
}

static int on_pid_gone(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)source;
    (void)fd;
    (void)events;
    report_gone(arg);
    return 0;
}

static int on_group_event(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct error err;
    (void)source;
    (void)events;
    if (cgroup_populated(fd, &err) == 0)
        report_gone(arg);
    return 0;
}

/* Takes the descriptor; an sd-event child source would not do: it ends the loop for processes that
 * are not our children. */
static int watch(struct bound *b, int fd, uint32_t events, sd_event_io_handler_t handler)
{
    b->gone = sd_event_source_disable_unref(b->gone);
    b->held_pid = 0;
    int r = sd_event_add_io(b->daemon->loop, &b->gone, fd, events, handler, b);
    if (r < 0) {
        (void)fd_close(fd);
        return r;
    }
    (void)sd_event_source_set_io_fd_own(b->gone, true);
    return 0;
}

/* Watches a process by its pidfd, which becomes ours. */
static void hold(struct bound *b, const struct proc_id *who, int pidfd)
{
    if (watch(b, pidfd, EPOLLIN, on_pid_gone) < 0)
        return;
    b->held_pid = who->pid;
    b->held_start = who->start;
}

/* The pidfd of a process that is held already, or -1. */
static int held_fd(const struct bound *b, int pid, uint64_t start)
{
    bool same = b->gone && pid && b->held_pid == pid && b->held_start == start;
    return same ? sd_event_source_get_io_fd(b->gone) : -1;
}

static int on_presence(sd_event_source *source, uint64_t usec, void *arg)
{
    struct bound *b = arg;
    const struct lease *l = world_lease(b->daemon->world, b->lease);
    AUTO_PROC_LIST struct proc_list list = {0};
    struct error err;
    if (!l)
        return 0;
    if (proc_list_uid(l->asker_uid, &list, &err) == 0 && list.n == 0) {
        report_gone(b);
        return 0;
    }
    (void)sd_event_source_set_time(source, usec + PRESENCE_EVERY / TIME_US);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* `start` 0: whoever has the number. */
static void watch_pid(struct bound *b, int pid, uint64_t start)
{
    struct error err;
    struct proc_id now;
    AUTO_FD int fd = -1;
    if (held_fd(b, pid, start) >= 0)
        return;
    if (proc_pin(pid, &now, &fd, &err) < 0 || (start && now.start != start)) {
        report_gone(b);
        return;
    }
    hold(b, &now, STEAL_FD(fd));
}

static void watch_group(struct bound *b, const char *dir)
{
    struct error err;
    int fd = -1;
    if (cgroup_events(dir, &fd, &err) < 0 || cgroup_populated(fd, &err) == 0) {
        (void)fd_close(fd);
        report_gone(b);
        return;
    }
    (void)watch(b, fd, EPOLLPRI, on_group_event);
}

/* Watches what a granted lease lives with. */
static void watch_bound(struct bound *b, const struct lease *l)
{
    struct daemon *d = b->daemon;
    char dir[CGROUP_PATH];
    struct error err;
    switch (l->bind) {
    case BIND_LEASE:
        if (b->joined) {
            watch_group(b, dir_of(b, dir));
            break;
        }
        watch_pid(b, l->bind_pid, l->bind_start);
        break;
    case BIND_PID:
        watch_pid(b, l->bind_pid, l->bind_start);
        break;
    case BIND_SESSION:
        /* A login session lives with its leader, whose pid is the session's number. */
        watch_pid(b, (int)l->bind_ref, 0);
        break;
    case BIND_CGROUP:
        if (cgroup_resolve(store_name(d->store, l->bind_ref), dir, &err) == 0)
            watch_group(b, dir);
        else
            report_gone(b);
        break;
    case BIND_USER:
        b->gone = sd_event_source_disable_unref(b->gone);
        (void)sd_event_add_time(d->loop, &b->presence, CLOCK_BOOTTIME,
                                (uint64_t)((time_boot() + PRESENCE_EVERY) / TIME_US), 1000000,
                                on_presence, b);
        break;
    case BIND_KEY:
    case BIND_NONE:
        b->gone = sd_event_source_disable_unref(b->gone);
        break;
    }
}

/* ---- telling and ending ---- */

static void signal_all(struct bound *b, const struct lease *l, int sig, bool record)
{
    AUTO_PROC_LIST struct proc_list list = {0};
    char dir[CGROUP_PATH];
    struct error err;
    const char *group = dir_of(b, dir);
    gather_processes(b->daemon, l, group, &list);
    if (record)
        notes_left(b->daemon, b->lease, &list);
    if (group && sig == SIGKILL)
        (void)cgroup_kill(group, &err);
    else
        (void)proc_signal_all(&list, sig, &err);
}

static void ask_driver(struct bound *b, const struct lease *l)
{
    b->asked_gpus = 0;
    b->driver_busy = false;
    for (unsigned i = 0; i < l->slice_n; i++) {
        unsigned slot = l->slices[i].gpu;
        if (!l->slices[i].made || (b->asked_gpus >> slot & 1))
            continue;
        if (driver_ask_processes(b->daemon, slot))
            b->asked_gpus |= UINT64_C(1) << slot;
    }
}

static void report_empty(struct bound *b)
{
    struct event e = {.kind = EVENT_EMPTY, .lease = b->lease};
    b->check = sd_event_source_disable_unref(b->check);
    b->ending = false;
    turn_post(b->daemon, &e);
    turn_touch(b->daemon);
}

static void check_later(struct bound *b);

/* The lease is over: its cgroup goes as soon as the kernel lets go of the last dead process. */
static void leave(struct bound *b)
{
    char dir[CGROUP_PATH];
    struct error err;
    b->leaving = true;
    b->gone = sd_event_source_disable_unref(b->gone);
    if (b->confined && cgroup_remove(dir_of(b, dir), &err) == 0)
        check_later(b);
    else
        drop(b->daemon, b);
}

static int on_check(sd_event_source *source, uint64_t usec, void *arg)
{
    struct bound *b = arg;
    const struct lease *l = world_lease(b->daemon->world, b->lease);
    AUTO_PROC_LIST struct proc_list list = {0};
    char dir[CGROUP_PATH];
    (void)source;
    (void)usec;
    if (b->leaving) {
        leave(b);
        return 0;
    }
    if (!l || !b->ending)
        return 0;
    gather_processes(b->daemon, l, dir_of(b, dir), &list);
    if (list.n == 0) {
        ask_driver(b, l);
        if (b->asked_gpus == 0)
            report_empty(b);
        return 0; /* else the driver's answer goes on from here */
    }
    if (b->hard)
        signal_all(b, l, SIGKILL, false);
    check_later(b);
    return 0;
}

static void check_later(struct bound *b)
{
    uint64_t at = (uint64_t)((time_boot() + b->check_after) / TIME_US);
    b->check_after = MIN(2 * b->check_after, CHECK_SLOWEST);
    b->check = sd_event_source_disable_unref(b->check);
    (void)sd_event_add_time(b->daemon->loop, &b->check, CLOCK_BOOTTIME, at, 1000, on_check, b);
}

/* Whether a process is on a slice of the lease. */
static bool on_slice(const struct lease *l, unsigned slot, const struct device_process *p)
{
    for (unsigned i = 0; i < l->slice_n; i++) {
        const struct lease_slice *s = &l->slices[i];
        if (s->gpu == slot && (s->profile == BOARD_NO_PROFILE || s->gi == p->gi))
            return true;
    }
    return false;
}

static void hear_processes(struct bound *b, const struct lease *l, unsigned slot, int code,
                           const struct device_process *list, size_t n)
{
    b->asked_gpus &= ~(UINT64_C(1) << slot);
    for (size_t i = 0; code >= 0 && i < n; i++) {
        struct error err;
        struct proc_id id;
        if (!on_slice(l, slot, &list[i]))
            continue;
        b->driver_busy = true;
        /* It escaped every other way of finding it, but the driver sees it on a slice of ours. */
        if (proc_identify((int)list[i].pid, &id, &err) == 0)
            (void)proc_signal(&id, b->hard ? SIGKILL : SIGTERM, &err);
    }
    if (b->asked_gpus != 0)
        return;
    /* A GPU that is lost cannot say, and nothing can run on it. */
    const struct gpu *g = world_gpu(b->daemon->world, slot);
    bool silent = code < 0 && g && g->present && g->health != MACHINE_LOST;
    if (b->driver_busy || silent)
        check_later(b);
    else
        report_empty(b);
}

void binds_processes(struct daemon *d, unsigned slot, int code, const struct device_process *list,
                     size_t n)
{
    struct bound *next = NULL;
    for (struct bound *b = d->binds->first; b; b = next) {
        next = b->next;
        const struct lease *l = world_lease(d->world, b->lease);
        if (l && b->ending && (b->asked_gpus >> slot & 1))
            hear_processes(b, l, slot, code, list, n);
    }
}

void binds_signal(struct daemon *d, uint32_t lease, int sig)
{
    struct bound *b = find_or_add(d, lease);
    const struct lease *l = world_lease(d->world, lease);
    if (b && l)
        signal_all(b, l, sig, false);
}

void binds_end(struct daemon *d, uint32_t lease, bool hard)
{
    struct bound *b = find_or_add(d, lease);
    const struct lease *l = world_lease(d->world, lease);
    if (!b || !l)
        return;
    bool first = !b->ending;
    b->ending = true;
    b->hard = b->hard || hard;
    b->gone = sd_event_source_disable_unref(b->gone);
    signal_all(b, l, hard ? SIGKILL : SIGTERM, first && l->why == LEASE_WHY_DONE);
    b->check_after = CHECK_FIRST;
    (void)on_check(NULL, 0, b);
}

/* ---- beginning and end ---- */

void binds_watch(struct daemon *d, uint32_t lease, const struct proc_id *who, int pidfd)
{
    struct bound *b = find_or_add(d, lease);
    if (!b) {
        (void)fd_close(pidfd);
        return;
    }
    hold(b, who, pidfd);
}

/* Gives the lease its cgroup and puts its process there. Doing it twice is harmless, so it is done
 * again after a crash that may have come in between. */
static void confine(struct bound *b, const struct lease *l)
{
    struct binds *all = b->daemon->binds;
    struct proc_id who = {.pid = l->bind_pid, .start = l->bind_start, .uid = l->asker_uid};
    struct error err;
    if (l->tree && all->have_tree)
        b->confined = cgroup_make(&all->tree, l->id, &err) == 0;
    if (!b->confined || l->stay)
        return;
    int held = held_fd(b, who.pid, who.start);
    int r = held >= 0 ? cgroup_add_held(&all->tree, l->id, who.pid, held, &err)
                      : cgroup_add(&all->tree, l->id, &who, &err);
    b->joined = r == 0 || b->joined;
}

void binds_grant(struct daemon *d, uint32_t lease)
{
    struct bound *b = find_or_add(d, lease);
    const struct lease *l = world_lease(d->world, lease);
    if (!b || !l)
        return;
    confine(b, l);
    watch_bound(b, l);
}

int binds_attach(struct daemon *d, uint32_t lease, const struct proc_id *who, struct error *err)
{
    struct bound *b = find(d, lease);
    const struct lease *l = world_lease(d->world, lease);
    if (b && l && b->confined) {
        int r = cgroup_add(&d->binds->tree, lease, who, err);
        if (r < 0 || b->joined)
            return r;
        b->joined = true;
        if (l->bind == BIND_LEASE && l->state == LEASE_ACTIVE)
            watch_bound(b, l);
        return 0;
    }
    return 0; /* its children carry the lease's mark instead */
}

void binds_ended(struct daemon *d, uint32_t lease)
{
    struct bound *b = find(d, lease);
    if (!b || b->leaving)
        return;
    b->check_after = CHECK_FIRST;
    leave(b);
}

void binds_exit_told(struct daemon *d, uint32_t lease)
{
    struct bound *b = find(d, lease);
    if (b)
        b->exit_told = true;
}

bool binds_exit_known(const struct daemon *d, uint32_t lease)
{
    const struct bound *b = find(d, lease);
    return b && b->exit_told;
}

bool binds_confined(const struct daemon *d, uint32_t lease)
{
    const struct bound *b = find(d, lease);
    return b && b->confined;
}

/* A group of ours: either a lease lives in it, or it is left over from one that ended unseen. */
static void restore_group(uint64_t id, void *arg)
{
    struct daemon *d = arg;
    char dir[CGROUP_PATH];
    struct error err;
    const struct lease *l = world_lease(d->world, (uint32_t)id);
    (void)cgroup_dir(&d->binds->tree, id, dir);
    if (l && l->state != LEASE_QUEUED) {
        struct bound *b = find_or_add(d, (uint32_t)id);
        AUTO_PROC_LIST struct proc_list inside = {0};
        if (!b)
            return;
        b->confined = true;
        b->joined = cgroup_pids(dir, &inside, &err) == 0 && inside.n > 0;
        return;
    }
    (void)cgroup_kill(dir, &err);
    struct bound *left = find_or_add(d, (uint32_t)id);
    if (!left)
        return;
    left->confined = true;
    binds_ended(d, (uint32_t)id);
}

static void restore_lease(struct daemon *d, const struct lease *l)
{
    struct bound *b = find_or_add(d, l->id);
    if (!b)
        return;
    switch (l->state) {
    case LEASE_QUEUED:
    case LEASE_STARTING:
        if (l->bind_pid)
            watch_pid(b, l->bind_pid, l->bind_start);
        break;
    case LEASE_ACTIVE:
        confine(b, l);
        watch_bound(b, l);
        break;
    case LEASE_ENDING:
    case LEASE_KILLING:
        confine(b, l);
        binds_end(d, l->id, l->state == LEASE_KILLING);
        break;
    case LEASE_ENDED:
        break;
    }
}

void binds_restore(struct daemon *d)
{
    struct error err;
    struct bound *next = NULL;
    for (struct bound *b = d->binds->first; b; b = next) {
        next = b->next;
        if (!world_lease(d->world, b->lease))
            binds_ended(d, b->lease);
    }
    if (d->binds->have_tree)
        (void)cgroup_each(&d->binds->tree, restore_group, d, &err);
    /* Restoring may report events that end leases, so walk by id, not by pointer. */
    uint32_t id = 0;
    for (const struct lease *l; (l = world_lease_after(d->world, id));) {
        id = l->id;
        restore_lease(d, l);
    }
}

int binds_init(struct daemon *d, struct error *err)
{
    char prefix[CGROUP_PREFIX];
    struct error why;
    d->binds = calloc(1, sizeof *d->binds);
    if (!d->binds)
        return error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    /* Emulated machines come and go beside each other: each is told apart by its state's place. */
    if (d->emulated)
        (void)snprintf(prefix, sizeof prefix, "emu-%016llx",
                       (unsigned long long)str_hash(d->state_dir));
    else
        (void)str_copy(prefix, sizeof prefix, "lease");
    d->binds->have_tree = cgroup_open(prefix, &d->binds->tree, &why) == 0;
    if (!d->binds->have_tree)
        log_info("no cgroup per lease here: %s", why.text);
    return 0;
}

void binds_abandon(struct daemon *d)
{
    for (const struct lease *l = NULL; (l = world_lease_after(d->world, l ? l->id : 0));) {
        struct bound *b = find_or_add(d, l->id);
        if (b)
            signal_all(b, l, SIGKILL, false);
    }
    if (d->binds->have_tree)
        gather_clear(&d->binds->tree);
}

void binds_done(struct daemon *d)
{
    if (!d->binds)
        return;
    while (d->binds->first)
        drop(d, d->binds->first);
    if (d->binds->have_tree)
        cgroup_close(&d->binds->tree);
    free(d->binds);
    d->binds = NULL;
}
