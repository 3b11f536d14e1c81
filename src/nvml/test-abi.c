/* The rows of nvml_calls.def turn into the C that the real library has: spot checks of kinds that
 * are easy to get wrong, and that every parameter list fits the protocol's fixed frame. */
#include "nvml/calls.h"
#include "tests/tap.h"

static const struct {
    const char *name;
    struct nvml_param params[NVML_MAX_PARAMS];
    unsigned n;
} calls[] = {
#define CALL(name, since, fidelity, who, ...) \
    {#name, {NVML_PARAMS(__VA_ARGS__)}, NVML_COUNT(__VA_ARGS__)},
#define ALIAS(name, since, as, ...) {#name, {NVML_PARAMS(__VA_ARGS__)}, NVML_COUNT(__VA_ARGS__)},
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

/* What the library relies on: a count for arrays, a size behind a text, a number before a set. */
TEST(kinds_come_with_their_sizes)
{
    for (unsigned i = 0; i < CALLS; i++) {
        const struct nvml_param *p = calls[i].params;
        unsigned arrays = 0, counts = 0;
        for (unsigned k = 0; k < calls[i].n; k++) {
            unsigned next = k + 1 < calls[i].n ? p[k + 1].kind : NVML_KIND_NONE;
            unsigned before = k > 0 ? p[k - 1].kind : NVML_KIND_NONE;
            arrays += p[k].kind == NVML_KIND_ARR || p[k].kind == NVML_KIND_LST ||
                      p[k].kind == NVML_KIND_LSN;
            counts += p[k].kind == NVML_KIND_CNT;
            if (p[k].kind == NVML_KIND_BUF || p[k].kind == NVML_KIND_RAW)
                CHECK_INT(next, ==, NVML_KIND_LEN);
            if (p[k].kind == NVML_KIND_SET || p[k].kind == NVML_KIND_IOA)
                CHECK_INT(before, ==, NVML_KIND_NUM);
            CHECK(p[k].size > 0);
        }
        CHECK_INT(arrays > 0, ==, counts);
    }
}

TAP_MAIN
