/* Reading traces; see trace.h. */
#include "trace/trace.h"

#include "base/macro.h"
#include "base/str.h"
#include "base/time.h"
#include "model/request.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum column { SUBMIT, RUN, SLICE, COUNT, USER, WAIT, PRIORITY };

static const char *const names[TRACE_COLUMNS] = {"submit_s", "run_s",  "slice",   "count",
                                                 "user",     "wait_s", "priority"};

enum { SECONDS_MOST = 4000000 }; /* times a thousand: 126 years */

/* Where a field of the line is. */
struct field_of {
    const struct trace *t;
    const char *text;
    size_t column;
    enum column is;
};

static int bad(const struct field_of *f, const char *what, struct error *err)
{
    return error_set(err, ERROR_INVALID, "%s: line %llu, column %zu: %s: %s, not '%s'", f->t->name,
                     (unsigned long long)f->t->line, f->column, names[f->is], what, f->text);
}

/* The next line without its end: 1, 0 after the last, or a negative code. */
static int read_line(struct trace *t, struct error *err)
{
    ssize_t n = getline(&t->text, &t->room, t->in);
    if (n < 0 && !feof(t->in))
        return error_errno(err, ERROR_IO, errno, "%s: reading failed after line %llu", t->name,
                           (unsigned long long)t->line);
    if (n < 0)
        return 0;
    t->line++;
    t->text[strcspn(t->text, "\r\n")] = '\0';
    return 1;
}

static int read_head(struct trace *t, struct error *err)
{
    unsigned seen = 0;
    char *rest = t->text, *word;
    t->column_n = 0;
    while ((word = strsep(&rest, ",")) != NULL) {
        int is = 0;
        while (is < TRACE_COLUMNS && strcmp(names[is], word) != 0)
            is++;
        if (is == TRACE_COLUMNS || seen & 1u << is)
            return error_set(err, ERROR_INVALID,
                             "%s: line 1, column %zu: '%s' is %s; columns are submit_s, run_s, "
                             "slice, count, user, wait_s, priority",
                             t->name, (size_t)(word - t->text) + 1, word,
                             is == TRACE_COLUMNS ? "no column of a trace" : "there twice");
        seen |= 1u << is;
        t->column[t->column_n++] = (int8_t)is;
    }
    if ((seen & 7) != 7)
        return error_set(err, ERROR_INVALID, "%s: line 1: a trace needs submit_s, run_s and slice",
                         t->name);
    return 0;
}

int trace_begin(struct trace *t, FILE *in, const char *name, const struct sim_setup *fleet,
                int64_t wait, struct error *err)
{
    *t = (struct trace){.in = in, .name = name, .fleet = fleet, .wait = wait};
    rewind(in);
    int rc = read_line(t, err);
    if (rc == 0)
        return error_set(err, ERROR_INVALID, "%s is empty; a trace begins with its columns", name);
    return rc < 0 ? rc : read_head(t, err);
}

void trace_done(struct trace *t)
{
    free(t->text);
    t->text = NULL;
}

static int read_seconds(const struct field_of *f, int64_t *ret, struct error *err)
{
    char *end;
    double s = strtod(f->text, &end);
    if (end == f->text || *end || !isfinite(s) || fabs(s) > 1e3 * SECONDS_MOST)
        return bad(f, "must be a number of seconds", err);
    *ret = llround(s * 1e9);
    return 0;
}

static int read_whole(const struct field_of *f, long least, long most, long *ret, struct error *err)
{
    char *end, what[64];
    *ret = strtol(f->text, &end, 10);
    if (end != f->text && !*end && *ret >= least && *ret <= most)
        return 0;
    (void)snprintf(what, sizeof what, "must be a number, %ld to %ld", least, most);
    return bad(f, what, err);
}

/* "18GiB", "18GiB+2/7" or "2/7" on each board. */
static int read_need(const struct field_of *f, struct trace_slice *ret, struct error *err)
{
    char text[TRACE_SLICE];
    uint64_t bytes = 0;
    uint16_t part = 0;
    (void)str_copy(text, sizeof text, f->text);
    char *plus = strchr(text, '+');
    if (plus)
        *plus++ = '\0';
    bool compute_alone = !plus && request_parse_compute(text, "slice", &part, NULL) == 0;
    if (!compute_alone && (request_parse_bytes(text, "slice", &bytes, NULL) < 0 ||
                           (plus && request_parse_compute(plus, "slice", &part, NULL) < 0)))
        return bad(f, "must be a profile of this fleet, gpu, or a need such as 18GiB+2/7", err);
    for (unsigned i = 0; i < f->t->fleet->group_n; i++)
        ret->row[i] = (uint8_t)board_profile_by_need(f->t->fleet->groups[i].board, bytes, part);
    return 0;
}

static int read_slice(const struct field_of *f, struct trace_slice *ret, struct error *err)
{
    bool known = false;
    memset(ret->row, BOARD_NO_PROFILE, sizeof ret->row);
    ret->whole = strcmp(f->text, "gpu") == 0;
    if (!str_copy(ret->text, sizeof ret->text, f->text))
        return bad(f, "is too long", err);
    for (unsigned i = 0; i < f->t->fleet->group_n && !ret->whole; i++) {
        ret->row[i] = (uint8_t)board_profile_by_name(f->t->fleet->groups[i].board, f->text);
        known = known || ret->row[i] != BOARD_NO_PROFILE;
    }
    return known || ret->whole ? 0 : read_need(f, ret, err);
}

static int find_slice(struct trace *t, const struct field_of *f, struct sim_job *j,
                      struct error *err)
{
    unsigned i = 0;
    while (i < t->slice_n && strcmp(t->slices[i].text, f->text) != 0)
        i++;
    if (i == t->slice_n) {
        i = t->slice_n < TRACE_SLICES ? t->slice_n : (unsigned)(t->line % TRACE_SLICES);
        int rc = read_slice(f, &t->slices[i], err);
        if (rc < 0)
            return rc;
        t->slice_n = MAX(t->slice_n, i + 1);
    }
    j->whole = t->slices[i].whole;
    memcpy(j->row, t->slices[i].row, sizeof j->row);
    return 0;
}

static uint32_t user_of(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    return *text && !*end && n < SIM_USERS ? (uint32_t)n : (uint32_t)(str_hash(text) % SIM_USERS);
}

static int read_field(struct trace *t, const struct field_of *f, struct sim_job *j,
                      struct error *err)
{
    long n = 0;
    int rc = 0;
    switch (f->is) {
    case SUBMIT:
        return read_seconds(f, &j->submit, err);
    case RUN:
        return read_seconds(f, &j->run, err);
    case SLICE:
        return find_slice(t, f, j, err);
    case COUNT:
        rc = read_whole(f, 1, REQUEST_SLICES, &n, err);
        j->count = (uint8_t)n;
        return rc;
    case USER:
        j->user = user_of(f->text);
        return 0;
    case WAIT:
        if (*f->text && strcmp(f->text, "never") != 0)
            return read_seconds(f, &j->wait, err);
        if (*f->text)
            j->wait = TIME_NEVER;
        return 0;
    case PRIORITY:
        rc = read_whole(f, INT16_MIN, INT16_MAX, &n, err);
        j->priority = (int16_t)n;
        return rc;
    }
    return 0;
}

static int read_job(struct trace *t, struct sim_job *j, struct error *err)
{
    char *rest = t->text, *word;
    unsigned i = 0;
    *j = (struct sim_job){.wait = t->wait, .count = 1};
    while ((word = strsep(&rest, ",")) != NULL && i < t->column_n) {
        struct field_of f = {t, word, (size_t)(word - t->text) + 1, (enum column)t->column[i++]};
        int rc = read_field(t, &f, j, err);
        if (rc < 0)
            return rc;
    }
    if (word || i < t->column_n)
        return error_set(err, ERROR_INVALID, "%s: line %llu: %s fields than the %u of line 1",
                         t->name, (unsigned long long)t->line, word ? "more" : "fewer",
                         t->column_n);
    return 0;
}

int trace_next(void *arg, struct sim_job *ret, struct error *err)
{
    struct trace *t = arg;
    for (;;) {
        int rc = read_line(t, err);
        if (rc <= 0)
            return rc;
        if (!*t->text)
            continue;
        rc = read_job(t, ret, err);
        if (rc < 0)
            return rc;
        bool below = ret->submit < 0 || ret->run < 0 || ret->wait < 0;
        bool early = !below && ret->submit < t->last;
        t->negative += below;
        t->unordered += early;
        if ((below || early) && !t->first_bad)
            t->first_bad = t->line;
        if (below)
            continue;
        ret->submit = t->last = MAX(ret->submit, t->last);
        ret->run = MAX(ret->run, 1);
        t->jobs++;
        return 1;
    }
}
