/* Reading an object by a table of fields: what keys it may have, of what type, and where each
 * value goes. JSON requests and YAML configuration are read by the same tables, so both answer
 * mistakes alike: an unknown key with the nearest known one, a wrong type with what was expected
 * and found, always with the path ("quotas.users.alice.slices"), in a file with line and column.
 *
 *     int64_t count = 1;
 *     const char *profile = NULL;
 *     const struct field fields[] = {
 *         {"profile", FIELD_STRING, &profile},
 *         {"count", FIELD_INT, &count, .min = 1, .max = 64},
 *     };
 *     struct field_at root = {.what = "request"};
 *     result = field_read(&root, tree, fields, ARRAY_LEN(fields), err);
 *
 * A key that is absent or null leaves its variable as it was. */
#pragma once

#include "base/error.h"
#include "text/mark.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
    FIELD_STRING,   /* const char **, borrowed from the tree; max > 0 limits its bytes */
    FIELD_BOOL,     /* bool *; in YAML also on, off, yes, no */
    FIELD_INT,      /* int64_t *, min..max (both 0: any) */
    FIELD_BYTES,    /* uint64_t *; a number of bytes or "18GiB", "18G", "512M" (powers of two) */
    FIELD_DURATION, /* int64_t * in ns; seconds, or "1h30m", or "never" when `never` allows it */
    FIELD_OBJECT,   /* json_t **, borrowed */
    FIELD_ARRAY,    /* json_t **, borrowed; max > 0 limits its length */
    FIELD_ANY,      /* json_t **, borrowed; the caller looks at it */
};

struct field {
    const char *name;
    enum field_type type;
    void *into; /* of the type above; NULL only checks */
    bool required;
    bool never; /* FIELD_DURATION: "never" gives TIME_NEVER */
    int64_t min, max;
    bool *found; /* set to whether the key was there; may be NULL */
};

/* Where a value is, as a chain up to the root; values on the stack of the reader. */
struct field_at {
    const struct field_at *above;
    const json_t *in; /* container of this value, NULL for the root */
    const char *key;  /* its key in an object, NULL in a list */
    size_t index;
    const struct marks *marks; /* NULL for JSON */
    const char *what;          /* root: names the document: "request", "/etc/fetta/fetta.yaml" */
};

/* The place of a member or an element; `in` is the container that is at `above`. */
struct field_at field_key(const struct field_at *above, const json_t *in, const char *key);
struct field_at field_index(const struct field_at *above, const json_t *in, size_t index);

/* Reads `object`, which is at `at`. On an error (-ERROR_INVALID) some variables may be set. */
int field_read(const struct field_at *at, const json_t *object, const struct field *fields,
               size_t n, struct error *err);

/* Reads one value (not null) that is at `at` as the type of `f`, whose name is not used: for lists
 * and for objects whose keys are names. */
int field_value(const struct field_at *at, const json_t *value, const struct field *f,
                struct error *err);

/* -ERROR_INVALID: "WHAT: line L, column C: PATH: text", for checks of the caller's own. */
FORMAT(3, 4) int field_error(const struct field_at *at, struct error *err, const char *fmt, ...);
