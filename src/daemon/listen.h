/* The two things only one daemon may have: the state's lock and the socket. */
#pragma once

#include "base/error.h"

/* Makes `dir` if need be and locks it; IN_USE when another daemon serves from it. */
int listen_lock(const char *dir, int *ret_fd, struct error *err);

/* A listening Unix socket at `path`, open to everybody: rights come from SO_PEERCRED. A socket file
 * left by a daemon that died is replaced, a serving one is not. */
int listen_open(const char *path, int *ret_fd, struct error *err);
