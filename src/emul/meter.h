/* How busy something was lately: time in which at least one piece of work ran, in a sliding window.
 *
 * Work is told in advance, "from now for so long", so nobody has to report its end and a process
 * that dies or hangs leaves at most that much behind. What overlaps counts once. Pure: instants
 * come from outside. */
#pragma once

#include <stdint.h>

#define METER_STEP INT64_C(100000000)
enum { METER_STEPS = 32, METER_WINDOW = 10 }; /* of METER_STEP ns each; the window is 1 s */

/* All zero is a meter of something that was never busy. */
struct meter {
    int64_t covered;            /* busy is known up to here */
    int64_t newest;             /* the latest step that has a slot */
    uint32_t busy[METER_STEPS]; /* ns of each step, by step modulo METER_STEPS */
};

/* Busy from `from` for `ns` (at most METER_STEP). */
void meter_add(struct meter *m, int64_t from, int64_t ns);

/* Thousandths of the last whole second of steps in which it was busy; 0 to 1000. */
unsigned meter_ppt(const struct meter *m, int64_t now);
