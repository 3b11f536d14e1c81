/* The state while memory runs out: SQLite's allocator and ours fail at a chosen call. A commit that
 * was acknowledged is there afterwards, one that was refused is there whole or not at all, and the
 * same file serves again. */
#include "base/test-fail.h"
#include "store/test-world.h"
#include "tests/tap.h"

#include <sqlite3.h>

static sqlite3_mem_methods real;

static void *failing_malloc(int n)
{
    return fail_now() ? NULL : real.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    return fail_now() ? NULL : real.xRealloc(p, n);
}

static void use_memory(void)
{
    if (real.xMalloc)
        return;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK || !real.xMalloc)
        abort();
    sqlite3_mem_methods failing = real;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK)
        abort();
}

struct round {
    unsigned refused;      /* commits and opens */
    uint32_t acknowledged; /* generation */
};

/* Opens, writes two generations, and closes, with allocation n failing from the time of the open or
 * only after it; false once n is past the last. */
static bool memory_round(long n, bool opening, struct round *ret)
{
    FOLDER f = folder_new();
    struct error err = {0};
    struct store *s = NULL;
    uint32_t acknowledged = 1, tried = 1;
    if (store_open_sqlite(f.file, &s, &err) != 0 || generation_write(s, 1, &err) != 0)
        TAP_FAIL("setting up: %s", err.text);
    if (opening)
        s = store_close(s);
    fail_at = n;
    int result = opening ? store_open_sqlite(f.file, &s, &err) : 0;
    ret->refused += result != 0;
    for (uint32_t g = 2; g <= 3 && result == 0; g++) {
        tried = g;
        result = generation_write(s, g, &err);
        acknowledged = result == 0 ? g : acknowledged;
        ret->refused += result != 0;
    }
    bool met = fail_at < 0;
    fail_at = -1;
    if (result && !err.text[0])
        TAP_FAIL("allocation %ld: %d without a word", n, result);
    s = store_close(s);
    uint32_t found = generation_read(f.file);
    if (found < acknowledged || found > tried)
        TAP_FAIL("allocation %ld: acknowledged %u, tried %u, found %u", n, acknowledged, tried,
                 found);
    return met;
}

static void every_allocation_may_fail(bool opening, long step)
{
    struct round sum = {0};
    long n = 0;
    use_memory();
    while (!tap_failed && n < 100000 && memory_round(n, opening, &sum))
        n += step;
    printf("# %ld allocations, %u refusals\n", n, sum.refused);
    CHECK_INT(sum.refused, >, 10);
}

TEST(a_commit_without_memory_loses_nothing_acknowledged)
{
    every_allocation_may_fail(false, 1);
}

TEST(an_open_without_memory_harms_nothing)
{
    every_allocation_may_fail(true, 7);
}

TEST(a_store_refused_for_want_of_memory_serves_again)
{
    FOLDER f = folder_new();
    struct error err = {0};
    struct store *s = NULL;
    use_memory();
    REQUIRE(store_open_sqlite(f.file, &s, &err) == 0);
    CHECK_INT(generation_write(s, 1, &err), ==, 0);
    for (long n = 0; n < 40; n++) {
        fail_at = n;
        (void)generation_write(s, 2, &err);
        fail_at = -1;
        CHECK_INT(generation_write(s, 3, &err), ==, 0);
    }
    store_close(s);
    CHECK_INT(generation_read(f.file), ==, 3);
}

TAP_MAIN
