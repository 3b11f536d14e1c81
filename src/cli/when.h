/* Instants as people write them. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* "30d" ago, or local midnight of "2026-11-01", in seconds since the epoch. `what` is the option.
 * -ERROR_INVALID. */
int when_read(const char *text, const char *what, int64_t *ret, struct error *err);

/* A month, "2026-11", from its first local midnight to that of the next month, in seconds since the
 * epoch. -ERROR_INVALID: it is no month, or has not begun at `now`. */
int when_month(const char *text, int64_t now, int64_t *ret_from, int64_t *ret_to,
               struct error *err);
