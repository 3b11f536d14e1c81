/* Plans from history as text, as JSON and as a layout file; see past.h. */
#include "cli/past.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Below so many leases what they were says little of what will be. */
enum { FEW = 100 };

static double per_cent(double part, double of)
{
    return of > 0 ? 100 * part / of : 0;
}

static void add_row(struct table *t, const char *name, const struct sim_result *r)
{
    table_add(t, TABLE_PLAIN, name);
    table_addf(t, "%.1f", per_cent((double)r->granted, (double)r->asked));
    table_addf(t, "%.1f", per_cent(r->gpc_granted, r->gpc_asked));
    table_addf(t, "%.1f", r->wait_mean);
    table_addf(t, "%.1f", r->wait_p95);
    table_addf(t, "%" PRIu64, r->made);
}

static void print_results(const struct past *p, const struct table_look *look, struct str *out)
{
    static const char *const head[] = {"", "LEASES %", "GPC TIME %", "WAIT S", "P95", "MADE"};
    AUTO_TABLE struct table t = {.columns = 6, .right = 0x3e};
    char name[64];
    table_head(&t, head);
    (void)snprintf(name, sizeof name, "cut on demand (%s)", score_name(p->rule));
    add_row(&t, name, &p->dynamic);
    add_row(&t, "the fixed layout below", &p->fixed);
    add_row(&t, "the best with all GPUs alike", &p->alike);
    table_print(&t, look, out);
}

static void add_mix(const struct past *p, const struct past_part *part, struct str *out)
{
    const struct board *b = p->groups[part->board].board;
    char name[BOARD_PROFILE_NAME];
    for (unsigned f = 0, n; f < b->profile_n; f++) {
        n = 0;
        for (unsigned i = 0; i < part->layout.n; i++)
            n += part->layout.at[i].profile == f;
        if (n)
            str_addf(out, "%s%u x %s", out->len ? ", " : "", n,
                     board_profile_name(b, &b->profiles[f], name));
    }
}

static void print_layout(const struct past *p, const struct table_look *look, struct str *out)
{
    static const char *const head[] = {"GPUs", "board", "cut to"};
    AUTO_TABLE struct table t = {.columns = 3};
    table_head(&t, head);
    for (unsigned i = 0; i < p->part_n; i++) {
        AUTO_STR struct str mix = {0};
        add_mix(p, &p->parts[i], &mix);
        table_addf(&t, "%" PRIu32, p->parts[i].gpus);
        table_add(&t, TABLE_PLAIN, p->groups[p->parts[i].board].board->name);
        table_add(&t, TABLE_PLAIN, mix.text ? mix.text : "");
    }
    table_print(&t, look, out);
}

/* Positive: the fixed layout is better by GPC time or, with as much of it, by waiting; 0: alike.
 * Half a second, or a hundredth of what jobs take from asking to their end, is not waited for. */
static int verdict(const struct past *p)
{
    double more = per_cent(p->fixed.gpc_granted - p->dynamic.gpc_granted, p->dynamic.gpc_asked);
    double sooner = p->dynamic.wait_mean - p->fixed.wait_mean;
    double much = fmax(0.5, 0.01 * p->dynamic.end_mean);
    if (more > 0.05 || more < -0.05)
        return more > 0 ? 1 : -1;
    return sooner > much ? 1 : sooner < -much ? -1 : 0;
}

void past_print(const struct past *p, const struct table_look *look, struct str *out)
{
    int better = verdict(p);
    str_addf(out, "%" PRIu64 " lease%s that ran here in the last %s, played again.%s\n\n", p->jobs,
             p->jobs == 1 ? "" : "s", p->since,
             p->jobs < FEW ? " So few say little of what will come." : "");
    print_results(p, look, out);
    str_add(out, "\n");
    print_layout(p, look, out);
    str_addf(out, "\n%s",
             better < 0    ? "Stay dynamic: no fixed layout that was found does as well."
             : better == 0 ? "Stay dynamic: a fixed layout does as well, but not better."
                           : "This fixed layout would have done better than cutting on "
                             "demand; it was chosen knowing what would come.");
    str_addf(out,
             "\n%" PRIu64 " layouts were played%s. No layout can do more than all that was asked "
             "for, which is %.1f %% of GPC time more.\n",
             p->tried,
             p->ended ? "; no part of a board's GPUs cut otherwise makes it better"
                      : ", as many as there was time for",
             per_cent(p->fixed.gpc_asked - p->fixed.gpc_granted, p->fixed.gpc_asked));
}

static json_t *result_json(const struct sim_result *r)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:I}", "leases_percent",
                     per_cent((double)r->granted, (double)r->asked), "gpc_time_percent",
                     per_cent(r->gpc_granted, r->gpc_asked), "wait_mean_s", r->wait_mean,
                     "wait_p95_s", r->wait_p95, "made", (json_int_t)r->made);
}

static json_t *counts_json(const struct past *p, const struct past_part *part)
{
    const struct board *b = p->groups[part->board].board;
    json_t *counts = json_object();
    char name[BOARD_PROFILE_NAME];
    for (unsigned i = 0; i < part->layout.n; i++) {
        const char *key = board_profile_name(b, &b->profiles[part->layout.at[i].profile], name);
        json_int_t had = json_integer_value(json_object_get(counts, key));
        (void)json_object_set_new(counts, key, json_integer(had + 1));
    }
    return counts;
}

json_t *past_json(const struct past *p)
{
    json_t *layout = json_array();
    int better = verdict(p);
    for (unsigned i = 0; i < p->part_n; i++)
        (void)json_array_append_new(layout, json_pack("{s:s, s:i, s:o}", "board",
                                                      p->groups[p->parts[i].board].board->name,
                                                      "count", (int)p->parts[i].gpus, "mig_devices",
                                                      counts_json(p, &p->parts[i])));
    return json_pack("{s:s, s:I, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:b}", "since", p->since,
                     "leases", (json_int_t)p->jobs, "few",
                     p->jobs<FEW, "rule", score_name(p->rule), "better", better> 0 ? "fixed"
                     : better == 0                                                 ? "alike"
                                                                                   : "dynamic",
                     "dynamic", result_json(&p->dynamic), "fixed", result_json(&p->fixed), "alike",
                     result_json(&p->alike), "layout", layout, "tried", (json_int_t)p->tried,
                     "local_optimum", p->ended);
}

json_t *past_layout(const struct past *p)
{
    uint32_t taken[SIM_BOARDS] = {0};
    json_t *specs = json_array();
    for (unsigned i = 0; i < p->part_n; i++) {
        const struct past_part *part = &p->parts[i];
        json_t *devices = json_array();
        for (uint32_t g = 0; g < part->gpus; g++)
            (void)json_array_append_new(devices,
                                        json_integer(p->index[part->board][taken[part->board]++]));
        (void)json_array_append_new(specs,
                                    json_pack("{s:o, s:b, s:o}", "devices", devices, "mig-enabled",
                                              true, "mig-devices", counts_json(p, part)));
    }
    return json_pack("{s:s, s:{s:o}}", "version", "v1", "mig-configs", "plan", specs);
}
