/* An administrator who changes a GPU's layout by hand, as `nvidia-smi mig` would: straight through the NVML
 * library and past fettad, which must notice, show it, and keep its hands off.
 *
 *     by-hand LIBRARY create GPU     makes a 3g instance wherever it fits, prints its id
 *     by-hand LIBRARY list GPU       prints the ids of its 3g instances
 *     by-hand LIBRARY destroy GPU ID
 */
#include "nvml/abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROFILE_3G = 9, SOME = 8 };

struct nvml {
    nvmlReturn_t (*init)(void);
    nvmlReturn_t (*shutdown)(void);
    nvmlReturn_t (*handle)(unsigned int, nvmlDevice_t *);
    nvmlReturn_t (*create)(nvmlDevice_t, unsigned int, nvmlGpuInstance_t *);
    nvmlReturn_t (*list)(nvmlDevice_t, unsigned int, nvmlGpuInstance_t *, unsigned int *);
    nvmlReturn_t (*info)(nvmlGpuInstance_t, nvmlGpuInstanceInfo_t *);
    nvmlReturn_t (*destroy)(nvmlGpuInstance_t);
};

static const char *const names[] = {
    "nvmlInit_v2",
    "nvmlShutdown",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceCreateGpuInstance",
    "nvmlDeviceGetGpuInstances",
    "nvmlGpuInstanceGetInfo",
    "nvmlGpuInstanceDestroy",
};

static int find(const char *library, struct nvml *ret)
{
    void *symbols[sizeof names / sizeof *names];
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; handle && i < sizeof names / sizeof *names; i++) {
        symbols[i] = dlsym(handle, names[i]);
        if (!symbols[i])
            handle = NULL;
    }
    if (!handle) {
        (void)fprintf(stderr, "by-hand: %s\n", dlerror());
        return -1;
    }
    memcpy(ret, symbols, sizeof symbols);
    return 0;
}

static int tell(const struct nvml *n, nvmlGpuInstance_t gi)
{
    nvmlGpuInstanceInfo_t info;
    nvmlReturn_t r = n->info(gi, &info);
    if (r == NVML_SUCCESS)
        (void)printf("%u\n", info.id);
    return (int)r;
}

static int act(const struct nvml *n, nvmlDevice_t gpu, const char *verb, const char *id)
{
    nvmlGpuInstance_t gis[SOME];
    nvmlGpuInstanceInfo_t info;
    unsigned int count = 0;
    if (strcmp(verb, "create") == 0) {
        nvmlReturn_t r = n->create(gpu, PROFILE_3G, gis);
        return r == NVML_SUCCESS ? tell(n, gis[0]) : (int)r;
    }
    int r = (int)n->list(gpu, PROFILE_3G, gis, &count);
    for (unsigned int i = 0; r == 0 && i < count; i++) {
        r = (int)n->info(gis[i], &info);
        if (r == 0 && strcmp(verb, "list") == 0)
            r = tell(n, gis[i]);
        else if (r == 0 && id && info.id == strtoul(id, NULL, 10))
            return (int)n->destroy(gis[i]);
    }
    return r;
}

int main(int argc, char **argv)
{
    struct nvml n;
    nvmlDevice_t gpu;
    if (argc < 4 || find(argv[1], &n) < 0)
        return 2;
    int r = (int)n.init();
    if (r == 0)
        r = (int)n.handle((unsigned int)strtoul(argv[3], NULL, 10), &gpu);
    if (r == 0)
        r = act(&n, gpu, argv[2], argc > 4 ? argv[4] : NULL);
    if (r)
        (void)fprintf(stderr, "by-hand: the driver refuses with code %d\n", r);
    (void)n.shutdown();
    return r != 0;
}
