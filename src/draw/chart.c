/* Charts; see chart.h. The plot is of one size, and what is around it grows with what has to be
 * said, so that nothing is ever cut or laid over something else. */
#include "draw/chart.h"

#include "draw/axis.h"
#include "draw/figure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* The picture: margins around the plot, and above it rows of the legend and of what marks say. */
enum { LEFT = 62, RIGHT = 24, PLOT = 230, BELOW = 44, ROW = 20 };

struct frame {
    const struct chart *chart;
    struct page *page;
    struct chart_axis x, y;
    double top; /* y of the plot's upper edge */
};

void chart_add(struct chart *c, size_t n, const double *x, const double *y, bool steps,
               const char *fmt, ...)
{
    va_list args;
    if (c->series_n == CHART_SERIES)
        return;
    struct chart_series *s = &c->series[c->series_n++];
    *s = (struct chart_series){.n = n, .x = x, .y = y, .steps = steps};
    va_start(args, fmt);
    (void)vsnprintf(s->name, sizeof s->name, fmt, args);
    va_end(args);
}

void chart_mark(struct chart *c, double x, const char *fmt, ...)
{
    va_list args;
    if (c->mark_n == CHART_MARKS || !isfinite(x))
        return;
    struct chart_mark *m = &c->marks[c->mark_n++];
    m->x = x;
    va_start(args, fmt);
    (void)vsnprintf(m->text, sizeof m->text, fmt, args);
    va_end(args);
}

static void widen(struct chart_axis *a, double v, bool *any)
{
    bool on = isfinite(v) && (v > 0 || (a->scale != CHART_LOG && a->scale != CHART_LOG_TIME));
    if (!on)
        return;
    a->low = *any ? fmin(a->low, v) : v;
    a->high = *any ? fmax(a->high, v) : v;
    *any = true;
}

/* An axis from what the chart has, where the caller did not say; false if it has nothing. */
static bool fit(const struct chart *c, bool is_x, struct chart_axis *a)
{
    bool given = a->low != 0 || a->high != 0, any = false;
    struct chart_axis seen = *a;
    for (unsigned i = 0; i < c->series_n; i++)
        for (size_t k = 0; k < c->series[i].n; k++)
            widen(&seen, is_x ? c->series[i].x[k] : c->series[i].y[k], &any);
    for (unsigned i = 0; i < c->mark_n && is_x && any; i++)
        widen(&seen, c->marks[i].x, &any);
    if (any && !given) {
        *a = seen;
        axis_round(a);
    }
    return any;
}

static double plot_x(const struct frame *f, double v)
{
    return LEFT + axis_place(&f->x, v) * (FIGURE_WIDTH - LEFT - RIGHT);
}

static double plot_y(const struct frame *f, double v)
{
    return f->top + PLOT - axis_place(&f->y, v) * PLOT;
}

static void axes(const struct frame *f)
{
    struct axis_tick ticks[AXIS_TICKS];
    double bottom = f->top + PLOT, right = FIGURE_WIDTH - RIGHT;
    unsigned n = axis_ticks(&f->y, 5, ticks);
    for (unsigned i = 0; i < n; i++) {
        double y = plot_y(f, ticks[i].at);
        figure_line(f->page, LEFT, y, right, y, "grid");
        figure_word(f->page, LEFT - 8, y + 4, "end", NULL, ticks[i].label);
    }
    n = axis_ticks(&f->x, 8, ticks);
    for (unsigned i = 0; i < n; i++) {
        double x = plot_x(f, ticks[i].at);
        figure_line(f->page, x, bottom, x, bottom + 5, "axis");
        figure_word(f->page, x, bottom + 19, "middle", NULL, ticks[i].label);
    }
    figure_line(f->page, LEFT, bottom, right, bottom, "axis");
    figure_word(f->page, right, bottom + 37, "end", "dim", f->x.name);
}

/* Rows of samples with their names; returns the height. Draws nothing without a page. */
static double legend(const struct chart *c, struct page *p)
{
    double x = LEFT, y = ROW + 14;
    char class[FIGURE_CLASS], curve[FIGURE_CLASS + 8];
    for (unsigned i = 0; i < c->series_n; i++) {
        double width = 34 + figure_word_width(c->series[i].name) + 18;
        if (c->series[i].n == 0)
            continue;
        if (x > LEFT && x + width > FIGURE_WIDTH) {
            x = LEFT;
            y += ROW;
        }
        if (p) {
            (void)snprintf(curve, sizeof curve, "curve %s", figure_series(i, class));
            figure_line(p, x, y - 4, x + 28, y - 4, curve);
            figure_word(p, x + 34, y, "start", NULL, c->series[i].name);
        }
        x += width;
    }
    return y;
}

/* Points that fall on one are drawn once; the first after a gap begins a new part. */
static void curve(const struct frame *f, unsigned i)
{
    const struct chart_series *s = &f->chart->series[i];
    char class[FIGURE_CLASS], classes[FIGURE_CLASS + 8];
    double at_x = 0, at_y = 0;
    bool down = false;
    (void)snprintf(classes, sizeof classes, "curve %s", figure_series(i, class));
    if (s->n == 0)
        return;
    figure_path_begin(f->page, classes);
    for (size_t k = 0; k < s->n; k++) {
        if (!isfinite(s->x[k]) || !isfinite(s->y[k])) {
            down = false;
            continue;
        }
        double x = plot_x(f, s->x[k]), y = plot_y(f, s->y[k]);
        if (down && fabs(x - at_x) < 0.05 && fabs(y - at_y) < 0.05)
            continue;
        if (down && s->steps && fabs(y - at_y) >= 0.05)
            figure_path_to(f->page, 'L', x, at_y);
        figure_path_to(f->page, down ? 'L' : 'M', x, y);
        down = true;
        at_x = x;
        at_y = y;
    }
    figure_path_end(f->page, s->name);
}

static void marks(const struct frame *f)
{
    for (unsigned i = 0; i < f->chart->mark_n; i++) {
        const struct chart_mark *m = &f->chart->marks[i];
        double x = plot_x(f, m->x), y = f->top - ROW * (f->chart->mark_n - i) + 10;
        bool left = x + 6 + figure_word_width(m->text) > FIGURE_WIDTH;
        figure_line(f->page, x, y - 10, x, f->top + PLOT, "mark");
        figure_word(f->page, left ? x - 6 : x + 6, y, left ? "end" : "start", NULL, m->text);
    }
}

void chart_draw(const struct chart *c, struct page *p)
{
    struct frame f = {.chart = c, .page = p, .x = c->x, .y = c->y};
    page_element(p, "h3", NULL, c->title);
    if (!fit(c, true, &f.x) || !fit(c, false, &f.y)) {
        page_element(p, "p", "dim", "Nothing to draw: there is no value.");
        return;
    }
    f.top = legend(c, NULL) + 14 + ROW * c->mark_n;
    figure_begin(p, f.top + PLOT + BELOW, c->title, c->about);
    figure_word(p, 0, 12, "start", "dim", f.y.name);
    legend(c, p);
    axes(&f);
    marks(&f);
    for (unsigned i = 0; i < c->series_n; i++)
        curve(&f, i);
    figure_end(p, c->caption);
}
