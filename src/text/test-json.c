/* JSON and the field reader: each mistake's sentence, ranges, and what random damage does. */
#include "text/field.h"
#include "text/json.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"
#include "text/test-fail.h"

struct got {
    const char *profile;
    bool movable, movable_found;
    int64_t count, for_ns;
    uint64_t bytes;
    json_t *tags, *extra, *any;
};

static int read_tree(const json_t *tree, struct got *g, struct error *err)
{
    const struct field fields[] = {
        {"profile", FIELD_STRING, &g->profile, .max = 12},
        {"movable", FIELD_BOOL, &g->movable, .found = &g->movable_found},
        {"count", FIELD_INT, &g->count, .required = true, .min = 1, .max = 64},
        {"bytes", FIELD_BYTES, &g->bytes},
        {"for", FIELD_DURATION, &g->for_ns, .never = true},
        {"tags", FIELD_ARRAY, &g->tags, .max = 2},
        {"extra", FIELD_OBJECT, &g->extra},
        {"any", FIELD_ANY, &g->any},
    };
    struct field_at root = {.what = "request"};
    return field_read(&root, tree, fields, ARRAY_LEN(fields), err);
}

static int read_text(const char *text, size_t size, struct got *g, struct error *err)
{
    *g = (struct got){0};
    json_t *tree;
    int result = json_parse(text, size, "request", &tree, err);
    if (result == 0)
        result = read_tree(tree, g, err);
    g->profile = NULL; /* borrowed from the tree that goes now */
    json_decref(tree);
    return result;
}

static void wrong(const char *text, const char *sentence)
{
    struct got g;
    struct error err = {0};
    CHECK_INT(read_text(text, strlen(text), &g, &err), ==, -ERROR_INVALID);
    CHECK_STR(err.text, sentence);
}

TEST(a_size_has_a_unit_in_any_of_its_spellings)
{
    static const char *const sizes[] = {"18G", "18g", "18GB", "18gb", "18Gi", "18GiB", "18432M",
                                        "18432mib", "19327352832", "19327352832B"};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct got g;
        struct error err = {0};
        char text[80];
        (void)snprintf(text, sizeof(text), "{\"count\": 1, \"bytes\": \"%s\"}", sizes[i]);
        CHECK_INT(read_text(text, strlen(text), &g, &err), ==, 0);
        CHECK_INT(g.bytes, ==, 18LL << 30);
    }
}

TEST(values_are_read)
{
    struct got g;
    struct error err = {0};
    const char *text = "{\"count\": 3, \"movable\": true, \"bytes\": \"18GiB\", \"for\": \"1h30m\","
                       " \"profile\": null, \"tags\": [1, 2], \"any\": 1}";
    CHECK_INT(read_text(text, strlen(text), &g, &err), ==, 0);
    CHECK_INT(g.count, ==, 3);
    CHECK(g.movable && g.movable_found);
    CHECK_INT(g.bytes, ==, 18LL << 30);
    CHECK_INT(g.for_ns, ==, 90 * TIME_MIN);
    text = "{\"count\": 64, \"bytes\": 512, \"for\": \"never\"}";
    CHECK_INT(read_text(text, strlen(text), &g, &err), ==, 0);
    CHECK(!g.movable && !g.movable_found);
    CHECK_INT(g.bytes, ==, 512);
    CHECK_INT(g.for_ns, ==, TIME_NEVER);
}

TEST(malformed_json_has_line_and_column)
{
    struct error err = {0};
    json_t *tree = NULL;
    const char *text = "{\n  \"count\": 3,\n  \"x\" 4\n}";
    CHECK_INT(json_parse(text, strlen(text), "request", &tree, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "request: line 3, column 7: ");
    wrong("{\"count\": 1, \"count\": 2}",
          "request: line 1, column 20: duplicate object key near '\"count\"'");
    CHECK_INT(json_parse("", 0, "request", &tree, &err), ==, -ERROR_INVALID);
    CHECK_INT(json_parse("1 2", 3, "request", &tree, &err), ==, -ERROR_INVALID);
    CHECK(!tree);
}

TEST(mistakes_are_named)
{
    wrong("{\"count\": 1, \"profil\": \"1g\"}",
          "request: profil: unknown key, the nearest known one is \"profile\"");
    wrong("{\"count\": 1, \"zzzzzzzzzzzz\": 1}", "request: zzzzzzzzzzzz: unknown key, known here: "
                                                 "profile movable count bytes for tags extra any");
    wrong("{}", "request: the key \"count\" is missing");
    wrong("[]", "request: expected an object with keys, found a list");
    wrong("{\"count\": \"3\"}", "request: count: expected a whole number, found the text \"3\"");
    wrong("{\"count\": 1.5}", "request: count: expected a whole number, found a fraction");
    wrong("{\"count\": 0}", "request: count: 0 is out of range, from 1 to 64");
    wrong("{\"count\": 65}", "request: count: 65 is out of range, from 1 to 64");
    wrong("{\"count\": 1, \"movable\": \"on\"}",
          "request: movable: expected true or false, found the text \"on\"");
    wrong("{\"count\": 1, \"profile\": 7}",
          "request: profile: expected a string, found the number 7");
    wrong("{\"count\": 1, \"profile\": \"1234567890123\"}",
          "request: profile: 13 characters is too long, at most 12 are taken");
    wrong("{\"count\": 1, \"tags\": [1, 2, 3]}",
          "request: tags: 3 elements are too many, at most 2 are taken");
    wrong("{\"count\": 1, \"extra\": []}",
          "request: extra: expected an object with keys, found a list");
    static const char *const sizes[] = {"18GX", "G", "", "-1", "1.5G", "18GiBx", "1048576G", " 1"};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char text[64], sentence[160];
        (void)snprintf(text, sizeof(text), "{\"count\": 1, \"bytes\": \"%s\"}", sizes[i]);
        (void)snprintf(sentence, sizeof(sentence),
                       "request: bytes: expected a size such as \"18GiB\" "
                       "or \"512M\", found the text \"%s\"",
                       sizes[i]);
        wrong(text, sentence);
    }
    wrong("{\"count\": 1, \"for\": \"soon\"}", "request: for: expected a time such as \"90s\", "
                                               "\"1h30m\" or \"never\", found the text \"soon\"");
    wrong("{\"count\": 1, \"for\": -1}", "request: for: expected a time such as \"90s\", "
                                         "\"1h30m\" or \"never\", found the number -1");
}

TEST(paths_reach_into_lists)
{
    struct error err = {0};
    json_auto_t *tree = json_pack("{s:[{s:i},{s:s}]}", "a", "b", 1, "b", "x");
    struct field_at root = {.what = "file"}, a = field_key(&root, tree, "a");
    json_t *list = json_object_get(tree, "a");
    struct field_at second = field_index(&a, list, 1);
    const struct field fields[] = {{"b", FIELD_INT, NULL}};
    CHECK_INT(field_read(&second, json_array_get(list, 1), fields, 1, &err), ==, -ERROR_INVALID);
    CHECK_STR(err.text, "file: a[1].b: expected a whole number, found the text \"x\"");
}

TEST(limits)
{
    char deep[2 * JSON_DEPTH_MAX + 2];
    struct error err = {0};
    json_t *tree;
    for (int n = JSON_DEPTH_MAX; n <= JSON_DEPTH_MAX + 1; n++) {
        memset(deep, '[', (size_t)n);
        memset(deep + n, ']', (size_t)MIN(n, JSON_DEPTH_MAX));
        int result = json_parse(deep, (size_t)(n + MIN(n, JSON_DEPTH_MAX)), "x", &tree, &err);
        CHECK_INT(result, ==, n == JSON_DEPTH_MAX ? 0 : -ERROR_INVALID);
        json_decref(tree);
    }
    CHECK_STR(err.text, "x: line 1, column 33: more than 32 lists or objects inside one another");
    char *big = calloc(1, JSON_TEXT_MAX + 1);
    REQUIRE(big);
    CHECK_INT(json_parse(big, JSON_TEXT_MAX + 1, "x", &tree, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "too long");
    free(big);
    const char *quoted = "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[\"]";
    CHECK_INT(json_parse(quoted, strlen(quoted), "x", &tree, &err), ==, 0);
    json_decref(tree);
}

/* Damage a good request at random: the answer is a value or a sentence, never a crash (the
 * sanitizer build watches), and a refusal always says something. */
TEST(random_damage)
{
    static const char good[] =
        "{\"count\": 3, \"movable\": true, \"bytes\": \"18GiB\", \"for\": \"1h30m\","
        " \"tags\": [1, \"\\u00e9\"], \"extra\": {\"a\": null}, \"any\": -1e5}";
    uint64_t seed = 20240607;
    struct rng r = {seed};
    unsigned taken = 0, refused = 0;
    printf("# seed %" PRIu64 "\n", seed);
    for (unsigned round = 0; round < 20000; round++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        for (uint32_t k = rng_below(&r, 3) + 1; k > 0; k--)
            text[rng_below(&r, sizeof(good) - 1)] = (char)(rng_below(&r, 95) + 32);
        struct got g;
        struct error err = {0};
        int result = read_text(text, rng_below(&r, 8) ? strlen(good) : rng_below(&r, sizeof(good)),
                               &g, &err);
        taken += result == 0;
        refused += result != 0;
        if (result != 0 && (result != -ERROR_INVALID || !err.text[0]))
            TAP_FAIL("round %u: result %d, text \"%s\"", round, result, err.text);
        if (result == 0 && (g.count < 1 || g.count > 64))
            TAP_FAIL("round %u: count %" PRId64 " was let through", round, g.count);
    }
    CHECK_INT(taken, >, 100);
    CHECK_INT(refused, >, 100);
}

static int parse_and_read(void)
{
    static const char text[] =
        "{\"count\": 3, \"tags\": [1, 2, \"thr\\u00e9e\"], \"extra\": {\"a\": 1.5}}";
    struct error err = {0};
    json_t *tree;
    int result = json_parse(text, sizeof(text) - 1, "x", &tree, &err);
    if (result != 0 && (tree || !err.text[0]))
        TAP_FAIL("a failed parse left a tree or no text");
    json_decref(tree);
    return result;
}

TEST(every_allocation_may_fail)
{
    unsigned failures;
    CHECK_INT(fail_each(parse_and_read, &failures), ==, 0);
    CHECK_INT(failures, >, 10);
}

TAP_MAIN
