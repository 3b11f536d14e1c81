/* Processes on GPUs and MIG devices, in each layout NVML ever had, and what is used of the GPU.
 *
 * All of it derives from what sessions really do. Nothing draws and nothing uses MPS, so those
 * lists are empty. Utilisation of a GPU in MIG mode, or of a MIG device, is not supported on real
 * ones. */
#include "emud/calls.h"

enum { PROCESSES = EMU_DATA / sizeof(nvmlProcessInfo_t) };

/* Lists processes if the caller has room for all of them; else says how many there are. */
static int list_processes(struct ask *k, bool v1)
{
    struct box_process found[PROCESSES];
    unsigned n = box_processes(k->box, k->at.gpu, k->at.gi, k->at.ci, found, PROCESSES);
    k->answer->head.count = n;
    n = MIN(n, PROCESSES);
    if (calls_arg(k, 1) < n)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < n; i++) {
        nvmlProcessInfo_t info = {.pid = found[i].pid,
                                  .usedGpuMemory = found[i].bytes,
                                  .gpuInstanceId = (unsigned)found[i].gi,
                                  .computeInstanceId = (unsigned)found[i].ci};
        (void)answer_put(k, &info, v1 ? sizeof(nvmlProcessInfo_v1_t) : sizeof info);
    }
    k->answer->head.count = n;
    return NVML_SUCCESS;
}

int emud_nvmlDeviceGetComputeRunningProcesses(struct ask *k)
{
    return list_processes(k, true);
}

int emud_nvmlDeviceGetComputeRunningProcesses_v3(struct ask *k)
{
    return list_processes(k, false);
}

static int list_none(struct ask *k)
{
    k->answer->head.count = 0;
    return NVML_SUCCESS;
}

int emud_nvmlDeviceGetGraphicsRunningProcesses(struct ask *k)
{
    return list_none(k);
}

int emud_nvmlDeviceGetGraphicsRunningProcesses_v3(struct ask *k)
{
    return list_none(k);
}

int emud_nvmlDeviceGetMPSComputeRunningProcesses(struct ask *k)
{
    return list_none(k);
}

int emud_nvmlDeviceGetMPSComputeRunningProcesses_v3(struct ask *k)
{
    return list_none(k);
}

/* Sessions of the video encoder and of frame-buffer capture: there are none. */
int emud_nvmlDeviceGetEncoderStats(struct ask *k)
{
    for (unsigned i = 0; i < 2; i++)
        (void)answer_number(k, 0);
    return calls_of_gpu(k, 0);
}

int emud_nvmlDeviceGetEncoderSessions(struct ask *k)
{
    return calls_is_mig(k) ? NVML_ERROR_NOT_SUPPORTED : list_none(k);
}

int emud_nvmlDeviceGetFBCStats(struct ask *k)
{
    for (unsigned i = 0; i < 2; i++)
        (void)answer_number(k, 0);
    return calls_of_gpu(k, 0);
}

int emud_nvmlDeviceGetFBCSessions(struct ask *k)
{
    return calls_is_mig(k) ? NVML_ERROR_NOT_SUPPORTED : list_none(k);
}
