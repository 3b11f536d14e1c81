/* Makes the n-th allocation of a test program fail, jansson's included (linked with --wrap). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static long fail_at = -1; /* allocations until one fails; negative: never */

static bool fail_now(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
    return fail_now() ? NULL : __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size)
{
    return fail_now() ? NULL : __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n)
{
    return fail_now() ? NULL : __real_realloc(p, n);
}
void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fail_now() ? NULL : __real_reallocarray(p, n, size);
}
char *__wrap_strdup(const char *s)
{
    return fail_now() ? NULL : __real_strdup(s);
}

/* Calls `work` with the 0th, 1st, ... allocation failing until a run meets no failure; that run's
 * result is returned, and *ret_failures says how many runs did fail. `work` returns 0 for success.
 */
static inline int fail_each(int (*work)(void), unsigned *ret_failures)
{
    json_set_alloc_funcs(malloc, free);
    *ret_failures = 0;
    for (long n = 0;; n++) {
        fail_at = n;
        int result = work();
        bool met = fail_at < 0;
        fail_at = -1;
        if (!met)
            return result;
        *ret_failures += result != 0;
    }
}
