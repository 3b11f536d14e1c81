/* Doing what the engine decided, after it is durable. */
#pragma once

#include "daemon/daemon.h"

/* Carries out one action of a committed step. What fails comes back to the engine as an event. */
void act_do(struct daemon *d, const struct action *a);
