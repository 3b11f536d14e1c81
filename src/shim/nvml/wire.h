/* The emulated library's side of the protocol: connections, and calls marshalled by their rows. */
#pragma once

#include "shim/nvml/keep.h"

/* A connection to the emulated driver as a session or a set of events (EMU_HELLO_*).
 * NVML_ERROR_DRIVER_NOT_LOADED: nobody is there. NVML_ERROR_LIB_RM_VERSION_MISMATCH: of another
 * build. `ret_page`, NULL for an event connection: descriptor of the page, -1 if there is none. */
nvmlReturn_t wire_connect(uint64_t kind, int *ret_fd, int *ret_page);

/* How long to wait for an answer on this connection from now on; 0: for ever. */
void wire_deadline(int fd, int64_t ms);
int64_t wire_default_deadline(void);

/* One call: sends `args` as the row's `n` parameters say, writes what comes back through them.
 * NVML_ERROR_DRIVER_NOT_LOADED or NVML_ERROR_TIMEOUT with *ret_broken set when the connection is of
 * no more use. `keep`, NULL for none, may answer instead of the driver. */
nvmlReturn_t wire_call(int fd, struct keep *keep, unsigned call, const struct nvml_param *params,
                       unsigned n, const uint64_t *args, int *ret_broken);
