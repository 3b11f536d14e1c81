/* The connection of a load to the emulated driver: what device it has, and who else works there. */
#pragma once

#include "base/error.h"
#include "emud/protocol.h"
#include "emul/work.h"

#include <stdint.h>

/* Connects to the driver named by FETTA_EMU_SOCKET. -ERROR_DRIVER_LOST: there is none. */
int link_open(int *ret_fd, struct error *err);

/* Looks up a device by UUID or index. -ERROR_NOT_FOUND, -ERROR_DRIVER_LOST (the GPU is lost). */
int link_device(int fd, const char *name, struct emu_device *ret, struct error *err);

/* Opens it for work with `bytes` of its memory: from here on every NVML client sees us.
 * -ERROR_NEVER: more than it has; -ERROR_NO_FIT: more than is free; -ERROR_STATE: a whole GPU in
 * MIG mode; -ERROR_IN_USE: its compute mode lets nobody in. */
int link_take(int fd, const struct emu_device *d, uint64_t bytes, bool mps, struct error *err);

/* Says that we work for `ns`, and are to be taken for working for `seen`; ns = seen = 0: for
 * nothing. *ret_around is who else does now, *ret_others how many there are that work at times. */
int link_work(int fd, const struct emu_device *d, const struct work *w, bool mps, int64_t ns,
              int64_t seen, struct work_around *ret_around, unsigned *ret_others,
              struct error *err);

/* The place of the tables that a device is. */
struct work_place link_place(const struct emu_device *d);

/* "MIG 1g.10gb, GPU 0, GI 7" or "GPU 0"; returns `buf`. */
enum { LINK_TEXT = 96 };
const char *link_text(const struct emu_device *d, char buf[LINK_TEXT]);
