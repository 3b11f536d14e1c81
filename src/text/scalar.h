/* Plain YAML scalars by the core schema of YAML 1.2: which words are numbers, which are not. Used
 * by the reader to type a scalar and by the writer to know what must be quoted. */
#pragma once

#include <jansson.h>

enum scalar {
    SCALAR_TEXT,
    SCALAR_TYPED, /* null, true, false or a number */
    SCALAR_RANGE, /* a number that no 64-bit value holds, or infinite or not a number */
};

/* Says what `text` is and makes its value in *ret (may be NULL) unless SCALAR_RANGE; *ret stays
 * NULL without memory or when the text is not UTF-8. */
enum scalar scalar_read(const char *text, json_t **ret);
