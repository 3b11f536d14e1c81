/* Fleets of several boards, planned as one program; see mixed.h. */
#include "needs/mixed.h"

#include "base/macro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double wanted(const struct need *n)
{
    return n->job ? n->at_once : n->rate;
}

static bool of_use(const struct fleet_use *u, unsigned profile)
{
    for (unsigned i = 0; i < u->n; i++)
        if (u->offer[i][profile].rate > 0)
            return true;
    return false;
}

static bool add_piece(struct mixed *m, const struct fleet_use *u, unsigned group, unsigned profile)
{
    const struct board *board = table_board(u->table);
    unsigned p = m->blend.piece_n;
    if (p == COVER_PIECES)
        return false;
    m->piece[group][profile] = (uint8_t)p;
    m->blend.size[p] = (board->profiles[profile].compute + 0.01) / board->compute_slices;
    m->blend.board[p] = (uint8_t)group;
    for (unsigned i = 0; i < u->n; i++)
        m->blend.amounts[u->need[i]][p] = u->offer[i][profile].rate;
    m->blend.piece_n++;
    return true;
}

int mixed_begin(struct mixed *m, const struct needs *n, const struct fleet_use *uses,
                unsigned use_n, double part, struct error *err)
{
    memset(m, 0, sizeof *m);
    memset(m->piece, MIXED_NONE, sizeof m->piece);
    m->blend.n = n->n;
    for (unsigned s = 0; s < n->n; s++)
        m->blend.rate[s] = wanted(&n->all[s]) * part;
    for (unsigned g = 0; g < use_n; g++)
        for (unsigned p = 0; uses[g].table && p < BOARD_PROFILES; p++)
            if (table_mask(uses[g].table) >> p & 1 && of_use(&uses[g], p) &&
                !add_piece(m, &uses[g], g, p))
                return error_set(err, ERROR_UNSUPPORTED,
                                 "the boards have more than %d kinds of slices", COVER_PIECES);
    return 0;
}

void mixed_count(const struct mixed *m, unsigned group, const struct layout *l,
                 uint8_t ret[COVER_PIECES])
{
    for (unsigned i = 0; i < l->n; i++) {
        unsigned piece = m->piece[group][l->at[i].profile];
        if (piece != MIXED_NONE)
            ret[piece]++;
    }
}

/* What a group serves of one of its needs. */
static double served(const struct fleet_use *u, unsigned i)
{
    double all = 0;
    for (unsigned p = 0; p < BOARD_PROFILES; p++)
        all += u->plan.replicas[i][p] * u->offer[i][p].rate;
    return all;
}

void mixed_read(const struct mixed *m, const struct needs *n, struct fleet_use *uses,
                unsigned use_n, double part)
{
    double all[SERVE_MAX] = {0};
    for (unsigned g = 0; g < use_n; g++) {
        struct fleet_use *u = &uses[g];
        u->plan = (struct serve_plan){0};
        for (unsigned p = 0; p < BOARD_PROFILES; p++) {
            unsigned piece = m->piece[g][p];
            if (piece == MIXED_NONE)
                continue;
            for (unsigned i = 0; i < u->n; i++)
                u->plan.replicas[i][p] = m->plan.pieces[u->need[i]][piece];
        }
        for (unsigned i = 0; i < u->n; i++)
            all[u->need[i]] += served(u, i);
    }
    /* Each group does what is asked in the measure in which it could. */
    for (unsigned g = 0; g < use_n; g++)
        for (unsigned i = 0; i < uses[g].n; i++) {
            unsigned s = uses[g].need[i];
            double most = all[s] > 0 ? served(&uses[g], i) / all[s] : 0;
            uses[g].asked[i] = wanted(&n->all[s]) * part * most;
        }
}

/* ---- a fleet of empty GPUs ---- */

static int add_kinds(struct mixed *m, const struct fleet *f, const struct fleet_use *uses,
                     struct error *err)
{
    struct blend *b = &m->blend;
    for (unsigned g = 0; g < f->n; g++) {
        unsigned mix_n = 0;
        const struct table_mix *mixes = uses[g].table ? table_pareto(uses[g].table, &mix_n) : NULL;
        unsigned kind = b->kind_n;
        b->kinds[b->kind_n++] = (struct blend_kind){.count = f->groups[g].gpus};
        for (unsigned j = 0; j < mix_n; j++) {
            struct blend_column c = {.kind = (uint8_t)kind, .tag = (uint16_t)j};
            c.cost = (uint16_t)((f->groups[g].board.total_mib + 512) >> 10);
            mixed_count(m, g, table_layout(uses[g].table, mixes[j].layout), c.n);
            if (!blend_add(b, &c))
                return error_set(err, ERROR_UNSUPPORTED, "the boards have too many layouts");
        }
    }
    return 0;
}

/* From so many GPUs on, a part of all needs is planned well, not proved to be the largest. */
enum { QUICK = 32 };

static uint64_t gpus_of(const struct fleet *f)
{
    uint64_t all = 0;
    for (unsigned g = 0; g < f->n; g++)
        all += f->groups[g].gpus;
    return all;
}

static int solve(struct mixed *m, const struct fleet *f, const struct needs *n,
                 const struct fleet_use *uses, double part, struct error *err)
{
    int rc = mixed_begin(m, n, uses, f->n, part, err);
    m->blend.quick = part < 1 && gpus_of(f) > QUICK;
    rc = rc < 0 ? rc : add_kinds(m, f, uses, err);
    return rc < 0 ? rc : blend_solve(&m->blend, &m->plan, err);
}

/* The largest percentage of all needs that fits, planned; 0: nothing. */
static int solve_most(struct mixed *m, const struct fleet *f, const struct needs *n,
                      const struct fleet_use *uses, double *ret_part, struct error *err)
{
    unsigned low = 0, high = 100;
    int rc = 0;
    while (high - low > 1 && rc == 0) {
        unsigned middle = (low + high) / 2;
        rc = solve(m, f, n, uses, middle / 100.0, err);
        if (m->plan.fits)
            low = middle;
        else
            high = middle;
    }
    *ret_part = low / 100.0;
    return rc < 0 || low == 0 ? rc : solve(m, f, n, uses, *ret_part, err);
}

/* Moves the uses that have GPUs in the plan to the plan. */
static void take_uses(struct mixed *m, unsigned use_n, struct fleet_use *uses,
                      struct fleet_plan *ret)
{
    for (unsigned j = 0; j < m->blend.column_n; j++) {
        const struct blend_column *c = &m->blend.columns[j];
        uses[c->kind].plan.mixes[c->tag] = m->plan.times[j];
        uses[c->kind].plan.gpus += m->plan.times[j];
    }
    for (unsigned g = 0; g < use_n; g++) {
        if (!uses[g].plan.gpus)
            continue;
        ret->gpus += uses[g].plan.gpus;
        ret->uses[ret->n++] = uses[g];
        uses[g] = (struct fleet_use){0};
    }
}

int mixed_plan(const struct fleet *f, const struct needs *n, struct fleet_use *uses,
               struct fleet_plan *ret, struct error *err)
{
    AUTO_FREE struct mixed *m = malloc(sizeof *m);
    if (!m)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    int rc = solve(m, f, n, uses, 1, err);
    if (rc < 0)
        return rc;
    bool all = m->plan.fits, proved = m->plan.optimal;
    ret->part = 1;
    ret->bound = all ? m->plan.bound : 0;
    rc = all ? 0 : solve_most(m, f, n, uses, &ret->part, err);
    if (rc < 0)
        return rc;
    ret->mixed = true;
    ret->proved = proved;
    ret->searched = m->plan.searched;
    ret->smallest = m->plan.least;
    ret->proof = m->plan.proof;
    for (unsigned g = 0; g < f->n; g++)
        for (unsigned p = 0; p < BOARD_PROFILES; p++)
            if (m->piece[g][p] != MIXED_NONE)
                ret->price[g][p] = m->plan.proof.price[m->piece[g][p]];
    if (ret->part <= 0)
        return 0;
    mixed_read(m, n, uses, f->n, ret->part);
    take_uses(m, f->n, uses, ret);
    return 0;
}
