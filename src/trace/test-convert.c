/* Foreign rows and what they become: each format by hand, and what is refused with its place. */
#include "trace/convert.h"

#include "base/rng.h"
#include "base/time.h"
#include "tests/tap.h"
#include "trace/convert-row.h"
#include "trace/trace.h"

#include <math.h>
#include <stdlib.h>

static struct sim_setup fleet(void)
{
    return (struct sim_setup){.group_n = 1, .groups = {{board_find("a100-80"), 8, {0}}}};
}

static struct convert_rules plain(void)
{
    return (struct convert_rules){
        .format = CONVERT_FORMATS, .whole = "gpu", .speed_up = 1, .seed = 1};
}

struct converted {
    struct convert c;
    struct error err;
    char *text; /* NULL when refused */
};

static struct converted convert(const char *in, const struct convert_rules *rules)
{
    struct converted ret = {0};
    char *text = NULL;
    size_t size;
    FILE *f = fmemopen((void *)(uintptr_t)in, strlen(in), "r"), *kept = tmpfile();
    FILE *out = open_memstream(&text, &size);
    if (!f || !kept || !out)
        TAP_FAIL("no files");
    int rc = convert_read(&ret.c, f, "in", rules, kept, &ret.err);
    if (rc == 0)
        rc = convert_write(&ret.c, kept, out, &ret.err);
    fclose(f);
    fclose(kept);
    fclose(out);
    if (rc < 0) {
        free(text);
        text = NULL;
    }
    ret.text = text;
    return ret;
}

static void becomes(const char *in, const struct convert_rules *rules, const char *expected)
{
    struct converted r = convert(in, rules);
    if (!r.text)
        TAP_FAIL("refused: %s: %s", r.err.text, r.c.shown[0]);
    else if (strcmp(strchr(r.text, '\n') + 1, expected) != 0)
        TAP_FAIL("is\n%snot\n%s", r.text, expected);
    free(r.text);
}

static void refused(const char *in, const struct convert_rules *rules, const char *where)
{
    struct converted r = convert(in, rules);
    if (r.text || (!strstr(r.err.text, where) && !strstr(r.c.shown[0], where)))
        TAP_FAIL("'%s' neither in '%s' nor in '%s'", where, r.err.text, r.c.shown[0]);
    free(r.text);
}

#define SACCT "JobID|User|Submit|Start|End|Elapsed|AllocTRES|ReqTRES\n"
#define DAY   "2026-03-01T"

TEST(jobs_of_slurm_are_read)
{
    struct convert_rules r = plain();
    becomes(SACCT
            "7|ann|" DAY "10:00:00|" DAY "10:00:05|" DAY "11:00:05|01:00:00|cpu=8,gres/gpu:a100=2,"
            "gres/gpu=2,mem=4G|gres/gpu=2\n"
            "7.batch||" DAY "10:00:05|" DAY "10:00:05|" DAY "11:00:05|01:00:00|cpu=8,gres/gpu=2|\n"
            "8_3|b,b|" DAY "10:00:01|" DAY "10:01:00|" DAY "10:02:00|1-00:01:00|"
            "gres/gpu:a100_1g.10gb=1,gres/gpu=1|\n"
            "9|ann|" DAY "10:00:02|" DAY "10:01:00|" DAY "10:02:00|01:30.5||gres/gpu=1\n"
            "10|ann|" DAY "10:00:02|Unknown|Unknown|00:00:00||gres/gpu=1\n"
            "11|ann|" DAY "10:00:02|" DAY "10:00:03|Unknown|00:10:00|gres/gpu=1|\n"
            "12|ann|" DAY "10:00:03|" DAY "10:00:04|" DAY "10:00:05|00:00:01|cpu=1|\n",
            &r,
            "0.000000,3600.000000,gpu,2,ann\n"
            "1.000000,86460.000000,1g.10gb,1,b_b\n"
            "2.000000,90.500000,gpu,1,ann\n");
    struct converted c = convert(SACCT "7.0|||||||\n8.0|||||||\n", &r);
    CHECK_INT(c.c.left[CONVERT_STEP], ==, 2);
    CHECK(!c.text && strstr(c.err.text, "none of its rows is a job"));
    CHECK(c.c.guessed && c.c.format == CONVERT_SLURM);
    free(c.text);
}

TEST(old_slurm_names_gpus_in_gres)
{
    struct convert_rules r = plain();
    becomes("JobIDRaw|Account|Submit|Start|End|AllocGRES|\n"
            "1|lab|" DAY "10:00:00|" DAY "10:00:00|" DAY "10:00:09|gpu:a100:3(IDX:0-2)|\n"
            "2|lab|" DAY "10:00:01|" DAY "10:00:01|" DAY "10:00:03|gpu:1g.10gb:2,gpu:1g.10gb:1|\n",
            &r,
            "0.000000,9.000000,gpu,3,lab\n"
            "1.000000,2.000000,1g.10gb,3,lab\n");
    becomes("JobID|Submit|Start|End|ReqTRES\n"
            "1|" DAY "10:00:00|" DAY "10:00:00|" DAY "10:00:09|gres/gpu:h100_1g.10gb.me=1\n",
            &r, "0.000000,9.000000,1g.10gb+me,1,0\n");
}

TEST(what_slurm_cannot_mean_is_told_with_its_place)
{
    struct convert_rules r = plain();
    refused(SACCT "1|a|yesterday|x|x|1|gres/gpu=1|\n", &r, "in: line 2, column 5: Submit");
    refused(SACCT "1|a|" DAY "10:00:00|" DAY "10:00:00|" DAY "10:00:09|9|gres/gpu=1|\n", &r,
            "column 65: Elapsed must be a time such as 1-02:03:04, not '9'");
    refused(SACCT "1|a|" DAY "10:00:00|x|x|1:0|gres/gpu=x|\n", &r, "column 33: AllocTRES");
    refused(SACCT "1|a|" DAY "10:00:00|x|x|1:0|gres/gpu:1g.10gb=1,gres/gpu:2g.20gb=1|\n", &r,
            "one kind of slice");
    refused(SACCT "1|a|" DAY "10:00:00|x|x|1:0|gres/shard=3|\n", &r, "shards");
    refused(SACCT "1|a|" DAY "10:00:00\n", &r, "line 2: has 3 fields, not the 8 of line 1");
    refused("JobID|Submit|Start|End\n", &r, "AllocTRES");
    refused("JobID|Submit\n", &r, "heading of no format");
    r.format = CONVERT_SLURM;
    refused("JobID|Submit\n", &r, "slurm needs the columns Start, End");
}

#define PODS "name,num_gpu,gpu_milli,gpu_spec,creation_time,deletion_time,scheduled_time\n"

TEST(pods_of_alibaba_are_read)
{
    struct convert_rules r = plain();
    const char *in = PODS "a,1,460,\"V100,\"\"P100\"\"\",5,30,10\n"
                          "b,0,0,,6,30,10\n"
                          "c,8,1000,,7,30,10\n"
                          "d,1,500,,8,30,\n";
    becomes(in, &r, "0.000000,20.000000,460/1000,1,0\n2.000000,20.000000,gpu,8,0\n");
    r.speed_up = 4;
    r.whole = "7/7";
    becomes(in, &r, "0.000000,20.000000,460/1000,1,0\n0.500000,20.000000,7/7,8,0\n");
}

TEST(our_own_can_be_sorted_and_sped_up)
{
    struct convert_rules r = plain();
    const char *in = "user,slice,run_s,submit_s\nann,2/7,5,10\nbob,gpu,1.5,4\n";
    refused(in, &r, "line 3: it came before");
    r.sort = true;
    r.speed_up = 3;
    becomes(in, &r, "0.000000,1.500000,gpu,1,bob\n2.000000,5.000000,2/7,1,ann\n");
}

TEST(parts_are_rounded_as_asked)
{
    const char *in = PODS "a,1,460,,5,30,10\nb,1,640,,5,30,10\nc,1,100,,5,30,10\n";
    struct sim_setup s = fleet();
    struct convert_rules r = plain();
    r.fleet = &s;
    becomes(in, &r,
            "0.000000,20.000000,460/1000,1,0\n0.000000,20.000000,640/1000,1,0\n"
            "0.000000,20.000000,100/1000,1,0\n");
    r.round = CONVERT_UP; /* 3.22, 4.48 and 0.7 sevenths */
    becomes(in, &r,
            "0.000000,20.000000,4g.40gb,1,0\n0.000000,20.000000,7g.80gb,1,0\n"
            "0.000000,20.000000,1g.10gb,1,0\n");
    r.round = CONVERT_NEAREST;
    becomes(in, &r,
            "0.000000,20.000000,3g.40gb,1,0\n0.000000,20.000000,4g.40gb,1,0\n"
            "0.000000,20.000000,1g.10gb,1,0\n");
}

TEST(what_a_format_lacks_is_refused_or_made_up_by_rule)
{
    struct convert_rules r = plain();
    refused("runtime\n1\n", &r, "--arrivals");
    r.arrivals = CONVERT_EVEN;
    r.gap_s = 2;
    refused("runtime\n1\n", &r, "--slice");
    r.slice = "2/7";
    becomes("runtime\n1\n0.5\n7\n", &r,
            "0.000000,1.000000,2/7,1,0\n2.000000,0.500000,2/7,1,0\n4.000000,7.000000,2/7,1,0\n");
    becomes("job,model,batch_size,runtime_s,num_iters\n0,bert,32,120,2980\n", &r,
            "0.000000,120.000000,2/7,1,bert\n");
    r = plain();
    r.slice = "gpu";
    refused("TIMESTAMP,ContextTokens,GeneratedTokens\n", &r, "--tokens-per-second");
    r.read_s = 0.001;
    r.write_s = 0.02;
    becomes("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-12-31 23:59:59.5000000,4000,10\n"
            "2024-01-01 00:00:01.25,0,1",
            &r, "0.000000,4.200000,gpu,1,0\n1.750000,0.020000,gpu,1,0\n");
}

TEST(what_is_wrong_is_counted_and_refused_unless_lenient)
{
    struct convert_rules r = plain();
    const char *in = PODS "a,1,1000,,5,30,10\n"
                          "b,1,1000,,4,30,10\n"
                          "c,1,1000,,7,9,10\n"
                          "d,1,1001,,8,9,8\n"
                          "e,1,1000,,9,10,9\n";
    refused(in, &r, "1 rows are wrong, 1 have negative times, 1 come before");
    refused(in, &r, "in: line 3: it came before the one before it");
    r.lenient = true;
    becomes(in, &r,
            "0.000000,20.000000,gpu,1,0\n0.000000,20.000000,gpu,1,0\n"
            "4.000000,1.000000,gpu,1,0\n");
    r.sort = true;
    becomes(in, &r,
            "0.000000,20.000000,gpu,1,0\n1.000000,20.000000,gpu,1,0\n"
            "5.000000,1.000000,gpu,1,0\n");
}

/* What comes out is a trace, and asks for the load that was wanted: with 4,000 exponential gaps the
 * time that they take is within 5 per cent of its mean. */
TEST(random_arrivals_ask_for_the_load)
{
    struct sim_setup s = fleet();
    struct convert_rules r = plain();
    struct sim_job j;
    struct trace t;
    struct error err = {0};
    AUTO_FREE char *in = NULL;
    size_t size;
    double work = 0;
    FILE *f = open_memstream(&in, &size);
    fputs("runtime\n", f);
    for (unsigned i = 0; i < 4000; i++)
        fprintf(f, "%u\n", 100 + i % 900);
    fclose(f);
    r.fleet = &s;
    r.slice = "2/7";
    r.arrivals = CONVERT_POISSON_LOAD;
    r.load = 0.8;
    struct converted a = convert(in, &r), b = convert(in, &r);
    r.seed = 2;
    struct converted other = convert(in, &r);
    REQUIRE(a.text && b.text && other.text);
    CHECK(strcmp(a.text, b.text) == 0 && strcmp(a.text, other.text) != 0);
    f = fmemopen(a.text, strlen(a.text), "r");
    REQUIRE(trace_begin(&t, f, "t", &s, 0, &err) == 0);
    while (trace_next(&t, &j, &err) > 0)
        work += 2 * (double)j.run;
    CHECK_INT(t.jobs, ==, 4000);
    CHECK(t.unordered == 0 && t.negative == 0);
    CHECK(fabs(work / (56.0 * (double)t.last) / 0.8 - 1) < 0.05);
    trace_done(&t);
    fclose(f);
    free(a.text);
    free(b.text);
    free(other.text);
}

/* A file of the kind, 0..3, with rows that are partly spoilt. */
static void spoilt(unsigned kind, struct rng *rng, char *ret)
{
    static const char *const headings[] = {PODS, "runtime\n",
                                           "TIMESTAMP,ContextTokens,GeneratedTokens\n",
                                           "submit_s,run_s,slice,count,user\n"};
    static const char *const rows[] = {"a,1,460,\"V1,00\",5,30,10\n", "12.5\n",
                                       "2023-12-31 23:59:59.5,400,10\n", "7,1,2/7,3,ann\n"};
    size_t size = strlen(rows[kind]);
    memcpy(ret, headings[kind], strlen(headings[kind]));
    ret += strlen(headings[kind]);
    for (unsigned lines = 1 + rng_below(rng, 8); lines > 0; lines--, ret += size) {
        memcpy(ret, rows[kind], size + 1);
        for (unsigned hits = rng_below(rng, 4); hits > 0; hits--)
            ret[rng_below(rng, (uint32_t)size)] = ",\"\n|-.:0179e \x80"[rng_below(rng, 14)];
    }
}

static void is_a_trace(const struct converted *c, unsigned seed, bool own_slices)
{
    struct sim_setup s = fleet();
    struct trace t;
    struct sim_job j;
    struct error err = {0};
    int rc = 1;
    FILE *f = fmemopen(c->text, strlen(c->text), "r");
    REQUIRE(f && trace_begin(&t, f, "t", &s, 0, &err) == 0);
    while (rc > 0)
        rc = trace_next(&t, &j, &err);
    bool slice = own_slices && rc < 0 && strstr(err.text, "slice");
    if (!slice && (rc < 0 || t.jobs != c->c.jobs || t.unordered || t.negative))
        TAP_FAIL("seed %u: %s\n%s", seed, err.text, c->text);
    trace_done(&t);
    fclose(f);
}

/* Whatever bytes are in the rows, what is made of them is a trace: every row is a job or counted,
 * and the reader of traces takes all of it, in order. Our own slices are passed on as they stand.
 */
TEST(whatever_goes_in_a_trace_comes_out)
{
    unsigned rounds = getenv("FETTA_DEEP") ? 20000 : 300;
    for (unsigned seed = 4000; seed < 4000 + rounds; seed++) {
        struct rng rng = {seed};
        char text[2048];
        unsigned kind = rng_below(&rng, 4);
        struct convert_rules r = plain();
        spoilt(kind, &rng, text);
        r.lenient = true;
        r.sort = rng_below(&rng, 2);
        r.slice = "18GiB";
        r.read_s = r.write_s = 0.01;
        r.arrivals = kind == 1 ? CONVERT_EVEN : CONVERT_AS_WRITTEN;
        r.gap_s = 1;
        struct converted c = convert(text, &r);
        if (c.text) /* else none of them was a job */
            is_a_trace(&c, seed, kind == 3);
        free(c.text);
    }
}

/* Days by the calendar, against counting them one by one. */
TEST(stamps_are_days_of_the_calendar)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = 0, us;
    char text[40];
    for (int year = 1970; year < 2091; year++)
        for (int month = 1; month <= 12; month++) {
            bool leap = month == 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0);
            (void)snprintf(text, sizeof text, "%d-%02d-01T00:00:01.5", year, month);
            CHECK(convert_stamp(text, &us) && us == day * 86400000000 + 1500000);
            day += length[month - 1] + leap;
        }
    CHECK(!convert_stamp("2024-13-01T00:00:00", &us) && !convert_stamp("2024-12-01", &us) &&
          !convert_stamp("2023-02-29T00:00:00", &us) && convert_stamp("2024-02-29T00:00:00", &us) &&
          !convert_stamp("2091-01-01T00:00:00", &us) &&
          !convert_stamp("2024-12-01T00:00:00Z", &us) && !convert_stamp("", &us));
}

TAP_MAIN
