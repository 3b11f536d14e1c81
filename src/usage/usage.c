/* Sums. There are as many of them as users, which are few: they are found by walking. */
#include "usage/usage.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define HOUR 3600e9

void usage_init(struct usage *r, int64_t from, int64_t to, int64_t now)
{
    *r = (struct usage){.from = from, .to = MIN(to, now), .now = now};
    (void)str_copy(r->all.who, sizeof r->all.who, "all");
}

double usage_hours(const struct usage *r)
{
    return (double)MAX(r->to - r->from, 0) / HOUR;
}

/* Room for one more of `size` bytes beyond `n`. */
static int grow(void **at, size_t n, size_t *room, size_t size, struct error *err)
{
    if (n < *room)
        return 0;
    size_t more = MAX(*room * 2, (size_t)8);
    void *wider = reallocarray(*at, more, size);
    if (!wider)
        return error_set(err, ERROR_NO_MEMORY, "out of memory adding up leases");
    *at = wider;
    *room = more;
    return 0;
}

static int sum_of(struct usage *r, const char *who, struct usage_sum **ret, struct error *err)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->sums[i].who, who) == 0) {
            *ret = &r->sums[i];
            return 0;
        }
    int e = grow((void **)&r->sums, r->n, &r->room, sizeof r->sums[0], err);
    if (e < 0)
        return e;
    *ret = &r->sums[r->n++];
    **ret = (struct usage_sum){0};
    (void)str_copy((*ret)->who, sizeof(*ret)->who, who);
    return 0;
}

static int fit_of(struct usage *r, const char *profile, struct usage_fit **ret, struct error *err)
{
    for (size_t i = 0; i < r->fit_n; i++)
        if (strcmp(r->fits[i].profile, profile) == 0) {
            *ret = &r->fits[i];
            return 0;
        }
    int e = grow((void **)&r->fits, r->fit_n, &r->fit_room, sizeof r->fits[0], err);
    if (e < 0)
        return e;
    *ret = &r->fits[r->fit_n++];
    **ret = (struct usage_fit){0};
    (void)str_copy((*ret)->profile, sizeof(*ret)->profile, profile);
    return 0;
}

static bool inside(const struct usage *r, int64_t at)
{
    return at >= r->from && at < r->to;
}

static int count_asked(struct usage_sum *s, const struct usage_row *row, struct error *err)
{
    s->asked++;
    s->refused += !row->started && row->ended;
    if (!row->started)
        return 0;
    int e = grow((void **)&s->waits, s->wait_n, &s->wait_room, sizeof s->waits[0], err);
    if (e < 0)
        return e;
    s->granted++;
    s->waits[s->wait_n++] = MAX(row->started - row->asked, 0);
    return 0;
}

static void count_end(struct usage_sum *s, const char *why)
{
    size_t i = 0;
    while (i < s->end_n && strncmp(s->ends[i].why, why, USAGE_WHY - 1) != 0)
        i++;
    if (i == USAGE_WHYS)
        return; /* there are fewer reasons than that */
    if (i == s->end_n)
        (void)str_copy(s->ends[s->end_n++].why, USAGE_WHY, why);
    s->ends[i].n++;
}

static void spare(struct usage_spare *s, const struct usage_row *row, double hours)
{
    s->leases++;
    s->compute_h += (row->compute - row->slices * row->fits_compute) * hours;
    s->byte_h += (row->bytes - row->slices * row->fits_bytes) * hours;
}

static bool known(const struct usage_row *row)
{
    return row->peak > 0 && row->slice_bytes > 0;
}

static bool fits(const struct usage_row *row)
{
    return known(row) && row->fits && *row->fits;
}

static void count_held(struct usage_sum *s, const struct usage_row *row, double hours)
{
    s->held++;
    s->slice_h += row->slices * hours;
    s->compute_h += row->compute * hours;
    s->gpu_h += row->gpus * hours;
    if (!known(row))
        return;
    s->seen++;
    s->peak_byte_h += row->peak * row->slices * hours;
    s->seen_byte_h += row->slice_bytes * row->slices * hours;
    if (fits(row))
        spare(&s->spare, row, hours);
}

/* Hours that it held its slices inside the time; negative for none. */
static double held(const struct usage *r, const struct usage_row *row)
{
    int64_t end = row->ended ? row->ended : r->now;
    if (!row->started || row->started >= r->to || end <= r->from)
        return -1;
    return (double)MAX(MIN(end, r->to) - MAX(row->started, r->from), 0) / HOUR;
}

static int count(struct usage *r, struct usage_sum *s, const struct usage_row *row,
                 struct error *err)
{
    double hours = held(r, row);
    if (hours >= 0)
        count_held(s, row, hours);
    if (row->ended && inside(r, row->ended))
        count_end(s, row->why);
    return inside(r, row->asked) ? count_asked(s, row, err) : 0;
}

int usage_add(struct usage *r, const struct usage_row *row, struct error *err)
{
    struct usage_sum *s = NULL;
    struct usage_fit *f = NULL;
    double hours = held(r, row);
    if (hours < 0 && !inside(r, row->asked) && !(row->ended && inside(r, row->ended)))
        return 0;
    int e = sum_of(r, row->who, &s, err);
    if (e == 0)
        e = count(r, s, row, err);
    if (e == 0)
        e = count(r, &r->all, row, err);
    if (e == 0 && hours >= 0 && fits(row))
        e = fit_of(r, row->fits, &f, err);
    if (f)
        spare(&f->spare, row, hours);
    return e;
}

static int by_wait(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_number(const void *a, const void *b)
{
    const struct usage_end *x = a, *y = b;
    int order = (y->n > x->n) - (y->n < x->n);
    return order ? order : strcmp(x->why, y->why);
}

static int by_hours(const void *a, const void *b)
{
    const struct usage_sum *x = a, *y = b;
    int order = (y->gpu_h > x->gpu_h) - (y->gpu_h < x->gpu_h);
    return order ? order : strcmp(x->who, y->who);
}

static int by_spare(const void *a, const void *b)
{
    const struct usage_fit *x = a, *y = b;
    int order =
        (y->spare.compute_h > x->spare.compute_h) - (y->spare.compute_h < x->spare.compute_h);
    return order ? order : strcmp(x->profile, y->profile);
}

static void sort(struct usage_sum *s)
{
    if (s->wait_n)
        qsort(s->waits, s->wait_n, sizeof s->waits[0], by_wait);
    if (s->end_n)
        qsort(s->ends, s->end_n, sizeof s->ends[0], by_number);
}

void usage_close(struct usage *r)
{
    sort(&r->all);
    for (size_t i = 0; i < r->n; i++)
        sort(&r->sums[i]);
    if (r->n)
        qsort(r->sums, r->n, sizeof r->sums[0], by_hours);
    if (r->fit_n)
        qsort(r->fits, r->fit_n, sizeof r->fits[0], by_spare);
}

void usage_done(struct usage *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->sums[i].waits);
    free(r->all.waits);
    free(r->sums);
    free(r->fits);
    *r = (struct usage){0};
}

int64_t usage_wait_mean(const struct usage_sum *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->wait_n; i++)
        sum += (double)s->waits[i];
    return s->wait_n ? (int64_t)(sum / (double)s->wait_n) : 0;
}

int64_t usage_wait_percent(const struct usage_sum *s, unsigned percent)
{
    size_t rank = (s->wait_n * percent + 99) / 100;
    return rank ? s->waits[rank - 1] : 0;
}

double usage_peak_part(const struct usage_sum *s)
{
    if (s->seen == 0)
        return -1;
    return s->seen_byte_h > 0 ? s->peak_byte_h / s->seen_byte_h : 0;
}
