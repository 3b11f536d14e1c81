/* The emulated driver's socket: making it where nobody else serves, and reaching it. */
#pragma once

#include "base/error.h"

/* Listens at `path`. A socket that nobody serves any more is replaced; -ERROR_CONFLICT if somebody
 * does. Mode 0666 if the directory is the caller's and writable for nobody else, else 0600. */
int listen_open(const char *path, int *ret_fd, struct error *err);

/* Connects to `path`, blocking; -ERROR_DRIVER_LOST if nobody serves it. */
int listen_connect(const char *path, int *ret_fd, struct error *err);
