/* Cutting: create, destroy, mode; and who runs on what was cut.
 *
 * A slice is a GPU instance with its full-size compute instance, all or nothing: if the second is
 * refused the first is taken back, and only if even that fails does the caller hear of an instance
 * it now has to clean up (its id is then in the result). */
#include "device/mig.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

enum { CAP_GPUS = 32 }; /* device minors that NVIDIA's table of cap minors knows */

static void cap_minors(struct mig *m, nvmlDevice_t d, struct device_result *ret)
{
    unsigned minor = 0;
    if (!m->nvml.nvmlDeviceGetMinorNumber ||
        m->nvml.nvmlDeviceGetMinorNumber(d, &minor) != NVML_SUCCESS || minor >= CAP_GPUS)
        return;
    ret->gi_minor = machine_cap_minor(minor, ret->gi, -1);
    ret->ci_minor = machine_cap_minor(minor, ret->gi, ret->ci);
}

/* The id of the full-size compute instance: most slices, then most SMs, then the lower enum. */
static nvmlReturn_t full_ci(struct mig *m, nvmlGpuInstance_t gi, unsigned *ret_id)
{
    nvmlComputeInstanceProfileInfo_t best = {0};
    nvmlReturn_t last = NVML_ERROR_NOT_SUPPORTED;
    for (unsigned i = 0; i < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; i++) {
        nvmlComputeInstanceProfileInfo_t is = {0};
        nvmlReturn_t code = mig_ci_profile(m, gi, i, &is);
        if (code != NVML_SUCCESS && code != NVML_ERROR_NOT_SUPPORTED)
            last = code;
        if (code != NVML_SUCCESS || is.sliceCount < best.sliceCount ||
            (is.sliceCount == best.sliceCount &&
             is.multiprocessorCount <= best.multiprocessorCount))
            continue;
        best = is;
    }
    *ret_id = best.id;
    return best.sliceCount ? NVML_SUCCESS : last;
}

/* Makes the compute instance and reads back what was made. */
static int create_ci(struct mig *m, nvmlDevice_t d, nvmlGpuInstance_t gi, struct device_result *ret,
                     struct error *err)
{
    unsigned profile;
    nvmlComputeInstance_t ci = NULL;
    nvmlComputeInstanceInfo_t is = {0};
    nvmlReturn_t code = full_ci(m, gi, &profile);
    if (code == NVML_SUCCESS)
        code = m->nvml.nvmlGpuInstanceCreateComputeInstance(gi, profile, &ci);
    if (code != NVML_SUCCESS)
        return mig_error(m, code, err, "cannot make a compute instance in GPU instance %u",
                         ret->gi);
    code = m->nvml.nvmlComputeInstanceGetInfo_v2(ci, &is);
    int r = code == NVML_SUCCESS
                ? mig_uuid(m, d, ret->gi, is.id, ret->uuid, err)
                : mig_error(m, code, err, "cannot read back the compute instance just made");
    if (r < 0 && m->in_session)
        m->nvml.nvmlComputeInstanceDestroy(ci);
    ret->ci = (uint8_t)is.id;
    return r == -ERROR_NOT_FOUND ? error_context(err, "the compute instance was made") : r;
}

/* Takes the GPU instance back; keeps the first error, and says so if this fails too. */
static int create_undo(struct mig *m, nvmlGpuInstance_t gi, struct device_result *ret, int r,
                       struct error *err)
{
    nvmlReturn_t code = m->in_session ? m->nvml.nvmlGpuInstanceDestroy(gi)
                                      : NVML_ERROR_UNINITIALIZED;
    unsigned id = ret->gi;
    if (code == NVML_SUCCESS) {
        *ret = (struct device_result){0};
        return r;
    }
    return error_context(err, "GPU instance %u is left over and could not be removed again (%s)",
                         id, library_words(&m->nvml, code));
}

static int create(struct mig *m, nvmlDevice_t d, const struct device_op *op,
                  struct device_result *ret, struct error *err)
{
    nvmlGpuInstance_t gi = NULL;
    nvmlGpuInstanceInfo_t is = {0};
    nvmlGpuInstancePlacement_t at = {.start = op->start, .size = op->size};
    nvmlReturn_t code =
        m->nvml.nvmlDeviceCreateGpuInstanceWithPlacement(d, op->profile_id, &at, &gi);
    if (code != NVML_SUCCESS)
        return mig_error(m, code, err, "cannot make a GPU instance of profile %u at %u:%u on %.64s",
                         op->profile_id, op->start, op->size, op->gpu);
    code = m->nvml.nvmlGpuInstanceGetInfo(gi, &is);
    ret->gi = (uint8_t)is.id;
    int r = code == NVML_SUCCESS
                ? create_ci(m, d, gi, ret, err)
                : mig_error(m, code, err, "cannot read back the GPU instance just made");
    if (r < 0)
        return create_undo(m, gi, ret, r, err);
    cap_minors(m, d, ret);
    return 0;
}

/* Names one process that is in the way, if the driver reports any on this instance. */
static int in_use(struct mig *m, const struct device_op *op, const char *what, struct error *err)
{
    struct device_process on[64];
    size_t n = 0, i = 0;
    if (mig_processes(&m->base, op->gpu, on, ARRAY_LEN(on), &n, NULL) < 0)
        n = 0;
    while (i < n && on[i].gi != op->gi)
        i++;
    int r = i < n ? error_set(err, ERROR_IN_USE, "%s of GPU %.64s is in use by process %u", what,
                              op->gpu, on[i].pid)
                  : error_set(err, ERROR_IN_USE,
                              "%s of GPU %.64s is in use by no process the driver reports: a "
                              "monitor such as dcgm may hold it open",
                              what, op->gpu);
    if (err)
        err->sys = NVML_ERROR_IN_USE;
    return r;
}

static int destroy_failed(struct mig *m, const struct device_op *op, nvmlReturn_t code,
                          const char *what, struct error *err)
{
    char of[64];
    (void)snprintf(of, sizeof of, "%s %u", what, op->gi);
    if (code == NVML_ERROR_IN_USE)
        return in_use(m, op, of, err);
    return mig_error(m, code, err, "cannot destroy %s of GPU %.64s", of, op->gpu);
}

/* Destroys the compute instances of one profile. */
static nvmlReturn_t destroy_cis(struct mig *m, nvmlGpuInstance_t gi, unsigned profile_id)
{
    nvmlComputeInstance_t cis[MIG_CI_ROOM];
    unsigned n = 0;
    nvmlReturn_t code = m->nvml.nvmlGpuInstanceGetComputeInstances(gi, profile_id, cis, &n);
    for (unsigned i = 0; code == NVML_SUCCESS && i < MIN(n, (unsigned)MIG_CI_ROOM); i++) {
        code = m->nvml.nvmlComputeInstanceDestroy(cis[i]);
        if (code == NVML_ERROR_NOT_FOUND)
            code = NVML_SUCCESS;
    }
    return code == NVML_ERROR_NOT_SUPPORTED ? NVML_SUCCESS : code;
}

static int destroy(struct mig *m, nvmlDevice_t d, const struct device_op *op, struct error *err)
{
    nvmlGpuInstance_t gi = NULL;
    nvmlReturn_t code = m->nvml.nvmlDeviceGetGpuInstanceById(d, op->gi, &gi);
    /* MIG switched off by somebody else took the instance with it. */
    if (code == NVML_ERROR_NOT_FOUND || code == NVML_ERROR_NOT_SUPPORTED)
        return 0;
    if (code != NVML_SUCCESS)
        return mig_error(m, code, err, "cannot find GPU instance %u of GPU %.64s", op->gi, op->gpu);
    for (unsigned i = 0; i < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; i++) {
        nvmlComputeInstanceProfileInfo_t is;
        if (mig_ci_profile(m, gi, i, &is) != NVML_SUCCESS)
            continue;
        code = destroy_cis(m, gi, is.id);
        if (code != NVML_SUCCESS)
            return destroy_failed(m, op, code, "a compute instance of GPU instance", err);
    }
    code = m->nvml.nvmlGpuInstanceDestroy(gi);
    if (code == NVML_SUCCESS || code == NVML_ERROR_NOT_FOUND)
        return 0;
    return destroy_failed(m, op, code, "GPU instance", err);
}

/* The driver answers SUCCESS and tells the truth in the second status, or not even there: the mode
 * read back decides. */
static int set_mode(struct mig *m, nvmlDevice_t d, const struct device_op *op,
                    struct device_result *ret, struct error *err)
{
    nvmlReturn_t activation = NVML_SUCCESS;
    enum machine_mig now, pending;
    enum machine_mig wanted = op->mig_on ? MACHINE_MIG_ON : MACHINE_MIG_OFF;
    unsigned mode = op->mig_on ? NVML_DEVICE_MIG_ENABLE : NVML_DEVICE_MIG_DISABLE;
    nvmlReturn_t code = m->nvml.nvmlDeviceSetMigMode(d, mode, &activation);
    if (code != NVML_SUCCESS)
        return mig_error(m, code, err, "cannot switch MIG %s on GPU %.64s",
                         op->mig_on ? "on" : "off", op->gpu);
    /* The GPU may have been reset or given another minor: nothing of this session holds now. */
    mig_release(m);
    int r = mig_session(m, err);
    if (r == 0)
        r = mig_handle(m, op->gpu, &d, err);
    if (r < 0)
        return r;
    code = mig_mode(m, d, &now, &pending);
    if (code != NVML_SUCCESS)
        return mig_error(m, code, err, "cannot read back the MIG mode of GPU %.64s", op->gpu);
    if (now == wanted)
        return 0;
    ret->pending = true;
    error_set(err, activation == NVML_ERROR_IN_USE ? ERROR_IN_USE : ERROR_HARDWARE,
              "MIG %s on GPU %.64s waits: %s", op->mig_on ? "on" : "off", op->gpu,
              activation == NVML_ERROR_IN_USE ? "end what uses the GPU, then ask again"
                                              : "the GPU needs a reset or the machine a reboot");
    if (err)
        err->sys = (int)activation;
    return 0;
}

int mig_apply(struct device *d, const struct device_op *op, struct device_result *ret,
              struct error *err)
{
    struct mig *m = (struct mig *)d;
    nvmlDevice_t gpu = NULL;
    *ret = (struct device_result){0};
    /* A session of our own that stood for a while would itself be what keeps the GPU busy. */
    if (op->kind == DEVICE_SET_MODE)
        mig_release(m);
    int r = mig_session(m, err);
    if (r == 0)
        r = mig_handle(m, op->gpu, &gpu, err);
    if (r < 0)
        return r;
    switch (op->kind) {
    case DEVICE_CREATE:
        return create(m, gpu, op, ret, err);
    case DEVICE_DESTROY:
        return destroy(m, gpu, op, err);
    case DEVICE_SET_MODE:
        return set_mode(m, gpu, op, ret, err);
    }
    return error_set(err, ERROR_INVALID, "unknown operation %d", (int)op->kind);
}

static uint8_t instance_of(unsigned id)
{
    return id < BOARD_GIS ? (uint8_t)id : 0xff;
}

/* One row; "not available" is all ones. */
static struct device_process process_of(const nvmlProcessInfo_t *is)
{
    return (struct device_process){.pid = is->pid,
                                   .gi = instance_of(is->gpuInstanceId),
                                   .ci = instance_of(is->computeInstanceId),
                                   .bytes = is->usedGpuMemory == ~0ull ? 0 : is->usedGpuMemory};
}

/* The newest of three calls this driver has; the oldest knows no instances. */
static nvmlReturn_t list_processes(struct mig *m, nvmlDevice_t d, nvmlProcessInfo_t *ret,
                                   unsigned *n)
{
    if (m->nvml.nvmlDeviceGetComputeRunningProcesses_v3)
        return m->nvml.nvmlDeviceGetComputeRunningProcesses_v3(d, n, ret);
    if (m->nvml.nvmlDeviceGetComputeRunningProcesses_v2)
        return m->nvml.nvmlDeviceGetComputeRunningProcesses_v2(d, n, ret);
    AUTO_FREE nvmlProcessInfo_v1_t *old = calloc(*n, sizeof *old);
    if (!old || !m->nvml.nvmlDeviceGetComputeRunningProcesses)
        return old ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_MEMORY;
    unsigned room = *n;
    nvmlReturn_t code = m->nvml.nvmlDeviceGetComputeRunningProcesses(d, n, old);
    for (unsigned i = 0; code == NVML_SUCCESS && i < MIN(*n, room); i++)
        ret[i] = (nvmlProcessInfo_t){.pid = old[i].pid,
                                     .usedGpuMemory = old[i].usedGpuMemory,
                                     .gpuInstanceId = NVML_NO_INSTANCE,
                                     .computeInstanceId = NVML_NO_INSTANCE};
    return code;
}

int mig_processes(struct device *d, const char *uuid, struct device_process *ret, size_t cap,
                  size_t *ret_n, struct error *err)
{
    enum { ROOM = 4096 };
    struct mig *m = (struct mig *)d;
    nvmlDevice_t gpu = NULL;
    *ret_n = 0;
    int r = mig_session(m, err);
    if (r == 0)
        r = mig_handle(m, uuid, &gpu, err);
    if (r < 0)
        return r;
    unsigned n = ROOM;
    AUTO_FREE nvmlProcessInfo_t *all = calloc(ROOM, sizeof *all);
    if (!all)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the processes of GPU %.64s", uuid);
    nvmlReturn_t code = list_processes(m, gpu, all, &n);
    if (code == NVML_ERROR_NOT_SUPPORTED)
        return 0;
    if (code != NVML_SUCCESS && code != NVML_ERROR_INSUFFICIENT_SIZE)
        return mig_error(m, code, err, "cannot list the processes of %.64s", uuid);
    for (unsigned i = 0; code == NVML_SUCCESS && i < n && *ret_n < cap; i++)
        ret[(*ret_n)++] = process_of(&all[i]);
    return 0;
}
