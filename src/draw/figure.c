/* Pictures; see figure.h. All numbers of a picture are written by one function, so that none is
 * ever "nan" or in the words of a locale. */
#include "draw/figure.h"

#include "text/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* In tenths, written without a fraction that is zero. */
static void number(struct str *out, double v)
{
    double bound = isnan(v) ? 0 : fmin(fmax(v, -9999), 9999);
    long tenths = lround(bound * 10);
    if (tenths % 10 == 0)
        str_addf(out, "%ld", tenths / 10);
    else
        str_addf(out, "%s%ld.%ld", tenths < 0 ? "-" : "", labs(tenths) / 10, labs(tenths) % 10);
}

static void attribute(struct str *out, const char *name, double v)
{
    str_addf(out, " %s=\"", name);
    number(out, v);
    str_add(out, "\"");
}

static void title_of(struct str *out, const char *title)
{
    str_add(out, "<title>");
    page_escape(out, title);
    str_add(out, "</title>");
}

void figure_begin(struct page *p, double height, const char *title, const char *about)
{
    unsigned id = ++p->figure_n;
    str_addf(p->out, "<figure><svg viewBox=\"0 0 %d ", FIGURE_WIDTH);
    number(p->out, height);
    str_addf(p->out, "\" role=\"img\" aria-labelledby=\"t%u d%u\">\n<title id=\"t%u\">", id, id,
             id);
    page_escape(p->out, title);
    str_addf(p->out, "</title><desc id=\"d%u\">", id);
    page_escape(p->out, about);
    str_add(p->out, "</desc>\n");
}

void figure_end(struct page *p, const char *caption)
{
    str_add(p->out, "</svg>");
    if (caption)
        page_element(p, "figcaption", NULL, caption);
    str_add(p->out, "</figure>\n");
}

void figure_word(struct page *p, double x, double y, const char *anchor, const char *class,
                 const char *text)
{
    str_add(p->out, "<text");
    attribute(p->out, "x", x);
    attribute(p->out, "y", y);
    if (anchor[0] != 's') /* the beginning is where words are without being told */
        str_addf(p->out, " text-anchor=\"%s\"", anchor);
    if (class)
        str_addf(p->out, " class=\"%s\"", class);
    str_add(p->out, ">");
    page_escape(p->out, text);
    str_add(p->out, "</text>\n");
}

double figure_word_width(const char *text)
{
    uint32_t c;
    double n = 0;
    for (; *text; text += utf8_next(text, &c))
        n++;
    return 6.8 * n;
}

void figure_line(struct page *p, double x1, double y1, double x2, double y2, const char *class)
{
    str_addf(p->out, "<line class=\"%s\"", class);
    attribute(p->out, "x1", x1);
    attribute(p->out, "y1", y1);
    attribute(p->out, "x2", x2);
    attribute(p->out, "y2", y2);
    str_add(p->out, "/>\n");
}

void figure_box(struct page *p, double x, double y, double width, double height, const char *class,
                const char *title)
{
    str_addf(p->out, "<rect class=\"%s\"", class);
    attribute(p->out, "x", x);
    attribute(p->out, "y", y);
    attribute(p->out, "width", fmax(width, 0));
    attribute(p->out, "height", fmax(height, 0));
    str_add(p->out, title ? ">" : "/>\n");
    if (!title)
        return;
    title_of(p->out, title);
    str_add(p->out, "</rect>\n");
}

const char *figure_series(unsigned i, char buf[FIGURE_CLASS])
{
    (void)snprintf(buf, FIGURE_CLASS, "c%u d%u", i % 8, (i % 8 + i / 8) % 5);
    return buf;
}

unsigned figure_shade(unsigned compute, bool whole)
{
    return whole ? 8 : compute < 1 ? 1 : compute > 7 ? 7 : compute;
}

void figure_cell(struct page *p, double x, double y, double width, double height, unsigned shade,
                 const char *name)
{
    char class[FIGURE_CLASS];
    (void)snprintf(class, sizeof class, "q%u", shade);
    figure_box(p, x, y, width, height, class, name);
    if (figure_word_width(name) <= width - 4 && height >= 14)
        figure_word(p, x + width / 2, y + height / 2 + 4, "middle",
                    shade <= 3 ? "on-light" : "on-dark", name);
}

void figure_path_begin(struct page *p, const char *class)
{
    str_addf(p->out, "<path class=\"%s\" d=\"", class);
}

void figure_path_to(struct page *p, char command, double x, double y)
{
    str_add_n(p->out, &command, 1);
    number(p->out, x);
    str_add(p->out, " ");
    number(p->out, y);
}

void figure_path_box(struct page *p, double x, double y, double width, double height)
{
    figure_path_to(p, 'M', x, y);
    str_add(p->out, "h");
    number(p->out, width);
    str_add(p->out, "v");
    number(p->out, height);
    str_add(p->out, "h");
    number(p->out, -width);
    str_add(p->out, "z");
}

void figure_path_end(struct page *p, const char *title)
{
    str_add(p->out, "\"");
    if (title) {
        str_add(p->out, ">");
        title_of(p->out, title);
        str_add(p->out, "</path>\n");
    } else {
        str_add(p->out, "/>\n");
    }
}
