/* The command line's own parts, without a daemon: options, requests, environments, layout files,
 * and what a status looks like. */
#include "cli/args.h"
#include "cli/ask.h"
#include "cli/get.h"
#include "cli/grant.h"
#include "cli/parted.h"
#include "cli/show.h"
#include "cli/stay.h"
#include "cli/tasks.h"
#include "tests/tap.h"

#include "base/time.h"

#include <unistd.h>

enum { WORDS = 16 };

/* Splits a line at blanks and parses it as `fetta run`; the request as compact JSON, or the error.
 */
static const char *asked(const char *line, char buf[1024])
{
    static char words[512];
    char *argv[WORDS] = {NULL}, *rest = words;
    int argc = 0, first;
    struct cli c = {0};
    struct ask k = {0};
    struct args a = {.command = true};
    struct error err;
    (void)str_copy(words, sizeof words, line);
    while (argc + 1 < WORDS && (argv[argc] = strsep(&rest, " ")))
        argc++;
    const char *verb_words[] = {"run"};
    int n;
    c.verb = verb_find(1, (char **)(void *)verb_words, &n, &err);
    ask_which(&a, &k);
    ask_tasks(&a, &k);
    ask_terms(&a, &k);
    int r = args_parse(&a, &c, argc, argv, &first, &err);
    if (r == 0)
        r = ask_check(&k, &err);
    if (r < 0) {
        (void)str_copy(buf, 1024, err.text);
        return buf;
    }
    json_t *body = ask_body(&k);
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    (void)snprintf(buf, 1024, "%s %s", text, first < argc ? argv[first] : "-");
    free(text);
    json_decref(body);
    return buf;
}

TEST(requests)
{
    char buf[1024];
    CHECK_STR(asked("run -s 1g.10gb -- python -s x", buf), "{\"profile\":\"1g.10gb\"} python");
    CHECK_STR(asked("run --slice=2g.20gb true -n 4", buf), "{\"profile\":\"2g.20gb\"} true");
    CHECK_STR(asked("run -n 4 -s 1g.5gb --wait 0 --for 2h x", buf),
              "{\"count\":4,\"for\":\"2h\",\"profile\":\"1g.5gb\",\"wait\":\"0\"} x");
    CHECK_STR(asked("run --gpu-memory 18GiB --gpu-compute 2/7 --on 3 x", buf),
              "{\"compute\":\"2/7\",\"gpu\":\"3\",\"memory\":\"18GiB\"} x");
    CHECK_STR(asked("run --gpus 4 --priority -5 --grace 10s --signal USR1@10m x", buf),
              "{\"gpus\":4,\"grace\":\"10s\",\"priority\":-5,\"signal\":\"USR1@10m\"} x");
}

TEST(mistakes)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"run x", "say what is needed"},
        {"run --gpu 3 x", "--gpus N for N whole GPUs, or --on GPU"},
        {"run --gpu=3 x", "--gpus N for N whole GPUs, or --on GPU"},
        {"run --slic 1g x", "is --slice meant?"},
        {"run --sl=1g x", "is --slice meant?"},
        {"run -q x", "no option -q"},
        {"run -s", "--slice needs a value (PROFILE)"},
        {"run --for soon -s 1g x", "--for"},
        {"run --for 0 -s 1g x", "--for: 0 is no time at all"},
        {"run --gpus 0 x", "--gpus: 0 is out of range; it can be 1 to 64"},
        {"run --gpus -1 x", "out of range"},
        {"run --gpus 99999999999999999999 x", "out of range"},
        {"run --gpus 2x x", "'2x' is not a whole number"},
        {"run --gpus= x", "'' is not a whole number"},
        {"run -n 65 -s 1g x", "1 to 64"},
        {"run --gpu-memory 18 x", "--gpu-memory"},
        {"run --gpu-compute 9/7 x", "--gpu-compute"},
        {"run -s 1g --gpus 2 x", "--gpus asks for whole GPUs and -s for a slice"},
        {"run --gpu-memory 1G -s 1g x", "-s names a slice and --gpu-memory"},
        {"run --gpus 4 -n 2 x", "torchrun --nproc-per-node=4"},
        {"run --gpus 2 --on 1 x", "--on names one GPU"},
    };
    char buf[1024];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (!strstr(asked(cases[i].line, buf), cases[i].says))
            TAP_FAIL("'%s' says '%s', not '%s'", cases[i].line, buf, cases[i].says);
    }
}

TEST(every_option_of_run_is_refused_when_shortened)
{
    /* What is taken today must not become ambiguous with tomorrow's option. */
    static const char *const names[] = {"slice", "gpu-memory", "gpu-compute", "gpus",
                                        "on",    "tasks",      "wait",        "for",
                                        "grace", "signal",     "priority"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        for (size_t n = 1; n < strlen(names[i]); n++) {
            char line[64], buf[1024];
            (void)snprintf(line, sizeof line, "run --%.*s=1 x", (int)n, names[i]);
            if (!strstr(asked(line, buf), "there is no option") && !strstr(buf, "two things"))
                TAP_FAIL("%s: %s", line, buf);
        }
    }
}

TEST(verbs)
{
    for (size_t i = 0; i < VERB_N; i++) {
        char name[32], *words[3] = {name, NULL, NULL};
        struct error err;
        int took;
        (void)str_copy(name, sizeof name, cli_verbs[i].name);
        char *blank = strchr(name, ' ');
        if (blank) {
            *blank = '\0';
            words[1] = blank + 1;
        }
        CHECK(verb_find(blank ? 2 : 1, words, &took, &err) == &cli_verbs[i]);
        CHECK_INT(took, ==, blank ? 2 : 1);
        CHECK(strlen(cli_verbs[i].help) < 80);
    }
    char *near[] = {(char *)(void *)"stauts"}, *half[] = {(char *)(void *)"lease"};
    struct error err;
    int took;
    CHECK(!verb_find(1, near, &took, &err) && strstr(err.text, "is 'status' meant?"));
    CHECK(!verb_find(1, half, &took, &err) && strstr(err.text, "new, list, show, extend, end"));
}

static const char *env_get(char **env, const char *name)
{
    size_t n = strlen(name);
    for (; *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    }
    return "(unset)";
}

TEST(environment)
{
    json_t *lease = json_pack("{s:i, s:f, s:[{s:s, s:s}, {s:s, s:s}]}", "id", 12, "ends",
                              1795362000.5, "slices", "uuid", "MIG-a", "profile", "1g.10gb", "uuid",
                              "MIG-b", "profile", "1g.10gb");
    setenv("CUDA_VISIBLE_DEVICES", "7", 1);
    setenv("KEPT", "as it was", 1);
    char **env = grant_env(lease, -1);
    REQUIRE(env);
    CHECK_STR(env_get(env, "CUDA_VISIBLE_DEVICES"), "MIG-a,MIG-b");
    CHECK_STR(env_get(env, "NVIDIA_VISIBLE_DEVICES"), "MIG-a,MIG-b");
    CHECK_STR(env_get(env, "FETTA_LEASE"), "12");
    CHECK_STR(env_get(env, "FETTA_SLICE"), "1g.10gb");
    CHECK_STR(env_get(env, "FETTA_EXPIRES"), "1795362000");
    CHECK_STR(env_get(env, "KEPT"), "as it was");
    grant_free_env(env);
    env = grant_env(lease, 1);
    REQUIRE(env && tasks_env(&env, 1, 2, 4711));
    CHECK_STR(env_get(env, "CUDA_VISIBLE_DEVICES"), "MIG-b");
    CHECK_STR(env_get(env, "RANK"), "1");
    CHECK_STR(env_get(env, "WORLD_SIZE"), "2");
    CHECK_STR(env_get(env, "LOCAL_RANK"), "0");
    CHECK_STR(env_get(env, "MASTER_ADDR"), "127.0.0.1");
    CHECK_STR(env_get(env, "MASTER_PORT"), "4711");
    grant_free_env(env);
    (void)json_object_set_new(lease, "ends", json_null());
    env = grant_env(lease, 0);
    REQUIRE(env);
    CHECK_STR(env_get(env, "FETTA_EXPIRES"), "");
    grant_free_env(env);
    json_decref(lease);
    CHECK_INT(tasks_free_port(), >, 1023);
}

TEST(warnings)
{
    const int64_t t = 1000 * TIME_HOUR, min = TIME_MIN;
    CHECK_INT(stay_next_warning(t, t + 2 * TIME_HOUR, 0), ==, t + 105 * min);
    CHECK_INT(stay_next_warning(t, t + 2 * TIME_HOUR, 1), ==, t + 115 * min);
    CHECK_INT(stay_next_warning(t, t + 2 * TIME_HOUR, 3), ==, t + 120 * min);
    CHECK_INT(stay_next_warning(t, t + 2 * TIME_HOUR, 4), ==, TIME_NEVER);
    /* A short lease is not warned of an end that was near from the start. */
    CHECK_INT(stay_next_warning(t, t + 10 * min, 0), ==, t + 5 * min);
    CHECK_INT(stay_next_warning(t, t + 30 * TIME_S, 0), ==, t + 30 * TIME_S);
    CHECK_INT(stay_next_warning(t, 0, 0), ==, TIME_NEVER);
}

static const char *read_layout(const char *text, const char *label, char buf[1024])
{
    struct error err;
    json_t *specs;
    if (parted_read(text, strlen(text), "file", label, &specs, &err) < 0) {
        (void)str_copy(buf, 1024, err.text);
        return buf;
    }
    char *all = json_dumps(specs, JSON_COMPACT | JSON_SORT_KEYS);
    (void)str_copy(buf, 1024, all);
    free(all);
    json_decref(specs);
    return buf;
}

#define HEAD "version: v1\nmig-configs:\n  one:\n"

TEST(layout_files)
{
    static const struct {
        const char *text, *label, *says;
    } cases[] = {
        {HEAD "  - devices: [0, 1]\n    mig-enabled: true\n    mig-devices: {\"3g.40gb\": 2}\n",
         NULL, "[{\"devices\":[0,1],\"mig-devices\":{\"3g.40gb\":2},\"mig-enabled\":true}]"},
        {HEAD "  - device-filter: \"0x233010DE\"\n    devices: all\n    mig-enabled: false\n",
         "one", "[{\"device-filter\":\"0x233010DE\",\"devices\":\"all\",\"mig-enabled\":false}]"},
        {HEAD "  - devices: all\n    mig-enabled: true\n    mig-devices: {}\n", "two",
         "no configuration 'two'"},
        {HEAD "  - devices: all\n    mig-enabled: true\n", NULL, "mig-devices is missing"},
        {HEAD "  - devices: all\n    mig-enabled: true\n    mig-devices: {1g.5gb: 0}\n", NULL,
         "line 6, column 18"},
        {HEAD "  - devices: all\n    mig-enabled: false\n    mig-devices: {1g.5gb: 1}\n", NULL,
         "must be empty"},
        {HEAD "  - devices: some\n    mig-enabled: false\n", NULL, "line 4, column 14"},
        {HEAD "  - devices: [-1]\n    mig-enabled: false\n", NULL, "file: line 4, column 15"},
        {HEAD "  - devices: all\n    mig-enable: false\n", NULL,
         "nearest known one is \"mig-enabled\""},
        {HEAD "  - devices: all\n    mig-enabled: true\n    mig-devices: {1g.5gb: -1}\n", NULL,
         "line 6, column 27"},
        {HEAD "    []\n", NULL, "at least one entry"},
        {"version: v2\nmig-configs: {}\n", NULL, "line 1, column 10"},
        {"mig-configs: {}\n", NULL, "version"},
        {"version: v1\nmig-configs: {}\n", NULL, "has 0 configurations"},
        {"- 1\n", NULL, "version and mig-configs were expected"},
        {"", NULL, "version and mig-configs were expected"},
        {"a: [\n", NULL, "file: line 2"},
    };
    char buf[1024];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (!strstr(read_layout(cases[i].text, cases[i].label, buf), cases[i].says))
            TAP_FAIL("case %zu says '%s', not '%s'", i, buf, cases[i].says);
    }
}

TEST(export_merges_equal_specs)
{
    json_t *specs = json_loads("[{\"devices\":[0],\"mig-enabled\":true,\"mig-devices\":{\"a\":1}},"
                               "{\"devices\":[1],\"mig-enabled\":true,\"mig-devices\":{\"a\":2}},"
                               "{\"devices\":[2],\"mig-enabled\":true,\"mig-devices\":{\"a\":1}}]",
                               0, NULL);
    json_t *document = parted_document(specs, "x");
    json_t *list = get_in(get_in(document, "mig-configs"), "x");
    CHECK_INT(json_array_size(list), ==, 2);
    CHECK_INT(json_array_size(get_in(json_array_get(list, 0), "devices")), ==, 2);
    json_decref(document);
    (void)json_array_remove(specs, 1);
    document = parted_document(specs, "x");
    list = get_in(get_in(document, "mig-configs"), "x");
    CHECK_INT(json_array_size(list), ==, 1);
    CHECK_STR(get_text(json_array_get(list, 0), "devices"), "all");
    json_decref(document);
    json_decref(specs);
}

static const char status_text[] =
    "{\"now\": 1000.5, \"gpus\": [{\"index\": 0, \"product\": \"NVIDIA A100\", \"mig\": \"on\", "
    "\"managed\": true,"
    " \"pool\": \"elastic\", \"health\": \"ok\", \"memory_slices\": 8, \"lease\": null, \"free\": "
    "{\"1g.10gb\": 3, \"7g.80gb\": 0},"
    " \"slices\": [{\"profile\": \"3g.40gb\", \"start\": 4, \"size\": 4, \"state\": \"leased\", "
    "\"lease\": 2},"
    "  {\"profile\": \"1g.10gb\", \"start\": 0, \"size\": 1, \"state\": \"idle\", \"lease\": "
    "null}]},"
    " {\"index\": 1, \"product\": \"NVIDIA A100\", \"mig\": \"off\", \"managed\": false, "
    "\"drained\": true, \"drain_reason\": \"fan\","
    "  \"pool\": \"whole\", \"health\": \"lost\", \"health_text\": \"fell off\", "
    "\"memory_slices\": 8, \"lease\": 3, \"slices\": [],"
    "  \"free\": {\"1g.10gb\": 1, \"gpu\": 1}}],"
    " \"leases\": [{\"id\": 2, \"state\": \"active\", \"user\": \"bob\", \"owner\": "
    "\"uid:4294967200\", \"asked_for\": \"3g.40gb\", \"count\": 1},"
    " {\"id\": 3, \"state\": \"active\", \"user\": null, \"owner\": null, \"asked_for\": \"1 "
    "GPU\", \"kind\": \"whole\"},"
    " {\"id\": 4, \"state\": \"queued\", \"user\": \"al\", \"asked_for\": \"7g.80gb\", \"count\": "
    "2, \"waits_for\": \"lease 2\"}],"
    " \"queue\": [4]}";

TEST(picture)
{
    json_t *status = json_loads(status_text, 0, NULL);
    struct table_look look = {.width = 51};
    AUTO_STR struct str out = {0}, queue = {0}, possible = {0}, leases = {0};
    REQUIRE(status);
    show_gpus(status, &look, &out);
    CHECK_STR(out.text,
              "GPU 0  NVIDIA A100, MIG on\n"
              "  |1g.10|.................|3g.40gb                |\n"
              "  |idle |.................|bob                    |\n"
              "GPU 1  NVIDIA A100, MIG off, not fetta's, for whole-GPU leases, drained: fan, lost "
              "(fell off)\n"
              "  |whole GPU                                      |\n"
              "  |somebody                                       |\n");
    show_free(status, &possible);
    CHECK_STR(possible.text, "1g.10gb x 4, whole GPU x 1");
    look.width = 0;
    show_queue(status, &look, &queue);
    CHECK_STR(queue.text, "#  ID  OWNER  WANTS        SINCE  BY  WAITS FOR\n"
                          "1   4  al     2 x 7g.80gb  -      -   lease 2\n");
    show_leases(get_in(status, "leases"), SHOW_HOLDING, 0, &look, &leases);
    CHECK_STR(leases.text, "ID  OWNER     SLICE    GPU  STATE   SINCE  UNTIL  COMMAND\n"
                           " 2  bob       3g.40gb  -    active  -      -\n"
                           " 3  somebody  1 GPU    -    active  -      -\n");
    json_decref(status);
}

TEST(no_gpu_points_to_what_to_type)
{
    AUTO_STR struct str none = {0}, unmanaged = {0}, managed = {0};
    json_t *a = json_loads("{\"gpus\": []}", 0, NULL),
           *b = json_loads("{\"gpus\": [{\"managed\": false}]}", 0, NULL);
    json_t *c = json_loads("{\"gpus\": [{\"managed\": true}]}", 0, NULL);
    show_no_gpu(a, &none);
    show_no_gpu(b, &unmanaged);
    show_no_gpu(c, &managed);
    CHECK(strstr(none.text, "fetta emulate"));
    CHECK(strstr(unmanaged.text, "fetta manage all"));
    CHECK_INT(managed.len, ==, 0);
    json_decref(a);
    json_decref(b);
    json_decref(c);
}

TEST(replies_of_another_kind_are_shown_without_harm)
{
    static const char *const texts[] = {
        "null",
        "[]",
        "{}",
        "{\"gpus\": 3, \"leases\": {}, \"queue\": \"x\"}",
        "{\"gpus\": [1, null, {}], \"leases\": [[]], \"queue\": [null]}",
        "{\"gpus\": [{\"mig\": \"on\", \"slices\": [{\"start\": -9, \"size\": 99}, 4]}]}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *status = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        struct table_look look = {.width = 40};
        AUTO_STR struct str out = {0};
        show_gpus(status, &look, &out);
        show_free(status, &out);
        show_leases(get_in(status, "leases"), SHOW_PAST, 0, &look, &out);
        show_queue(status, &look, &out);
        show_no_gpu(status, &out);
        show_card(status, &look, &out);
        CHECK(!out.failed);
        json_decref(status);
    }
}

TAP_MAIN
