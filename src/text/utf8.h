/* UTF-8 one character at a time, for measuring and escaping; independent of the locale. */
#pragma once

#include <stdint.h>

/* Decodes the character at `text` (not at its end) into *ret and returns its length in bytes. A
 * byte that begins no valid character gives U+FFFD and length 1. */
unsigned utf8_next(const char *text, uint32_t *ret);

/* Columns `c` takes on a terminal: 0, 1 or 2. Control characters and what cannot be shown are
 * written as '?', so they take 1. */
unsigned utf8_width(uint32_t c);
