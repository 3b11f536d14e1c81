/* The bodies of the calls about the system and about which GPUs there are: what others begin
 * with. */
#include "emud/calls.h"

#include "base/fd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int emud_nvmlSystemGetDriverVersion(struct ask *k)
{
    return answer_text(k, 1, k->box->m.driver);
}

/* The CUDA version each driver branch came with. */
static unsigned cuda_version(const struct box *b)
{
    long branch = strtol(b->m.driver, NULL, 10);
    return branch >= 580 ? 13000 : branch >= 570 ? 12080 : branch >= 550 ? 12040 : 12020;
}

int emud_nvmlSystemGetNVMLVersion(struct ask *k)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%u.%s", cuda_version(k->box) / 1000, k->box->m.driver);
    return answer_text(k, 1, text);
}

int emud_nvmlSystemGetCudaDriverVersion(struct ask *k)
{
    return answer_number(k, cuda_version(k->box));
}

int emud_nvmlSystemGetProcessName(struct ask *k)
{
    char path[48];
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    if (k->request->arg[2] == 0)
        return NVML_ERROR_INVALID_ARGUMENT; /* documented for this call alone */
    (void)snprintf(path, sizeof path, "/proc/%u/cmdline", (unsigned)k->request->arg[0]);
    if (fd_read_file(path, 1 << 16, &text, &size, NULL) < 0 || size == 0)
        return NVML_ERROR_NOT_FOUND;
    return answer_text(k, 2, text);
}

/* S-class systems' units and cards that NVML knows of from long ago: there are none. */
int emud_nvmlUnitGetCount(struct ask *k)
{
    return answer_number(k, 0);
}

int emud_nvmlSystemGetHicVersion(struct ask *k)
{
    k->answer->head.count = 0;
    return NVML_SUCCESS;
}

/* GPUs that an administrator keeps the driver from using: none. */
int emud_nvmlGetExcludedDeviceCount(struct ask *k)
{
    return answer_number(k, 0);
}

int emud_nvmlDeviceGetCount_v2(struct ask *k)
{
    return answer_number(k, k->box->m.gpu_n);
}

/* Looking a device up opens it: from then on the session holds it. */
static int open_device(struct ask *k, struct target at)
{
    if (k->box->m.gpus[at.gpu].health == MACHINE_LOST)
        return NVML_ERROR_GPU_IS_LOST;
    k->session->attached |= UINT64_C(1) << at.gpu;
    uint64_t handle = answer_device(k->box, at);
    return answer_put(k, &handle, sizeof handle);
}

int emud_nvmlDeviceGetHandleByIndex_v2(struct ask *k)
{
    uint64_t index = k->request->arg[0];
    if (index >= k->box->m.gpu_n)
        return NVML_ERROR_INVALID_ARGUMENT;
    return open_device(k, (struct target){(unsigned)index, BOX_ANY, BOX_ANY});
}

int emud_nvmlDeviceGetHandleByUUID(struct ask *k)
{
    struct target at = {0};
    if (!box_find(k->box, k->request->text, &at.gpu, &at.gi, &at.ci))
        return NVML_ERROR_NOT_FOUND;
    return open_device(k, at);
}

struct pci {
    unsigned domain, bus, device, function;
};

/* "00000000:07:00.0", "0000:07:00.0" or "07:00.0"; false if it is none of these. */
static bool parse_pci(const char *text, struct pci *ret)
{
    int end = 0;
    if (sscanf(text, "%8x:%2x:%2x.%1x%n", &ret->domain, &ret->bus, &ret->device, &ret->function,
               &end) == 4)
        return text[end] == '\0';
    ret->domain = 0;
    return sscanf(text, "%2x:%2x.%1x%n", &ret->bus, &ret->device, &ret->function, &end) == 3 &&
           text[end] == '\0';
}

int emud_nvmlDeviceGetHandleByPciBusId_v2(struct ask *k)
{
    struct pci wanted = {0};
    if (!parse_pci(k->request->text, &wanted))
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < k->box->m.gpu_n; i++) {
        struct pci p = {0};
        if (parse_pci(k->box->m.gpus[i].pci, &p) && memcmp(&p, &wanted, sizeof p) == 0)
            return open_device(k, (struct target){i, BOX_ANY, BOX_ANY});
    }
    return NVML_ERROR_NOT_FOUND;
}

int emud_nvmlDeviceGetIndex(struct ask *k)
{
    return answer_number(k, calls_is_mig(k) ? box_mig_index(k->box, k->at.gpu, k->at.gi, k->at.ci)
                                            : calls_gpu(k)->index);
}

int emud_nvmlDeviceGetUUID(struct ask *k)
{
    const char *uuid =
        calls_is_mig(k) ? box_ci(k->box, k->at.gpu, k->at.gi, k->at.ci)->uuid : calls_gpu(k)->uuid;
    return answer_text(k, 2, uuid);
}

/* "NVIDIA A100-SXM4-80GB MIG 1c.3g.40gb"; nvidia-smi cuts the profile out of it. */
int emud_nvmlDeviceGetName(struct ask *k)
{
    const struct board *board = calls_board(k);
    if (!calls_is_mig(k))
        return answer_text(k, 2, board->product);
    const struct machine_gi *gi = box_gi(k->box, k->at.gpu, k->at.gi);
    const struct profile *p = &board->profiles[gi->profile];
    struct ci_profile c = {0};
    (void)box_ci_profile(k->box, k->at.gpu, k->at.gi,
                         box_ci(k->box, k->at.gpu, k->at.gi, k->at.ci)->nvml, &c);
    char part[8] = "", profile[BOARD_PROFILE_NAME], name[NVML_DEVICE_NAME_V2_BUFFER_SIZE];
    if (c.compute != p->compute)
        (void)snprintf(part, sizeof part, "%uc.", c.compute);
    (void)snprintf(name, sizeof name, "%.48s MIG %s%.24s", board->product, part,
                   board_profile_name(board, p, profile));
    return answer_text(k, 2, name);
}

int emud_nvmlDeviceGetMinorNumber(struct ask *k)
{
    return calls_is_mig(k) ? NVML_ERROR_NOT_SUPPORTED : answer_number(k, calls_gpu(k)->minor);
}

int emud_nvmlDeviceGetPciInfo_v3(struct ask *k)
{
    struct pci p = {0};
    (void)parse_pci(calls_gpu(k)->pci, &p);
    nvmlPciInfo_t info = {.domain = p.domain,
                          .bus = p.bus,
                          .device = p.device,
                          .pciDeviceId = calls_board(k)->pci_id,
                          .pciSubSystemId = calls_physical(k)->subsystem};
    (void)snprintf(info.busIdLegacy, sizeof info.busIdLegacy, "%04X:%02X:%02X.0", p.domain & 0xffff,
                   p.bus & 0xff, p.device & 0xff);
    (void)snprintf(info.busId, sizeof info.busId, "%08X:%02X:%02X.0", p.domain, p.bus, p.device);
    return answer_put(k, &info, sizeof info);
}

int emud_nvmlDeviceGetPciInfo_v2(struct ask *k)
{
    int status = emud_nvmlDeviceGetPciInfo_v3(k);
    /* The old layout has reserved words where the new one has the long bus id. */
    size_t common = offsetof(nvmlPciInfo_t, busId);
    memset(k->answer->data + common, 0, sizeof(nvmlPciInfo_v2_t) - common);
    k->answer->head.size = sizeof(nvmlPciInfo_v2_t);
    return status;
}

/* The oldest layout is the beginning of the next. */
int emud_nvmlDeviceGetPciInfo(struct ask *k)
{
    nvmlPciInfo_v1_t old;
    int status = emud_nvmlDeviceGetPciInfo_v2(k);
    k->answer->head.size = sizeof old;
    return status;
}

enum { CLASS_DISPLAY = 3, SUBCLASS_3D = 2 }; /* PCI's; in all published listings */

int emud_nvmlDeviceGetPciInfoExt(struct ask *k)
{
    struct pci p = {0};
    nvmlPciInfoExt_v1_t info = {.version = NVML_VERSION_WORD(nvmlPciInfoExt_v1_t, 1)};
    if (calls_arg(k, 1) != info.version)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    (void)parse_pci(calls_gpu(k)->pci, &p);
    info.domain = p.domain;
    info.bus = p.bus;
    info.device = p.device;
    info.pciDeviceId = calls_board(k)->pci_id;
    info.pciSubSystemId = calls_physical(k)->subsystem;
    info.baseClass = CLASS_DISPLAY;
    info.subClass = SUBCLASS_3D;
    (void)snprintf(info.busId, sizeof info.busId, "%08X:%02X:%02X.0", p.domain, p.bus, p.device);
    return answer_put(k, &info, sizeof info);
}

/* A GPU that shares the system's memory has none of its own to tell of (DGX Spark). This layout
 * counts what the driver reserves as used, the next one apart. */
int emud_nvmlDeviceGetMemoryInfo(struct ask *k)
{
    if (k->box->m.unified_memory)
        return NVML_ERROR_NOT_SUPPORTED;
    uint64_t total = 0, used = 0;
    box_memory(k->box, k->at.gpu, k->at.gi, &total, &used);
    used += box_reserved(k->box, k->at.gpu, k->at.gi);
    nvmlMemory_t memory = {.total = total, .free = total - MIN(used, total), .used = used};
    return answer_put(k, &memory, sizeof memory);
}

int emud_nvmlDeviceGetMemoryInfo_v2(struct ask *k)
{
    if (k->request->arg[1] != NVML_VERSION_WORD(nvmlMemory_v2_t, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (k->box->m.unified_memory)
        return NVML_ERROR_NOT_SUPPORTED;
    uint64_t total = 0, used = 0;
    box_memory(k->box, k->at.gpu, k->at.gi, &total, &used);
    uint64_t reserved = box_reserved(k->box, k->at.gpu, k->at.gi);
    nvmlMemory_v2_t memory = {.version = NVML_VERSION_WORD(nvmlMemory_v2_t, 2),
                              .total = total,
                              .reserved = reserved,
                              .free = total - MIN(used + reserved, total),
                              .used = used};
    return answer_put(k, &memory, sizeof memory);
}

int emud_nvmlDeviceGetCudaComputeCapability(struct ask *k)
{
    const struct board *board = calls_board(k);
    (void)answer_number(k, board->cc_major);
    return answer_number(k, board->cc_minor);
}

int emud_nvmlDeviceGetArchitecture(struct ask *k)
{
    const struct board *board = calls_board(k);
    if (board->cc_major < 8)
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned minor_ada = board->cc_major == 8 && board->cc_minor == 9;
    return answer_number(k, board->cc_major >= 10  ? NVML_DEVICE_ARCH_BLACKWELL
                            : board->cc_major == 9 ? NVML_DEVICE_ARCH_HOPPER
                            : minor_ada            ? NVML_DEVICE_ARCH_ADA
                                                   : NVML_DEVICE_ARCH_AMPERE);
}

int emud_nvmlDeviceGetSupportedEventTypes(struct ask *k)
{
    if (calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned long long types = nvmlEventTypeXidCriticalError;
    if (calls_gpu(k)->mig != MACHINE_MIG_NONE)
        types |= nvmlEventMigConfigChange;
    return answer_put(k, &types, sizeof types);
}
