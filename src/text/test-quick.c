/* The quick reader against jansson: what it takes is what jansson makes of it, and what our own
 * programs write it takes. */
#include "text/quick.h"

#include "base/macro.h"
#include "base/rng.h"
#include "tests/tap.h"
#include "text/test-fail.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STRICT = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES };

/* Whether it was taken, and if so as by jansson, to the last sign. */
static bool same(const char *text, size_t n)
{
    json_auto_t *ours = quick_read(text, n);
    if (!ours)
        return false;
    json_auto_t *theirs = json_loadb(text, n, STRICT, NULL);
    char *a = json_dumps(ours, JSON_ENCODE_ANY), *b = json_dumps(theirs, JSON_ENCODE_ANY);
    if (!theirs || !json_equal(ours, theirs) || strcmp(a, b) != 0)
        TAP_FAIL("\"%.*s\": %s, and by jansson %s", (int)n, text, a, b ? b : "refused");
    free(a);
    free(b);
    return true;
}

TEST(what_is_plain_is_taken)
{
    static const char *const plain[] = {
        "{}",
        "[]",
        " [ ] ",
        "0",
        "-0",
        "-0.0",
        "0.5",
        "-12.25",
        "999999999999999999",
        "true",
        "false",
        "null",
        "\"\"",
        "\"a b\"",
        "\"Gr\xc3\xbc\xc3\x9f\"",
        "1795388773.070",
        "{\"a\":{\"b\":[1,2.5,\"x\",{}]},\"\":null}",
        "\t{ \"a\" : [ true , false ] }\r\n",
        "1234567890.123456",
        "0.0001234567890123",
        "0.00000000000001",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        if (!same(plain[i], strlen(plain[i])))
            TAP_FAIL("%s was not taken", plain[i]);
    }
}

TEST(what_is_not_is_left)
{
    static const char *const odd[] = {
        "",
        " ",
        "[",
        "]",
        "{",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "-",
        "-01",
        "1.",
        ".5",
        "1e5",
        "1.5e5",
        "1E5",
        "1000000000000000000",
        "12345678901.123456",
        "0.000000000000000001",
        "tru",
        "nulll",
        "True",
        "\"",
        "\"\n\"",
        "\"\\u00e9\"",
        "\"\\n\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "{\"\xc3\xa9\":1}",
        "{\"a\":1,\"a\":2}",
        "1 2",
        "[1 2]",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        "{\"a\" 1}",
        "[1}",
        "'a'",
        "+1",
    };
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        if (same(odd[i], strlen(odd[i])))
            TAP_FAIL("%s was taken", odd[i]);
    }
    CHECK(!same("[1]\0", 4));
    CHECK(!same("\"a\0b\"", 5));
}

/* Any value, `depth` levels at most, of what a daemon says. */
static json_t *any(struct rng *r, unsigned depth)
{
    char name[8];
    json_t *all;
    switch (rng_below(r, depth ? 8 : 6)) {
    case 0:
        return json_integer((json_int_t)(rng_next(r) >> (rng_below(r, 59) + 5)) - 1000);
    case 1:
        return json_real((double)(int64_t)rng_next(r) / (double)(1 + rng_below(r, 1000000)) / 1e6);
    case 2:
        return json_boolean(rng_below(r, 2));
    case 3:
        return json_null();
    case 4:
        return json_string("18 GiB on GPU 3");
    case 5:
        return json_string("\xe2\x82\xac 5");
    case 6:
        all = json_array();
        for (uint32_t n = rng_below(r, 5); n > 0; n--)
            (void)json_array_append_new(all, any(r, depth - 1));
        return all;
    default:
        all = json_object();
        for (uint32_t n = rng_below(r, 5); n > 0; n--) {
            (void)snprintf(name, sizeof name, "k%u", rng_below(r, 100));
            (void)json_object_set_new(all, name, any(r, depth - 1));
        }
        return all;
    }
}

/* Whatever is written is read the same; and damaged, it is read as jansson reads it or not at all.
 */
TEST(random_values_and_damage)
{
    struct rng r = {20261122};
    unsigned taken = 0, whole = 0, survived = 0;
    printf("# seed %" PRIu64 "\n", r.state);
    for (unsigned round = 0; round < 4000; round++) {
        json_auto_t *tree = any(&r, 4);
        bool spaced = rng_below(&r, 2);
        char *text = json_dumps(tree, JSON_ENCODE_ANY | JSON_REAL_PRECISION(13) |
                                          (spaced ? JSON_INDENT(2) : JSON_COMPACT));
        REQUIRE(text);
        size_t n = strlen(text);
        /* A real of a size that needs an exponent is jansson's business. */
        bool plain = !strstr(text, "e+") && !strstr(text, "e-");
        whole += plain;
        taken += plain && same(text, n);
        for (unsigned k = 0; k < 4; k++) {
            text[rng_below(&r, (uint32_t)n)] = "{}[],:\"01.-e\\tn \x80"[rng_below(&r, 17)];
            survived += same(text, n - rng_below(&r, 2));
        }
        free(text);
    }
    CHECK_INT(taken, ==, whole);
    CHECK_INT(whole, >, 2000);
    CHECK_INT(survived, >, 100);
}

static int read_some(void)
{
    static const char text[] =
        "{\"count\": 3, \"tags\": [1, 2, \"three\"], \"extra\": {\"a\": 1.5}}";
    json_auto_t *all = quick_read(text, sizeof text - 1);
    return all ? 0 : -1;
}

TEST(every_allocation_may_fail)
{
    unsigned failures;
    CHECK_INT(fail_each(read_some, &failures), ==, 0);
    CHECK_INT(failures, >, 10);
}

TAP_MAIN
