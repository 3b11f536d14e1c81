/* A picture on a page, as SVG: lines, boxes, words, and cells that stand for slices. Lengths are in
 * units of a picture FIGURE_WIDTH wide, whatever width it is shown at, y downwards. A coordinate
 * that is no number, or far outside, is drawn at the edge of what can be. */
#pragma once

#include "draw/page.h"

#include <stdbool.h>

enum { FIGURE_WIDTH = 900 };

/* A picture so high; `title` and `about` are read to those who cannot see it. The caption is plain
 * text below it, NULL for none. */
void figure_begin(struct page *p, double height, const char *title, const char *about);
void figure_end(struct page *p, const char *caption);

/* Plain text at the base line y, which begins, has its middle or ends at x ("start", "middle",
 * "end"); `class` as in page.h. */
void figure_word(struct page *p, double x, double y, const char *anchor, const char *class,
                 const char *text);

/* About how wide a word is: a guess that rather is too large. */
double figure_word_width(const char *text);

/* A line, and a box with a text that shows when it is pointed at (NULL: none). Classes of lines are
 * "axis", "grid", "mark"; of boxes "free", "f0".."f7" (series), "pale" beside them, and
 * "q1".."q8" (slices). */
void figure_line(struct page *p, double x1, double y1, double x2, double y2, const char *class);
void figure_box(struct page *p, double x, double y, double width, double height, const char *class,
                const char *title);

/* The classes of series `i`: a colour and a dash that no other of the first 24 has. */
enum { FIGURE_CLASS = 24 };
const char *figure_series(unsigned i, char buf[FIGURE_CLASS]);

/* The shade of a slice with so many compute slices, 1..8: larger is darker; 8 is a whole GPU. */
unsigned figure_shade(unsigned compute, bool whole);

/* A box in such a shade with its name in it where there is room, and in any case when pointed
 * at. */
void figure_cell(struct page *p, double x, double y, double width, double height, unsigned shade,
                 const char *name);

/* A path: begin, its parts, end. Moves and lines to points as above. */
void figure_path_begin(struct page *p, const char *class);
void figure_path_to(struct page *p, char command, double x, double y);
void figure_path_box(struct page *p, double x, double y, double width, double height);
void figure_path_end(struct page *p, const char *title);
