/* File descriptors with one owner each, close-on-exec from birth. */
#pragma once

#include "base/error.h"
#include "base/macro.h"

#include <stddef.h>

/* A local descriptor that closes itself; initialise with -1 or an open one. */
#define AUTO_FD CLEANUP(fd_close_at)

/* Hands a descriptor out of a self-closing local. */
#define STEAL_FD(fd)    \
    ({                  \
        int kept = (fd); \
        (fd) = -1;      \
        kept;           \
    })

/* Closes `fd` if it is not -1 and returns -1, so that `fd = fd_close(fd)` reads well. Keeps
 * errno. fd_close_at does it to a variable, for AUTO_FD. */
int fd_close(int fd);
void fd_close_at(int *fd);

/* Writes or reads all of `size`; 0, or -ERROR_IO with errno in err->sys. fd_read_all also fails
 * at an early end of file (sys = 0). */
int fd_write_all(int fd, const void *data, size_t size, struct error *err);
int fd_read_all(int fd, void *data, size_t size, struct error *err);

/* Reads a whole (small) file as text into a new zero-terminated string of at most `max` bytes. */
int fd_read_file(const char *path, size_t max, char **ret_text, size_t *ret_size,
                 struct error *err);
