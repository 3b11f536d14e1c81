/* The few words the language lacks: cleanup attributes, array sizes, steal. */
#pragma once

#include <stddef.h>

#define FORMAT(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Runs f(&variable) when the variable leaves its scope. Initialise it where it is declared. */
#define CLEANUP(f) __attribute__((cleanup(f)))

/* A local that frees itself with free(3). */
#define AUTO_FREE CLEANUP(macro_free)

/* Hands ownership out of a self-cleaning local: return STEAL(p). */
#define STEAL(p)                 \
    ({                           \
        __typeof__(p) kept = (p); \
        (p) = NULL;              \
        kept;                    \
    })

/* What AUTO_FREE runs: frees the pointer that is stored at this address. */
void macro_free(void *pointer_to_pointer);
