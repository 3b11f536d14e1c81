/* Doing what the engine decided, after it is durable. */
#pragma once

#include "daemon/daemon.h"

void act_do(struct daemon *d, const struct action *a);
