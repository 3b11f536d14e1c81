/* The one place where anything is decided. */
#pragma once

#include "engine/event.h"
#include "engine/outcome.h"

/* Decides what `e` means for `w`. On 0, ret holds changes and actions in order; on a negative code
 * the event was refused (ret is empty, the world stays as it is) and `err` says why, with what
 * would help. Deterministic: same world and event, same outcome. `ret` is cleared first. */
int engine_step(const struct world *w, const struct event *e, struct outcome *ret,
                struct error *err);
