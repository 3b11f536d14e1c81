/* /etc/fetta/fetta.yaml as values. Every key has a default, so an absent file is a configuration;
 * fetta.yaml(5) documents each key. */
#pragma once

#include "engine/world.h"

enum { CONFIG_PATH = 108, CONFIG_GROUPS = 32, CONFIG_QUOTAS = 256 };

/* What one owner may hold at a time; 0 = no limit. */
struct config_quota {
    bool group;              /* `id` is a gid */
    uint32_t id;
    uint32_t slices;         /* slices of granted leases */
    uint32_t compute;        /* compute slices of granted leases */
    int64_t max_for;         /* longest lease; 0 = the house's */
};

struct config {
    char socket[CONFIG_PATH];   /* "" = the default path */
    char nvml[256];             /* library to load, "" = libnvidia-ml.so.1 */
    bool manage_all;            /* new GPUs are fetta's */
    uint64_t manage;            /* ... or these indices */
    uint64_t pool_sliced, pool_whole; /* GPU indices; the rest is elastic */
    bool privacy;               /* owners hidden from other users */
    uint32_t operators[CONFIG_GROUPS]; /* gids that may end, drain, extend */
    size_t operator_n;
    int64_t sample;             /* how often the memory in use on leases is looked at */
    int64_t history;            /* how long ended leases are kept */
    struct policy policy;
    bool vote;                  /* placement: auto; policy.rule is what to begin with */
    int64_t vote_every;         /* at most one vote in so long */
    uint32_t vote_requests;     /* ... and in so many requests */
    struct config_quota quota_default;
    struct config_quota quotas[CONFIG_QUOTAS];
    size_t quota_n;
};

/* The configuration with nothing said. */
void config_default(struct config *ret);

/* Reads the file; an absent file is the default when `may_miss`. On an error (file, line, column)
 * *ret is not touched. */
int config_read(const char *path, bool may_miss, struct config *ret, struct error *err);

/* Checks that GPU indices of the configuration exist among `gpu_n` GPUs. */
int config_check_gpus(const struct config *c, unsigned gpu_n, struct error *err);

/* Whether the GPU of this index is fetta's, and what it may become. */
bool config_manages(const struct config *c, unsigned index);
enum pool config_pool(const struct config *c, unsigned index);

/* The quota of a user with these groups: his own entry, else the most generous of his groups', else
 * the default. */
struct config_quota config_quota(const struct config *c, uint32_t uid, const uint32_t *gids,
                                 size_t gid_n);

/* "0-3", "1,5", "all", "none" as a set of GPU indices below 64. */
int config_gpu_list(const char *text, const char *what, uint64_t *ret, struct error *err);
