/* Reading replies of the daemon. Fields may be absent (an older daemon) or null; each getter then
 * gives the value that says "nothing", so that showing a reply never fails. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A text, "" when absent. Borrowed from the object. */
const char *get_text(const json_t *object, const char *key);

/* A whole number, or `otherwise`. */
int64_t get_int(const json_t *object, const char *key, int64_t otherwise);

/* True, or false for all else. */
bool get_bool(const json_t *object, const char *key);

/* Seconds with a fraction as wall-clock ns, 0 for null and absent. */
int64_t get_time(const json_t *object, const char *key);

/* A member that is an array or object; json_array_size and get_* take NULL kindly. */
json_t *get_in(const json_t *object, const char *key);
