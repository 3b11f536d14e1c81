/* Processes of this machine by an identity that survives pid reuse.
 *
 * A pid alone names nothing for long. A process is pid, start time and effective uid together with
 * the boot id; these can be stored, compared with SO_PEERCRED and found again after a restart of
 * the daemon. Signals go through a pidfd that was checked after it was opened, so they never
 * reach a process that merely inherited the number. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROC_NAME = 64, PROC_BOOT_ID = 40 };

struct proc_id {
    int32_t pid;
    uint32_t uid;   /* effective, as SO_PEERCRED reports it */
    uint64_t start; /* clock ticks since boot, field 22 of /proc/PID/stat */
};

/* A growing list; zero-initialise it. */
struct proc_list {
    struct proc_id *ids;
    size_t n, room;
};

#define AUTO_PROC_LIST CLEANUP(proc_list_done)

/* Frees what the list holds and empties it; AUTO_PROC_LIST does it at the end of the scope. */
void proc_list_done(struct proc_list *l);

/* Who `pid` is now. NOT_FOUND when it is gone or a zombie. */
int proc_identify(int pid, struct proc_id *ret, struct error *err);

/* The same, and a pidfd that holds on to exactly that process. */
int proc_pin(int pid, struct proc_id *ret, int *ret_fd, struct error *err);

/* Whether the process of a pidfd has ended. */
bool proc_pidfd_ended(int pidfd);

/* A pidfd of exactly `want`: opens it, compares start time and uid, then proves that the process
 * behind the descriptor was still alive after the comparison. NOT_FOUND when it is gone or the
 * number belongs to another process by now. */
int proc_open_pidfd(const struct proc_id *want, int *ret_fd, struct error *err);

/* Whether that process (by pid and start time) exists and is not a zombie. */
bool proc_alive(int pid, uint64_t start);

/* The kernel's boot id, 36 characters. */
int proc_boot_id(char ret[PROC_BOOT_ID], struct error *err);

/* The command line, else the short name, of `pid` for messages, control bytes replaced by '?';
 * "pid N" when it is gone. Returns `buf`. */
const char *proc_name(int pid, char buf[PROC_NAME]);

/* Kernel session id of `pid`, or -1 when it is gone. */
int proc_session(int pid);

/* These list live processes at one look; processes that fork meanwhile may be missed, so whoever
 * must reach all of them looks again until the list stays empty. They append to `ret`. Kernel
 * threads have no uid of a user and are never listed. */
int proc_list_descendants(int pid, struct proc_list *ret, struct error *err);
int proc_list_uid(uint32_t uid, struct proc_list *ret, struct error *err); /* real or effective */
/* Those of `uid` (real or effective) that were started, by exec, with every one of the `n` entries
 * "NAME=VALUE" in their environment; at most PROC_MARKS. */
enum { PROC_MARKS = 4, PROC_MARK = 256 };
int proc_list_marked(uint32_t uid, const char *const *entries, size_t n, struct proc_list *ret,
                     struct error *err);
int proc_list_session(int session, struct proc_list *ret, struct error *err);

/* Identifies each pid of a text of numbers one per line (cgroup.procs); those gone are left out. */
int proc_list_text(const char *text, struct proc_list *ret, struct error *err);

/* Sends `sig`; 1 = sent, 0 = that process is gone, negative = NO_PERMISSION, UNSUPPORTED or IO. */
int proc_signal(const struct proc_id *id, int sig, struct error *err);

/* Sends `sig` to every one; returns how many were reached, or the first error after trying all. */
int proc_signal_all(const struct proc_list *l, int sig, struct error *err);
