/* Plans for the machine that runs, as text, as JSON and as a layout file; see now.h. */
#include "cli/now.h"
#include "cli/planned.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum part { KEPT, CREATED, DESTROYED };

static const struct board *board_of(const struct now *n, unsigned gpu)
{
    return &n->running.fleet.groups[n->running.gpus[gpu].group].board;
}

static bool holds(const struct layout *l, struct placement at)
{
    int i = layout_index(l, at.start);
    return i >= 0 && l->at[i].profile == at.profile;
}

/* Whether a placement of the GPU, as it is or is to be, is of that part. */
static bool is_part(const struct now *n, const struct running_plan *plan, unsigned gpu,
                    enum part part, struct placement at)
{
    const struct running_gpu *g = &n->running.gpus[gpu];
    bool before = holds(&g->stays, at) || holds(&g->idle, at);
    bool after = holds(&plan->gpus[gpu].to, at);
    return part == KEPT ? before && after : part == CREATED ? after && !before : before && !after;
}

/* The placements of a part, as "3g.40gb@4" each. */
static json_t *part_json(const struct now *n, const struct running_plan *plan, unsigned gpu,
                         enum part part)
{
    const struct running_gpu *g = &n->running.gpus[gpu];
    const struct layout *from[] = {&g->stays, &g->idle, &plan->gpus[gpu].to};
    const struct board *b = board_of(n, gpu);
    json_t *list = json_array();
    char name[BOARD_PROFILE_NAME], text[BOARD_PROFILE_NAME + 8];
    for (unsigned k = part == CREATED ? 2 : 0; k < (part == CREATED ? 3u : 2u); k++)
        for (unsigned i = 0; i < from[k]->n; i++) {
            struct placement at = from[k]->at[i];
            if (!is_part(n, plan, gpu, part, at))
                continue;
            (void)snprintf(text, sizeof text, "%s@%u",
                           board_profile_name(b, &b->profiles[at.profile], name), at.start);
            (void)json_array_append_new(list, json_string(text));
        }
    return list;
}

static void add_part(const struct now *n, const struct running_plan *plan, unsigned gpu,
                     enum part part, struct table *t)
{
    AUTO_STR struct str text = {0};
    json_t *list = part_json(n, plan, gpu, part), *one;
    size_t i;
    json_array_foreach(list, i, one) str_addf(&text, "%s%s", i ? ", " : "", json_string_value(one));
    json_decref(list);
    table_add(t, TABLE_PLAIN, text.len ? text.text : "-");
}

static void print_gpus(const struct now *n, const struct running_plan *plan,
                       const struct table_look *look, struct str *out)
{
    static const char *const names[] = {"GPU", "KEPT", "CREATED", "DESTROYED"};
    AUTO_TABLE struct table t = {.columns = 4};
    table_head(&t, names);
    for (unsigned i = 0; i < n->running.n; i++) {
        if (!plan->gpus[i].planned)
            continue;
        table_addf(&t, "%" PRIu32, n->running.gpus[i].index);
        for (enum part part = KEPT; part <= DESTROYED; part++)
            add_part(n, plan, i, part, &t);
    }
    table_print(&t, look, out);
}

static unsigned count_changes(const struct running_plan *plan, unsigned n, unsigned *ret_destroyed)
{
    unsigned created = 0;
    *ret_destroyed = 0;
    for (unsigned i = 0; i < n; i++) {
        created += plan->gpus[i].created;
        *ret_destroyed += plan->gpus[i].destroyed;
    }
    return created;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_changes(const struct now *n, const struct running_plan *plan, struct str *out)
{
    unsigned destroyed, created = count_changes(plan, n->running.n, &destroyed), modes;
    modes = plan->changes - created - destroyed;
    str_addf(out, "%u change%s: %u created, %u destroyed", plan->changes, plural(plan->changes),
             created, destroyed);
    if (modes)
        str_addf(out, ", MIG turned on for %u GPU%s", modes, plural(modes));
    if (plan->least)
        str_add(out, ". No plan with as few GPUs changes less: proved.\n");
    else
        str_addf(out,
                 ". No plan with as few GPUs does with fewer than %u; what lies between is not "
                 "decided.\n",
                 plan->changes_bound);
}

static void print_work(const struct now *n, const struct running_plan *plan,
                       const struct planned *p, const struct table_look *look, struct str *out)
{
    const struct fleet_plan *f = &plan->plan;
    if (f->part < 1)
        str_addf(out, "Not all of it fits beside what stays%s.\n",
                 f->proved ? "" : ", as far as was searched");
    if (f->part <= 0) {
        str_add(out, "There is no room for even 1 % of each.\n");
        return;
    }
    if (f->part < 1)
        str_addf(out, "%.0f %% of what is asked for is planned, of each.\n", f->part * 100);
    str_addf(out, "It takes %" PRIu32 " GPU%s that no lease is on", f->gpus, plural(f->gpus));
    if (f->part >= 1 && f->proved)
        str_add(out, ", and fewer cannot do: proved");
    else if (f->part >= 1)
        str_addf(out, "; not fewer than %" PRIu32 " can, what lies between is not decided",
                 f->bound);
    str_addf(out, ". Leases are on %u.\n\n", plan->in_use);
    print_gpus(n, plan, look, out);
    str_add(out, "\n");
    planned_needs(p, look, out);
    str_add(out, "\n");
    print_changes(n, plan, out);
}

static unsigned after(const struct now *n, const struct running_plan *plan)
{
    unsigned used = plan->plan.gpus;
    for (unsigned i = 0; i < n->running.n; i++) {
        const struct running_gpu *g = &n->running.gpus[i];
        used += g->in_use && (g->off || g->stays.n > 0);
    }
    return used;
}

/* Slices that move, each with its lease, and where the room for them is. */
static void print_moves(const struct now *n, const struct running_plan *plan,
                        const struct table_look *look, struct str *out)
{
    static const char *const names[] = {"GPU", "STAYS", "COMES", "GOES"};
    AUTO_TABLE struct table t = {.columns = 4};
    AUTO_STR struct str leases = {0};
    table_head(&t, names);
    for (unsigned i = 0; i < n->running.n; i++) {
        const struct running_gpu *g = &n->running.gpus[i];
        bool goes = !g->off && g->idle.n && plan->changes &&
                    (!plan->gpus[i].planned || plan->gpus[i].destroyed);
        for (unsigned k = 0; goes && k < g->idle.n; k++)
            if (is_part(n, plan, i, DESTROYED, g->idle.at[k]))
                str_addf(&leases, "%s%" PRIu32, leases.len ? ", " : "",
                         n->lease[i][g->idle.at[k].start]);
        if (!goes && !plan->gpus[i].created)
            continue;
        table_addf(&t, "%" PRIu32, g->index);
        for (enum part part = KEPT; part <= DESTROYED; part++)
            add_part(n, plan, i, part, &t);
    }
    if (leases.len) {
        str_add(out, "\n");
        table_print(&t, look, out);
        str_addf(out, "\nSlices of leases %s would move; each stops while it does.\n", leases.text);
    }
}

static void print_repack(const struct now *n, const struct running_plan *plan,
                         const struct table_look *look, struct str *out)
{
    unsigned used = after(n, plan), movable = 0;
    for (unsigned i = 0; i < n->running.n; i++)
        movable += n->running.gpus[i].off ? 0 : n->running.gpus[i].idle.n;
    str_addf(out, "Leases are on %u GPU%s; %u of their slices may move.\n", plan->in_use,
             plural(plan->in_use), movable);
    if (used >= plan->in_use) {
        str_addf(out, "No move would free a GPU%s.\n",
                 plan->plan.proved ? ": proved" : ", as far as was searched");
        return;
    }
    str_addf(out, "With %u move%s they are on %u", plan->changes, plural(plan->changes), used);
    str_add(out, plan->plan.proved ? ", and on fewer they cannot be: proved. " : ". ");
    str_add(out, plan->least ? "Fewer moves do not free as many: proved.\n"
                             : "That fewer moves would do is not ruled out.\n");
    print_moves(n, plan, look, out);
}

void now_print(const struct now *n, const struct running_plan *plan, const struct planned *p,
               const struct table_look *look, struct str *out)
{
    if (p)
        print_work(n, plan, p, look, out);
    else
        print_repack(n, plan, look, out);
}

json_t *now_json(const struct now *n, const struct running_plan *plan, const struct planned *p)
{
    json_t *gpus = json_array(), *all = p ? planned_json(p) : json_object();
    for (unsigned i = 0; i < n->running.n; i++) {
        if (!plan->gpus[i].planned && (p || !n->running.gpus[i].idle.n))
            continue;
        (void)json_array_append_new(
            gpus,
            json_pack("{s:i, s:s, s:o, s:o, s:o}", "gpu", (int)n->running.gpus[i].index, "board",
                      board_of(n, i)->name, p ? "kept" : "stays", part_json(n, plan, i, KEPT),
                      p ? "created" : "comes", part_json(n, plan, i, CREATED),
                      p ? "destroyed" : "goes", part_json(n, plan, i, DESTROYED)));
    }
    (void)json_object_del(all, "layout");
    (void)json_object_del(all, "proofs");
    json_t *more =
        json_pack("{s:i, s:i, s:i, s:b, s:i, s:i, s:b, s:o}", "gpus_in_use", (int)plan->in_use,
                  "gpus_more", (int)plan->plan.gpus, "gpus_after",
                  (int)(p ? plan->in_use + plan->plan.gpus : after(n, plan)), "proved",
                  plan->plan.proved, p ? "changes" : "moves", (int)plan->changes, "changes_bound",
                  (int)plan->changes_bound, "changes_proved", plan->least, "gpus", gpus);
    if (!all || !more || json_object_update(all, more) < 0) {
        json_decref(all);
        all = NULL;
    }
    json_decref(more);
    return all;
}

json_t *now_layout(const struct now *n, const struct running_plan *plan)
{
    json_t *specs = json_array();
    for (unsigned i = 0; i < n->running.n; i++) {
        const struct board *b = board_of(n, i);
        const struct layout *to = &plan->gpus[i].to;
        json_t *counts = plan->gpus[i].planned ? json_object() : NULL;
        char name[BOARD_PROFILE_NAME];
        size_t at = 0;
        for (unsigned k = 0; counts && k < to->n; k++) {
            const char *key = board_profile_name(b, &b->profiles[to->at[k].profile], name);
            json_int_t had = json_integer_value(json_object_get(counts, key));
            (void)json_object_set_new(counts, key, json_integer(had + 1));
        }
        if (!counts)
            continue;
        while (at < json_array_size(specs) &&
               !json_equal(json_object_get(json_array_get(specs, at), "mig-devices"), counts))
            at++;
        if (at == json_array_size(specs))
            (void)json_array_append_new(specs,
                                        json_pack("{s:[], s:b, s:O}", "devices", "mig-enabled",
                                                  true, "mig-devices", counts));
        (void)json_array_append_new(json_object_get(json_array_get(specs, at), "devices"),
                                    json_integer(n->running.gpus[i].index));
        json_decref(counts);
    }
    return json_pack("{s:s, s:{s:o}}", "version", "v1", "mig-configs", "plan", specs);
}
