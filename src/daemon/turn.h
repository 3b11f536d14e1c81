/* One turn of the loop: events in, one commit, then actions. */
#pragma once

#include "daemon/daemon.h"

/* Prepares the turns of d->loop; -ERROR_IO without a timer. turn_done commits what is open. */
int turn_init(struct daemon *d, struct error *err);
void turn_done(struct daemon *d);

/* Decides, writes down and applies one event. 0, or the engine's refusal, or -ERROR_STORE when it
 * could not be written (the world is then what was last committed). *ret_lease (may be NULL) gets
 * the id an ASK was given. The event's `now` is filled in here. */
int turn_event(struct daemon *d, struct event *e, uint32_t *ret_lease, struct error *err);

/* Whether turn_event would refuse this: lets a request that is several events be all or nothing. */
int turn_check(struct daemon *d, struct event *e, struct error *err);

/* The same for events nobody waits for: a refusal is logged. */
void turn_post(struct daemon *d, struct event *e);

/* Opens the transaction if none is open, so that texts are written with the decision they belong
 * to. */
int turn_open(struct daemon *d, struct error *err);

/* Asks for a commit at the end of this turn although no event may have changed anything. */
void turn_touch(struct daemon *d);

/* Something of this turn could not be written: forgets the turn, as after a failed commit. */
void turn_fail(struct daemon *d, const struct error *why);

/* Throws the world away and rebuilds it from the store and a fresh look. */
void turn_rebuild(struct daemon *d);
