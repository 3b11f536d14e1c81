/* The verbs as `fetta-more` runs them: all of them, each by its own function. */
#include "cli/verb.h"

const struct verb cli_verbs[] = {
#define VERB(id, name, synopsis, exit, help) {name, synopsis, exit, help, verb_##id},
#include "cli/verbs.def"
#undef VERB
};
