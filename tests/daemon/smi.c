/* What an administrator with NVIDIA's own tool sees and does, beside fetta and behind its back:
 * lists the instances the driver has, makes them and destroys them. Tests compare this with what
 * fettad says, so nothing of fettad's own way to the driver is used but the table of calls. */
#include "nvml/calls.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

static struct {
#define CALL(name, since, fidelity, who, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#define ALIAS(name, since, as, ...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
} n;

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        (void)fprintf(stderr, "smi: %s\n", dlerror());
        exit(1);
    }
#define CALL(name, since, fidelity, who, ...) *(void **)&n.name = dlsym(library, #name);
#define ALIAS(name, since, as, ...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
}

static void must(nvmlReturn_t code, const char *what)
{
    if (code == NVML_SUCCESS)
        return;
    (void)fprintf(stderr, "smi: %s: code %d\n", what, (int)code);
    exit(1);
}

/* The MIG device of an instance, by looking at all of them; "-" if there is none. */
static void find_uuid(nvmlDevice_t gpu, unsigned gi, char *ret, unsigned size)
{
    nvmlDevice_t mig = NULL;
    unsigned most = 0, id = 0;
    (void)snprintf(ret, size, "-");
    if (n.nvmlDeviceGetMaxMigDeviceCount(gpu, &most) != NVML_SUCCESS)
        return;
    for (unsigned i = 0; i < most; i++) {
        if (n.nvmlDeviceGetMigDeviceHandleByIndex(gpu, i, &mig) != NVML_SUCCESS)
            continue;
        if (n.nvmlDeviceGetGpuInstanceId(mig, &id) == NVML_SUCCESS && id == gi)
            must(n.nvmlDeviceGetUUID(mig, ret, size), "uuid");
    }
}

static unsigned count_compute(nvmlGpuInstance_t gi)
{
    unsigned all = 0;
    for (unsigned p = 0; p < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; p++) {
        nvmlComputeInstanceProfileInfo_t info;
        nvmlComputeInstance_t found[MOST];
        unsigned count = 0;
        if (n.nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, p, 0, &info) == NVML_SUCCESS &&
            n.nvmlGpuInstanceGetComputeInstances(gi, info.id, found, &count) == NVML_SUCCESS)
            all += count;
    }
    return all;
}

/* "gi GPU ID PROFILE START SIZE CIS UUID" for each instance. */
static void list_gpu(unsigned index)
{
    nvmlDevice_t gpu = NULL;
    unsigned now = 0, pending = 0;
    char uuid[96];
    if (n.nvmlDeviceGetHandleByIndex_v2(index, &gpu) != NVML_SUCCESS)
        return;
    if (n.nvmlDeviceGetMigMode(gpu, &now, &pending) != NVML_SUCCESS)
        now = 2;
    (void)printf("gpu %u mig %u\n", index, now);
    for (unsigned p = 0; p < NVML_GPU_INSTANCE_PROFILE_COUNT && now == 1; p++) {
        nvmlGpuInstanceProfileInfo_t profile;
        nvmlGpuInstance_t found[MOST];
        unsigned count = 0;
        if (n.nvmlDeviceGetGpuInstanceProfileInfo(gpu, p, &profile) != NVML_SUCCESS)
            continue;
        must(n.nvmlDeviceGetGpuInstances(gpu, profile.id, found, &count), "instances");
        for (unsigned i = 0; i < count; i++) {
            nvmlGpuInstanceInfo_t info;
            must(n.nvmlGpuInstanceGetInfo(found[i], &info), "info");
            find_uuid(gpu, info.id, uuid, sizeof uuid);
            (void)printf("gi %u %u %u %u %u %u %s\n", index, info.id, profile.id,
                         info.placement.start, info.placement.size, count_compute(found[i]), uuid);
        }
    }
}

static void create(nvmlDevice_t gpu, unsigned profile, const char *start)
{
    nvmlGpuInstance_t gi;
    nvmlGpuInstanceInfo_t info;
    if (start) {
        nvmlGpuInstancePlacement_t places[MOST], *at = NULL;
        unsigned count = 0, want = (unsigned)strtoul(start, NULL, 10);
        must(n.nvmlDeviceGetGpuInstancePossiblePlacements_v2(gpu, profile, places, &count),
             "placements");
        for (unsigned i = 0; i < count; i++)
            if (places[i].start == want)
                at = &places[i];
        must(at ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND, "no such placement");
        must(n.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, profile, at, &gi), "create");
    } else {
        must(n.nvmlDeviceCreateGpuInstance(gpu, profile, &gi), "create");
    }
    must(n.nvmlGpuInstanceGetInfo(gi, &info), "info");
    nvmlComputeInstanceProfileInfo_t best = {0}, one;
    nvmlComputeInstance_t ci;
    for (unsigned p = 0; p < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; p++)
        if (n.nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, p, 0, &one) == NVML_SUCCESS &&
            one.sliceCount > best.sliceCount)
            best = one;
    must(n.nvmlGpuInstanceCreateComputeInstance(gi, best.id, &ci), "create compute instance");
    (void)printf("%u\n", info.id);
}

static void destroy(nvmlDevice_t gpu, unsigned id)
{
    nvmlGpuInstance_t gi;
    must(n.nvmlDeviceGetGpuInstanceById(gpu, id, &gi), "find");
    for (unsigned p = 0; p < NVML_COMPUTE_INSTANCE_PROFILE_COUNT; p++) {
        nvmlComputeInstanceProfileInfo_t info;
        nvmlComputeInstance_t found[MOST];
        unsigned count = 0;
        if (n.nvmlGpuInstanceGetComputeInstanceProfileInfo(gi, p, 0, &info) != NVML_SUCCESS ||
            n.nvmlGpuInstanceGetComputeInstances(gi, info.id, found, &count) != NVML_SUCCESS)
            continue;
        for (unsigned i = 0; i < count; i++)
            must(n.nvmlComputeInstanceDestroy(found[i]), "destroy compute instance");
    }
    must(n.nvmlGpuInstanceDestroy(gi), "destroy");
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    nvmlDevice_t gpu = NULL;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: smi LIBRARY list | create GPU PROFILE [START] | "
                              "destroy GPU GI\n");
        return 2;
    }
    load(argv[1]);
    must(n.nvmlInit_v2(), "init");
    if (strcmp(argv[2], "list") == 0) {
        must(n.nvmlDeviceGetCount_v2(&count), "count");
        for (unsigned i = 0; i < count; i++)
            list_gpu(i);
    } else if (argc >= 5) {
        must(n.nvmlDeviceGetHandleByIndex_v2((unsigned)strtoul(argv[3], NULL, 10), &gpu), "handle");
        unsigned number = (unsigned)strtoul(argv[4], NULL, 10);
        if (strcmp(argv[2], "create") == 0)
            create(gpu, number, argc > 5 ? argv[5] : NULL);
        else
            destroy(gpu, number);
    }
    must(n.nvmlShutdown(), "shutdown");
    return 0;
}
