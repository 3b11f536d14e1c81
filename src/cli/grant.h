/* Getting a lease: asking, waiting in the queue with one line on stderr, and the environment that a
 * command on it sees. */
#pragma once

#include "cli/ask.h"

/* Asks and waits until the lease is active; `body` is the request (kept by the caller). With
 * `bound`, the lease lives with this process: Ctrl-C then gives up the place and ends the program
 * with 130. *ret is the LEASE object, for the caller to json_decref. */
int grant_wait(struct cli *c, json_t *body, json_t **ret, struct error *err);

/* The environment for slice `i` of a lease, or for all of its slices (i < 0): ours, with
 * CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES, FETTA_LEASE, FETTA_SLICE, FETTA_EXPIRES. The caller
 * frees it with grant_free_env. NULL without memory. */
char **grant_env(const json_t *lease, int i);

/* A copy of our own environment to change; NULL without memory. */
char **grant_copy_env(void);
void grant_free_env(char **env);

/* Sets NAME=value in such an environment. */
bool grant_env_set(char ***env, const char *name, const char *value);

/* The UUIDs of the slices (or of slice i) with commas. */
void grant_uuids(const json_t *lease, int i, struct str *out);

/* "time was up" and the like: why a lease is over, for people. */
const char *grant_why(const json_t *lease);
