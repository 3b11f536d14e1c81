/* Fault rules: they hit what they name, as often as they say. */
#include "emul/faults.h"
#include "tests/tap.h"

TEST(counts)
{
    struct faults f = {0};
    CHECK(faults_add(&f, (struct fault){.call = 5, .gpu = -1, .gi = -1, .count = 2, .code = 19}));
    CHECK_INT(faults_take(&f, 4, 0, 0).code, ==, 0);
    CHECK_INT(faults_take(&f, 5, 0, 0).code, ==, 19);
    CHECK_INT(faults_take(&f, 5, 3, -1).code, ==, 19);
    CHECK_INT(faults_take(&f, 5, 0, 0).code, ==, 0);
    CHECK_INT(f.n, ==, 0);
}

TEST(places)
{
    struct faults f = {0};
    CHECK(faults_add(&f, (struct fault){.call = 5, .gpu = 2, .gi = 7, .code = 19}));
    CHECK_INT(faults_take(&f, 5, 2, 8).code, ==, 0);
    CHECK_INT(faults_take(&f, 5, 1, 7).code, ==, 0);
    for (int i = 0; i < 100; i++)
        CHECK_INT(faults_take(&f, 5, 2, 7).code, ==, 19);
}

TEST(delays_add_up_and_codes_queue)
{
    struct faults f = {0};
    CHECK(faults_add(&f, (struct fault){.call = 1, .gpu = -1, .gi = -1, .delay_ms = 10}));
    struct fault once = {.call = 1, .gpu = -1, .gi = -1, .delay_ms = 5, .count = 1};
    struct fault late = {.call = 1, .gpu = -1, .gi = -1, .delay_ms = 3, .after = true};
    CHECK(faults_add(&f, once) && faults_add(&f, late));
    CHECK(faults_add(&f, (struct fault){.call = 1, .gpu = -1, .gi = -1, .code = 4, .count = 1}));
    CHECK(faults_add(&f, (struct fault){.call = 1, .gpu = -1, .gi = -1, .code = 6, .count = 1}));
    struct fault_verdict v = faults_take(&f, 1, 0, -1);
    CHECK_INT(v.before_ms, ==, 15);
    CHECK_INT(v.after_ms, ==, 3);
    CHECK_INT(v.code, ==, 4);
    v = faults_take(&f, 1, 0, -1);
    CHECK_INT(v.before_ms, ==, 10);
    CHECK_INT(v.code, ==, 6);
    CHECK_INT(faults_take(&f, 1, 0, -1).code, ==, 0);
}

TEST(full)
{
    struct faults f = {0};
    for (int i = 0; i < FAULTS_MAX; i++)
        CHECK(faults_add(&f, (struct fault){.call = 1}));
    CHECK(!faults_add(&f, (struct fault){.call = 1}));
}

TAP_MAIN
