/* An NVML library of no GPU at all, to see how workers and the device layer bear a library that
 * hangs, crashes, finds no driver or is too old: STUB_MODE in the environment says which of the
 * first three, STUB_OLD at build time the last. */
#include "nvml/abi.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int mode_is(const char *mode)
{
    const char *is = getenv("STUB_MODE");
    return is && strcmp(is, mode) == 0;
}

EXPORT nvmlReturn_t nvmlInit_v2(void);
EXPORT nvmlReturn_t nvmlInit_v2(void)
{
    return mode_is("unloaded") ? NVML_ERROR_DRIVER_NOT_LOADED : NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlShutdown(void);
EXPORT nvmlReturn_t nvmlShutdown(void)
{
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count);
EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
    while (mode_is("hang"))
        pause();
    if (mode_is("crash"))
        abort();
    *count = 0;
    return NVML_SUCCESS;
}

/* Whatever else is required: present, and of no use. */
#define REFUSE(name)                \
    EXPORT nvmlReturn_t name(void); \
    EXPORT nvmlReturn_t name(void)  \
    {                               \
        return NVML_ERROR_NOT_SUPPORTED; \
    }
REFUSE(nvmlDeviceGetHandleByIndex_v2)
REFUSE(nvmlDeviceGetHandleByUUID)
REFUSE(nvmlDeviceGetUUID)
REFUSE(nvmlDeviceGetName)
REFUSE(nvmlDeviceGetMigMode)
REFUSE(nvmlDeviceGetMaxMigDeviceCount)
REFUSE(nvmlDeviceGetMigDeviceHandleByIndex)
REFUSE(nvmlDeviceGetGpuInstanceId)
REFUSE(nvmlDeviceGetComputeInstanceId)
REFUSE(nvmlDeviceGetGpuInstanceProfileInfo)
REFUSE(nvmlDeviceCreateGpuInstanceWithPlacement)
REFUSE(nvmlDeviceGetGpuInstances)
REFUSE(nvmlDeviceGetGpuInstanceById)
REFUSE(nvmlGpuInstanceGetInfo)
REFUSE(nvmlGpuInstanceGetComputeInstanceProfileInfo)
REFUSE(nvmlGpuInstanceCreateComputeInstance)
REFUSE(nvmlComputeInstanceDestroy)
REFUSE(nvmlGpuInstanceGetComputeInstances)
REFUSE(nvmlComputeInstanceGetInfo_v2)
#ifndef STUB_OLD
REFUSE(nvmlGpuInstanceDestroy)
REFUSE(nvmlDeviceSetMigMode)
#endif
