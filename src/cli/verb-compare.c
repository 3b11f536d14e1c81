/* `fetta compare`: the same work on several systems, shared in every way there is. Asks no daemon.
 */
#include "cli/args.h"
#include "cli/compare.h"
#include "cli/save.h"

#include "base/fd.h"
#include "base/macro.h"
#include "base/time.h"
#include "model/machine.h"
#include "text/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYSTEMS = 8 };

static const char usual[] = "dgx-a100,dgx-h100,dgx-spark";

struct compare_options {
    const char *file, *systems, *report;
    bool example;
    int64_t seed;
};

static int parse(struct cli *c, int argc, char **argv, struct compare_options *o, struct error *err)
{
    struct args a = {0};
    int first;
    args_add(
        &a, (struct args_option){"file", 'f', ARGS_TEXT, &o->file, "FILE", "the work; - is stdin"});
    args_add(&a, (struct args_option){"systems", 0, ARGS_TEXT, &o->systems, "NAMES",
                                      "machines, with commas (dgx-a100,dgx-h100,dgx-spark)"});
    args_add(&a, (struct args_option){"report", 0, ARGS_TEXT, &o->report, "FILE",
                                      "write a report, one HTML file, to look at and to print"});
    args_add(&a, (struct args_option){"seed", 0, ARGS_COUNT, &o->seed, "N",
                                      "of the arrivals that are tried (1)", .min = 1,
                                      .max = INT64_MAX});
    args_add(&a, (struct args_option){"example", 0, ARGS_FLAG, &o->example, NULL,
                                      "print a commented work file"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, err);
    if (r == 0 && !o->file && !o->example)
        r = error_set(err, ERROR_INVALID,
                      "which work? -f FILE, or -f - for stdin; --example prints such a file");
    return r;
}

/* One system by a machine's name or composition. */
static int read_system(const char *name, struct compare_system *ret, struct error *err)
{
    struct machine *m = calloc(1, sizeof *m);
    int r = m ? machine_parse(name, m, err) : error_set(err, ERROR_NO_MEMORY, "no memory left");
    if (r == 0) {
        /* Built-in boards outlive the machine. */
        ret->board = board_find(m->boards[0].name);
        ret->gpus = m->gpu_n;
        ret->unified_memory = m->unified_memory;
        if (m->board_n != 1 || !ret->board)
            r = error_set(err, ERROR_INVALID, "%s has several kinds of GPUs; name them one by one",
                          name);
        else if (!str_copy(ret->name, sizeof ret->name, name))
            r = error_set(err, ERROR_INVALID, "no system has so long a name");
    }
    free(m);
    return r;
}

static int run_all(const char *names, struct compare_all *all, struct error *err)
{
    AUTO_FREE char *copy = strdup(names);
    char *rest = copy, *name;
    int r = copy ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory left");
    while (r == 0 && (name = strsep(&rest, ",")) != NULL) {
        if (all->n == SYSTEMS)
            return error_set(err, ERROR_INVALID, "at most %d systems at once", SYSTEMS);
        struct compare_system *s = &all->systems[all->n++];
        r = read_system(name, s, err);
        if (r == 0)
            r = compare_run(&all->needs, all->seed, s, err);
    }
    return r;
}

static const char *seconds(double s, char buf[TIME_TEXT])
{
    return time_format((int64_t)(s + 0.5) * TIME_S, buf);
}

static void add_number(struct table *t, bool known, const char *fmt, double value)
{
    char text[32];
    if (known)
        (void)snprintf(text, sizeof text, value < 10 && fmt[0] ? "%.3g" : "%.0f", value);
    table_add(t, TABLE_PLAIN, known ? text : "-");
}

static void add_row(const struct compare_all *all, const struct compare_system *s,
                    const struct compare_row *r, struct table *t)
{
    const struct compare_service *tight = &r->services[r->tight];
    bool served = tight->p99 > 0;
    char buf[TIME_TEXT];
    table_add(t, TABLE_BOLD, compare_way_name(r->way));
    if (r->why_not[0]) {
        for (unsigned i = 0; i < 12; i++)
            table_add(t, TABLE_DIM, "-");
        return;
    }
    table_addf(t, "%u of %u%s", r->gpus, s->gpus, r->fits ? "" : " !");
    add_number(t, served, "3", r->rate);
    add_number(t, served, "3", tight->p50);
    add_number(t, served, "3", tight->p95);
    add_number(t, served, "3", tight->p99);
    table_add(t, served && !tight->in_time ? TABLE_RED : TABLE_PLAIN,
              served ? all->needs.all[r->tight].name : "-");
    add_number(t, r->users > 0, "", r->users);
    if (r->utilisation >= 0)
        table_addf(t, "%.0f %%", 100 * r->utilisation);
    else
        table_add(t, TABLE_PLAIN, "-");
    table_add(t, TABLE_PLAIN, r->jobs.known ? seconds(r->jobs.mean_end, buf) : "-");
    table_add(t, TABLE_PLAIN, r->jobs.known ? seconds(r->jobs.makespan, buf) : "-");
    add_number(t, r->watts > 0 && r->rate > 0, "3", r->rate > 0 ? r->watts / r->rate : 0);
    if (r->usd_hour > 0)
        table_addf(t, "%.2f", r->usd_hour);
    else
        table_add(t, TABLE_PLAIN, "-");
}

static void show_ways(const struct compare_system *s, const struct table_look *look,
                      struct str *out)
{
    const char *head[] = {"", "KEEPS APART", "SHARES"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head)};
    table_head(&t, head);
    for (unsigned w = 0; w < COMPARE_WAYS; w++) {
        const struct compare_row *r = &s->rows[w];
        table_add(&t, TABLE_PLAIN, compare_way_name(w));
        table_add(&t, TABLE_PLAIN,
                  r->why_not[0] ? "cannot:"
                  : r->apart    ? "sharing takes more GPUs:"
                                : compare_isolates(w));
        table_add(&t, r->why_not[0] ? TABLE_YELLOW : TABLE_PLAIN,
                  r->why_not[0] ? r->why_not
                  : r->apart    ? "each service has GPUs of its own here, as whole GPUs"
                                : compare_shares(w));
    }
    table_print(&t, look, out);
}

static void show_claims(const struct compare_all *all, const struct compare_system *s,
                        struct str *out)
{
    struct compare_verdict v[COMPARE_CLAIMS];
    char advice[COMPARE_TEXT];
    compare_judge(&all->needs, s, v);
    compare_advise(&all->needs, s, advice);
    for (unsigned i = 0; i < COMPARE_CLAIMS && s->board->memory_slices; i++)
        str_addf(out, "%u %s: %s. %s.\n  Condition: %s.\n", i + 1, v[i].claim, v[i].holds,
                 v[i].figure, v[i].condition);
    str_addf(out, "%s\n", advice);
}

static void show_system(const struct compare_all *all, const struct compare_system *s,
                        const struct table_look *look, struct str *out)
{
    const char *head[] = {"",      "GPUS", "REQ/S",    "P50 MS",  "P95 MS", "P99 MS", "OF",
                          "USERS", "BUSY", "JOB ENDS", "ALL END", "J/REQ",  "$/H"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head), .right = 0x1fbe};
    char title[160];
    (void)snprintf(title, sizeof title, "%s: %u x %s%s", s->name, s->gpus, s->board->product,
                   s->unified_memory ? ", one memory with the CPU" : "");
    table_styled(out, look, TABLE_CYAN, title);
    str_add(out, "\n");
    table_head(&t, head);
    for (unsigned w = 0; w < COMPARE_WAYS; w++)
        add_row(all, s, &s->rows[w], &t);
    table_print(&t, look, out);
    str_add(out, "\n");
    show_ways(s, look, out);
    str_add(out, "\n");
    show_claims(all, s, out);
    str_add(out, "\n");
}

static int write_report(const struct compare_all *all, const char *path, struct error *err)
{
    AUTO_STR struct str page = {0};
    compare_report(all, &page);
    return save_page(&page, path, err);
}

static int tell(struct cli *c, const struct compare_all *all, const struct compare_options *o)
{
    struct error err;
    if (o->report && write_report(all, o->report, &err) < 0)
        return cli_fail(c, &err);
    if (c->json) {
        json_t *document = compare_document(all);
        int r = cli_print_json(c, document);
        json_decref(document);
        return r;
    }
    AUTO_STR struct str out = {0};
    for (unsigned i = 0; i < all->n; i++)
        show_system(all, &all->systems[i], &c->out, &out);
    str_addf(&out,
             "Modelled (docs/sharing.md); arrivals at random, seed %" PRIu64
             ". P50 to P99 and OF: of the service nearest to its target. '!': more than there "
             "are. '-': not known, or not asked for.\n",
             all->seed);
    return cli_print(c, &out);
}

int verb_compare(struct cli *c, int argc, char **argv)
{
    struct compare_options o = {.systems = usual, .seed = 1};
    struct compare_all all = {0};
    struct error err;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    int r = parse(c, argc, argv, &o, &err);
    if (r == 0 && o.example) {
        AUTO_STR struct str example = {0};
        str_add(&example, needs_example);
        return cli_print(c, &example);
    }
    if (r > 0)
        return 0;
    bool in = r == 0 && strcmp(o.file, "-") == 0;
    if (r == 0)
        r = fd_read_file(in ? "/dev/stdin" : o.file, JSON_TEXT_MAX, &text, &size, &err);
    if (r == 0)
        r = needs_read(text, size, in ? "stdin" : o.file, &all.needs, &err);
    if (r == 0) {
        all.file = in ? "stdin" : o.file;
        all.seed = (uint64_t)o.seed;
        all.systems = calloc(SYSTEMS, sizeof *all.systems);
        r = all.systems ? run_all(o.systems, &all, &err)
                        : error_set(&err, ERROR_NO_MEMORY, "no memory left to compare");
    }
    r = r < 0 ? cli_fail(c, &err) : tell(c, &all, &o);
    needs_done(&all.needs);
    free(all.systems);
    return r;
}
