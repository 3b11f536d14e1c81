/* The mig backend: sessions with an NVML library, the list of GPUs, and waiting for events.
 *
 * A driver that goes away is noticed by the call that fails; the session and the library are given
 * up there, so that the next call starts from dlopen again and finds the driver that came back. */
#include "device/mig.h"

#include "base/str.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mig_release(struct mig *m)
{
    if (m->events && m->nvml.nvmlEventSetFree)
        m->nvml.nvmlEventSetFree(m->events);
    if (m->in_session)
        m->nvml.nvmlShutdown();
    m->events = NULL;
    m->events_none = false;
    m->in_session = false;
    m->unified_memory = false;
    m->board_n = 0;
    memset(m->cis, 0, sizeof m->cis);
    for (unsigned i = 0; i < MACHINE_GPUS; i++)
        m->known[i].current = false;
    library_close(&m->nvml);
}

/* UNKNOWN says nothing: a driver that cannot even count its GPUs is gone. */
static bool driver_gone(struct mig *m, nvmlReturn_t code)
{
    unsigned n;
    if (library_code(code) == ERROR_DRIVER_LOST)
        return true;
    return code == NVML_ERROR_UNKNOWN && m->in_session &&
           m->nvml.nvmlDeviceGetCount_v2(&n) != NVML_SUCCESS;
}

int mig_error(struct mig *m, nvmlReturn_t code, struct error *err, const char *fmt, ...)
{
    char what[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    int r = library_error(&m->nvml, code, err, "%s", what);
    if (!driver_gone(m, code))
        return r;
    r = error_set(err, ERROR_DRIVER_LOST, "the driver went away: %s: %s", what,
                  library_words(&m->nvml, code));
    if (err)
        err->sys = (int)code;
    mig_release(m);
    return r;
}

int mig_session(struct mig *m, struct error *err)
{
    if (m->in_session)
        return 0;
    if (!m->nvml.handle) {
        int r = library_open(m->path, &m->nvml, err);
        if (r == -ERROR_NOT_FOUND && err)
            err->code = ERROR_DRIVER_LOST;
        if (r < 0)
            return r == -ERROR_NOT_FOUND ? -ERROR_DRIVER_LOST : r;
    }
    nvmlReturn_t code = m->nvml.nvmlInit_v2();
    if (code != NVML_SUCCESS) {
        int r = library_error(&m->nvml, code, err, "cannot start NVML");
        mig_release(m);
        return r;
    }
    m->in_session = true;
    return 0;
}

int mig_handle(struct mig *m, const char *uuid, nvmlDevice_t *ret, struct error *err)
{
    nvmlReturn_t code = m->nvml.nvmlDeviceGetHandleByUUID(uuid, ret);
    return code == NVML_SUCCESS ? 0 : mig_error(m, code, err, "cannot find GPU %.64s", uuid);
}

nvmlReturn_t mig_mode(struct mig *m, nvmlDevice_t d, enum machine_mig *ret,
                      enum machine_mig *ret_pending)
{
    unsigned now = 0, pending = 0;
    *ret = *ret_pending = MACHINE_MIG_NONE;
    nvmlReturn_t code = m->nvml.nvmlDeviceGetMigMode(d, &now, &pending);
    if (code == NVML_ERROR_NOT_SUPPORTED)
        return NVML_SUCCESS;
    *ret = now ? MACHINE_MIG_ON : MACHINE_MIG_OFF;
    *ret_pending = pending ? MACHINE_MIG_ON : MACHINE_MIG_OFF;
    return code;
}

/* A GPU that answers nothing more is reported as what it was known to be, and why it is lost. */
static void gpu_lost(const struct mig *m, nvmlReturn_t code, struct machine_gpu *gpu)
{
    const struct mig_known *k = &m->known[gpu->index];
    gpu->health = MACHINE_LOST;
    (void)snprintf(gpu->health_text, sizeof gpu->health_text, "%s", library_words(&m->nvml, code));
    if (!k->seen)
        return;
    gpu->board = k->board;
    gpu->minor = k->minor;
    gpu->mig = gpu->mig_pending = k->mig;
    str_copy(gpu->uuid, sizeof gpu->uuid, k->uuid);
    str_copy(gpu->pci, sizeof gpu->pci, k->pci);
}

static void gpu_remember(struct mig *m, const struct machine_gpu *gpu)
{
    struct mig_known *k = &m->known[gpu->index];
    *k = (struct mig_known){.seen = true, .current = true, .board = gpu->board, .minor = gpu->minor,
                            .mig = gpu->mig};
    str_copy(k->uuid, sizeof k->uuid, gpu->uuid);
    str_copy(k->pci, sizeof k->pci, gpu->pci);
}

/* What there is to say about a GPU besides its instances. */
static nvmlReturn_t gpu_name(struct mig *m, nvmlDevice_t d, struct machine_gpu *gpu)
{
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
    nvmlPciInfo_t pci = {0};
    nvmlReturn_t code = m->nvml.nvmlDeviceGetUUID(d, uuid, sizeof uuid);
    if (code != NVML_SUCCESS)
        return code;
    str_copy(gpu->uuid, sizeof gpu->uuid, uuid);
    if (!m->nvml.nvmlDeviceGetMinorNumber ||
        m->nvml.nvmlDeviceGetMinorNumber(d, &gpu->minor) != NVML_SUCCESS)
        gpu->minor = gpu->index;
    if (m->nvml.nvmlDeviceGetPciInfo_v3 &&
        m->nvml.nvmlDeviceGetPciInfo_v3(d, &pci) == NVML_SUCCESS)
        str_copy(gpu->pci, sizeof gpu->pci, pci.busId);
    return mig_mode(m, d, &gpu->mig, &gpu->mig_pending);
}

/* Its board, asked for again only where that can have changed: a new session, another mode. */
static int gpu_board(struct mig *m, nvmlDevice_t d, struct machine_gpu *gpu, struct error *err)
{
    const struct mig_known *k = &m->known[gpu->index];
    if (!k->current || k->mig != gpu->mig || strcmp(k->uuid, gpu->uuid) != 0)
        return mig_board(m, d, gpu->mig, &gpu->board, err);
    gpu->board = k->board;
    return 0;
}

/* The GPU at `index`. One that fell off the bus is no error: the others can still be served. */
static int gpu_observe(struct mig *m, uint32_t index, struct machine_gpu *gpu, struct error *err)
{
    nvmlDevice_t d = NULL;
    *gpu = (struct machine_gpu){.index = index};
    nvmlReturn_t code = m->nvml.nvmlDeviceGetHandleByIndex_v2(index, &d);
    if (code == NVML_SUCCESS)
        code = gpu_name(m, d, gpu);
    if (code != NVML_SUCCESS && driver_gone(m, code))
        return mig_error(m, code, err, "cannot look at GPU %u", index);
    if (code != NVML_SUCCESS) {
        gpu_lost(m, code, gpu);
        return 0;
    }
    int r = gpu_board(m, d, gpu, err);
    if (r == 0)
        r = mig_look(m, d, gpu, err);
    if (r == 0)
        gpu_remember(m, gpu);
    if (r == 0 || r == -ERROR_DRIVER_LOST || r == -ERROR_NO_MEMORY)
        return r;
    /* One GPU that cannot be read must not hide the others. */
    gpu->health = MACHINE_LOST;
    gpu->gi_n = 0;
    (void)snprintf(gpu->health_text, sizeof gpu->health_text, "%.119s", err ? err->text : "?");
    return 0;
}

static int gpu_count(struct mig *m, uint32_t *ret, struct error *err)
{
    unsigned n = 0;
    int r = mig_session(m, err);
    if (r < 0)
        return r;
    nvmlReturn_t code = m->nvml.nvmlDeviceGetCount_v2(&n);
    if (code != NVML_SUCCESS)
        return mig_error(m, code, err, "cannot count GPUs");
    *ret = MIN(n, (uint32_t)MACHINE_GPUS);
    return 0;
}

/* Instances that move while we look make a picture of no moment; it is corrected by the event that
 * follows the change, so one pass is enough. */
static int observe(struct device *d, struct machine *ret, struct error *err)
{
    struct mig *m = (struct mig *)d;
    struct error local;
    err = err ? err : &local;
    memset(ret, 0, sizeof *ret);
    int r = gpu_count(m, &ret->gpu_n, err);
    if (r < 0)
        return r;
    char driver[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = "";
    if (m->nvml.nvmlSystemGetDriverVersion)
        m->nvml.nvmlSystemGetDriverVersion(driver, sizeof driver);
    str_copy(ret->driver, sizeof ret->driver, driver);
    for (uint32_t i = 0; i < ret->gpu_n; i++)
        if ((r = gpu_observe(m, i, &ret->gpus[i], err)) < 0)
            return r;
    ret->board_n = m->board_n;
    memcpy(ret->boards, m->boards, sizeof ret->boards);
    ret->unified_memory = m->unified_memory;
    return 0;
}

/* Learns name and board of the GPU at `index` without looking at its instances. */
static int gpu_learn(struct mig *m, uint32_t index, struct error *err)
{
    nvmlDevice_t d = NULL;
    struct machine_gpu gpu = {.index = index};
    if (m->known[index].current ||
        m->nvml.nvmlDeviceGetHandleByIndex_v2(index, &d) != NVML_SUCCESS ||
        gpu_name(m, d, &gpu) != NVML_SUCCESS)
        return 0;
    int r = gpu_board(m, d, &gpu, err);
    if (r == 0)
        gpu_remember(m, &gpu);
    return r;
}

/* Board numbers must be those observe gives, so all GPUs' boards are learned in order first. */
static int observe_gpu(struct device *d, const char *uuid, struct machine_gpu *ret,
                       struct error *err)
{
    struct mig *m = (struct mig *)d;
    struct error local;
    err = err ? err : &local;
    uint32_t n = 0;
    int r = gpu_count(m, &n, err);
    for (uint32_t i = 0; r == 0 && i < n; i++) {
        r = gpu_learn(m, i, err);
        if (r == 0 && strcmp(m->known[i].uuid, uuid) == 0)
            return gpu_observe(m, i, ret, err);
    }
    return r < 0 ? r : error_set(err, ERROR_NOT_FOUND, "the driver has no GPU %.64s", uuid);
}

/* Registers for what each GPU supports of changes and critical errors; false if that is nothing. */
static bool events_register(struct mig *m, uint32_t n)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        nvmlDevice_t d;
        unsigned long long can = 0;
        if (m->nvml.nvmlDeviceGetHandleByIndex_v2(i, &d) != NVML_SUCCESS ||
            m->nvml.nvmlDeviceGetSupportedEventTypes(d, &can) != NVML_SUCCESS)
            continue;
        can &= nvmlEventTypeXidCriticalError | nvmlEventMigConfigChange;
        any |= can && m->nvml.nvmlDeviceRegisterEvents(d, can, m->events) == NVML_SUCCESS;
    }
    return any;
}

static int events_open(struct mig *m, struct error *err)
{
    uint32_t n = 0;
    int r = gpu_count(m, &n, err);
    if (r < 0 || m->events || m->events_none)
        return r;
    m->events_none = true;
    if (!m->nvml.nvmlEventSetCreate || !m->nvml.nvmlEventSetFree || !m->nvml.nvmlEventSetWait_v2 ||
        !m->nvml.nvmlDeviceRegisterEvents || !m->nvml.nvmlDeviceGetSupportedEventTypes)
        return 0;
    nvmlReturn_t code = m->nvml.nvmlEventSetCreate(&m->events);
    if (code != NVML_SUCCESS) {
        m->events = NULL;
        return driver_gone(m, code) ? mig_error(m, code, err, "cannot listen for events") : 0;
    }
    m->events_none = !events_register(m, n);
    return 0;
}

static int wait_event(struct device *d, int timeout_ms, struct error *err)
{
    struct mig *m = (struct mig *)d;
    int r = events_open(m, err);
    if (r < 0)
        return r;
    if (m->events_none) {
        poll(NULL, 0, timeout_ms);
        return 0;
    }
    nvmlEventData_t data = {0};
    nvmlReturn_t code = m->nvml.nvmlEventSetWait_v2(m->events, &data, (unsigned)timeout_ms);
    if (code == NVML_SUCCESS)
        return 1;
    if (code == NVML_ERROR_TIMEOUT)
        return 0;
    return mig_error(m, code, err, "cannot wait for events");
}

static struct device *free_mig(struct device *d)
{
    struct mig *m = (struct mig *)d;
    if (m) {
        mig_release(m);
        free(m->path);
        free(m);
    }
    return NULL;
}

static const struct device_ops ops = {
    .name = "mig",
    .observe = observe,
    .observe_gpu = observe_gpu,
    .apply = mig_apply,
    .processes = mig_processes,
    .wait = wait_event,
    .free = free_mig,
};

int device_open_mig(const char *path, struct device **ret, struct error *err)
{
    struct mig *m = calloc(1, sizeof *m);
    if (m && path)
        m->path = strdup(path);
    if (!m || (path && !m->path)) {
        free(m);
        return error_set(err, ERROR_NO_MEMORY, "no memory to open NVML");
    }
    m->base.ops = &ops;
    int r = mig_session(m, err);
    if (r < 0) {
        free_mig(&m->base);
        if (r != -ERROR_DRIVER_LOST)
            return r;
        if (err)
            err->code = ERROR_NOT_FOUND;
        return -ERROR_NOT_FOUND;
    }
    *ret = &m->base;
    return 0;
}
