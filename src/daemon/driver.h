/* The driver as the loop sees it: questions and changes go to worker processes, answers come back
 * as events. One worker per GPU, started when first needed, one that looks, one that waits for
 * hardware events; a stuck GPU therefore holds up nothing but itself. */
#pragma once

#include "daemon/daemon.h"
#include "device/device.h"

/* Starts looking at the machine; NO_MEMORY or IO. A driver that is away is no error: it is asked
 * again. driver_stop ends the workers, at most 0.1 s each for a stuck one. */
int driver_start(struct daemon *d, struct error *err);
void driver_stop(struct daemon *d);

/* Looks at the whole machine again; the answer enters the engine as GPU_SEEN events. */
void driver_look(struct daemon *d);

/* Does a CREATE, DESTROY or SET_MODE; answers APPLIED or FAILED. */
void driver_submit(struct daemon *d, const struct action *a);

/* Operations on their way belong to a world that is gone: ignore their answers. */
void driver_forget(struct daemon *d);

/* Asks the driver which processes it sees on a GPU; binds_processes hears the answer. False if
 * the question could not be put (the driver is away). */
bool driver_ask_processes(struct daemon *d, unsigned slot);

/* The same to learn what is in use there, of the worker that looks, so that no change waits for it;
 * peaks_heard hears the answer. It is nothing that must be answered. */
void driver_ask_memory(struct daemon *d, unsigned slot);

/* True while a call on this GPU has run for more than two seconds. */
bool driver_slow(const struct daemon *d, unsigned slot);

/* Why there are no GPUs: "" when the driver answers. */
const char *driver_trouble(const struct daemon *d);
