/* The verbs as `fetta` itself runs them. Most starts of it are for a job or a look, in scripts by
 * the thousand, so it has only what these need; for the others it becomes fetta-more. */
#include "cli/verb.h"

const struct verb cli_verbs[] = {
#define VERB(id, name, synopsis, exit, help) {name, synopsis, exit, help, verb_##id},
#define MORE(id, name, synopsis, exit, help) {name, synopsis, exit, help, verb_more},
#include "cli/verbs.def"
#undef VERB
};
