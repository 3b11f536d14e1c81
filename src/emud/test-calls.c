/* The bodies of calls, asked as the socket would ask them: what a real board's published listing
 * says, what is not known, what an administrator may set, and what nobody may. */
#include "base/time.h"
#include "emud/calls.h"
#include "tests/tap.h"

/* Events need a connection, which is the server's. */
int emud_nvmlDeviceRegisterEvents(struct ask *k)
{
    return k ? NVML_ERROR_NOT_SUPPORTED : NVML_SUCCESS;
}

int emud_nvmlEventSetWait(struct ask *k)
{
    return emud_nvmlDeviceRegisterEvents(k);
}

int emud_nvmlEventSetWait_v2(struct ask *k)
{
    return emud_nvmlDeviceRegisterEvents(k);
}

static struct box *make(const char *spec, bool mig)
{
    struct error err = {0};
    struct machine *m = calloc(1, sizeof *m);
    struct box *b = NULL;
    if (!m || machine_parse(spec, m, &err) < 0 || box_new(m, mig, 1000, &b, &err) < 0)
        TAP_FAIL("%s: %s", spec, err.text);
    free(m);
    return b;
}

static struct answer answer;
static struct box_session admin = {.pid = 1, .uid = 0}, user = {.pid = 2, .uid = 77};

/* Calls NVML's function `name` with up to three numbers after the device. */
static int ask(struct box *b, struct box_session *s, const char *name, struct target at,
               unsigned one, unsigned two, unsigned three)
{
    int call = answer_find(name);
    struct emu_request q = {.call = (uint16_t)call, .arg = {answer_device(b, at), one, two, three}};
    if (call < 0) {
        TAP_FAIL("%s is not a call", name);
        return -1;
    }
    answer_call(b, s, &q, &answer);
    return answer.head.status;
}

static unsigned number(unsigned i)
{
    unsigned value = 0;
    memcpy(&value, answer.data + 4 * (size_t)i, sizeof value);
    return value;
}

static unsigned long long long_at(unsigned i)
{
    unsigned long long value = 0;
    memcpy(&value, answer.data + 8 * (size_t)i, sizeof value);
    return value;
}

#define GPU(i)                                     ((struct target){(i), BOX_ANY, BOX_ANY})
#define ASK(s, name, at, ...)                      ask3(b, s, #name, at, ##__VA_ARGS__, 0, 0, 0)
#define ask3(b, s, name, at, one, two, three, ...) ask(b, s, name, at, one, two, three)

/* A MIG device of a GPU. */
static struct target slice(struct box *b, unsigned gpu, unsigned id, unsigned ci_profile)
{
    struct target at = {.gpu = gpu};
    CHECK_INT(box_gi_create(b, gpu, id, BOX_ANY, 0, &at.gi), ==, BOX_OK);
    CHECK_INT(box_ci_create(b, gpu, at.gi, ci_profile, BOX_ANY, 0, &at.ci), ==, BOX_OK);
    return at;
}

/* The published listing of an A100 80 GB with driver 535, and what it does not say. */
TEST(figures_are_those_of_published_listings)
{
    static const struct {
        const char *name;
        unsigned arg, value;
    } rows[] = {
        {"nvmlDeviceGetMaxClockInfo", 0, 1410},
        {"nvmlDeviceGetMaxClockInfo", 2, 1593},
        {"nvmlDeviceGetMaxClockInfo", 3, 1290},
        {"nvmlDeviceGetDefaultApplicationsClock", 1, 1275},
        {"nvmlDeviceGetTemperatureThreshold", 0, 92},
        {"nvmlDeviceGetTemperatureThreshold", 1, 89},
        {"nvmlDeviceGetTemperatureThreshold", 2, 95},
        {"nvmlDeviceGetTemperatureThreshold", 3, 85},
        {"nvmlDeviceGetMaxPcieLinkGeneration", 0, 4},
        {"nvmlDeviceGetCurrPcieLinkWidth", 0, 16},
        {"nvmlDeviceGetMemoryBusWidth", 0, 5120},
        {"nvmlDeviceGetNumGpuCores", 0, 6912},
        {"nvmlDeviceGetBrand", 0, 14},
        {"nvmlDeviceGetPowerManagementDefaultLimit", 0, 400000},
    };
    struct box *b = make("a100-80,gb10", false);
    REQUIRE(b);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_INT(ask(b, &user, rows[i].name, GPU(0), rows[i].arg, 0, 0), ==, NVML_SUCCESS);
        if (number(0) != rows[i].value)
            TAP_FAIL("%s(%u): %u, wanted %u", rows[i].name, rows[i].arg, number(0), rows[i].value);
    }
    CHECK_INT(ASK(&user, nvmlDeviceGetVbiosVersion, GPU(0), 0, 32), ==, NVML_SUCCESS);
    CHECK_STR((const char *)answer.data, "92.00.36.00.02");
    CHECK_INT(ASK(&user, nvmlDeviceGetVbiosVersion, GPU(0), 0, 5), ==,
              NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK_INT(ASK(&user, nvmlDeviceGetPowerManagementDefaultLimit, GPU(1)), ==,
              NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetEccMode, GPU(1)), ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetVbiosVersion, GPU(1), 0, 32), ==, NVML_ERROR_NOT_SUPPORTED);
    free(b);
}

TEST(serials_find_their_gpus)
{
    struct box *b = make("dgx-a100", false);
    char serials[8][16];
    REQUIRE(b);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_INT(ASK(&user, nvmlDeviceGetSerial, GPU(i), 0, 16), ==, NVML_SUCCESS);
        memcpy(serials[i], answer.data, 16);
        CHECK_INT(strlen(serials[i]), ==, 13);
        struct emu_request q = {.call = (uint16_t)answer_find("nvmlDeviceGetHandleBySerial")};
        memcpy(q.text, serials[i], 16);
        answer_call(b, &user, &q, &answer);
        CHECK_INT(answer.head.status, ==, NVML_SUCCESS);
        CHECK(long_at(0) == answer_device(b, GPU(i)));
        for (unsigned j = 0; j < i; j++)
            CHECK(strcmp(serials[i], serials[j]) != 0);
    }
    free(b);
}

TEST(only_root_sets_and_only_what_the_board_can)
{
    struct box *b = make("h100-sxm", false);
    REQUIRE(b);
    CHECK_INT(ASK(&user, nvmlDeviceSetPowerManagementLimit, GPU(0), 300000), ==,
              NVML_ERROR_NO_PERMISSION);
    CHECK_INT(ASK(&admin, nvmlDeviceSetPowerManagementLimit, GPU(0), 199999), ==,
              NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(ASK(&admin, nvmlDeviceSetPowerManagementLimit, GPU(0), 300000), ==, NVML_SUCCESS);
    CHECK_INT(ASK(&user, nvmlDeviceGetEnforcedPowerLimit, GPU(0)), ==, NVML_SUCCESS);
    CHECK_INT(number(0), ==, 300000);
    CHECK_INT(ASK(&user, nvmlDeviceSetPersistenceMode, GPU(0), 0), ==, NVML_ERROR_NO_PERMISSION);
    CHECK_INT(ASK(&admin, nvmlDeviceSetPersistenceMode, GPU(0), 0), ==, NVML_SUCCESS);
    CHECK_INT(ASK(&user, nvmlDeviceGetPersistenceMode, GPU(0)), ==, NVML_SUCCESS);
    CHECK_INT(number(0), ==, 0);
    CHECK_INT(ASK(&admin, nvmlDeviceSetComputeMode, GPU(0), 3), ==, NVML_SUCCESS);
    CHECK_INT(ASK(&admin, nvmlDeviceSetComputeMode, GPU(0), 4), ==, NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(ASK(&admin, nvmlDeviceSetApplicationsClocks, GPU(0), 2619, 1000), ==,
              NVML_ERROR_INVALID_ARGUMENT);
    CHECK_INT(ASK(&admin, nvmlDeviceSetApplicationsClocks, GPU(0), 2619, 1005), ==, NVML_SUCCESS);
    CHECK_INT(ASK(&user, nvmlDeviceGetApplicationsClock, GPU(0), 1), ==, NVML_SUCCESS);
    CHECK_INT(number(0), ==, 1005);
    CHECK_INT(ASK(&admin, nvmlDeviceSetEccMode, GPU(0), 0), ==, NVML_SUCCESS);
    CHECK_INT(ASK(&user, nvmlDeviceGetEccMode, GPU(0)), ==, NVML_SUCCESS);
    CHECK(number(0) == 1 && number(1) == 0);
    CHECK_INT(ASK(&admin, nvmlDeviceSetAccountingMode, GPU(0), 1), ==, NVML_ERROR_NOT_SUPPORTED);
    free(b);
}

/* The node of mig/config lets its readers partition, and nothing else. */
TEST(the_config_capability_is_for_instances_alone)
{
    struct box *b = make("a100-80", true);
    struct box_session reader = {.pid = 3, .uid = 77, .config = true};
    REQUIRE(b);
    CHECK_INT(ASK(&user, nvmlDeviceCreateGpuInstance, GPU(0), 9), ==, NVML_ERROR_NO_PERMISSION);
    CHECK_INT(ASK(&reader, nvmlDeviceCreateGpuInstance, GPU(0), 9), ==, NVML_SUCCESS);
    struct emu_request q = {.call = NVML_CALL_nvmlGpuInstanceDestroy, .arg = {long_at(0)}};
    answer_call(b, &user, &q, &answer);
    CHECK_INT(answer.head.status, ==, NVML_ERROR_NO_PERMISSION);
    answer_call(b, &reader, &q, &answer);
    CHECK_INT(answer.head.status, ==, NVML_SUCCESS);
    CHECK_INT(ASK(&reader, nvmlDeviceSetMigMode, GPU(0), 0, 1), ==, NVML_ERROR_NO_PERMISSION);
    CHECK_INT(ASK(&reader, nvmlDeviceSetPersistenceMode, GPU(0), 0), ==, NVML_ERROR_NO_PERMISSION);
    free(b);
}

TEST(supported_clocks_need_room)
{
    struct box *b = make("a100-40", true);
    REQUIRE(b);
    CHECK_INT(ASK(&user, nvmlDeviceGetSupportedGraphicsClocks, GPU(0), 1215, 10), ==,
              NVML_ERROR_INSUFFICIENT_SIZE);
    CHECK_INT(answer.head.count, ==, 81);
    CHECK_INT(ASK(&user, nvmlDeviceGetSupportedGraphicsClocks, GPU(0), 1215, 81), ==, NVML_SUCCESS);
    CHECK_INT(number(0), ==, 1410);
    CHECK_INT(number(80), ==, 210);
    CHECK_INT(ASK(&user, nvmlDeviceGetSupportedGraphicsClocks, GPU(0), 1, 81), ==,
              NVML_ERROR_NOT_FOUND);
    free(b);
}

TEST(mig_hides_what_belongs_to_a_whole_gpu)
{
    struct box *b = make("2xa100-80", true);
    REQUIRE(b);
    struct target at = slice(b, 0, 14, 1);
    CHECK_INT(ASK(&user, nvmlDeviceGetUtilizationRates, GPU(0)), ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetUtilizationRates, at), ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetRemappedRows, GPU(0)), ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetTemperature, at), ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetBAR1MemoryInfo, GPU(0)), ==, NVML_SUCCESS);
    CHECK_INT(long_at(0) >> 20, ==, 131072);
    CHECK_INT(ASK(&user, nvmlDeviceGetBAR1MemoryInfo, at), ==, NVML_SUCCESS);
    CHECK_INT(long_at(0) >> 20, ==, 32767); /* as the listing with four 1g.20gb says */
    CHECK_INT(ASK(&admin, nvmlDeviceSetComputeMode, GPU(0), 3), ==, NVML_ERROR_NOT_SUPPORTED);
    box_ecc(b, 0, at.gi, BOX_ECC_UNCORRECTED, BOX_ECC_SRAM, 3);
    CHECK_INT(ASK(&user, nvmlDeviceGetMemoryErrorCounter, at, 1, 0, 7), ==, NVML_SUCCESS);
    CHECK_INT(long_at(0), ==, 3);
    CHECK_INT(ASK(&user, nvmlDeviceGetMemoryErrorCounter, at, 0, 0, 7), ==,
              NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(ASK(&user, nvmlDeviceGetTotalEccErrors, GPU(0), 1, 0), ==, NVML_SUCCESS);
    CHECK_INT(long_at(0), ==, 3);
    CHECK_INT(ASK(&user, nvmlDeviceGetTotalEccErrors, GPU(1), 1, 0), ==, NVML_SUCCESS);
    CHECK_INT(long_at(0), ==, 0);
    CHECK_INT(ASK(&user, nvmlDeviceGetSramEccErrorStatus, GPU(0),
                  NVML_VERSION_WORD(nvmlEccSramErrorStatus_v1_t, 1)),
              ==, NVML_SUCCESS);
    CHECK_INT(((nvmlEccSramErrorStatus_v1_t *)(void *)answer.data)->volatileUncSecDed, ==, 3);
    CHECK_INT(ASK(&user, nvmlDeviceClearEccErrorCounts, GPU(0), 0), ==, NVML_ERROR_NO_PERMISSION);
    free(b);
}

static nvmlFieldValue_t field(struct box *b, unsigned gpu, unsigned id, unsigned scope)
{
    nvmlFieldValue_t v;
    const unsigned asked[] = {id, scope};
    struct emu_request q = {.call = NVML_CALL_nvmlDeviceGetFieldValues,
                            .arg = {answer_device(b, GPU(gpu)), 1, 1}};
    memcpy(q.text, asked, sizeof asked);
    answer_call(b, &user, &q, &answer);
    CHECK_INT(answer.head.status, ==, NVML_SUCCESS);
    CHECK_INT(answer.head.size, ==, sizeof v);
    memcpy(&v, answer.data, sizeof v);
    CHECK(v.fieldId == id && v.scopeId == scope);
    return v;
}

TEST(fields_say_for_themselves_what_they_cannot)
{
    struct box *b = make("a100-80,h100-sxm", true);
    REQUIRE(b);
    CHECK_INT(field(b, 1, 82, 0).value.uiVal, ==, 48);
    CHECK_INT(field(b, 1, 193, 0).value.siVal, ==, -8);
    CHECK_INT(field(b, 0, 193, 0).nvmlReturn, ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(field(b, 0, 184, 0).value.uiVal, ==, 0);
    CHECK_INT(field(b, 1, 184, 0).value.uiVal, ==, 1);
    CHECK_INT(field(b, 1, 188, 0).value.uiVal, ==, 700000);
    CHECK_INT(field(b, 1, 188, 1).nvmlReturn, ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(field(b, 1, 191, 0).nvmlReturn, ==, NVML_ERROR_NOT_SUPPORTED);
    CHECK_INT(field(b, 1, 143, 0).nvmlReturn, ==, NVML_ERROR_NOT_SUPPORTED); /* MIG mode */
    b->m.gpus[1].mig = MACHINE_MIG_OFF;
    box_ecc(b, 1, BOX_ANY, BOX_ECC_UNCORRECTED, BOX_ECC_DRAM, 2);
    CHECK_INT(field(b, 1, 143, 0).value.uiVal, ==, 2);
    CHECK_INT((int64_t)field(b, 1, 4, 0).value.ullVal, ==, 2);
    CHECK_INT(field(b, 1, 12345, 0).nvmlReturn, ==, NVML_ERROR_NOT_SUPPORTED);
    free(b);
}

TEST(a_busy_slice_draws_its_share_of_power)
{
    struct box *b = make("h100-sxm", true);
    struct box_session s = {.pid = 42, .uid = 77};
    REQUIRE(b);
    struct target at = slice(b, 0, 9, 2);
    box_enter(b, &s);
    CHECK_INT(box_open(b, &s, box_ci(b, 0, at.gi, at.ci)->uuid, 1), ==, BOX_OK);
    for (int64_t t = 2 * TIME_S; t > 0; t -= METER_STEP)
        CHECK(box_work_run(b, &s, time_boot() - t, METER_STEP, time_boot(), false, "x"));
    CHECK_INT(ASK(&user, nvmlDeviceGetPowerUsage, GPU(0)), ==, NVML_SUCCESS);
    CHECK(number(0) > 280000 && number(0) < 320000); /* three sevenths of it */
    free(b);
}

TEST(work_shows_where_there_is_no_mig)
{
    struct box *b = make("h100-sxm,gb10", false);
    struct box_session s = {.pid = 42, .uid = 77};
    nvmlProcessUtilizationSample_t sample;
    REQUIRE(b);
    box_enter(b, &s);
    CHECK_INT(ASK(&user, nvmlDeviceGetUtilizationRates, GPU(0)), ==, NVML_SUCCESS);
    CHECK_INT(number(0), ==, 0);
    CHECK_INT(box_open(b, &s, b->m.gpus[0].uuid, 1 << 20), ==, BOX_OK);
    for (int64_t t = 2 * TIME_S; t > 0; t -= METER_STEP)
        CHECK(box_work_run(b, &s, time_boot() - t, METER_STEP / 2, time_boot(), false, "x"));
    CHECK_INT(ASK(&user, nvmlDeviceGetUtilizationRates, GPU(0)), ==, NVML_SUCCESS);
    CHECK(number(0) > 40 && number(0) < 60);
    CHECK_INT(ASK(&user, nvmlDeviceGetPowerUsage, GPU(0)), ==, NVML_SUCCESS);
    CHECK(number(0) > 290000 && number(0) < 410000); /* half of what is between 70 and 629 W */
    CHECK_INT(ASK(&user, nvmlDeviceGetTemperature, GPU(0)), ==, NVML_SUCCESS);
    CHECK(number(0) > 46 && number(0) < 54); /* between 41 and 59 C */
    CHECK_INT(ASK(&user, nvmlDeviceGetCurrentClocksThrottleReasons, GPU(0)), ==, NVML_SUCCESS);
    CHECK_INT(long_at(0), ==, 0);
    CHECK_INT(ASK(&user, nvmlDeviceGetProcessUtilization, GPU(0), 1, 4, 0), ==, NVML_SUCCESS);
    memcpy(&sample, answer.data, sizeof sample);
    CHECK_INT(sample.pid, ==, 42);
    CHECK(sample.smUtil > 40 && sample.smUtil < 60);
    CHECK_INT(ASK(&user, nvmlDeviceGetComputeRunningProcesses_v3, GPU(0), 8), ==, NVML_SUCCESS);
    CHECK_INT(answer.head.count, ==, 1);
    CHECK_INT(ASK(&user, nvmlDeviceGetGraphicsRunningProcesses_v3, GPU(0), 8), ==, NVML_SUCCESS);
    CHECK_INT(answer.head.count, ==, 0);
    free(b);
}

/* Whatever a program asks with whatever numbers, the answer is one of NVML's and fits the frame. */
TEST(no_number_is_too_strange)
{
    static const unsigned strange[] = {0, 1, 2, 3, 7, 8, 14, 200, 0x7fffffff, 0xffffffff};
    struct box *b = make("a100-80,h100-sxm,gb10,b200", true);
    REQUIRE(b);
    struct target at[] = {GPU(0), GPU(1), GPU(2), GPU(3), slice(b, 0, 19, 0)};
    struct box_session s = {.pid = 9, .uid = 77};
    for (unsigned call = 0; call < NVML_CALL_N; call++) {
        for (unsigned i = 0; i < ARRAY_LEN(at) * ARRAY_LEN(strange) * ARRAY_LEN(strange); i++) {
            unsigned one = strange[i % 10], two = strange[i / 10 % 10];
            struct emu_request q = {.call = (uint16_t)call,
                                    .arg = {answer_device(b, at[i / 100]), one, two, two}};
            answer_call(b, &s, &q, &answer);
            if (answer.head.size > EMU_DATA || answer.head.status < 0)
                TAP_FAIL("call %u(%u, %u): status %d, size %u", call, one, two, answer.head.status,
                         answer.head.size);
        }
    }
    free(b);
}

TAP_MAIN
