/* Where in its file each value of a tree was written, so that what is wrong with a value can be
 * said with line and column long after parsing.
 *
 * Values are named by the container they are in and their key or position: jansson shares one
 * object for every `true`, so a value's own address says nothing. Looking up walks the list; it
 * happens once, for an error. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct mark {
    const json_t *in;              /* the container, NULL for the root */
    char *key;                     /* in an object; NULL in a list */
    size_t index;                  /* in a list */
    unsigned key_line, key_column; /* 1-based; of the value itself in a list */
    unsigned line, column;
};

struct marks {
    size_t n, room;
    struct mark *at;
};

/* Adds a mark and takes a copy of `key`; false without memory. */
bool marks_add(struct marks *m, const struct mark *mark);

/* The mark of a value; NULL if there is none (or `m` is NULL). */
const struct mark *marks_find(const struct marks *m, const json_t *in, const char *key,
                              size_t index);
void marks_done(struct marks *m);
