/* YAML: typing, places, refusals, and that what is written is read back equal. */
#include "text/field.h"
#include "text/json.h"
#include "text/yaml.h"

#include "base/rng.h"
#include "tests/tap.h"
#include "text/test-fail.h"

static void same(const char *yaml_text, const char *json_text)
{
    struct error err = {0};
    AUTO_YAML struct yaml y = {0};
    json_t *want;
    REQUIRE(json_parse(json_text, strlen(json_text), "want", &want, &err) == 0);
    if (yaml_parse(yaml_text, strlen(yaml_text), "f", &y, &err) != 0)
        TAP_FAIL("%s: %s", yaml_text, err.text);
    else if (!json_equal(y.root, want))
        TAP_FAIL("%s is not %s", yaml_text, json_text);
    json_decref(want);
}

TEST(core_schema)
{
    same("", "null");
    same("a: [1, -2, 0x10, 0o17, +3, 007]", "{\"a\": [1, -2, 16, 15, 3, 7]}");
    same("[1.5, 1e3, .5, 1., true, False, NULL, ~, ]",
         "[1.5, 1000.0, 0.5, 1.0, true, false, null, null]");
    same(
        "['1', \"true\", yes, on, 1g.5gb, 1e, 0x, 0b1, 1_000, '']",
        "[\"1\", \"true\", \"yes\", \"on\", \"1g.5gb\", \"1e\", \"0x\", \"0b1\", \"1_000\", \"\"]");
    same("a:\n", "{\"a\": null}");
    same("1: one\ntrue: t\n", "{\"1\": \"one\", \"true\": \"t\"}");
    same("---\na: |\n  x\n  y\n...\n", "{\"a\": \"x\\ny\\n\"}");
    same("version: v1\nmig-configs:\n  half:\n    - devices: [0, 1]\n      mig-enabled: true\n"
         "      mig-devices:\n        1g.10gb: 2\n        \"3g.40gb+me\": 1\n",
         "{\"version\": \"v1\", \"mig-configs\": {\"half\": [{\"devices\": [0, 1], "
         "\"mig-enabled\": true,"
         "\"mig-devices\": {\"1g.10gb\": 2, \"3g.40gb+me\": 1}}]}}");
}

static void wrong(const char *text, size_t size, const char *sentence)
{
    struct error err = {0};
    struct yaml y;
    CHECK_INT(yaml_parse(text, size, "f", &y, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, sentence);
    CHECK(!y.root && y.marks.n == 0);
}

static void wrong_text(const char *text, const char *sentence)
{
    wrong(text, strlen(text), sentence);
}

TEST(refusals)
{
    wrong_text("a: 1\nb: 2\n a: 3\n", "f: line 3, column 3: ");
    wrong_text("a: 1\nb: 2\na: 3\n", "f: line 3, column 1: the key \"a\" is there twice");
    wrong_text("a: &x 1\n", "f: line 1, column 4: anchors");
    wrong_text("a: &x [1]\n", "f: line 1, column 4: anchors");
    wrong_text("a: *x\n", "f: line 1, column 4: aliases");
    wrong_text("a: !!str 1\n", "f: line 1, column 4: tags");
    wrong_text("a: 1\n---\nb: 1\n", "f: line 2, column 1: a second document");
    wrong_text("? [1, 2]\n: x\n", "f: line 1, column 3: a key must be a simple text");
    wrong_text("a: 99999999999999999999\n", "f: line 1, column 4: the number is too large");
    wrong_text("a: .inf\n", "too large");
    wrong_text("a: \"x\\0y\"\n", "zero character");
    wrong_text("a: [1, 2\n", "f: line 2, column 1: ");
    wrong_text("\ta: 1\n", "f: line 1, column 1: ");
    wrong("a: \xff\xfe\n", 6, "f: byte 3: ");
    char deep[JSON_DEPTH_MAX + 2];
    memset(deep, '[', sizeof(deep));
    wrong(deep, sizeof(deep), "f: line 1, column 33: too many");
}

static void schema_wrong(const char *text, const char *sentence)
{
    struct error err = {0};
    AUTO_YAML struct yaml y = {0};
    REQUIRE(yaml_parse(text, strlen(text), "fetta.yaml", &y, &err) == 0);
    struct field_at root = {.what = "fetta.yaml", .marks = &y.marks};
    json_t *users = NULL;
    bool privacy = false;
    const struct field top[] = {{"privacy", FIELD_BOOL, &privacy}, {"users", FIELD_OBJECT, &users}};
    const struct field quota[] = {{"slices", FIELD_INT, NULL, .min = 0, .max = 10}};
    int result = field_read(&root, y.root, top, 2, &err);
    struct field_at at = field_key(&root, y.root, "users");
    const char *name;
    json_t *value;
    json_object_foreach(users, name, value)
    {
        struct field_at user = field_key(&at, users, name);
        result = result ? result : field_read(&user, value, quota, 1, &err);
    }
    CHECK_STR(result ? err.text : privacy ? "on" : "off", sentence);
}

TEST(schema_errors_have_places)
{
    schema_wrong("privacy: on\nusers:\n  alice: {slices: 3}\n", "on");
    schema_wrong("privacy: no\n", "off");
    schema_wrong("users:\n  alice:\n    slices: many\n",
                 "fetta.yaml: line 3, column 13: users.alice.slices: "
                 "expected a whole number, found the text \"many\"");
    schema_wrong("users:\n  alice:\n    slces: 1\n",
                 "fetta.yaml: line 3, column 5: users.alice.slces: "
                 "unknown key, the nearest known one is \"slices\"");
    schema_wrong("users:\n  alice: {slices: 11}\n",
                 "fetta.yaml: line 2, column 19: users.alice.slices: "
                 "11 is out of range, from 0 to 10");
    schema_wrong(
        "users:\n  bob: true\n  alice: true\n",
        "fetta.yaml: line 2, column 8: users.bob: expected an object with keys, found true");
    schema_wrong("- 1\n",
                 "fetta.yaml: line 1, column 1: expected an object with keys, found a list");
}

TEST(written_form)
{
    static const char json[] = "{\"version\": \"v1\", \"a b\": [], \"on\": {}, \"list\": "
                               "[{\"devices\": [0, 1], \"x\": {\"1g.5gb\": 2}},"
                               " \"all\", [[\"x\"]]], \"n\": null, \"r\": 1.0, \"s\": \"12\", "
                               "\"q\": \"say \\\"hi\\\"\\n\"}";
    struct error err = {0};
    json_t *tree;
    REQUIRE(json_parse(json, strlen(json), "x", &tree, &err) == 0);
    AUTO_FREE char *text = yaml_format(tree);
    json_decref(tree);
    REQUIRE(text);
    CHECK_STR(text,
              "version: v1\n\"a b\": []\n\"on\": {}\nlist:\n  - devices: [0, 1]\n    x:\n      "
              "1g.5gb: 2\n"
              "  - all\n  - - - x\n\"n\": null\nr: 1.0\ns: \"12\"\nq: \"say \\\"hi\\\"\\u000a\"\n");
}

static json_t *random_text(struct rng *r)
{
    static const char *const words[] = {
        "",           "yes",  "1",    "~",    "0x1f",         "a b",
        "-",          "a: b", "# no", "é",    "日本",         "x\ny",
        "1g.10gb+me", ".5",   "..",   "\x7f", "\xe2\x80\xa8", "\xef\xbb\xbf",
        "\"",         "\\",   "null", "it's", "&a",           "*a",
        "!t",         "%",    "@",    "\t",   " lead",        "trail ",
        "😀"};
    return json_string(words[rng_below(r, ARRAY_LEN(words))]);
}

static json_t *random_tree(struct rng *r, unsigned depth)
{
    uint32_t pick = rng_below(r, depth > 4 ? 5 : 8);
    json_t *made = pick == 5 ? json_object() : json_array();
    if (pick >= 5) {
        for (uint32_t n = rng_below(r, 5); n > 0; n--) {
            json_t *key = random_text(r);
            if (pick == 5)
                json_object_set_new(made, json_string_value(key), random_tree(r, depth + 1));
            else
                json_array_append_new(made, random_tree(r, depth + 1));
            json_decref(key);
        }
        return made;
    }
    json_decref(made);
    switch (pick) {
    case 0:
        return json_integer((json_int_t)rng_next(r) >> rng_below(r, 64));
    case 1:
        return json_real(((double)rng_below(r, 2000000) - 1e6) * (rng_below(r, 2) ? 1e-9 : 1e20));
    case 2:
        return rng_below(r, 2) ? json_null() : json_boolean(rng_below(r, 2));
    default:
        return random_text(r);
    }
}

TEST(what_is_written_is_read_back)
{
    uint64_t seed = 77;
    struct rng r = {seed};
    printf("# seed %" PRIu64 "\n", seed);
    for (unsigned i = 0; i < 5000; i++) {
        json_auto_t *tree = random_tree(&r, 0);
        AUTO_FREE char *text = yaml_format(tree);
        REQUIRE(text);
        struct error err = {0};
        AUTO_YAML struct yaml y = {0};
        if (yaml_parse(text, strlen(text), "f", &y, &err) != 0)
            TAP_FAIL("round %u: %s in\n%s", i, err.text, text);
        else if (!json_equal(tree, y.root))
            TAP_FAIL("round %u came back different:\n%s", i, text);
        if (tap_failed)
            return;
    }
}

TEST(random_damage)
{
    static const char good[] =
        "version: v1\nmig-configs:\n  half:\n    - devices: [0, 1]\n      mig-enabled: true\n"
        "      mig-devices: {\"1g.10gb\": 2, '3g.40gb': 1}\n  text: |\n    a\n    b\n";
    static const char bytes[] = "\n\t :-[]{}&*!|>'\"%@`#?,\\x0\xff\xc3";
    uint64_t seed = 4711;
    struct rng r = {seed};
    unsigned taken = 0, refused = 0;
    printf("# seed %" PRIu64 "\n", seed);
    for (unsigned round = 0; round < 20000; round++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        for (uint32_t k = rng_below(&r, 3) + 1; k > 0; k--)
            text[rng_below(&r, sizeof(good) - 1)] = bytes[rng_below(&r, sizeof(bytes))];
        struct error err = {0};
        AUTO_YAML struct yaml y = {0};
        int result = yaml_parse(text, sizeof(good) - 1, "f", &y, &err);
        taken += result == 0;
        refused += result != 0;
        if (result != 0 && (result != -ERROR_INVALID || !err.text[0]))
            TAP_FAIL("round %u: result %d, text \"%s\"", round, result, err.text);
        AUTO_FREE char *again = result == 0 ? yaml_format(y.root) : NULL;
        if (result == 0 && !again)
            TAP_FAIL("round %u: cannot be written", round);
    }
    CHECK_INT(taken, >, 100);
    CHECK_INT(refused, >, 100);
}

static int parse_and_format(void)
{
    static const char text[] = "a: [1, two, {b: 'c'}]\nd: {e: 1.5}\n";
    struct error err = {0};
    AUTO_YAML struct yaml y = {0};
    int result = yaml_parse(text, sizeof(text) - 1, "f", &y, &err);
    if (result != 0) {
        if (result != -ERROR_NO_MEMORY)
            TAP_FAIL("%d: %s", result, err.text);
        return result;
    }
    AUTO_FREE char *again = yaml_format(y.root);
    return again ? 0 : -1;
}

TEST(every_allocation_may_fail)
{
    unsigned failures;
    CHECK_INT(fail_each(parse_and_format, &failures), ==, 0);
    CHECK_INT(failures, >, 10);
}

TAP_MAIN
