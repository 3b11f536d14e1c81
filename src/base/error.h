/* Errors as values. A function that can fail returns 0, a negative code or a
 * positive outcome that its own declaration documents, and fills a caller-owned
 * `struct error`. Forward a negative code unchanged; add context at most once a
 * layer. "Does not fit now" is an outcome, a dead driver is an error.
 *
 * Texts are lower case without a full stop: what was tried, on what, and the
 * next step a person can take. Longer texts are cut and end in "...". */
#pragma once

#include "base/macro.h"

enum error_code {
#define CODE(id, wire, http, exit, doc) ERROR_##id,
#include "base/codes.def"
#undef CODE
    ERROR_N
};

enum { ERROR_TEXT = 400 };

struct error {
    enum error_code code;
    int sys;               /* errno or nvmlReturn_t behind it, 0 if none */
    char text[ERROR_TEXT]; /* for people */
};

/* Fills `err` (may be NULL) and returns -(int)code, so that `return error_set(...)` reads well. */
FORMAT(3, 4) int error_set(struct error *err, enum error_code code,
                                            const char *fmt, ...);

/* The same with the text of errno value `sys` appended after a colon. */
FORMAT(4, 5) int error_errno(struct error *err, enum error_code code, int sys,
                                              const char *fmt, ...);

/* Prefixes "text: " and returns -(int)err->code. `err` may be NULL, then -ERROR_IO. */
FORMAT(2, 3) int error_context(struct error *err, const char *fmt, ...);

const char *error_wire(enum error_code code);   /* "no-fit" */
int error_http(enum error_code code);           /* 409 */
int error_exit(enum error_code code);           /* 75 */
const char *error_doc(enum error_code code);    /* one sentence */

/* The code of a wire name, ERROR_IO for a name this version does not know. */
enum error_code error_from_wire(const char *wire);
