/* `placement: auto`: when to vote on the rule of placement, and what follows.
 *
 * A vote is held after enough requests that are unlike those of the last one, at most once in a
 * while, and by a process that exists only meanwhile (fetta-vote). A rule that wins enters the
 * engine as new rules of the house, is written down like all of them, and holds over restarts. A
 * vote that fails, is too slow or is killed changes nothing. */
#pragma once

#include "daemon/daemon.h"

#include <jansson.h>

/* -ERROR_NO_MEMORY; ballot_done ends a vote that is being held. */
int ballot_init(struct daemon *d, struct error *err);
void ballot_done(struct daemon *d);

/* Completes the rules that a configuration asks for with the one that is in force: with
 * `c->vote` it stays, and else is said since when it holds. */
void ballot_settle(const struct daemon *d, const struct config *c, struct policy *policy);

/* Something was asked for; and, once a turn is over, whether it is time to vote. */
void ballot_asked(struct daemon *d, const struct lease *l);
void ballot_consider(struct daemon *d);

/* The rule in force, since when and why, and the last vote; NULL without memory. */
json_t *ballot_show(const struct daemon *d);
