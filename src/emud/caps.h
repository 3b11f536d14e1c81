/* Who may partition GPUs without being root: whoever may read the node of the capability
 * mig/config.
 *
 * A real driver wants to see that node open. Here no driver stands behind it, so it cannot be
 * opened at all; what can be read instead is whether its mode would let the client. */
#pragma once

#include <stdbool.h>

/* True if the process at the other end of the socket `fd` sees /dev/nvidia-caps/nvidia-cap1 in its
 * own root as the device node it should be, and may read it. False where that cannot be told. */
bool caps_may_configure(int fd);
