/* One cgroup (v2) per lease: how its last process is found and all of them are ended.
 *
 * A tree is the place where this program may make groups. Groups are PREFIX.ID below a directory
 * `fetta`; several daemons (emulated machines) take prefixes of their own and never touch each
 * other's. Only the v2 hierarchy is used, also where it is mounted beside v1 ("hybrid"): v1 groups
 * cannot be killed at once nor watched. */
#pragma once

#include "proc/proc.h"

enum { CGROUP_PATH = 512, CGROUP_PREFIX = 64, CGROUP_BASE = CGROUP_PATH - CGROUP_PREFIX - 24 };

struct cgroup_tree {
    char base[CGROUP_BASE];     /* ".../fetta", made when the first group is */
    char prefix[CGROUP_PREFIX];
};

/* Finds out whether and where groups may be made: below our own group when that was delegated to
 * us (systemd's Delegate=yes, or it is ours by ownership), else, as root, at the root of the v2
 * hierarchy. Proves it by making and removing a group. UNSUPPORTED says why not. `prefix`:
 * letters, digits, '-' and '_'. */
int cgroup_open(const char *prefix, struct cgroup_tree *ret, struct error *err);

/* Removes the directory `fetta` if no group is left in it. */
void cgroup_close(const struct cgroup_tree *t);

/* Directory of the group `id`; returns `buf`. Whether it exists is another question. */
const char *cgroup_dir(const struct cgroup_tree *t, uint64_t id, char buf[CGROUP_PATH]);

/* Makes the group; success if it is there already. */
int cgroup_make(const struct cgroup_tree *t, uint64_t id, struct error *err);

/* Moves exactly the process `who` into group `id`; what it forks from then on is inside too.
 * NOT_FOUND when it is gone. */
int cgroup_add(const struct cgroup_tree *t, uint64_t id, const struct proc_id *who,
               struct error *err);

/* The same for the process `pid` that the caller holds by a pidfd. */
int cgroup_add_held(const struct cgroup_tree *t, uint64_t id, int pid, int pidfd,
                    struct error *err);

/* Groups of this prefix that exist, for removing leftovers at a start: calls `visit` for each. */
int cgroup_each(const struct cgroup_tree *t, void (*visit)(uint64_t id, void *arg), void *arg,
                struct error *err);

/* The rest takes a group's directory, so that it also serves groups of somebody else's making. */

/* The directory of a group below where the v2 hierarchy is mounted, from what a person wrote:
 * "/user.slice/x", or with the mount point or the usual /sys/fs/cgroup in front. INVALID for "..".
 */
int cgroup_join(const char *mount, const char *path, char ret[CGROUP_PATH], struct error *err);

/* The same on this machine. INVALID for "..", NOT_FOUND if there is no such group. */
int cgroup_resolve(const char *path, char ret[CGROUP_PATH], struct error *err);

/* The v2 group of a process, as a directory. */
int cgroup_of(int pid, char ret[CGROUP_PATH], struct error *err);

/* Appends the live processes in `dir` (not in groups below it). Success with none if it is gone. */
int cgroup_pids(const char *dir, struct proc_list *ret, struct error *err);

/* Opens cgroup.events: poll it for EPOLLPRI, then ask cgroup_populated. NOT_FOUND if it is gone. */
int cgroup_events(const char *dir, int *ret_fd, struct error *err);

/* 1 = some process lives in the group or below it, 0 = none, or the group is gone. */
int cgroup_populated(int events_fd, struct error *err);

/* Sends `sig` to each process of the group at one look; returns how many were reached. */
int cgroup_signal(const char *dir, int sig, struct error *err);

/* Kills everything in the group at once (cgroup.kill; before Linux 5.14 freezes it, kills each and
 * thaws). Does not wait: watch cgroup_events. Success if the group is gone. */
int cgroup_kill(const char *dir, struct error *err);

/* Removes the group and groups made below it. 1 = gone, 0 = still busy (dead processes not yet
 * reaped count for a moment): ask again. */
int cgroup_remove(const char *dir, struct error *err);
