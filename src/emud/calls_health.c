/* Health: ECC, remapped rows, temperatures, inforom. The counters are those of box_ecc: nothing
 * wears out by itself here.
 *
 * Temperatures are modelled from a measured idle value (physical.def), and there is none where none
 * was measured. Thresholds of Hopper are margins to a limit, which newer clients ask for as fields.
 */
#include "emud/calls.h"

/* Boards with HBM or ECC GDDR that have ECC on and cannot be without MIG: those with MIG. */
static bool has_ecc(const struct ask *k)
{
    return calls_board(k)->memory_slices > 0;
}

int emud_nvmlDeviceGetEccMode(struct ask *k)
{
    if (calls_is_mig(k) || !has_ecc(k))
        return NVML_ERROR_NOT_SUPPORTED;
    (void)answer_number(k, calls_state(k)->ecc);
    return answer_number(k, calls_state(k)->ecc_pending);
}

int emud_nvmlDeviceGetDefaultEccMode(struct ask *k)
{
    return has_ecc(k) ? calls_of_gpu(k, NVML_FEATURE_ENABLED) : (int)NVML_ERROR_NOT_SUPPORTED;
}

/* Takes effect at the next reset. */
int emud_nvmlDeviceSetEccMode(struct ask *k)
{
    if (calls_is_mig(k) || !has_ecc(k))
        return NVML_ERROR_NOT_SUPPORTED;
    if (calls_arg(k, 1) > 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    calls_state(k)->ecc_pending = calls_arg(k, 1);
    return NVML_SUCCESS;
}

enum { COUNTERS = 2, KINDS = 2, LOCATION_DRAM = 2, LOCATION_SRAM = 7, LOCATIONS = 8 };

/* The errors of one place on a GPU, or -1 if the place has no counter. A MIG device counts the
 * uncorrected ones of its SRAM since it was made, and nothing else. */
static int64_t count_errors(const struct ask *k, unsigned kind, unsigned counter, unsigned location)
{
    const struct box_state *s = calls_state(k);
    if (calls_is_mig(k)) {
        bool counted =
            kind == BOX_ECC_UNCORRECTED && counter == BOX_ECC_VOLATILE && location == LOCATION_SRAM;
        return counted ? (int64_t)s->ecc_gi[k->at.gi] : -1;
    }
    if (location == LOCATION_DRAM)
        return (int64_t)s->ecc_n[kind][BOX_ECC_DRAM][counter];
    if (location == LOCATION_SRAM)
        return (int64_t)s->ecc_n[kind][BOX_ECC_SRAM][counter];
    return -1;
}

/* The checks both counting calls make of their first two arguments. */
static int check_counter(const struct ask *k)
{
    if (!has_ecc(k) || !calls_state(k)->ecc)
        return NVML_ERROR_NOT_SUPPORTED;
    return calls_arg(k, 1) < KINDS && calls_arg(k, 2) < COUNTERS ? NVML_SUCCESS
                                                                 : NVML_ERROR_INVALID_ARGUMENT;
}

int emud_nvmlDeviceGetMemoryErrorCounter(struct ask *k)
{
    int status = check_counter(k);
    if (status != NVML_SUCCESS)
        return status;
    if (calls_arg(k, 3) >= LOCATIONS)
        return NVML_ERROR_INVALID_ARGUMENT;
    int64_t n = count_errors(k, calls_arg(k, 1), calls_arg(k, 2), calls_arg(k, 3));
    return n < 0 ? (int)NVML_ERROR_NOT_SUPPORTED : calls_long(k, (unsigned long long)n);
}

int emud_nvmlDeviceGetTotalEccErrors(struct ask *k)
{
    int status = check_counter(k);
    if (status != NVML_SUCCESS)
        return status;
    unsigned kind = calls_arg(k, 1), counter = calls_arg(k, 2);
    int64_t sram = count_errors(k, kind, counter, LOCATION_SRAM);
    int64_t dram = count_errors(k, kind, counter, LOCATION_DRAM);
    if (sram < 0)
        return NVML_ERROR_NOT_SUPPORTED;
    return calls_long(k, (unsigned long long)(sram + MAX(dram, 0)));
}

/* The newer way to ask for SRAM errors. Ours have no kind or place; SEC-DED is what most are, so
 * all of them count as that, and as of "other" parts (assumed). */
int emud_nvmlDeviceGetSramEccErrorStatus(struct ask *k)
{
    const struct box_state *s = calls_state(k);
    nvmlEccSramErrorStatus_v1_t status = {
        .version = NVML_VERSION_WORD(nvmlEccSramErrorStatus_v1_t, 1),
        .aggregateUncSecDed = s->ecc_n[BOX_ECC_UNCORRECTED][BOX_ECC_SRAM][BOX_ECC_AGGREGATE],
        .volatileUncSecDed = s->ecc_n[BOX_ECC_UNCORRECTED][BOX_ECC_SRAM][BOX_ECC_VOLATILE],
        .aggregateCor = s->ecc_n[BOX_ECC_CORRECTED][BOX_ECC_SRAM][BOX_ECC_AGGREGATE],
        .volatileCor = s->ecc_n[BOX_ECC_CORRECTED][BOX_ECC_SRAM][BOX_ECC_VOLATILE]};
    if (calls_arg(k, 1) != status.version)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (calls_is_mig(k) || !has_ecc(k) || !s->ecc)
        return NVML_ERROR_NOT_SUPPORTED;
    status.aggregateUncBucketOther = status.aggregateUncSecDed;
    return answer_put(k, &status, sizeof status);
}

int emud_nvmlDeviceClearEccErrorCounts(struct ask *k)
{
    unsigned counter = calls_arg(k, 1);
    if (calls_is_mig(k) || !has_ecc(k))
        return NVML_ERROR_NOT_SUPPORTED;
    if (counter >= COUNTERS)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned place = 0; place < 2; place++)
            calls_state(k)->ecc_n[kind][place][counter] = 0;
    return NVML_SUCCESS;
}

/* Not with MIG mode on: all published outputs say N/A there, as does NVML's own documentation. */
int emud_nvmlDeviceGetRemappedRows(struct ask *k)
{
    const struct box_state *s = calls_state(k);
    if (calls_is_mig(k) || calls_mig_mode(k) || !has_ecc(k))
        return NVML_ERROR_NOT_SUPPORTED;
    (void)answer_number(k, s->remapped[BOX_ECC_CORRECTED]);
    (void)answer_number(k, s->remapped[BOX_ECC_UNCORRECTED]);
    (void)answer_number(k, s->remap_pending);
    return answer_number(k, s->remap_failed);
}

/* How many banks can still remap how much. One row of a bank's eight remapped leaves it "high". */
int emud_nvmlDeviceGetRowRemapperHistogram(struct ask *k)
{
    const struct box_state *s = calls_state(k);
    unsigned banks = calls_physical(k)->remap_banks;
    if (calls_is_mig(k) || calls_mig_mode(k) || banks == 0)
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned hurt = MIN(s->remapped[BOX_ECC_CORRECTED] + s->remapped[BOX_ECC_UNCORRECTED], banks);
    (void)answer_number(k, banks - hurt);
    (void)answer_number(k, hurt);
    for (unsigned i = 0; i < 2; i++)
        (void)answer_number(k, 0);
    return answer_number(k, 0);
}

int emud_nvmlDeviceGetTemperature(struct ask *k)
{
    if (calls_arg(k, 1) != 0) /* NVML knows the GPU's sensor alone */
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_fact(k, (unsigned)calls_celsius(k, false));
}

int emud_nvmlDeviceGetTemperatureThreshold(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    const int8_t absolute[] = {p->c_shutdown, p->c_slowdown, p->c_memory_max, p->c_gpu_max};
    if (calls_arg(k, 1) > 6)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (p->c_limit || calls_arg(k, 1) >= ARRAY_LEN(absolute))
        return NVML_ERROR_NOT_SUPPORTED;
    return calls_fact(k, (unsigned)MAX(absolute[calls_arg(k, 1)], 0));
}

/* The image is printed on real boards' listings; nobody has checked ours against a checksum. */
int emud_nvmlDeviceGetInforomImageVersion(struct ask *k)
{
    return calls_text(k, 2, calls_physical(k)->inforom_image);
}

int emud_nvmlDeviceGetInforomVersion(struct ask *k)
{
    const struct physical *p = calls_physical(k);
    const char *const versions[] = {p->inforom_oem, p->inforom_ecc, NULL};
    if (calls_arg(k, 1) >= ARRAY_LEN(versions))
        return NVML_ERROR_INVALID_ARGUMENT;
    return calls_text(k, 3, versions[calls_arg(k, 1)]);
}

int emud_nvmlDeviceValidateInforom(struct ask *k)
{
    return calls_is_mig(k) || !calls_physical(k)->inforom_image ? NVML_ERROR_NOT_SUPPORTED
                                                                : NVML_SUCCESS;
}
