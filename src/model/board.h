/* A board as data: what one kind of GPU can be cut into.
 *
 * The built-in boards come from tables/NAME.def (facts recorded from real machines); a board can
 * equally be filled from what a driver reports, so nothing below knows any board's geometry.
 *
 * Memory slices and compute slices are NVIDIA's: an A100 has 8 memory slices and 7 compute slices.
 * A GPU instance (GI) occupies the memory slices start .. start+size-1; two GIs conflict iff these
 * ranges overlap, or a media-engine limit (`max`, `media`) is exceeded. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint16_t slices; /* a set of memory slices, bit s = memory slice s */

enum {
    BOARD_PROFILES = 16,   /* most GI profiles of one board */
    BOARD_CI_PROFILES = 9, /* NVML's compute-instance profile enum, 0..8 */
    BOARD_GIS = 15,        /* GI ids are 0..14 */
    BOARD_CIS = 8,         /* compute instances of one GI */
    BOARD_NAME = 24,
    BOARD_PRODUCT = 64,
    BOARD_PROFILE_NAME = 32,
    BOARD_NO_PROFILE = 0xff,
};

enum board_family { BOARD_AMPERE, BOARD_HOPPER, BOARD_BLACKWELL, BOARD_OTHER };

struct profile {
    uint8_t nvml;    /* NVML's enum, argument of GetGpuInstanceProfileInfo */
    uint8_t id;      /* the id nvidia-smi shows and create takes; differs per board family */
    uint8_t compute; /* compute slices, the g of the name */
    uint8_t size;    /* memory slices */
    slices starts;   /* memory slices it may start at */
    uint8_t max;     /* most instances of it on one GPU */
    uint8_t ce, dec, enc, jpeg, ofa; /* copy and media engines */
    uint8_t l2;                      /* share of L2 in l2_of-ths; 0 when not known */
    uint8_t l2_of;
    uint16_t sms;    /* streaming multiprocessors */
    uint32_t mib;    /* memory, MiB */
    char suffix[10]; /* "", "+me", "-me", "+gfx", "+me.all" */
};

struct board {
    char name[BOARD_NAME];       /* "a100-80" */
    char product[BOARD_PRODUCT]; /* "NVIDIA A100-SXM4-80GB" */
    uint32_t pci_id;             /* 0xDDDDVVVV, as mig-parted's device-filter */
    enum board_family family;
    uint8_t cc_major, cc_minor; /* CUDA compute capability */
    bool complete;              /* false: figures missing in public sources; refused for leases */
    uint8_t memory_slices;      /* 0 = this board has no MIG */
    uint8_t compute_slices;
    uint16_t sms;       /* of the whole GPU, MIG off */
    uint32_t total_mib; /* of the whole GPU, MIG off */
    uint8_t profile_n;
    struct profile profiles[BOARD_PROFILES]; /* in the order nvidia-smi lists them */
};

/* All built-in boards; *ret_n of them. */
const struct board *board_all(unsigned *ret_n);

/* A built-in board by name ("a100-80"); NULL if there is none. */
const struct board *board_find(const char *name);

/* A built-in board by PCI id (0xDDDDVVVV); NULL if there is none. Only the id of the table's own
 * variant is known, not those of its siblings (PCIe, China models). */
const struct board *board_by_pci_id(uint32_t pci_id);

/* The name NVIDIA's tools derive: "1g.10gb+me". Returns `buf`. */
const char *board_profile_name(const struct board *b, const struct profile *p,
                               char buf[BOARD_PROFILE_NAME]);

/* Index of the profile called `name` on this board ("1g.10gb"; "MIG " in front is ignored), or
 * BOARD_NO_PROFILE. */
unsigned board_profile_by_name(const struct board *b, const char *name);

/* The same by the id nvidia-smi shows, and by NVML's enum. */
unsigned board_profile_by_id(const struct board *b, unsigned id);
unsigned board_profile_by_nvml(const struct board *b, unsigned nvml);

/* A profile's part of the GPU's compute slices in thousandths, rounded up, so that 2 of 7 slices
 * serve whoever asked for "2/7". */
unsigned board_profile_ppt(const struct board *b, const struct profile *p);

/* A 1g with more memory and more SMs than the smallest 1g (132-SM Hopper: 26 against 16): its
 * compute instance has an enum of its own, and the driver places it like a 2g. */
bool board_profile_wide(const struct board *b, const struct profile *p);

/* The profile with the fewest compute slices (then memory) that has at least `bytes` of memory and
 * `compute_ppt` thousandths of the GPU's compute slices, BOARD_NO_PROFILE if none has. Profiles
 * with a suffix are not considered. 0 asks for nothing; what is not known (0) satisfies only that.
 */
unsigned board_profile_by_need(const struct board *b, uint64_t bytes, unsigned compute_ppt);

/* The profile that would have held `bytes` (above 0) as well as `held` did (BOARD_NO_PROFILE: the
 * whole GPU), with less: as board_profile_by_need, and no larger in anything. BOARD_NO_PROFILE if
 * there is none. Whether its compute slices would have sufficed is not asked. */
unsigned board_profile_smaller(const struct board *b, unsigned held, uint64_t bytes);

/* Compute-instance profiles of a GI (facts: the "c" counts of NVIDIA's tables). */
struct ci_profile {
    uint8_t nvml;    /* NVML's CI enum, also the id nvidia-smi shows */
    uint8_t compute; /* compute slices, the c of the name */
    uint8_t size;    /* placement size inside the GI */
    slices starts;   /* inside the GI */
    uint8_t max;
    uint16_t sms;
};

enum { BOARD_CI_NVML_1_REV1 = 7 }; /* NVML's enum of the CI of a wide 1g */

/* Fills the CI profiles of `p`, smallest first, and returns how many (at most BOARD_CI_PROFILES);
 * the last one is the full-size default. Sizes and starts of parts follow the aligned tree seen on
 * real GPUs; SMs of parts are the GI's, scaled down to whole pairs (assumed after Ampere). */
unsigned board_ci_profiles(const struct board *b, const struct profile *p,
                           struct ci_profile ret[BOARD_CI_PROFILES]);

/* GI id at a placement ("swizz id"): a position, not a counter; 0..14, distinct for placements that
 * exist together, as long as they start at multiples of their share of the GPU, as on every known
 * board. Numbers the halves from slice 0 (variant A of the two seen on real GPUs). */
unsigned board_gi_id(const struct board *b, unsigned start, unsigned size);
