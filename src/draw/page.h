/* One HTML page that needs nothing else: no script, no font, nothing fetched. It is written to be
 * looked at on light and dark screens, printed, and read aloud, and it is well-formed XML, so that
 * a strict parser can check it. What is drawn on it is in figure.h and chart.h. */
#pragma once

#include "base/str.h"

/* Text goes to `out`, whose `failed` says at the end whether memory was enough. */
struct page {
    struct str *out;
    unsigned figure_n; /* gives ids to pictures, which their descriptions are found by */
};

/* From the doctype to the heading of the page, whose title is plain text; and to its end. */
void page_begin(struct page *p, struct str *out, const char *title);
void page_end(struct page *p);

/* Markup as it is: of our own only. Text of others comes through page_escape or page_element. */
void page_markup(struct page *p, const char *markup);
FORMAT(2, 3) void page_markupf(struct page *p, const char *fmt, ...);

/* Plain text as text of a page: no mark-up of its own survives, nor a byte that is no UTF-8. */
void page_escape(struct str *out, const char *text);

/* An element of a page with plain text in it; `class` NULL or the words that the style sheet knows:
 * "advice", "dim", "late", "n" (numbers), "name" (in one line), "yes", "no", "partly". */
void page_element(struct page *p, const char *element, const char *class, const char *text);

/* A heading of a table from words that end with NULL, those from `numbers` on set to the right; and
 * the end of the table. */
void page_table(struct page *p, const char *const *heads, unsigned numbers);
void page_table_end(struct page *p);
