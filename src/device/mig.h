/* The inside of the mig backend, shared by its files: mig.c (session, GPUs, events), mig_board.c
 * (what a GPU can be cut into), mig_look.c (what it is cut into), mig_apply.c (cutting).
 *
 * A session is from nvmlInit to nvmlShutdown. No handle outlives one, since the driver gives them
 * out anew; boards are learned once per session, which is all the time they are immutable. */
#pragma once

#include "device/device.h"
#include "device/library.h"

enum { MIG_GI_ROOM = 32, MIG_CI_ROOM = 16 }; /* more than any driver can return */

/* What a GPU is called, kept for when it stops answering. */
struct mig_known {
    bool seen;
    bool current;         /* seen in this session, so that board and uuid hold */
    uint8_t board;
    uint32_t minor;
    enum machine_mig mig;
    char uuid[MACHINE_UUID], pci[MACHINE_PCI];
};

/* The compute-instance profiles of one GI profile; asked once, since a look at a full machine would
 * otherwise mostly ask for these. */
struct mig_cis {
    bool asked;
    uint8_t n;
    struct {
        uint8_t nvml;
        uint16_t sms;
        unsigned id;
    } at[NVML_COMPUTE_INSTANCE_PROFILE_COUNT];
};

struct mig {
    struct device base;
    char *path;           /* of the library, NULL = the system's */
    struct library nvml;
    bool in_session;
    nvmlEventSet_t events; /* NULL until the first wait */
    bool events_none;      /* this driver has none */
    bool unified_memory;   /* some GPU has no memory of its own */
    uint32_t board_n;      /* learned in this session */
    bool board_told[MACHINE_BOARDS]; /* by the driver, not only from our tables */
    struct board boards[MACHINE_BOARDS];
    struct mig_cis cis[MACHINE_BOARDS][BOARD_PROFILES];
    struct mig_known known[MACHINE_GPUS];
};

/* Opens library and session where needed. DRIVER_LOST when either is not to be had. */
int mig_session(struct mig *m, struct error *err);

/* Ends the session and unloads the library; the next call opens them again. */
void mig_release(struct mig *m);

/* As library_error, and ends the session when the driver turns out to be gone. */
FORMAT(4, 5) int mig_error(struct mig *m, nvmlReturn_t code, struct error *err, const char *fmt,
                           ...);

/* The handle of a GPU or MIG device. NOT_FOUND when the driver has none of that UUID. */
int mig_handle(struct mig *m, const char *uuid, nvmlDevice_t *ret, struct error *err);

/* Index into m->boards of the board of `d`, learning it if new. */
int mig_board(struct mig *m, nvmlDevice_t d, enum machine_mig mig, uint8_t *ret, struct error *err);

/* MIG mode now and pending; NONE where it is not supported. */
nvmlReturn_t mig_mode(struct mig *m, nvmlDevice_t d, enum machine_mig *ret,
                      enum machine_mig *ret_pending);

/* Fills instances of a GPU whose board, mode and uuid are set. */
int mig_look(struct mig *m, nvmlDevice_t d, struct machine_gpu *gpu, struct error *err);

/* UUID of the MIG device of GI `gi` and CI `ci`; NOT_FOUND if there is none. */
int mig_uuid(struct mig *m, nvmlDevice_t d, unsigned gi, unsigned ci, char ret[MACHINE_UUID],
             struct error *err);

/* The compute-instance profile `nvml` (an enum value) of an instance: id, slices, SMs. */
nvmlReturn_t mig_ci_profile(struct mig *m, nvmlGpuInstance_t gi, unsigned nvml,
                            nvmlComputeInstanceProfileInfo_t *ret);

/* The operations behind device_ops. */
int mig_apply(struct device *d, const struct device_op *op, struct device_result *ret,
              struct error *err);
int mig_processes(struct device *d, const char *uuid, struct device_process *ret, size_t cap,
                  size_t *ret_n, struct error *err);
