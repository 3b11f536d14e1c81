/* Foreign traces read, and written as ours; see convert.h. What was read is kept in a file, because
 * whether a trace is good, and how much work it holds, is known only at its end. */
#include "trace/convert.h"

#include "base/macro.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/time.h"
#include "trace/convert-row.h"
#include "trace/rival.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADING "submit_s,run_s,slice,count,user\n"
#define US      INT64_C(1000000)

static const char *const names[CONVERT_FORMATS] = {
#define KIND(id, name, what) name,
    CONVERT_LIST(KIND)
#undef KIND
};

static const char *const abouts[CONVERT_FORMATS] = {
#define KIND(id, name, what) what,
    CONVERT_LIST(KIND)
#undef KIND
};

enum convert_format convert_find(const char *name)
{
    enum convert_format f = 0;
    while (f < CONVERT_FORMATS && strcmp(names[f], name) != 0)
        f++;
    return f;
}

const char *convert_name(enum convert_format format)
{
    return names[format];
}

const char *convert_about(enum convert_format format)
{
    return abouts[format];
}

/* One line of the input at a time. */
struct lines {
    FILE *in;
    char *text;
    size_t room;
};

static void lines_done(struct lines *l)
{
    free(l->text);
}

/* The next line that is not empty, without its end: 1, 0 after the last, or a negative code. */
static int next_line(struct convert *c, struct lines *l, struct error *err)
{
    while (getline(&l->text, &l->room, l->in) >= 0) {
        c->line++;
        l->text[strcspn(l->text, "\r\n")] = '\0';
        if (*l->text)
            return 1;
    }
    if (!feof(l->in))
        return error_errno(err, ERROR_IO, errno, "%s: reading failed after line %" PRIu64, c->name,
                           c->line);
    return 0;
}

/* Cuts the next field off, and takes the quotes away that CSV may have around it. */
static char *next_field(char **rest, char separator)
{
    const char ends[] = {separator, '\0'};
    char *field = *rest, *to, *from;
    if (!field || *field != '"' || separator != ',')
        return strsep(rest, ends);
    to = field;
    for (from = field + 1; *from && (*from != '"' || from[1] == '"'); from++) {
        from += *from == '"';
        *to++ = *from;
    }
    from += *from == '"';
    *rest = *from == separator ? from + 1 : NULL;
    *to = '\0';
    return field;
}

/* sacct has two names for a job's number, and they differ for jobs of arrays alone. */
static bool is_called(const char *name, const char *word)
{
    return strcmp(name, word) == 0 || (strcmp(name, "JobID") == 0 && strcmp(word, "JobIDRaw") == 0);
}

/* Which column each name of a format is in; true if all that it needs are there. */
static bool match(struct convert *c, enum convert_format f, const char *heading)
{
    const struct convert_kind *k = &convert_kinds[f];
    AUTO_FREE char *copy = strdup(heading);
    char *rest = copy, *word;
    unsigned at = 0, found = 0;
    memset(c->column, -1, sizeof c->column);
    for (; copy && (word = next_field(&rest, k->separator)) != NULL && at < CONVERT_COLUMNS; at++)
        for (unsigned i = 0; i < CONVERT_FIELDS && k->columns[i]; i++)
            if (c->column[i] < 0 && is_called(k->columns[i], word)) {
                c->column[i] = (int8_t)at;
                found += i < k->needed;
            }
    c->column_n = at;
    c->format = f;
    return found == k->needed;
}

static int no_format(struct convert *c, const char *heading, struct error *err)
{
    AUTO_STR struct str text = {0};
    enum convert_format f = c->rules.format;
    if (f == CONVERT_FORMATS) {
        for (f = 0; f < CONVERT_FORMATS; f++)
            str_addf(&text, "%s%s", f ? ", " : "", names[f]);
        return error_set(err, ERROR_INVALID,
                         "%s: line 1: '%.80s' is the heading of no format that is known; these "
                         "are %s",
                         c->name, heading, text.text ? text.text : "");
    }
    const struct convert_kind *k = &convert_kinds[f];
    for (unsigned i = 0; i < k->needed; i++)
        if (c->column[i] < 0)
            str_addf(&text, "%s%s", text.len ? ", " : "", k->columns[i]);
    return error_set(err, ERROR_INVALID,
                     "%s: line 1: %s needs the columns %s; the heading is '%.80s'", c->name,
                     names[f], text.text ? text.text : "", heading);
}

/* What the format lacks has to come from a rule. */
static int check_rules(const struct convert *c, struct error *err)
{
    const struct convert_kind *k = &convert_kinds[c->format];
    const struct convert_rules *r = &c->rules;
    if (!k->arrivals && r->arrivals == CONVERT_AS_WRITTEN)
        return error_set(err, ERROR_INVALID,
                         "%s does not say when its jobs came: --arrivals poisson:0.9 --machine "
                         "8xdgx-a100, poisson:30s or every:30s",
                         names[c->format]);
    if (!k->slices && !r->slice)
        return error_set(err, ERROR_INVALID,
                         "%s does not say what its jobs ask for: --slice 1g.10gb, 2/7, 18GiB or "
                         "gpu",
                         names[c->format]);
    if (!k->runs && r->read_s <= 0 && r->write_s <= 0)
        return error_set(
            err, ERROR_INVALID,
            "%s does not say how long its requests run: --tokens-per-second READ,WRITTEN",
            names[c->format]);
    if (c->format == CONVERT_SLURM && c->column[4] < 0 && c->column[5] < 0 && c->column[6] < 0 &&
        c->column[7] < 0)
        return error_set(err, ERROR_INVALID,
                         "%s: line 1: there is no AllocTRES, ReqTRES, AllocGRES or ReqGRES, so no "
                         "job asks for a GPU; sacct -P -o JobID,User,Submit,Start,End,AllocTRES",
                         c->name);
    return 0;
}

static int read_heading(struct convert *c, struct lines *l, struct error *err)
{
    int rc = next_line(c, l, err);
    bool found = false;
    if (rc == 0)
        return error_set(err, ERROR_INVALID, "%s is empty; a trace begins with its columns",
                         c->name);
    if (rc < 0)
        return rc;
    if (strncmp(l->text, "\xef\xbb\xbf", 3) == 0)
        memmove(l->text, l->text + 3, strlen(l->text + 3) + 1);
    if (c->rules.format != CONVERT_FORMATS)
        found = match(c, c->rules.format, l->text);
    for (enum convert_format f = 0; f < CONVERT_FORMATS && !c->guessed && !found; f++)
        if (c->rules.format == CONVERT_FORMATS)
            found = c->guessed = match(c, f, l->text);
    return found ? check_rules(c, err) : no_format(c, l->text, err);
}

static bool split(struct convert *c, char *line, struct convert_row *ret)
{
    char *rest = line, *field, *all[CONVERT_COLUMNS] = {0};
    unsigned n = 0;
    *ret = (struct convert_row){0};
    while ((field = next_field(&rest, convert_kinds[c->format].separator)) != NULL) {
        if (n < CONVERT_COLUMNS)
            all[n] = field;
        n++;
    }
    for (unsigned i = 0; i < CONVERT_FIELDS && n == c->column_n; i++)
        if (c->column[i] >= 0) {
            ret->text[i] = all[c->column[i]];
            ret->column[i] = (size_t)(ret->text[i] - line) + 1;
        }
    if (n == c->column_n)
        return true;
    c->bad++;
    if (c->shown_n < CONVERT_SHOWN)
        (void)snprintf(c->shown[c->shown_n++], CONVERT_TEXT,
                       "%s: line %" PRIu64 ": has %u fields, not the %u of line 1", c->name,
                       c->line, n, c->column_n);
    return false;
}

static void show_when(struct convert *c, const char *what)
{
    if (c->shown_n < CONVERT_SHOWN)
        (void)snprintf(c->shown[c->shown_n++], CONVERT_TEXT, "%s: line %" PRIu64 ": %s", c->name,
                       c->line, what);
}

/* Whether a job can stand in a trace; and what its time is there. */
static bool in_time(struct convert *c, struct convert_job *j)
{
    bool arrives = c->rules.arrivals == CONVERT_AS_WRITTEN;
    if (j->run_us < 0 || (arrives && j->submit_us < 0)) {
        c->negative++;
        show_when(c,
                  j->run_us < 0 ? "it would have ended before it began" : "its time is negative");
        return false;
    }
    if (!arrives)
        j->submit_us = 0;
    if (c->jobs == 0) {
        c->first_us = c->least_us = c->last_us = j->submit_us;
    } else if (j->submit_us < c->last_us && !c->rules.sort) {
        c->unordered++;
        show_when(c, "it came before the one before it");
        j->submit_us = c->last_us;
    }
    c->least_us = MIN(c->least_us, j->submit_us);
    c->last_us = j->submit_us;
    return true;
}

static void keep(struct convert *c, const struct convert_job *j, FILE *kept)
{
    (void)fprintf(kept, "%" PRId64 ".%06" PRId64 ",%" PRId64 ".%06" PRId64 ",%s,%u,%s\n",
                  j->submit_us / US, j->submit_us % US, j->run_us / US, j->run_us % US, j->slice,
                  j->count, j->user);
    c->shorter = c->shorter || (c->jobs && j->run_us < c->last_run_us);
    c->last_run_us = j->run_us;
    c->jobs++;
}

static int verdict(const struct convert *c, struct error *err)
{
    if (c->jobs == 0 && (c->rules.lenient || !(c->bad || c->negative)))
        return error_set(err, ERROR_INVALID, "%s: none of its rows is a job that can be simulated",
                         c->name);
    if (c->rules.lenient || !(c->bad || c->negative || c->unordered))
        return 0;
    return error_set(err, ERROR_INVALID,
                     "%s: %" PRIu64 " rows are wrong, %" PRIu64 " have negative times, %" PRIu64
                     " come before the one before them; mend or --sort the file, or take it "
                     "without them with --lenient",
                     c->name, c->bad, c->negative, c->unordered);
}

int convert_read(struct convert *ret, FILE *in, const char *name, const struct convert_rules *rules,
                 FILE *kept, struct error *err)
{
    CLEANUP(lines_done) struct lines l = {.in = in};
    struct convert *c = ret;
    *c = (struct convert){.rules = *rules, .name = name};
    int rc = read_heading(c, &l, err);
    if (rc < 0)
        return rc;
    (void)fputs(HEADING, kept);
    while ((rc = next_line(c, &l, err)) > 0) {
        struct convert_row row;
        struct convert_job j = {.user = "0"};
        if (!split(c, l.text, &row))
            continue;
        int is = convert_kinds[c->format].read(c, &row, &j);
        if (is >= ROW_LEFT)
            c->left[is - ROW_LEFT]++;
        else if (is == ROW_JOB && in_time(c, &j))
            keep(c, &j, kept);
    }
    if (rc == 0 && (fflush(kept) != 0 || ferror(kept)))
        rc = error_set(err, ERROR_IO, "cannot keep what was read of %s", name);
    return rc < 0 ? rc : verdict(c, err);
}

/* Jobs a second that ask for the load, from all the work there is. */
static int find_rate(struct convert *c, FILE *kept, struct error *err)
{
    struct trace t;
    struct sim_job j;
    double work = 0, all = 0;
    int rc = trace_begin(&t, kept, "the converted trace", c->rules.fleet, TIME_NEVER, err);
    while (rc == 0 && (rc = trace_next(&t, &j, err)) > 0) {
        work += rival_gpc(c->rules.fleet, &j) * (double)j.run / 1e9;
        rc = 0;
    }
    trace_done(&t);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < c->rules.fleet->group_n; i++)
        all += (double)c->rules.fleet->groups[i].gpus *
               c->rules.fleet->groups[i].board->compute_slices;
    if (!(work > 0))
        return error_set(err, ERROR_INVALID,
                         "%s: there is no work that --machine could do, so no "
                         "rate of arrivals makes a load",
                         c->name);
    c->rate = c->rules.load * all * (double)c->jobs / work;
    return 0;
}

/* The us at which the next job arrives; *at_s is when the last one did. */
static double arrival(const struct convert *c, struct rng *rng, double *at_s, int64_t written_us,
                      uint64_t n)
{
    double mean = c->rules.arrivals == CONVERT_POISSON_LOAD ? 1 / c->rate : c->rules.gap_s;
    double u = ((double)(rng_next(rng) >> 11) + 0.5) * 0x1p-53;
    int64_t least = c->rules.sort ? c->least_us : c->first_us;
    switch (c->rules.arrivals) {
    case CONVERT_AS_WRITTEN:
        return round((double)(written_us - least) / c->rules.speed_up);
    case CONVERT_EVEN:
        return round((double)n * c->rules.gap_s / c->rules.speed_up * 1e6);
    case CONVERT_POISSON:
    case CONVERT_POISSON_LOAD:
        *at_s -= log(u) * mean / c->rules.speed_up;
        return trunc(*at_s * 1e6);
    }
    return 0;
}

struct place {
    int64_t us;
    int64_t at; /* in the file */
};

static int by_time(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->us != y->us)
        return x->us < y->us ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int64_t written_at(const char *line)
{
    char *end;
    int64_t s = strtoll(line, &end, 10);
    return s * US + strtoll(end + 1, NULL, 10);
}

/* Where the lines of the jobs are, in the order of their arrival. */
static int sorted(const struct convert *c, struct lines *l, struct place **ret, struct error *err)
{
    struct place *p = calloc(c->jobs + 1, sizeof *p);
    if (!p)
        return error_set(err, ERROR_NO_MEMORY, "no memory to sort %" PRIu64 " jobs", c->jobs);
    for (uint64_t i = 0; i < c->jobs; i++) {
        p[i].at = ftello(l->in);
        if (getline(&l->text, &l->room, l->in) < 0)
            break;
        p[i].us = written_at(l->text);
    }
    qsort(p, c->jobs, sizeof *p, by_time);
    *ret = p;
    return 0;
}

static int copy_jobs(const struct convert *c, struct lines *l, const struct place *order, FILE *out,
                     struct error *err)
{
    struct rng rng = {c->rules.seed};
    double at_s = 0;
    (void)fputs(HEADING, out);
    for (uint64_t i = 0; i < c->jobs && !ferror(out); i++) {
        if (order && fseeko(l->in, order[i].at, SEEK_SET) != 0)
            break;
        if (getline(&l->text, &l->room, l->in) < 0)
            return error_set(err, ERROR_IO, "cannot read again what was kept of %s", c->name);
        double at_us = arrival(c, &rng, &at_s, written_at(l->text), i);
        if (!(at_us < (double)TIME_NEVER / TIME_US))
            return error_set(err, ERROR_INVALID,
                             "job %" PRIu64 " would come after more than 292 years: --arrivals are "
                             "too far apart",
                             i + 1);
        int64_t us = (int64_t)at_us;
        (void)fprintf(out, "%" PRId64 ".%06" PRId64 "%s", us / US, us % US, strchr(l->text, ','));
    }
    if (fflush(out) != 0 || ferror(out))
        return error_set(err, ERROR_IO, "cannot write the trace");
    return 0;
}

int convert_write(struct convert *c, FILE *kept, FILE *out, struct error *err)
{
    CLEANUP(lines_done) struct lines l = {.in = kept};
    AUTO_FREE struct place *order = NULL;
    int rc = c->rules.arrivals == CONVERT_POISSON_LOAD ? find_rate(c, kept, err) : 0;
    if (rc < 0)
        return rc;
    rewind(kept);
    if (getline(&l.text, &l.room, kept) < 0)
        return error_set(err, ERROR_IO, "cannot read again what was kept of %s", c->name);
    if (c->rules.sort && c->rules.arrivals == CONVERT_AS_WRITTEN)
        rc = sorted(c, &l, &order, err);
    return rc < 0 ? rc : copy_jobs(c, &l, order, out, err);
}
