/* `fetta trace convert`: traces of other schedulers and studies, as CSV to simulate with. Asks no
 * daemon but for its history. What was taken for what, left out and made up is said on stderr, so
 * that no figure that comes of it looks more measured than it is. */
#include "cli/args.h"
#include "cli/fleets.h"
#include "cli/source.h"

#include "base/macro.h"
#include "base/time.h"
#include "trace/convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fewer jobs than that may be in any order by chance. */
enum { FEW = 20 };

struct convert_options {
    const char *from, *arrivals, *machine, *slice, *whole, *round, *speed_up, *tokens, *file;
    int64_t seed;
    bool sort, lenient;
    struct sim_setup *fleet;
};

static int parse(struct cli *c, int argc, char **argv, struct convert_options *o, struct error *err)
{
    struct args a = {0};
    int first;
    const struct args_option own[] = {
        {"from", 0, ARGS_TEXT, &o->from, "FORMAT",
         "slurm, alibaba, philly, miso, azure-llm or fetta (told by the heading)"},
        {"slice", 0, ARGS_TEXT, &o->slice, "SLICE",
         "what jobs of a format without slices ask for: 1g.10gb, 2/7, 18GiB, gpu"},
        {"whole", 0, ARGS_TEXT, &o->whole, "SLICE",
         "what jobs that ask for a whole GPU ask for (gpu)"},
        {"round", 0, ARGS_TEXT, &o->round, "HOW",
         "make parts of a GPU profiles of --machine: up or nearest"},
        {"arrivals", 0, ARGS_TEXT, &o->arrivals, "HOW",
         "when jobs come: poisson:LOAD, poisson:30s, every:30s (as written)"},
        {"machine", 0, ARGS_TEXT, &o->machine, "MACHINE",
         "the fleet that --arrivals poisson:LOAD and --round are about"},
        {"speed-up", 0, ARGS_TEXT, &o->speed_up, "N", "jobs come N times as fast (1)"},
        {"tokens-per-second", 0, ARGS_TEXT, &o->tokens, "READ,WRITTEN",
         "how fast requests of azure-llm are served"},
        {"seed", 0, ARGS_COUNT, &o->seed, "N", "the same seed makes the same arrivals (1)",
         .min = 0, .max = INT64_MAX},
        {"sort", 0, ARGS_FLAG, &o->sort, NULL, "put the jobs into the order they came in"},
        {"lenient", 0, ARGS_FLAG, &o->lenient, NULL,
         "leave out rows that are wrong, take jobs out of order as they come"},
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        args_add(&a, own[i]);
    int r = args_read(&a, c, argc, argv, 0, 1, &first, err);
    if (r == 0)
        o->file = first < argc ? argv[first] : "-";
    return r;
}

static int read_number(const char *text, const char *what, double most, double *ret,
                       struct error *err)
{
    char *end;
    *ret = strtod(text, &end);
    if (end == text || *end || !(*ret > 0 && *ret <= most))
        return error_set(err, ERROR_INVALID, "%s must be above 0 and at most %.0f, not '%s'", what,
                         most, text);
    return 0;
}

/* "poisson:0.9", "poisson:30s", "every:30s". */
static int read_arrivals(const struct convert_options *o, struct convert_rules *ret,
                         struct error *err)
{
    const char *text = o->arrivals, *colon = text ? strchr(text, ':') : NULL;
    char *end;
    int64_t gap = 0;
    if (!text)
        return 0;
    bool even = strncmp(text, "every:", 6) == 0;
    if (!even && strncmp(text, "poisson:", 8) != 0)
        return error_set(err, ERROR_INVALID,
                         "--arrivals: poisson:0.9 (a load), poisson:30s or every:30s, not '%s'",
                         text);
    double load = strtod(colon + 1, &end);
    if (!even && end != colon + 1 && !*end) {
        ret->arrivals = CONVERT_POISSON_LOAD;
        ret->load = load;
        if (!o->machine)
            return error_set(err, ERROR_INVALID,
                             "--arrivals %s is a load of which fleet? --machine 8xdgx-a100", text);
        return read_number(colon + 1, "--arrivals poisson:", 1000, &load, err);
    }
    ret->arrivals = even ? CONVERT_EVEN : CONVERT_POISSON;
    int r = time_parse(colon + 1, "--arrivals", &gap, err);
    ret->gap_s = (double)gap / TIME_S;
    if (r == 0 && gap == 0 && !even)
        return error_set(err, ERROR_INVALID,
                         "--arrivals: a gap must be above 0; every:0s is all "
                         "at once");
    return r;
}

static int read_tokens(const char *text, struct convert_rules *ret, struct error *err)
{
    char *end, *end2;
    double in = strtod(text, &end), out = *end == ',' ? strtod(end + 1, &end2) : 0;
    if (end == text || *end != ',' || end2 == end + 1 || *end2 || !(in > 0 && in < 1e9) ||
        !(out > 0 && out < 1e9))
        return error_set(err, ERROR_INVALID,
                         "--tokens-per-second: how many are read and written in a second, such as "
                         "5000,40, not '%s'",
                         text);
    ret->read_s = 1 / in;
    ret->write_s = 1 / out;
    return 0;
}

static int read_round(const struct convert_options *o, struct convert_rules *ret, struct error *err)
{
    if (!o->round)
        return 0;
    ret->round = strcmp(o->round, "up") == 0 ? CONVERT_UP : CONVERT_NEAREST;
    if (ret->round == CONVERT_NEAREST && strcmp(o->round, "nearest") != 0)
        return error_set(err, ERROR_INVALID, "--round: up or nearest, not '%s'", o->round);
    if (!o->machine)
        return error_set(err, ERROR_INVALID, "--round: to the profiles of which --machine?");
    return 0;
}

static int read_rules(const struct convert_options *o, struct convert_rules *ret, struct error *err)
{
    *ret = (struct convert_rules){.format = CONVERT_FORMATS,
                                  .slice = o->slice,
                                  .whole = o->whole ? o->whole : "gpu",
                                  .speed_up = 1,
                                  .seed = (uint64_t)o->seed,
                                  .sort = o->sort,
                                  .lenient = o->lenient,
                                  .fleet = o->machine ? o->fleet : NULL};
    int r = 0;
    if (o->from && (ret->format = convert_find(o->from)) == CONVERT_FORMATS)
        r = error_set(err, ERROR_INVALID,
                      "--from: slurm, alibaba, philly, miso, azure-llm or fetta, not '%s'",
                      o->from);
    if (r == 0 && o->machine)
        r = fleets_read(o->machine, o->fleet, err);
    if (r == 0 && o->speed_up)
        r = read_number(o->speed_up, "--speed-up", 1e9, &ret->speed_up, err);
    if (r == 0 && o->tokens)
        r = read_tokens(o->tokens, ret, err);
    if (r == 0)
        r = read_arrivals(o, ret, err);
    return r == 0 ? read_round(o, ret, err) : r;
}

/* How many jobs there are, and what was left out. */
static void tell(const struct cli *c, const struct convert *t)
{
    static const char *const why[CONVERT_LEFT] = {
        [CONVERT_STEP] = "steps of jobs",
        [CONVERT_NO_GPU] = "jobs without a GPU",
        [CONVERT_NOT_STARTED] = "jobs that never started",
        [CONVERT_NOT_OVER] = "jobs that are not over",
    };
    AUTO_STR struct str s = {0};
    str_addf(&s, "%" PRIu64 " jobs", t->jobs);
    for (unsigned i = 0; i < CONVERT_LEFT; i++)
        if (t->left[i])
            str_addf(&s, "; left out %" PRIu64 " %s", t->left[i], why[i]);
    if (t->bad || t->negative)
        str_addf(&s,
                 "; left out %" PRIu64 " rows that are wrong and %" PRIu64 " with negative times",
                 t->bad, t->negative);
    if (t->unordered)
        str_addf(&s, "; %" PRIu64 " came before the one before them and are taken at its time",
                 t->unordered);
    cli_say(c, "%s", s.text ? s.text : "");
}

static void tell_made_up(const struct cli *c, const struct convert_options *o,
                         const struct convert *t)
{
    if (o->arrivals && t->rate > 0)
        cli_say(c, "arrivals are made up: --arrivals %s, %.6g jobs a second, --seed %" PRId64,
                o->arrivals, t->rate * t->rules.speed_up, o->seed);
    else if (o->arrivals)
        cli_say(c, "arrivals are made up: --arrivals %s, --seed %" PRId64, o->arrivals, o->seed);
    if (t->rules.speed_up != 1)
        cli_say(c, "jobs come %g times as fast: --speed-up", t->rules.speed_up);
    if (o->slice && t->format >= CONVERT_PHILLY && t->format <= CONVERT_AZURE)
        cli_say(c, "what jobs ask for is made up: --slice %s", o->slice);
    if (o->tokens && t->format == CONVERT_AZURE)
        cli_say(c, "run times are made up: --tokens-per-second %s", o->tokens);
    if (o->arrivals && t->jobs >= FEW && !t->shorter)
        cli_say(c, "each job runs at least as long as the one before it, so the load grows to the "
                   "end: shuf(1) mixes the rows");
}

static int convert_all(struct cli *c, const struct convert_options *o, struct convert *t,
                       const char *name, FILE *in, FILE *kept, struct error *err)
{
    struct convert_rules rules;
    int r = read_rules(o, &rules, err);
    if (r == 0)
        r = convert_read(t, in, name, &rules, kept, err);
    if (t->guessed)
        cli_say(c, "taken for %s: %s", convert_name(t->format), convert_about(t->format));
    for (unsigned i = 0; i < t->shown_n; i++)
        cli_say(c, "%s", t->shown[i]);
    if (r == 0)
        r = convert_write(t, kept, stdout, err);
    if (r < 0)
        return r;
    tell(c, t);
    tell_made_up(c, o, t);
    return r;
}

int verb_trace_convert(struct cli *c, int argc, char **argv)
{
    struct convert_options o = {.seed = 1};
    AUTO_FREE struct sim_setup *fleet = o.fleet = calloc(1, sizeof *fleet);
    AUTO_FREE struct convert *t = calloc(1, sizeof *t);
    struct error err;
    int r = fleet && t ? parse(c, argc, argv, &o, &err)
                       : error_set(&err, ERROR_NO_MEMORY, "no memory left for a trace");
    if (r > 0)
        return 0;
    if (r < 0)
        return cli_fail(c, &err);
    const char *name = "stdin";
    FILE *in = stdin, *kept = tmpfile();
    if (!kept)
        r = error_errno(&err, ERROR_IO, errno, "cannot open a file to keep it in");
    else if (strcmp(o.file, "-") != 0)
        r = source_open(c, o.file, &in, &name, &err);
    if (r == 0)
        r = convert_all(c, &o, t, name, in, kept, &err);
    if (in && in != stdin)
        (void)fclose(in);
    if (kept)
        (void)fclose(kept);
    return r < 0 ? cli_fail(c, &err) : 0;
}
