/* Writing the files of tree.h. What is right already is not touched, so that following costs what
 * changed and a driver that was started again finds its nodes in place. */
#include "files/tree.h"

#include "base/fd.h"
#include "base/str.h"
#include "files/render.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { DEVICES_MAX = 1 << 16, NODE_MODE = 0666, GPU_MINORS = 32 };

/* The instances of one GPU that the tree shows: bit 0 the GI, bits 1.. its CIs. */
struct shown {
    bool gpu;
    uint16_t gi[BOARD_GIS];
};

struct tree {
    int dir;
    struct render_majors majors;
    struct shown shown[GPU_MINORS]; /* by minor */
};

struct tree *tree_free(struct tree *t)
{
    if (t)
        (void)fd_close(t->dir);
    free(t);
    return NULL;
}

static int failed(struct error *err, const char *path)
{
    bool refused = errno == EPERM || errno == EACCES;
    return error_errno(err, refused ? ERROR_NO_PERMISSION : ERROR_IO, errno, "cannot make %s",
                       path);
}

/* Makes the directories above `path`. */
static int above(struct tree *t, const char *path, struct error *err)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)str_copy(part, MIN(sizeof part, (size_t)(slash - path) + 1), path);
        if (mkdirat(t->dir, part, 0755) < 0 && errno != EEXIST)
            return failed(err, part);
    }
    return 0;
}

/* A file that is read as a whole; its inode stays, since somebody may have mounted it. */
static int put_bytes(struct tree *t, const char *path, unsigned mode, const void *bytes,
                     size_t size, struct error *err)
{
    int r = above(t, path, err);
    if (r < 0)
        return r;
    AUTO_FD int fd = openat(t->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return failed(err, path);
    return fd_write_all(fd, bytes, size, err);
}

/* Takes the text. */
static int put(struct tree *t, const char *path, unsigned mode, struct str *text, struct error *err)
{
    int r = text->failed ? error_set(err, ERROR_NO_MEMORY, "no memory left for %s", path)
                         : put_bytes(t, path, mode, text->text, text->len, err);
    str_done(text);
    return r;
}

FORMAT(4, 5)
static int put_line(struct tree *t, const char *path, struct error *err, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return put_bytes(t, path, 0444, text, (size_t)n, err);
}

static int put_link(struct tree *t, const char *path, const char *to, struct error *err)
{
    int r = above(t, path, err);
    if (r == 0 && symlinkat(to, t->dir, path) < 0 && errno != EEXIST)
        r = failed(err, path);
    return r;
}

/* A node with the link in dev/char that goes with it. */
static int put_node(struct tree *t, const char *path, unsigned mode, unsigned major,
                    unsigned minor, struct error *err)
{
    char link[64], to[128];
    int r = above(t, path, err);
    if (r < 0)
        return r;
    if (mknodat(t->dir, path, S_IFCHR | mode, makedev(major, minor)) < 0 && errno != EEXIST)
        return failed(err, path);
    if (fchmodat(t->dir, path, mode, 0) < 0)
        return failed(err, path);
    (void)snprintf(link, sizeof link, "dev/char/%u:%u", major, minor);
    (void)snprintf(to, sizeof to, "../%s", path + strlen("dev/"));
    return put_link(t, link, to, err);
}

/* A capability and its node: what nvidia-modprobe makes of the one, the other is. */
static int put_capability(struct tree *t, const char *path, unsigned minor, unsigned mode,
                          struct error *err)
{
    char node[64];
    struct str text = {0};
    render_capability(minor, mode, &text);
    int r = put(t, path, mode, &text, err);
    (void)snprintf(node, sizeof node, "dev/nvidia-caps/nvidia-cap%u", minor);
    return r < 0 ? r : put_node(t, node, mode, t->majors.caps, minor, err);
}

static int remove_at(struct tree *t, const char *path, int flags, struct error *err)
{
    return unlinkat(t->dir, path, flags) < 0 && errno != ENOENT
               ? error_errno(err, ERROR_IO, errno, "cannot remove %s", path)
               : 0;
}

/* Where the capability of an instance is; with ci = -1 that of the GI. */
static void capability_dir(unsigned minor, unsigned gi, int ci, char ret[128])
{
    int n = snprintf(ret, 128, "driver/nvidia/capabilities/gpu%u/mig/gi%u", minor, gi);
    if (ci >= 0)
        (void)snprintf(ret + n, 128 - (size_t)n, "/ci%d", ci);
}

static int show(struct tree *t, unsigned minor, unsigned gi, int ci, struct error *err)
{
    char dir[128], path[140];
    capability_dir(minor, gi, ci, dir);
    (void)snprintf(path, sizeof path, "%s/access", dir);
    return put_capability(t, path, machine_cap_minor(minor, gi, ci), RENDER_MODE, err);
}

static int hide(struct tree *t, unsigned minor, unsigned gi, int ci, struct error *err)
{
    char dir[128], path[140], node[64], link[64];
    unsigned cap = machine_cap_minor(minor, gi, ci);
    capability_dir(minor, gi, ci, dir);
    (void)snprintf(path, sizeof path, "%s/access", dir);
    (void)snprintf(node, sizeof node, "dev/nvidia-caps/nvidia-cap%u", cap);
    (void)snprintf(link, sizeof link, "dev/char/%u:%u", t->majors.caps, cap);
    int r = remove_at(t, path, 0, err);
    r = r < 0 ? r : remove_at(t, dir, AT_REMOVEDIR, err);
    r = r < 0 ? r : remove_at(t, node, 0, err);
    return r < 0 ? r : remove_at(t, link, 0, err);
}

/* One GI: from what is shown of it to what there is. A GI's directory is made before those of its
 * CIs and removed after them. */
static int follow_gi(struct tree *t, unsigned minor, unsigned gi, unsigned is, struct error *err)
{
    uint16_t *shown = &t->shown[minor].gi[gi];
    int r = 0;
    for (int bit = 0; bit <= BOARD_CIS && r == 0; bit++) {
        if (is & ~*shown & 1u << bit)
            r = show(t, minor, gi, bit - 1, err);
    }
    for (int bit = BOARD_CIS; bit >= 0 && r == 0; bit--) {
        if (*shown & ~is & 1u << bit)
            r = hide(t, minor, gi, bit - 1, err);
    }
    if (r == 0)
        *shown = (uint16_t)is;
    return r;
}

/* A GPU that was reset may come back under another minor. */
static int follow_gpu(struct tree *t, unsigned minor, bool is, struct error *err)
{
    char node[32], link[32];
    (void)snprintf(node, sizeof node, "dev/nvidia%u", minor);
    (void)snprintf(link, sizeof link, "dev/char/%d:%u", RENDER_MAJOR, minor);
    int r = 0;
    if (is && !t->shown[minor].gpu)
        r = put_node(t, node, NODE_MODE, RENDER_MAJOR, minor, err);
    if (!is && t->shown[minor].gpu) {
        r = remove_at(t, node, 0, err);
        r = r < 0 ? r : remove_at(t, link, 0, err);
    }
    if (r == 0)
        t->shown[minor].gpu = is;
    return r;
}

int tree_follow(struct tree *t, const struct machine *m, struct error *err)
{
    struct shown now[GPU_MINORS] = {0};
    int r = 0;
    for (unsigned i = 0; i < m->gpu_n; i++) {
        const struct machine_gpu *g = &m->gpus[i];
        if (g->minor >= GPU_MINORS)
            continue;
        now[g->minor].gpu = true;
        for (unsigned j = 0; j < g->gi_n; j++) {
            uint16_t *bits = &now[g->minor].gi[g->gis[j].id];
            *bits = 1;
            for (unsigned k = 0; k < g->gis[j].ci_n; k++)
                *bits = (uint16_t)(*bits | 2u << g->gis[j].cis[k].id);
        }
    }
    for (unsigned minor = 0; minor < GPU_MINORS && r == 0; minor++) {
        r = follow_gpu(t, minor, now[minor].gpu, err);
        for (unsigned gi = 0; gi < BOARD_GIS && r == 0; gi++)
            r = follow_gi(t, minor, gi, now[minor].gi[gi], err);
    }
    return r;
}

static int put_proc(struct tree *t, const struct machine *m, struct error *err)
{
    struct str text = {0};
    render_version(m->driver, &text);
    int r = put(t, "driver/nvidia/version", 0444, &text, err);
    render_params(&text);
    r = r < 0 ? r : put(t, "driver/nvidia/params", 0444, &text, err);
    render_minors(&text);
    r = r < 0 ? r : put(t, "driver/nvidia-caps/mig-minors", 0444, &text, err);
    str_done(&text);
    for (unsigned i = 0; i < m->gpu_n && r == 0; i++) {
        char bus[RENDER_BUS], path[128];
        render_bus(&m->gpus[i], bus);
        render_information(m, &m->gpus[i], &text);
        (void)snprintf(path, sizeof path, "driver/nvidia/gpus/%s/information", bus);
        r = put(t, path, 0444, &text, err);
        (void)snprintf(path, sizeof path, "driver/nvidia/capabilities/gpu%u/mig/",
                       m->gpus[i].minor);
        r = r < 0 ? r : above(t, path, err);
    }
    r = r < 0 ? r : put_capability(t, "driver/nvidia/capabilities/mig/config", RENDER_CONFIG,
                                   RENDER_CONFIG_MODE, err);
    return r < 0 ? r : put_capability(t, "driver/nvidia/capabilities/mig/monitor", RENDER_MONITOR,
                                      RENDER_MODE, err);
}

/* The CPUs next to every GPU: all, since an emulated machine is in no other place than this one. */
static int put_cpus(struct tree *t, const char *path, struct error *err)
{
    AUTO_FREE char *cpus = NULL;
    if (fd_read_file("/sys/devices/system/cpu/online", 1 << 12, &cpus, NULL, NULL) < 0)
        return 0;
    return put_line(t, path, err, "%s", cpus);
}

static int put_pci_texts(struct tree *t, const char *dir, const struct board *b,
                         const struct machine_gpu *g, struct error *err)
{
    char path[128];
    struct str text = {0};
    (void)snprintf(path, sizeof path, "%s/uevent", dir);
    render_pci_uevent(b, g, &text);
    int r = put(t, path, 0444, &text, err);
    (void)snprintf(path, sizeof path, "%s/modalias", dir);
    render_pci_modalias(b, &text);
    r = r < 0 ? r : put(t, path, 0444, &text, err);
    (void)snprintf(path, sizeof path, "%s/resource", dir);
    for (int i = 0; i < 13; i++)
        str_addf(&text, "0x%016x 0x%016x 0x%016x\n", 0, 0, 0);
    r = r < 0 ? r : put(t, path, 0444, &text, err);
    str_done(&text);
    return r;
}

FORMAT(5, 6)
static void put_value(struct tree *t, const char *dir, const char *name, int *r, const char *fmt,
                      ...)
{
    char path[128], value[64];
    struct error ignored;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    if (*r == 0)
        *r = put_line(t, path, &ignored, "%s\n", value);
}

static int put_pci(struct tree *t, const struct board *b, const struct machine_gpu *g,
                   struct error *err)
{
    char bus[RENDER_BUS], dir[64], path[128], to[64];
    uint8_t config[RENDER_PCI_CONFIG];
    render_bus(g, bus);
    (void)snprintf(dir, sizeof dir, "pci/devices/%s", bus);
    int r = put_pci_texts(t, dir, b, g, err), values = 0;
    put_value(t, dir, "vendor", &values, "0x%04x", b->pci_id & 0xffff);
    put_value(t, dir, "device", &values, "0x%04x", b->pci_id >> 16);
    put_value(t, dir, "class", &values, "0x%04x00", RENDER_CLASS);
    put_value(t, dir, "revision", &values, "0x%02x", RENDER_REVISION);
    put_value(t, dir, "numa_node", &values, "-1");
    put_value(t, dir, "enable", &values, "1");
    if (values < 0)
        return failed(err, dir);
    (void)snprintf(path, sizeof path, "%s/local_cpulist", dir);
    r = r < 0 ? r : put_cpus(t, path, err);
    render_pci_config(b, config);
    (void)snprintf(path, sizeof path, "%s/config", dir);
    r = r < 0 ? r : put_bytes(t, path, 0644, config, sizeof config, err);
    (void)snprintf(path, sizeof path, "%s/driver", dir);
    r = r < 0 ? r : put_link(t, path, "../../drivers/nvidia", err);
    (void)snprintf(path, sizeof path, "pci/drivers/nvidia/%s", bus);
    (void)snprintf(to, sizeof to, "../../devices/%s", bus);
    return r < 0 ? r : put_link(t, path, to, err);
}

static int put_sys(struct tree *t, const struct machine *m, struct error *err)
{
    int r = put_line(t, "module/nvidia/initstate", err, "live\n");
    r = r < 0 ? r : put_line(t, "module/nvidia/version", err, "%s\n", m->driver);
    r = r < 0 ? r : put_line(t, "module/nvidia_uvm/initstate", err, "live\n");
    r = r < 0 ? r : put_line(t, "module/nvidia_uvm/version", err, "%s\n", m->driver);
    for (unsigned i = 0; i < m->gpu_n && r == 0; i++)
        r = put_pci(t, machine_board(m, &m->gpus[i]), &m->gpus[i], err);
    return r;
}

/* Which majors are free is the kernel's to say; it says what an earlier tree took, too. */
static int put_devices(struct tree *t, const struct machine *m, struct error *err)
{
    AUTO_FREE char *host = NULL;
    struct str text = {0};
    int r = fd_read_file("/proc/devices", DEVICES_MAX, &host, NULL, err);
    if (r < 0)
        return r;
    if (!render_devices(host, m->driver, &text, &t->majors)) {
        str_done(&text);
        return error_set(err, ERROR_IO, "/proc/devices has no place for NVIDIA's devices");
    }
    return put(t, "devices", 0444, &text, err);
}

/* Assumes that an earlier tree showed all there can be, so that what it did show gets hidden. */
static int hide_all(struct tree *t, struct error *err)
{
    int r = 0;
    for (unsigned minor = 0; minor < GPU_MINORS && r == 0; minor++) {
        t->shown[minor].gpu = true;
        r = follow_gpu(t, minor, false, err);
        for (unsigned gi = 0; gi < BOARD_GIS && r == 0; gi++) {
            t->shown[minor].gi[gi] = (2u << BOARD_CIS) - 1;
            r = follow_gi(t, minor, gi, 0, err);
        }
    }
    return r;
}

static int put_nodes(struct tree *t, const struct machine *m, struct error *err)
{
    const unsigned uvm = t->majors.uvm;
    int r = put_node(t, "dev/nvidiactl", NODE_MODE, RENDER_MAJOR, RENDER_MINOR_CTL, err);
    r = r < 0 ? r : put_node(t, "dev/nvidia-uvm", NODE_MODE, uvm, 0, err);
    r = r < 0 ? r : put_node(t, "dev/nvidia-uvm-tools", NODE_MODE, uvm, 1, err);
    r = r < 0 ? r : hide_all(t, err);
    return r < 0 ? r : tree_follow(t, m, err);
}

int tree_new(const char *dir, const struct machine *m, struct tree **ret, struct error *err)
{
    struct tree *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the machine's files");
    (void)umask(022);
    t->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = t->dir < 0 ? failed(err, dir) : put_devices(t, m, err);
    r = r < 0 ? r : put_proc(t, m, err);
    r = r < 0 ? r : put_sys(t, m, err);
    r = r < 0 ? r : put_nodes(t, m, err);
    if (r < 0)
        t = tree_free(t);
    *ret = t;
    return r;
}
