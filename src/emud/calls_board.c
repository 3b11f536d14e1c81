/* What a board is and how it is plugged in: versions, serial, PCI, links, memory bus, cores.
 *
 * What differs from unit to unit, the serial, is derived from the UUID and begins with 99, which no
 * published serial does; what is printed on a product, such as its VBIOS, is as on one real unit.
 */
#include "emud/calls.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUS_TYPE_PCIE = 2 };

/* 13 digits, as on all published boards. */
static void make_serial(const char *uuid, char ret[16])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *uuid; uuid++)
        h = (h ^ (unsigned char)*uuid) * UINT64_C(0x100000001b3);
    (void)snprintf(ret, 16, "99%011llu", (unsigned long long)(h % UINT64_C(100000000000)));
}

int emud_nvmlDeviceGetSerial(struct ask *k)
{
    char serial[16];
    make_serial(calls_gpu(k)->uuid, serial);
    return calls_text(k, 2, serial);
}

int emud_nvmlDeviceGetHandleBySerial(struct ask *k)
{
    for (unsigned i = 0; i < k->box->m.gpu_n; i++) {
        char serial[16];
        make_serial(k->box->m.gpus[i].uuid, serial);
        if (strcmp(serial, k->request->text) != 0)
            continue;
        uint64_t handle = answer_device(k->box, (struct target){i, BOX_ANY, BOX_ANY});
        k->session->attached |= UINT64_C(1) << i;
        return answer_put(k, &handle, sizeof handle);
    }
    return NVML_ERROR_NOT_FOUND;
}

int emud_nvmlDeviceGetVbiosVersion(struct ask *k)
{
    return calls_text(k, 2, calls_physical(k)->vbios);
}

int emud_nvmlDeviceGetBoardPartNumber(struct ask *k)
{
    return calls_text(k, 2, calls_physical(k)->board_part);
}

/* NVML's enum: 14 is "NVIDIA", what all published datacenter boards since A100 say. */
int emud_nvmlDeviceGetBrand(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->brand);
}

/* Bus and device, as in all published listings (0x8300 for 83:00.0, 0x9 for 00:09.0). */
int emud_nvmlDeviceGetBoardId(struct ask *k)
{
    unsigned domain = 0, bus = 0, device = 0;
    (void)sscanf(calls_gpu(k)->pci, "%8x:%2x:%2x", &domain, &bus, &device);
    return calls_of_gpu(k, bus << 8 | device);
}

int emud_nvmlDeviceGetMultiGpuBoard(struct ask *k)
{
    return calls_of_gpu(k, 0);
}

int emud_nvmlDeviceGetBusType(struct ask *k)
{
    return calls_physical(k)->pcie_gen ? calls_of_gpu(k, BUS_TYPE_PCIE)
                                       : (int)NVML_ERROR_NOT_SUPPORTED;
}

int emud_nvmlDeviceGetCurrPcieLinkGeneration(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->pcie_gen);
}

int emud_nvmlDeviceGetMaxPcieLinkGeneration(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->pcie_gen);
}

int emud_nvmlDeviceGetGpuMaxPcieLinkGeneration(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->pcie_gen);
}

int emud_nvmlDeviceGetCurrPcieLinkWidth(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->pcie_width);
}

int emud_nvmlDeviceGetMaxPcieLinkWidth(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->pcie_width);
}

/* Megabytes a second of one lane: 8 GT/s of PCIe 3 doubles with each generation. */
int emud_nvmlDeviceGetPcieSpeed(struct ask *k)
{
    unsigned gen = calls_physical(k)->pcie_gen;
    return calls_fact(k, gen >= 3 ? 1000u << (gen - 3) : 0);
}

/* Nothing is ever sent over this bus, so nothing is ever sent again. */
int emud_nvmlDeviceGetPcieReplayCounter(struct ask *k)
{
    return calls_physical(k)->pcie_gen ? calls_of_gpu(k, 0) : (int)NVML_ERROR_NOT_SUPPORTED;
}

int emud_nvmlDeviceGetPcieThroughput(struct ask *k)
{
    if (calls_arg(k, 1) > 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_physical(k)->pcie_gen ? calls_of_gpu(k, 0) : (int)NVML_ERROR_NOT_SUPPORTED;
}

int emud_nvmlDeviceGetMemoryBusWidth(struct ask *k)
{
    return calls_fact(k, calls_physical(k)->bus_bits);
}

int emud_nvmlDeviceGetNumGpuCores(struct ask *k)
{
    return calls_fact(k, calls_board(k)->sms * physical_cores_per_sm(calls_board(k)));
}

/* In published listings a GI has its share of the aperture, less 1 MiB, and an idle GPU uses 1. */
int emud_nvmlDeviceGetBAR1MemoryInfo(struct ask *k)
{
    const struct board *board = calls_board(k);
    uint64_t mib = calls_physical(k)->bar1_mib;
    if (mib == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_is_mig(k))
        mib = mib * box_gi(k->box, k->at.gpu, k->at.gi)->size / board->memory_slices - 1;
    uint64_t used = calls_is_mig(k) ? 0 : 1;
    (void)calls_long(k, mib << 20);
    (void)calls_long(k, (mib - used) << 20);
    return calls_long(k, used << 20);
}

/* The firmware of the GPU's own processor comes with the driver; all listings show its version. */
int emud_nvmlDeviceGetGspFirmwareVersion(struct ask *k)
{
    if (calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    return answer_put(k, k->box->m.driver, strlen(k->box->m.driver) + 1);
}

int emud_nvmlDeviceGetGspFirmwareMode(struct ask *k)
{
    if (calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    (void)answer_number(k, 1);
    return answer_number(k, 1);
}

/* Where a GPU has no place of its own among the CPUs, every CPU of the host is as near. The host's
 * CPUs are the real ones, as it is there that programs run. */
int emud_nvmlDeviceGetCpuAffinity(struct ask *k)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned words = calls_arg(k, 1);
    if (calls_is_mig(k) || cpus < 1)
        return NVML_ERROR_NOT_SUPPORTED;
    if (words == 0 || words > EMU_DATA / sizeof(unsigned long long))
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < words; i++) {
        long left = cpus - (long)i * 64;
        (void)calls_long(k, left <= 0 ? 0 : left >= 64 ? ~0ULL : (1ULL << left) - 1);
    }
    k->answer->head.count = words;
    return NVML_SUCCESS;
}

int emud_nvmlDeviceGetCpuAffinityWithinScope(struct ask *k)
{
    return calls_arg(k, 3) > 1 ? (int)NVML_ERROR_INVALID_ARGUMENT
                               : emud_nvmlDeviceGetCpuAffinity(k);
}

/* No board here has two GPUs. */
int emud_nvmlDeviceOnSameBoard(struct ask *k)
{
    struct target other;
    if (!answer_handle(k, 1, &other))
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_of_gpu(k, other.gpu == k->at.gpu);
}

enum { P2P_NOT_SUPPORTED = 5 };

/* MIG mode ends it (NVIDIA's MIG user guide); without, it would be a matter of the machine. */
int emud_nvmlDeviceGetP2PStatus(struct ask *k)
{
    struct target other;
    if (!answer_handle(k, 1, &other))
        return NVML_ERROR_INVALID_ARGUMENT;
    bool mig = calls_mig_mode(k) || k->box->m.gpus[other.gpu].mig == MACHINE_MIG_ON;
    return mig ? calls_of_gpu(k, P2P_NOT_SUPPORTED) : (int)NVML_ERROR_NOT_SUPPORTED;
}
