/* One poll loop around proc/spawn.h. The lease is looked at only when there is something to see: at
 * the moments of the warnings, which are known ahead, when fettad says that it changed, and when a
 * command ended. So a daemon that is being restarted disturbs nothing, and while it is there
 * nothing wakes up in between. */
#include "cli/stay.h"

#include "base/fd.h"
#include "base/time.h"
#include "cli/get.h"
#include "cli/tasks.h"
#include "cli/watch.h"
#include "proc/spawn.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* So often at most fettad is asked to tell of changes, and is tried again when it is gone. */
#define WATCH_AGAIN (500 * TIME_MS)

static const int64_t marks[] = {15 * TIME_MIN, 5 * TIME_MIN, TIME_MIN, 0};

enum { TIME_UP = 124, OURS = 125, ASK_MS = 5000, NOTICE = 240 };

struct stay {
    struct cli *c;
    const struct stay_plan *plan;
    int64_t id, started, ends, grace;
    bool confined;
    unsigned told; /* marks told */
    bool end_told; /* that and why the lease ends was told */
    bool time_up;
    int64_t kill_at;            /* boot time: the rest is killed; TIME_NEVER: not asked */
    int status;                 /* of the first failure */
    int watch;                  /* readable when the lease changed; -1: not asked */
    int64_t revision, watch_at; /* boot time to ask again; TIME_NEVER: it is over */
    char notice[NOTICE];        /* as told last */
    struct spawn s;
};

int64_t stay_next_warning(int64_t started, int64_t ends, unsigned told)
{
    while (told < ARRAY_LEN(marks) && marks[told] && ends - marks[told] <= started)
        told++;
    return ends && told < ARRAY_LEN(marks) ? ends - marks[told] : TIME_NEVER;
}

void stay_give_back(struct cli *c, int64_t id)
{
    struct error ignored;
    c->patience_ms = ASK_MS;
    (void)cli_call_lease(c, "DELETE", id, "", NULL, NULL, &ignored);
    c->patience_ms = 0;
}

/* What fettad wants the people of the lease to know, each time that it is something new. */
static void tell_notice(struct stay *y, const char *notice)
{
    if (*notice && strcmp(notice, y->notice) != 0)
        cli_say(y->c, "lease %" PRId64 ": %s", y->id, notice);
    (void)str_copy(y->notice, sizeof y->notice, notice);
}

/* Reads where the lease stands; false when fettad does not say. */
static bool look(struct stay *y)
{
    struct error ignored;
    json_t *reply;
    y->c->patience_ms = ASK_MS;
    int r = cli_call_lease(y->c, "GET", y->id, "", NULL, &reply, &ignored);
    y->c->patience_ms = 0;
    if (r < 0)
        return false;
    const json_t *lease = get_in(reply, "lease");
    int64_t ends = get_time(lease, "ends");
    if (ends > y->ends)
        y->told = 0;
    y->ends = ends;
    y->revision = get_int(lease, "revision", y->revision);
    y->watch_at = strcmp(get_text(lease, "state"), "ended") == 0 ? TIME_NEVER : y->watch_at;
    tell_notice(y, get_text(lease, "notice"));
    const char *why = get_text(lease, "why");
    y->time_up = strcmp(why, "time") == 0;
    if (*why && !y->end_told && strcmp(why, "done") != 0) {
        y->end_told = true;
        cli_say(y->c, "lease %" PRId64 " is ended: %s", y->id, grant_why(lease));
    }
    json_decref(reply);
    return true;
}

/* Tells the warnings that are due; several at once (a suspended laptop) are told as one. */
static void warn_if_due(struct stay *y)
{
    int64_t now = time_wall();
    if (stay_next_warning(y->started, y->ends, y->told) > now)
        return;
    (void)look(y);
    if (stay_next_warning(y->started, y->ends, y->told) > now)
        return;
    while (stay_next_warning(y->started, y->ends, y->told) <= now)
        y->told++;
    if (y->end_told || y->ends <= now)
        return;
    char left[TIME_TEXT], when[TIME_TEXT];
    cli_say(y->c,
            "lease %" PRId64 " ends in %s, at %s; fetta lease extend %" PRId64
            " --by 1h moves that",
            y->id, time_format(y->ends - now + TIME_S / 2, left), time_format_wall(y->ends, when),
            y->id);
}

/* In the child: into the lease's cgroup, by its own call. */
struct join {
    struct cli *c;
    int64_t id;
    bool confined;
    int death; /* signal when fetta dies; 0: none */
};

static int join(void *arg)
{
    struct join *j = arg;
    struct error err;
    if (j->death && prctl(PR_SET_PDEATHSIG, j->death) < 0)
        return errno;
    if (!j->confined)
        return 0;
    j->c->fetta = NULL; /* the parent's connection is the parent's */
    int r = cli_call_lease(j->c, "POST", j->id, "/attach", NULL, NULL, &err);
    if (r < 0)
        cli_fail(j->c, &err);
    cli_hang_up(j->c);
    return r < 0 ? ECANCELED : 0;
}

/* Starts the commands; 0 or an exit status. */
static int start(struct stay *y, const json_t *lease)
{
    const struct stay_plan *p = y->plan;
    int port = p->tasks ? tasks_free_port() : 0;
    /* A confined lease is ended by the daemon, whoever dies; elsewhere this helps it. */
    int death = y->confined ? 0 : p->kind == STAY_RUN ? SIGKILL : SIGHUP;
    struct join j = {y->c, y->id, y->confined, death};
    for (int64_t i = 0; i < MAX(p->tasks, 1); i++) {
        struct error err;
        char **env = grant_env(lease, p->tasks ? (int)i : -1);
        if (!env || (p->tasks && !tasks_env(&env, i, p->tasks, port))) {
            grant_free_env(env);
            cli_say(y->c, "no memory left to start the command");
            return OURS;
        }
        int r = spawn_start_with(&y->s, p->argv, env, join, &j, &err);
        grant_free_env(env);
        if (r >= 0)
            continue;
        if (err.sys == ECANCELED)
            return OURS;
        cli_fail(y->c, &err);
        return spawn_exec_status(&err);
    }
    return 0;
}

static bool all_ended(const struct stay *y)
{
    for (int i = 0; i < y->s.n; i++) {
        if (!y->s.children[i].ended)
            return false;
    }
    return true;
}

static void on_ended(struct stay *y, int child)
{
    int status = spawn_exit_status(y->s.children[child].status);
    if (!status || y->status)
        return;
    y->status = status;
    if (y->plan->keep_going || all_ended(y))
        return;
    (void)look(y);
    y->kill_at = time_boot() + y->grace;
    /* The end of the lease is why it failed, and is told already; everybody gets that SIGTERM. */
    if (y->end_told)
        return;
    cli_say(y->c, "task %d ended with status %d; ending the others", child, status);
    spawn_signal(&y->s, SIGTERM);
}

/* Milliseconds until something is due. */
static int poll_ms(const struct stay *y)
{
    int64_t warning = stay_next_warning(y->started, y->ends, y->told);
    int64_t left = y->kill_at == TIME_NEVER ? TIME_HOUR : y->kill_at - time_boot();
    if (warning != TIME_NEVER)
        left = MIN(left, warning - time_wall());
    if (y->watch < 0 && y->watch_at != TIME_NEVER)
        left = MIN(left, y->watch_at - time_boot());
    left = MAX(MIN(left, TIME_HOUR), 0);
    return (int)(left / TIME_MS) + 1;
}

/* Waits until a signal or a child is there, something is due, or so many ms are over; sees to what
 * fettad says meanwhile. False: it cannot be waited. */
static bool idle(struct stay *y, int ms)
{
    if (y->watch < 0 && time_boot() >= y->watch_at) {
        y->watch = watch_lease(y->id, y->revision);
        y->watch_at = time_boot() + WATCH_AGAIN;
    }
    struct pollfd p[] = {{.fd = spawn_fd(&y->s), .events = POLLIN},
                         {.fd = y->watch, .events = POLLIN}};
    if (poll(p, ARRAY_LEN(p), MIN(ms, poll_ms(y))) < 0)
        return errno == EINTR;
    if (p[1].revents) {
        y->watch = fd_close(y->watch);
        (void)look(y);
    }
    warn_if_due(y);
    return true;
}

static void follow(struct stay *y)
{
    while (!all_ended(y)) {
        if (!idle(y, INT_MAX))
            return;
        struct spawn_event e;
        while ((e = spawn_next(&y->s)).kind != SPAWN_NOTHING) {
            if (e.kind == SPAWN_ENDED)
                on_ended(y, e.child);
        }
        if (time_boot() >= y->kill_at)
            spawn_signal(&y->s, SIGKILL);
    }
}

static void name_leftovers(const struct stay *y, const struct proc_list *l, const char *what)
{
    AUTO_STR struct str names = {0};
    char name[PROC_NAME];
    for (size_t i = 0; i < l->n && i < 10; i++)
        str_addf(&names, "%s%d (%s)", i ? ", " : "", l->ids[i].pid, proc_name(l->ids[i].pid, name));
    if (l->n > 10)
        str_addf(&names, " and %zu more", l->n - 10);
    cli_say(y->c, "%s: %s", what, names.text ? names.text : "");
}

/* Waits until nothing is left below us, at most until `until` (boot time); true then. With
 * `interruptible`, SIGINT and SIGTERM to us end the waiting. */
static bool wait_empty(struct stay *y, int64_t until, bool interruptible)
{
    for (;;) {
        AUTO_PROC_LIST struct proc_list l = {0};
        struct error ignored;
        struct spawn_event e;
        while ((e = spawn_next(&y->s)).kind != SPAWN_NOTHING) {
            if (interruptible && e.kind == SPAWN_SIGNAL && (e.sig == SIGINT || e.sig == SIGTERM))
                return false;
        }
        if (spawn_leftovers(&y->s, &l, &ignored) < 0 || l.n == 0)
            return true;
        int64_t left = until - time_boot();
        if (left <= 0)
            return false;
        /* Whatever ends last is our child by then, so SIGCHLD wakes us. */
        (void)idle(y, (int)(MIN(left, TIME_HOUR) / TIME_MS) + 1);
    }
}

/* SIGTERM, grace, SIGKILL for what is below us. */
static void end_leftovers(struct stay *y)
{
    AUTO_PROC_LIST struct proc_list l = {0};
    struct error err;
    if (spawn_leftovers(&y->s, &l, &err) < 0 || l.n == 0)
        return;
    name_leftovers(y, &l, "ending what the command left behind");
    (void)proc_signal_all(&l, SIGTERM, NULL);
    if (!wait_empty(y, time_boot() + y->grace, true) && spawn_kill_all(&y->s, 5 * TIME_S, &err) < 0)
        cli_fail(y->c, &err);
}

/* A shell's lease goes on while something that was started in it lives. */
static void after_shell(struct stay *y)
{
    AUTO_PROC_LIST struct proc_list l = {0};
    struct error ignored;
    while (spawn_next(&y->s).kind != SPAWN_NOTHING)
        ;
    if (spawn_leftovers(&y->s, &l, &ignored) < 0 || l.n == 0 || y->end_told)
        return;
    if (y->confined) {
        name_leftovers(y, &l, "the lease goes on until these have ended");
        return;
    }
    name_leftovers(y, &l, "waiting for what was started in the shell (Ctrl-C ends it)");
    if (!wait_empty(y, TIME_NEVER, true))
        end_leftovers(y);
}

static void tell_exit(struct stay *y)
{
    struct error ignored;
    json_t *body = json_pack("{s:i}", "status", y->status);
    y->c->patience_ms = ASK_MS;
    if (body)
        (void)cli_call_lease(y->c, "POST", y->id, "/exit", body, NULL, &ignored);
    y->c->patience_ms = 0;
    json_decref(body);
}

static void finish(struct stay *y)
{
    if (y->plan->kind == STAY_ATTACH)
        return;
    tell_exit(y);
    if (y->plan->kind == STAY_RUN)
        end_leftovers(y);
    else
        after_shell(y);
    /* The last process of a confined shell may be one that is not ours to wait for. */
    if (y->plan->kind == STAY_RUN || !y->confined)
        stay_give_back(y->c, y->id);
}

int stay_run(struct cli *c, const json_t *lease, const struct stay_plan *plan)
{
    struct stay y = {.c = c,
                     .plan = plan,
                     .id = get_int(lease, "id", 0),
                     .started = get_time(lease, "started"),
                     .ends = get_time(lease, "ends"),
                     .grace = get_int(lease, "grace", 30) * TIME_S,
                     .confined = get_bool(lease, "confined"),
                     .kill_at = TIME_NEVER,
                     .watch = -1,
                     .revision = get_int(lease, "revision", 0)};
    struct error err;
    if (spawn_begin(&y.s, &err) < 0) {
        stay_give_back(c, y.id);
        return cli_fail(c, &err);
    }
    int status = start(&y, lease);
    if (status) {
        (void)spawn_kill_all(&y.s, 5 * TIME_S, &err);
        if (plan->kind != STAY_ATTACH)
            stay_give_back(c, y.id);
        spawn_end(&y.s);
        return status;
    }
    follow(&y);
    (void)look(&y);
    finish(&y);
    (void)fd_close(y.watch);
    spawn_end(&y.s);
    return y.time_up ? TIME_UP : y.status;
}
