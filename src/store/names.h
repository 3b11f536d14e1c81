/* Texts with numbers, in memory: numbers are given in order and kept for ever.
 *
 * A text lives in the cache from the moment it gets its number; `saved` says how many are
 * durable. A rolled back transaction leaves the others to be written with the next commit, so a
 * number once given out never changes its meaning. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names {
    char **at; /* at[i] has number first + i */
    uint32_t n, room, saved;
    uint32_t first;
    uint32_t *table; /* open addressing over `at`, index + 1; a power of two long */
    uint32_t table_n;
};

/* Index of `text`, -1 if it has none. */
int64_t names_find(const struct names *s, const char *text);

/* Adds a text that is not there; false without memory. */
bool names_add(struct names *s, const char *text);

/* The text with this number, NULL if there is none. */
const char *names_text(const struct names *s, uint32_t number);
void names_done(struct names *s);
