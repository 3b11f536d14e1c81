/* Charts of lines on axes: something over time, or distributions. Every value must be a number to
 * be drawn; where one is not, its line has a gap. What lies beyond the axes is drawn at their
 * edge. */
#pragma once

#include "draw/page.h"

#include <stdbool.h>
#include <stddef.h>

enum chart_scale {
    CHART_LINEAR,
    CHART_TIME,     /* values are seconds, ticks in seconds, minutes, hours or days */
    CHART_LOG,      /* values > 0 */
    CHART_LOG_TIME, /* the same, of seconds */
    CHART_NINES,    /* per cent; 90, 99 and 99.9 are as far apart from each other as 0 from 90 */
};

enum { CHART_SERIES = 24, CHART_MARKS = 4, CHART_NAME = 96 };

struct chart_axis {
    const char *name;
    enum chart_scale scale;
    double low, high; /* both 0: from the data; a linear axis then begins at 0 */
};

struct chart_series {
    char name[CHART_NAME];
    size_t n;
    const double *x, *y; /* [n], in order of x */
    bool steps;          /* each y holds until the next x */
};

/* A rule across the chart, such as a target. */
struct chart_mark {
    double x;
    char text[CHART_NAME];
};

struct chart {
    const char *title, *about, *caption; /* as in figure.h; the caption may be NULL */
    struct chart_axis x, y;
    unsigned series_n, mark_n;
    struct chart_series series[CHART_SERIES];
    struct chart_mark marks[CHART_MARKS];
};

/* Adds a series or a mark, if there is room for it. The place of a series decides its colour: one
 * without points keeps its place and is not named, so that others look the same as elsewhere. */
FORMAT(6, 7)
void chart_add(struct chart *c, size_t n, const double *x, const double *y,
               bool steps, const char *fmt, ...);
FORMAT(3, 4) void chart_mark(struct chart *c, double x, const char *fmt, ...);

/* Draws it on a page; without a value to draw, it says so in place of it. */
void chart_draw(const struct chart *c, struct page *p);
