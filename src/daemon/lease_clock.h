/* The clock that leases live by.
 *
 * On real hardware it is the boot clock, and nothing of this file does anything. An emulated
 * machine may have a clock of its own, which runs faster or jumps, so that an hour of leases passes
 * in a second: its driver keeps that clock in a file. Only what the engine decides by goes by it;
 * deadlines of work that really takes time (driver calls, clients, processes) keep the boot
 * clock, or a fast clock would cut off what is merely at work. */
#pragma once

#include "emul/clock.h"

#include <systemd/sd-event.h>

struct daemon;

struct lease_clock {
    struct clock clock;
    const char *path; /* NULL: the boot clock */
    int watch;
    sd_event_source *source;
};

/* Follows the clock in the file `path`, NULL for the boot clock. -ERROR_IO, -ERROR_INVALID.
 * lease_clock_done lets go of it. */
int lease_clock_init(struct daemon *d, const char *path, struct error *err);
void lease_clock_done(struct daemon *d);

/* Now, as leases see it; and the boot time at which that clock will show `due`, if it does not
 * jump: TIME_NEVER stays. */
int64_t lease_clock_now(const struct daemon *d);
int64_t lease_clock_boot(const struct daemon *d, int64_t due);
