/* `fetta simulate`: the jobs of a trace under several policies, through the engine that fettad runs
 * on. Asks no daemon but for its history. */
#include "cli/args.h"
#include "cli/delays.h"
#include "cli/fleets.h"
#include "cli/save.h"
#include "cli/simulate-report.h"
#include "cli/simulate-vote.h"
#include "cli/source.h"

#include "base/macro.h"
#include "base/time.h"
#include "sim/detail.h"
#include "trace/rival.h"
#include "trace/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first quarter of the jobs is not judged: the fleet fills with them, the mix is theirs, and
 * the vote is held on them. */
enum { RIVALS = 24, WARM_PART = 4, WARM_MOST = 20000 };

struct simulate {
    const char *trace, *machine, *policies, *queue, *wait_text, *create, *destroy, *mode;
    bool lenient, votes, all, by_profile, timed;
    int64_t seed;
    FILE *in;
    const char *name;
    int64_t wait;
    struct sim_setup setup;
    struct delays delays;
    struct trace scan; /* of the whole trace, once */
    uint64_t warm_n;   /* the first jobs, of which the mix is taken and which auto votes on */
    double counts[BOARD_PROFILES];
    unsigned n;
    struct rival rivals[RIVALS];
    struct sim_result results[RIVALS];
    const char *report;
    struct record *records; /* [n] for a report, otherwise NULL */
    struct detail details[RIVALS];
    double step_ns[RIVALS]; /* of this machine's time, for each event */
};

static int parse(struct cli *c, int argc, char **argv, struct simulate *s, struct error *err)
{
    struct args a = {0};
    int first;
    args_add(&a, (struct args_option){"trace", 0, ARGS_TEXT, &s->trace, "FILE",
                                      "the jobs; - is stdin, history:30d what ran here"});
    args_add(&a, (struct args_option){"machine", 0, ARGS_TEXT, &s->machine, "MACHINE",
                                      "the fleet: 8xdgx-a100, 100xa100-80"});
    args_add(&a, (struct args_option){"policy", 0, ARGS_TEXT, &s->policies, "NAMES",
                                      "what to compare, with commas (fetta,first-fit,whole-gpu)"});
    args_add(&a, (struct args_option){"wait", 0, ARGS_TEXT, &s->wait_text, "LIMIT",
                                      "how long jobs wait that do not say; none: not at all "
                                      "(without limit)"});
    args_add(&a, (struct args_option){"queue", 0, ARGS_TEXT, &s->queue, "KIND",
                                      "engine: large jobs keep their place; scan: whatever fits "
                                      "starts (engine)"});
    args_add(&a, (struct args_option){"create-time", 0, ARGS_DURATION, &s->create, "TIME",
                                      "what making an instance takes (the board's)"});
    args_add(&a, (struct args_option){"destroy-time", 0, ARGS_DURATION, &s->destroy, "TIME",
                                      "what destroying an instance takes (the board's)"});
    args_add(&a, (struct args_option){"mode-time", 0, ARGS_DURATION, &s->mode, "TIME",
                                      "what changing the MIG mode takes (the board's)"});
    args_add(&a, (struct args_option){"seed", 0, ARGS_COUNT, &s->seed, "N",
                                      "of what the driver takes (1)", .min = 0, .max = INT64_MAX});
    args_add(&a, (struct args_option){"by-profile", 0, ARGS_FLAG, &s->by_profile, NULL,
                                      "also how requests for each profile fared"});
    args_add(&a, (struct args_option){"decision-time", 0, ARGS_FLAG, &s->timed, NULL,
                                      "also what deciding took here, which differs every time"});
    args_add(&a, (struct args_option){"all", 0, ARGS_FLAG, &s->all, NULL,
                                      "judge all jobs, also the first quarter"});
    args_add(&a, (struct args_option){"lenient", 0, ARGS_FLAG, &s->lenient, NULL,
                                      "go on with jobs out of order and without those with "
                                      "negative times"});
    args_add(&a, (struct args_option){"report", 0, ARGS_TEXT, &s->report, "FILE",
                                      "write a report, one HTML file, to look at and to print"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, err);
    if (r == 0 && !s->trace)
        r = error_set(err, ERROR_INVALID,
                      "which jobs? --trace FILE; fetta trace make makes some up");
    if (r == 0 && !s->machine)
        r = error_set(err, ERROR_INVALID, "on which fleet? --machine 8xdgx-a100");
    return r;
}

static int fix(struct simulate *s, const char *text, const char *what, enum sim_op op,
               struct error *err)
{
    int64_t ns = 0;
    int r = text ? time_parse(text, what, &ns, err) : 0;
    if (text && r == 0)
        delays_fix(&s->delays, op, ns);
    return r;
}

static int read_times(struct simulate *s, struct error *err)
{
    delays_fill(&s->delays, &s->setup);
    s->setup.delay = delays_draw;
    s->setup.delay_arg = &s->delays;
    s->setup.seed = (uint64_t)s->seed;
    s->wait = TIME_NEVER;
    int r = fix(s, s->create, "--create-time", SIM_CREATE, err);
    if (r == 0)
        r = fix(s, s->destroy, "--destroy-time", SIM_DESTROY, err);
    if (r == 0)
        r = fix(s, s->mode, "--mode-time", SIM_MODE, err);
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
        if (r == 0 && s->rivals[s->n].kind == RIVAL_OTHER && s->queue &&
            strcmp(s->queue, "engine") == 0)
            return error_set(err, ERROR_INVALID,
                             "--queue: engine is fettad's queue, and %s is only there in one that "
                             "is scanned: leave --queue or %s out",
                             name, name);
        s->votes = s->votes || s->rivals[s->n].kind == RIVAL_VOTED;
        s->n += r == 0;
    }
    if (r < 0)
        return error_context(err, "--policy");
    if (s->votes && s->all)
        return error_set(err, ERROR_INVALID,
                         "--all: auto chooses its rule on the first quarter of the jobs, so these "
                         "cannot be judged; leave one of the two out");
    return 0;
}

static int read_queue(struct simulate *s, struct error *err)
{
    bool scan = s->queue && strcmp(s->queue, "scan") == 0;
    if (s->queue && !scan && strcmp(s->queue, "engine") != 0)
        return error_set(err, ERROR_INVALID, "--queue: engine or scan, not '%s'", s->queue);
    s->setup.queue = scan ? SIM_SCAN : SIM_ENGINE;
    return 0;
}

/* The mix of the first jobs, and when the first of the others comes. */
static int look_at_first(struct simulate *s, struct error *err)
{
    struct trace t;
    struct sim_job j;
    int r = trace_begin(&t, s->in, s->name, &s->setup, s->wait, err);
    for (uint64_t n = 0; r == 0 && n <= s->warm_n; n++) {
        r = MIN(trace_next(&t, &j, err), 0);
        s->setup.from = s->all ? 0 : j.submit;
        if (r == 0 && n < s->warm_n && !j.whole && j.row[0] < BOARD_PROFILES)
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
    if (s->scan.jobs < WARM_PART)
        return error_set(err, ERROR_INVALID,
                         "%s: jobs are too few to say anything: %" PRIu64
                         ", and at least %d are needed",
                         s->name, s->scan.jobs, WARM_PART);
    s->setup.until = s->scan.last + 1;
    s->warm_n = MIN(s->scan.jobs / WARM_PART, (uint64_t)WARM_MOST);
    return look_at_first(s, err);
}

/* What is being simulated, for people who wait. */
struct progress {
    const char *name;
    uint64_t jobs;
};

static void show_progress(void *arg, uint64_t asked)
{
    const struct progress *p = arg;
    static const char bar[] = "####################....................";
    unsigned done = (unsigned)MIN(20 * asked / MAX(p->jobs, 1), (uint64_t)20);
    (void)fprintf(stderr, "\r%s [%.20s] %" PRIu64 " of %" PRIu64 " jobs ", p->name, bar + 20 - done,
                  asked, p->jobs);
}

/* One policy over the first `most` jobs, 0: all. */
static int run_one(struct simulate *s, const struct rival *p, struct sim_setup setup, uint64_t most,
                   struct sim_result *ret, struct error *err)
{
    struct trace t;
    struct rival as;
    bool told = isatty(STDERR_FILENO);
    bool ours = p->kind == RIVAL_FETTA || p->kind == RIVAL_VOTED;
    setup.mix = ours ? p->mix : score_mix_of(s->counts);
    setup.rule = p->rule;
    int r = rival_parse(p->name, &setup, &as, err);
    if (r == 0)
        r = trace_begin(&t, s->in, s->name, &setup, s->wait, err);
    if (r < 0)
        return r;
    struct rival_source jobs = {{trace_next, &t}, p, &setup, most, 0};
    struct sim_source source = {rival_next, &jobs};
    struct progress far = {p->name, most ? most : s->scan.jobs};
    r = sim_run(&setup, &source, told ? show_progress : NULL, &far, ret, err);
    if (told)
        (void)fprintf(stderr, "\r\33[K");
    trace_done(&t);
    return r;
}

/* Which rule to follow, by the jobs before the judged ones. */
static int vote(struct simulate *s, struct rival *p, struct error *err)
{
    struct trace t;
    int r = trace_begin(&t, s->in, s->name, &s->setup, s->wait, err);
    if (r == 0)
        r = simulate_vote(&t, &s->setup, s->warm_n, (uint64_t)s->seed, p, err);
    trace_done(&t);
    return r;
}

static int run_all(struct simulate *s, struct error *err)
{
    int r = 0;
    if (s->report && !(s->records = calloc(s->n, sizeof *s->records)))
        return error_set(err, ERROR_NO_MEMORY, "no memory left for a report");
    for (unsigned i = 0; i < s->n && r == 0; i++) {
        struct sim_setup judged = s->setup;
        struct record *record = s->records ? &s->records[i] : NULL;
        if (s->rivals[i].kind == RIVAL_VOTED)
            r = vote(s, &s->rivals[i], err);
        if (r < 0)
            return r;
        int64_t begin = time_boot();
        judged.detail = s->timed ? NULL : &s->details[i]; /* looking closely takes time, too */
        judged.record = s->timed ? NULL : record;
        r = run_one(s, &s->rivals[i], judged, 0, &s->results[i], err);
        s->step_ns[i] =
            (double)(time_boot() - begin) / (double)MAX(s->results[i].steps, (uint64_t)1);
        judged.detail = &s->details[i];
        judged.record = record;
        if (r == 0 && s->timed)
            r = run_one(s, &s->rivals[i], judged, 0, &s->results[i], err);
    }
    return r;
}

static double per_cent(double part, double of)
{
    return of > 0 ? 100 * part / of : 0;
}

/* How many of the first board's compute slices there are. */
static double slices_of_first(const struct simulate *s)
{
    return (double)s->setup.groups[0].gpus * s->setup.groups[0].board->compute_slices;
}

/* "3g.40gb", with its board in fleets of several; "gpu" for whole ones. Returns `buf`. */
static const char *class_name(const struct simulate *s, const struct detail_class *k,
                              char buf[BOARD_PROFILE_NAME + BOARD_NAME])
{
    unsigned group = k->asked_for ? (k->asked_for - 1u) / BOARD_PROFILES : 0;
    const struct board *b = s->setup.groups[group].board;
    if (!k->asked_for)
        return "gpu";
    return board_profile_name(b, &b->profiles[(k->asked_for - 1u) % BOARD_PROFILES], buf);
}

static json_t *class_as_json(const struct simulate *s, const struct detail_class *k)
{
    char name[BOARD_PROFILE_NAME + BOARD_NAME];
    return json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "slice",
                     class_name(s, k, name), "asked", (json_int_t)k->asked, "granted",
                     (json_int_t)k->granted, "refused", (json_int_t)k->refused,
                     "accepted_gpc_percent", per_cent(k->gpc_granted, k->gpc_asked), "wait_mean_s",
                     k->wait_mean, "wait_p50_s", k->wait_p50, "wait_p95_s", k->wait_p95,
                     "wait_p99_s", k->wait_p99, "end_mean_s", k->end_mean, "end_p50_s", k->end_p50,
                     "end_p95_s", k->end_p95, "end_p99_s", k->end_p99);
}

/* Free repacking says what fits, and not where. */
static bool has_places(const struct rival *p)
{
    return strcmp(p->name, "free-repack") != 0;
}

/* Whether what was voted for looks at the mix. */
static bool is_told(const struct rival *p)
{
    return (p->mix.word[0] | p->mix.word[1]) != 0;
}

static json_t *counts_as_json(const struct simulate *s, unsigned i)
{
    const struct sim_result *r = &s->results[i];
    const struct rival *p = &s->rivals[i];
    json_t *o = json_pack("{s:s, s:s?, s:I, s:I, s:I, s:f, s:f, s:f}", "policy", p->name, "rule",
                          p->kind == RIVAL_FETTA || p->kind == RIVAL_VOTED || p->kind == RIVAL_RULE
                              ? score_name(p->rule)
                              : NULL,
                          "asked", (json_int_t)r->asked, "granted", (json_int_t)r->granted,
                          "refused", (json_int_t)r->refused, "accepted_percent",
                          per_cent((double)r->granted, (double)r->asked), "accepted_gpc_percent",
                          per_cent(r->gpc_granted, r->gpc_asked), "utilisation_percent",
                          per_cent(r->gpc_busy, r->gpc_all));
    const struct {
        const char *name;
        double value;
    } of_places[] = {
        {"gpus_used", r->gpu_used},
        {"stranded_percent", per_cent((double)s->details[i].stranded, (double)r->asked)},
        {"fragmented_percent", per_cent(s->details[i].useless, slices_of_first(s))},
    };
    for (unsigned k = 0; k < ARRAY_LEN(of_places); k++)
        json_object_set_new(o, of_places[k].name,
                            has_places(p) ? json_real(of_places[k].value) : json_null());
    return o;
}

static json_t *times_as_json(const struct simulate *s, unsigned i)
{
    const struct sim_result *r = &s->results[i];
    const struct detail_class *all = &s->details[i].all;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "wait_mean_s",
                     r->wait_mean, "wait_p50_s", all->wait_p50, "wait_p95_s", r->wait_p95,
                     "wait_p99_s", r->wait_p99, "end_mean_s", r->end_mean, "end_p50_s",
                     all->end_p50, "end_p95_s", all->end_p95, "end_p99_s", all->end_p99,
                     "makespan_s", r->makespan, "made", (json_int_t)r->made, "destroyed",
                     (json_int_t)r->destroyed);
}

static json_t *as_json(const struct simulate *s)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < s->n; i++) {
        json_t *row = counts_as_json(s, i), *times = times_as_json(s, i), *classes = json_array();
        json_object_update(row, times);
        json_decref(times);
        for (unsigned k = 0; k < s->details[i].class_n; k++)
            json_array_append_new(classes, class_as_json(s, &s->details[i].classes[k]));
        json_object_set_new(row, "slices", classes);
        if (s->timed)
            json_object_set_new(row, "decision_ns", json_real(s->step_ns[i]));
        json_array_append_new(rows, row);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "jobs", (json_int_t)s->scan.jobs, "seed",
                     (json_int_t)s->seed, "not_judged", (json_int_t)(s->all ? 0 : s->warm_n),
                     "out_of_order", (json_int_t)s->scan.unordered, "negative",
                     (json_int_t)s->scan.negative, "policies", rows);
}

static void add_time(const struct simulate *s, enum sim_op op, struct str *out)
{
    int64_t half, most;
    delays_usual(&s->delays, op, &half, &most);
    str_addf(out, "%.3g s", (double)half / TIME_S);
    if (most > half)
        str_addf(out, " (half of the time; 1 in 100 times above %.3g s)", (double)most / TIME_S);
}

static void show_profiles(const struct simulate *s, const struct table_look *look, struct str *out)
{
    const char *head[] = {"POLICY", "SLICE", "ASKED",  "JOBS %", "GPC %", "WAIT S", "P50",
                          "P95",    "P99",   "DONE S", "P50",    "P95",   "P99"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head), .right = 0x1ffc};
    table_head(&t, head);
    for (unsigned i = 0; i < s->n; i++) {
        for (unsigned k = 0; k < s->details[i].class_n; k++) {
            const struct detail_class *c = &s->details[i].classes[k];
            char name[BOARD_PROFILE_NAME + BOARD_NAME];
            table_add(&t, TABLE_PLAIN, s->rivals[i].name);
            table_add(&t, TABLE_PLAIN, class_name(s, c, name));
            table_addf(&t, "%" PRIu64, c->asked);
            table_addf(&t, "%.2f", per_cent((double)c->granted, (double)c->asked));
            table_addf(&t, "%.2f", per_cent(c->gpc_granted, c->gpc_asked));
            const double times[] = {c->wait_mean, c->wait_p50, c->wait_p95, c->wait_p99,
                                    c->end_mean,  c->end_p50,  c->end_p95,  c->end_p99};
            for (unsigned n = 0; n < ARRAY_LEN(times); n++)
                table_addf(&t, "%.1f", times[n]);
        }
    }
    str_add(out, "\n");
    table_print(&t, look, out);
    str_add(out, "\n");
}

/* What the figures are of, in sentences. */
static void notes(const struct simulate *s, struct str *out)
{
    str_addf(out, "%" PRIu64 " jobs", s->scan.jobs);
    if (!s->all)
        str_addf(out, "; the first %" PRIu64 " are not judged%s", s->warm_n,
                 s->votes ? ", auto chose its rule on them" : "");
    if (s->scan.first_bad)
        str_addf(out, "; %" PRIu64 " were out of order, %" PRIu64 " with negative times left out",
                 s->scan.unordered, s->scan.negative);
    str_add(out, ".\nMaking an instance takes ");
    add_time(s, SIM_CREATE, out);
    str_add(out, ", destroying one ");
    add_time(s, SIM_DESTROY, out);
    str_addf(out, "; seed %" PRId64 ".", s->seed);
}

static void show(const struct simulate *s, const struct table_look *look, struct str *out)
{
    const char *head[] = {"POLICY", "JOBS %", "GPC %", "BUSY %", "GPUS",  "STRANDED %", "FRAG %",
                          "WAIT S", "P95",    "P99",   "DONE S", "ALL S", "MADE",       "NS"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head) - !s->timed, .right = 0x3ffe};
    table_head(&t, head);
    for (unsigned i = 0; i < s->n; i++) {
        const struct sim_result *r = &s->results[i];
        const struct rival *p = &s->rivals[i];
        if (p->kind == RIVAL_VOTED)
            table_addf(&t, "%s (%s%s)", p->name, score_name(p->rule), is_told(p) ? ", told" : "");
        else
            table_add(&t, TABLE_PLAIN, p->name);
        table_addf(&t, "%.2f", per_cent((double)r->granted, (double)r->asked));
        table_addf(&t, "%.2f", per_cent(r->gpc_granted, r->gpc_asked));
        table_addf(&t, "%.2f", per_cent(r->gpc_busy, r->gpc_all));
        if (has_places(p)) {
            table_addf(&t, "%.1f", r->gpu_used);
            table_addf(&t, "%.2f", per_cent((double)s->details[i].stranded, (double)r->asked));
            table_addf(&t, "%.2f", per_cent(s->details[i].useless, slices_of_first(s)));
        }
        for (unsigned k = 0; k < 3 && !has_places(p); k++)
            table_add(&t, TABLE_DIM, "-");
        const double times[] = {r->wait_mean, r->wait_p95, r->wait_p99, r->end_mean, r->makespan};
        for (unsigned k = 0; k < ARRAY_LEN(times); k++)
            table_addf(&t, "%.1f", times[k]);
        table_addf(&t, "%" PRIu64, r->made);
        if (s->timed)
            table_addf(&t, "%.0f", s->step_ns[i]);
    }
    table_print(&t, look, out);
    if (s->by_profile)
        show_profiles(s, look, out);
    notes(s, out);
    str_add(out, "\n");
}

static int write_report(const struct simulate *s, int argc, char **argv, struct error *err)
{
    AUTO_STR struct str page = {0};
    AUTO_STR struct str words = {0};
    AUTO_STR struct str text = {0};
    struct simulate_policy policies[RIVALS];
    for (unsigned i = 0; i < s->n; i++) {
        const struct rival *p = &s->rivals[i];
        const char *rule = p->kind == RIVAL_VOTED ? score_name(p->rule) : NULL;
        policies[i] = (struct simulate_policy){
            p->name,
            rule,
            &s->results[i],
            &s->records[i],
            &s->details[i],
            has_places(p),
            per_cent((double)s->details[i].stranded, (double)s->results[i].asked),
            per_cent(s->details[i].useless, slices_of_first(s))};
    }
    simulate_report_command(argc, argv, &words);
    notes(s, &text);
    if (words.failed || text.failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the report");
    struct simulate_page whole = {s->name,   s->machine, text.text, words.text,
                                  &s->setup, s->n,       policies};
    simulate_report(&whole, &page);
    return save_page(&page, s->report, err);
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
    s->seed = 1;
    int r = parse(c, argc, argv, s, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = fleets_read(s->machine, &s->setup, &err);
    if (r == 0)
        r = read_times(s, &err);
    if (r == 0)
        r = read_queue(s, &err);
    if (r == 0)
        r = read_policies(s, &err);
    if (r == 0)
        r = source_open(c, s->trace, &s->in, &s->name, &err);
    if (r == 0)
        r = scan(s, &err);
    if (r == 0)
        r = run_all(s, &err);
    r = r < 0 ? cli_fail(c, &err) : tell(c, s);
    /* Last, so that what took long is told even where the report cannot be written. */
    if (r == 0 && s->report && write_report(s, argc, argv, &err) < 0)
        r = cli_fail(c, &err);
    trace_done(&s->scan);
    if (s->in)
        (void)fclose(s->in);
    free(s->records);
    return r;
}
