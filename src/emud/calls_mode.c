/* Modes an administrator sets: persistence, compute mode, accounting; and states that never change
 * here because nothing can: no display, no virtual GPUs, no driver models but Linux's one. */
#include "emud/calls.h"

enum { COMPUTE_DEFAULT, COMPUTE_THREAD, COMPUTE_PROHIBITED, COMPUTE_PROCESS };
enum { VIRTUAL_NONE, VIRTUAL_PASSTHROUGH };
enum { ACCOUNTING_BUFFER = 4000 }; /* in all published listings */

int emud_nvmlDeviceGetPersistenceMode(struct ask *k)
{
    return calls_of_gpu(k, calls_state(k)->persistence);
}

/* Remembered, and without consequence: an emulated driver stays loaded without clients. */
int emud_nvmlDeviceSetPersistenceMode(struct ask *k)
{
    if (calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_arg(k, 1) > 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    calls_state(k)->persistence = calls_arg(k, 1);
    return NVML_SUCCESS;
}

/* A MIG device says what its GPU says. */
int emud_nvmlDeviceGetComputeMode(struct ask *k)
{
    return answer_number(k, calls_state(k)->compute_mode);
}

/* One process alone is not to be had with MIG mode on (NVIDIA's MIG user guide). */
int emud_nvmlDeviceSetComputeMode(struct ask *k)
{
    unsigned mode = calls_arg(k, 1);
    if (mode > COMPUTE_PROCESS)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (calls_is_mig(k) || mode == COMPUTE_THREAD || (mode == COMPUTE_PROCESS && calls_mig_mode(k)))
        return NVML_ERROR_NOT_SUPPORTED;
    calls_state(k)->compute_mode = (uint8_t)mode;
    return NVML_SUCCESS;
}

int emud_nvmlDeviceGetAccountingMode(struct ask *k)
{
    return calls_of_gpu(k, calls_state(k)->accounting);
}

/* Nothing is accounted for, so it cannot be switched on. */
int emud_nvmlDeviceSetAccountingMode(struct ask *k)
{
    if (calls_arg(k, 1) > 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_is_mig(k) || calls_arg(k, 1) == 1 ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

int emud_nvmlDeviceGetAccountingBufferSize(struct ask *k)
{
    return calls_of_gpu(k, ACCOUNTING_BUFFER);
}

int emud_nvmlDeviceGetAccountingPids(struct ask *k)
{
    k->answer->head.count = 0;
    return calls_is_mig(k) ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

int emud_nvmlDeviceClearAccountingPids(struct ask *k)
{
    return calls_is_mig(k) ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

/* "Enabled" on the datacenter boards of all published listings, although they have no display. */
int emud_nvmlDeviceGetDisplayMode(struct ask *k)
{
    return calls_board(k)->memory_slices ? calls_of_gpu(k, NVML_FEATURE_ENABLED)
                                         : (int)NVML_ERROR_NOT_SUPPORTED;
}

int emud_nvmlDeviceGetDisplayActive(struct ask *k)
{
    return calls_of_gpu(k, 0);
}

int emud_nvmlDeviceGetVirtualizationMode(struct ask *k)
{
    return calls_of_gpu(k, k->box->m.passthrough ? VIRTUAL_PASSTHROUGH : VIRTUAL_NONE);
}

/* No confidential computing here: none of the memory is protected. */
int emud_nvmlDeviceGetConfComputeProtectedMemoryUsage(struct ask *k)
{
    if (calls_is_mig(k) || calls_board(k)->memory_slices == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    nvmlMemory_t none = {0};
    return answer_put(k, &none, sizeof none);
}
