/* The clock that modelled work runs on: read and waited for here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pace {
    int driver;  /* the connection to the emulated driver: its end ends all waiting */
    int signals; /* a signalfd of the signals that end the run */
};

enum pace_end { PACE_DUE, PACE_SIGNAL, PACE_LOST };

/* The machine's time, ns. */
int64_t pace_now(void);

/* Waits until the machine's time is `due`; PACE_SIGNAL and PACE_LOST when that comes first, with
 * the signal's number in *ret_signal. */
enum pace_end pace_until(const struct pace *p, int64_t due, int *ret_signal);
