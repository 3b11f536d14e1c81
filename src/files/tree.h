/* The files of an emulated machine: device nodes, /proc and /sys of a machine with NVIDIA's driver,
 * below one directory and as they are now.
 *
 *     DIR/dev/         nvidia0 nvidiactl nvidia-uvm nvidia-caps/ char/     belongs over /dev
 *     DIR/driver/      nvidia/ nvidia-caps/                                over /proc/driver
 *     DIR/devices                                                          over /proc/devices
 *     DIR/module/      nvidia/ nvidia_uvm/                                 beside /sys/module
 *     DIR/pci/         devices/ drivers/                                   beside /sys/bus/pci
 *
 * Who mounts them there is another matter. The emulated driver writes them itself, before it
 * answers the call that changed the machine, because that is the order a real kernel keeps: what
 * makes an instance can open its capability right after. */
#pragma once

#include "base/error.h"
#include "model/machine.h"

struct tree;

/* Writes everything for `m`; what an earlier tree left there of instances is removed. Making nodes
 * takes root. -ERROR_NO_PERMISSION, -ERROR_IO, -ERROR_NO_MEMORY. */
int tree_new(const char *dir, const struct machine *m, struct tree **ret, struct error *err);

/* Makes what follows the instances (capabilities, nvidia-caps) that of `m` now. */
int tree_follow(struct tree *t, const struct machine *m, struct error *err);

/* Leaves the files where they are; returns NULL. */
struct tree *tree_free(struct tree *t);
