/* The private table that nvidia-smi asks for, at its minimum.
 *
 * A word with the table's size in bytes, and pointers. nvidia-smi looks at the size and for a null
 * pointer before it uses a slot, and does without what is not there. These are filled: the handle
 * of a GPU by its index, and the processes for its box, which it does not take from NVML's public
 * functions. What they look like is known from calls into tables of our own; nothing here vouches
 * for anybody. Nothing of the table is public ABI, so it is declared here alone. */
#include "nvml/calls.h"

#include "base/macro.h"

#include <stddef.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* Slots count words from the beginning of the table. There are as many as driver 550 has: what an
 * empty slot is about reads N/A in nvidia-smi, and what lies beyond the end, "Uninitialized". */
enum { SLOT_HANDLE = 81, SLOT_COMPUTE = 213, SLOT_GRAPHICS, SLOT_MPS, SLOTS = 251 };
enum { PROCESSES = 512 }; /* nvidia-smi leaves room for 500 */

struct process {
    unsigned int pid;
    unsigned long long bytes;
    unsigned int gi, ci;
    unsigned long long protected_bytes;
    char name[4096];
};

static_assert(offsetof(struct process, bytes) == 8, "processes");
static_assert(offsetof(struct process, gi) == 16, "processes");
static_assert(offsetof(struct process, protected_bytes) == 24, "processes");
static_assert(sizeof(struct process) == 4128, "processes");

typedef nvmlReturn_t lister(nvmlDevice_t, unsigned int *, nvmlProcessInfo_t *);

/* *count is the room in `ret`, and then what there is. */
static nvmlReturn_t list(lister *get, nvmlDevice_t device, unsigned int *count, struct process *ret)
{
    nvmlProcessInfo_t found[PROCESSES];
    if (!count || (*count > 0 && !ret))
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = MIN(*count, (unsigned)PROCESSES);
    nvmlReturn_t status = get(device, count, found);
    for (unsigned i = 0; status == NVML_SUCCESS && i < *count; i++) {
        ret[i] = (struct process){.pid = found[i].pid,
                                  .bytes = found[i].usedGpuMemory,
                                  .gi = found[i].gpuInstanceId,
                                  .ci = found[i].computeInstanceId};
        /* It may have ended meanwhile. */
        if (nvmlSystemGetProcessName(ret[i].pid, ret[i].name, sizeof ret[i].name) != NVML_SUCCESS)
            memcpy(ret[i].name, "[Not Found]", sizeof "[Not Found]");
    }
    return status;
}

static nvmlReturn_t list_compute(nvmlDevice_t device, unsigned int *count, struct process *ret)
{
    return list(nvmlDeviceGetComputeRunningProcesses_v3, device, count, ret);
}

static nvmlReturn_t list_graphics(nvmlDevice_t device, unsigned int *count, struct process *ret)
{
    return list(nvmlDeviceGetGraphicsRunningProcesses_v3, device, count, ret);
}

static nvmlReturn_t list_mps(nvmlDevice_t device, unsigned int *count, struct process *ret)
{
    return list(nvmlDeviceGetMPSComputeRunningProcesses_v3, device, count, ret);
}

EXPORT nvmlReturn_t nvmlInternalGetExportTable(const void **ret, const void *id);
EXPORT nvmlReturn_t nvmlInternalGetExportTable(const void **ret, const void *id)
{
    static const union {
        size_t bytes;
        nvmlReturn_t (*handle)(unsigned int, nvmlDevice_t *);
        nvmlReturn_t (*processes)(nvmlDevice_t, unsigned int *, struct process *);
    } slots[SLOTS] = {[0] = {.bytes = sizeof slots},
                      [SLOT_HANDLE] = {.handle = nvmlDeviceGetHandleByIndex_v2},
                      [SLOT_COMPUTE] = {.processes = list_compute},
                      [SLOT_GRAPHICS] = {.processes = list_graphics},
                      [SLOT_MPS] = {.processes = list_mps}};
    if (!ret || !id)
        return NVML_ERROR_INVALID_ARGUMENT;
    *ret = slots;
    return NVML_SUCCESS;
}
