/* dlopen of NVML and the translation of its return codes.
 *
 * Only what no driver with MIG lacks is required; everything newer is looked for and done without.
 * RTLD_LOCAL, so that an emulated library and NVIDIA's could even be loaded side by side. */
#include "device/library.h"

#include "base/str.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Without any one of these there is no MIG to manage. */
static const char *const required[] = {
    "nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMigMode",
    "nvmlDeviceSetMigMode", "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex", "nvmlDeviceGetGpuInstanceId",
    "nvmlDeviceGetComputeInstanceId", "nvmlDeviceGetGpuInstanceProfileInfo",
    "nvmlDeviceCreateGpuInstanceWithPlacement", "nvmlGpuInstanceDestroy",
    "nvmlDeviceGetGpuInstances", "nvmlDeviceGetGpuInstanceById", "nvmlGpuInstanceGetInfo",
    "nvmlGpuInstanceGetComputeInstanceProfileInfo", "nvmlGpuInstanceCreateComputeInstance",
    "nvmlComputeInstanceDestroy", "nvmlGpuInstanceGetComputeInstances",
    "nvmlComputeInstanceGetInfo_v2",
};

static bool symbols_check(void *handle, const char *path, struct error *err)
{
    char missing[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        if (dlsym(handle, required[i]) || used >= sizeof missing)
            continue;
        used += (size_t)snprintf(missing + used, sizeof missing - used, " %s", required[i]);
    }
    if (!used)
        return true;
    error_set(err, ERROR_VERSION,
              "the NVML library %.80s lacks what MIG needs, a driver of 525 or later has it:%s",
              path, missing);
    return false;
}

int library_open(const char *path, struct library *ret, struct error *err)
{
    *ret = (struct library){0};
    path = path ? path : "libnvidia-ml.so.1";
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return error_set(err, ERROR_NOT_FOUND,
                         "no NVML library (%.200s): is NVIDIA's driver installed on this machine",
                         dlerror());
    if (!symbols_check(handle, path, err)) {
        dlclose(handle);
        return -ERROR_VERSION;
    }
    /* POSIX lets a function's address be stored through an object pointer. */
#define CALL(name, since, fidelity, who, ...) *(void **)&ret->name = dlsym(handle, #name);
#define ALIAS(name, since, as, ...) *(void **)&ret->name = dlsym(handle, #name);
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    *(void **)&ret->error_string = dlsym(handle, "nvmlErrorString");
    ret->handle = handle;
    return 0;
}

void library_close(struct library *l)
{
    if (l->handle)
        dlclose(l->handle);
    *l = (struct library){0};
}

static const struct {
    nvmlReturn_t code;
    const char *words;
} returns[] = {
#define RETURN(name, value, text) {name, text},
#include "nvml/nvml_returns.def"
#undef RETURN
};

const char *library_words(const struct library *l, nvmlReturn_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(returns); i++)
        if (returns[i].code == code)
            return returns[i].words;
    const char *words = l->error_string ? l->error_string(code) : NULL;
    return words ? words : "unknown return code";
}

static const struct {
    nvmlReturn_t nvml;
    enum error_code ours;
} codes[] = {
    {NVML_SUCCESS, ERROR_OK},
    {NVML_ERROR_NOT_SUPPORTED, ERROR_UNSUPPORTED},
    {NVML_ERROR_FUNCTION_NOT_FOUND, ERROR_UNSUPPORTED},
    {NVML_ERROR_NO_PERMISSION, ERROR_NO_PERMISSION},
    {NVML_ERROR_OPERATING_SYSTEM, ERROR_NO_PERMISSION},
    {NVML_ERROR_NOT_FOUND, ERROR_NOT_FOUND},
    {NVML_ERROR_IN_USE, ERROR_IN_USE},
    {NVML_ERROR_INSUFFICIENT_RESOURCES, ERROR_NO_FIT},
    {NVML_ERROR_TIMEOUT, ERROR_TIMEOUT},
    {NVML_ERROR_MEMORY, ERROR_NO_MEMORY},
    {NVML_ERROR_UNINITIALIZED, ERROR_DRIVER_LOST},
    {NVML_ERROR_DRIVER_NOT_LOADED, ERROR_DRIVER_LOST},
    {NVML_ERROR_LIBRARY_NOT_FOUND, ERROR_DRIVER_LOST},
    {NVML_ERROR_LIB_RM_VERSION_MISMATCH, ERROR_DRIVER_LOST},
};

enum error_code library_code(nvmlReturn_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].nvml == code)
            return codes[i].ours;
    return ERROR_HARDWARE;
}

int library_error(const struct library *l, nvmlReturn_t code, struct error *err, const char *fmt,
                  ...)
{
    char what[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    int r = error_set(err, library_code(code), "%s: %s", what, library_words(l, code));
    if (err)
        err->sys = (int)code;
    return r;
}
