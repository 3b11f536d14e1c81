/* JSON in, the quick way for what programs write. Jansson takes each byte through several calls; a
 * `fetta status` spends more time there than anywhere else. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* The value that jansson would make of `size` bytes, or NULL for anything that is not plain: what
 * is no JSON at all, but also a \u escape, a character beyond ASCII in a key, a number of more than
 * 18 digits, a real with an exponent or with more digits than a double holds for certain, a key
 * twice, more than 32 levels, and no memory. Whoever gets NULL asks jansson, which takes what is
 * right and has words for what is not. The caller's (json_decref). */
json_t *quick_read(const char *text, size_t size);
