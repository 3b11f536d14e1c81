/* What a GPU can be cut into, as its driver tells it, completed from the built-in tables.
 *
 * The driver knows ids, sizes, SMs, engines and placements; our tables know what it does not tell:
 * L2 shares, SMs of the whole GPU, the short name. Where the driver tells nothing (MIG off on old
 * drivers, or no permission) the table alone serves, until the driver speaks. */
#include "device/mig.h"

#include "base/fd.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NVML's enum ends at 0x12 today; later drivers may know more, and end with INVALID_ARGUMENT. */
enum { PROFILE_ENUM_END = 0x30, MIB_SHIFT = 20 };

/* What the driver says of one profile, whichever of the three calls it has. */
static nvmlReturn_t profile_info(struct mig *m, nvmlDevice_t d, unsigned number,
                                 nvmlGpuInstanceProfileInfo_t *ret, char name[96])
{
    nvmlGpuInstanceProfileInfo_v3_t v3 = {0};
    nvmlGpuInstanceProfileInfo_v2_t v2 = {0};
    name[0] = 0;
    if (m->nvml.nvmlDeviceGetGpuInstanceProfileInfoV) {
        v3.version = NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v3_t, 3);
        memcpy(&v2, &v3, sizeof v2);
        if (m->nvml.nvmlDeviceGetGpuInstanceProfileInfoV(d, number, &v2) == NVML_SUCCESS) {
            memcpy(&v3, &v2, sizeof v3);
            str_copy(name, 96, v3.name);
        } else {
            v2 = (nvmlGpuInstanceProfileInfo_v2_t){
                .version = NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v2_t, 2)};
            if (m->nvml.nvmlDeviceGetGpuInstanceProfileInfoV(d, number, &v2) == NVML_SUCCESS)
                str_copy(name, 96, v2.name);
        }
    }
    return m->nvml.nvmlDeviceGetGpuInstanceProfileInfo(d, number, ret);
}

/* The part of the name that size does not tell, as NVIDIA's header assigns it to the enum. */
static const char *suffix_of(unsigned number)
{
    static const char *const suffixes[] = {
        [0x7] = "+me",   [0x8] = "+me",   [0xa] = "+gfx",    [0xb] = "+gfx",     [0xc] = "+gfx",
        [0xd] = "-me",   [0xe] = "-me",   [0xf] = "+me.all", [0x10] = "+me.all", [0x11] = "+gfx",
    };
    return number < ARRAY_LEN(suffixes) && suffixes[number] ? suffixes[number] : "";
}

/* "MIG 1g.10gb+me" -> "+me"; the driver's own name wins over our list. */
static void suffix_set(struct profile *p, const char *name)
{
    const char *gb = strstr(name, "gb");
    str_copy(p->suffix, sizeof p->suffix, gb ? gb + 2 : suffix_of(p->nvml));
}

/* Where it may start; false when the driver will not say: only root may ask, old ones lack it. */
static bool placements(struct mig *m, nvmlDevice_t d, struct profile *p)
{
    nvmlGpuInstancePlacement_t at[64] = {{0}};
    unsigned n = 0;
    if (!m->nvml.nvmlDeviceGetGpuInstancePossiblePlacements_v2 ||
        m->nvml.nvmlDeviceGetGpuInstancePossiblePlacements_v2(d, p->id, NULL, &n) != NVML_SUCCESS ||
        n == 0 || n > ARRAY_LEN(at) ||
        m->nvml.nvmlDeviceGetGpuInstancePossiblePlacements_v2(d, p->id, at, &n) != NVML_SUCCESS)
        return false;
    p->size = (uint8_t)at[0].size;
    for (unsigned i = 0; i < MIN(n, (unsigned)ARRAY_LEN(at)); i++)
        if (at[i].start < 16)
            p->starts |= (slices)(1u << at[i].start);
    return true;
}

/* Completes a profile from the table's profile of the same id, NULL if there is none. False: what
 * it is, or where it may stand, is still not known. */
static bool complete_profile(struct profile *p, const struct profile *known, bool placed)
{
    if (known) {
        p->l2 = known->l2;
        p->l2_of = known->l2_of;
    }
    if (!placed && known) {
        p->size = known->size;
        p->starts = known->starts;
    }
    return (placed || known) && p->mib > 0 && p->sms > 0 && p->ce > 0;
}

/* Fills the board's profiles from the driver; how many it told. */
static unsigned told_profiles(struct mig *m, nvmlDevice_t d, const struct board *table,
                              struct board *b)
{
    b->complete = true;
    for (unsigned i = 0; i < PROFILE_ENUM_END && b->profile_n < BOARD_PROFILES; i++) {
        nvmlGpuInstanceProfileInfo_t is = {0};
        char name[96];
        nvmlReturn_t code = profile_info(m, d, i, &is, name);
        if (code == NVML_ERROR_INVALID_ARGUMENT)
            break;
        if (code != NVML_SUCCESS)
            continue;
        struct profile p = {
            .nvml = (uint8_t)i, .id = (uint8_t)is.id, .compute = (uint8_t)is.sliceCount,
            .max = (uint8_t)is.instanceCount, .ce = (uint8_t)is.copyEngineCount,
            .dec = (uint8_t)is.decoderCount, .enc = (uint8_t)is.encoderCount,
            .jpeg = (uint8_t)is.jpegCount, .ofa = (uint8_t)is.ofaCount,
            .sms = (uint16_t)is.multiprocessorCount, .mib = (uint32_t)is.memorySizeMB,
        };
        suffix_set(&p, name);
        unsigned known = table ? board_profile_by_id(table, is.id) : BOARD_NO_PROFILE;
        b->complete &= complete_profile(
            &p, known == BOARD_NO_PROFILE ? NULL : &table->profiles[known], placements(m, d, &p));
        b->profiles[b->profile_n++] = p;
        b->compute_slices = MAX(b->compute_slices, p.compute);
        b->sms = MAX(b->sms, p.sms);
        for (unsigned start = 0; start < 16; start++)
            if (p.starts & 1u << start)
                b->memory_slices = MAX(b->memory_slices, (uint8_t)(start + p.size));
    }
    return b->profile_n;
}

static int table_order(const struct board *table, const struct profile *p)
{
    unsigned at = board_profile_by_id(table, p->id);
    return at == BOARD_NO_PROFILE ? BOARD_PROFILES + p->nvml : (int)at;
}

/* nvidia-smi's order, which tables have: plain sorting by insertion, at most 16 of them. */
static void sort_profiles(const struct board *table, struct board *b)
{
    for (unsigned i = 1; i < b->profile_n; i++) {
        struct profile p = b->profiles[i];
        unsigned at = i;
        for (; at > 0 && table_order(table, &b->profiles[at - 1]) > table_order(table, &p); at--)
            b->profiles[at] = b->profiles[at - 1];
        b->profiles[at] = p;
    }
}

/* Total memory of the machine, for GPUs that share it with the CPU. */
static uint32_t system_mib(void)
{
    AUTO_FREE char *text = NULL;
    unsigned long kib = 0;
    if (fd_read_file("/proc/meminfo", 1 << 16, &text, NULL, NULL) == 0 &&
        sscanf(text, "MemTotal: %lu", &kib) != 1)
        kib = 0;
    return (uint32_t)(kib / 1024);
}

/* Memory of the whole GPU; 0 when it has none of its own. The newer call counts what the driver
 * reserves apart, the total is the same. */
static uint32_t total_mib(struct mig *m, nvmlDevice_t d)
{
    nvmlMemory_t old = {0};
    nvmlMemory_v2_t now = {.version = NVML_VERSION_WORD(nvmlMemory_v2_t, 2)};
    if (m->nvml.nvmlDeviceGetMemoryInfo_v2 &&
        m->nvml.nvmlDeviceGetMemoryInfo_v2(d, &now) == NVML_SUCCESS)
        return (uint32_t)(now.total >> MIB_SHIFT);
    if (m->nvml.nvmlDeviceGetMemoryInfo &&
        m->nvml.nvmlDeviceGetMemoryInfo(d, &old) == NVML_SUCCESS)
        return (uint32_t)(old.total >> MIB_SHIFT);
    return 0;
}

/* The table of this very board, else of a sibling: same compute capability, same memory within 3 %,
 * which is what PCIe and regional variants differ in. */
static const struct board *table_find(const struct board *b)
{
    const struct board *found = board_by_pci_id(b->pci_id);
    unsigned n;
    const struct board *all = board_all(&n);
    for (unsigned i = 0; !found && i < n; i++)
        if (strcmp(all[i].product, b->product) == 0)
            found = &all[i];
    for (unsigned i = 0; !found && i < n; i++) {
        uint32_t far = MAX(all[i].total_mib, b->total_mib) - MIN(all[i].total_mib, b->total_mib);
        if (b->cc_major && all[i].cc_major == b->cc_major && all[i].cc_minor == b->cc_minor &&
            far <= b->total_mib / 32)
            found = &all[i];
    }
    return found;
}

/* A name for a board no table has: "NVIDIA X9 PCIe" -> "x9-pcie". */
static void name_from_product(struct board *b)
{
    const char *from = strncmp(b->product, "NVIDIA ", 7) == 0 ? b->product + 7 : b->product;
    size_t n = 0;
    for (; *from && n + 1 < sizeof b->name; from++)
        b->name[n++] = (char)(isalnum((unsigned char)*from) ? tolower((unsigned char)*from) : '-');
    b->name[n] = 0;
}

static enum board_family family_of(struct mig *m, nvmlDevice_t d)
{
    unsigned arch = 0;
    if (m->nvml.nvmlDeviceGetArchitecture)
        m->nvml.nvmlDeviceGetArchitecture(d, &arch);
    switch (arch) {
    case NVML_DEVICE_ARCH_AMPERE:
        return BOARD_AMPERE;
    case NVML_DEVICE_ARCH_HOPPER:
        return BOARD_HOPPER;
    case NVML_DEVICE_ARCH_BLACKWELL:
        return BOARD_BLACKWELL;
    default:
        return BOARD_OTHER;
    }
}

/* Product, PCI id, memory, capability: what makes two GPUs the same kind. */
static void identify(struct mig *m, nvmlDevice_t d, struct board *b)
{
    char product[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = "";
    nvmlPciInfo_t pci = {0};
    nvmlPciInfo_v2_t pci2 = {0};
    int major = 0, minor = 0;
    m->nvml.nvmlDeviceGetName(d, product, sizeof product);
    str_copy(b->product, sizeof b->product, product);
    if (m->nvml.nvmlDeviceGetPciInfo_v3 && m->nvml.nvmlDeviceGetPciInfo_v3(d, &pci) == NVML_SUCCESS)
        b->pci_id = pci.pciDeviceId;
    else if (m->nvml.nvmlDeviceGetPciInfo_v2 &&
             m->nvml.nvmlDeviceGetPciInfo_v2(d, &pci2) == NVML_SUCCESS)
        b->pci_id = pci2.pciDeviceId;
    b->total_mib = total_mib(m, d);
    if (m->nvml.nvmlDeviceGetCudaComputeCapability &&
        m->nvml.nvmlDeviceGetCudaComputeCapability(d, &major, &minor) == NVML_SUCCESS) {
        b->cc_major = (uint8_t)major;
        b->cc_minor = (uint8_t)minor;
    }
    b->family = family_of(m, d);
}

/* Takes from the table what a driver does not tell; true if the driver told the profiles. */
static bool learn(struct mig *m, nvmlDevice_t d, enum machine_mig mig, struct board *b)
{
    const struct board *table = table_find(b);
    bool told = mig != MACHINE_MIG_NONE && told_profiles(m, d, table, b) > 0;
    if (table && told)
        sort_profiles(table, b);
    if (mig != MACHINE_MIG_NONE && !told && table) {
        b->memory_slices = table->memory_slices;
        b->compute_slices = table->compute_slices;
        b->profile_n = table->profile_n;
        memcpy(b->profiles, table->profiles, sizeof b->profiles);
        b->complete = table->complete;
    }
    if (mig == MACHINE_MIG_NONE)
        b->complete = true;
    if (table) {
        str_copy(b->name, sizeof b->name, table->name);
        b->family = b->family == BOARD_OTHER ? table->family : b->family;
        b->sms = MAX(b->sms, table->sms);
    } else {
        name_from_product(b);
    }
    if (!b->total_mib) {
        m->unified_memory = true;
        b->total_mib = table ? table->total_mib : system_mib();
    }
    return told;
}

/* Same kind of GPU: MIG or not counts, since a board without MIG has no slices at all. */
static bool same_kind(const struct board *learned, const struct board *is, enum machine_mig mig)
{
    return learned->pci_id == is->pci_id && strcmp(learned->product, is->product) == 0 &&
           (learned->total_mib == is->total_mib || !is->total_mib) &&
           (learned->memory_slices > 0) == (mig != MACHINE_MIG_NONE);
}

int mig_board(struct mig *m, nvmlDevice_t d, enum machine_mig mig, uint8_t *ret, struct error *err)
{
    struct board b = {0};
    identify(m, d, &b);
    uint32_t at = 0;
    while (at < m->board_n && !same_kind(&m->boards[at], &b, mig))
        at++;
    if (at == MACHINE_BOARDS)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d kinds of GPUs in one machine",
                         MACHINE_BOARDS);
    *ret = (uint8_t)at;
    if (at < m->board_n && (m->board_told[at] || mig != MACHINE_MIG_ON))
        return 0;
    bool told = learn(m, d, mig, &b);
    if (at < m->board_n && !told)
        return 0;
    m->boards[at] = b;
    m->board_told[at] = told;
    m->board_n = MAX(m->board_n, at + 1);
    return 0;
}
