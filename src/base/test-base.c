/* What base promises: errors that fit, durations as people write them, near misses. */
#include "base/error.h"
#include "base/fd.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/time.h"
#include "tests/tap.h"

TEST(error_codes_round_trip)
{
    for (int i = 0; i < ERROR_N; i++) {
        CHECK_INT(error_from_wire(error_wire((enum error_code)i)), ==, i);
        CHECK(strlen(error_doc((enum error_code)i)) > 0);
    }
    CHECK_INT(error_from_wire("of-a-later-version"), ==, ERROR_IO);
}

TEST(error_context_prefixes_and_long_texts_are_cut_visibly)
{
    struct error err;
    CHECK_INT(error_set(&err, ERROR_HARDWARE, "in use"), ==, -ERROR_HARDWARE);
    CHECK_INT(error_context(&err, "destroy gi %d", 3), ==, -ERROR_HARDWARE);
    CHECK_STR(err.text, "destroy gi 3: in use");
    (void)error_set(&err, ERROR_IO, "%0500d", 1);
    CHECK_INT(strlen(err.text), ==, ERROR_TEXT - 1);
    CHECK_STR(err.text + ERROR_TEXT - 4, "...");
}

TEST(durations_parse_and_format)
{
    int64_t ns = 0;
    struct error err;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"90s", 90 * TIME_S}, {"1h30m", 90 * TIME_MIN}, {"5", 5 * TIME_S},
                {"0", 0},             {"1d", TIME_DAY},         {"250ms", 250 * TIME_MS}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CHECK_INT(time_parse(good[i].text, "--for", &ns, &err), ==, 0);
        CHECK_INT(ns, ==, good[i].ns);
    }
    static const char *const bad[] = {"", "x", "5x", "-1", "1h-", "99999999999999999999", "3651d"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_INT(time_parse(bad[i], "--for", &ns, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "--for");
    char buf[TIME_TEXT];
    CHECK_STR(time_format(90 * TIME_MIN, buf), "1h30m");
    CHECK_STR(time_format(41 * TIME_S, buf), "41s");
    CHECK_STR(time_format(25 * TIME_HOUR, buf), "1d1h");
    CHECK_STR(time_format(TIME_NEVER, buf), "never");
}

TEST(strings_grow_and_are_taken)
{
    AUTO_STR struct str s = {0};
    for (int i = 0; i < 1000; i++)
        str_addf(&s, "%d,", i % 10);
    CHECK_INT(s.len, ==, 2000);
    char *text = str_take(&s);
    CHECK_INT(strlen(text), ==, 2000);
    free(text);
    CHECK(s.text == NULL);
}

TEST(nearest_word)
{
    static const char *const names[] = {"1g.10gb", "2g.20gb", "3g.40gb"};
    CHECK_STR(str_nearest("1g10gb", names, ARRAY_LEN(names)), "1g.10gb");
    CHECK(str_nearest("zebra", names, ARRAY_LEN(names)) == NULL);
}

TEST(a_hash_is_the_same_everywhere)
{
    /* Test vectors of FNV-1a's authors. */
    CHECK(str_hash("") == UINT64_C(0xcbf29ce484222325));
    CHECK(str_hash("foobar") == UINT64_C(0x85944171f73967e8));
}

TEST(rng_is_the_same_everywhere)
{
    struct rng r = {.state = 1};
    CHECK(rng_next(&r) == UINT64_C(0x910a2dec89025cc1));
    for (int i = 0; i < 1000; i++)
        CHECK_INT(rng_below(&r, 7), <, 7);
}

TAP_MAIN
