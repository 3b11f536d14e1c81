/* Finding a lease's processes.
 *
 * A cgroup is the proof; where fettad may not make one (an ordinary user's emulated machine), the
 * best there is are the descendants of the command and the mark FETTA_LEASE that children inherit.
 * A process can drop the mark, which is why such leases are not called confined. */
#include "daemon/gather.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* fetta itself, which tells us to end the lease from inside it, is not part of it. */
static bool is_fetta(int pid)
{
    char path[64], exe[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    if (n <= 0)
        return false;
    exe[n] = '\0';
    const char *name = strrchr(exe, '/');
    return name && strcmp(name, "/fetta") == 0;
}

/* Two machines may both have a lease 1; the socket tells them apart. */
static void add_marked(struct daemon *d, const struct lease *l, struct proc_list *ret)
{
    AUTO_PROC_LIST struct proc_list all = {0};
    char lease[32], socket[160];
    const char *marks[] = {lease, socket};
    struct error ignored;
    (void)snprintf(lease, sizeof lease, "FETTA_LEASE=%u", l->id);
    (void)snprintf(socket, sizeof socket, "FETTA_SOCKET=%s", d->socket_path);
    if (proc_list_marked(l->asker_uid, marks, ARRAY_LEN(marks), &all, &ignored) < 0)
        return;
    for (size_t i = 0; i < all.n; i++) {
        char number[16];
        if (all.ids[i].pid == getpid() || is_fetta(all.ids[i].pid))
            continue;
        (void)snprintf(number, sizeof number, "%d\n", all.ids[i].pid);
        (void)proc_list_text(number, ret, &ignored);
    }
}

void gather_processes(struct daemon *d, const struct lease *l, const char *dir,
                      struct proc_list *ret)
{
    struct error ignored;
    if (dir) {
        (void)cgroup_pids(dir, ret, &ignored);
    } else {
        if (l->tree && proc_alive(l->bind_pid, l->bind_start))
            (void)proc_list_descendants(l->bind_pid, ret, &ignored);
        add_marked(d, l, ret);
    }
}

struct clearing {
    const struct cgroup_tree *tree;
    unsigned left;
};

/* Kills a group and takes it away; *arg counts those that are still there. */
static void clear_group(uint64_t id, void *arg)
{
    struct clearing *c = arg;
    char dir[CGROUP_PATH];
    struct error err;
    (void)cgroup_dir(c->tree, id, dir);
    (void)cgroup_kill(dir, &err);
    c->left += cgroup_remove(dir, &err) != 1;
}

void gather_clear(const struct cgroup_tree *t)
{
    struct error err;
    for (int i = 0; i < 100; i++) {
        struct clearing c = {.tree = t};
        if (cgroup_each(t, clear_group, &c, &err) < 0 || c.left == 0)
            return;
        (void)poll(NULL, 0, 10);
    }
}
