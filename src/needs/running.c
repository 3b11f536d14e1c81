/* The machine as it is, as the program of plan/blend.h; see running.h.
 *
 * GPUs on which the same stands are one kind. A column of it is a layout that holds all that stays;
 * it costs what it destroys, and new slices cost where they are in use. So the second measure of
 * the program is the number of changes. */
#include "needs/running.h"

#include "needs/mixed.h"
#include "plan/reshape.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

struct job {
    const struct running *r;
    struct running_plan *out;
    struct fleet_use uses[MACHINE_BOARDS];
    bool leases_serve, repack;
    bool coarse; /* not all layouts are columns */
    uint8_t kind[MACHINE_GPUS];
    uint8_t first[BLEND_KINDS]; /* GPU of each kind */
    struct mixed m;
};

static bool same_layout(const struct layout *a, const struct layout *b)
{
    return a->n == b->n && memcmp(a->at, b->at, a->n * sizeof a->at[0]) == 0;
}

static bool alike(const struct running_gpu *a, const struct running_gpu *b)
{
    return a->group == b->group && a->in_use == b->in_use && a->mode == b->mode &&
           same_layout(&a->stays, &b->stays) && same_layout(&a->idle, &b->idle);
}

/* How many placements of `part` are in `l`; a bit for each in *ret_set. */
static unsigned common(const struct layout *l, const struct layout *part, unsigned *ret_set)
{
    unsigned n = 0;
    *ret_set = 0;
    for (unsigned i = 0; i < part->n; i++) {
        int at = layout_index(l, part->at[i].start);
        bool there = at >= 0 && l->at[at].profile == part->at[i].profile;
        n += there;
        *ret_set |= (unsigned)there << i;
    }
    return n;
}

static struct layout subset(const struct layout *l, unsigned set)
{
    struct layout s = {0};
    for (unsigned i = 0; i < l->n; i++)
        if (set >> i & 1)
            s.at[s.n++] = l->at[i];
    return s;
}

/* Adds the column of a layout, if it is one. False if there is no room. */
static bool add_layout(struct job *j, unsigned kind, unsigned id)
{
    const struct running_gpu *g = &j->r->gpus[j->first[kind]];
    const struct layout *l = table_layout(j->uses[g->group].table, id);
    struct blend_column c = {.kind = (uint8_t)kind, .tag = (uint16_t)id};
    unsigned stays, idle;
    uint8_t held[COVER_PIECES] = {0};
    if (common(l, &g->stays, &stays) < g->stays.n)
        return true;
    unsigned kept = common(l, &g->idle, &idle);
    if (j->coarse && kept > 0 && kept < g->idle.n)
        return true;
    struct layout old = subset(&g->idle, idle);
    mixed_count(&j->m, g->group, l, c.n);
    mixed_count(&j->m, g->group, &old, c.kept);
    mixed_count(&j->m, g->group, &g->stays, held);
    for (unsigned p = 0; p < COVER_PIECES; p++) {
        c.n[p] = (uint8_t)(c.n[p] - (j->leases_serve ? 0 : held[p]));
        c.kept[p] = (uint8_t)(c.kept[p] + (j->leases_serve ? held[p] : 0));
    }
    c.cost = (uint16_t)((j->repack ? 0 : g->idle.n - kept) + g->mode);
    return blend_add(&j->m.blend, &c);
}

static int add_kinds(struct job *j, struct error *err)
{
    struct blend *b = &j->m.blend;
    b->kind_n = 0;
    b->column_n = 0;
    for (unsigned i = 0; i < j->r->n; i++) {
        const struct running_gpu *g = &j->r->gpus[i];
        unsigned k = 0;
        if (g->off)
            continue;
        while (k < b->kind_n && !alike(g, &j->r->gpus[j->first[k]]))
            k++;
        j->kind[i] = (uint8_t)k;
        if (k < b->kind_n) {
            b->kinds[k].count++;
            continue;
        }
        if (b->kind_n == BLEND_KINDS)
            return error_set(err, ERROR_UNSUPPORTED, "the GPUs are of too many kinds");
        j->first[k] = (uint8_t)i;
        b->kinds[b->kind_n++] =
            (struct blend_kind){.count = 1, .free = j->repack ? g->stays.n > 0 : g->in_use};
    }
    for (unsigned k = 0; k < b->kind_n; k++) {
        const struct table *t = j->uses[j->r->gpus[j->first[k]].group].table;
        for (unsigned id = 0; id < table_n(t); id++)
            if (!add_layout(j, k, id))
                return error_set(err, ERROR_UNSUPPORTED, "the GPUs are cut in too many ways");
    }
    return 0;
}

static int solve(struct job *j, struct error *err)
{
    j->coarse = false;
    int rc = add_kinds(j, err);
    if (rc == -ERROR_UNSUPPORTED) {
        j->coarse = true;
        rc = add_kinds(j, err);
    }
    if (rc == 0 && j->m.blend.column_n == 0)
        rc = error_set(err, ERROR_NEVER, "no GPU of this machine can be planned now");
    j->m.blend.new_cost = 1;
    return rc < 0 ? rc : blend_solve(&j->m.blend, &j->m.plan, err);
}

/* ---- from columns to GPUs ---- */

/* New slices in use, by piece: those that nothing kept serves. */
static void count_new(const struct job *j, uint32_t ret[COVER_PIECES])
{
    const struct blend *b = &j->m.blend;
    for (unsigned p = 0; p < COVER_PIECES; p++) {
        uint32_t used = 0, kept = 0;
        for (unsigned s = 0; s < b->n; s++)
            used += j->m.plan.pieces[s][p];
        for (unsigned c = 0; c < b->column_n; c++)
            kept += j->m.plan.times[c] * b->columns[c].kept[p];
        ret[p] = used > kept ? used - kept : 0;
    }
}

/* What the GPU is to hold: what stays, what is kept, and as much that is new as is still needed. */
static void set_target(struct job *j, unsigned gpu, const struct layout *column,
                       uint32_t new[COVER_PIECES])
{
    const struct running_gpu *g = &j->r->gpus[gpu];
    const struct board *b = table_board(j->uses[g->group].table);
    struct running_target *t = &j->out->gpus[gpu];
    uint8_t count[BOARD_PROFILES] = {0};
    unsigned stays, idle;
    (void)common(column, &g->stays, &stays);
    (void)common(column, &g->idle, &idle);
    for (unsigned i = 0; i < column->n; i++) {
        struct layout one = {.n = 1, .at = {column->at[i]}};
        unsigned piece = j->m.piece[g->group][one.at[0].profile], set;
        if (common(&g->stays, &one, &set) || common(&g->idle, &one, &set)) {
            count[one.at[0].profile]++;
        } else if (piece != MIXED_NONE && new[piece] > 0) {
            new[piece]--;
            count[one.at[0].profile]++;
        }
    }
    t->planned = true;
    if (!reshape_least(b, &g->stays, &g->idle, count, &t->to))
        t->to = *column; /* cannot be: the column less some of it is such a layout */
    unsigned kept = common(&t->to, &g->idle, &idle);
    t->kept = g->stays.n + kept;
    t->created = t->to.n - t->kept;
    t->destroyed = g->idle.n - kept;
    j->out->changes += t->created + (j->repack ? 0 : t->destroyed) + g->mode;
}

static void set_targets(struct job *j)
{
    uint32_t new[COVER_PIECES];
    unsigned gpu[BLEND_KINDS] = {0};
    const struct blend *b = &j->m.blend;
    count_new(j, new);
    for (unsigned c = 0; c < b->column_n; c++) {
        unsigned k = b->columns[c].kind;
        for (uint32_t n = 0; n < j->m.plan.times[c]; n++) {
            while (j->r->gpus[gpu[k]].off || j->kind[gpu[k]] != k)
                gpu[k]++;
            unsigned group = j->r->gpus[gpu[k]].group;
            set_target(j, gpu[k]++, table_layout(j->uses[group].table, b->columns[c].tag), new);
        }
    }
}

static void finish(struct job *j)
{
    struct running_plan *out = j->out;
    out->changes = 0;
    for (unsigned i = 0; i < j->r->n; i++) {
        out->gpus[i] = (struct running_target){.to = j->r->gpus[i].stays};
        out->gpus[i].destroyed = j->repack ? j->r->gpus[i].idle.n : 0;
    }
    set_targets(j);
    out->plan.gpus = j->m.plan.gpus;
    out->plan.bound = j->m.plan.bound;
    out->plan.proved = j->m.plan.optimal && !j->coarse;
    out->least = j->m.plan.least && j->m.plan.optimal && !j->coarse;
    out->changes_bound = j->coarse ? 0 : MIN(j->m.plan.second_bound, out->changes);
}

static struct job *job_new(const struct running *r, struct running_plan *out, struct error *err)
{
    struct job *j = calloc(1, sizeof *j);
    *out = (struct running_plan){.plan.uses = calloc(MACHINE_BOARDS, sizeof *out->plan.uses)};
    if (!j || !out->plan.uses) {
        free(j);
        error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
        return NULL;
    }
    j->r = r;
    j->out = out;
    for (unsigned i = 0; i < r->n; i++)
        out->in_use += r->gpus[i].in_use;
    return j;
}

static void job_free(struct job *j)
{
    fleet_end(j->uses, MACHINE_BOARDS);
    free(j);
}

/* The largest percentage of all needs that fits, if any. */
static int solve_part(struct job *j, const struct needs *n, struct error *err)
{
    unsigned low = 0, high = 101, next = 100;
    int rc = 0;
    while (rc == 0 && high - low > 1) {
        rc = mixed_begin(&j->m, n, j->uses, j->r->fleet.n, next / 100.0, err);
        rc = rc < 0 ? rc : solve(j, err);
        if (rc == 0 && next == 100)
            j->out->plan.proved = j->m.plan.optimal && !j->coarse;
        if (j->m.plan.fits)
            low = next;
        else
            high = next;
        next = (low + high) / 2;
    }
    j->out->plan.part = low / 100.0;
    if (rc < 0 || low == 0)
        return rc;
    bool proved = j->out->plan.proved;
    rc = mixed_begin(&j->m, n, j->uses, j->r->fleet.n, low / 100.0, err);
    rc = rc < 0 ? rc : solve(j, err);
    if (rc < 0)
        return rc;
    mixed_read(&j->m, n, j->uses, j->r->fleet.n, low / 100.0);
    finish(j);
    j->out->plan.proved = proved;
    return 0;
}

int running_solve(const struct running *r, const struct needs *n, bool leases_serve,
                  struct running_plan *ret, struct error *err)
{
    struct job *j = job_new(r, ret, err);
    if (!j)
        return -ERROR_NO_MEMORY;
    j->leases_serve = leases_serve;
    int rc = fleet_begin(&r->fleet, n, j->uses, err);
    rc = rc < 0 ? rc : solve_part(j, n, err);
    for (unsigned g = 0; rc == 0 && g < r->fleet.n; g++) {
        ret->plan.uses[ret->plan.n++] = j->uses[g];
        j->uses[g] = (struct fleet_use){0};
    }
    job_free(j);
    return rc;
}

/* What may move as services of its own, each of one profile of one board. */
static int movable_pieces(struct job *j, struct error *err)
{
    struct blend *b = &j->m.blend;
    memset(&j->m, 0, sizeof j->m);
    memset(j->m.piece, MIXED_NONE, sizeof j->m.piece);
    for (unsigned i = 0; i < j->r->n; i++) {
        const struct running_gpu *g = &j->r->gpus[i];
        const struct board *board = &j->r->fleet.groups[g->group].board;
        for (unsigned k = 0; !g->off && k < g->idle.n; k++) {
            uint8_t *piece = &j->m.piece[g->group][g->idle.at[k].profile];
            const struct profile *p = &board->profiles[g->idle.at[k].profile];
            if (*piece == MIXED_NONE && b->piece_n == COVER_PIECES)
                return error_set(err, ERROR_UNSUPPORTED,
                                 "what may move is of more than %d profiles", COVER_PIECES);
            if (*piece == MIXED_NONE) {
                *piece = (uint8_t)b->piece_n++;
                b->size[*piece] = (p->compute + 0.01) / board->compute_slices;
                b->board[*piece] = g->group;
                b->amounts[*piece][*piece] = 1;
            }
            b->rate[*piece]++;
        }
    }
    b->n = b->piece_n;
    return 0;
}

int running_repack(const struct running *r, struct running_plan *ret, struct error *err)
{
    static const struct needs nothing;
    struct job *j = job_new(r, ret, err);
    if (!j)
        return -ERROR_NO_MEMORY;
    j->repack = true;
    int rc = fleet_begin(&r->fleet, &nothing, j->uses, err);
    rc = rc < 0 ? rc : movable_pieces(j, err);
    ret->plan.part = 1;
    ret->plan.proved = ret->least = true;
    if (rc == 0 && j->m.blend.n) {
        rc = solve(j, err);
        if (rc == 0 && !j->m.plan.fits)
            rc = error_set(err, ERROR_UNSUPPORTED, "the search for a plan found none in its time");
        if (rc == 0)
            finish(j);
    }
    job_free(j);
    return rc;
}

void running_done(struct running_plan *p)
{
    fleet_done(&p->plan);
}
