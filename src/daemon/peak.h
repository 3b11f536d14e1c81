/* How much memory the slices of a lease had in use at most.
 *
 * What a process used is gone with it, so it has to be looked at while it lives. fettad wakes
 * nobody for that unless `sample:` says how often. Without it, it looks when something happens
 * anyway: when a lease is warned of its end or told to end before its processes did, and whenever
 * the driver is asked about the processes of a GPU because a neighbour ends. What was in use
 * between two looks is not seen: a peak is "at least so much", and is kept with the number of looks
 * behind it.
 *
 * It is a fact beside the lease and no part of the world: nothing is decided by it. It is written
 * with the end of the lease, in the commit that this needs in any case, and when fettad stops. */
#pragma once

#include "daemon/daemon.h"
#include "device/device.h"

/* Before the first turn; NO_MEMORY or IO. */
int peaks_init(struct daemon *d, struct error *err);

/* fettad stops: writes what is not yet written, as part of a turn. peaks_done then frees. */
void peaks_stop(struct daemon *d);
void peaks_done(struct daemon *d);

/* Asks the driver what is in use on the slices of a lease; the answer comes to peaks_heard. */
void peaks_ask(struct daemon *d, uint32_t lease);

/* What the driver sees on a GPU; code < 0 = nothing. */
void peaks_heard(struct daemon *d, unsigned slot, int code, const struct device_process *list,
                 size_t n);

/* Writes the peaks of leases that end with these changes into the running transaction. */
int peaks_write(struct daemon *d, const struct changes *c, struct error *err);

/* The lease is over and written down: forgets it. */
void peaks_over(struct daemon *d, uint32_t lease);

/* The turn is over, or (peaks_again) the configuration is another: from now on looks are due while
 * leases are held. */
void peaks_turn(struct daemon *d);
void peaks_again(struct daemon *d);

/* What was seen of a live lease; no look without any. */
struct store_peak peaks_get(const struct daemon *d, uint32_t lease);
