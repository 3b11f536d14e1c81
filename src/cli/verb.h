/* The verbs of `fetta`, from verbs.def: what each is called, takes and does, and how one is found.
 */
#pragma once

#include "base/error.h"

struct cli;

struct verb {
    const char *name; /* "lease new" */
    const char *synopsis;
    int exit; /* status of our own failures; 0: that of the error */
    const char *help;
    int (*run)(struct cli *c, int argc, char **argv); /* argv[0] is the (last word of the) verb */
};

#define VERB(id, ...) int verb_##id(struct cli *c, int argc, char **argv);
#include "cli/verbs.def"
#undef VERB

/* `fetta` alone: my leases, what is free, what to type next. */
int verb_home(struct cli *c, int argc, char **argv);

/* All verbs in the order of verbs.def; *ret_n of them. */
const struct verb *verb_all(size_t *ret_n);

/* The verb that the arguments name, in one word or two; *ret_words says which. NULL with an
 * error that names the nearest. */
const struct verb *verb_find(int argc, char **argv, int *ret_words, struct error *err);
