/* What kind of hardware a board is, beyond what it can be cut into: clocks, power, links, versions.
 *
 * Facts for the emulated driver alone, which is why they are not in the model: nothing decides on
 * them. They come from physical.def, each with its source; a figure that no public source tells is
 * 0 or "", and then the driver says NOT_SUPPORTED instead of inventing one. */
#pragma once

#include "model/board.h"

struct physical {
    const char *board; /* the model's name of it */

    /* Versions and part numbers, as printed on one real board; NULL when not known. */
    const char *vbios, *inforom_image, *inforom_oem, *inforom_ecc, *board_part, *gpu_part;
    uint32_t subsystem; /* PCI subsystem, 0xDDDDVVVV */
    uint8_t brand;      /* NVML's enum */
    uint8_t pcie_gen, pcie_width;
    uint16_t bus_bits;     /* memory bus */
    uint32_t bar1_mib;     /* PCI BAR1 aperture; a GI has its share of it, less 1 MiB (all dumps) */
    uint32_t reserved_mib; /* memory the driver keeps for itself on a whole GPU */

    uint16_t watt_min, watt_default, watt_max; /* power limits */
    uint16_t mhz_sm_max, mhz_memory, mhz_video_max;
    uint16_t mhz_sm_application; /* default applications clock */
    uint16_t mhz_sm_min;         /* lowest supported graphics clock, in steps of 15 */
    uint16_t mhz_sm_idle, mhz_video_idle;  /* measured idle */
    uint16_t remap_banks; /* memory banks, all of which can be remapped when new */

    /* Temperatures, degrees C: absolute thresholds, or (Hopper) margins to a limit. */
    int8_t c_shutdown, c_slowdown, c_gpu_max, c_memory_max;
    int8_t c_limit; /* the limit that margins count from; 0: thresholds are absolute */
    int8_t c_idle, c_memory_idle; /* measured idle, for the model of heat */
    uint16_t watt_idle;           /* measured idle, for the model of power */
    uint16_t watt_busy;           /* measured with every SM at work; 0: not known */
};

/* The figures of a board by the model's name; a row of zeros where nothing is known. Never NULL. */
const struct physical *physical_of(const char *board);

/* CUDA cores of one SM by compute capability (CUDA programming guide); 0 if it is not listed. */
unsigned physical_cores_per_sm(const struct board *b);
