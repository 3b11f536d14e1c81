/* The files of an emulated machine over the places where programs look for them, for this process
 * and all that it starts, and for nobody else. */
#pragma once

#include "base/error.h"

/* Leaves the host's mount namespace and mounts an empty tmpfs at `dir` in the new one, for what
 * fetta-emud --files writes. NO_PERMISSION without root, UNSUPPORTED where NVIDIA's own driver is
 * loaded: the nodes would be those of the real GPUs. */
int namespace_enter(const char *dir, struct error *err);

/* Puts what is at `dir` over /dev (together with the host's own nodes), /proc/driver,
 * /proc/devices, /sys/module and /sys/bus/pci. */
int namespace_cover(const char *dir, struct error *err);

/* Lets go of `dir`, so that it can be removed. */
void namespace_leave(const char *dir);
