/* One machine as observed or as emulated: a plain value with all its GPUs and their instances.
 *
 * This is what a device backend reports and what an emulated box starts from. It holds text
 * (UUIDs, names), so it is for looking at, not for deciding on: the engine's world holds numbers.
 */
#pragma once

#include "model/board.h"

#include <stddef.h>

enum {
    MACHINE_GPUS = 64,  /* most GPUs of one machine */
    MACHINE_BOARDS = 8, /* most kinds of boards in one machine */
    MACHINE_UUID = 64,  /* "GPU-" or "MIG-" + 36 characters, with room */
    MACHINE_PCI = 32,
    MACHINE_NAME = 64,
};

enum machine_mig { MACHINE_MIG_NONE, MACHINE_MIG_OFF, MACHINE_MIG_ON }; /* NONE: the board cannot */

enum machine_health {
    MACHINE_OK,
    MACHINE_NOT_ANSWERING, /* a driver call runs long: no new leases there, running ones stay */
    MACHINE_LOST,          /* fell off the bus, or the driver is gone: its leases are over */
};

/* A compute instance. */
struct machine_ci {
    uint8_t id;   /* 0..7 within the GI */
    uint8_t nvml; /* NVML's CI profile enum */
    uint8_t start, size;
    uint16_t sms;            /* 0 when the driver does not say */
    char uuid[MACHINE_UUID]; /* of the MIG device, "MIG-..." */
};

/* A GPU instance. */
struct machine_gi {
    uint8_t id;      /* 0..14, a position */
    uint8_t profile; /* index into the board's profiles, BOARD_NO_PROFILE if unknown to it */
    uint8_t start, size;
    uint8_t ci_n;
    struct machine_ci cis[BOARD_CIS];
};

struct machine_gpu {
    uint32_t index; /* NVML's index, what people type */
    uint32_t minor; /* N of /dev/nvidiaN */
    uint8_t board;  /* index into machine.boards */
    enum machine_mig mig, mig_pending;
    enum machine_health health;
    char uuid[MACHINE_UUID]; /* "GPU-..." */
    char pci[MACHINE_PCI];   /* "00000000:07:00.0" */
    char health_text[120];   /* why not MACHINE_OK */
    uint8_t gi_n;
    struct machine_gi gis[BOARD_GIS];
};

struct machine {
    char name[MACHINE_NAME]; /* "dgx-a100", or "" on real hardware */
    char driver[32];         /* "550.54.15" */
    uint32_t gpu_n;
    uint32_t board_n;
    bool passthrough;    /* a VM that cannot reset its GPUs (p4d): mode changes need a reset */
    bool unified_memory; /* dgx-spark: GPU memory is the system's */
    struct board boards[MACHINE_BOARDS];
    struct machine_gpu gpus[MACHINE_GPUS];
};

/* A machine by name or composition: "dgx-a100", "4xa30", "2xh100-sxm,1xa30", "dgx-a100,2xa30". MIG
 * mode is on with no instances where the board has MIG. UUIDs are deterministic from position and
 * board. On an unknown name says which are known, nearest first. Boards with incomplete figures are
 * taken (board->complete says so). ~200 kB: allocate it. After an error *ret is undefined. */
int machine_parse(const char *spec, struct machine *ret, struct error *err);

/* Names and one-line descriptions of the known machines, for `fetta emulate list`. */
struct machine_kind {
    const char *name;
    const char *composition; /* "8xa100-80" */
    const char *text;        /* "NVIDIA DGX A100, 640 GB" */
    bool passthrough, unified_memory;
};
const struct machine_kind *machine_kinds(unsigned *ret_n);

/* A machine on its way between our own programs, which are of one build: its bytes. Zero it before
 * filling it. */
struct machine_image {
    char build[24]; /* FETTA_VERSION */
    uint64_t size;  /* of this structure */
    struct machine machine;
};

/* Marks a filled image as one of this build. */
void machine_image_seal(struct machine_image *image);

/* -ERROR_VERSION for an image of another build, -ERROR_INVALID for one with impossible counts. */
int machine_image_check(const struct machine_image *image, struct error *err);

/* The board of one of this machine's GPUs. */
static inline const struct board *machine_board(const struct machine *m,
                                                const struct machine_gpu *g)
{
    return &m->boards[g->board];
}

/* The GPU with this UUID, NULL if there is none. */
struct machine_gpu *machine_find_gpu(struct machine *m, const char *uuid);

/* The GI with this id on a GPU, NULL if there is none. */
struct machine_gi *machine_find_gi(struct machine_gpu *g, unsigned id);

/* Minor of the node in /dev/nvidia-caps of a GI (ci = -1) or CI, by NVIDIA's static table: 135 per
 * GPU and 9 per GI, behind three of general use. `minor` is that of /dev/nvidiaN, below 32. */
static inline unsigned machine_cap_minor(unsigned minor, unsigned gi, int ci)
{
    return 3 + 135 * minor + 9 * gi + (ci < 0 ? 0 : 1 + (unsigned)ci);
}
