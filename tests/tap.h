/* A test program in one header: TEST(name) registers itself, main prints TAP.
 *
 *     #include "tests/tap.h"
 *     TEST(adds) { CHECK(1 + 1 == 2); CHECK_INT(1 + 1, ==, 2); CHECK_STR("a", "a"); }
 *     TAP_MAIN
 *
 * A failed CHECK marks the test failed and goes on; REQUIRE leaves the test. SKIP("why") marks it
 * skipped. The program takes test names as arguments to run only these. */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tap_test {
    const char *name;
    void (*run)(void);
    struct tap_test *next;
};

static struct tap_test *tap_first, **tap_last = &tap_first;
static bool tap_failed;
static const char *tap_skipped;

#define TEST(name)                                                                        \
    static void tap_run_##name(void);                                                     \
    static struct tap_test tap_##name = {#name, tap_run_##name, NULL};                    \
    __attribute__((constructor)) static void tap_add_##name(void)                         \
    {                                                                                     \
        *tap_last = &tap_##name;                                                          \
        tap_last = &tap_##name.next;                                                      \
    }                                                                                     \
    static void tap_run_##name(void)

#define TAP_FAIL(...)                                             \
    do {                                                          \
        tap_failed = true;                                        \
        printf("# %s:%d: ", __FILE__, __LINE__);                  \
        printf(__VA_ARGS__);                                      \
        printf("\n");                                             \
    } while (0)

#define CHECK(condition)                        \
    do {                                        \
        if (!(condition))                       \
            TAP_FAIL("not true: %s", #condition); \
    } while (0)

#define REQUIRE(condition)                        \
    do {                                          \
        if (!(condition)) {                       \
            TAP_FAIL("not true: %s", #condition); \
            return;                               \
        }                                         \
    } while (0)

#define CHECK_INT(a, op, b)                                                                  \
    do {                                                                                     \
        long long tap_a = (long long)(a), tap_b = (long long)(b);                            \
        if (!(tap_a op tap_b))                                                               \
            TAP_FAIL("%s " #op " %s: %lld against %lld", #a, #b, tap_a, tap_b);              \
    } while (0)

#define CHECK_STR(a, b)                                                                      \
    do {                                                                                     \
        const char *tap_a = (a), *tap_b = (b);                                               \
        if (strcmp(tap_a, tap_b) != 0)                                                       \
            TAP_FAIL("%s == %s: \"%s\" against \"%s\"", #a, #b, tap_a, tap_b);               \
    } while (0)

/* `text` must contain `part`. */
#define CHECK_HAS(text, part)                                                                \
    do {                                                                                     \
        const char *tap_a = (text), *tap_b = (part);                                         \
        if (!strstr(tap_a, tap_b))                                                           \
            TAP_FAIL("%s has \"%s\": it is \"%s\"", #text, tap_b, tap_a);                    \
    } while (0)

#define SKIP(why)            \
    do {                     \
        tap_skipped = (why); \
        return;              \
    } while (0)

static inline int tap_main(int argc, char **argv)
{
    int number = 0, failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct tap_test *t = tap_first; t; t = t->next) {
        bool wanted = argc < 2;
        for (int i = 1; i < argc; i++)
            wanted = wanted || strcmp(argv[i], t->name) == 0;
        if (!wanted)
            continue;
        tap_failed = false;
        tap_skipped = NULL;
        t->run();
        if (tap_skipped)
            printf("ok %d - %s # SKIP %s\n", ++number, t->name, tap_skipped);
        else
            printf("%s %d - %s\n", tap_failed ? "not ok" : "ok", ++number, t->name);
        failed += tap_failed;
    }
    printf("1..%d\n", number);
    return failed ? 1 : 0;
}

#define TAP_MAIN                     \
    int main(int argc, char **argv)  \
    {                                \
        return tap_main(argc, argv); \
    }
