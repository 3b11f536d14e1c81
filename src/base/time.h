/* Instants and durations in int64_t nanoseconds.
 *
 * "boot" time is CLOCK_BOOTTIME: it runs through suspend and never jumps, so leases are measured
 * on it and stored with the boot id. "wall" time (CLOCK_REALTIME) is only ever shown to people. */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define TIME_US INT64_C(1000)
#define TIME_MS INT64_C(1000000)
#define TIME_S INT64_C(1000000000)
#define TIME_MIN (60 * TIME_S)
#define TIME_HOUR (60 * TIME_MIN)
#define TIME_DAY (24 * TIME_HOUR)
#define TIME_NEVER INT64_MAX

enum { TIME_TEXT = 32 };

/* Now: since boot, and since the epoch. */
int64_t time_boot(void);
int64_t time_wall(void);

/* "90s", "5m", "2h", "1h30m", "1d", "250ms", or a plain number of seconds; at least 0, at most
 * 3650 days. `what` names the option in the error. */
int time_parse(const char *text, const char *what, int64_t *ret_ns, struct error *err);

/* "2h5m", "41s", "3d4h": at most two units, rounded down; "never" for TIME_NEVER. Returns `buf`. */
const char *time_format(int64_t ns, char buf[TIME_TEXT]);

/* Wall time as local "2026-11-22 17:05:09"; returns `buf`. */
const char *time_format_wall(int64_t wall_ns, char buf[TIME_TEXT]);
