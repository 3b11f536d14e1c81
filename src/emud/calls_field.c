/* nvmlDeviceGetFieldValues: figures by number, each with a return code of its own.
 *
 * The fields nvidia-smi and the monitors ask for; any other is NOT_SUPPORTED, as a driver says of
 * a field it does not have. Most are answered by the functions of the same meaning elsewhere. */
#include "emud/calls.h"

#include "base/time.h"

#include <string.h>

enum {
    FIELD_ECC_CURRENT = 1,
    FIELD_ECC_PENDING = 2,
    FIELD_ECC_SBE_VOLATILE = 3,
    FIELD_ECC_DBE_VOLATILE = 4,
    FIELD_ECC_SBE_AGGREGATE = 5,
    FIELD_ECC_DBE_AGGREGATE = 6,
    FIELD_MEMORY_TEMPERATURE = 82,
    FIELD_PCIE_REPLAYS = 94,
    FIELD_PCIE_REPLAY_ROLLOVERS = 95,
    FIELD_REMAPPED_CORRECTABLE = 142,
    FIELD_REMAPPED_UNCORRECTABLE = 143,
    FIELD_REMAPPED_PENDING = 144,
    FIELD_REMAPPED_FAILURE = 145,
    FIELD_RESETLESS_MIG = 184,
    FIELD_POWER_AVERAGE = 185,
    FIELD_POWER_INSTANT = 186,
    FIELD_POWER_MIN = 187,
    FIELD_POWER_MAX = 188,
    FIELD_POWER_DEFAULT = 189,
    FIELD_POWER_CURRENT = 190,
    FIELD_ENERGY = 191,
    FIELD_POWER_REQUESTED = 192,
    FIELD_SHUTDOWN_MARGIN = 193,
    FIELD_SLOWDOWN_MARGIN = 194,
    FIELD_MEMORY_MARGIN = 195,
    FIELD_GPU_MARGIN = 196,
    FIELD_MIG_QUERY_WITHOUT_MODE = 199,
};

enum { SCOPE_GPU = 0 }; /* NVML's scopes of power */
enum { FIELDS = MIN(EMU_TEXT / EMU_INPUT, EMU_DATA / sizeof(nvmlFieldValue_t)) };

static void set_unsigned(nvmlFieldValue_t *v, unsigned value)
{
    v->valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
    v->value.uiVal = value;
    v->nvmlReturn = NVML_SUCCESS;
}

static void set_signed(nvmlFieldValue_t *v, int value)
{
    v->valueType = NVML_VALUE_TYPE_SIGNED_INT;
    v->value.siVal = value;
    v->nvmlReturn = NVML_SUCCESS;
}

/* A figure of the board, unless it is not known. */
static void set_fact(nvmlFieldValue_t *v, unsigned value)
{
    if (value)
        set_unsigned(v, value);
}

static void set_errors(const struct ask *k, nvmlFieldValue_t *v, unsigned kind, unsigned counter)
{
    const struct box_state *s = calls_state(k);
    if (calls_board(k)->memory_slices == 0 || !s->ecc)
        return;
    v->valueType = NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
    v->value.ullVal = s->ecc_n[kind][BOX_ECC_SRAM][counter] + s->ecc_n[kind][BOX_ECC_DRAM][counter];
    v->nvmlReturn = NVML_SUCCESS;
}

static void set_ecc(const struct ask *k, nvmlFieldValue_t *v)
{
    const struct box_state *s = calls_state(k);
    unsigned counter = v->fieldId <= FIELD_ECC_DBE_VOLATILE ? BOX_ECC_VOLATILE : BOX_ECC_AGGREGATE;
    if (calls_board(k)->memory_slices == 0)
        return;
    if (v->fieldId == FIELD_ECC_CURRENT)
        set_unsigned(v, s->ecc);
    else if (v->fieldId == FIELD_ECC_PENDING)
        set_unsigned(v, s->ecc_pending);
    else
        set_errors(k, v, v->fieldId % 2 ? BOX_ECC_CORRECTED : BOX_ECC_UNCORRECTED, counter);
}

/* Remapped rows are not told with MIG mode on. */
static void set_remapped(const struct ask *k, nvmlFieldValue_t *v)
{
    const struct box_state *s = calls_state(k);
    const unsigned values[] = {s->remapped[BOX_ECC_CORRECTED], s->remapped[BOX_ECC_UNCORRECTED],
                               s->remap_pending, s->remap_failed};
    if (calls_board(k)->memory_slices > 0 && !calls_mig_mode(k))
        set_unsigned(v, values[v->fieldId - FIELD_REMAPPED_CORRECTABLE]);
}

/* Of the GPU; for the scopes of memory and module nothing is modelled. */
static void set_power(const struct ask *k, nvmlFieldValue_t *v)
{
    const struct physical *p = calls_physical(k);
    unsigned set = calls_state(k)->power_mw;
    unsigned limit = set ? set : p->watt_default * 1000u;
    if (v->scopeId != SCOPE_GPU)
        return;
    switch (v->fieldId) {
    case FIELD_POWER_AVERAGE:
    case FIELD_POWER_INSTANT:
        set_fact(v, calls_power_mw(k));
        return;
    case FIELD_POWER_MIN:
        set_fact(v, p->watt_min * 1000u);
        return;
    case FIELD_POWER_MAX:
        set_fact(v, p->watt_max * 1000u);
        return;
    case FIELD_POWER_DEFAULT:
        set_fact(v, p->watt_default * 1000u);
        return;
    default: /* the limit now, and the one asked for */
        set_fact(v, limit);
        return;
    }
}

/* Margins to the limit of the temperature; only boards that have one tell them. */
static void set_margin(const struct ask *k, nvmlFieldValue_t *v)
{
    const struct physical *p = calls_physical(k);
    const int8_t margins[] = {p->c_shutdown, p->c_slowdown, p->c_memory_max, p->c_gpu_max};
    if (p->c_limit)
        set_signed(v, margins[v->fieldId - FIELD_SHUTDOWN_MARGIN]);
}

/* Things that are one figure each. */
static void set_single(const struct ask *k, nvmlFieldValue_t *v)
{
    const struct physical *p = calls_physical(k);
    const struct board *board = calls_board(k);
    switch (v->fieldId) {
    case FIELD_MEMORY_TEMPERATURE:
        set_fact(v, (unsigned)calls_celsius(k, true));
        return;
    case FIELD_PCIE_REPLAYS:
    case FIELD_PCIE_REPLAY_ROLLOVERS:
        if (p->pcie_gen)
            set_unsigned(v, 0);
        return;
    case FIELD_RESETLESS_MIG:
        if (board->memory_slices > 0)
            set_unsigned(v, board->family != BOARD_AMPERE);
        return;
    case FIELD_MIG_QUERY_WITHOUT_MODE:
        if (board->memory_slices > 0)
            set_unsigned(v, 0);
        return;
    default: /* a number from outside, not an enum */
        return;
    }
}

static bool is_between(unsigned field, unsigned first, unsigned last)
{
    return field >= first && field <= last;
}

/* Fields of a whole GPU; leaves NOT_SUPPORTED where there is nothing to tell. */
static void set_gpu_field(const struct ask *k, nvmlFieldValue_t *v)
{
    unsigned field = v->fieldId;
    if (is_between(field, FIELD_ECC_CURRENT, FIELD_ECC_DBE_AGGREGATE))
        set_ecc(k, v);
    else if (is_between(field, FIELD_REMAPPED_CORRECTABLE, FIELD_REMAPPED_FAILURE))
        set_remapped(k, v);
    else if (is_between(field, FIELD_POWER_AVERAGE, FIELD_POWER_REQUESTED) && field != FIELD_ENERGY)
        set_power(k, v);
    else if (is_between(field, FIELD_SHUTDOWN_MARGIN, FIELD_GPU_MARGIN))
        set_margin(k, v);
    else
        set_single(k, v);
}

/* The request's text has the number and the scope of each field. */
int emud_nvmlDeviceGetFieldValues(struct ask *k)
{
    int count = (int)calls_arg(k, 1);
    if (count <= 0 || (size_t)count > FIELDS)
        return NVML_ERROR_INVALID_ARGUMENT;
    for (int i = 0; i < count; i++) {
        nvmlFieldValue_t v = {.timestamp = time_wall() / TIME_US,
                              .valueType = NVML_VALUE_TYPE_UNSIGNED_INT,
                              .nvmlReturn = NVML_ERROR_NOT_SUPPORTED};
        memcpy(&v, k->request->text + (size_t)i * EMU_INPUT, EMU_INPUT);
        if (!calls_is_mig(k))
            set_gpu_field(k, &v);
        (void)answer_put(k, &v, sizeof v);
    }
    return NVML_SUCCESS;
}
