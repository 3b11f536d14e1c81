/* The rows of nvml_calls.def turn into the C that the real library has: spot checks of kinds that
 * are easy to get wrong, and that every parameter list fits the protocol's fixed frame. */
#include "nvml/calls.h"
#include "tests/tap.h"

static const struct {
    const char *name;
    struct nvml_param params[NVML_MAX_PARAMS];
    unsigned n;
} calls[] = {
#define CALL(name, fidelity, who, ...) \
    {#name, {NVML_PARAMS(__VA_ARGS__)}, NVML_COUNT(__VA_ARGS__)},
#define ALIAS(name, as, ...) {#name, {NVML_PARAMS(__VA_ARGS__)}, NVML_COUNT(__VA_ARGS__)},
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
};

enum { CALLS = sizeof calls / sizeof calls[0] };

/* Each of these fails to compile when a row's C type is not the documented one. */
static nvmlReturn_t (*const migMode)(nvmlDevice_t, unsigned *, unsigned *) = nvmlDeviceGetMigMode;
static nvmlReturn_t (*const byUuid)(const char *, nvmlDevice_t *) = nvmlDeviceGetHandleByUUID;
static nvmlReturn_t (*const shut)(void) = nvmlShutdown;

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t d, unsigned *a, unsigned *b)
{
    return d || a || b ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *u, nvmlDevice_t *d)
{
    return u || d ? NVML_SUCCESS : NVML_ERROR_UNKNOWN;
}

nvmlReturn_t nvmlShutdown(void)
{
    return NVML_SUCCESS;
}

TEST(types)
{
    CHECK(migMode(NULL, NULL, NULL) == NVML_ERROR_UNKNOWN);
    CHECK(byUuid(NULL, NULL) == NVML_ERROR_UNKNOWN);
    CHECK(shut() == NVML_SUCCESS);
}

TEST(names_are_unique_and_nvml)
{
    for (unsigned i = 0; i < CALLS; i++) {
        CHECK(strncmp(calls[i].name, "nvml", 4) == 0);
        for (unsigned j = 0; j < i; j++)
            CHECK(strcmp(calls[i].name, calls[j].name) != 0);
    }
}

/* The emulated library receives an array or struct straight into the caller's memory, which it can
 * only do when a call has at most one of them. */
TEST(one_array_or_struct_each)
{
    for (unsigned i = 0; i < CALLS; i++) {
        unsigned arrays = 0, counts = 0;
        for (unsigned p = 0; p < calls[i].n; p++) {
            unsigned kind = calls[i].params[p].kind;
            arrays += kind == NVML_KIND_ARR || kind == NVML_KIND_LST || kind == NVML_KIND_LSN;
            counts += kind == NVML_KIND_CNT;
        }
        CHECK_INT(arrays, ==, counts);
        CHECK_INT(arrays, <=, 1);
    }
}

TAP_MAIN
