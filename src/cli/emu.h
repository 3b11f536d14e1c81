/* Asking the emulated driver of the machine around us, for what no NVML library would carry. */
#pragma once

#include "emud/protocol.h"

#include "base/error.h"

#include <stddef.h>

/* Connects to the driver that FETTA_EMU_SOCKET names. The descriptor is the caller's. */
int emu_connect(int *ret_fd, struct error *err);

/* One control request (call, arg and text filled in) and its answer of at most `room` bytes.
 * -ERROR_NO_PERMISSION for who is not root of the machine. */
int emu_ask(int fd, struct emu_request *q, struct emu_reply *ret_head, void *ret_data, size_t room,
            struct error *err);
