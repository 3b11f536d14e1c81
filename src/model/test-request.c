/* Quantities as people type them, requests that contradict themselves, and owners' names. */
#include "model/request.h"

#include "base/time.h"
#include "tests/tap.h"

static struct error err;

TEST(bytes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"18GiB", UINT64_C(18) << 30},
        {"18G", UINT64_C(18) << 30},
        {"18432M", UINT64_C(18) << 30},
        {"18gb", UINT64_C(18) << 30},
        {"18Gi", UINT64_C(18) << 30},
        {"1b", 1},
        {"1023T", UINT64_C(1023) << 40},
        {"7kib", 7168},
        {"0001G", UINT64_C(1) << 30},
        {"1125899906842623B", (UINT64_C(1) << 50) - 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t bytes = 0;
        CHECK_INT(request_parse_bytes(good[i].text, "--memory", &bytes, &err), ==, 0);
        CHECK(bytes == good[i].bytes);
    }
    static const char *const bad[] = {"",
                                      "0G",
                                      "0",
                                      "-1G",
                                      "+1G",
                                      "G",
                                      "18",
                                      "18X",
                                      "18GX",
                                      "18GiBs",
                                      "1.5G",
                                      "1 G",
                                      "1024T",
                                      " 1G",
                                      "1G ",
                                      "0x10G",
                                      "1125899906842624B",
                                      "99999999999999999999G",
                                      "18446744073709551617B",
                                      "1Gii"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t bytes = 77;
        if (request_parse_bytes(bad[i], "--memory", &bytes, &err) != -ERROR_INVALID)
            TAP_FAIL("\"%s\" was taken", bad[i]);
        CHECK(bytes == 77);
        CHECK_HAS(err.text, "--memory");
    }
}

TEST(compute)
{
    static const struct {
        const char *text;
        unsigned ppt;
    } good[] = {{"2/7", 286},     {"7/7", 1000},   {"1/7", 143},  {"0.3", 300},   {"30%", 300},
                {"12.5%", 125},   {"1", 1000},     {"1.0", 1000}, {"100%", 1000}, {"0.0001", 1},
                {"0.14286", 143}, {"1/999999", 1}, {"0.1%", 1},   {"03/4", 750}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint16_t ppt = 0;
        CHECK_INT(request_parse_compute(good[i].text, "--compute", &ppt, &err), ==, 0);
        CHECK_INT(ppt, ==, good[i].ppt);
    }
    static const char *const bad[] = {"",
                                      "0",
                                      "0/7",
                                      "1/0",
                                      "8/7",
                                      "2",
                                      "1.1",
                                      "101%",
                                      "-1/7",
                                      "1/-7",
                                      "%",
                                      ".",
                                      ".5",
                                      "0.",
                                      "1/",
                                      "/7",
                                      "1/7%",
                                      "30%%",
                                      "x",
                                      "0.3x",
                                      "1e3",
                                      " 1/7",
                                      "0%",
                                      "0.0%",
                                      "0.1234567",
                                      "99999999999999999999/7",
                                      "1/99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint16_t ppt = 77;
        if (request_parse_compute(bad[i], "--compute", &ppt, &err) != -ERROR_INVALID)
            TAP_FAIL("\"%s\" was taken", bad[i]);
        CHECK_INT(ppt, ==, 77);
        CHECK_HAS(err.text, "--compute");
    }
}

static struct request fine(void)
{
    return (struct request){.owner = {OWNER_UID, 1000},
                            .kind = SLICE_GI,
                            .count = 1,
                            .profile = "1g.10gb",
                            .gpu = REQUEST_ANY,
                            .start = REQUEST_ANY,
                            .bind = BIND_PID,
                            .grace_ns = -1};
}

/* Changes one thing in a good request and expects the refusal to say `says`. */
#define REFUSED(change, says)                                                                      \
    do {                                                                                           \
        struct request r = fine();                                                                 \
        change;                                                                                    \
        CHECK_INT(request_check(&r, &err), ==, -ERROR_INVALID);                                    \
        CHECK_HAS(err.text, says);                                                                 \
    } while (0)

#define TAKEN(change)                                                                              \
    do {                                                                                           \
        struct request r = fine();                                                                 \
        change;                                                                                    \
        CHECK_INT(request_check(&r, &err), ==, 0);                                                 \
    } while (0)

TEST(requests_that_make_sense)
{
    TAKEN((void)r);
    TAKEN(r.profile[0] = '\0');
    TAKEN((r.profile[0] = '\0', r.bytes = 1, r.compute_ppt = 1000));
    TAKEN((r.kind = SLICE_WHOLE, r.profile[0] = '\0', r.count = REQUEST_SLICES));
    TAKEN((r.kind = SLICE_CI, r.ci_profile[0] = '1', r.ci_profile[1] = 'c'));
    TAKEN((r.kind = SLICE_SHARE, r.profile[0] = '\0', r.bytes = 1));
    TAKEN((r.bind = BIND_NONE, r.for_ns = TIME_HOUR));
    TAKEN((r.bind = BIND_KEY, r.key[0] = 'k'));
    TAKEN((r.gpu = 3, r.start = 0, r.wait_ns = TIME_NEVER));
}

TEST(requests_that_contradict_themselves)
{
    REFUSED(r.count = 0, "1 to 64");
    REFUSED(r.count = 65, "1 to 64");
    REFUSED(r.bytes = 1, "one or the other");
    REFUSED(r.compute_ppt = 1, "one or the other");
    REFUSED((r.profile[0] = '\0', r.compute_ppt = 1001), "1000");
    REFUSED((r.profile[0] = '\0', r.bytes = UINT64_MAX), "1024T");
    REFUSED(r.gpu = -2, "numbered from 0");
    REFUSED(r.start = 16, "0 to 15");
    REFUSED((r.start = 0, r.count = 2), "cannot all start");
    REFUSED(r.ci_profile[0] = '1', "shared GPU instance");
    REFUSED(r.kind = SLICE_CI, "such as 1c");
    REFUSED((r.kind = SLICE_CI, memcpy(r.ci_profile, "9c", 3)), "such as 1c");
    REFUSED((r.kind = SLICE_CI, memcpy(r.ci_profile, "1cc", 4)), "such as 1c");
    REFUSED(r.kind = SLICE_WHOLE, "a whole GPU has no profile");
    REFUSED((r.kind = SLICE_WHOLE, r.profile[0] = '\0', r.start = 0), "does not start");
    REFUSED((r.kind = SLICE_SHARE, r.profile[0] = '\0'), "say how much");
    REFUSED((r.bind = BIND_NONE, r.for_ns = TIME_NEVER), "needs an end");
    REFUSED(r.bind = BIND_KEY, "give a key");
    REFUSED((r.bind = BIND_USER, r.owner.kind = OWNER_NAMED), "named owner");
    REFUSED(r.wait_ns = -1, "negative");
    REFUSED(r.for_ns = -1, "negative");
    REFUSED(r.grace_ns = -2, "negative");
    REFUSED(memset(r.profile, 'x', sizeof r.profile), "too long");
    REFUSED(memset(r.key, 'x', sizeof r.key), "too long");
    REFUSED(r.key[0] = '\n', "the key");
    REFUSED(r.kind = (enum slice_kind)9, "not known");
    REFUSED(r.bind = (enum bind_kind)9, "not known");
}

TEST(owners)
{
    CHECK(owner_equal((struct owner){OWNER_UID, 1}, (struct owner){OWNER_UID, 1}));
    CHECK(!owner_equal((struct owner){OWNER_UID, 1}, (struct owner){OWNER_NAMED, 1}));
    CHECK(!owner_equal((struct owner){OWNER_UID, 1}, (struct owner){OWNER_UID, 2}));
    static const char *const good[] = {"kube:team-a", "slurm:acct_1", "a:B",
                                       "abcdefghijklmnop:x/y.z"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        CHECK_INT(owner_check_name(good[i], &err), ==, 0);
    static const char *const bad[] = {"",
                                      ":",
                                      "kube",
                                      "kube:",
                                      ":x",
                                      "Kube:x",
                                      "k8s:x",
                                      "uid:1000",
                                      "kube:a b",
                                      "kube:a:b",
                                      "abcdefghijklmnopq:x",
                                      "kube:\xc3\xa4",
                                      "kube:a\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_INT(owner_check_name(bad[i], &err), ==, -ERROR_INVALID);
    char name[128] = "kube:";
    memset(name + 5, 'x', 100);
    CHECK_INT(owner_check_name(name, &err), ==, 0);
    name[105] = 'x';
    CHECK_INT(owner_check_name(name, &err), ==, -ERROR_INVALID);
}

TAP_MAIN
