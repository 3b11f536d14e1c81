/* Commands as children, for when fetta stays as their parent: it hands signals on, reaps, tells
 * ends apart as a shell does, and finds what a command left behind.
 *
 * Children stay in our process group, so the terminal's own signals (Ctrl-C, Ctrl-Z, window size)
 * reach them from the kernel; only what other processes send to us is passed on. We are their
 * subreaper: whatever double forks or starts a session of its own still becomes our child when its
 * parent ends, and so is found. Nothing here blocks: watch spawn_fd and call spawn_next. */
#pragma once

#include "proc/proc.h"

#include <signal.h>

enum { SPAWN_MAX = 64 };

struct spawn_child {
    int pid;        /* 0: never started */
    bool ended;
    int status;     /* of waitpid, once ended */
};

struct spawn {
    int fd;         /* signalfd */
    int n;
    sigset_t before; /* signal mask the children get back */
    struct spawn_child children[SPAWN_MAX];
};

/* What spawn_next found. */
enum spawn_kind { SPAWN_NOTHING, SPAWN_ENDED, SPAWN_SIGNAL };

struct spawn_event {
    enum spawn_kind kind;
    int child;      /* ENDED: which */
    int sig;        /* SIGNAL: which one came to us (and went to the children) */
};

/* Blocks the signals we handle, becomes subreaper. One at a time in a process. */
int spawn_begin(struct spawn *s, struct error *err);

/* Starts argv (looked up in PATH) with `env` (NULL: ours) as the next child and returns its index.
 * A command that cannot be executed: NOT_FOUND or NO_PERMISSION with errno in err->sys, to be
 * turned into 127 or 126 by spawn_exec_status. */
int spawn_start(struct spawn *s, char *const *argv, char *const *env, struct error *err);

/* The same, with `prepare(arg)` run in the child just before it becomes the command: what it
 * returns other than 0 is an errno for err->sys, and nothing is run (NO_PERMISSION). */
int spawn_start_with(struct spawn *s, char *const *argv, char *const *env,
                     int (*prepare)(void *arg), void *arg, struct error *err);

/* Becomes argv; returns only with an error, as spawn_start. */
int spawn_become(char *const *argv, char *const *env, struct error *err);

/* The exit status shells use for that error: 127 not found, 126 not executable. */
int spawn_exec_status(const struct error *err);

/* Readable when there is something for spawn_next. */
int spawn_fd(const struct spawn *s);

/* Handles signals and children without blocking, until something is worth telling. Stops our own
 * process, as its children were, on SIGTSTP. */
struct spawn_event spawn_next(struct spawn *s);

/* Sends `sig` to every child that has not ended. */
void spawn_signal(struct spawn *s, int sig);

/* A waitpid status as exit status: the command's own, or 128+n for signal n. */
int spawn_exit_status(int status);

/* Every process the children left behind, at this look. Children themselves that still run are
 * included. */
int spawn_leftovers(const struct spawn *s, struct proc_list *ret, struct error *err);

/* Kills and reaps everything below us until nothing is left or `timeout_ns` is over: 0, or
 * -ERROR_TIMEOUT naming one that does not die. */
int spawn_kill_all(struct spawn *s, int64_t timeout_ns, struct error *err);

/* Restores the signal mask; children that still run are left alone. */
void spawn_end(struct spawn *s);
