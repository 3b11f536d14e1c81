/* Services onto the fewest GPUs; see serve.h.
 *
 * A column is one GPU cut to a mix, at the cost of one, or one whole way to serve one service: so
 * many slices of each profile. Rows: no more slices of a profile in use than the mixes hold; every
 * service in one way. There are too many ways to write down, so those that would help at the
 * present prices of slices are added (cover.h finds them) until none would. What the cheapest ways
 * cost together at such prices is a bound that anybody can check, and a much better one than a
 * program in which half a slice may serve half a rate.
 *
 * The ways at hand, each whole, make a start; from there a few services at a time are emptied and
 * filled again. If that does not end at the bound, branch and bound over the ways decides. */
#include "plan/serve.h"

#include "plan/cover.h"
#include "plan/mip.h"

#include "base/macro.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECES = 3,     /* most slices put in to fill the rest of one rate */
    ROUNDS = 30000, /* of emptying and filling again */
    PRICINGS = 60,  /* of looking for better ways */
    NEW_WAYS = 3,   /* taken of a service in one pricing */
    NODES = 3000,   /* branches of the choice among ways */
};

/* One way to serve a service. */
struct way {
    unsigned service;
    struct cover cover;
};

struct program {
    const struct pack *pack;
    const struct table *table;
    const struct serve_service *services;
    unsigned n, mix_n, profile_n;
    const struct table_mix *mixes;
    uint8_t profiles[BOARD_PROFILES];        /* of the table's mask */
    double amounts[SERVE_MAX][COVER_PIECES]; /* by place in profiles */
    double price[COVER_PIECES];              /* GPUs one slice of each profile is worth */
    double proof[COVER_PIECES];              /* the prices of the best bound */
    double bound;
    unsigned way_n;
    struct way ways[MIP_COLS];
    struct cover_list list;
    struct mip_result relaxed, whole;
    double a[MIP_ROWS * MIP_COLS], b[MIP_ROWS], c[MIP_COLS];
    bool parts[MIP_COLS];
    struct rng rng; /* of a fixed seed: the same question has the same answer */
    uint64_t nodes;
    uint32_t best; /* GPUs of the best whole solution so far */
};

/* Slices of each profile for each service, and how many of each profile in all. */
struct trial {
    uint32_t y[SERVE_MAX][BOARD_PROFILES]; /* by place in program.profiles */
    struct pack_demand d;
    uint32_t gpus;
    double worth; /* of its slices, in GPUs */
};

static double served(const struct program *p, unsigned service, unsigned k)
{
    return p->amounts[service][k];
}

/* The cost of the dearest mix at the prices: above 1, they are too high by so much. */
static double dearest(const struct program *p, const double *price)
{
    double most = 0;
    for (unsigned j = 0; j < p->mix_n; j++) {
        double sum = 0;
        for (unsigned k = 0; k < p->profile_n; k++)
            sum += price[k] * p->mixes[j].n[p->profiles[k]];
        most = fmax(most, sum);
    }
    return most;
}

static bool known(const struct program *p, unsigned service, const struct cover *c)
{
    for (unsigned i = 0; i < p->way_n; i++)
        if (p->ways[i].service == service && memcmp(p->ways[i].cover.n, c->n, sizeof c->n) == 0)
            return true;
    return false;
}

/* Lets go of the ways that the relaxed program makes no use of, where room runs out. */
static void drop_ways(struct program *p)
{
    unsigned kept = 0;
    if (p->mix_n + p->way_n + p->n * NEW_WAYS <= MIP_COLS)
        return;
    for (unsigned i = 0; i < p->way_n; i++)
        if (p->relaxed.x[p->mix_n + i] > 1e-9)
            p->ways[kept++] = p->ways[i];
    p->way_n = kept;
}

/* Takes the cheapest ways of every service at the present prices, and notes the bound that they
 * prove. Returns how many of them are new. */
static unsigned add_ways(struct program *p, unsigned of_each)
{
    unsigned added = 0;
    double bound = 0;
    for (unsigned s = 0; s < p->n; s++) {
        unsigned before = added;
        cover_find(p->amounts[s], p->price, p->profile_n, p->services[s].rate, of_each + 4,
                   &p->list);
        bound += p->list.bound;
        for (unsigned i = 0; i < p->list.n && added - before < of_each; i++) {
            if (p->mix_n + p->way_n >= MIP_COLS || known(p, s, &p->list.at[i]))
                continue;
            p->ways[p->way_n++] = (struct way){s, p->list.at[i]};
            added++;
        }
    }
    if (bound > p->bound) {
        p->bound = bound;
        memcpy(p->proof, p->price, sizeof p->proof);
    }
    return added;
}

/* The program of mixes and the ways known so far. */
static struct mip program_of(struct program *p)
{
    unsigned cols = p->mix_n + p->way_n, rows = p->profile_n + p->n;
    memset(p->a, 0, sizeof *p->a * rows * cols);
    memset(p->c, 0, sizeof p->c);
    for (unsigned j = 0; j < p->mix_n; j++) {
        for (unsigned k = 0; k < p->profile_n; k++)
            p->a[k * cols + j] = p->mixes[j].n[p->profiles[k]];
        p->c[j] = 1;
    }
    for (unsigned i = 0; i < p->way_n; i++) {
        const struct way *w = &p->ways[i];
        for (unsigned k = 0; k < p->profile_n; k++)
            p->a[k * cols + p->mix_n + i] = -(double)w->cover.n[k];
        p->a[(p->profile_n + w->service) * cols + p->mix_n + i] = 1;
    }
    for (unsigned i = 0; i < rows; i++)
        p->b[i] = i >= p->profile_n;
    return (struct mip){.rows = rows, .cols = cols, .a = p->a, .b = p->b, .c = p->c};
}

/* Finds ways and prices in turn, until no new way would help. */
static int find_ways(struct program *p, struct error *err)
{
    const struct board *b = table_board(p->table);
    for (unsigned k = 0; k < p->profile_n; k++)
        p->price[k] = b->profiles[p->profiles[k]].compute + 0.01;
    memset(p->parts, true, sizeof p->parts);
    for (unsigned turn = 0; turn < PRICINGS; turn++) {
        double over = dearest(p, p->price);
        for (unsigned k = 0; k < p->profile_n; k++)
            p->price[k] /= turn == 0 || over > 1 ? over : 1;
        if (add_ways(p, NEW_WAYS) == 0)
            break;
        struct mip m = program_of(p);
        m.continuous = p->parts;
        int rc = mip_solve(&m, &p->relaxed, err);
        if (rc < 0)
            return rc;
        bool solved = p->relaxed.state == MIP_OPTIMAL;
        if (solved && p->relaxed.cost <= p->bound + 1e-6)
            break;
        for (unsigned k = 0; k < p->profile_n; k++)
            p->price[k] = fmax(p->relaxed.price[k], 1e-4);
        if (solved)
            drop_ways(p);
    }
    return 0;
}

/* What may be put in for a rest: up to PIECES profiles, told as a sorted list. */
struct filling {
    uint8_t n, k[PIECES];
};

/* The next list after `f` in order of length, then of contents; false after the last. */
static bool next_filling(const struct program *p, struct filling *f)
{
    unsigned i = f->n;
    while (i > 0 && f->k[i - 1] + 1u == p->profile_n)
        i--;
    if (i == 0) {
        f->n++;
        memset(f->k, 0, sizeof f->k);
        return f->n <= PIECES;
    }
    uint8_t k = (uint8_t)(f->k[i - 1] + 1);
    for (unsigned j = i - 1; j < f->n; j++)
        f->k[j] = k;
    return true;
}

/* A number of 0..1. */
static double chance(struct program *p)
{
    return (double)(rng_next(&p->rng) >> 11) * 0x1p-53;
}

/* The filling that serves `rest` with slices worth least, give or take a little by chance, so that
 * a search does not stand still. */
static bool best_filling(struct program *p, unsigned service, double rest, double give_or_take,
                         struct filling *ret)
{
    double least = HUGE_VAL;
    struct filling f = {.n = 1};
    do {
        double sum = 0, worth = give_or_take * chance(p);
        for (unsigned i = 0; i < f.n; i++) {
            sum += served(p, service, f.k[i]);
            worth += p->price[f.k[i]];
        }
        if (sum >= rest && worth < least) {
            least = worth;
            *ret = f;
        }
    } while (next_filling(p, &f));
    return least < HUGE_VAL;
}

static void put(const struct program *p, struct trial *t, unsigned service, unsigned k, int32_t n)
{
    t->y[service][k] += (uint32_t)n;
    t->d.n[p->profiles[k]] += (uint32_t)n;
    t->worth += n * p->price[k];
}

/* Puts in slices of the profile that serves most for its worth, until a filling can do the rest,
 * which is returned. */
static double fill_bulk(const struct program *p, struct trial *t, unsigned service, double rest)
{
    unsigned best = 0;
    double most = 0;
    for (unsigned k = 0; k < p->profile_n; k++) {
        most = MAX(most, served(p, service, k));
        if (served(p, service, k) * p->price[best] > served(p, service, best) * p->price[k])
            best = k;
    }
    double by = served(p, service, best);
    double times = ceil((rest - most * (PIECES - 1)) / by);
    if (times <= 0)
        return rest;
    put(p, t, service, best, (int32_t)times);
    return rest - times * by;
}

static bool fill_service(struct program *p, struct trial *t, unsigned s, double give_or_take)
{
    struct filling f = {0};
    double rest = p->services[s].rate;
    for (unsigned k = 0; k < p->profile_n; k++)
        rest -= t->y[s][k] * served(p, s, k);
    if (rest <= 1e-9 * p->services[s].rate)
        return true;
    rest = fill_bulk(p, t, s, rest);
    if (rest <= 0)
        return true;
    if (!best_filling(p, s, rest, give_or_take, &f))
        return false;
    for (unsigned i = 0; i < f.n; i++)
        put(p, t, s, f.k[i], 1);
    return true;
}

static bool count_gpus(const struct program *p, struct trial *t)
{
    return pack_fewest(p->pack, &t->d, &t->gpus, NULL, NULL) == 0;
}

/* Every service in the way that the relaxed program has most of. */
static bool trial_from(struct program *p, const double *x, struct trial *t)
{
    *t = (struct trial){0};
    for (unsigned s = 0; s < p->n; s++) {
        const struct way *most = NULL;
        double share = -1;
        for (unsigned i = 0; i < p->way_n; i++) {
            if (p->ways[i].service != s || x[p->mix_n + i] <= share)
                continue;
            most = &p->ways[i];
            share = x[p->mix_n + i];
        }
        for (unsigned k = 0; most && k < p->profile_n; k++)
            put(p, t, s, k, (int32_t)most->cover.n[k]);
    }
    return count_gpus(p, t);
}

/* Takes some slices from some services and fills these again, in an order of chance. */
static bool shake(struct program *p, struct trial *t)
{
    unsigned hit[3], n = 1 + rng_below(&p->rng, ARRAY_LEN(hit));
    for (unsigned i = 0; i < n; i++) {
        hit[i] = rng_below(&p->rng, p->n);
        unsigned most = 1 + rng_below(&p->rng, 4);
        for (unsigned k = 0; k < p->profile_n; k++) {
            uint32_t off = rng_below(&p->rng, most + 1);
            put(p, t, hit[i], k, -(int32_t)MIN(off, t->y[hit[i]][k]));
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (!fill_service(p, t, hit[i], 0.1))
            return false;
    return count_gpus(p, t);
}

/* What is to become small: the worth of the slices, and GPUs that it does not explain. */
static double badness(const struct trial *t)
{
    return t->worth + 0.1 * (t->gpus - ceil(t->worth));
}

/* A walk that also takes steps back, fewer and smaller ones towards its end. */
static void improve(struct program *p, struct trial *best, uint32_t bound, unsigned rounds)
{
    struct trial t = *best;
    for (unsigned i = 0; i < rounds && best->gpus > bound; i++) {
        struct trial next = t;
        double heat = 0.05 * (1 - (double)i / rounds);
        if (!shake(p, &next))
            continue;
        if (badness(&next) < badness(&t) - heat * log(chance(p) + 1e-12))
            t = next;
        if (next.gpus < best->gpus)
            *best = next;
    }
}

static bool way_is(const struct program *p, const struct way *w, const uint32_t *y)
{
    for (unsigned k = 0; k < p->profile_n; k++)
        if (w->cover.n[k] != y[k])
            return false;
    return true;
}

/* For the search: makes a whole solution of a relaxed one; false if it is no better than known. */
static bool round_solution(void *arg, double *x)
{
    struct program *p = arg;
    struct trial t;
    uint32_t gpus, mixes[SERVE_MIXES];
    if (pack_form(p->pack) == PACK_SEARCH || !trial_from(p, x, &t) || t.gpus >= p->best ||
        pack_fewest(p->pack, &t.d, &gpus, mixes, NULL) < 0)
        return false;
    for (unsigned j = 0; j < p->mix_n; j++)
        x[j] = mixes[j];
    for (unsigned i = 0; i < p->way_n; i++)
        x[p->mix_n + i] = 0;
    for (unsigned s = 0; s < p->n; s++)
        for (unsigned i = 0; i < p->way_n; i++)
            if (p->ways[i].service == s && way_is(p, &p->ways[i], t.y[s])) {
                x[p->mix_n + i] = 1;
                break;
            }
    p->best = t.gpus;
    return true;
}

/* The best choice of one known way each, if it beats what is known. */
static int choose_ways(struct program *p, struct trial *best, struct error *err)
{
    unsigned room = (MIP_COLS - p->mix_n - p->way_n) / p->n;
    (void)add_ways(p, MIN(room, COVER_ROOM - 4));
    struct mip m = program_of(p);
    m.whole_cost = true;
    m.node_max = NODES;
    m.hint = best->gpus;
    m.round = round_solution;
    m.arg = p;
    p->best = best->gpus;
    int rc = mip_solve(&m, &p->whole, err);
    p->nodes += p->whole.nodes;
    if (rc < 0 || (p->whole.state != MIP_OPTIMAL && p->whole.state != MIP_FEASIBLE))
        return rc;
    struct trial t;
    if (trial_from(p, p->whole.x, &t) && t.gpus < best->gpus)
        *best = t;
    return 0;
}

static int check(const struct program *p, unsigned *ret_which, struct error *err)
{
    if (p->n > SERVE_MAX || p->mix_n > SERVE_MIXES || p->profile_n + p->n > MIP_ROWS)
        return error_set(err, ERROR_UNSUPPORTED,
                         "%u services are too many for one plan; plan them in two parts", p->n);
    for (unsigned s = 0; s < p->n; s++) {
        double most = 0;
        for (unsigned k = 0; k < p->profile_n; k++)
            most = fmax(most, served(p, s, k));
        *ret_which = s;
        if (most <= 0)
            return error_set(err, ERROR_NEVER, "no slice serves it within its latency target");
    }
    return 0;
}

static int read_plan(struct program *p, const struct trial *t, struct serve_plan *ret,
                     struct error *err)
{
    uint32_t gpus = 0;
    int rc = pack_fewest(p->pack, &t->d, &gpus, ret->mixes, err);
    ret->gpus = gpus;
    ret->relax = p->bound;
    ret->bound = (uint32_t)ceil(p->bound - 1e-6);
    ret->optimal = ret->gpus <= ret->bound;
    ret->nodes = p->nodes;
    for (unsigned k = 0; k < p->profile_n; k++)
        ret->price[p->profiles[k]] = p->proof[k];
    for (unsigned s = 0; s < p->n; s++) {
        cover_find(p->amounts[s], p->proof, p->profile_n, p->services[s].rate, 1, &p->list);
        ret->least[s] = p->list.bound;
        for (unsigned k = 0; k < p->profile_n; k++)
            ret->replicas[s][p->profiles[k]] = t->y[s][k];
    }
    return rc;
}

static int solve(struct program *p, struct serve_plan *ret, struct error *err)
{
    struct trial best;
    int rc = find_ways(p, err);
    if (rc < 0)
        return rc;
    if (!trial_from(p, p->relaxed.x, &best))
        return error_set(err, ERROR_UNSUPPORTED, "the search for a plan found none in its time");
    uint32_t bound = (uint32_t)ceil(p->bound - 1e-6);
    unsigned rounds = pack_form(p->pack) == PACK_SEARCH ? ROUNDS / 100 : ROUNDS;
    improve(p, &best, bound, rounds / 4);
    if (best.gpus > bound)
        rc = choose_ways(p, &best, err);
    if (rc == 0)
        improve(p, &best, bound, rounds);
    return rc < 0 ? rc : read_plan(p, &best, ret, err);
}

int serve_fewest(const struct pack *pack, const struct table *t,
                 const struct serve_service *services, unsigned n, struct serve_plan *ret,
                 unsigned *ret_which, struct error *err)
{
    *ret = (struct serve_plan){0};
    if (n == 0) {
        ret->optimal = true;
        return 0;
    }
    AUTO_FREE struct program *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the plan");
    p->pack = pack;
    p->table = t;
    p->services = services;
    p->n = n;
    p->rng = (struct rng){1};
    p->mixes = table_pareto(t, &p->mix_n);
    for (unsigned i = 0; i < BOARD_PROFILES; i++)
        if (table_mask(t) >> i & 1)
            p->profiles[p->profile_n++] = (uint8_t)i;
    for (unsigned s = 0; s < MIN(n, SERVE_MAX); s++)
        for (unsigned k = 0; k < p->profile_n; k++)
            p->amounts[s][k] = services[s].per_slice[p->profiles[k]];
    int rc = check(p, ret_which, err);
    return rc < 0 ? rc : solve(p, ret, err);
}
