/* `fetta-emud ctl`: speaks to a running emulated driver as its hardware, its programs and its bad
 * luck, which is what tests need of it. */
#pragma once

#include "base/error.h"

/* Runs the verb in argv[0]; `path` is the driver's socket. Verbs that hold something print one line
 * and then stay until they are killed or the driver goes (-ERROR_DRIVER_LOST). */
int ctl_run(const char *path, int argc, char **argv, struct error *err);

/* One line for each verb, for --help. */
extern const char ctl_help[];
