/* Rows of `sacct -P`: what Slurm remembers of its jobs.
 *
 * A job has a row of its own and one for each of its steps; only the first is a job here. GPUs are
 * named in TRES ("gres/gpu:a100=2,gres/gpu=2", where the second counts the first again) or, by old
 * versions, in GRES ("gpu:a100:2"); a MIG slice has its profile in the type
 * ("gres/gpu:1g.10gb=1", "gres/gpu:a100_1g.10gb=1"). Times are local without a zone and are taken
 * as they stand, so that jobs around a change of the clocks are an hour off. */
#include "trace/convert-row.h"

#include "base/macro.h"
#include "base/str.h"
#include "model/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    ID,
    SUBMIT,
    START,
    END,
    ALLOC_TRES,
    REQ_TRES,
    ALLOC_GRES,
    REQ_GRES,
    RAW,
    ELAPSED,
    USER,
    ACCOUNT
};

/* What a list of resources asks for. */
struct gres {
    long plain, typed, slices; /* GPUs without a type and with one, and MIG slices */
    char profile[TRACE_SLICE];
    bool mixed, shards;
};

/* "1g.10gb" within "a100_1g.10gb", NULL if it is no profile. */
static const char *profile_in(const char *type)
{
    const char *last = strrchr(type, '_');
    const char *name = last ? last + 1 : type;
    size_t compute = strspn(name, "0123456789");
    if (!compute || strncmp(name + compute, "g.", 2) != 0)
        return NULL;
    const char *memory = name + compute + 2;
    size_t gib = strspn(memory, "0123456789");
    return gib && strncasecmp(memory + gib, "gb", 2) == 0 ? name : NULL;
}

static void add_gpus(struct gres *g, const char *type, long n)
{
    const char *profile = profile_in(type);
    if (!profile) {
        *(*type ? &g->typed : &g->plain) += n;
        return;
    }
    char own[TRACE_SLICE];
    (void)str_copy(own, sizeof own, profile);
    char *dot = strchr(own, '.'), *more = dot ? strchr(dot + 1, '.') : NULL;
    if (more)
        *more = '+'; /* "1g.10gb.me", where a plus may not stand */
    profile = own;
    g->mixed = g->mixed || (g->slices && strcmp(g->profile, profile) != 0);
    g->slices += n;
    (void)str_copy(g->profile, sizeof g->profile, profile);
}

/* "gres/gpu:a100=2" or "gpu:a100:2(IDX:0-1)"; false if the number is none. */
static bool read_item(char *item, struct gres *g)
{
    char *end, *name = item;
    if (strncmp(name, "gres/", 5) == 0 || strncmp(name, "gres:", 5) == 0)
        name += 5;
    g->shards = g->shards || strncmp(name, "shard", 5) == 0;
    if (strncmp(name, "gpu", 3) != 0 || !strchr(":=", name[3]))
        return true;
    name[strcspn(name, "(")] = '\0';
    char *count = strchr(name, '=');
    if (!count)
        count = strrchr(name, ':');
    if (!count) { /* "gpu" alone is one */
        g->plain++;
        return true;
    }
    *count++ = '\0';
    long n = strtol(count, &end, 10);
    if (end == count || *end || n < 0 || n > 1000000)
        return false;
    add_gpus(g, name[3] ? name + 4 : "", n);
    return true;
}

/* The column that says what the job got, or, where that is empty, what it asked for. */
static unsigned gres_column(const struct convert_row *row)
{
    static const uint8_t order[] = {ALLOC_TRES, ALLOC_GRES, REQ_TRES, REQ_GRES};
    for (unsigned i = 0; i < ARRAY_LEN(order); i++)
        if (row->text[order[i]] && *row->text[order[i]])
            return order[i];
    return CONVERT_FIELDS;
}

static int read_gres(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    unsigned from = gres_column(row);
    struct gres g = {0};
    if (from == CONVERT_FIELDS)
        return ROW_LEFT + CONVERT_NO_GPU;
    AUTO_FREE char *copy = strdup(row->text[from]);
    char *rest = copy, *item;
    while (copy && (item = strsep(&rest, ",")) != NULL)
        if (!read_item(item, &g))
            return convert_wrong(c, row, from, "must count its GPUs");
    long whole = MAX(g.typed, g.slices ? 0 : g.plain);
    if (g.mixed || (g.slices && whole))
        return convert_wrong(c, row, from, "must be of one kind of slice, as jobs of a trace are");
    if (g.shards && !whole && !g.slices)
        return convert_wrong(c, row, from, "must be GPUs or slices: shards do not say how large");
    if (whole + g.slices > REQUEST_SLICES)
        return convert_wrong(c, row, from, "must be at most 64 slices or GPUs");
    ret->count = (unsigned)(whole + g.slices);
    (void)str_copy(ret->slice, sizeof ret->slice, g.slices ? g.profile : c->rules.whole);
    return ret->count ? ROW_JOB : ROW_LEFT + CONVERT_NO_GPU;
}

/* "1-02:03:04", "02:03:04" or "03:04.5": days and what is left of them. */
static bool read_span(const char *text, int64_t *ret_us)
{
    char *end;
    double part = 0;
    int64_t days = 0;
    unsigned colons = 0;
    const char *dash = strchr(text, '-');
    if (dash && dash != text) {
        days = strtol(text, &end, 10);
        if (end != dash || days < 0 || days > 100000)
            return false;
        text = dash + 1;
    }
    for (; colons < 3; colons++, text = end + 1) {
        double n = strtod(text, &end);
        if (end == text || !(n >= 0 && n < 1e9))
            return false;
        part = 60 * part + n;
        if (*end != ':')
            break;
    }
    *ret_us = (int64_t)((double)days * 86400e6 + part * 1e6);
    return *end == '\0' && colons >= 1;
}

/* How long it ran: told in seconds, told in hours, or from start to end. */
static int read_run(struct convert *c, const struct convert_row *row, int64_t start, int64_t *ret)
{
    int64_t end;
    if (row->text[RAW] && *row->text[RAW])
        return convert_seconds(c, row, RAW, ret) ? ROW_JOB : ROW_WRONG;
    if (row->text[ELAPSED] && *row->text[ELAPSED])
        return read_span(row->text[ELAPSED], ret)
                   ? ROW_JOB
                   : convert_wrong(c, row, ELAPSED, "must be a time such as 1-02:03:04");
    if (!convert_stamp(row->text[END], &end))
        return convert_wrong(c, row, END, "must be a day and a time");
    *ret = end - start;
    return ROW_JOB;
}

static bool unknown(const char *text)
{
    return !*text || strcmp(text, "Unknown") == 0 || strcmp(text, "None") == 0;
}

int convert_slurm(struct convert *c, const struct convert_row *row, struct convert_job *ret)
{
    int64_t start;
    if (strchr(row->text[ID], '.'))
        return ROW_LEFT + CONVERT_STEP;
    if (!convert_stamp(row->text[SUBMIT], &ret->submit_us))
        return convert_wrong(c, row, SUBMIT, "must be a day and a time");
    int is = read_gres(c, row, ret);
    if (is != ROW_JOB)
        return is;
    if (unknown(row->text[START]))
        return ROW_LEFT + CONVERT_NOT_STARTED;
    if (unknown(row->text[END]))
        return ROW_LEFT + CONVERT_NOT_OVER;
    if (!convert_stamp(row->text[START], &start))
        return convert_wrong(c, row, START, "must be a day and a time");
    unsigned who = row->text[USER] ? USER : ACCOUNT;
    convert_user(row->text[who] ? row->text[who] : "", ret->user);
    return read_run(c, row, start, &ret->run_us);
}
