/* Which processes belong to a lease, right now. */
#pragma once

#include "daemon/daemon.h"
#include "proc/cgroup.h"

/* Appends the lease's processes. A confined lease has exactly its cgroup `dir`. Elsewhere:
 * descendants of the bound process if the lease says so, and every process of its owner that
 * carries its number in the environment. */
void gather_processes(struct daemon *d, const struct lease *l, const char *dir,
                      struct proc_list *ret);

/* Ends whatever lives in the groups of a tree and removes them, waiting a second at most. */
void gather_clear(const struct cgroup_tree *t);
