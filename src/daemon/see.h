/* Observations become events: which slot a GPU has, what it looks like now, and what is left to
 * know of it afterwards (UUIDs, names), which the engine does not keep. */
#pragma once

#include "daemon/daemon.h"
#include "device/device.h"

/* A whole observation; GPUs whose slot is marked stale changed meanwhile and are left out. */
void see_machine(struct daemon *d, const struct machine *m, const bool stale[MACHINE_GPUS]);

/* The driver does not answer: every GPU is lost until it does. */
void see_lost(struct daemon *d);

/* A call on this GPU runs long, or has come back. */
void see_slow(struct daemon *d, unsigned slot, bool slow);

/* A change was made: keeps the last observation current without another look. */
void see_changed(struct daemon *d, const struct action *a, const struct device_result *result);
