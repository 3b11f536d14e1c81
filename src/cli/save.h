/* Reports are saved here: pages that were built in memory, to files that people named. Both verbs
 * that write reports say the same about what went wrong. */
#pragma once

#include "base/error.h"
#include "base/str.h"

/* Writes a page to a file, in place of what is there. -ERROR_NO_MEMORY if building it failed,
 * -ERROR_IO. */
int save_page(const struct str *page, const char *path, struct error *err);
