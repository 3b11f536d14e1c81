/* What a GPU remembers besides its instances: settings an administrator made, and errors it had.
 *
 * Settings follow real boards: those of the driver (persistence, compute mode, accounting, clocks,
 * power) are lost when the driver is unloaded, ECC mode takes effect with a reset. Error counters
 * are set by box_ecc, which is how a fault plan hurts a GPU's memory. */
#pragma once

#include "model/board.h"

struct box;

enum box_ecc_kind { BOX_ECC_CORRECTED, BOX_ECC_UNCORRECTED };
enum box_ecc_place { BOX_ECC_SRAM, BOX_ECC_DRAM };
enum { BOX_ECC_VOLATILE, BOX_ECC_AGGREGATE }; /* since the last reset; ever */

struct box_state {
    bool persistence, accounting;
    bool ecc, ecc_pending;
    uint8_t compute_mode;        /* NVML's enum */
    uint32_t power_mw;           /* limit asked for; 0: the board's */
    uint32_t app_sm, app_memory; /* applications clocks, MHz; 0: the board's */
    uint32_t lock_min, lock_max; /* locked graphics clocks, MHz; 0: not locked */
    uint32_t lock_memory_min, lock_memory_max;
    uint64_t ecc_n[2][2][2];    /* kind, place, volatile or aggregate */
    uint64_t ecc_gi[BOARD_GIS]; /* uncorrected SRAM errors of a GI since it was made */
    uint32_t remapped[2];       /* rows remapped, by kind of error */
    bool remap_pending, remap_failed;
};

/* The state of a GPU at power-on. */
void box_state_start(struct box_state *s);

/* What a reset does to it: pending modes take effect, volatile counters begin anew. */
void box_state_reset(struct box_state *s);

/* What survives the driver: ECC mode, aggregate counters, remapped rows. */
void box_state_keep(struct box_state *s, const struct box_state *old);

/* `n` memory errors happen on a GPU, in a GI (or BOX_ANY). Uncorrected ones raise the XIDs that
 * NVIDIA's XID catalogue lists for boards since A100: 63 (a row will be remapped, DRAM only) and 94
 * (contained), with the GI and its first CI. Nothing on a GPU that does not exist. */
void box_ecc(struct box *b, unsigned gpu, int gi, enum box_ecc_kind kind, enum box_ecc_place place,
             uint64_t n);
