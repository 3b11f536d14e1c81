/* What `fetta compare --json` prints. Figures that are not known are null. */
#include "cli/compare.h"

#include <string.h>

void compare_mix_name(const struct board *b, const struct compare_mix *m, struct str *out)
{
    char name[BOARD_PROFILE_NAME];
    bool more = false;
    for (unsigned p = 0; p < b->profile_n; p++) {
        if (!m->n[p])
            continue;
        str_addf(out, "%s%u x %s", more ? " + " : "", m->n[p],
                 board_profile_name(b, &b->profiles[p], name));
        more = true;
    }
}

static json_t *number(bool known, double value)
{
    return known ? json_real(value) : json_null();
}

static json_t *service(const struct need *n, const struct board *b, const struct compare_service *s)
{
    char name[BOARD_PROFILE_NAME] = "whole GPU";
    if (s->profile != BOARD_NO_PROFILE)
        board_profile_name(b, &b->profiles[s->profile], name);
    return json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:s}", "name",
                     n->name, "on", name, "replicas", (int)s->replicas, "batch", (int)s->batch,
                     "requests_per_s", s->rate, "p50_ms", s->p50, "p95_ms", s->p95, "p99_ms",
                     s->p99, "target_ms", n->target_ms, "alone_ms", s->alone, "in_time", s->in_time,
                     "basis", work_basis_name(s->basis));
}

static json_t *row(const struct compare_all *all, const struct compare_system *s,
                   const struct compare_row *r)
{
    json_t *services = json_array(), *layouts = json_array();
    bool can = !r->why_not[0], served = false;
    for (unsigned i = 0; i < all->needs.n && can; i++)
        if (!all->needs.all[i].job) {
            served = true;
            (void)json_array_append_new(services,
                                        service(&all->needs.all[i], s->board, &r->services[i]));
        }
    for (unsigned m = 0; m < r->mix_n; m++) {
        AUTO_STR struct str name = {0};
        compare_mix_name(s->board, &r->mixes[m], &name);
        (void)json_array_append_new(
            layouts, json_pack("{s:s?, s:i}", "layout", name.text, "gpus", (int)r->mixes[m].gpus));
    }
    return json_pack(
        "{s:s, s:b, s:s, s:i, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, "
        "s:s, s:o, s:o}",
        "way", compare_way_name(r->way), "possible", can, "why_not", r->why_not, "gpus",
        (int)r->gpus, "fits", can && r->fits, "apart", r->apart, "part_served",
        number(can, r->part), "requests_per_s", number(can && served, r->rate), "utilisation",
        number(can && r->utilisation >= 0, r->utilisation), "users",
        r->users ? json_integer(r->users) : json_null(), "job_mean_end_s",
        number(r->jobs.known, r->jobs.mean_end), "jobs_all_end_s",
        number(r->jobs.known, r->jobs.makespan), "watts", number(r->watts > 0, r->watts),
        "joules_per_request",
        number(r->watts > 0 && r->rate > 0, r->rate > 0 ? r->watts / r->rate : 0), "usd_per_hour",
        number(r->usd_hour > 0, r->usd_hour), "keeps_apart", compare_isolates(r->way), "shares",
        compare_shares(r->way), "layouts", layouts, "services", services);
}

static json_t *system_of(const struct compare_all *all, const struct compare_system *s)
{
    struct compare_verdict v[COMPARE_CLAIMS];
    char advice[COMPARE_TEXT];
    const char *source;
    json_t *rows = json_array(), *claims = json_array();
    (void)compare_price(s->board->name, &source);
    compare_judge(&all->needs, s, v);
    compare_advise(&all->needs, s, advice);
    for (unsigned w = 0; w < COMPARE_WAYS; w++)
        (void)json_array_append_new(rows, row(all, s, &s->rows[w]));
    for (unsigned i = 0; i < COMPARE_CLAIMS; i++)
        (void)json_array_append_new(claims, json_pack("{s:s, s:s, s:s, s:s}", "claim", v[i].claim,
                                                      "holds", v[i].holds, "figure", v[i].figure,
                                                      "condition", v[i].condition));
    return json_pack("{s:s, s:s, s:i, s:b, s:s?, s:s, s:o, s:o}", "system", s->name, "board",
                     s->board->name, "gpus", (int)s->gpus, "unified_memory", s->unified_memory,
                     "price_source", source, "advice", advice, "ways", rows, "claims", claims);
}

json_t *compare_document(const struct compare_all *all)
{
    json_t *systems = json_array();
    for (unsigned i = 0; i < all->n; i++)
        (void)json_array_append_new(systems, system_of(all, &all->systems[i]));
    return json_pack("{s:s, s:I, s:s, s:o}", "work", all->file, "seed", (json_int_t)all->seed,
                     "model", "docs/sharing.md", "systems", systems);
}
