/* The formats whose rows are one line of numbers, and what all formats read alike; see
 * convert-row.h. */
#include "trace/convert-row.h"

#include "base/macro.h"
#include "base/str.h"
#include "model/request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS_MOST = 2000000000, DAY_S = 24 * 3600, YEAR_MOST = 2090 };

int convert_wrong(struct convert *c, const struct convert_row *row, unsigned i, const char *what)
{
    c->bad++;
    if (c->shown_n < CONVERT_SHOWN)
        (void)snprintf(c->shown[c->shown_n++], CONVERT_TEXT,
                       "%s: line %llu, column %zu: %s %s, not '%.60s'", c->name,
                       (unsigned long long)c->line, row->column[i],
                       convert_kinds[c->format].columns[i], what, row->text[i]);
    return ROW_WRONG;
}

bool convert_seconds(struct convert *c, const struct convert_row *row, unsigned i, int64_t *ret_us)
{
    char *end;
    double s = strtod(row->text[i], &end);
    if (end == row->text[i] || *end || !isfinite(s) || fabs(s) > SECONDS_MOST) {
        (void)convert_wrong(c, row, i, "must be a number of seconds");
        return false;
    }
    *ret_us = llround(s * 1e6);
    return true;
}

bool convert_whole(struct convert *c, const struct convert_row *row, unsigned i, long least,
                   long most, long *ret)
{
    char *end, what[64];
    *ret = strtol(row->text[i], &end, 10);
    if (end != row->text[i] && !*end && *ret >= least && *ret <= most)
        return true;
    (void)snprintf(what, sizeof what, "must be a number, %ld to %ld", least, most);
    (void)convert_wrong(c, row, i, what);
    return false;
}

static bool leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970 to the first of a month (1..13), by the Gregorian calendar. */
static int64_t days_before(unsigned year, unsigned month)
{
    static const int upto[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int64_t full = (int64_t)year - 1;
    int64_t days = 365 * full + full / 4 - full / 100 + full / 400 - 719162;
    return days + upto[month - 1] + (leap(year) && month > 2);
}

/* What follows the whole seconds: nothing, or a dot and digits. */
static bool read_fraction(const char *text, double *ret)
{
    size_t digits = *text == '.' ? strspn(text + 1, "0123456789") : 0;
    *ret = digits ? strtod(text, NULL) : 0;
    return !*text || (digits && !text[digits + 1]);
}

bool convert_stamp(const char *text, int64_t *ret_us)
{
    unsigned year, month, day, hour, minute, second;
    int n = 0;
    char between;
    double fraction;
    if (sscanf(text, "%4u-%2u-%2u%c%2u:%2u:%2u%n", &year, &month, &day, &between, &hour, &minute,
               &second, &n) != 7 ||
        (between != 'T' && between != ' ') || !read_fraction(text + n, &fraction))
        return false;
    if (year < 1970 || year > YEAR_MOST || month - 1 > 11 || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    int64_t first = days_before(year, month);
    if (day == 0 || day > days_before(year, month + 1) - first)
        return false;
    int64_t s = (first + day - 1) * DAY_S + hour * 3600 + minute * 60 + second;
    *ret_us = s * 1000000 + llround(fraction * 1e6);
    return true;
}

void convert_user(const char *text, char ret[CONVERT_USER])
{
    (void)str_copy(ret, CONVERT_USER, *text ? text : "0");
    for (char *p = ret; *p; p++)
        if (strchr(",\"\r\n", *p) || (unsigned char)*p < ' ')
            *p = '_';
}

/* What a job of a format without slices asks for. */
static int alike(struct convert *c, struct convert_job *ret)
{
    (void)str_copy(ret->slice, sizeof ret->slice, c->rules.slice);
    ret->count = 1;
    return ROW_JOB;
}

/* The profile of a board whose compute is nearest to a part; the larger of two, the smaller in
 * memory of two alike. */
static unsigned nearest(const struct board *b, long milli)
{
    unsigned best = BOARD_NO_PROFILE;
    long best_off = 0;
    for (unsigned i = 0; i < b->profile_n; i++) {
        const struct profile *p = &b->profiles[i];
        long off = labs(1000L * p->compute - milli * b->compute_slices);
        if (p->suffix[0])
            continue;
        const struct profile *q = &b->profiles[best == BOARD_NO_PROFILE ? i : best];
        if (best == BOARD_NO_PROFILE || off < best_off ||
            (off == best_off &&
             (p->compute > q->compute || (p->compute == q->compute && p->size < q->size)))) {
            best = i;
            best_off = off;
        }
    }
    return best;
}

static void part_of_gpu(const struct convert *c, long milli, char ret[TRACE_SLICE])
{
    const struct board *b = c->rules.fleet ? c->rules.fleet->groups[0].board : NULL;
    unsigned p = BOARD_NO_PROFILE;
    if (b && c->rules.round == CONVERT_UP)
        p = board_profile_by_need(b, 0, (unsigned)milli);
    if (b && c->rules.round == CONVERT_NEAREST)
        p = nearest(b, milli);
    if (p != BOARD_NO_PROFILE)
        (void)board_profile_name(b, &b->profiles[p], ret);
    else
        (void)snprintf(ret, TRACE_SLICE, "%ld/1000", milli);
}

/* A pod runs from being scheduled until it is deleted. */
static int alibaba(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    enum { MILLI, GPUS, CREATED, DELETED, SCHEDULED, NAME };
    int64_t deleted = 0, scheduled = 0;
    long gpus = 0, milli = 0;
    if (!convert_whole(c, row, GPUS, 0, REQUEST_SLICES, &gpus) ||
        !convert_whole(c, row, MILLI, 0, 1000, &milli) ||
        !convert_seconds(c, row, CREATED, &ret->submit_us))
        return ROW_WRONG;
    if (gpus == 0)
        return ROW_LEFT + CONVERT_NO_GPU;
    if (!*row->text[SCHEDULED])
        return ROW_LEFT + CONVERT_NOT_STARTED;
    if (!*row->text[DELETED])
        return ROW_LEFT + CONVERT_NOT_OVER;
    if (milli == 0)
        return convert_wrong(c, row, MILLI, "must be above 0 where num_gpu is");
    if (!convert_seconds(c, row, SCHEDULED, &scheduled) ||
        !convert_seconds(c, row, DELETED, &deleted))
        return ROW_WRONG;
    ret->run_us = deleted - scheduled;
    ret->count = (unsigned)gpus;
    if (milli == 1000)
        (void)str_copy(ret->slice, sizeof ret->slice, c->rules.whole);
    else
        part_of_gpu(c, milli, ret->slice);
    return ROW_JOB;
}

static int philly(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    return convert_seconds(c, row, 0, &ret->run_us) ? alike(c, ret) : ROW_WRONG;
}

static int miso(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    enum { RUN, MODEL };
    convert_user(row->text[MODEL], ret->user);
    return convert_seconds(c, row, RUN, &ret->run_us) ? alike(c, ret) : ROW_WRONG;
}

static int azure(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    enum { STAMP, READ, WRITTEN };
    long read = 0, written = 0;
    if (!convert_stamp(row->text[STAMP], &ret->submit_us))
        return convert_wrong(c, row, STAMP, "must be a day and a time");
    if (!convert_whole(c, row, READ, 0, 1000000000, &read) ||
        !convert_whole(c, row, WRITTEN, 0, 1000000000, &written))
        return ROW_WRONG;
    ret->run_us =
        llround(1e6 * ((double)read * c->rules.read_s + (double)written * c->rules.write_s));
    return alike(c, ret);
}

/* Ours, to sort or to come at other times. */
static int own(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    enum { SUBMIT, RUN, SLICE, COUNT, USER };
    long count = 1;
    if (!convert_seconds(c, row, SUBMIT, &ret->submit_us) ||
        !convert_seconds(c, row, RUN, &ret->run_us) ||
        (row->text[COUNT] && !convert_whole(c, row, COUNT, 1, REQUEST_SLICES, &count)))
        return ROW_WRONG;
    if (!*row->text[SLICE] || !str_copy(ret->slice, sizeof ret->slice, row->text[SLICE]))
        return convert_wrong(c, row, SLICE, "must be a profile, gpu or a need");
    ret->count = (unsigned)count;
    convert_user(row->text[USER] ? row->text[USER] : "", ret->user);
    return ROW_JOB;
}

const struct convert_kind convert_kinds[CONVERT_FORMATS] = {
    [CONVERT_SLURM] = {.separator = '|',
                       .needed = 4,
                       .columns = {"JobID", "Submit", "Start", "End", "AllocTRES", "ReqTRES",
                                   "AllocGRES", "ReqGRES", "ElapsedRaw", "Elapsed", "User",
                                   "Account"},
                       .arrivals = true,
                       .runs = true,
                       .slices = true,
                       .read = convert_slurm},
    [CONVERT_ALIBABA] = {.separator = ',',
                         .needed = 5,
                         .columns = {"gpu_milli", "num_gpu", "creation_time", "deletion_time",
                                     "scheduled_time", "name"},
                         .arrivals = true,
                         .runs = true,
                         .slices = true,
                         .read = alibaba},
    [CONVERT_PHILLY] =
        {.separator = ',', .needed = 1, .columns = {"runtime"}, .runs = true, .read = philly},
    [CONVERT_MISO] = {.separator = ',',
                      .needed = 2,
                      .columns = {"runtime_s", "model"},
                      .runs = true,
                      .read = miso},
    [CONVERT_AZURE] = {.separator = ',',
                       .needed = 3,
                       .columns = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"},
                       .arrivals = true,
                       .read = azure},
    [CONVERT_FETTA] = {.separator = ',',
                       .needed = 3,
                       .columns = {"submit_s", "run_s", "slice", "count", "user"},
                       .arrivals = true,
                       .runs = true,
                       .slices = true,
                       .read = own},
};
