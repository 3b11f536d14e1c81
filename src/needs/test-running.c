/* Plans for machines that run, against trying every layout of every GPU. */
#include "needs/running.h"

#include "base/rng.h"
#include "tests/tap.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t seed = 5;
enum { GPUS = 2, LAYOUTS = 64 };

static struct layout layouts[LAYOUTS];
static unsigned layout_n;

static void keep(const struct layout *l, void *arg)
{
    (void)arg;
    if (layout_n < LAYOUTS)
        layouts[layout_n++] = *l;
}

static bool holds(const struct layout *l, struct placement at)
{
    int i = layout_index(l, at.start);
    return i >= 0 && l->at[i].profile == at.profile;
}

static unsigned common(const struct layout *l, const struct layout *part)
{
    unsigned n = 0;
    for (unsigned i = 0; i < part->n; i++)
        n += holds(l, part->at[i]);
    return n;
}

/* Two A30, each with a layout of which some stays and the rest is idle. */
static void random_machine(struct rng *rng, struct running *r)
{
    memset(r, 0, sizeof *r);
    r->fleet.n = 1;
    r->fleet.groups[0].board = *board_find("a30");
    r->n = GPUS;
    const struct board *b = &r->fleet.groups[0].board;
    for (unsigned g = 0; g < GPUS; g++) {
        const struct layout *l = &layouts[rng_below(rng, layout_n)];
        struct running_gpu *gpu = &r->gpus[g];
        *gpu = (struct running_gpu){.index = g, .mode = l->n == 0 && rng_below(rng, 4) == 0};
        gpu->off = rng_below(rng, 12) == 0;
        for (unsigned i = 0; i < l->n; i++)
            layout_add(b, rng_below(rng, 3) ? &gpu->idle : &gpu->stays, l->at[i]);
        gpu->in_use = gpu->stays.n > 0;
        r->fleet.groups[0].gpus += !gpu->off;
    }
}

static void random_needs(struct rng *rng, struct needs *n)
{
    static const char *const names[] = {"1g.6gb", "2g.12gb", "4g.24gb"};
    memset(n, 0, sizeof *n);
    for (unsigned p = 0; p < 3; p++) {
        unsigned count = rng_below(rng, p == 0 ? 6 : p == 1 ? 3 : 2);
        if (!count)
            continue;
        struct need *need = &n->all[n->n++];
        need->job = true;
        need->count = need->at_once = count;
        need->work.model = -1;
        (void)snprintf(need->name, sizeof need->name, "job-%u", p);
        (void)snprintf(need->profile, sizeof need->profile, "%s", names[p]);
    }
}

struct best {
    unsigned gpus, changes;
};

/* What the layout is to the GPU: changes, and slices of each profile beside what stays. */
static unsigned changes_of(const struct running_gpu *g, const struct layout *l, int have[5])
{
    unsigned kept = common(l, &g->stays) + common(l, &g->idle);
    for (unsigned i = 0; i < l->n; i++)
        have[l->at[i].profile] += !holds(&g->stays, l->at[i]);
    return l->n - kept + g->idle.n - common(l, &g->idle) + g->mode;
}

static void try_all(const struct running *r, const int want[5], unsigned gpu, int have[5],
                    struct best now, struct best *best)
{
    if (gpu == r->n) {
        bool fits = have[0] >= want[0] && have[2] >= want[2] && have[4] >= want[4];
        if (fits &&
            (now.gpus < best->gpus || (now.gpus == best->gpus && now.changes < best->changes)))
            *best = now;
        return;
    }
    try_all(r, want, gpu + 1, have, now, best);
    const struct running_gpu *g = &r->gpus[gpu];
    for (unsigned i = 0; !g->off && i < layout_n; i++) {
        int with[5];
        memcpy(with, have, sizeof with);
        if (common(&layouts[i], &g->stays) < g->stays.n)
            continue;
        unsigned changes = changes_of(g, &layouts[i], with);
        try_all(r, want, gpu + 1, with, (struct best){now.gpus + !g->in_use, now.changes + changes},
                best);
    }
}

/* Every target is a layout of the board that holds what stays, and the counts are true. */
static void check_targets(const struct running *r, const struct running_plan *p)
{
    unsigned changes = 0;
    for (unsigned g = 0; g < r->n; g++) {
        const struct running_target *t = &p->gpus[g];
        int have[5] = {0};
        if (!t->planned)
            continue;
        CHECK(!r->gpus[g].off);
        CHECK_INT(common(&t->to, &r->gpus[g].stays), ==, r->gpus[g].stays.n);
        changes += changes_of(&r->gpus[g], &t->to, have);
    }
    CHECK_INT(changes, ==, p->changes);
}

TEST(the_least_change_is_found_and_told)
{
    struct rng rng = {seed};
    struct running *r = malloc(sizeof *r);
    struct needs *n = malloc(sizeof *n);
    unsigned rounds = getenv("FETTA_DEEP") ? 5000 : 100, short_ = 0, changed = 0;
    const struct board *a30 = board_find("a30");
    CHECK_INT(board_profile_by_name(a30, "4g.24gb"), ==, 4); /* have[] counts by these */
    layout_enumerate(a30, 1u | 1u << 2 | 1u << 4, keep, NULL);
    CHECK_INT(layout_n, ==, 26);
    for (unsigned i = 0; i < rounds; i++) {
        struct running_plan p;
        struct error err;
        int want[5] = {0}, have[5] = {0};
        random_machine(&rng, r);
        random_needs(&rng, n);
        if (!n->n || !r->fleet.groups[0].gpus)
            continue;
        for (unsigned k = 0; k < n->n; k++)
            want[board_profile_by_name(a30, n->all[k].profile)] += (int)n->all[k].at_once;
        struct best best = {1000, 1000};
        try_all(r, want, 0, have, (struct best){0, 0}, &best);
        REQUIRE(running_solve(r, n, false, &p, &err) == 0);
        CHECK_INT(p.plan.part >= 1, ==, best.gpus < 1000);
        CHECK(p.plan.proved);
        if (best.gpus < 1000) {
            CHECK_INT(p.plan.gpus, ==, best.gpus);
            CHECK_INT(p.changes, ==, best.changes);
            CHECK(p.least);
            changed += p.changes > 0;
        } else {
            short_++;
        }
        check_targets(r, &p);
        running_done(&p);
    }
    printf("# seed %llu: %u machines, %u too small, %u changed\n", (unsigned long long)seed, rounds,
           short_, changed);
    CHECK_INT(short_, >, 0);
    CHECK_INT(changed, >, 0);
    free(r);
    free(n);
}

/* Whatever may move is packed on the fewest GPUs: 1g and 2g on two A30 that each hold half. */
TEST(what_may_move_is_packed)
{
    struct running *r = calloc(1, sizeof *r);
    struct running_plan p;
    struct error err;
    const struct board *b = board_find("a30");
    r->fleet.n = 1;
    r->fleet.groups[0] = (struct fleet_group){.board = *b, .gpus = 2};
    r->n = 2;
    for (unsigned g = 0; g < 2; g++) {
        r->gpus[g] = (struct running_gpu){.index = g, .in_use = true};
        layout_add(b, &r->gpus[g].idle, (struct placement){.profile = 0, .start = 0});
    }
    layout_add(b, &r->gpus[1].stays, (struct placement){.profile = 2, .start = 2});
    REQUIRE(running_repack(r, &p, &err) == 0);
    CHECK_INT(p.in_use, ==, 2);
    CHECK_INT(p.plan.gpus, ==, 0); /* beside the one on which something stays */
    CHECK_INT(p.changes, ==, 1);
    CHECK(p.plan.proved && p.least);
    CHECK_INT(p.gpus[1].to.n, ==, 3);
    CHECK_INT(p.gpus[0].to.n, ==, 0);
    running_done(&p);
    free(r);
}

TAP_MAIN
