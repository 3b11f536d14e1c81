/* The table of fidelity and the library agree: every function is called, and what the table calls
 * absent answers NOT_SUPPORTED, what it calls anything else does not claim to be missing. */
#include "shim/nvml/test-emulated.h"

static const struct {
    const char *name;
    enum nvml_fidelity fidelity;
    struct nvml_param params[NVML_MAX_PARAMS];
    unsigned n;
} calls[] = {
#define CALL(name, since, fidelity, who, ...) \
    {#name, NVML_##fidelity, {NVML_PARAMS(__VA_ARGS__)}, NVML_COUNT(__VA_ARGS__)},
#define ALIAS(name, since, as, ...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
};

typedef nvmlReturn_t any(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* Room for whatever any function writes. */
static _Alignas(16) char room[NVML_MAX_PARAMS][EMU_DATA];

/* An argument that a function of this row can bear: the first GPU, zero, one of each. */
static uint64_t argument(const struct nvml_param *params, unsigned i, nvmlDevice_t device)
{
    unsigned kind = params[i].kind, next = i + 1 < NVML_MAX_PARAMS ? params[i + 1].kind : 0;
    if (kind == NVML_KIND_DEV)
        return (uint64_t)(uintptr_t)device;
    if (kind == NVML_KIND_NUM)
        return next == NVML_KIND_SET || next == NVML_KIND_IOA;
    if (kind == NVML_KIND_LEN)
        return EMU_DATA;
    return kind >= NVML_KIND_STR ? (uint64_t)(uintptr_t)room[i] : 0;
}

static nvmlReturn_t call(unsigned c, nvmlDevice_t device)
{
    uint64_t a[NVML_MAX_PARAMS] = {0};
    void *found = dlsym(n.handle, calls[c].name);
    any *function;
    memcpy(&function, &found, sizeof function);
    memset(room, 0, sizeof room);
    for (unsigned i = 0; i < calls[c].n; i++)
        a[i] = argument(calls[c].params, i, device);
    return function(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
}

TEST(before_init_nothing_is_answered)
{
    REQUIRE(start("1xa100-80", NULL, NULL));
    for (unsigned c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        if (calls[c].fidelity == NVML_LOCAL)
            continue;
        nvmlReturn_t status = call(c, NULL);
        if (status != NVML_ERROR_UNINITIALIZED)
            TAP_FAIL("%s answers %d", calls[c].name, (int)status);
    }
    stop();
}

/* Whether an answer fits the row. */
static bool fits(enum nvml_fidelity fidelity, nvmlReturn_t status)
{
    if (fidelity == NVML_NONE)
        return status == NVML_ERROR_NOT_SUPPORTED;
    return status != NVML_ERROR_FUNCTION_NOT_FOUND && status != NVML_ERROR_UNINITIALIZED &&
           status != NVML_ERROR_DRIVER_NOT_LOADED && status != NVML_ERROR_UNKNOWN;
}

TEST(the_table_is_true)
{
    unsigned absent = 0;
    nvmlDevice_t device = NULL;
    REQUIRE(start("1xa100-80", NULL, NULL));
    REQUIRE(n.nvmlInit_v2() == NVML_SUCCESS);
    CHECK_INT(n.nvmlDeviceGetHandleByIndex_v2(0, &device), ==, 0);
    for (unsigned c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        if (calls[c].fidelity == NVML_LOCAL)
            continue;
        nvmlReturn_t status = call(c, device);
        absent += calls[c].fidelity == NVML_NONE;
        if (!fits(calls[c].fidelity, status))
            TAP_FAIL("%s answers %d", calls[c].name, (int)status);
    }
    printf("# %u of %zu calls are absent\n", absent, sizeof calls / sizeof calls[0]);
    CHECK_INT(n.nvmlShutdown(), ==, 0);
    stop();
}

TAP_MAIN
