/* What leases live with, and how their processes are found, told and ended.
 *
 * Per live lease one `struct bound`: the pidfd of the process it is bound to (while it waits: of
 * the process that asked), its cgroup where fettad may make one, and what was found left behind. */
#pragma once

#include "daemon/daemon.h"
#include "device/device.h"
#include "proc/proc.h"

/* binds_init before any other; NO_MEMORY. Without cgroups of its own fettad goes on and says so.
 * binds_done ends no process: leases outlive the daemon. */
int binds_init(struct daemon *d, struct error *err);
void binds_done(struct daemon *d);

/* The emulated machine is going away: ends every process of every lease, hard, and removes their
 * cgroups, waiting a second for that at most. */
void binds_abandon(struct daemon *d);

/* After a start: finds the processes of all recorded leases again, reports those that are gone,
 * removes cgroups of leases that are not. */
void binds_restore(struct daemon *d);

/* Watches the asking process `who` of a new request; the pidfd becomes ours. */
void binds_watch(struct daemon *d, uint32_t lease, const struct proc_id *who, int pidfd);

/* A client has to wait no longer for this lease: its process is confined if that is possible. */
void binds_grant(struct daemon *d, uint32_t lease);

/* Adds a process to a live lease. IO or UNSUPPORTED say why not. */
int binds_attach(struct daemon *d, uint32_t lease, const struct proc_id *who, struct error *err);

/* Sends `sig` to every process of a live lease; does nothing for one that is over. */
void binds_signal(struct daemon *d, uint32_t lease, int sig);

/* SIGTERM, or SIGKILL if `hard`, to every process of the lease; EMPTY is reported when none is left
 * and the driver agrees. */
void binds_end(struct daemon *d, uint32_t lease, bool hard);

/* The lease is over: forget it, remove its cgroup. */
void binds_ended(struct daemon *d, uint32_t lease);

/* What the driver sees on a GPU. */
void binds_processes(struct daemon *d, unsigned slot, int code, const struct device_process *list,
                     size_t n);

/* Whether the lease's processes are kept in a cgroup of its own, which none can leave unseen. */
/* The lease's parent told how its command ended, so ending it now is its natural end. */
void binds_exit_told(struct daemon *d, uint32_t lease);
bool binds_exit_known(const struct daemon *d, uint32_t lease);

/* Whether the lease's processes are in a cgroup of their own. */
bool binds_confined(const struct daemon *d, uint32_t lease);
