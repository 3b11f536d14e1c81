/* The clock of an emulated machine: real, scaled, or virtual.
 *
 * Everything the emulated driver does later is due at an instant of this clock. It starts at the
 * boot time of the host and never goes back. Scaled: runs `factor` times as fast. Virtual: runs as
 * the real one and may jump ahead, which its owner does when nothing happens before the next due
 * instant, so that a stall of 45 s costs no time. Pure: real time is told to it. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum clock_kind { CLOCK_KIND_REAL, CLOCK_KIND_SCALED, CLOCK_KIND_VIRTUAL };

struct clock {
    enum clock_kind kind;
    uint32_t factor;       /* 1 to 1000000 */
    int64_t real, machine; /* the same instant on both clocks */
};

/* "real", "virtual" or "x60" (a factor of 1 to 1000000). -ERROR_INVALID. */
int clock_parse(const char *text, struct clock *ret, struct error *err);

/* The clock shows `real` now; before that it shows nothing of use. */
void clock_start(struct clock *c, int64_t real);

/* What it shows at a real instant; at most ten years after its start. */
int64_t clock_at(const struct clock *c, int64_t real);

/* How long, in real ns, until it shows `due`; 0 if that is past, TIME_NEVER for TIME_NEVER. */
int64_t clock_until(const struct clock *c, int64_t real, int64_t due);

/* Jumps ahead by `ns`, at least 0. */
void clock_advance(struct clock *c, int64_t ns);

/* A running clock as a line of text, and back, for others on the same host who go by it. Returns
 * `buf`; -ERROR_INVALID. */
enum { CLOCK_TEXT = 64 };
const char *clock_write(const struct clock *c, char buf[CLOCK_TEXT]);
int clock_read(const char *text, struct clock *ret, struct error *err);
