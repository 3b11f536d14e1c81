/* Fleets read, and planned board by board; see fleet.h. */
#include "needs/fleet.h"

#include "needs/mixed.h"

#include "base/macro.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int group_of(struct fleet *f, const struct board *b, struct error *err)
{
    for (unsigned i = 0; i < f->n; i++)
        if (strcmp(f->groups[i].board.name, b->name) == 0)
            return (int)i;
    if (f->n == MACHINE_BOARDS)
        return error_set(err, ERROR_INVALID, "more than %d kinds of boards; leave out %s",
                         MACHINE_BOARDS, b->name);
    f->groups[f->n].board = *b;
    f->groups[f->n].gpus = 0;
    f->groups[f->n].mask = 0;
    return (int)f->n++;
}

int fleet_add(struct fleet *f, const struct machine *m, uint32_t machines, struct error *err)
{
    uint64_t all = (uint64_t)m->gpu_n * machines;
    for (unsigned i = 0; i < f->n; i++)
        all += f->groups[i].gpus;
    if (f->part_n == FLEET_PARTS || all > FLEET_GPUS)
        return error_set(err, ERROR_INVALID, "a fleet has at most %d GPUs, in %d kinds of machines",
                         FLEET_GPUS, FLEET_PARTS);
    struct fleet_part *p = &f->parts[f->part_n++];
    p->machines = machines;
    p->gpu_n = m->gpu_n;
    for (unsigned i = 0; i < m->gpu_n; i++) {
        int g = group_of(f, machine_board(m, &m->gpus[i]), err);
        if (g < 0)
            return g;
        p->group[i] = (uint8_t)g;
        f->groups[g].gpus += machines;
    }
    return 0;
}

/* "4xdgx-a100": so many machines alike. */
static int add_item(struct fleet *f, const char *item, struct machine *m, struct error *err)
{
    size_t digits = strspn(item, "0123456789");
    unsigned long count = 1;
    if (machine_parse(item, m, NULL) == 0)
        return fleet_add(f, m, 1, err);
    if (digits > 0 && item[digits] == 'x') {
        count = strtoul(item, NULL, 10);
        item += digits + 1;
    }
    int rc = machine_parse(item, m, err);
    if (rc == 0 && (count < 1 || count > FLEET_GPUS))
        rc = error_set(err, ERROR_INVALID, "the number before x must be 1 to %d", FLEET_GPUS);
    return rc < 0 ? rc : fleet_add(f, m, (uint32_t)count, err);
}

int fleet_parse(const char *spec, struct fleet *ret, struct error *err)
{
    AUTO_FREE struct machine *m = malloc(sizeof *m);
    AUTO_FREE char *copy = strdup(spec);
    memset(ret, 0, sizeof *ret);
    if (!m || !copy)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    if (machine_parse(spec, m, NULL) == 0)
        return fleet_add(ret, m, 1, err);
    char *rest = copy, *item;
    while ((item = strsep(&rest, ","))) {
        int rc = add_item(ret, item, m, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void use_done(struct fleet_use *u)
{
    pack_free(u->pack);
    table_free(u->table);
    u->pack = NULL;
    u->table = NULL;
}

void fleet_done(struct fleet_plan *p)
{
    for (unsigned i = 0; i < p->n; i++)
        use_done(&p->uses[i]);
    free(p->uses);
    *p = (struct fleet_plan){0};
}

/* Profiles of interest: the plain ones, and what jobs name. */
static unsigned mask_of(const struct board *b, const struct needs *n)
{
    unsigned mask = table_plain(b);
    for (unsigned i = 0; i < n->n; i++) {
        unsigned p = board_profile_by_name(b, n->all[i].profile);
        if (n->all[i].profile[0] && p < b->profile_n)
            mask |= 1u << p;
    }
    return mask;
}

/* A use of a group for those of the needs that it can serve, none of it planned. */
static int use_init(struct fleet_use *u, const struct fleet *f, unsigned group,
                    const struct needs *n, struct error *err)
{
    const struct board *b = &f->groups[group].board;
    *u = (struct fleet_use){.group = group};
    if (!b->memory_slices)
        return 0;
    u->table = table_new(b, mask_of(b, n) | f->groups[group].mask);
    u->pack = u->table ? pack_new(u->table) : NULL;
    if (!u->pack) {
        use_done(u);
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the layouts of %s", b->name);
    }
    for (unsigned i = 0; i < n->n; i++) {
        double most = 0;
        for (unsigned p = 0; p < b->profile_n; p++) {
            if (!(table_mask(u->table) >> p & 1))
                continue;
            u->offer[u->n][p] = needs_offer(&n->all[i], b, p);
            most = fmax(most, u->offer[u->n][p].rate);
        }
        if (most > 0)
            u->need[u->n++] = (uint8_t)i;
    }
    return 0;
}

/* Plans a part of what is left of each need. */
static int use_plan(struct fleet_use *u, const struct needs *n, const double *left, double part,
                    struct error *err)
{
    struct serve_service services[SERVE_MAX] = {0};
    unsigned which, rows = 0, row[SERVE_MAX];
    for (unsigned i = 0; i < u->n; i++) {
        const struct need *need = &n->all[u->need[i]];
        u->asked[i] = (need->job ? need->at_once : need->rate) * left[u->need[i]] * part;
        if (u->asked[i] <= 1e-9)
            continue;
        for (unsigned p = 0; p < BOARD_PROFILES; p++)
            services[rows].per_slice[p] = u->offer[i][p].rate;
        services[rows].rate = u->asked[i];
        row[rows++] = i;
    }
    int rc = serve_fewest(u->pack, u->table, services, rows, &u->plan, &which, err);
    /* Back to the numbers of the use, from the end so that none is overwritten. */
    for (unsigned i = rows; rc == 0 && i-- > 0;) {
        if (row[i] == i)
            continue;
        memcpy(u->plan.replicas[row[i]], u->plan.replicas[i], sizeof u->plan.replicas[i]);
        memset(u->plan.replicas[i], 0, sizeof u->plan.replicas[i]);
        u->plan.least[row[i]] = u->plan.least[i];
        u->plan.least[i] = 0;
    }
    return rc;
}

/* The largest percentage of what is left that the group can do, planned; 0: nothing. *ret_all is
 * the plan for all of it. */
static int use_most(struct fleet_use *u, uint32_t gpus, const struct needs *n, const double *left,
                    double *ret_part, struct serve_plan *ret_all, struct error *err)
{
    unsigned low = 0, high = 100;
    *ret_part = 0;
    if (!u->n)
        return 0;
    int rc = use_plan(u, n, left, 1, err);
    *ret_all = u->plan;
    *ret_part = 1;
    if (rc < 0 || u->plan.gpus <= gpus)
        return rc;
    while (high - low > 1 && rc == 0) {
        unsigned middle = (low + high) / 2;
        rc = use_plan(u, n, left, middle / 100.0, err);
        if (u->plan.gpus <= gpus)
            low = middle;
        else
            high = middle;
    }
    *ret_part = low / 100.0;
    return rc < 0 || low == 0 ? rc : use_plan(u, n, left, *ret_part, err);
}

/* The need that nothing here serves, told with what comes nearest. */
static int never(const struct fleet *f, const struct need *n, struct error *err)
{
    char name[BOARD_PROFILE_NAME], best[BOARD_PROFILE_NAME] = "";
    struct need patient = *n;
    double least = HUGE_VAL;
    patient.target_ms = 1e9;
    patient.batch = 1;
    for (unsigned g = 0; g < f->n && !n->job; g++) {
        const struct board *b = &f->groups[g].board;
        for (unsigned p = 0; p < b->profile_n; p++) {
            struct needs_offer o = needs_offer(&patient, b, p);
            if (o.rate <= 0 || o.ms >= least || b->profiles[p].suffix[0])
                continue;
            least = o.ms;
            (void)str_copy(best, sizeof best, board_profile_name(b, &b->profiles[p], name));
        }
    }
    if (best[0])
        return error_set(err, ERROR_NEVER,
                         "%s: no slice serves it within %g ms: the fastest, %s, takes %.3g ms for "
                         "one request that meets no other",
                         n->name, n->target_ms, best, least);
    if (n->job && n->profile[0])
        return error_set(err, ERROR_NEVER, "%s: there is no profile %s on %s", n->name, n->profile,
                         f->groups[0].board.name);
    return error_set(err, ERROR_NEVER,
                     "%s: no slice of %s has the memory, or figures for it; `fetta emulate load "
                     "--list` shows what there are figures for",
                     n->name, f->groups[0].board.name);
}

static int check_served(const struct fleet *f, const struct needs *n, const struct fleet_use *uses,
                        struct error *err)
{
    bool mig = false;
    for (unsigned g = 0; g < f->n; g++)
        mig = mig || f->groups[g].board.memory_slices;
    if (!mig)
        return error_set(err, ERROR_UNSUPPORTED, "%s cannot be cut: it has no MIG",
                         f->groups[0].board.name);
    for (unsigned i = 0; i < n->n; i++) {
        bool served = false;
        for (unsigned g = 0; g < f->n; g++)
            for (unsigned k = 0; k < uses[g].n; k++)
                served = served || uses[g].need[k] == i;
        if (!served)
            return never(f, &n->all[i], err);
    }
    return 0;
}

/* Of the groups not yet in use, the one that does the largest part of what is left, and among
 * those that do all, with the fewest GPUs. */
struct pick {
    unsigned group;
    double part;
    struct serve_plan all, plan;
    double asked[SERVE_MAX];
};

static int pick_group(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
                      unsigned used, const double *left, struct pick *ret, struct error *err)
{
    AUTO_FREE struct serve_plan *all = malloc(sizeof *all);
    if (!all)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    ret->part = 0;
    for (unsigned g = 0; g < f->n; g++) {
        struct fleet_use *u = &uses[g];
        double part = 0, weight;
        if (used >> g & 1)
            continue;
        int rc = use_most(u, f->groups[g].gpus, n, left, &part, all, err);
        if (rc < 0)
            return rc;
        if (ret->part <= 0) /* what all of it would need is told even if none of it fits */
            ret->all = *all;
        weight = part * u->n;
        bool better = weight > ret->part * uses[ret->group].n ||
                      (part > 0 && part == 1 && ret->part == 1 && weight >= uses[ret->group].n &&
                       u->plan.gpus < ret->plan.gpus);
        if (!better)
            continue;
        ret->group = g;
        ret->part = part;
        ret->all = *all;
        ret->plan = u->plan;
        memcpy(ret->asked, u->asked, sizeof ret->asked);
    }
    return 0;
}

/* Moves a use, with its table, to the end of the plan. */
static void take(struct fleet_plan *p, struct fleet_use *u, const struct pick *pick, double *left)
{
    struct fleet_use *to = &p->uses[p->n++];
    *to = *u;
    to->plan = pick->plan;
    memcpy(to->asked, pick->asked, sizeof to->asked);
    *u = (struct fleet_use){0};
    for (unsigned i = 0; i < to->n; i++)
        left[to->need[i]] *= 1 - pick->part;
}

static int plan_groups(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
                       struct fleet_plan *ret, struct error *err)
{
    AUTO_FREE struct pick *pick = calloc(1, sizeof *pick);
    double left[SERVE_MAX];
    unsigned used = 0;
    if (!pick)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    for (unsigned i = 0; i < n->n; i++)
        left[i] = 1;
    ret->part = 0;
    while (ret->part < 1 && ret->n < f->n) {
        int rc = pick_group(f, n, uses, used, left, pick, err);
        if (rc < 0)
            return rc;
        if (pick->part <= 0)
            break;
        if (ret->n == 0) {
            ret->gpus = pick->all.gpus;
            ret->whole = pick->all;
            ret->bound = f->n == 1 ? pick->all.bound : 0;
        }
        used |= 1u << pick->group;
        take(ret, &uses[pick->group], pick, left);
        ret->part = 1;
        for (unsigned i = 0; i < n->n; i++)
            ret->part = fmin(ret->part, 1 - left[i]);
    }
    if (ret->n == 0 && f->n == 1) {
        ret->gpus = pick->all.gpus;
        ret->bound = pick->all.bound;
    }
    ret->proved =
        f->n == 1 && (ret->part < 1 ? ret->bound > f->groups[0].gpus : ret->bound == ret->gpus);
    return 0;
}

static int plan_all(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
                    struct fleet_plan *ret, struct error *err)
{
    int rc = f->n > 1 ? mixed_plan(f, n, uses, ret, err) : -ERROR_UNSUPPORTED;
    return rc == -ERROR_UNSUPPORTED ? plan_groups(f, n, uses, ret, err) : rc;
}

int fleet_begin(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
                struct error *err)
{
    int rc = 0;
    for (unsigned g = 0; rc == 0 && g < f->n; g++)
        rc = use_init(&uses[g], f, g, n, err);
    return rc < 0 ? rc : check_served(f, n, uses, err);
}

void fleet_end(struct fleet_use *uses, unsigned n)
{
    for (unsigned g = 0; g < n; g++)
        use_done(&uses[g]);
}

int fleet_solve(const struct fleet *f, const struct needs *n, struct fleet_plan *ret,
                struct error *err)
{
    struct fleet_use *uses = calloc(MACHINE_BOARDS, sizeof *uses);
    int rc = 0;
    *ret = (struct fleet_plan){.uses = calloc(MACHINE_BOARDS, sizeof *ret->uses)};
    if (!uses || !ret->uses)
        rc = error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    rc = rc < 0 ? rc : fleet_begin(f, n, uses, err);
    rc = rc < 0 ? rc : plan_all(f, n, uses, ret, err);
    if (uses)
        fleet_end(uses, f->n);
    free(uses);
    if (rc < 0)
        fleet_done(ret);
    return rc;
}

void fleet_cuts(const struct fleet_use *u, fleet_each *each, void *arg)
{
    unsigned n;
    uint32_t first = 0;
    const struct table_mix *mixes = table_pareto(u->table, &n);
    for (unsigned j = 0; j < n; j++) {
        if (u->plan.mixes[j])
            each(arg, u, &mixes[j], first, u->plan.mixes[j]);
        first += u->plan.mixes[j];
    }
}

double fleet_share(const struct fleet_use *u, unsigned i, unsigned profile)
{
    double all = 0;
    for (unsigned p = 0; p < BOARD_PROFILES; p++)
        all += u->plan.replicas[i][p] * u->offer[i][p].rate;
    return all > 0 ? fmin(u->asked[i] / all, 1) * u->offer[i][profile].rate : 0;
}
