/* The configuration: what is taken, and how it says what is wrong. */
#include "base/time.h"
#include "daemon/config.h"
#include "tests/tap.h"

#include <unistd.h>

/* Reads `text` as a configuration file. */
static int read_text(const char *text, struct config *ret, struct error *err)
{
    char path[] = "/tmp/fetta-config-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return -1;
    (void)close(fd);
    int r = config_read(path, false, ret, err);
    (void)unlink(path);
    return r;
}

TEST(nothing_said_is_a_configuration)
{
    struct config c;
    struct error err;
    CHECK_INT(config_read("/nonexistent/fetta.yaml", true, &c, &err), ==, 0);
    CHECK_INT(config_read("/nonexistent/fetta.yaml", false, &c, &err), ==, -ERROR_NOT_FOUND);
    CHECK_INT(read_text("", &c, &err), ==, 0);
    CHECK(!config_manages(&c, 0));
    CHECK(c.policy.default_for == TIME_NEVER);
    CHECK_INT(c.policy.grace, ==, 30 * TIME_S);
    CHECK_INT(c.policy.rule, ==, SCORE_FGD_FILL);
    CHECK(!c.vote);
    CHECK(c.sample == TIME_NEVER);
}

TEST(memory_is_looked_at_as_often_as_said)
{
    struct config c;
    struct error err;
    CHECK_INT(read_text("sample: 30s\n", &c, &err), ==, 0);
    CHECK_INT(c.sample, ==, 30 * TIME_S);
    CHECK_INT(read_text("sample: never\n", &c, &err), ==, 0);
    CHECK(c.sample == TIME_NEVER);
    CHECK_INT(read_text("sample: 0\n", &c, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "at least 100ms");
}

TEST(a_vote_is_asked_for_by_name)
{
    struct config c;
    struct error err;
    CHECK_INT(read_text("placement: auto\n", &c, &err), ==, 0);
    CHECK(c.vote && c.vote_every == TIME_HOUR && c.vote_requests == 100);
    CHECK_INT(c.policy.rule, ==, SCORE_FGD_FILL);
    CHECK_INT(read_text("placement: auto\nvote: {every: 5m, requests: 16}\n", &c, &err), ==, 0);
    CHECK(c.vote && c.vote_every == 5 * TIME_MIN && c.vote_requests == 16);
    CHECK_INT(read_text("placement: mfi\nvote: {every: 5m}\n", &c, &err), ==, 0);
    CHECK(!c.vote);
    CHECK_INT(read_text("placement: auto\nvote: {requests: 2}\n", &c, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "requests");
}

TEST(every_key)
{
    struct config c;
    struct error err;
    CHECK_INT(read_text("manage: 0-1,5\n"
                        "pools: {\"4-5\": whole, \"0\": sliced}\n"
                        "privacy: on\n"
                        "operators: [root]\n"
                        "default_for: 2h\n"
                        "max_for: 1d\n"
                        "grace: 10s\n"
                        "idle_keep: 5m\n"
                        "warm_reuse: group\n"
                        "placement: best-fit\n"
                        "queue_max: 7\n"
                        "history: 30d\n"
                        "quotas:\n"
                        "  default: {slices: 2}\n"
                        "  users: {root: {slices: 9, compute: 20, max_for: 4h}}\n"
                        "  groups: {daemon: {slices: 3}, bin: {slices: 5}}\n",
                        &c, &err),
              ==, 0);
    CHECK(config_manages(&c, 1) && config_manages(&c, 5) && !config_manages(&c, 2));
    CHECK_INT(config_pool(&c, 4), ==, POOL_WHOLE);
    CHECK_INT(config_pool(&c, 0), ==, POOL_SLICED);
    CHECK_INT(config_pool(&c, 1), ==, POOL_ELASTIC);
    CHECK(c.privacy);
    CHECK_INT(c.operator_n, ==, 1);
    CHECK_INT(c.policy.default_for, ==, 2 * TIME_HOUR);
    CHECK_INT(c.policy.warm_reuse, ==, WARM_GROUP);
    CHECK_INT(c.policy.rule, ==, SCORE_BEST);
    CHECK_INT(c.policy.queue_max, ==, 7);
    uint32_t both[] = {1, 2}; /* daemon and bin, on every Debian */
    CHECK_INT(config_quota(&c, 0, NULL, 0).slices, ==, 9);
    CHECK_INT(config_quota(&c, 1000, NULL, 0).slices, ==, 2);
    CHECK_INT(config_quota(&c, 1000, both, 1).slices, ==, 3);
    CHECK_INT(config_quota(&c, 1000, both, 2).slices, ==, 5);
}

TEST(mistakes_are_named_with_line_and_column)
{
    static const struct {
        const char *text, *says[2];
    } bad[] = {
        {"grace: 30s\nmanaged: all\n", {"line 2", "manage"}},
        {"grace: soon\n", {"line 1", "grace"}},
        {"warm_reuse: friends\n", {"line 1", "owner, group or any"}},
        {"grace: 1s\nplacement: tight\n",
         {"line 2", "no rule is called 'tight'; there are auto, room"}},
        {"operators: [no-such-group-here]\n", {"no-such-group-here", "operators"}},
        {"quotas: {users: {root: {slices: 0}}}\n", {"slices", "root"}},
        {"pools: {\"0\": round}\n", {"sliced, whole or elastic", "line 1"}},
        {"manage: 0-\n", {"manage", "list of GPUs"}},
        {"default_for: 2d\nmax_for: 1d\n", {"max_for", "line 1"}},
        {"grace: [\n", {"line", "column"}},
    };
    struct config c;
    struct error err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_INT(read_text(bad[i].text, &c, &err), ==, -ERROR_INVALID);
        CHECK_HAS(err.text, bad[i].says[0]);
        CHECK_HAS(err.text, bad[i].says[1]);
    }
}

TEST(absent_gpus_are_named)
{
    struct config c;
    struct error err;
    CHECK_INT(read_text("manage: 0-7\n", &c, &err), ==, 0);
    CHECK_INT(config_check_gpus(&c, 8, &err), ==, 0);
    CHECK_INT(config_check_gpus(&c, 4, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "GPU 4");
    CHECK_INT(read_text("manage: all\n", &c, &err), ==, 0);
    CHECK_INT(config_check_gpus(&c, 1, &err), ==, 0);
}

TEST(gpu_lists)
{
    uint64_t set = 0;
    struct error err;
    CHECK_INT(config_gpu_list("0-3,7", "gpus", &set, &err), ==, 0);
    CHECK(set == 0x8f);
    CHECK_INT(config_gpu_list("none", "gpus", &set, &err), ==, 0);
    CHECK(set == 0);
    static const char *const bad[] = {"", "x", "3-1", "64", "1,,2", "1;2", ",1", "-1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_INT(config_gpu_list(bad[i], "gpus", &set, &err), ==, -ERROR_INVALID);
}

TAP_MAIN
