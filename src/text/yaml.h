/* YAML in and out, by way of the same tree as JSON, so that one schema reader serves both.
 *
 * What is taken is plain YAML 1.2 with the core schema: one document; true, false, null, numbers
 * and text, quoted scalars always text. Refused because a configuration has no use for them and
 * they are how such files surprise or attack: anchors and aliases, tags, keys given twice, keys
 * that are not scalars, a second document. */
#pragma once

#include "base/error.h"
#include "text/mark.h"

#include <jansson.h>
#include <stddef.h>

struct yaml {
    json_t *root; /* json_null() for an empty document */
    struct marks marks;
};

#define AUTO_YAML CLEANUP(yaml_done)

/* Parses `size` bytes; `what` names the file in errors. At most JSON_TEXT_MAX bytes and
 * JSON_DEPTH_MAX levels. -ERROR_INVALID ("WHAT: line L, column C: ...") or -ERROR_NO_MEMORY;
 * `ret` is empty then. */
int yaml_parse(const char *text, size_t size, const char *what, struct yaml *ret,
               struct error *err);
void yaml_done(struct yaml *y);

/* The tree as YAML text ending in a newline, owned by the caller: maps and lists in block style,
 * lists of at most 16 numbers as [0, 1]. What yaml_parse reads back is equal to `value`. NULL
 * without memory. */
char *yaml_format(const json_t *value);
