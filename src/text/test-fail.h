/* Makes the n-th allocation of a test program fail, jansson's included. */
#pragma once

#include "base/test-fail.h"

#include <jansson.h>

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
