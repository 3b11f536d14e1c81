/* What a GPU is cut into: GPU instances, their compute instances, the MIG devices' UUIDs.
 *
 * Root asks for instances profile by profile, as the driver wants it. Anybody else may only see MIG
 * devices; from those and from the fact that an instance's id is its position the same picture
 * follows, except for instances without a compute instance. */
#include "device/mig.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

nvmlReturn_t mig_ci_profile(struct mig *m, nvmlGpuInstance_t gi, unsigned nvml,
                            nvmlComputeInstanceProfileInfo_t *ret)
{
    return m->nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(
        gi, nvml, NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED, ret);
}

/* One MIG device as the unprivileged calls show it. */
struct mig_device {
    nvmlDevice_t handle;
    unsigned gi, ci;
};

/* The MIG device at `index`: NOT_FOUND for an empty index, which is no end: there may be holes. */
static nvmlReturn_t device_at(struct mig *m, nvmlDevice_t d, unsigned index, struct mig_device *ret)
{
    nvmlReturn_t code = m->nvml.nvmlDeviceGetMigDeviceHandleByIndex(d, index, &ret->handle);
    if (code == NVML_SUCCESS)
        code = m->nvml.nvmlDeviceGetGpuInstanceId(ret->handle, &ret->gi);
    if (code == NVML_SUCCESS)
        code = m->nvml.nvmlDeviceGetComputeInstanceId(ret->handle, &ret->ci);
    return code;
}

static unsigned device_max(struct mig *m, nvmlDevice_t d)
{
    unsigned n = 0;
    return m->nvml.nvmlDeviceGetMaxMigDeviceCount(d, &n) == NVML_SUCCESS ? MIN(n, 128u) : 0;
}

int mig_uuid(struct mig *m, nvmlDevice_t d, unsigned gi, unsigned ci, char ret[MACHINE_UUID],
             struct error *err)
{
    unsigned n = device_max(m, d);
    for (unsigned i = 0; i < n; i++) {
        struct mig_device at;
        char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
        if (device_at(m, d, i, &at) != NVML_SUCCESS || at.gi != gi || at.ci != ci)
            continue;
        nvmlReturn_t code = m->nvml.nvmlDeviceGetUUID(at.handle, uuid, sizeof uuid);
        if (code != NVML_SUCCESS)
            return mig_error(m, code, err, "cannot read the UUID of MIG device %u", i);
        str_copy(ret, MACHINE_UUID, uuid);
        return 0;
    }
    return error_set(err, ERROR_NOT_FOUND,
                     "no MIG device belongs to compute instance %u of GPU instance %u", ci, gi);
}

static struct machine_ci *add_ci(struct machine_gi *gi)
{
    return gi->ci_n < BOARD_CIS ? &gi->cis[gi->ci_n++] : NULL;
}

/* Asks for the profiles, if that is not yet done in this session. */
static void ask_cis(struct mig *m, nvmlGpuInstance_t handle, struct mig_cis *ret)
{
    if (ret->asked)
        return;
    *ret = (struct mig_cis){.asked = true};
    for (unsigned nvml = 0; nvml < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; nvml++) {
        nvmlComputeInstanceProfileInfo_t is;
        nvmlReturn_t code = mig_ci_profile(m, handle, nvml, &is);
        /* Anything but a plain no may be passing: a destroyed instance, a driver that stumbles. */
        if (code != NVML_SUCCESS && code != NVML_ERROR_NOT_SUPPORTED &&
            code != NVML_ERROR_INVALID_ARGUMENT)
            ret->asked = false;
        if (code != NVML_SUCCESS)
            continue;
        ret->at[ret->n].nvml = (uint8_t)nvml;
        ret->at[ret->n].sms = (uint16_t)is.multiprocessorCount;
        ret->at[ret->n++].id = is.id;
    }
}

/* The compute instances of the profile at index `p`. */
static void look_cis(struct mig *m, nvmlGpuInstance_t handle, const struct mig_cis *profiles,
                     unsigned p, struct machine_gi *gi)
{
    nvmlComputeInstance_t cis[MIG_CI_ROOM];
    unsigned n = 0;
    if (m->nvml.nvmlGpuInstanceGetComputeInstances(handle, profiles->at[p].id, cis, &n) !=
        NVML_SUCCESS)
        return;
    for (unsigned i = 0; i < MIN(n, (unsigned)MIG_CI_ROOM); i++) {
        nvmlComputeInstanceInfo_t is = {0};
        struct machine_ci *ci;
        if (m->nvml.nvmlComputeInstanceGetInfo_v2(cis[i], &is) != NVML_SUCCESS ||
            !(ci = add_ci(gi)))
            continue;
        *ci = (struct machine_ci){.id = (uint8_t)is.id, .nvml = profiles->at[p].nvml,
                                  .start = (uint8_t)is.placement.start,
                                  .size = (uint8_t)is.placement.size,
                                  .sms = profiles->at[p].sms};
    }
}

static void look_gi(struct mig *m, nvmlGpuInstance_t handle, const nvmlGpuInstanceInfo_t *is,
                    unsigned board, struct machine_gi *gi)
{
    const struct board *b = &m->boards[board];
    struct mig_cis unknown = {0};
    *gi = (struct machine_gi){.id = (uint8_t)is->id,
                              .profile = (uint8_t)board_profile_by_id(b, is->profileId),
                              .start = (uint8_t)is->placement.start,
                              .size = (uint8_t)is->placement.size};
    struct mig_cis *profiles =
        gi->profile < b->profile_n ? &m->cis[board][gi->profile] : &unknown;
    ask_cis(m, handle, profiles);
    for (unsigned p = 0; p < profiles->n; p++)
        look_cis(m, handle, profiles, p, gi);
}

/* The GPU instances of one profile of the board. */
static nvmlReturn_t look_profile(struct mig *m, nvmlDevice_t d, unsigned profile_id,
                                 struct machine_gpu *gpu)
{
    nvmlGpuInstance_t gis[MIG_GI_ROOM];
    unsigned n = 0;
    nvmlReturn_t code = m->nvml.nvmlDeviceGetGpuInstances(d, profile_id, gis, &n);
    for (unsigned i = 0; code == NVML_SUCCESS && i < MIN(n, (unsigned)MIG_GI_ROOM); i++) {
        nvmlGpuInstanceInfo_t is = {0};
        nvmlReturn_t one = m->nvml.nvmlGpuInstanceGetInfo(gis[i], &is);
        /* One destroyed between the two calls is simply not there any more. */
        if (one == NVML_SUCCESS && gpu->gi_n < BOARD_GIS)
            look_gi(m, gis[i], &is, gpu->board, &gpu->gis[gpu->gi_n++]);
    }
    return code;
}

static struct machine_gi *find_gi(struct machine_gpu *gpu, unsigned id)
{
    for (unsigned i = 0; i < gpu->gi_n; i++)
        if (gpu->gis[i].id == id)
            return &gpu->gis[i];
    return NULL;
}

/* The start whose id this is: ids are positions. 0 if none fits. */
static uint8_t start_of(const struct board *b, const struct profile *p, unsigned id)
{
    for (unsigned start = 0; start < b->memory_slices; start++)
        if (p->starts & 1u << start && board_gi_id(b, start, p->size) == id)
            return (uint8_t)start;
    return 0;
}

/* The plain profile with this many compute slices whose memory is nearest. */
static unsigned nearest_profile(const struct board *b, const nvmlDeviceAttributes_t *a)
{
    unsigned best = BOARD_NO_PROFILE;
    uint64_t best_far = UINT64_MAX;
    for (unsigned i = 0; i < b->profile_n; i++) {
        uint64_t mib = b->profiles[i].mib;
        uint64_t far = MAX(mib, a->memorySizeMB) - MIN(mib, a->memorySizeMB);
        if (b->profiles[i].compute != a->gpuInstanceSliceCount || far >= best_far)
            continue;
        best = i;
        best_far = far;
    }
    return best;
}

static struct machine_gi *derive_gi(struct mig *m, const struct mig_device *at,
                                    const nvmlDeviceAttributes_t *a, struct machine_gpu *gpu)
{
    struct machine_gi *gi = find_gi(gpu, at->gi);
    if (gi || gpu->gi_n == BOARD_GIS)
        return gi;
    const struct board *b = &m->boards[gpu->board];
    gi = &gpu->gis[gpu->gi_n++];
    *gi = (struct machine_gi){.id = (uint8_t)at->gi, .profile = (uint8_t)nearest_profile(b, a)};
    if (gi->profile < b->profile_n) {
        gi->start = start_of(b, &b->profiles[gi->profile], at->gi);
        gi->size = b->profiles[gi->profile].size;
    }
    return gi;
}

/* What an ordinary user can know: instances from the MIG devices they carry. */
static void derive(struct mig *m, nvmlDevice_t d, struct machine_gpu *gpu)
{
    unsigned n = device_max(m, d);
    for (unsigned i = 0; i < n; i++) {
        struct mig_device at;
        nvmlDeviceAttributes_t a = {0};
        if (device_at(m, d, i, &at) != NVML_SUCCESS)
            continue;
        if (m->nvml.nvmlDeviceGetAttributes_v2)
            m->nvml.nvmlDeviceGetAttributes_v2(at.handle, &a);
        struct machine_gi *gi = derive_gi(m, &at, &a, gpu);
        struct machine_ci *ci = gi ? add_ci(gi) : NULL;
        if (ci)
            *ci = (struct machine_ci){.id = (uint8_t)at.ci,
                                      .size = (uint8_t)a.computeInstanceSliceCount,
                                      .sms = (uint16_t)a.multiprocessorCount};
    }
}

static void look_uuids(struct mig *m, nvmlDevice_t d, struct machine_gpu *gpu)
{
    unsigned n = gpu->gi_n ? device_max(m, d) : 0;
    for (unsigned i = 0; i < n; i++) {
        struct mig_device at;
        char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = "";
        if (device_at(m, d, i, &at) != NVML_SUCCESS ||
            m->nvml.nvmlDeviceGetUUID(at.handle, uuid, sizeof uuid) != NVML_SUCCESS)
            continue;
        struct machine_gi *gi = find_gi(gpu, at.gi);
        for (unsigned c = 0; gi && c < gi->ci_n; c++)
            if (gi->cis[c].id == at.ci)
                str_copy(gi->cis[c].uuid, sizeof gi->cis[c].uuid, uuid);
    }
}

static int by_start(const void *a, const void *b)
{
    return ((const struct machine_gi *)a)->start - ((const struct machine_gi *)b)->start;
}

int mig_look(struct mig *m, nvmlDevice_t d, struct machine_gpu *gpu, struct error *err)
{
    const struct board *b = &m->boards[gpu->board];
    gpu->gi_n = 0;
    if (gpu->mig != MACHINE_MIG_ON)
        return 0;
    nvmlReturn_t code = NVML_SUCCESS;
    for (unsigned i = 0; i < b->profile_n && code != NVML_ERROR_NO_PERMISSION; i++) {
        code = look_profile(m, d, b->profiles[i].id, gpu);
        if (code != NVML_SUCCESS && code != NVML_ERROR_NOT_SUPPORTED &&
            code != NVML_ERROR_INVALID_ARGUMENT && code != NVML_ERROR_NO_PERMISSION)
            return mig_error(m, code, err, "cannot list the instances of GPU %u", gpu->index);
    }
    if (code == NVML_ERROR_NO_PERMISSION)
        derive(m, d, gpu);
    look_uuids(m, d, gpu);
    qsort(gpu->gis, gpu->gi_n, sizeof gpu->gis[0], by_start);
    return 0;
}
