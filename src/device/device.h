/* The whole contract with hardware: look at it, change one thing, measure, hear of events.
 *
 * Every call may block for as long as the driver likes, so the daemon makes them only inside worker
 * processes (worker.h). Implementations: mig (any libnvidia-ml.so.1, real or emulated) and the
 * decorators trace and fault around it. */
#pragma once

#include "model/machine.h"

enum device_op_kind {
    DEVICE_CREATE,   /* a GI of `profile` at `start`, and its full-size CI; rolls the GI back if the
                      * CI is refused, and if even that fails leaves its id in the result */
    DEVICE_DESTROY,  /* all CIs of GI `gi`, then the GI; success if it is gone already */
    DEVICE_SET_MODE, /* MIG on or off; lets go of every handle first */
};

struct device_op {
    enum device_op_kind kind;
    char gpu[MACHINE_UUID];  /* which GPU; indices may change */
    uint8_t profile_id;      /* profile's id as create takes it */
    uint8_t start, size;     /* memory slices */
    uint8_t gi;
    bool mig_on;
};

struct device_result {
    uint8_t gi, ci;          /* of a CREATE */
    uint32_t ci_minor, gi_minor; /* minors in /dev/nvidia-caps by NVIDIA's static table */
    char uuid[MACHINE_UUID]; /* of the MIG device made */
    bool pending;            /* SET_MODE: accepted but waits for idle GPU or reset; err says what */
};

/* A process the driver reports on a GPU or instance. */
struct device_process {
    uint32_t pid;
    uint8_t gi, ci;          /* 0xff when not on a MIG device */
    uint64_t bytes;          /* used memory, 0 if the driver does not say */
};

struct device;

struct device_ops {
    const char *name;
    /* Fills everything: boards as the driver tells them (matched with the built-in tables for what
     * it does not tell: L2 shares, family, names), GPUs, modes, instances. */
    int (*observe)(struct device *d, struct machine *ret, struct error *err);
    int (*observe_gpu)(struct device *d, const char *uuid, struct machine_gpu *ret,
                       struct error *err);
    /* One change. NVML's code is in err->sys; codes: IN_USE, NO_FIT, NO_PERMISSION, UNSUPPORTED,
     * DRIVER_LOST, HARDWARE. */
    int (*apply)(struct device *d, const struct device_op *op, struct device_result *ret,
                 struct error *err);
    int (*processes)(struct device *d, const char *uuid, struct device_process *ret, size_t cap,
                     size_t *ret_n, struct error *err);
    /* Waits up to `timeout_ms` for a hardware event; 1 = something happened (look again), 0 = not;
     * a driver without events behaves as one where nothing happens. */
    int (*wait)(struct device *d, int timeout_ms, struct error *err);
    struct device *(*free)(struct device *d);
};

struct device {
    const struct device_ops *ops;
};

/* Loads an NVML library (`path` NULL = "libnvidia-ml.so.1") and initialises it.
 * NOT_FOUND: no library or no driver on this machine; VERSION: lacks what MIG needs. */
int device_open_mig(const char *path, struct device **ret, struct error *err);
