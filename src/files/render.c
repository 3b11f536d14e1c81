/* The texts of render.h. */
#include "files/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS = 32 }; /* of the static table of minors */

void render_version(const char *driver, struct str *ret)
{
    str_addf(ret, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  (emulated by fetta)\n",
             driver);
}

void render_params(struct str *ret)
{
    str_add(ret, "ModifyDeviceFiles: 1\n"
                 "DeviceFileUID: 0\n"
                 "DeviceFileGID: 0\n"
                 "DeviceFileMode: 438\n");
}

void render_information(const struct machine *m, const struct machine_gpu *g, struct str *ret)
{
    char bus[RENDER_BUS];
    render_bus(g, bus);
    str_addf(ret, "Model: \t\t %s\n", machine_board(m, g)->product);
    str_addf(ret, "GPU UUID: \t %s\n", g->uuid);
    str_addf(ret, "Bus Type: \t PCIe\n");
    str_addf(ret, "Bus Location: \t %s\n", bus);
    str_addf(ret, "Device Minor: \t %u\n", g->minor);
    str_addf(ret, "GPU Excluded:\t No\n");
}

void render_capability(unsigned minor, unsigned mode, struct str *ret)
{
    str_addf(ret, "DeviceFileMinor: %u\nDeviceFileMode: %u\nDeviceFileModify: 1\n", minor, mode);
}

void render_minors(struct str *ret)
{
    str_addf(ret, "config %d\nmonitor %d\n", RENDER_CONFIG, RENDER_MONITOR);
    for (unsigned gpu = 0; gpu < GPUS; gpu++) {
        for (unsigned gi = 0; gi < BOARD_GIS; gi++) {
            str_addf(ret, "gpu%u/gi%u/access %u\n", gpu, gi, machine_cap_minor(gpu, gi, -1));
            for (int ci = 0; ci < BOARD_CIS; ci++)
                str_addf(ret, "gpu%u/gi%u/ci%d/access %u\n", gpu, gi, ci,
                         machine_cap_minor(gpu, gi, ci));
        }
    }
}

/* One line of /proc/devices; false at the end of the character devices. */
static bool next_line(const char **at, unsigned *ret_major, char name[32])
{
    const char *end = strchr(*at, '\n');
    int read = sscanf(*at, "%u %31s", ret_major, name);
    if (**at == '\n' || !end || read != 2)
        return false;
    *at = end + 1;
    return true;
}

static bool is_taken(const char *lines, unsigned wanted)
{
    char name[32];
    unsigned major;
    while (next_line(&lines, &major, name)) {
        if (major == wanted)
            return true;
    }
    return false;
}

static unsigned named(const char *lines, const char *wanted)
{
    char name[32];
    unsigned major;
    while (next_line(&lines, &major, name)) {
        if (strcmp(name, wanted) == 0)
            return major;
    }
    return 0;
}

/* The highest free number of the two ranges that the kernel gives dynamic majors from; it begins
 * with the first, too. */
static unsigned free_major(const char *lines, unsigned other)
{
    static const struct {
        unsigned from, to;
    } ranges[] = {{254, 234}, {511, 384}};
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        for (unsigned n = ranges[i].from; n >= ranges[i].to; n--) {
            if (n != other && !is_taken(lines, n))
                return n;
        }
    }
    return 0;
}

struct device_line {
    unsigned major;
    const char *name; /* NULL: no line */
};

/* What `lines` says of a driver, or a free one. */
static struct render_majors choose_majors(const char *lines)
{
    struct render_majors m = {.uvm = named(lines, "nvidia-uvm"),
                              .caps = named(lines, "nvidia-caps")};
    m.caps = m.caps ? m.caps : free_major(lines, m.uvm);
    m.uvm = m.uvm ? m.uvm : free_major(lines, m.caps);
    return m;
}

bool render_devices(const char *host, const char *driver, struct str *ret,
                    struct render_majors *ret_majors)
{
    static const char head[] = "Character devices:\n";
    const char *lines = strstr(host, head);
    if (!lines)
        return false;
    lines += sizeof head - 1;
    *ret_majors = choose_majors(lines);
    unsigned caps = ret_majors->caps, uvm = ret_majors->uvm;
    /* Driver 550 has two names where there was one for both. */
    bool two = strtoul(driver, NULL, 10) >= 550;
    struct device_line ours[] = {{RENDER_MAJOR, two ? "nvidia" : "nvidia-frontend"},
                                 {RENDER_MAJOR, two ? "nvidiactl" : NULL},
                                 {MIN(caps, uvm), caps < uvm ? "nvidia-caps" : "nvidia-uvm"},
                                 {MAX(caps, uvm), caps < uvm ? "nvidia-uvm" : "nvidia-caps"}};
    size_t next = 0;
    char name[32];
    str_add_n(ret, host, (size_t)(lines - host));
    for (bool more = true; more;) {
        const char *line = lines;
        unsigned major = 0;
        more = next_line(&lines, &major, name);
        for (; next < ARRAY_LEN(ours) && (!more || ours[next].major < major); next++) {
            if (ours[next].name)
                str_addf(ret, "%3u %s\n", ours[next].major, ours[next].name);
        }
        if (more && strncmp(name, "nvidia", 6) != 0)
            str_add_n(ret, line, (size_t)(lines - line));
    }
    str_add(ret, lines);
    return caps && uvm;
}

void render_bus(const struct machine_gpu *g, char ret[RENDER_BUS])
{
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    (void)sscanf(g->pci, "%x:%x:%x.%x", &domain, &bus, &slot, &function);
    (void)snprintf(ret, RENDER_BUS, "%04x:%02x:%02x.%x", domain, bus & 0xff, slot & 0xff,
                   function & 0xf);
}

void render_pci_config(const struct board *b, uint8_t ret[RENDER_PCI_CONFIG])
{
    memset(ret, 0, RENDER_PCI_CONFIG);
    for (unsigned i = 0; i < 4; i++) /* vendor, then device, each low byte first */
        ret[i] = (uint8_t)(b->pci_id >> 8 * i);
    ret[0x04] = 0x06; /* command: memory, bus master */
    ret[0x08] = RENDER_REVISION;
    ret[0x0a] = RENDER_CLASS & 0xff;
    ret[0x0b] = RENDER_CLASS >> 8;
}

void render_pci_modalias(const struct board *b, struct str *ret)
{
    str_addf(ret, "pci:v%08Xd%08Xsv00000000sd00000000bc%02Xsc%02Xi00\n", b->pci_id & 0xffff,
             b->pci_id >> 16, RENDER_CLASS >> 8, RENDER_CLASS & 0xff);
}

void render_pci_uevent(const struct board *b, const struct machine_gpu *g, struct str *ret)
{
    char bus[RENDER_BUS];
    render_bus(g, bus);
    str_addf(ret, "DRIVER=nvidia\nPCI_CLASS=%X00\nPCI_ID=%04X:%04X\nPCI_SLOT_NAME=%s\nMODALIAS=",
             RENDER_CLASS, b->pci_id & 0xffff, b->pci_id >> 16, bus);
    render_pci_modalias(b, ret);
}
