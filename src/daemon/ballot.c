/* When to vote, the process that does, and its answer; see ballot.h. */
#include "daemon/ballot.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "daemon/api.h"
#include "daemon/recall.h"
#include "daemon/turn.h"
#include "daemon/vote_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* At idle priority a busy machine leaves little time, but some. */
#define DEADLINE (10 * TIME_MIN)
#define REAP_MS  100

/* Shares of the kinds of requests have to change by so much in all, and by more than few requests
 * change by chance. */
#define DRIFT 0.1

/* How a vote ended, for people. */
struct ballot_last {
    int64_t wall; /* 0: none yet */
    uint32_t jobs;
    bool adopted;
    struct vote_result result;
    char trouble[ERROR_TEXT];
};

struct ballot {
    int64_t held_at; /* boot time of the start of the last vote, or of the daemon */
    uint32_t then[RECALL_KINDS], now[RECALL_KINDS]; /* requests of the last vote, and since */
    uint32_t jobs;                                  /* in the vote being held */
    pid_t pid;                                      /* 0: none is */
    int pidfd, answer;
    sd_event_source *death, *late;
    struct ballot_last last;
};

int ballot_init(struct daemon *d, struct error *err)
{
    d->ballot = calloc(1, sizeof *d->ballot);
    if (!d->ballot)
        return error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    d->ballot->held_at = time_boot();
    d->ballot->pidfd = d->ballot->answer = -1;
    return 0;
}

/* Ends the process if it has not ended yet. */
static void clear(struct ballot *b)
{
    b->death = sd_event_source_disable_unref(b->death);
    b->late = sd_event_source_disable_unref(b->late);
    if (b->pid > 0) {
        struct pollfd ended = {.fd = b->pidfd, .events = POLLIN};
        (void)kill(b->pid, SIGKILL); /* not reaped yet, so the number is still its own */
        (void)poll(&ended, b->pidfd >= 0, REAP_MS);
        (void)waitpid(b->pid, NULL, WNOHANG);
    }
    b->pid = 0;
    b->pidfd = fd_close(b->pidfd);
    b->answer = fd_close(b->answer);
}

void ballot_done(struct daemon *d)
{
    if (!d->ballot)
        return;
    clear(d->ballot);
    free(d->ballot);
    d->ballot = NULL;
}

void ballot_settle(const struct daemon *d, const struct config *c, struct policy *policy)
{
    const struct policy *was = world_policy(d->world);
    bool same = was->rule == policy->rule && !(was->mix.word[0] | was->mix.word[1]);
    if (was->rule_since && c->vote) {
        policy->rule = was->rule;
        policy->mix = was->mix;
        policy->vote_jobs = was->vote_jobs;
        policy->vote_for = was->vote_for;
        policy->vote_gain = was->vote_gain;
        policy->vote_noise = was->vote_noise;
    }
    policy->rule_since = was->rule_since && (same || c->vote) ? was->rule_since : time_wall();
}

/* ---- the answer ---- */

/* Without an outcome the next one needs no other mix. */
static void trouble(struct ballot *b, const char *text)
{
    memset(b->then, 0, sizeof b->then);
    (void)snprintf(b->last.trouble, sizeof b->last.trouble, "%s", text);
    log_warn("the vote on the rule of placement came to nothing: %s", text);
}

static int32_t millionths(double part)
{
    return (int32_t)fmax(-2e9, fmin(2e9, part * 1e6));
}

static void adopt(struct daemon *d, const struct vote_result *r)
{
    struct ballot *b = d->ballot;
    struct event e = {.kind = EVENT_POLICY, .policy = *world_policy(d->world)};
    bool work = r->won == VOTE_WORK;
    double of = work ? 1 : r->wait;
    struct error err;
    e.policy.rule = r->rule;
    e.policy.mix = r->mix;
    e.policy.rule_since = time_wall();
    e.policy.vote_jobs = b->jobs;
    e.policy.vote_for = r->won;
    e.policy.vote_gain = millionths((work ? r->work_gain : r->wait_gain) / of);
    e.policy.vote_noise = millionths((work ? r->work_noise : r->wait_noise) / of);
    if (turn_event(d, &e, NULL, &err) < 0) {
        trouble(b, err.text);
        return;
    }
    b->last.adopted = true;
    log_info("placement is %s from now on, by a vote on %u requests: %.2f +- %.2f %% %s",
             score_name(r->rule), b->jobs, e.policy.vote_gain / 1e4, e.policy.vote_noise / 1e4,
             work ? "more of the work finds a place" : "less waiting");
}

static bool sound(const struct vote_answer *a)
{
    const struct vote_result *r = &a->result;
    return a->mark == VOTE_MARK && r->rule < SCORE_N && r->won <= VOTE_WAIT &&
           isfinite(r->work_gain) && isfinite(r->work_noise) && isfinite(r->wait_gain) &&
           isfinite(r->wait_noise) && isfinite(r->wait) && (r->won != VOTE_WAIT || r->wait > 0);
}

static void take(struct daemon *d, const struct vote_answer *a)
{
    struct ballot *b = d->ballot;
    if (a->code < 0 || !sound(a)) {
        trouble(b, a->code < 0 && a->mark == VOTE_MARK ? a->text : "its answer makes no sense");
        return;
    }
    b->last.result = a->result;
    /* The configuration may have been changed while it was held. */
    if (a->result.won != VOTE_NOTHING && d->config.vote)
        adopt(d, &a->result);
    else
        log_info("placement stays %s, by a vote on %u requests",
                 score_name(world_policy(d->world)->rule), b->jobs);
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    struct daemon *d = arg;
    struct ballot *b = d->ballot;
    struct vote_answer answer;
    struct error err;
    int status = 0;
    (void)source;
    (void)fd;
    (void)events;
    bool told = fd_read_all(b->answer, &answer, sizeof answer, &err) == 0;
    (void)waitpid(b->pid, &status, WNOHANG);
    b->pid = 0;
    clear(b);
    b->last = (struct ballot_last){.wall = time_wall(), .jobs = b->jobs};
    answer.text[sizeof answer.text - 1] = '\0';
    if (told)
        take(d, &answer);
    else if (WIFSIGNALED(status))
        trouble(b, strsignal(WTERMSIG(status)));
    else
        trouble(b, "fetta-vote ended without an answer");
    api_stale(d);
    return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *arg)
{
    struct daemon *d = arg;
    (void)source;
    (void)usec;
    clear(d->ballot);
    d->ballot->last = (struct ballot_last){.wall = time_wall(), .jobs = d->ballot->jobs};
    trouble(d->ballot, "it was not done within ten minutes");
    api_stale(d);
    return 0;
}

/* ---- holding one ---- */

/* The question as a file that the child finds at its beginning. */
static int write_paper(struct daemon *d, int *ret, struct error *err)
{
    struct ballot *b = d->ballot;
    AUTO_FREE struct vote_paper *p = calloc(1, sizeof *p);
    AUTO_FREE struct vote_job *jobs = NULL;
    if (!p)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a vote");
    p->mark = VOTE_MARK;
    int r = recall_question(d, &p->question, &jobs, err);
    if (r < 0)
        return r;
    b->jobs = p->question.job_n;
    AUTO_FD int fd = memfd_create("fetta-vote", MFD_CLOEXEC);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a file for a vote");
    r = fd_write_all(fd, p, sizeof *p, err);
    if (r == 0)
        r = fd_write_all(fd, jobs, b->jobs * sizeof *jobs, err);
    if (r == 0 && lseek(fd, 0, SEEK_SET) != 0)
        r = error_errno(err, ERROR_IO, errno, "cannot make a file for a vote");
    *ret = r == 0 ? STEAL_FD(fd) : -1;
    return r;
}

/* fetta-vote stands beside fetta-worker. */
static int program(const struct daemon *d, char path[4096], struct error *err)
{
    static const char name[] = "fetta-vote";
    (void)snprintf(path, 4096, "%s", d->program);
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash + 1 - path) + sizeof name > 4096)
        return error_set(err, ERROR_IO, "cannot find %s", name);
    memcpy(slash + 1, name, sizeof name);
    return 0;
}

static int spawn_child(const char *path, int in, int out, pid_t *ret, struct error *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char *argv[] = {(char *)(uintptr_t)path, NULL}, *env[] = {NULL};
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int sys = posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    if (!sys)
        sys = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    if (!sys)
        sys = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (!sys)
        sys = posix_spawn(ret, path, &files, &attributes, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return sys ? error_errno(err, ERROR_IO, sys, "cannot start %.200s", path) : 0;
}

static int watch(struct daemon *d)
{
    struct ballot *b = d->ballot;
    b->pidfd = (int)syscall(SYS_pidfd_open, b->pid, 0);
    int r = b->pidfd < 0 ? -errno : 0;
    if (r >= 0)
        r = sd_event_add_io(d->loop, &b->death, b->pidfd, EPOLLIN, on_death, d);
    if (r >= 0)
        r = sd_event_add_time(d->loop, &b->late, CLOCK_BOOTTIME,
                              (uint64_t)((time_boot() + DEADLINE) / TIME_US), 0, on_late, d);
    return r;
}

static int hold(struct daemon *d, struct error *err)
{
    struct ballot *b = d->ballot;
    char path[4096];
    int ends[2], in = -1;
    int r = program(d, path, err);
    if (r == 0)
        r = write_paper(d, &in, err);
    AUTO_FD int paper = in;
    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a pipe for a vote");
    AUTO_FD int theirs = ends[1];
    b->answer = ends[0];
    /* Whatever is not there when it has ended never comes. */
    (void)fcntl(b->answer, F_SETFL, O_NONBLOCK);
    r = spawn_child(path, paper, theirs, &b->pid, err);
    if (r < 0)
        b->pid = 0;
    int e = r < 0 ? 0 : watch(d);
    if (e < 0)
        r = error_errno(err, ERROR_IO, -e, "cannot watch %.200s", path);
    if (r < 0)
        clear(b);
    return r;
}

/* ---- when ---- */

void ballot_asked(struct daemon *d, const struct lease *l)
{
    if (d->ballot && d->config.vote)
        d->ballot->now[recall_kind(l)]++;
}

/* Whether what is asked for has become another mix than was voted on. */
static bool drifted(const struct ballot *b, double then, double now)
{
    double apart = 0;
    for (unsigned i = 0; i < RECALL_KINDS && then > 0; i++)
        apart += fabs(b->then[i] / then - b->now[i] / now) / 2;
    return then == 0 || now >= VOTE_JOBS || apart > DRIFT + 1 / sqrt(now);
}

void ballot_consider(struct daemon *d)
{
    struct ballot *b = d->ballot;
    double then = 0, now = 0;
    struct error err;
    if (!d->config.vote || !b || b->pid || !d->serving || d->turn.failed ||
        time_boot() - b->held_at < d->config.vote_every)
        return;
    for (unsigned i = 0; i < RECALL_KINDS; i++) {
        then += b->then[i];
        now += b->now[i];
    }
    if (now < d->config.vote_requests || !drifted(b, then, now))
        return;
    b->held_at = time_boot();
    if (hold(d, &err) < 0) {
        b->last = (struct ballot_last){.wall = time_wall()};
        trouble(b, err.text);
        api_stale(d);
        return;
    }
    memcpy(b->then, b->now, sizeof b->then);
    memset(b->now, 0, sizeof b->now);
}

/* ---- for people ---- */

static json_t *instant(int64_t wall)
{
    return wall ? json_real((double)wall / 1e9) : json_null();
}

static json_t *show_last(const struct ballot_last *l)
{
    const struct vote_result *r = &l->result;
    if (!l->wall)
        return json_null();
    json_t *o = json_pack("{s:o, s:I, s:b, s:s}", "at", instant(l->wall), "requests",
                          (json_int_t)l->jobs, "adopted", l->adopted, "trouble", l->trouble);
    if (l->trouble[0])
        return o;
    json_t *figures =
        json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f}", "best", score_name(r->rule), "told",
                  (r->mix.word[0] | r->mix.word[1]) != 0, "work", r->work, "work_gain",
                  r->work_gain, "work_noise", r->work_noise, "wait", r->wait, "wait_gain",
                  r->wait_gain, "wait_noise", r->wait_noise);
    (void)json_object_update(o, figures);
    json_decref(figures);
    return o;
}

json_t *ballot_show(const struct daemon *d)
{
    const struct policy *p = world_policy(d->world);
    const char *by = !p->vote_jobs ? NULL : p->vote_for == VOTE_WORK ? "work" : "wait";
    json_t *o = json_pack("{s:b, s:o, s:b, s:I, s:s?}", "auto", d->config.vote, "since",
                          instant(p->rule_since), "told", (p->mix.word[0] | p->mix.word[1]) != 0,
                          "requests", (json_int_t)p->vote_jobs, "by", by);
    if (by) {
        json_t *gain =
            json_pack("{s:f, s:f}", "gain", p->vote_gain / 1e6, "noise", p->vote_noise / 1e6);
        (void)json_object_update(o, gain);
        json_decref(gain);
    }
    if (d->config.vote)
        (void)json_object_set_new(o, "vote", show_last(&d->ballot->last));
    return o;
}
