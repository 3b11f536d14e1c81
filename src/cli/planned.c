/* Plans as text; see planned.h. */
#include "cli/planned.h"

#include "base/time.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct board *board_of(const struct planned *p, const struct fleet_use *u)
{
    return &p->fleet->groups[u->group].board;
}

static const struct need *need_of(const struct planned *p, const struct fleet_use *u, unsigned i)
{
    return &p->needs->all[u->need[i]];
}

static uint64_t gpus_there(const struct planned *p)
{
    uint64_t all = 0;
    for (unsigned g = 0; g < p->fleet->n; g++)
        all += p->fleet->groups[g].gpus;
    return all;
}

static void add_count(struct str *s, uint32_t n, const char *name)
{
    str_addf(s, "%s%" PRIu32 " x %s", s->len ? ", " : "", n, name);
}

struct cuts {
    const struct planned *p;
    struct table *t;
};

static void add_cut(void *arg, const struct fleet_use *u, const struct table_mix *mix,
                    uint32_t first, uint32_t count)
{
    const struct cuts *c = arg;
    const struct board *b = board_of(c->p, u);
    AUTO_STR struct str what = {0};
    char name[BOARD_PROFILE_NAME];
    for (unsigned i = 0; i < b->profile_n; i++)
        if (mix->n[i])
            add_count(&what, mix->n[i], board_profile_name(b, &b->profiles[i], name));
    if (count > 1)
        table_addf(c->t, "%" PRIu32 "-%" PRIu32, first, first + count - 1);
    else
        table_addf(c->t, "%" PRIu32, first);
    table_add(c->t, TABLE_PLAIN, b->name);
    table_add(c->t, TABLE_PLAIN, what.text ? what.text : "");
}

static void print_cuts(const struct planned *p, const struct table_look *look, struct str *out)
{
    static const char *const names[] = {"GPUs", "board", "cut to"};
    AUTO_TABLE struct table t = {.columns = 3};
    struct cuts c = {p, &t};
    table_head(&t, names);
    for (unsigned i = 0; i < p->plan->n; i++)
        fleet_cuts(&p->plan->uses[i], add_cut, &c);
    table_print(&t, look, out);
}

/* "2 x 1g.10gb": one line per service, board and profile. */
static void add_row(const struct planned *p, const struct fleet_use *u, unsigned i,
                    unsigned profile, struct table *t)
{
    const struct board *b = board_of(p, u);
    const struct need *n = need_of(p, u, i);
    const struct needs_offer *o = &u->offer[i][profile];
    char name[BOARD_PROFILE_NAME];
    double share = fleet_share(u, i, profile);
    table_add(t, TABLE_PLAIN, n->name);
    table_addf(t, "%" PRIu32 " x %s", u->plan.replicas[i][profile],
               board_profile_name(b, &b->profiles[profile], name));
    if (n->job) {
        for (unsigned c = 0; c < 4; c++)
            table_add(t, TABLE_PLAIN, "-");
        table_add(t, TABLE_PLAIN, "");
        return;
    }
    if (o->processes > 1)
        table_addf(t, "%u x %u", o->processes, o->batch);
    else
        table_addf(t, "%u", o->batch);
    table_addf(t, "%.1f", share);
    table_addf(t, "%.1f", o->rate);
    table_addf(t, "%.1f of %g", 1000 * late_p99(o->ms / 1000, o->batch * o->processes, share),
               n->target_ms);
    if (o->basis == WORK_GIVEN)
        table_add(t, TABLE_PLAIN, "own");
    else
        table_addf(t, "%s, %s", work_basis_name(o->basis), work_source_name(o->source));
}

static void add_rows(const struct planned *p, const struct fleet_use *u, struct table *t)
{
    for (unsigned i = 0; i < u->n; i++)
        for (unsigned f = 0; f < board_of(p, u)->profile_n; f++)
            if (u->plan.replicas[i][f])
                add_row(p, u, i, f, t);
}

void planned_needs(const struct planned *p, const struct table_look *look, struct str *out)
{
    static const char *const names[] = {"name",        "slices",          "batch",  "rate of each",
                                        "it could do", "p99 ms, at most", "figures"};
    AUTO_TABLE struct table t = {.columns = 7, .right = 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5};
    table_head(&t, names);
    for (unsigned k = 0; k < p->plan->n; k++)
        add_rows(p, &p->plan->uses[k], &t);
    table_print(&t, look, out);
}

/* What GPUs are full of, and what is left over in them. */
static void print_rest(const struct planned *p, const struct fleet_use *u, struct str *out)
{
    const struct board *b = board_of(p, u);
    AUTO_STR struct str spare = {0};
    uint64_t compute = 0, memory = 0;
    unsigned mix_n;
    char name[BOARD_PROFILE_NAME];
    const struct table_mix *mixes = table_pareto(u->table, &mix_n);
    for (unsigned f = 0; f < b->profile_n; f++) {
        uint32_t cut = 0, used = 0;
        for (unsigned j = 0; j < mix_n; j++)
            cut += u->plan.mixes[j] * mixes[j].n[f];
        for (unsigned i = 0; i < u->n; i++)
            used += u->plan.replicas[i][f];
        compute += (uint64_t)used * b->profiles[f].compute;
        memory += (uint64_t)used * b->profiles[f].size;
        if (cut > used)
            add_count(&spare, cut - used, board_profile_name(b, &b->profiles[f], name));
    }
    str_addf(out,
             "In use: %" PRIu64 " of %" PRIu64 " compute slices, %" PRIu64 " of %" PRIu64
             " memory slices. Spare: %s.\n",
             compute, (uint64_t)u->plan.gpus * b->compute_slices, memory,
             (uint64_t)u->plan.gpus * b->memory_slices, spare.len ? spare.text : "nothing");
}

/* The certificate: anybody can check it with a pocket calculator. */
static void print_proof(const struct planned *p, const struct fleet_use *u,
                        const struct serve_plan *plan, struct str *out)
{
    const struct board *b = board_of(p, u);
    AUTO_STR struct str prices = {0}, costs = {0};
    char name[BOARD_PROFILE_NAME];
    for (unsigned f = 0; f < b->profile_n; f++)
        if (plan->price[f] > 0)
            str_addf(&prices, "%s%s %.4f", prices.len ? ", " : "",
                     board_profile_name(b, &b->profiles[f], name), plan->price[f]);
    for (unsigned i = 0; i < u->n; i++)
        if (plan->least[i] > 0)
            str_addf(&costs, "%s%s %.3f", costs.len ? " + " : "", need_of(p, u, i)->name,
                     plan->least[i]);
    str_addf(out,
             "Why not fewer: let a slice cost %s GPUs. Then no way to cut one %s holds slices for "
             "more than 1, and no whole slices serve each for less than %s = %.3f: %" PRIu32
             " GPUs at least.\n",
             prices.text ? prices.text : "", b->name, costs.text ? costs.text : "0", plan->relax,
             plan->bound);
}

/* The same where boards are planned together: a GPU may cost a rent beside. */
static void print_mixed_proof(const struct planned *p, struct str *out)
{
    const struct blend_proof *proof = &p->plan->proof;
    AUTO_STR struct str prices = {0}, costs = {0}, rents = {0};
    char name[BOARD_PROFILE_NAME];
    for (unsigned g = 0; g < p->fleet->n; g++) {
        const struct fleet_group *group = &p->fleet->groups[g];
        const struct board *b = &group->board;
        for (unsigned f = 0; f < b->profile_n; f++)
            if (p->plan->price[g][f] > 1e-4)
                str_addf(&prices, "%s%s of %s %.4f", prices.len ? ", " : "",
                         board_profile_name(b, &b->profiles[f], name), b->name,
                         p->plan->price[g][f]);
        if (proof->rent[g] > 1e-4)
            str_addf(&rents, "%s %.4f for each of the %" PRIu32 " %s", rents.len ? " and" : "",
                     proof->rent[g], group->gpus, b->name);
    }
    for (unsigned i = 0; i < p->needs->n; i++)
        if (proof->least[i] > 0)
            str_addf(&costs, "%s%s %.3f", costs.len ? " + " : "", p->needs->all[i].name,
                     proof->least[i]);
    str_addf(out,
             "Why not fewer: let a slice cost %s GPUs. Then no way to cut one GPU holds slices for "
             "more than 1%s, and no whole slices serve each for less than %s",
             prices.text ? prices.text : "", rents.len ? " and a rent" : "",
             costs.text ? costs.text : "0");
    if (rents.len)
        str_addf(out, "; the rents are%s", rents.text);
    str_addf(out, ". Together %.3f: %.0f GPUs at least.\n", proof->sum,
             ceil(fmax(proof->sum, 0) - 1e-6));
    if (p->plan->searched)
        str_addf(out,
                 "That it takes %" PRIu32 " is by looking through all ways that could be "
                 "better at these prices.\n",
                 p->plan->gpus);
}

static void print_short(const struct planned *p, struct str *out)
{
    const struct fleet_plan *plan = p->plan;
    uint64_t there = gpus_there(p);
    str_addf(out, "%" PRIu64 " %s there: ", there, there == 1 ? "is" : "are");
    if (plan->part <= 0) {
        uint64_t least = plan->bound ? plan->bound : plan->gpus;
        if (p->fleet->n == 1 && least > there)
            str_addf(out, "%s%" PRIu64 " %s missing, and ", least < plan->gpus ? "at least " : "",
                     least - there, least - there == 1 ? "is" : "are");
        str_add(out, "not even 1 % of each fits.\n");
        return;
    }
    for (unsigned i = 0; i < p->needs->n; i++)
        str_addf(out, "%s%s",
                 i == 0                 ? ""
                 : i + 1 == p->needs->n ? " and "
                                        : ", ",
                 p->needs->all[i].name);
    str_addf(out, " %s %.0f %% of what is asked for.\n", p->needs->n == 1 ? "gets" : "each get",
             plan->part * 100);
}

static void print_verdict(const struct planned *p, struct str *out)
{
    const struct fleet_plan *plan = p->plan;
    uint64_t used = 0;
    for (unsigned i = 0; i < plan->n; i++)
        used += plan->uses[i].plan.gpus;
    if (plan->part < 1) {
        if (p->fleet->n == 1 && plan->bound && plan->bound != plan->gpus)
            str_addf(out, "This needs %" PRIu32 " to %" PRIu32 " GPUs, ", plan->bound, plan->gpus);
        else if (p->fleet->n == 1)
            str_addf(out, "This needs %" PRIu32 " GPUs, ", plan->gpus);
        else
            str_addf(out, "The GPUs that are there do not do all of it%s; ",
                     plan->proved ? "" : " as far as was searched");
        print_short(p, out);
        return;
    }
    str_addf(out, "%" PRIu64 " of %" PRIu64 " GPUs will do", used, gpus_there(p));
    if (plan->proved)
        str_add(out, ", and fewer cannot: proved below.\n");
    else if (plan->bound)
        str_addf(out, "; not fewer than %" PRIu32 " can, what lies between is not decided.\n",
                 plan->bound);
    else
        str_add(out,
                ". That no other mixture of these boards would do with fewer is not proved.\n");
    if (plan->mixed)
        str_addf(out, "Of all plans with %" PRIu64 " GPUs none takes GPUs of less memory%s.\n",
                 used, plan->smallest ? "" : ", as far as was searched");
}

void planned_print(const struct planned *p, const struct table_look *look, struct str *out)
{
    print_verdict(p, out);
    if (!p->plan->n || p->plan->part <= 0)
        return;
    str_add(out, "\n");
    print_cuts(p, look, out);
    str_add(out, "\n");
    planned_needs(p, look, out);
    str_add(out, "\n");
    bool short_of_all = p->fleet->n == 1 && p->plan->part < 1;
    for (unsigned i = 0; i < p->plan->n; i++) {
        print_rest(p, &p->plan->uses[i], out);
        if (!p->plan->mixed)
            print_proof(p, &p->plan->uses[i],
                        short_of_all ? &p->plan->whole : &p->plan->uses[i].plan, out);
    }
    if (p->plan->mixed && p->plan->part >= 1)
        print_mixed_proof(p, out);
}
