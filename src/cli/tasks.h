/* One command on each of several slices: the variables by which the copies find one another, as
 * torchrun and others name them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A TCP port of 127.0.0.1 that was free a moment ago; 0 if there is none. */
int tasks_free_port(void);

/* Adds RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of copy `rank` to an environment
 * made by grant_env. False without memory. */
bool tasks_env(char ***env, int64_t rank, int64_t of, int port);
