/* Tables for terminals. Width is counted in columns, not bytes; styles are applied after padding is
 * known, so escape sequences never enter the counting. */
#include "text/table.h"

#include "text/utf8.h"

#include <langinfo.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, WIDTH_DEFAULT = 80 };

struct table_look table_look(int fd)
{
    struct table_look look = {.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    if (!isatty(fd))
        return look;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size;
    look.colour = !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
    if (ioctl(fd, TIOCGWINSZ, &size) == 0)
        look.width = size.ws_col;
    return look;
}

static bool control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffd || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* One character as it will be written, or several plain ones: the bytes, how many of the text they
 * take, their columns. */
struct glyph {
    const char *bytes;
    unsigned n, taken, width;
};

/* More than `room` columns only where one character has them. */
static struct glyph glyph(const struct table_look *look, const char *text, unsigned room)
{
    uint32_t c;
    unsigned plain = 0; /* nearly everything is */
    while (text[plain] >= ' ' && text[plain] <= '~' && (plain == 0 || plain < room))
        plain++;
    if (plain)
        return (struct glyph){text, plain, plain, plain};
    unsigned taken = utf8_next(text, &c);
    if (control(c) || (!look->utf8 && c >= 0x80))
        return (struct glyph){"?", 1, taken, 1};
    return (struct glyph){text, taken, taken, utf8_width(c)};
}

static unsigned columns_of(const struct table_look *look, const char *text)
{
    unsigned width = 0;
    while (*text) {
        struct glyph g = glyph(look, text, UINT_MAX);
        width += g.width;
        text += g.taken;
    }
    return width;
}

/* Appends as much of `text` as `most` columns hold and returns the columns used; what had to be cut
 * ends in an ellipsis when there is room for one and something before it. */
static unsigned add_cut(struct str *out, const struct table_look *look, const char *text,
                        unsigned most, bool ellipsis)
{
    const char *mark = look->utf8 ? "…" : "...";
    unsigned mark_width = look->utf8 ? 1 : 3, used = 0;
    bool cut = columns_of(look, text) > most;
    if (!cut || !ellipsis || most <= mark_width)
        mark_width = 0;
    while (*text) {
        struct glyph g = glyph(look, text, most - mark_width - used);
        if (used + g.width > most - mark_width)
            break;
        str_add_n(out, g.bytes, g.n);
        used += g.width;
        text += g.taken;
    }
    if (mark_width > 0)
        str_add(out, mark);
    return used + mark_width;
}

static const char *style_code(enum table_style style)
{
    switch (style) {
    case TABLE_PLAIN:
        return "";
    case TABLE_BOLD:
        return "\033[1m";
    case TABLE_DIM:
        return "\033[2m";
    case TABLE_RED:
        return "\033[31m";
    case TABLE_GREEN:
        return "\033[32m";
    case TABLE_YELLOW:
        return "\033[33m";
    case TABLE_BLUE:
        return "\033[34m";
    case TABLE_MAGENTA:
        return "\033[35m";
    case TABLE_CYAN:
        return "\033[36m";
    }
    return "";
}

static void style_begin(struct str *out, const struct table_look *look, enum table_style style)
{
    if (look->colour)
        str_add(out, style_code(style));
}

static void style_end(struct str *out, const struct table_look *look, enum table_style style)
{
    if (look->colour && style != TABLE_PLAIN)
        str_add(out, "\033[0m");
}

static void repeat(struct str *out, const char *text, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        str_add(out, text);
}

void table_styled(struct str *out, const struct table_look *look, enum table_style style,
                  const char *text)
{
    style_begin(out, look, style);
    (void)add_cut(out, look, text, columns_of(look, text), false);
    style_end(out, look, style);
}

void table_add(struct table *t, enum table_style style, const char *text)
{
    if (t->n == t->room && !t->failed) {
        size_t room = t->room ? t->room * 2 : 64;
        struct table_cell *cells = reallocarray(t->cells, room, sizeof(*cells));
        t->failed = !cells;
        t->cells = cells ? cells : t->cells;
        t->room = cells ? room : t->room;
    }
    char *copy = t->failed ? NULL : strdup(text);
    if (copy)
        t->cells[t->n++] = (struct table_cell){copy, style};
    else
        t->failed = true;
}

void table_addf(struct table *t, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) {
        t->failed = true;
        return;
    }
    table_add(t, TABLE_PLAIN, text);
    free(text);
}

void table_head(struct table *t, const char *const *names)
{
    for (unsigned i = 0; i < t->columns; i++)
        table_add(t, TABLE_BOLD, names[i]);
}

static void cell_print(const struct table *t, size_t i, unsigned width, unsigned pad,
                       const struct table_look *look, struct str *out)
{
    const struct table_cell *cell = &t->cells[i];
    bool right = t->right >> i % t->columns & 1;
    bool last = i % t->columns == t->columns - 1;
    repeat(out, " ", right ? pad : 0);
    if (*cell->text) {
        style_begin(out, look, cell->style);
        (void)add_cut(out, look, cell->text, width, true);
        style_end(out, look, cell->style);
    }
    repeat(out, " ", right || last ? 0 : pad);
}

/* The column after which a row holds nothing more, so that no padding is written there. */
static size_t row_end(const struct table *t, size_t row)
{
    size_t end = t->columns;
    while (end > 0 && (row + end > t->n || !*t->cells[row + end - 1].text))
        end--;
    return end;
}

static void row_print(const struct table *t, size_t row, const unsigned *widths,
                      const struct table_look *look, struct str *out)
{
    size_t end = row_end(t, row);
    for (size_t c = 0; c < end; c++) {
        unsigned used = columns_of(look, t->cells[row + c].text);
        unsigned pad = used < widths[c] ? widths[c] - used : 0;
        bool right = t->right >> c & 1;
        repeat(out, " ", c ? GAP : 0);
        cell_print(t, row + c, widths[c], c == end - 1 && !right ? 0 : pad, look, out);
    }
    str_add(out, "\n");
}

void table_print(const struct table *t, const struct table_look *look, struct str *out)
{
    unsigned widths[TABLE_COLUMNS] = {0}, before = 0;
    if (t->failed || t->columns == 0 || t->columns > TABLE_COLUMNS) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        unsigned *width = &widths[i % t->columns];
        *width = MAX(*width, columns_of(look, t->cells[i].text));
    }
    for (unsigned c = 0; c + 1 < t->columns; c++)
        before += widths[c] + GAP;
    unsigned *last = &widths[t->columns - 1];
    if (look->width > 0 && before + *last > look->width)
        *last = MAX(look->width > before ? look->width - before : 0, MIN(*last, 4u));
    for (size_t row = 0; row < t->n; row += t->columns)
        row_print(t, row, widths, look, out);
}

void table_done(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i].text);
    free(t->cells);
    t->cells = NULL;
    t->n = t->room = 0;
}

/* One line of one segment: its text, padded to the segment's width. */
static void segment_print(struct str *out, const struct table_look *look,
                          const struct table_segment *s, unsigned width, unsigned line,
                          unsigned lines)
{
    const char *label = s->label ? s->label : "", *under = s->under ? s->under : "";
    unsigned used = 0;
    style_begin(out, look, s->style);
    used += add_cut(out, look, line == 0 ? label : under, width, false);
    if (lines == 1 && *under && used + 2 <= width) {
        str_add(out, " ");
        used += 1 + add_cut(out, look, under, width - used - 1, false);
    }
    style_end(out, look, s->style);
    repeat(out, " ", width - used);
}

static void bar_line(struct str *out, const struct table_look *look, unsigned cell, unsigned slices,
                     const struct table_segment *segments, size_t n, unsigned line, unsigned lines)
{
    const char *frame = look->utf8 ? "│" : "|", *dot = look->utf8 ? "·" : ".";
    unsigned at = 0;
    str_add(out, frame);
    for (size_t i = 0; i <= n; i++) {
        unsigned start = i < n ? segments[i].start : slices;
        bool good = i == n || (segments[i].size > 0 && start >= at && start < slices &&
                               segments[i].size <= slices - start);
        if (!good)
            continue;
        if (start > at) {
            repeat(out, dot, (start - at) * cell - 1);
            str_add(out, frame);
        }
        if (i == n)
            break;
        segment_print(out, look, &segments[i], segments[i].size * cell - 1, line, lines);
        str_add(out, frame);
        at = start + segments[i].size;
    }
    str_add(out, "\n");
}

void table_bar(struct str *out, const struct table_look *look, unsigned indent, unsigned lines,
               unsigned slices, const struct table_segment *segments, size_t n)
{
    unsigned width = look->width ? look->width : WIDTH_DEFAULT;
    unsigned room = width > indent + 1 ? width - indent - 1 : 0;
    if (slices == 0)
        return;
    unsigned cell = MAX(room / slices, 2u);
    for (unsigned line = 0; line < lines; line++) {
        repeat(out, " ", indent);
        bar_line(out, look, cell, slices, segments, n, line, lines);
    }
}
