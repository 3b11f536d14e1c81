/* A growing string. Appending never fails visibly: after an allocation failure `failed` stays set
 * and the text stays what it was, so that a builder checks once, at the end. */
#pragma once

#include "base/macro.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    char *text; /* zero-terminated once anything was appended, NULL before */
    size_t len, room;
    bool failed;
};

/* A local string that frees itself: AUTO_STR struct str s = {0}; */
#define AUTO_STR CLEANUP(str_done)

/* Append a text, exactly `n` bytes, or formatted text; after a failure they do nothing. str_done
 * frees the text and makes *s an empty string again. */
void str_add(struct str *s, const char *text);
void str_add_n(struct str *s, const char *bytes, size_t n);
FORMAT(2, 3) void str_addf(struct str *s, const char *fmt, ...);
void str_done(struct str *s);

/* Ends building: the text (never NULL unless allocation failed), owned by the caller. */
char *str_take(struct str *s);

/* Copies at most size-1 bytes and terminates; true if all of `from` fitted. */
bool str_copy(char *to, size_t size, const char *from);

/* A hash of the text (FNV-1a), the same everywhere and for ever. */
uint64_t str_hash(const char *text);

/* The power of two a unit of bytes stands for: 10 for "K", "KB", "Ki" and "KiB" in any case, 20 for
 * "M", 30 for "G", 40 for "T", 0 for "B"; -1 for anything else. */
int str_unit(const char *unit);

/* The word of `n` candidates nearest to `word` by edit distance, or NULL if none is near. */
const char *str_nearest(const char *word, const char *const *candidates, size_t n);
