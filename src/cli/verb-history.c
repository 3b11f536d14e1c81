/* `fetta history`: past leases, oldest first: what was asked, how long it waited and ran, how much
 * memory it was seen to use, and how it ended.
 *
 * fettad gives pages. CSV and JSON go out page by page, so that a history of any length takes the
 * same memory; a table has to know its widest cell and is built whole. */
#include "base/time.h"
#include "cli/args.h"
#include "cli/get.h"
#include "cli/show.h"
#include "cli/when.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct history {
    struct cli *cli;
    bool csv;
    struct table table;
    size_t n;
};

static int read_user(const char *name, int64_t *ret, struct error *err)
{
    char *end;
    const struct passwd *p = getpwnam(name);
    unsigned long uid = p ? p->pw_uid : strtoul(name, &end, 10);
    if (!p && (*name < '0' || *name > '9' || *end || uid > UINT32_MAX))
        return error_set(err, ERROR_NOT_FOUND, "there is no user '%s'; a number is taken as well",
                         name);
    *ret = (int64_t)uid;
    return 0;
}

/* A field of RFC 4180: in quotes where it has to be. */
static void add_field(struct str *out, const char *text)
{
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        str_add(out, text);
        return;
    }
    str_add(out, "\"");
    for (; *text; text++)
        str_add_n(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    str_add(out, "\"");
}

/* "0:1g.10gb@4 3:whole": GPU, profile and first memory slice of each. */
static void places(const json_t *lease, struct str *out)
{
    size_t i;
    json_t *slice;
    json_array_foreach(get_in(lease, "slices"), i, slice)
    {
        const char *profile = get_text(slice, "profile");
        str_addf(out, "%s%" PRId64 ":%s", i ? " " : "", get_int(slice, "gpu", 0),
                 *profile ? profile : "whole");
        if (*profile)
            str_addf(out, "@%" PRId64, get_int(slice, "start", 0));
    }
}

static const char *owner_of(const json_t *lease)
{
    const char *user = get_text(lease, "user");
    return *user ? user : get_text(lease, "owner");
}

/* What never started waited until it ended, and ran for nothing. */
static void spans(const json_t *lease, int64_t *ret_waited, int64_t *ret_ran)
{
    int64_t asked = get_time(lease, "asked"), started = get_time(lease, "started");
    int64_t ended = get_time(lease, "ended");
    *ret_waited = (started ? started : ended) - asked;
    *ret_ran = started ? ended - started : 0;
}

/* The smaller slice that would have held what was seen, "" for none. */
static const char *would_fit(const json_t *lease)
{
    return get_text(get_in(lease, "would_fit"), "profile");
}

static void csv_row(const json_t *lease, struct str *out)
{
    AUTO_STR struct str where = {0};
    int64_t waited, ran, status = get_int(lease, "exit_status", -1);
    const char *texts[] = {owner_of(lease), get_text(lease, "asked_for")};
    places(lease, &where);
    spans(lease, &waited, &ran);
    str_addf(out, "%" PRId64, get_int(lease, "id", 0));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        str_add(out, ",");
        add_field(out, texts[i]);
    }
    str_addf(out, ",%" PRId64 ",%.3f,%.3f,%.3f,%s,%s,", get_int(lease, "count", 1),
             (double)get_time(lease, "asked") / 1e9, (double)waited / 1e9, (double)ran / 1e9,
             where.len ? where.text : "", get_text(lease, "why"));
    if (status >= 0)
        str_addf(out, "%" PRId64, status);
    str_add(out, ",");
    add_field(out, get_text(lease, "command"));
    int64_t peak = get_int(lease, "peak_bytes", -1);
    if (peak >= 0)
        str_addf(out, ",%" PRId64, peak);
    else
        str_add(out, ",");
    str_addf(out, ",%" PRId64 ",%s\r\n", get_int(lease, "peak_looks", 0), would_fit(lease));
}

static void table_row(const json_t *lease, struct table *t)
{
    AUTO_STR struct str where = {0};
    char when[24], span[TIME_TEXT];
    int64_t waited, ran;
    places(lease, &where);
    spans(lease, &waited, &ran);
    table_addf(t, "%" PRId64, get_int(lease, "id", 0));
    table_add(t, TABLE_PLAIN, owner_of(lease));
    table_add(t, TABLE_PLAIN, get_text(lease, "asked_for"));
    table_add(t, TABLE_PLAIN, where.len ? where.text : "-");
    table_add(t, TABLE_PLAIN, show_when(get_time(lease, "asked"), time_wall(), when));
    table_add(t, TABLE_PLAIN, time_format(MAX(waited, 0), span));
    table_add(t, TABLE_PLAIN, time_format(MAX(ran, 0), span));
    int64_t peak = get_int(lease, "peak_bytes", 0);
    table_add(t, TABLE_PLAIN, peak > 0 ? show_bytes(peak, when) : "-");
    table_add(t, TABLE_PLAIN, *would_fit(lease) ? would_fit(lease) : "-");
    table_add(t, TABLE_PLAIN, get_text(lease, "why"));
    table_add(t, TABLE_DIM, get_text(lease, "command"));
}

static int show_page(struct history *h, const json_t *leases)
{
    AUTO_STR struct str out = {0};
    size_t i;
    json_t *lease;
    json_array_foreach(leases, i, lease)
    {
        h->n++;
        if (h->cli->json) {
            char *line = json_dumps(lease, JSON_COMPACT | JSON_REAL_PRECISION(13));
            str_addf(&out, "%s\n", line ? line : "");
            out.failed = out.failed || !line;
            free(line);
        } else if (h->csv) {
            csv_row(lease, &out);
        } else {
            table_row(lease, &h->table);
        }
    }
    return h->cli->json || h->csv ? cli_print(h->cli, &out) : 0;
}

/* 0, or the exit status. */
static int show_all(struct history *h, int64_t uid, int64_t since, int64_t until)
{
    struct error err;
    char path[160], user[32] = "";
    int status = 0;
    if (uid >= 0)
        (void)snprintf(user, sizeof user, "&uid=%" PRId64, uid);
    for (int64_t after = 0; after >= 0 && status == 0;) {
        json_t *reply;
        (void)snprintf(path, sizeof path,
                       "/history?after=%" PRId64 "&since=%" PRId64 "&until=%" PRId64 "%s", after,
                       since, until, user);
        if (cli_call(h->cli, "GET", path, NULL, &reply, &err) < 0)
            return cli_fail(h->cli, &err);
        after = get_int(reply, "next", -1);
        status = show_page(h, get_in(reply, "leases"));
        json_decref(reply);
    }
    return status;
}

static int show_table(struct history *h)
{
    AUTO_STR struct str out = {0};
    if (h->n)
        table_print(&h->table, &h->cli->out, &out);
    else
        str_add(&out, "no lease ended in that time\n");
    return cli_print(h->cli, &out);
}

static void done(struct history *h)
{
    table_done(&h->table);
}

/* What was asked for in words, and what that means. */
struct which {
    const char *user, *since_text, *until_text;
    int64_t uid, since, until;
};

static int read_words(struct which *w, struct error *err)
{
    int r = w->user ? read_user(w->user, &w->uid, err) : 0;
    if (r == 0)
        r = when_read(w->since_text, "--since", &w->since, err);
    if (r == 0 && w->until_text)
        r = when_read(w->until_text, "--until", &w->until, err);
    return r;
}

int verb_history(struct cli *c, int argc, char **argv)
{
    static const char head_csv[] =
        "id,user,asked_for,count,asked,waited_s,ran_s,slices,ended,exit_status,command,"
        "peak_bytes,peak_looks,would_fit\r\n";
    const char *head[] = {"ID",  "USER",      "ASKED FOR", "GPU:SLICE", "ASKED",  "WAITED",
                          "RAN", "PEAK SEEN", "WOULD FIT", "ENDED",     "COMMAND"};
    CLEANUP(done) struct history h = {.cli = c, .table = {.columns = ARRAY_LEN(head), .right = 1}};
    struct args a = {0};
    struct error err;
    struct which w = {.since_text = "30d", .uid = -1, .until = time_wall() / TIME_S + 1};
    int first;
    const struct args_option own[] = {
        {"user", 'u', ARGS_TEXT, &w.user, "USER", "only this user's, name or number"},
        {"since", 0, ARGS_TEXT, &w.since_text, "WHEN",
         "ended since then: 30d (if not said), 2026-11-01"},
        {"until", 0, ARGS_TEXT, &w.until_text, "WHEN", "ended before then"},
        {"csv", 0, ARGS_FLAG, &h.csv, NULL, "comma-separated values with a head"},
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        args_add(&a, own[i]);
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0 && h.csv && c->json)
        r = error_set(&err, ERROR_INVALID, "--csv and --json are two forms; give one of them");
    if (r == 0)
        r = read_words(&w, &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str first_line = {0};
    str_add(&first_line, head_csv);
    table_head(&h.table, head);
    int status = h.csv && !c->json ? cli_print(c, &first_line) : 0;
    if (status == 0)
        status = show_all(&h, w.uid, w.since, w.until);
    return status || h.csv || c->json ? status : show_table(&h);
}
