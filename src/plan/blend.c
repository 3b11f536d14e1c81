/* Prices and ways in turn, then a choice among ways; see blend.h.
 *
 * The same program is solved twice: for the fewest GPUs, where a service may also go unserved at a
 * cost that no plan reaches, and for the second measure with that number of GPUs as a limit. What
 * prices leave open is closed by a search: a way that costs more than the least by as much as a
 * plan may still be better cannot be part of a better plan, so all others are written down. */
#include "plan/blend.h"

#include "base/macro.h"
#include "plan/mip.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRICINGS = 80, /* of looking for better ways */
    NEW_WAYS = 3,  /* taken of a service in one pricing */
    NODES = 4000,  /* branches of one choice among ways */
    FEW = 32,      /* GPUs, of which single slices are worth a search */
};

static const double near_whole = 1e-6, least_price = 1e-6;

/* One way to serve a service, or a part of it. */
struct way {
    unsigned service;
    double part;
    struct cover cover;
};

struct work {
    const struct blend *b;
    struct blend_plan *out;
    bool second;     /* the second measure is what counts */
    bool slices;     /* ways are single slices, so many of each */
    uint32_t spare;  /* GPUs of each kind that are left out, to be room for rounding */
    double unserved; /* cost of a service that is not, on the first */
    double price[COVER_PIECES], fresh[COVER_PIECES], budget_price; /* of the last program */
    double bound;
    struct blend_proof proof;    /* of that bound */
    double prices[COVER_PIECES]; /* price + fresh where the bound is proved */
    struct mip_result relaxed, whole;
    struct cover_list list;
    double a[MIP_ROWS * MIP_COLS], b_[MIP_ROWS], c[MIP_COLS];
    bool parts[MIP_COLS], early[MIP_COLS];
    unsigned way_n;
    struct way ways[MIP_COLS];
};

static bool at_least(const uint8_t *a, const uint8_t *b)
{
    for (unsigned i = 0; i < COVER_PIECES; i++)
        if (a[i] < b[i])
            return false;
    return true;
}

static bool as_good(const struct blend_column *a, const struct blend_column *b)
{
    return a->kind == b->kind && a->cost <= b->cost && at_least(a->n, b->n) &&
           at_least(a->kept, b->kept);
}

bool blend_add(struct blend *b, const struct blend_column *c)
{
    unsigned kept = 0;
    for (unsigned j = 0; j < b->column_n; j++)
        if (as_good(&b->columns[j], c))
            return true;
    for (unsigned j = 0; j < b->column_n; j++)
        if (!as_good(c, &b->columns[j]))
            b->columns[kept++] = b->columns[j];
    b->column_n = kept;
    if (b->column_n == BLEND_COLUMNS)
        return false;
    b->columns[b->column_n++] = *c;
    return true;
}

/* ---- the program ---- */

static unsigned gpu_cost(const struct work *w, unsigned column)
{
    const struct blend_column *c = &w->b->columns[column];
    return w->second ? c->cost : !w->b->kinds[c->kind].free;
}

static bool counts_new(const struct work *w)
{
    return w->second && w->b->new_cost > 0;
}

/* Where columns and rows of each sort begin. GPUs come first; then new slices of each piece, or
 * services unserved; then ways. Rows: slices in use, those of them that are new, services, GPUs
 * there are, GPUs there may be. */
static unsigned new_at(const struct work *w)
{
    return w->b->column_n;
}

static unsigned ways_at(const struct work *w)
{
    return new_at(w) + (counts_new(w) ? w->b->piece_n : 0) + (w->second ? 0 : w->b->n);
}

static unsigned services_row(const struct work *w)
{
    return w->b->piece_n * (counts_new(w) ? 2 : 1);
}

static unsigned kinds_row(const struct work *w)
{
    return services_row(w) + w->b->n;
}

static void put_gpus(struct work *w, unsigned cols)
{
    const struct blend *b = w->b;
    unsigned kinds = kinds_row(w);
    for (unsigned j = 0; j < b->column_n; j++) {
        const struct blend_column *c = &b->columns[j];
        for (unsigned p = 0; p < b->piece_n; p++) {
            w->a[p * cols + j] = c->n[p];
            if (counts_new(w))
                w->a[(b->piece_n + p) * cols + j] = c->kept[p];
        }
        w->a[(kinds + c->kind) * cols + j] = -1;
        if (w->second)
            w->a[(kinds + b->kind_n) * cols + j] = b->kinds[c->kind].free ? 0 : -1;
        w->c[j] = gpu_cost(w, j);
    }
}

static struct mip program_of(struct work *w)
{
    const struct blend *b = w->b;
    unsigned cols = ways_at(w) + w->way_n, rows = kinds_row(w) + b->kind_n + w->second;
    memset(w->a, 0, sizeof *w->a * rows * cols);
    memset(w->b_, 0, sizeof w->b_);
    memset(w->c, 0, sizeof w->c);
    put_gpus(w, cols);
    for (unsigned p = 0; p < b->piece_n && counts_new(w); p++) {
        w->a[(b->piece_n + p) * cols + new_at(w) + p] = 1;
        w->c[new_at(w) + p] = b->new_cost;
    }
    for (unsigned s = 0; s < b->n && !w->second; s++) {
        w->a[(services_row(w) + s) * cols + new_at(w) + s] = 1;
        w->c[new_at(w) + s] = w->unserved;
    }
    for (unsigned i = 0; i < w->way_n; i++) {
        unsigned at = ways_at(w) + i;
        for (unsigned p = 0; p < b->piece_n; p++) {
            w->a[p * cols + at] = -(double)w->ways[i].cover.n[p];
            if (counts_new(w))
                w->a[(b->piece_n + p) * cols + at] = -(double)w->ways[i].cover.n[p];
        }
        w->a[(services_row(w) + w->ways[i].service) * cols + at] = w->ways[i].part;
    }
    for (unsigned s = 0; s < b->n; s++)
        w->b_[services_row(w) + s] = 1;
    for (unsigned k = 0; k < b->kind_n; k++)
        w->b_[kinds_row(w) + k] =
            -(double)(b->kinds[k].count - MIN(b->kinds[k].count / 2, w->spare));
    if (w->second)
        w->b_[kinds_row(w) + b->kind_n] = -(double)w->out->gpus;
    return (struct mip){.rows = rows, .cols = cols, .a = w->a, .b = w->b_, .c = w->c};
}

/* ---- ways and prices ---- */

static bool known(const struct work *w, unsigned service, const struct cover *c)
{
    for (unsigned i = 0; i < w->way_n; i++)
        if (w->ways[i].service == service && memcmp(w->ways[i].cover.n, c->n, sizeof c->n) == 0)
            return true;
    return false;
}

static bool add_way(struct work *w, unsigned service, const struct cover *c)
{
    if (known(w, service, c) || ways_at(w) + w->way_n + w->b->n >= MIP_COLS)
        return false;
    w->ways[w->way_n++] = (struct way){service, 1, *c};
    return true;
}

/* What a GPU of each kind is worth beyond its cost at the prices of pieces. */
static double set_rents(const struct work *w, struct blend_proof *proof)
{
    const struct blend *b = w->b;
    double sum = w->second ? w->budget_price * w->out->gpus : 0;
    memset(proof->rent, 0, sizeof proof->rent);
    for (unsigned j = 0; j < b->column_n; j++) {
        const struct blend_column *c = &b->columns[j];
        double worth = -(double)gpu_cost(w, j);
        if (w->second && !b->kinds[c->kind].free)
            worth -= w->budget_price;
        for (unsigned p = 0; p < b->piece_n; p++)
            worth += w->price[p] * c->n[p] + w->fresh[p] * c->kept[p];
        proof->rent[c->kind] = fmax(proof->rent[c->kind], worth);
    }
    for (unsigned k = 0; k < b->kind_n; k++)
        sum += proof->rent[k] * b->kinds[k].count;
    return sum;
}

/* Takes the cheapest ways of every service at the present prices, and notes the bound that they
 * prove. Returns how many of them are new. */
static unsigned add_ways(struct work *w, unsigned of_each)
{
    const struct blend *b = w->b;
    struct blend_proof proof = {0};
    double prices[COVER_PIECES];
    unsigned added = 0;
    for (unsigned p = 0; p < b->piece_n; p++)
        prices[p] = w->price[p] + w->fresh[p];
    memcpy(proof.price, w->price, sizeof proof.price);
    proof.sum = -set_rents(w, &proof);
    for (unsigned s = 0; s < b->n; s++) {
        unsigned before = added;
        cover_find(b->amounts[s], prices, b->piece_n, b->rate[s], of_each + 4, &w->list);
        proof.least[s] = w->list.bound;
        proof.sum += w->list.bound;
        for (unsigned i = 0; i < w->list.n && added - before < of_each; i++)
            added += add_way(w, s, &w->list.at[i]);
    }
    if (proof.sum > w->bound) {
        w->bound = proof.sum;
        w->proof = proof;
        memcpy(w->prices, prices, sizeof prices);
    }
    return added;
}

/* Lets go of the ways that the relaxed program makes no use of, where room runs out. */
static void drop_ways(struct work *w)
{
    unsigned kept = 0;
    if (ways_at(w) + w->way_n + w->b->n * (NEW_WAYS + 1) <= MIP_COLS)
        return;
    for (unsigned i = 0; i < w->way_n; i++)
        if (w->relaxed.x[ways_at(w) + i] > 1e-9) {
            w->relaxed.x[ways_at(w) + kept] = w->relaxed.x[ways_at(w) + i];
            w->ways[kept++] = w->ways[i];
        }
    for (unsigned i = kept; i < w->way_n; i++)
        w->relaxed.x[ways_at(w) + i] = 0;
    w->way_n = kept;
}

/* Ways to begin with: over all boards, and over each of them alone. */
static void first_ways(struct work *w)
{
    const struct blend *b = w->b;
    unsigned boards = 0;
    for (unsigned p = 0; p < b->piece_n; p++)
        boards = MAX(boards, b->board[p] + 1u);
    for (unsigned only = 0; only <= boards; only++) {
        for (unsigned p = 0; p < b->piece_n; p++)
            w->price[p] = b->size[p] * (only < boards && b->board[p] != only ? 1000 : 1);
        (void)add_ways(w, 1);
    }
}

static void read_prices(struct work *w)
{
    const struct blend *b = w->b;
    for (unsigned p = 0; p < b->piece_n; p++) {
        w->price[p] = fmax(w->relaxed.price[p], least_price);
        w->fresh[p] =
            counts_new(w) ? fmin(w->relaxed.price[b->piece_n + p], (double)b->new_cost) : 0;
    }
    w->budget_price = w->second ? w->relaxed.price[kinds_row(w) + b->kind_n] : 0;
}

/* Finds ways and prices in turn, until no new way would help. */
static int find_ways(struct work *w, struct error *err)
{
    memset(w->parts, true, sizeof w->parts);
    for (unsigned turn = 0; turn < PRICINGS; turn++) {
        struct mip m = program_of(w);
        m.continuous = w->parts;
        int rc = mip_solve(&m, &w->relaxed, err);
        if (rc < 0)
            return rc;
        if (w->relaxed.state != MIP_OPTIMAL)
            return 0;
        read_prices(w);
        drop_ways(w);
        if (add_ways(w, NEW_WAYS) == 0 || w->relaxed.cost <= w->bound + near_whole)
            break;
    }
    return 0;
}

/* ---- the choice among ways ---- */

static bool has_plan(const struct work *w)
{
    return w->second || w->out->fits;
}

static double value_of(const struct work *w)
{
    return w->second ? w->out->second : w->out->gpus;
}

static uint32_t whole_bound(const struct work *w)
{
    return (uint32_t)fmin(ceil(fmax(w->bound, 0) - near_whole), 4e9);
}

/* Takes the whole solution, if it serves all and is better than what is known. */
static void keep_plan(struct work *w)
{
    const struct blend *b = w->b;
    const double *x = w->whole.x;
    double cost = w->whole.cost;
    if ((w->whole.state != MIP_OPTIMAL && w->whole.state != MIP_FEASIBLE) ||
        (has_plan(w) && cost > value_of(w) - 0.5))
        return;
    if (w->second)
        w->out->second = (uint32_t)lround(cost);
    else
        w->out->gpus = (uint32_t)lround(cost);
    w->out->fits = true;
    for (unsigned j = 0; j < b->column_n; j++)
        w->out->times[j] = (uint32_t)lround(x[j]);
    memset(w->out->pieces, 0, sizeof w->out->pieces);
    /* More than one way of a service is more than it needs; the first will do. */
    uint32_t served = 0;
    for (unsigned i = 0; i < w->way_n; i++) {
        const struct way *way = &w->ways[i];
        uint32_t n = (uint32_t)lround(x[ways_at(w) + i]);
        if (!n || (!w->slices && served >> way->service & 1))
            continue;
        served |= 1u << way->service;
        for (unsigned p = 0; p < b->piece_n; p++)
            w->out->pieces[way->service][p] += (w->slices ? n : 1) * way->cover.n[p];
    }
}

static int choose(struct work *w, uint64_t node_max, struct error *err)
{
    struct mip m = program_of(w);
    m.whole_cost = true;
    m.node_max = node_max;
    m.early = w->early;
    memset(w->early, false, sizeof w->early);
    memset(w->early + ways_at(w), true, w->way_n * sizeof *w->early);
    for (unsigned s = 0; s < w->b->n && !w->second; s++) /* all are to be served */
        w->a[(services_row(w) + s) * m.cols + new_at(w) + s] = 0;
    int rc = mip_solve(&m, &w->whole, err);
    w->out->nodes += w->whole.nodes;
    if (rc == 0)
        keep_plan(w);
    return rc;
}

static void swap_ways(struct work *w, unsigned i, unsigned j)
{
    struct way way = w->ways[i];
    double *x = w->relaxed.x + ways_at(w), share = x[i];
    w->ways[i] = w->ways[j];
    w->ways[j] = way;
    x[i] = x[j];
    x[j] = share;
}

/* A plan at once: of every service the way that the relaxed program has most of, on the fewest GPUs
 * that hold these. */
static int round_off(struct work *w, struct error *err)
{
    unsigned kept = 0;
    for (unsigned s = 0; s < w->b->n; s++) {
        int most = -1;
        for (unsigned i = kept; i < w->way_n; i++)
            if (w->ways[i].service == s &&
                (most < 0 ||
                 w->relaxed.x[ways_at(w) + i] > w->relaxed.x[ways_at(w) + (unsigned)most]))
                most = (int)i;
        if (most < 0)
            return 0;
        swap_ways(w, kept++, (unsigned)most);
    }
    unsigned all = w->way_n;
    w->way_n = kept;
    int rc = choose(w, NODES / 8, err);
    w->way_n = all;
    return rc;
}

/* Ways, and a plan of them. Where kinds are used up to the last GPU, what is rounded has no room:
 * ways are then looked for that leave some. */
static int first_plan(struct work *w, struct error *err)
{
    int rc = 0;
    for (unsigned turn = 0; turn < 5 && rc == 0; turn++) {
        w->spare = turn ? 1u << turn >> 1 : 0;
        rc = find_ways(w, err);
        w->spare = 0;
        if (rc == 0 && w->relaxed.state == MIP_OPTIMAL)
            rc = round_off(w, err);
        if (has_plan(w) || w->bound > w->unserved / 10)
            break;
    }
    return rc;
}

/* Writes down all ways that a better plan could hold. False if there is no room for them, or they
 * could not all be found. */
static bool all_ways(struct work *w, double better_by)
{
    const struct blend *b = w->b;
    for (unsigned s = 0; s < b->n; s++) {
        cover_find(b->amounts[s], w->prices, b->piece_n, b->rate[s], COVER_ROOM, &w->list);
        const struct cover_list *l = &w->list;
        double most = w->proof.least[s] + better_by + near_whole;
        if (!l->all || l->n == 0 || (l->n == COVER_ROOM && l->at[l->n - 1].price <= most))
            return false;
        for (unsigned i = 0; i < l->n && l->at[i].price <= most; i++)
            if (!known(w, s, &l->at[i]) && !add_way(w, s, &l->at[i]))
                return false;
    }
    return true;
}

/* Single slices in place of ways: a poor program to prove by, but it leaves nothing out. False if
 * there is no room for it, or there are too many GPUs for it to come to an end. */
static bool single_slices(struct work *w)
{
    const struct blend *b = w->b;
    uint64_t gpus = 0;
    for (unsigned k = 0; k < b->kind_n; k++)
        gpus += b->kinds[k].count;
    if (gpus > FEW)
        return false;
    w->way_n = 0;
    for (unsigned s = 0; s < b->n; s++)
        for (unsigned p = 0; p < b->piece_n; p++) {
            if (b->amounts[s][p] <= 0)
                continue;
            if (ways_at(w) + w->way_n == MIP_COLS)
                return false;
            struct way *way = &w->ways[w->way_n++];
            *way = (struct way){s, fmin(b->amounts[s][p] / b->rate[s], 1), {0}};
            way->cover.n[p] = 1;
        }
    w->slices = true;
    return true;
}

/* What prices leave open, looked through. */
static int search(struct work *w, double better_by, bool *ret_proved, struct error *err)
{
    int rc = 0;
    if (all_ways(w, better_by)) {
        rc = choose(w, w->second ? NODES / 2 : 5 * NODES, err);
        *ret_proved = w->whole.state == MIP_OPTIMAL || w->whole.state == MIP_INFEASIBLE;
    }
    if (rc == 0 && !*ret_proved && single_slices(w)) {
        rc = choose(w, NODES, err);
        *ret_proved = w->whole.state == MIP_OPTIMAL || w->whole.state == MIP_INFEASIBLE;
    }
    w->out->searched = w->out->searched || (*ret_proved && !w->second);
    return rc;
}

/* Solves for one of the measures. *ret_proved if nothing is better. */
static int solve(struct work *w, bool *ret_proved, struct error *err)
{
    int rc = first_plan(w, err);
    unsigned used = ways_at(w) + w->way_n;
    unsigned room = used < MIP_COLS ? (MIP_COLS - used) / w->b->n / 3 : 0;
    *ret_proved = false;
    if (rc < 0)
        return rc;
    memcpy(w->price, w->proof.price, sizeof w->price);
    for (unsigned p = 0; p < w->b->piece_n; p++)
        w->fresh[p] = w->prices[p] - w->price[p];
    (void)add_ways(w, MIN(room, 8u));
    if (!has_plan(w) || value_of(w) > whole_bound(w))
        rc = choose(w, w->b->quick ? NODES / 8 : NODES, err);
    double all = w->second ? 4e9 : w->unserved / 10 - 1; /* what no plan is above */
    *ret_proved = has_plan(w) ? value_of(w) <= whole_bound(w) : w->bound > all + near_whole;
    if (rc < 0 || *ret_proved || w->b->quick)
        return rc;
    return search(w, (has_plan(w) ? value_of(w) - 1 : all) - w->bound, ret_proved, err);
}

static void begin(struct work *w, bool second)
{
    w->second = second;
    if (w->slices)
        w->way_n = 0;
    w->slices = false;
    w->bound = -HUGE_VAL;
    w->proof = (struct blend_proof){0};
    w->budget_price = 0;
    memset(w->fresh, 0, sizeof w->fresh);
    memset(w->prices, 0, sizeof w->prices);
}

/* What the plan found costs by the second measure. */
static uint32_t second_cost(const struct blend *b, const struct blend_plan *plan)
{
    uint32_t cost = 0;
    for (unsigned j = 0; j < b->column_n; j++)
        cost += plan->times[j] * b->columns[j].cost;
    for (unsigned p = 0; p < b->piece_n; p++) {
        uint32_t used = 0, kept = 0;
        for (unsigned s = 0; s < b->n; s++)
            used += plan->pieces[s][p];
        for (unsigned j = 0; j < b->column_n; j++)
            kept += plan->times[j] * b->columns[j].kept[p];
        cost += b->new_cost * (used > kept ? used - kept : 0);
    }
    return cost;
}

static int solve_second(struct work *w, struct error *err)
{
    bool proved;
    begin(w, true);
    w->out->second = second_cost(w->b, w->out);
    for (unsigned s = 0; s < w->b->n; s++) { /* so that there is a plan to begin with */
        struct cover c = {0};
        memcpy(c.n, w->out->pieces[s], sizeof c.n);
        (void)add_way(w, s, &c);
    }
    int rc = solve(w, &proved, err);
    w->out->least = proved;
    w->out->second_bound = proved ? w->out->second : whole_bound(w);
    return rc;
}

int blend_solve(const struct blend *b, struct blend_plan *ret, struct error *err)
{
    bool proved;
    double all = 0;
    memset(ret, 0, sizeof *ret);
    if (b->n == 0 || b->n > SERVE_MAX || b->kind_n > BLEND_KINDS || b->piece_n > COVER_PIECES ||
        b->column_n == 0 || 2 * b->piece_n + b->n + b->kind_n + 1 > MIP_ROWS)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%u services on %u kinds of GPUs are too much for one plan", b->n,
                         b->kind_n);
    AUTO_FREE struct work *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the plan");
    w->b = b;
    w->out = ret;
    for (unsigned k = 0; k < b->kind_n; k++)
        all += b->kinds[k].free ? 0 : b->kinds[k].count;
    w->unserved = 10 * (all + 1);
    begin(w, false);
    first_ways(w);
    int rc = solve(w, &proved, err);
    if (rc < 0)
        return rc;
    ret->optimal = proved;
    ret->proof = w->proof;
    ret->bound = proved && ret->fits ? ret->gpus : whole_bound(w);
    return ret->fits ? solve_second(w, err) : 0;
}
