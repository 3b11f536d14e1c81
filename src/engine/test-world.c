/* What a world costs before anything happens in it. A program of its own, since only a fresh heap
 * gives memory that nobody wrote to. */
#include "engine/world.h"
#include "tests/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Private memory of this process that was written to, bytes; -1 if nothing says. */
static long written(void)
{
    char line[128];
    long kib = -1;
    FILE *f = fopen("/proc/self/smaps_rollup", "re");
    while (f && kib < 0 && fgets(line, sizeof line, f))
        (void)sscanf(line, "Private_Dirty: %ld", &kib);
    if (f)
        (void)fclose(f);
    return kib < 0 ? -1 : kib * 1024;
}

/* With room for 300,000 leases the tables would be 17 MB, if they were filled with what stands for
 * nothing. What emulates another processor writes some itself. */
TEST(what_a_world_never_uses_costs_no_memory)
{
    const char *perturb = getenv("MALLOC_PERTURB_"); /* writes to all that is asked for */
    long before = written();
    if (before < 0 || SANITIZED || (perturb && strcmp(perturb, "0") != 0))
        SKIP("nothing here says what memory was written to");
    struct world *w = world_new(64, 300000);
    long after = written();
    REQUIRE(w);
    CHECK_INT(after - before, <, 6000000);
    world_free(w);
}

TAP_MAIN
