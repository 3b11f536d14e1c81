/* Axes; see axis.h. Steps are 1, 2 and 5 times powers of ten, or what clocks and calendars have, as
 * people count in these and in nothing else. */
#include "draw/axis.h"

#include <math.h>
#include <stdio.h>

/* Of an axis, what two labels need between them. */
#define CLOSE 0.06

static bool logarithmic(const struct chart_axis *a)
{
    return a->scale == CHART_LOG || a->scale == CHART_LOG_TIME;
}

/* The least of 1, 2, 5 times a power of ten that is not below. */
static double round_up(double raw)
{
    double magnitude = pow(10, floor(log10(raw)));
    double part = raw / magnitude;
    return magnitude * (part <= 1.0000001 ? 1 : part <= 2.0000001 ? 2 : part <= 5.0000001 ? 5 : 10);
}

static double step_of(const struct chart_axis *a, unsigned want)
{
    static const double times[] = {1,   2,   5,    10,   15,   30,    60,    120,  300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200};
    double raw = (a->high - a->low) / want;
    if (a->scale != CHART_TIME && a->scale != CHART_LOG_TIME)
        return round_up(raw);
    for (size_t i = 0; i < ARRAY_LEN(times) && raw > 0.5; i++)
        if (times[i] >= raw)
            return times[i];
    return raw > 0.5 ? 86400 * round_up(raw / 86400 < 1 ? 1 : raw / 86400) : round_up(raw);
}

void axis_round(struct chart_axis *a)
{
    if (a->scale == CHART_NINES) {
        a->low = 0;
        a->high = 99.9;
    } else if (logarithmic(a)) {
        a->low /= 1.1;
        a->high *= 1.1;
    } else {
        a->low = fmin(a->low, 0);
        if (a->high <= a->low)
            a->high = a->low + 1;
        if (a->scale == CHART_LINEAR)
            a->high = ceil(a->high / step_of(a, 5) - 1e-9) * step_of(a, 5);
    }
}

static double nines(double per_cent)
{
    return -log10(fmax(1 - per_cent / 100, 1e-6));
}

double axis_place(const struct chart_axis *a, double value)
{
    double low = a->low, high = a->high;
    if (isnan(value))
        return NAN;
    if (a->scale == CHART_NINES) {
        value = nines(fmin(value, 100));
        low = nines(low);
        high = nines(high);
    } else if (logarithmic(a)) {
        value = log(fmax(value, low));
        low = log(low);
        high = log(high);
    }
    return fmin(fmax((value - low) / (high - low), 0), 1);
}

/* One unit for a whole axis: that of its step, or of the value itself where values differ much. */
static void label_time(double seconds, double unit, char label[AXIS_LABEL])
{
    if (seconds == 0)
        (void)snprintf(label, AXIS_LABEL, "0");
    else if (unit < 1)
        (void)snprintf(label, AXIS_LABEL, "%.4g ms", seconds * 1000);
    else if (unit < 60)
        (void)snprintf(label, AXIS_LABEL, "%.4g s", seconds);
    else if (unit < 3600)
        (void)snprintf(label, AXIS_LABEL, "%.4g min", seconds / 60);
    else if (unit < 86400)
        (void)snprintf(label, AXIS_LABEL, "%.4g h", seconds / 3600);
    else
        (void)snprintf(label, AXIS_LABEL, "%.6g d", seconds / 86400);
}

/* Ticks at equal steps. On a logarithmic axis they come closer and closer, until they are left out.
 */
static unsigned even(const struct chart_axis *a, unsigned want, struct axis_tick *ret)
{
    double step = step_of(a, want), last = a->high * (1 + 1e-9);
    unsigned n = 0;
    bool time = a->scale == CHART_TIME || a->scale == CHART_LOG_TIME;
    for (double k = ceil(a->low / step - 1e-9) + 0.0; k * step <= last && n < AXIS_TICKS; k++) {
        if (n > 0 && axis_place(a, k * step) - axis_place(a, ret[n - 1].at) < CLOSE)
            continue;
        ret[n].at = k * step;
        if (time)
            label_time(k * step, step < 1 && a->high >= 1 ? 1 : step, ret[n].label);
        else
            (void)snprintf(ret[n].label, AXIS_LABEL, "%.6g", k * step);
        n++;
    }
    return n;
}

/* Those of a list that lie on the axis. */
static unsigned listed(const struct chart_axis *a, const double *values, size_t n,
                       struct axis_tick *ret)
{
    unsigned found = 0;
    for (size_t i = 0; i < n && found < AXIS_TICKS; i++) {
        if (values[i] < a->low || values[i] > a->high)
            continue;
        ret[found].at = values[i];
        if (a->scale == CHART_NINES)
            (void)snprintf(ret[found].label, AXIS_LABEL, "%g %%", values[i]);
        else
            label_time(values[i], values[i], ret[found].label);
        found++;
    }
    return found;
}

static unsigned decades(const struct chart_axis *a, struct axis_tick *ret)
{
    static const double parts[] = {1, 2, 5};
    double span = log10(a->high / a->low);
    unsigned n = 0, use = span < 4 ? 3 : 1;
    double every = ceil(span / 10);
    for (double d = floor(log10(a->low)); d <= log10(a->high) && n < AXIS_TICKS; d += every)
        for (unsigned i = 0; i < use && n < AXIS_TICKS; i++) {
            double v = parts[i] * pow(10, d);
            if (v < a->low || v > a->high)
                continue;
            ret[n].at = v;
            if (a->scale == CHART_LOG_TIME)
                label_time(v, v, ret[n].label);
            else
                (void)snprintf(ret[n].label, AXIS_LABEL, "%.6g", v);
            n++;
        }
    return n;
}

unsigned axis_ticks(const struct chart_axis *a, unsigned want, struct axis_tick ret[AXIS_TICKS])
{
    static const double per_cents[] = {0, 50, 90, 99, 99.9, 99.99};
    static const double times[] = {0.001, 0.01,  0.1,   1,      10,      60,      600,
                                   3600,  21600, 86400, 864000, 8640000, 86400000};
    if (a->scale == CHART_NINES)
        return listed(a, per_cents, ARRAY_LEN(per_cents), ret);
    unsigned n = a->scale == CHART_LOG        ? decades(a, ret)
                 : a->scale == CHART_LOG_TIME ? listed(a, times, ARRAY_LEN(times), ret)
                                              : 0;
    if (n >= 3)
        return n;
    return logarithmic(a) && a->high > 20 * a->low ? decades(a, ret) : even(a, want, ret);
}
