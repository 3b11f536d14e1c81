/* Reports and layouts are saved here: texts that were built in memory, to files that people named.
 * All verbs that write them say the same about what went wrong. */
#pragma once

#include "base/error.h"
#include "base/str.h"

/* Writes `size` bytes to a file, in place of what is there. -ERROR_IO, naming it. */
int save_text(const char *text, size_t size, const char *path, struct error *err);

/* Writes a page to a file, in place of what is there. -ERROR_NO_MEMORY if building it failed,
 * -ERROR_IO. */
int save_page(const struct str *page, const char *path, struct error *err);
