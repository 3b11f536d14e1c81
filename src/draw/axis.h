/* An axis: where values lie on it, and which of them are written beside it. */
#pragma once

#include "draw/chart.h"

enum { AXIS_TICKS = 16, AXIS_LABEL = 24 };

struct axis_tick {
    double at;
    char label[AXIS_LABEL];
};

/* Rounds a range that was taken from data to one that ends well, and makes one of a single value.
 * Both must be numbers, and > 0 on a logarithmic axis. */
void axis_round(struct chart_axis *a);

/* Where on the axis a value lies: 0 is its low end, 1 the high one; never outside. NAN for what is
 * no number. */
double axis_place(const struct chart_axis *a, double value);

/* Values to write beside it, in order; returns how many, about `want` of them. */
unsigned axis_ticks(const struct chart_axis *a, unsigned want, struct axis_tick ret[AXIS_TICKS]);
