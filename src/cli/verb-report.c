/* `fetta report`: who had what of the machine in a month, and what would have done.
 *
 * Every lease that touched the time is read from fettad page by page and added up in
 * usage/usage.h, so that a long history takes no more memory than its users. Names of groups are
 * looked up here: fettad's loop waits for no name service. */
#include "usage/usage.h"

#include "base/time.h"
#include "cli/args.h"
#include "cli/get.h"
#include "cli/show.h"
#include "cli/when.h"

#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB 1073741824.0

struct asked {
    struct cli *cli;
    const char *month, *since, *by;
    bool csv, group;
    int64_t from, to, now; /* seconds since the epoch */
    bool own;              /* only the caller's own leases were told */
    int64_t gpus;          /* fetta's, now */
    int64_t gid;           /* whose name is in group_name; "" at first */
    char group_name[USAGE_NAME];
    struct usage report;
};

static void done(struct asked *a)
{
    usage_done(&a->report);
}

/* ---- reading ---- */

static const char *user_of(const json_t *lease)
{
    const char *owner = get_text(lease, "owner"), *user = get_text(lease, "user");
    return *user && (!*owner || strncmp(owner, "uid:", 4) == 0) ? user : owner;
}

/* Mostly the same as that of the lease before; a name service may be far away. */
static const char *group_of(struct asked *a, const json_t *lease)
{
    int64_t gid = get_int(lease, "gid", -1);
    if (*a->group_name && gid == a->gid)
        return a->group_name;
    const struct group *g = gid >= 0 ? getgrgid((gid_t)gid) : NULL;
    if (g)
        (void)str_copy(a->group_name, sizeof a->group_name, g->gr_name);
    else
        (void)snprintf(a->group_name, sizeof a->group_name, "gid:%" PRId64, gid);
    a->gid = gid;
    return a->group_name;
}

/* What a lease holds while it holds it. */
static void add_slices(const json_t *lease, struct usage_row *row)
{
    size_t i;
    json_t *slice;
    json_array_foreach(get_in(lease, "slices"), i, slice)
    {
        double compute = (double)get_int(slice, "compute", 0);
        int64_t of = get_int(slice, "compute_of", 0);
        double bytes = (double)get_int(slice, "memory_bytes", 0);
        bool whole = !*get_text(slice, "profile");
        row->slices++;
        row->compute += compute;
        row->gpus += whole ? 1 : of > 0 ? compute / (double)of : 0;
        row->bytes += bytes;
        row->slice_bytes = i == 0 ? bytes : row->slice_bytes;
    }
}

static int add_lease(struct asked *a, const json_t *lease, struct error *err)
{
    const json_t *fits = get_in(lease, "would_fit");
    struct usage_row row = {
        .who = a->group ? group_of(a, lease) : user_of(lease),
        .asked = get_time(lease, "asked"),
        .started = get_time(lease, "started"),
        .ended = get_time(lease, "ended"),
        .why = get_text(lease, "why"),
        .peak = (double)get_int(lease, "peak_bytes", 0),
        .fits = get_text(fits, "profile"),
        .fits_compute = (double)get_int(fits, "compute", 0),
        .fits_bytes = (double)get_int(fits, "memory_bytes", 0),
    };
    add_slices(lease, &row);
    return usage_add(&a->report, &row, err);
}

static int read_leases(struct asked *a, struct error *err)
{
    char path[160];
    int r = 0;
    for (int64_t after = 0; after >= 0 && r == 0;) {
        json_t *reply, *lease;
        size_t i;
        (void)snprintf(path, sizeof path,
                       "/history?live=1&limit=1000&after=%" PRId64 "&since=%" PRId64, after,
                       a->from);
        r = cli_call(a->cli, "GET", path, NULL, &reply, err);
        if (r < 0)
            return r;
        after = get_int(reply, "next", -1);
        a->own = get_bool(reply, "own");
        json_array_foreach(get_in(reply, "leases"), i, lease)
        {
            r = add_lease(a, lease, err);
            if (r < 0)
                break;
        }
        json_decref(reply);
    }
    return r;
}

static int read_gpus(struct asked *a, struct error *err)
{
    json_t *reply, *gpu;
    size_t i;
    int r = cli_call(a->cli, "GET", "/status", NULL, &reply, err);
    if (r < 0)
        return r;
    json_array_foreach(get_in(reply, "gpus"), i, gpu) a->gpus += get_bool(gpu, "managed");
    json_decref(reply);
    return 0;
}

/* ---- showing ---- */

static double available(const struct asked *a)
{
    return (double)a->gpus * usage_hours(&a->report);
}

/* The part of the GPU hours there were; 0 where there were none. */
static double share(const struct asked *a, const struct usage_sum *s)
{
    return available(a) > 0 ? s->gpu_h / available(a) : 0;
}

/* "34 done, 2 time" or, for programs, "done:34 time:2". */
static void ends(const struct usage_sum *s, bool people, struct str *out)
{
    for (size_t i = 0; i < s->end_n; i++) {
        const struct usage_end *e = &s->ends[i];
        if (people)
            str_addf(out, "%s%zu %s", i ? ", " : "", e->n, e->why);
        else
            str_addf(out, "%s%s:%zu", i ? " " : "", e->why, e->n);
    }
}

static void table_row(const struct asked *a, const struct usage_sum *s, struct table *t)
{
    AUTO_STR struct str how = {0};
    char span[TIME_TEXT];
    ends(s, true, &how);
    table_add(t, TABLE_PLAIN, s->who);
    table_addf(t, "%zu", s->asked);
    table_addf(t, "%zu", s->granted);
    table_addf(t, "%zu", s->refused);
    table_add(t, TABLE_PLAIN, s->wait_n ? time_format(usage_wait_mean(s), span) : "-");
    table_add(t, TABLE_PLAIN, s->wait_n ? time_format(usage_wait_percent(s, 95), span) : "-");
    table_addf(t, "%.1f", s->slice_h);
    table_addf(t, "%.1f", s->compute_h);
    table_addf(t, "%.1f", s->gpu_h);
    table_addf(t, "%.1f %%", 100 * share(a, s));
    if (s->seen)
        table_addf(t, "%.0f %% (%zu of %zu)", 100 * usage_peak_part(s), s->seen, s->held);
    else
        table_add(t, TABLE_PLAIN, "-");
    table_add(t, TABLE_PLAIN, how.len ? how.text : "-");
}

/* What would have done. */
static void show_fits(const struct asked *a, struct str *out)
{
    const struct usage *r = &a->report;
    AUTO_TABLE struct table t = {.columns = 4, .right = 0xe};
    const char *head[] = {"WOULD FIT", "LEASES", "GPC-H TOO MANY", "GIB-H TOO MANY"};
    if (r->all.held > r->all.seen)
        str_addf(out,
                 "\nno memory was seen in use by %zu of %zu leases: nobody looked, or nothing ran; "
                 "'sample: 30s' in fetta.yaml lets fettad look\n",
                 r->all.held - r->all.seen, r->all.held);
    if (r->fit_n == 0)
        return;
    str_addf(out,
             "\n%zu of %zu leases whose memory was seen would have fitted in a smaller slice: %.1f "
             "GPC-hours held and not needed for it\n",
             r->all.spare.leases, r->all.seen, r->all.spare.compute_h);
    table_head(&t, head);
    for (size_t i = 0; i < r->fit_n; i++) {
        table_add(&t, TABLE_PLAIN, r->fits[i].profile);
        table_addf(&t, "%zu", r->fits[i].spare.leases);
        table_addf(&t, "%.1f", r->fits[i].spare.compute_h);
        table_addf(&t, "%.1f", r->fits[i].spare.byte_h / GIB);
    }
    table_print(&t, &a->cli->out, out);
}

static int print_table(const struct asked *a)
{
    const struct usage *r = &a->report;
    AUTO_STR struct str out = {0};
    AUTO_TABLE struct table t = {.columns = 12, .right = 0x3fe};
    const char *head[] = {a->group ? "GROUP" : "USER",
                          "ASKED",
                          "GRANTED",
                          "NOT GRANTED",
                          "WAITED",
                          "P95",
                          "SLICE-H",
                          "GPC-H",
                          "GPU-H",
                          "OF ALL",
                          "PEAK OF MEMORY",
                          "ENDED"};
    char from[TIME_TEXT], to[TIME_TEXT];
    str_addf(&out, "%s to %s: %" PRId64 " GPU%s, %.1f GPU-hours%s\n",
             time_format_wall(r->from, from), time_format_wall(r->to, to), a->gpus,
             a->gpus == 1 ? "" : "s", available(a),
             a->own ? "; your own leases, since only root and operators see everybody's" : "");
    if (r->n == 0) {
        str_add(&out, "no lease in that time\n");
        return cli_print(a->cli, &out);
    }
    table_head(&t, head);
    for (size_t i = 0; i < r->n; i++)
        table_row(a, &r->sums[i], &t);
    if (r->n > 1)
        table_row(a, &r->all, &t);
    table_print(&t, &a->cli->out, &out);
    show_fits(a, &out);
    return cli_print(a->cli, &out);
}

static void csv_row(const struct asked *a, const struct usage_sum *s, struct str *out)
{
    bool quoted = s->who[strcspn(s->who, ",\"\r\n")] != '\0';
    str_add(out, quoted ? "\"" : "");
    for (const char *c = s->who; *c; c++)
        str_addf(out, *c == '"' ? "\"%c" : "%c", *c);
    str_addf(out, "%s,%zu,%zu,%zu,%zu,%.3f,%.3f,%.6f,%.6f,%.6f,%.6f,%zu,", quoted ? "\"" : "",
             s->asked, s->granted, s->refused, s->held, (double)usage_wait_mean(s) / 1e9,
             (double)usage_wait_percent(s, 95) / 1e9, s->slice_h, s->compute_h, s->gpu_h,
             share(a, s), s->seen);
    if (s->seen)
        str_addf(out, "%.6f", usage_peak_part(s));
    str_addf(out, ",%zu,%.6f,%.6f,", s->spare.leases, s->spare.compute_h, s->spare.byte_h / GIB);
    ends(s, false, out);
    str_add(out, "\r\n");
}

static int print_csv(const struct asked *a)
{
    AUTO_STR struct str out = {0};
    str_addf(&out,
             "%s,asked,granted,not_granted,held,waited_mean_s,waited_p95_s,slice_h,gpc_h,gpu_h,"
             "share,peak_seen,peak_part,would_fit,spare_gpc_h,spare_gib_h,ended\r\n",
             a->group ? "group" : "user");
    for (size_t i = 0; i < a->report.n; i++)
        csv_row(a, &a->report.sums[i], &out);
    return cli_print(a->cli, &out);
}

static json_t *sum_json(const struct asked *a, const struct usage_sum *s)
{
    json_t *ended = json_object();
    for (size_t i = 0; i < s->end_n; i++)
        (void)json_object_set_new(ended, s->ends[i].why, json_integer((json_int_t)s->ends[i].n));
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o, s:I, s:f, s:f, s:o}",
        "who", s->who, "asked", (json_int_t)s->asked, "granted", (json_int_t)s->granted,
        "not_granted", (json_int_t)s->refused, "held", (json_int_t)s->held, "waited_mean",
        (double)usage_wait_mean(s) / 1e9, "waited_p95", (double)usage_wait_percent(s, 95) / 1e9,
        "slice_hours", s->slice_h, "gpc_hours", s->compute_h, "gpu_hours", s->gpu_h, "share",
        share(a, s), "peak_seen", (json_int_t)s->seen, "peak_part",
        s->seen ? json_real(usage_peak_part(s)) : json_null(), "would_fit",
        (json_int_t)s->spare.leases, "spare_gpc_hours", s->spare.compute_h, "spare_gib_hours",
        s->spare.byte_h / GIB, "ended", ended);
}

static int print_json(const struct asked *a)
{
    const struct usage *r = &a->report;
    json_t *rows = json_array(), *fits = json_array();
    for (size_t i = 0; i < r->n; i++)
        (void)json_array_append_new(rows, sum_json(a, &r->sums[i]));
    for (size_t i = 0; i < r->fit_n; i++)
        (void)json_array_append_new(fits,
                                    json_pack("{s:s, s:I, s:f, s:f}", "profile", r->fits[i].profile,
                                              "leases", (json_int_t)r->fits[i].spare.leases,
                                              "spare_gpc_hours", r->fits[i].spare.compute_h,
                                              "spare_gib_hours", r->fits[i].spare.byte_h / GIB));
    json_t *o =
        json_pack("{s:f, s:f, s:s, s:b, s:I, s:f, s:o, s:o, s:o}", "from", (double)r->from / 1e9,
                  "to", (double)r->to / 1e9, "by", a->group ? "group" : "user", "own", a->own,
                  "gpus", (json_int_t)a->gpus, "gpu_hours_available", available(a), "rows", rows,
                  "all", sum_json(a, &r->all), "would_fit", fits);
    int status = cli_print_json(a->cli, o);
    json_decref(o);
    return status;
}

/* ---- the verb ---- */

static int read_words(struct asked *a, struct error *err)
{
    a->group = strcmp(a->by, "group") == 0;
    if (!a->group && strcmp(a->by, "user") != 0)
        return error_set(err, ERROR_INVALID, "--by: user or group, not '%s'", a->by);
    if (a->month && a->since)
        return error_set(err, ERROR_INVALID,
                         "--month and --since are two ways to say when; give one "
                         "of them");
    if (a->csv && a->cli->json)
        return error_set(err, ERROR_INVALID, "--csv and --json are two forms; give one of them");
    if (a->month)
        return when_month(a->month, a->now, &a->from, &a->to, err);
    int r = when_read(a->since ? a->since : "30d", "--since", &a->from, err);
    if (r == 0 && a->from > a->now)
        return error_set(err, ERROR_INVALID, "--since: %s lies ahead", a->since);
    a->from = MAX(a->from, 0);
    return r;
}

int verb_report(struct cli *c, int argc, char **argv)
{
    struct args args = {0};
    struct error err;
    int64_t now = time_wall();
    CLEANUP(done)
    struct asked a = {.cli = c, .by = "user", .now = now / TIME_S, .to = now / TIME_S + 1};
    int first;
    const struct args_option own[] = {
        {"month", 'm', ARGS_TEXT, &a.month, "MONTH", "a month of local time: 2026-11"},
        {"since", 0, ARGS_TEXT, &a.since, "WHEN",
         "since then: 30d (if nothing is said), 2026-11-01"},
        {"by", 0, ARGS_TEXT, &a.by, "WHAT", "user (if not said) or group, the primary one"},
        {"csv", 0, ARGS_FLAG, &a.csv, NULL, "comma-separated values with a head"},
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        args_add(&args, own[i]);
    args_add_json(&args, c);
    int r = args_read(&args, c, argc, argv, 0, 0, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = read_words(&a, &err);
    if (r == 0) {
        usage_init(&a.report, a.from * TIME_S, a.to * TIME_S, now);
        r = read_gpus(&a, &err);
    }
    if (r == 0)
        r = read_leases(&a, &err);
    if (r < 0)
        return cli_fail(c, &err);
    usage_close(&a.report);
    return c->json ? print_json(&a) : a.csv ? print_csv(&a) : print_table(&a);
}
