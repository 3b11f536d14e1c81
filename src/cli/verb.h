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

enum verb_id {
#define VERB(id, ...) VERB_##id,
#include "cli/verbs.def"
#undef VERB
    VERB_N
};

/* The verbs in the order of verbs.def, as the program runs them that this is linked into: fetta
 * (verbs-fetta.c) or fetta-more (verbs-more.c). */
extern const struct verb cli_verbs[VERB_N];

/* `fetta` alone: my leases, what is free, what to type next. */
int verb_home(struct cli *c, int argc, char **argv);

/* Any verb that is MORE in verbs.def: becomes fetta-more with all that was typed. Returns only when
 * that failed, with the exit status. */
int verb_more(struct cli *c, int argc, char **argv);

/* The verb that the arguments name, in one word or two; *ret_words says which. NULL with an
 * error that names the nearest. */
const struct verb *verb_find(int argc, char **argv, int *ret_words, struct error *err);
