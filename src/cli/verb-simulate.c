/* `fetta simulate`: the jobs of a trace under several policies, through the engine that fettad runs
 * on. Asks no daemon. */
#include "cli/args.h"
#include "cli/fleets.h"

#include "base/macro.h"
#include "base/time.h"
#include "emul/latency.h"
#include "trace/rival.h"
#include "trace/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The vote is held on the first quarter of the jobs, and on no more than is soon simulated. */
enum { RIVALS = 24, VOTE_PART = 4, VOTE_MOST = 20000 };

struct simulate {
    const char *trace, *machine, *policies, *wait_text, *create, *destroy, *mode;
    bool lenient, votes;
    FILE *in;
    const char *name;
    int64_t wait;
    struct sim_setup setup;
    struct trace scan; /* of the whole trace, once */
    uint64_t vote_n;   /* jobs that are voted on and not judged */
    double counts[BOARD_PROFILES];
    unsigned n;
    struct rival rivals[RIVALS];
    struct sim_result results[RIVALS];
};

static int parse(struct cli *c, int argc, char **argv, struct simulate *s, struct error *err)
{
    struct args a = {0};
    int first;
    args_add(
        &a, (struct args_option){"trace", 0, ARGS_TEXT, &s->trace, "FILE", "the jobs; - is stdin"});
    args_add(&a, (struct args_option){"machine", 0, ARGS_TEXT, &s->machine, "MACHINE",
                                      "the fleet: 8xdgx-a100, 100xa100-80"});
    args_add(&a, (struct args_option){"policy", 0, ARGS_TEXT, &s->policies, "NAMES",
                                      "what to compare, with commas (fetta,first-fit,whole-gpu)"});
    args_add(&a, (struct args_option){"wait", 0, ARGS_TEXT, &s->wait_text, "LIMIT",
                                      "how long jobs wait that do not say; none: not at all "
                                      "(without limit)"});
    args_add(&a, (struct args_option){"create-time", 0, ARGS_DURATION, &s->create, "TIME",
                                      "what making an instance takes (the board's)"});
    args_add(&a, (struct args_option){"destroy-time", 0, ARGS_DURATION, &s->destroy, "TIME",
                                      "what destroying an instance takes (the board's)"});
    args_add(&a, (struct args_option){"mode-time", 0, ARGS_DURATION, &s->mode, "TIME",
                                      "what changing the MIG mode takes (the board's)"});
    args_add(&a, (struct args_option){"lenient", 0, ARGS_FLAG, &s->lenient, NULL,
                                      "go on with jobs out of order and without those with "
                                      "negative times"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, err);
    if (r == 0 && !s->trace)
        r = error_set(err, ERROR_INVALID,
                      "which jobs? --trace FILE; fetta trace make makes some up");
    if (r == 0 && !s->machine)
        r = error_set(err, ERROR_INVALID, "on which fleet? --machine 8xdgx-a100");
    return r;
}

/* Half of all draws are below it. */
static int64_t usual(const struct board *b, unsigned op)
{
    struct latency l = latency_board(b->family, op, NULL);
    return l.kind == LATENCY_UNIFORM       ? l.a + (l.b - l.a) / 2
           : l.kind == LATENCY_EXPONENTIAL ? (int64_t)((double)l.a * M_LN2)
                                           : l.a;
}

static int read_times(struct simulate *s, struct error *err)
{
    const struct board *b = s->setup.groups[0].board;
    int r = 0;
    s->setup.create_ns = usual(b, LATENCY_GI_CREATE) + usual(b, LATENCY_CI_CREATE);
    s->setup.destroy_ns = usual(b, LATENCY_GI_DESTROY) + usual(b, LATENCY_CI_DESTROY);
    s->setup.mode_ns = usual(b, LATENCY_MODE);
    s->wait = TIME_NEVER;
    if (s->create)
        r = time_parse(s->create, "--create-time", &s->setup.create_ns, err);
    if (r == 0 && s->destroy)
        r = time_parse(s->destroy, "--destroy-time", &s->setup.destroy_ns, err);
    if (r == 0 && s->mode)
        r = time_parse(s->mode, "--mode-time", &s->setup.mode_ns, err);
    if (r == 0 && s->wait_text)
        r = strcmp(s->wait_text, "none") == 0 ? (s->wait = 0, 0)
                                              : time_parse(s->wait_text, "--wait", &s->wait, err);
    return r;
}

static int read_policies(struct simulate *s, struct error *err)
{
    AUTO_FREE char *copy = strdup(s->policies);
    char *rest = copy, *name;
    int r = copy ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory left");
    while (r == 0 && (name = strsep(&rest, ",")) != NULL) {
        if (s->n == RIVALS)
            return error_set(err, ERROR_INVALID, "at most %d policies at once", RIVALS);
        struct sim_setup tried = s->setup;
        r = rival_parse(name, &tried, &s->rivals[s->n], err);
        s->votes = s->votes || s->rivals[s->n].kind == RIVAL_VOTED;
        s->n += r == 0;
    }
    return r < 0 ? error_context(err, "--policy") : 0;
}

/* What cannot be read twice is copied to a file that has no name. */
static int open_trace(struct simulate *s, struct error *err)
{
    char part[65536];
    size_t n;
    bool in = strcmp(s->trace, "-") == 0;
    s->name = in ? "stdin" : s->trace;
    s->in = in ? tmpfile() : fopen(s->trace, "re");
    if (!s->in)
        return error_errno(err, ERROR_IO, errno, "cannot open %s", s->name);
    while (in && (n = fread(part, 1, sizeof part, stdin)) > 0)
        if (fwrite(part, 1, n, s->in) != n)
            return error_errno(err, ERROR_IO, errno, "cannot keep the trace");
    if (in && ferror(stdin))
        return error_set(err, ERROR_IO, "reading stdin failed");
    return 0;
}

/* The mix of the jobs that are voted on, and when the first of the others comes. */
static int look_at_voters(struct simulate *s, struct error *err)
{
    struct trace t;
    struct sim_job j;
    int r = trace_begin(&t, s->in, s->name, &s->setup, s->wait, err);
    for (uint64_t n = 0; r == 0 && n <= s->vote_n; n++) {
        r = MIN(trace_next(&t, &j, err), 0);
        s->setup.from = s->votes ? j.submit : 0;
        if (r == 0 && n < s->vote_n && !j.whole && j.row[0] < BOARD_PROFILES)
            s->counts[j.row[0]] += j.count;
    }
    trace_done(&t);
    return r;
}

/* Reads it all: how many jobs there are, what is wrong with them, and where judging begins. */
static int scan(struct simulate *s, struct error *err)
{
    struct sim_job j;
    int r = trace_begin(&s->scan, s->in, s->name, &s->setup, s->wait, err);
    while (r == 0 && (r = trace_next(&s->scan, &j, err)) > 0)
        r = 0;
    if (r < 0)
        return r;
    if (s->scan.first_bad && !s->lenient)
        return error_set(err, ERROR_INVALID,
                         "%s: %" PRIu64 " jobs are before the one before them and %" PRIu64
                         " have negative times, the first in line %" PRIu64
                         "; sort the file, or take it as it is with --lenient",
                         s->name, s->scan.unordered, s->scan.negative, s->scan.first_bad);
    if (s->scan.jobs < VOTE_PART)
        return error_set(err, ERROR_INVALID, "%s has %" PRIu64 " jobs; that says nothing", s->name,
                         s->scan.jobs);
    s->setup.until = s->scan.last + 1;
    s->vote_n = s->votes ? MIN(s->scan.jobs / VOTE_PART, (uint64_t)VOTE_MOST) : 0;
    return look_at_voters(s, err);
}

static void show_progress(void *arg, uint64_t asked)
{
    const struct rival *p = arg;
    (void)fprintf(stderr, "\r%s: %" PRIu64 " jobs ", p->name, asked);
}

/* One policy over the first `most` jobs, 0: all. */
static int run_one(struct simulate *s, const struct rival *p, struct sim_setup setup, uint64_t most,
                   struct sim_result *ret, struct error *err)
{
    struct trace t;
    struct rival as;
    bool told = isatty(STDERR_FILENO);
    setup.mix = score_mix_of(s->counts);
    setup.rule = p->rule;
    int r = rival_parse(p->name, &setup, &as, err);
    if (r == 0)
        r = trace_begin(&t, s->in, s->name, &setup, s->wait, err);
    if (r < 0)
        return r;
    struct rival_source jobs = {{trace_next, &t}, p, &setup, most, 0};
    struct sim_source source = {rival_next, &jobs};
    struct rival named = *p;
    r = sim_run(&setup, &source, told ? show_progress : NULL, &named, ret, err);
    if (told)
        (void)fprintf(stderr, "\r\33[K");
    trace_done(&t);
    return r;
}

/* Which rule to follow, by what each makes of the jobs before the judged ones. */
static int vote(struct simulate *s, struct rival *p, struct error *err)
{
    struct sim_setup setup = s->setup;
    struct sim_result best, other;
    struct rival tried = *p;
    setup.from = setup.until = 0;
    int r = run_one(s, p, setup, s->vote_n, &best, err);
    for (enum score_rule rule = 0; rule < SCORE_N && r == 0; rule++) {
        tried.rule = rule;
        r = run_one(s, &tried, setup, s->vote_n, &other, err);
        if (r == 0 && rival_better(&other, &best)) {
            best = other;
            p->rule = rule;
        }
    }
    return r;
}

static int run_all(struct simulate *s, struct error *err)
{
    int r = 0;
    for (unsigned i = 0; i < s->n && r == 0; i++) {
        if (s->rivals[i].kind == RIVAL_VOTED)
            r = vote(s, &s->rivals[i], err);
        if (r == 0)
            r = run_one(s, &s->rivals[i], s->setup, 0, &s->results[i], err);
    }
    return r;
}

static double per_cent(double part, double of)
{
    return of > 0 ? 100 * part / of : 0;
}

static json_t *as_json(const struct simulate *s)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < s->n; i++) {
        const struct sim_result *r = &s->results[i];
        const struct rival *p = &s->rivals[i];
        json_t *row = json_pack(
            "{s:s, s:s?, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "policy", p->name, "rule",
            p->kind == RIVAL_WHOLE || p->kind == RIVAL_STATIC ? NULL : score_name(p->rule), "asked",
            (json_int_t)r->asked, "granted", (json_int_t)r->granted, "refused",
            (json_int_t)r->refused, "accepted_percent",
            per_cent((double)r->granted, (double)r->asked), "accepted_gpc_percent",
            per_cent(r->gpc_granted, r->gpc_asked), "utilisation_percent",
            per_cent(r->gpc_busy, r->gpc_all), "gpus_used", r->gpu_used);
        json_t *times = json_pack(
            "{s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "wait_mean_s", r->wait_mean, "wait_p95_s",
            r->wait_p95, "wait_p99_s", r->wait_p99, "end_mean_s", r->end_mean, "makespan_s",
            r->makespan, "made", (json_int_t)r->made, "destroyed", (json_int_t)r->destroyed);
        json_object_update(row, times);
        json_decref(times);
        json_array_append_new(rows, row);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "jobs", (json_int_t)s->scan.jobs, "voted_on",
                     (json_int_t)s->vote_n, "out_of_order", (json_int_t)s->scan.unordered,
                     "negative", (json_int_t)s->scan.negative, "policies", rows);
}

static void show(const struct simulate *s, const struct table_look *look, struct str *out)
{
    const char *head[] = {"POLICY", "JOBS %", "GPC %",  "BUSY %", "GPUS", "WAIT S",
                          "P95",    "P99",    "DONE S", "ALL S",  "MADE"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head), .right = 0x7fe};
    table_head(&t, head);
    for (unsigned i = 0; i < s->n; i++) {
        const struct sim_result *r = &s->results[i];
        const struct rival *p = &s->rivals[i];
        if (p->kind == RIVAL_VOTED)
            table_addf(&t, "%s (%s)", p->name, score_name(p->rule));
        else
            table_add(&t, TABLE_PLAIN, p->name);
        table_addf(&t, "%.2f", per_cent((double)r->granted, (double)r->asked));
        table_addf(&t, "%.2f", per_cent(r->gpc_granted, r->gpc_asked));
        table_addf(&t, "%.2f", per_cent(r->gpc_busy, r->gpc_all));
        table_addf(&t, "%.1f", r->gpu_used);
        const double times[] = {r->wait_mean, r->wait_p95, r->wait_p99, r->end_mean, r->makespan};
        for (unsigned k = 0; k < ARRAY_LEN(times); k++)
            table_addf(&t, "%.1f", times[k]);
        table_addf(&t, "%" PRIu64, r->made);
    }
    table_print(&t, look, out);
    str_addf(out, "%" PRIu64 " jobs", s->scan.jobs);
    if (s->votes)
        str_addf(out, "; fetta chose its rule on the first %" PRIu64 ", which are not judged",
                 s->vote_n);
    if (s->scan.first_bad)
        str_addf(out, "; %" PRIu64 " were out of order, %" PRIu64 " with negative times left out",
                 s->scan.unordered, s->scan.negative);
    str_addf(out, ".\nMaking an instance takes %.3g s, destroying one %.3g s.\n",
             (double)s->setup.create_ns / TIME_S, (double)s->setup.destroy_ns / TIME_S);
}

static int tell(struct cli *c, const struct simulate *s)
{
    if (c->json) {
        json_t *document = as_json(s);
        int r = cli_print_json(c, document);
        json_decref(document);
        return r;
    }
    AUTO_STR struct str out = {0};
    show(s, &c->out, &out);
    return cli_print(c, &out);
}

int verb_simulate(struct cli *c, int argc, char **argv)
{
    AUTO_FREE struct simulate *s = calloc(1, sizeof *s);
    struct error err;
    if (!s)
        return cli_fail(c, (error_set(&err, ERROR_NO_MEMORY, "no memory left"), &err));
    s->policies = "fetta,first-fit,whole-gpu";
    int r = parse(c, argc, argv, s, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = fleets_read(s->machine, &s->setup, &err);
    if (r == 0)
        r = read_times(s, &err);
    if (r == 0)
        r = read_policies(s, &err);
    if (r == 0)
        r = open_trace(s, &err);
    if (r == 0)
        r = scan(s, &err);
    if (r == 0)
        r = run_all(s, &err);
    r = r < 0 ? cli_fail(c, &err) : tell(c, s);
    trace_done(&s->scan);
    if (s->in)
        (void)fclose(s->in);
    return r;
}
