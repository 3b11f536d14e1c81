/* Choosing and taking; see scan-place.h. Every GPU is looked at for every choice, as the schedulers
 * do that this stands for. */
#include "sim/scan-place.h"

#include "base/macro.h"
#include "plan/pack.h"
#include "plan/score.h"

#include <stdlib.h>

/* Free repacking: how much of each kind there is, and whether any packing holds it. */
struct scan_repack {
    struct table *table[SIM_BOARDS];
    struct pack *pack[SIM_BOARDS];
    struct pack_demand held[SIM_BOARDS];
    uint32_t whole[SIM_BOARDS];
};

static bool init_repack(struct scan_fleet *f)
{
    f->repack = calloc(1, sizeof *f->repack);
    for (unsigned i = 0; i < f->setup->group_n && f->repack; i++) {
        const struct board *b = f->setup->groups[i].board;
        f->repack->table[i] = table_new(b, table_plain(b));
        f->repack->pack[i] = f->repack->table[i] ? pack_new(f->repack->table[i]) : NULL;
        if (!f->repack->pack[i])
            return false;
    }
    return f->repack;
}

static bool init_scores(struct scan_fleet *f)
{
    for (unsigned i = 0; i < f->setup->group_n; i++) {
        f->scores[i] = malloc(sizeof *f->scores[i]);
        if (!f->scores[i])
            return false;
        score_fill(f->scores[i], f->setup->groups[i].board, f->setup->rule, &f->setup->mix);
    }
    return true;
}

int scan_fleet_init(struct scan_fleet *f, const struct sim_setup *s, struct error *err)
{
    *f = (struct scan_fleet){.setup = s, .rng = {s->seed}};
    for (unsigned i = 0; i < s->group_n; i++)
        f->gpu_n += s->groups[i].gpus;
    f->gpus = calloc(f->gpu_n, sizeof *f->gpus);
    bool fine = f->gpus && (s->place != SIM_BY_RULE || init_scores(f)) &&
                (s->place != SIM_REPACK || init_repack(f));
    if (!fine)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a fleet");
    for (unsigned i = 0, gpu = 0; i < s->group_n; i++)
        for (unsigned k = 0; k < s->groups[i].gpus; k++)
            f->gpus[gpu++].group = (uint8_t)i;
    return 0;
}

void scan_fleet_done(struct scan_fleet *f)
{
    for (unsigned i = 0; i < SIM_BOARDS; i++) {
        free(f->scores[i]);
        if (f->repack) {
            (void)pack_free(f->repack->pack[i]);
            (void)table_free(f->repack->table[i]);
        }
    }
    free(f->repack);
    free(f->gpus);
}

/* Starts that a job could have on a GPU; of a fixed layout those of its free instances; bit 0 for a
 * whole GPU. */
static slices starts_on(const struct scan_fleet *f, const struct scan_gpu *g,
                        const struct sim_job *j)
{
    const struct sim_group *group = &f->setup->groups[g->group];
    slices starts = 0;
    if (j->whole)
        return !g->whole && g->layout.n == 0 && group->fixed.n == 0;
    if (g->whole || j->row[g->group] >= group->board->profile_n)
        return 0;
    if (group->fixed.n == 0)
        return layout_fits(group->board, &g->layout, j->row[g->group]);
    for (unsigned i = 0; i < group->fixed.n; i++)
        if (group->fixed.at[i].profile == j->row[g->group] && !(g->taken & 1u << i))
            starts |= (slices)(1u << group->fixed.at[i].start);
    return starts;
}

/* HAMi tries the starts of 1g and 3g from the highest, those of the others from the lowest
 * (pkg/device/nvidia/mig_topology.go of Project-HAMi/HAMi). */
static unsigned hami_start(const struct board *b, unsigned row, slices starts)
{
    unsigned compute = b->profiles[row].compute;
    if (compute == 1 || compute == 3)
        return 31 - (unsigned)__builtin_clz(starts);
    return (unsigned)__builtin_ctz(starts);
}

static unsigned random_start(struct scan_fleet *f, slices starts)
{
    unsigned skip = rng_below(&f->rng, (uint32_t)__builtin_popcount(starts));
    while (skip--)
        starts &= (slices)(starts - 1);
    return (unsigned)__builtin_ctz(starts);
}

struct choice {
    size_t gpu;
    unsigned start, rank, n; /* rank: lower is better; n: GPUs that fit so far */
};

/* Looks at one GPU on which the job fits. True if none can be better. */
static bool weigh(struct scan_fleet *f, const struct sim_job *j, size_t gpu, slices starts,
                  struct choice *best)
{
    const struct scan_gpu *g = &f->gpus[gpu];
    const struct board *b = f->setup->groups[g->group].board;
    struct choice c = {gpu, (unsigned)__builtin_ctz(starts), 0, best->n + 1};
    bool free_hand = !j->whole && f->setup->groups[g->group].fixed.n == 0;
    switch (f->setup->place) {
    case SIM_BY_RULE:
        if (!free_hand)
            break;
        c.start = score_start(f->scores[g->group], b, j->row[g->group], starts, g->layout.busy, 0);
        c.rank = score_rank(f->scores[g->group], b, j->row[g->group], c.start, g->layout.busy);
        break;
    case SIM_RANDOM:
        c.start = random_start(f, starts);
        c.rank = rng_below(&f->rng, c.n); /* 0, and so the choice, for each alike often */
        best->n = c.n;
        if (c.n == 1 || c.rank == 0)
            *best = c;
        return false;
    case SIM_HAMI:
        c.start = free_hand ? hami_start(b, j->row[g->group], starts) : c.start;
        break;
    case SIM_ROUND_ROBIN:
    case SIM_REPACK:
        break;
    }
    if (best->n == 0 || c.rank < best->rank)
        *best = c;
    best->n = c.n;
    return best->rank == 0;
}

static bool choose(struct scan_fleet *f, const struct sim_job *j, struct choice *ret)
{
    size_t first = f->setup->place == SIM_ROUND_ROBIN ? f->turn : 0;
    *ret = (struct choice){0};
    for (size_t k = 0; k < f->gpu_n; k++) {
        size_t gpu = first + k < f->gpu_n ? first + k : first + k - f->gpu_n;
        slices starts = starts_on(f, &f->gpus[gpu], j);
        if (starts && weigh(f, j, gpu, starts, ret))
            break;
    }
    return ret->n > 0;
}

static void put(struct scan_fleet *f, const struct lease_slice *at, bool on)
{
    struct scan_gpu *g = &f->gpus[at->gpu];
    const struct sim_group *group = &f->setup->groups[g->group];
    unsigned i = 0;
    if (at->profile == BOARD_NO_PROFILE) {
        g->whole = on;
    } else if (group->fixed.n) {
        while (group->fixed.at[i].start != at->start)
            i++;
        g->taken = (uint16_t)(on ? g->taken | 1u << i : g->taken & ~(1u << i));
    } else if (on) {
        layout_add(group->board, &g->layout, (struct placement){at->profile, at->start});
    } else {
        layout_remove(group->board, &g->layout, at->start);
    }
}

/* Whether a group would hold so many more; they are then held. */
static bool repack(struct scan_fleet *f, const struct sim_job *j, unsigned group)
{
    struct scan_repack *r = f->repack;
    const struct sim_group *g = &f->setup->groups[group];
    struct pack_demand d = r->held[group];
    uint32_t whole = r->whole[group] + (j->whole ? j->count : 0), needed = 0;
    struct error ignored;
    if (!j->whole && (j->row[group] >= g->board->profile_n ||
                      !(table_mask(r->table[group]) & 1u << j->row[group])))
        return false;
    if (!j->whole)
        d.n[j->row[group]] += j->count;
    if (whole > g->gpus)
        return false;
    if (pack_form(r->pack[group]) != PACK_SEARCH) {
        if (!pack_holds(r->pack[group], &d, g->gpus - whole))
            return false;
    } else if (pack_fewest(r->pack[group], &d, &needed, NULL, &ignored) < 0 ||
               needed > g->gpus - whole) {
        return false;
    }
    r->held[group] = d;
    r->whole[group] = whole;
    return true;
}

unsigned scan_take(struct scan_fleet *f, const struct sim_job *j, struct lease_slice *ret)
{
    for (unsigned i = 0; i < f->setup->group_n && f->repack; i++)
        if (repack(f, j, i)) {
            ret[0] = (struct lease_slice){.gpu = i};
            return j->count;
        }
    for (unsigned n = 0; n < j->count && !f->repack; n++) {
        struct choice c;
        if (!choose(f, j, &c)) {
            scan_give(f, j, ret, n);
            return 0;
        }
        ret[n] = (struct lease_slice){.gpu = (uint32_t)c.gpu,
                                      .profile = j->whole ? BOARD_NO_PROFILE
                                                          : j->row[f->gpus[c.gpu].group],
                                      .start = (uint8_t)(j->whole ? 0 : c.start)};
        put(f, &ret[n], true);
        f->turn = (c.gpu + 1) % f->gpu_n;
    }
    return f->repack ? 0 : j->count;
}

void scan_give(struct scan_fleet *f, const struct sim_job *j, const struct lease_slice *at,
               unsigned n)
{
    if (f->repack) {
        if (j->whole)
            f->repack->whole[at->gpu] -= j->count;
        else
            f->repack->held[at->gpu].n[j->row[at->gpu]] -= j->count;
        return;
    }
    while (n--)
        put(f, &at[n], false);
}
