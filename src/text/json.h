/* JSON in: text that somebody sent becomes a tree, or a sentence saying where it is wrong.
 *
 * Thin over jansson: it adds the limits a daemon needs (size, depth, no key twice) and our kind of
 * error. Reading the tree is field.h's job; writing is jansson's own json_dumps. */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

enum {
    JSON_TEXT_MAX = 1 << 20, /* bytes of one document */
    JSON_DEPTH_MAX = 32,     /* lists and objects inside one another */
};

/* Parses `size` bytes as one JSON value of any kind. `what` names the document in the error, such
 * as "request": "request: line 3, column 7: ...". A key given twice, nesting deeper than
 * JSON_DEPTH_MAX, more than JSON_TEXT_MAX bytes and zero characters are refused. *ret is the
 * caller's (json_decref, json_auto_t). -ERROR_INVALID or -ERROR_NO_MEMORY. */
int json_parse(const char *text, size_t size, const char *what, json_t **ret, struct error *err);

/* What a value is, for people: "a string", "a number", "nothing" for NULL. */
const char *json_kind(const json_t *value);
