/* Text for terminals: aligned tables and the picture of a GPU, into a growing string.
 *
 * Nothing here asks the terminal anything: `struct table_look` is filled once (table_look) and
 * passed along, so tests and pipes get what they ask for. Control characters in a cell (a command
 * line is somebody else's text) are shown as '?', never sent to the terminal. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum table_style {
    TABLE_PLAIN,
    TABLE_BOLD,
    TABLE_DIM,
    TABLE_RED,
    TABLE_GREEN,
    TABLE_YELLOW,
    TABLE_BLUE,
    TABLE_MAGENTA,
    TABLE_CYAN,
};

/* How to write: all zero is plain ASCII without colour and of any width. */
struct table_look {
    bool colour, utf8;
    unsigned width; /* columns; 0 = as wide as it gets */
};

/* The look for a descriptor: colour when it is a terminal, NO_COLOR is unset or empty and TERM is
 * not "dumb"; UTF-8 when the locale is (call setlocale first); the terminal's width, 0 for no
 * terminal. */
struct table_look table_look(int fd);

/* Appends `text` in a style, or just `text` when the look has no colour. Control characters become
 * '?'. */
void table_styled(struct str *out, const struct table_look *look, enum table_style style,
                  const char *text);

enum { TABLE_COLUMNS = 24 };

struct table_cell {
    char *text;
    enum table_style style;
};

/* Cells in rows of `columns`. Adding never fails visibly: table_print does, once. */
struct table {
    unsigned columns;
    uint32_t right; /* bit i: column i is right-aligned, as numbers are */
    size_t n, room;
    struct table_cell *cells;
    bool failed;
};

#define AUTO_TABLE CLEANUP(table_done)

/* A local table: AUTO_TABLE struct table t = {.columns = 3, .right = 1u << 2}; at most
 * TABLE_COLUMNS columns. */
void table_add(struct table *t, enum table_style style, const char *text);
FORMAT(2, 3) void table_addf(struct table *t, const char *fmt, ...);

/* The heading: `columns` names, bold. */
void table_head(struct table *t, const char *const *names);

/* Appends the rows: columns two spaces apart, as wide as their widest cell, no spaces at line ends.
 * When a line is wider than the look, its last column is cut and ends in an ellipsis. An allocation
 * failure sets out->failed. */
void table_print(const struct table *t, const struct table_look *look, struct str *out);
void table_done(struct table *t);

/* One instance in the picture of a GPU. */
struct table_segment {
    unsigned start, size; /* memory slices */
    const char *label;    /* "1g.10gb" */
    const char
        *under; /* "alice": beside the label, or below it when there are two lines; or NULL */
    enum table_style style;
};

/* Appends a GPU of `slices` memory slices as one or two lines, each after `indent` spaces and ended
 * by a newline:
 *
 *     │1g.10gb alice│3g.40gb bob                │·············│
 *
 * Segments are in order of start; one that overlaps the one before or the end is left out. Free
 * slices are dots. Texts that do not fit are cut. In ASCII the frame is | and the dots are full
 * stops. Each slice is as wide as look->width allows (width 0: 80 columns), at least 2. */
void table_bar(struct str *out, const struct table_look *look, unsigned indent, unsigned lines,
               unsigned slices, const struct table_segment *segments, size_t n);
