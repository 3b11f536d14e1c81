/* What to ask for: the options that run, shell, lease new and explain have in common, and the
 * request they make. */
#pragma once

#include "cli/args.h"

struct ask {
    const char *profile, *memory, *compute; /* which slice, by name or by need */
    int64_t gpus, tasks, priority;
    const char *on, *wait, *length, *grace, *signal;
    bool movable;
    const char *key, *owner;
};

/* Which slice: -s, --gpu-memory, --gpu-compute, --gpus, --on; and the refusal of --gpu. */
void ask_which(struct args *a, struct ask *k);

/* -n: so many slices at once. */
void ask_tasks(struct args *a, struct ask *k);

/* How long: --wait, --for, --grace, --signal, --priority. */
void ask_terms(struct args *a, struct ask *k);

/* Contradictions between options, told by their names. */
int ask_check(const struct ask *k, struct error *err);

/* The body of the request, NULL without memory. */
json_t *ask_body(const struct ask *k);

/* A command line as one text for people, at most `size` - 1 bytes; returns `buf`. */
const char *ask_command(char *const *argv, char *buf, size_t size);
