/* The bodies of the calls about MIG: mode, MIG devices, GPU instances, compute instances. */
#include "emud/calls.h"

#include <stdio.h>
#include <string.h>

/* For calls that take a GPU and want it in MIG mode. */
static int need_mig_gpu(const struct ask *k)
{
    return calls_is_mig(k) ? NVML_ERROR_INVALID_ARGUMENT : (int)box_mig_ready(k->box, k->at.gpu);
}

int emud_nvmlDeviceGetMigMode(struct ask *k)
{
    const struct machine_gpu *g = &k->box->m.gpus[k->at.gpu];
    if (calls_is_mig(k))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (g->mig == MACHINE_MIG_NONE)
        return NVML_ERROR_NOT_SUPPORTED;
    (void)answer_number(k, g->mig == MACHINE_MIG_ON);
    return answer_number(k, g->mig_pending == MACHINE_MIG_ON);
}

int emud_nvmlDeviceSetMigMode(struct ask *k)
{
    enum box_status activation = BOX_OK;
    if (calls_is_mig(k) || k->request->arg[1] > 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    int status = (int)box_set_mig(k->box, k->session, k->at.gpu, calls_arg(k, 1) == 1, &activation);
    (void)answer_number(k, activation);
    return status;
}

int emud_nvmlDeviceGetMaxMigDeviceCount(struct ask *k)
{
    return calls_is_mig(k) ? NVML_ERROR_INVALID_ARGUMENT
                           : answer_number(k, box_mig_max(k->box, k->at.gpu));
}

int emud_nvmlDeviceGetMigDeviceHandleByIndex(struct ask *k)
{
    struct target at = k->at;
    if (calls_is_mig(k))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (k->box->m.gpus[at.gpu].mig == MACHINE_MIG_NONE)
        return NVML_ERROR_NOT_SUPPORTED;
    if (!box_mig_at(k->box, at.gpu, calls_arg(k, 1), &at.gi, &at.ci))
        return NVML_ERROR_NOT_FOUND;
    uint64_t handle = answer_device(k->box, at);
    return answer_put(k, &handle, sizeof handle);
}

int emud_nvmlDeviceIsMigDeviceHandle(struct ask *k)
{
    return answer_number(k, calls_is_mig(k));
}

int emud_nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct ask *k)
{
    if (!calls_is_mig(k))
        return NVML_ERROR_INVALID_ARGUMENT;
    uint64_t handle = answer_device(k->box, (struct target){k->at.gpu, BOX_ANY, BOX_ANY});
    return answer_put(k, &handle, sizeof handle);
}

int emud_nvmlDeviceGetGpuInstanceId(struct ask *k)
{
    return calls_is_mig(k) ? answer_number(k, (unsigned)k->at.gi) : NVML_ERROR_NOT_SUPPORTED;
}

int emud_nvmlDeviceGetComputeInstanceId(struct ask *k)
{
    return calls_is_mig(k) ? answer_number(k, (unsigned)k->at.ci) : NVML_ERROR_NOT_SUPPORTED;
}

int emud_nvmlDeviceGetAttributes_v2(struct ask *k)
{
    if (!calls_is_mig(k))
        return NVML_ERROR_NOT_SUPPORTED;
    const struct profile *p =
        &calls_board(k)->profiles[box_gi(k->box, k->at.gpu, k->at.gi)->profile];
    const struct machine_ci *ci = box_ci(k->box, k->at.gpu, k->at.gi, k->at.ci);
    struct ci_profile c = {0};
    (void)box_ci_profile(k->box, k->at.gpu, k->at.gi, ci->nvml, &c);
    nvmlDeviceAttributes_t a = {.multiprocessorCount = c.sms,
                                .sharedCopyEngineCount = p->ce,
                                .sharedDecoderCount = p->dec,
                                .sharedEncoderCount = p->enc,
                                .sharedJpegCount = p->jpeg,
                                .sharedOfaCount = p->ofa,
                                .gpuInstanceSliceCount = p->compute,
                                .computeInstanceSliceCount = c.compute,
                                .memorySizeMB = p->mib};
    return answer_put(k, &a, sizeof a);
}

/* The old layout is the new one without the memory at its end. */
int emud_nvmlDeviceGetAttributes(struct ask *k)
{
    int status = emud_nvmlDeviceGetAttributes_v2(k);
    k->answer->head.size = MIN(k->answer->head.size, (uint32_t)sizeof(nvmlDeviceAttributes_v1_t));
    return status;
}

/* The board's profile with NVML's enum `nvml`, or the code that says why there is none. */
static int find_profile(struct ask *k, unsigned nvml, const struct profile **ret)
{
    int status = need_mig_gpu(k);
    if (nvml >= NVML_GPU_INSTANCE_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (status != NVML_SUCCESS)
        return status;
    const struct board *board = calls_board(k);
    for (unsigned i = 0; i < board->profile_n; i++) {
        *ret = &board->profiles[i];
        if (board->profiles[i].nvml == nvml)
            return NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_SUPPORTED;
}

static unsigned capabilities(const struct profile *p)
{
    return strcmp(p->suffix, "+gfx") == 0 ? NVML_GPU_INSTANCE_PROFILE_CAPS_GFX : 0;
}

#define GI_FIELDS(p)                                                                               \
    .id = (p)->id, .sliceCount = (p)->compute, .instanceCount = (p)->max,                          \
    .multiprocessorCount = (p)->sms, .copyEngineCount = (p)->ce, .decoderCount = (p)->dec,         \
    .encoderCount = (p)->enc, .jpegCount = (p)->jpeg, .ofaCount = (p)->ofa,                        \
    .memorySizeMB = (p)->mib

int emud_nvmlDeviceGetGpuInstanceProfileInfo(struct ask *k)
{
    const struct profile *p = NULL;
    int status = find_profile(k, calls_arg(k, 1), &p);
    if (status != NVML_SUCCESS)
        return status;
    nvmlGpuInstanceProfileInfo_t info = {GI_FIELDS(p)};
    return answer_put(k, &info, sizeof info);
}

/* The driver writes "MIG " in front of the name, as nvidia-smi's listing shows it. */
static void name_profile(struct ask *k, const char *part, const struct profile *p,
                         char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE])
{
    char text[BOARD_PROFILE_NAME];
    (void)snprintf(name, NVML_DEVICE_NAME_V2_BUFFER_SIZE, "MIG %s%s", part,
                   board_profile_name(calls_board(k), p, text));
}

int emud_nvmlDeviceGetGpuInstanceProfileInfoV(struct ask *k)
{
    const struct profile *p = NULL;
    int status = find_profile(k, calls_arg(k, 1), &p);
    if (status != NVML_SUCCESS)
        return status;
    if (calls_arg(k, 2) == NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v2_t, 2)) {
        nvmlGpuInstanceProfileInfo_v2_t info = {.version = calls_arg(k, 2), GI_FIELDS(p)};
        name_profile(k, "", p, info.name);
        return answer_put(k, &info, sizeof info);
    }
    if (calls_arg(k, 2) == NVML_VERSION_WORD(nvmlGpuInstanceProfileInfo_v3_t, 3)) {
        nvmlGpuInstanceProfileInfo_v3_t info = {.version = calls_arg(k, 2), GI_FIELDS(p)};
        info.capabilities = capabilities(p);
        name_profile(k, "", p, info.name);
        return answer_put(k, &info, sizeof info);
    }
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}

/* Lists a set of starts as placements; a null array asks for the count alone. */
static int put_starts(struct ask *k, unsigned starts, unsigned size)
{
    for (unsigned start = 0; start < 16; start++) {
        nvmlGpuInstancePlacement_t placement = {start, size};
        if (!(starts >> start & 1))
            continue;
        k->answer->head.count++;
        if (k->request->arg[2])
            (void)answer_put(k, &placement, sizeof placement);
    }
    return NVML_SUCCESS;
}

/* All there ever can be, whatever the mode and whatever is occupied. */
int emud_nvmlDeviceGetGpuInstancePossiblePlacements_v2(struct ask *k)
{
    const struct board *board = calls_board(k);
    if (calls_is_mig(k))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (board->memory_slices == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned profile = board_profile_by_id(board, calls_arg(k, 1));
    if (profile == BOARD_NO_PROFILE)
        return NVML_ERROR_INVALID_ARGUMENT;
    return put_starts(k, board->profiles[profile].starts, board->profiles[profile].size);
}

int emud_nvmlDeviceGetGpuInstanceRemainingCapacity(struct ask *k)
{
    unsigned n = 0;
    int status = need_mig_gpu(k);
    if (status == NVML_SUCCESS)
        status = (int)box_gi_capacity(k->box, k->at.gpu, calls_arg(k, 1), &n);
    return status == NVML_SUCCESS ? answer_number(k, n) : status;
}

static int create_gi(struct ask *k, int start, unsigned size)
{
    int gi = BOX_ANY;
    int status = need_mig_gpu(k);
    if (status == NVML_SUCCESS)
        status = (int)box_gi_create(k->box, k->at.gpu, calls_arg(k, 1), start, size, &gi);
    if (status != NVML_SUCCESS)
        return status;
    uint64_t handle = answer_gi(k->box, k->at.gpu, gi);
    return answer_put(k, &handle, sizeof handle);
}

/* A placement in an argument; a start no board has stays one (never BOX_ANY). */
static nvmlGpuInstancePlacement_t placement_arg(const struct ask *k)
{
    nvmlGpuInstancePlacement_t placement;
    memcpy(&placement, &k->request->arg[2], sizeof placement);
    placement.start = MIN(placement.start, 255u);
    return placement;
}

int emud_nvmlDeviceCreateGpuInstance(struct ask *k)
{
    return create_gi(k, BOX_ANY, 0);
}

int emud_nvmlDeviceCreateGpuInstanceWithPlacement(struct ask *k)
{
    nvmlGpuInstancePlacement_t placement = placement_arg(k);
    return create_gi(k, (int)placement.start, placement.size);
}

int emud_nvmlGpuInstanceDestroy(struct ask *k)
{
    return (int)box_gi_destroy(k->box, k->at.gpu, k->at.gi);
}

int emud_nvmlDeviceGetGpuInstances(struct ask *k)
{
    int status = need_mig_gpu(k);
    if (status != NVML_SUCCESS)
        return status;
    unsigned profile = board_profile_by_id(calls_board(k), calls_arg(k, 1));
    if (profile == BOARD_NO_PROFILE)
        return NVML_ERROR_INVALID_ARGUMENT;
    const struct machine_gpu *g = &k->box->m.gpus[k->at.gpu];
    for (unsigned i = 0; i < g->gi_n; i++) {
        if (g->gis[i].profile != profile)
            continue;
        uint64_t handle = answer_gi(k->box, k->at.gpu, g->gis[i].id);
        (void)answer_put(k, &handle, sizeof handle);
        k->answer->head.count++;
    }
    return NVML_SUCCESS;
}

int emud_nvmlDeviceGetGpuInstanceById(struct ask *k)
{
    int status = need_mig_gpu(k);
    if (status != NVML_SUCCESS)
        return status;
    if (calls_arg(k, 1) >= BOARD_GIS || !box_gi(k->box, k->at.gpu, (int)calls_arg(k, 1)))
        return NVML_ERROR_NOT_FOUND;
    uint64_t handle = answer_gi(k->box, k->at.gpu, (int)calls_arg(k, 1));
    return answer_put(k, &handle, sizeof handle);
}

static nvmlDevice_t as_device(uint64_t handle)
{
    return (nvmlDevice_t)(uintptr_t)handle;
}

int emud_nvmlGpuInstanceGetInfo(struct ask *k)
{
    const struct machine_gi *gi = box_gi(k->box, k->at.gpu, k->at.gi);
    struct target parent = {k->at.gpu, BOX_ANY, BOX_ANY};
    nvmlGpuInstanceInfo_t info = {.device = as_device(answer_device(k->box, parent)),
                                  .id = gi->id,
                                  .profileId = calls_board(k)->profiles[gi->profile].id,
                                  .placement = {gi->start, gi->size}};
    return answer_put(k, &info, sizeof info);
}

/* The CI profile an argument names inside the GI. */
static int find_ci_profile(struct ask *k, unsigned nvml, struct ci_profile *ret)
{
    if (nvml >= NVML_COMPUTE_INSTANCE_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    return box_ci_profile(k->box, k->at.gpu, k->at.gi, nvml, ret) ? NVML_SUCCESS
                                                                  : NVML_ERROR_NOT_SUPPORTED;
}

/* The same for the calls that also name an engine profile, of which there is one. */
static int find_ci_and_engine(struct ask *k, struct ci_profile *ret, const struct profile **ret_gi)
{
    if (calls_arg(k, 2) >= NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    *ret_gi = &calls_board(k)->profiles[box_gi(k->box, k->at.gpu, k->at.gi)->profile];
    return find_ci_profile(k, calls_arg(k, 1), ret);
}

#define CI_FIELDS(c, p)                                                                            \
    .id = (c).nvml, .sliceCount = (c).compute, .instanceCount = (c).max,                           \
    .multiprocessorCount = (c).sms, .sharedCopyEngineCount = (p)->ce,                              \
    .sharedDecoderCount = (p)->dec, .sharedEncoderCount = (p)->enc, .sharedJpegCount = (p)->jpeg,  \
    .sharedOfaCount = (p)->ofa

int emud_nvmlGpuInstanceGetComputeInstanceProfileInfo(struct ask *k)
{
    struct ci_profile c = {0};
    const struct profile *p = NULL;
    int status = find_ci_and_engine(k, &c, &p);
    if (status != NVML_SUCCESS)
        return status;
    nvmlComputeInstanceProfileInfo_t info = {CI_FIELDS(c, p)};
    return answer_put(k, &info, sizeof info);
}

int emud_nvmlGpuInstanceGetComputeInstanceProfileInfoV(struct ask *k)
{
    struct ci_profile c = {0};
    const struct profile *p = NULL;
    char part[8] = "";
    int status = find_ci_and_engine(k, &c, &p);
    if (status != NVML_SUCCESS)
        return status;
    if (c.compute != p->compute)
        (void)snprintf(part, sizeof part, "%uc.", c.compute);
    if (calls_arg(k, 3) == NVML_VERSION_WORD(nvmlComputeInstanceProfileInfo_v2_t, 2)) {
        nvmlComputeInstanceProfileInfo_v2_t info = {.version = calls_arg(k, 3), CI_FIELDS(c, p)};
        name_profile(k, part, p, info.name);
        return answer_put(k, &info, sizeof info);
    }
    if (calls_arg(k, 3) == NVML_VERSION_WORD(nvmlComputeInstanceProfileInfo_v3_t, 3)) {
        nvmlComputeInstanceProfileInfo_v3_t info = {.version = calls_arg(k, 3), CI_FIELDS(c, p)};
        info.capabilities = capabilities(p) ? 1 : 0;
        name_profile(k, part, p, info.name);
        return answer_put(k, &info, sizeof info);
    }
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
}

int emud_nvmlGpuInstanceGetComputeInstanceRemainingCapacity(struct ask *k)
{
    unsigned n = 0;
    int status = (int)box_ci_capacity(k->box, k->at.gpu, k->at.gi, calls_arg(k, 1), &n);
    return status == NVML_SUCCESS ? answer_number(k, n) : status;
}

int emud_nvmlGpuInstanceGetComputeInstancePossiblePlacements(struct ask *k)
{
    struct ci_profile c = {0};
    int status = find_ci_profile(k, calls_arg(k, 1), &c);
    return status == NVML_SUCCESS ? put_starts(k, c.starts, c.size) : status;
}

static int create_ci(struct ask *k, int start, unsigned size)
{
    int ci = BOX_ANY;
    int status = (int)box_ci_create(k->box, k->at.gpu, k->at.gi, calls_arg(k, 1), start, size, &ci);
    if (status != NVML_SUCCESS)
        return status;
    uint64_t handle = answer_ci(k->box, k->at.gpu, k->at.gi, ci);
    return answer_put(k, &handle, sizeof handle);
}

int emud_nvmlGpuInstanceCreateComputeInstance(struct ask *k)
{
    return create_ci(k, BOX_ANY, 0);
}

int emud_nvmlGpuInstanceCreateComputeInstanceWithPlacement(struct ask *k)
{
    nvmlComputeInstancePlacement_t placement = placement_arg(k);
    return create_ci(k, (int)placement.start, placement.size);
}

int emud_nvmlComputeInstanceDestroy(struct ask *k)
{
    return (int)box_ci_destroy(k->box, k->at.gpu, k->at.gi, k->at.ci);
}

int emud_nvmlGpuInstanceGetComputeInstances(struct ask *k)
{
    struct ci_profile c = {0};
    int status = find_ci_profile(k, calls_arg(k, 1), &c);
    if (status != NVML_SUCCESS)
        return status;
    const struct machine_gi *gi = box_gi(k->box, k->at.gpu, k->at.gi);
    for (unsigned i = 0; i < gi->ci_n; i++) {
        if (gi->cis[i].nvml != c.nvml)
            continue;
        uint64_t handle = answer_ci(k->box, k->at.gpu, k->at.gi, gi->cis[i].id);
        (void)answer_put(k, &handle, sizeof handle);
        k->answer->head.count++;
    }
    return NVML_SUCCESS;
}

int emud_nvmlGpuInstanceGetComputeInstanceById(struct ask *k)
{
    if (calls_arg(k, 1) >= BOARD_CIS || !box_ci(k->box, k->at.gpu, k->at.gi, (int)calls_arg(k, 1)))
        return NVML_ERROR_NOT_FOUND;
    uint64_t handle = answer_ci(k->box, k->at.gpu, k->at.gi, (int)calls_arg(k, 1));
    return answer_put(k, &handle, sizeof handle);
}

int emud_nvmlComputeInstanceGetInfo_v2(struct ask *k)
{
    const struct machine_ci *ci = box_ci(k->box, k->at.gpu, k->at.gi, k->at.ci);
    uint64_t gi = answer_gi(k->box, k->at.gpu, k->at.gi);
    /* The parent, not the MIG device: nvidia-smi prints its index as the GPU's. */
    struct target parent = {k->at.gpu, BOX_ANY, BOX_ANY};
    nvmlComputeInstanceInfo_t info = {.device = as_device(answer_device(k->box, parent)),
                                      .gpuInstance = (nvmlGpuInstance_t)(uintptr_t)gi,
                                      .id = ci->id,
                                      .profileId = ci->nvml,
                                      .placement = {ci->start, ci->size}};
    return answer_put(k, &info, sizeof info);
}
