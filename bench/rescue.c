/* What moves are worth: a loss system of 100 A100-80s (a request that finds no room is gone), with
 * exponential service and Poisson arrivals, as the placement literature has it. Beside each other:
 * no moves, one, two, and free repacking, where a request is let in whenever any packing of all
 * there is and it exists. Acceptance is weighted with compute slices times service.
 *
 *     bench-rescue [RULE [SEEDS [SERVICES [FIRST_SEED [CHARGE]]]]]     moves beside a rule of
 * placement bench-rescue rules [SEEDS ...]                                   every rule, without
 * moves
 *
 * A move makes the job that moves stay so many seconds longer, of services of 1,200 s on average
 * (assumed; the median job of Microsoft's published Philly trace ran 1,186 s). */
#include "plan/rescue.h"
#include "plan/pack.h"
#include "plan/score.h"

#include "base/macro.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS = 100, LIVE = GPUS * 8, SIZES = 6, WARM = 10, LAYOUTS = 800 };

static const double service_s = 1200;

/* Shares of 1g, 1g with double memory, 2g, 3g, 4g, 7g. */
struct mix {
    const char *name;
    double share[SIZES];
};

static const struct mix mixes[] = {
    {"uniform", {1, 1, 1, 1, 1, 1}},
    {"skew-small", {.30, .25, .20, .10, .10, .05}},
    {"skew-big", {.05, .10, .10, .20, .25, .30}},
    {"bimodal", {.30, .15, .05, .05, .15, .30}},
    {"core-small", {.40, 0, .30, .20, .05, .05}},
    {"migbench", {.35, 0, .25, .25, 0, .05}},
};

static const char *const sizes[SIZES] = {"1g.10gb", "1g.20gb", "2g.20gb",
                                         "3g.40gb", "4g.40gb", "7g.80gb"};

struct job {
    double end;
    uint32_t gpu;
    uint8_t profile, start;
};

struct run {
    const struct board *board;
    const struct table *table;
    const struct pack *pack;
    const struct score *score;
    double sum[SIZES]; /* shares, summed up */
    unsigned profile[SIZES];
    unsigned moves; /* most moves for one request; 3: free repacking */
    double charge;  /* seconds a move costs */
    struct rng rng;
    struct layout gpus[GPUS];
    unsigned live;
    struct job jobs[LIVE];
    struct pack_demand held;
    double asked, taken; /* compute slices x service */
    uint64_t taken_n, move_n;
};

static void must(bool right, const char *what)
{
    if (right)
        return;
    (void)fprintf(stderr, "bench-rescue: %s\n", what);
    exit(1);
}

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 1) / 9007199254740993.0;
}

static double exponential(struct rng *r, double mean)
{
    return -mean * log(uniform(r));
}

static bool place(const struct run *r, unsigned profile, uint32_t *ret_gpu, unsigned *ret_start)
{
    unsigned best = ~0u;
    for (unsigned g = 0; g < GPUS; g++) {
        slices starts = layout_fits(r->board, &r->gpus[g], profile);
        if (!starts)
            continue;
        unsigned start = score_start(r->score, r->board, profile, starts, r->gpus[g].busy, 0);
        unsigned rank = score_rank(r->score, r->board, profile, start, r->gpus[g].busy);
        if (rank < best) {
            best = rank;
            *ret_gpu = g;
            *ret_start = start;
        }
    }
    return best != ~0u;
}

static void move_jobs(struct run *r, const struct rescue_plan *p)
{
    struct job *moved[RESCUE_MOVES] = {NULL};
    for (unsigned i = 0; i < p->n; i++) {
        for (unsigned j = 0; j < r->live && !moved[i]; j++) {
            bool it =
                r->jobs[j].gpu == p->moves[i].from && r->jobs[j].start == p->moves[i].from_start;
            moved[i] = it ? &r->jobs[j] : NULL;
        }
        must(moved[i] != NULL, "a move of nothing");
        layout_remove(r->board, &r->gpus[p->moves[i].from], p->moves[i].from_start);
    }
    for (unsigned i = 0; i < p->n; i++) {
        const struct rescue_move *m = &p->moves[i];
        must(layout_fits(r->board, &r->gpus[m->to], m->profile) >> m->to_start & 1,
             "a move onto something");
        layout_add(r->board, &r->gpus[m->to], (struct placement){m->profile, m->to_start});
        moved[i]->gpu = m->to;
        moved[i]->start = m->to_start;
        moved[i]->end += r->charge;
    }
    r->move_n += p->n;
}

static bool rescue(struct run *r, unsigned profile, uint32_t *ret_gpu, unsigned *ret_start)
{
    static struct rescue_kind kinds[GPUS];
    static uint16_t kind_of[LAYOUTS];
    struct rescue_fleet f = {.board = r->board, .kinds = kinds, .room = GPUS};
    struct rescue_want want = {profile, (slices)~0u};
    struct rescue_plan p;
    memset(kind_of, 0xff, sizeof kind_of);
    for (unsigned g = 0; g < GPUS; g++) {
        unsigned id = table_find(r->table, &r->gpus[g]);
        must(id < LAYOUTS, "a layout that the table does not have");
        if (kind_of[id] == 0xffff) {
            struct rescue_kind *k = &kinds[f.n];
            kind_of[id] = (uint16_t)f.n++;
            *k = (struct rescue_kind){.layout = r->gpus[g], .target = true};
            k->movable = (uint16_t)((1u << k->layout.n) - 1);
            memset(k->allowed, 0xff, sizeof k->allowed);
        }
        struct rescue_kind *k = &kinds[kind_of[id]];
        if (k->n < RESCUE_SAME)
            k->gpus[k->n] = g;
        k->n++;
    }
    must(rescue_find(&f, &want, r->moves, &p, NULL) == 0, "out of memory");
    /* Nothing is stopped that is larger than what it makes room for. */
    if (!p.found || p.compute > r->board->profiles[profile].compute)
        return false;
    move_jobs(r, &p);
    *ret_gpu = p.gpu;
    *ret_start = p.start;
    return true;
}

static bool take(struct run *r, unsigned profile, uint32_t *ret_gpu, unsigned *ret_start)
{
    struct pack_demand more = r->held;
    more.n[profile]++;
    bool holds = pack_holds(r->pack, &more, GPUS);
    if (r->moves > RESCUE_MOVES || !holds)
        return holds;
    return place(r, profile, ret_gpu, ret_start) ||
           (r->moves && rescue(r, profile, ret_gpu, ret_start));
}

static void end_jobs(struct run *r, double now)
{
    for (unsigned i = 0; i < r->live;) {
        struct job *j = &r->jobs[i];
        if (j->end > now) {
            i++;
            continue;
        }
        if (r->moves <= RESCUE_MOVES)
            layout_remove(r->board, &r->gpus[j->gpu], j->start);
        r->held.n[j->profile]--;
        *j = r->jobs[--r->live];
    }
}

static void ask(struct run *r, double now, bool count)
{
    unsigned size = 0, start = 0;
    uint32_t gpu = 0;
    for (double u = uniform(&r->rng) * r->sum[SIZES - 1]; r->sum[size] < u;)
        size++;
    unsigned profile = r->profile[size];
    double service = exponential(&r->rng, service_s);
    double work = service * r->board->profiles[profile].compute;
    uint64_t moved = r->move_n;
    bool taken = take(r, profile, &gpu, &start);
    r->move_n = count ? r->move_n : moved;
    r->asked += count ? work : 0;
    if (!taken)
        return;
    r->taken += count ? work : 0;
    r->taken_n += count;
    must(r->live < LIVE, "more jobs than there can be");
    r->jobs[r->live++] = (struct job){now + service, gpu, (uint8_t)profile, (uint8_t)start};
    r->held.n[profile]++;
    if (r->moves <= RESCUE_MOVES)
        layout_add(r->board, &r->gpus[gpu], (struct placement){(uint8_t)profile, (uint8_t)start});
}

/* Runs one mix at an offered load of 1 and returns the acceptance in per cent. */
static double simulate(struct run *r, const struct mix *m, uint64_t seed, double services)
{
    double compute = 0, now = 0;
    for (unsigned i = 0; i < SIZES; i++) {
        r->sum[i] = m->share[i] + (i ? r->sum[i - 1] : 0);
        compute += m->share[i] * r->board->profiles[r->profile[i]].compute;
    }
    double gap = service_s * compute / r->sum[SIZES - 1] / (GPUS * r->board->compute_slices);
    r->rng = (struct rng){seed};
    r->live = 0;
    r->asked = r->taken = 0;
    r->taken_n = r->move_n = 0;
    memset(r->gpus, 0, sizeof r->gpus);
    memset(&r->held, 0, sizeof r->held);
    while (now < (WARM + services) * service_s) {
        now += exponential(&r->rng, gap);
        end_jobs(r, now);
        ask(r, now, now >= WARM * service_s);
    }
    return 100 * r->taken / r->asked;
}

static struct score_mix mix_of(const struct run *r, const struct mix *m)
{
    double counts[BOARD_PROFILES] = {0};
    for (unsigned i = 0; i < SIZES; i++)
        counts[r->profile[i]] = m->share[i];
    return score_mix_of(counts);
}

struct figure {
    unsigned n;
    double sum, squares;
};

static void add(struct figure *f, double v)
{
    f->n++;
    f->sum += v;
    f->squares += v * v;
}

static double mean(const struct figure *f)
{
    return f->sum / f->n;
}

/* Half a 95 % interval, by Student's t for 2 to 10 runs. */
static double half(const struct figure *f)
{
    static const double t[] = {0, 0, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26};
    double spread = (f->squares - f->sum * f->sum / f->n) / (f->n - 1);
    return t[MIN(f->n, 10u)] * sqrt(fmax(spread, 0) / f->n);
}

struct args {
    unsigned seeds;
    double services;
    uint64_t first;
};

enum { MODES = 5 };

/* By the base rule without moves; by the rule without, with one, with two; free repacking. */
static void one_seed(struct run *r, struct score *const scores[2], const struct mix *m,
                     const struct args *a, unsigned s, struct figure f[MODES],
                     struct figure moves[2])
{
    static const unsigned most[MODES] = {0, 0, 1, 2, RESCUE_MOVES + 1};
    for (unsigned mode = 0; mode < MODES; mode++) {
        r->score = scores[mode > 0];
        r->moves = most[mode];
        add(&f[mode], simulate(r, m, a->first + s, a->services));
        if (mode == 2 || mode == 3)
            add(&moves[mode - 2], (double)r->move_n / (double)r->taken_n);
    }
}

static void bench_moves(struct run *r, struct score *const scores[2], enum score_rule rule,
                        const struct args *a)
{
    struct figure all[2] = {{0}}, per_job[2] = {{0}};
    printf("## %.0f s charged per move, rule %s\n", r->charge, score_name(rule));
    printf("%-11s %14s %14s %14s %14s %14s %7s %7s %7s %7s\n", "mix", "best-fit-cc", "no move",
           "one", "two", "repack", "gap1", "gap2", "moves1", "moves2");
    for (unsigned m = 0; m < ARRAY_LEN(mixes); m++) {
        struct figure f[MODES] = {{0}}, moves[2] = {{0}};
        score_fill(scores[0], r->board, SCORE_BEST_CC, &(struct score_mix){{0}});
        score_fill(scores[1], r->board, rule, &(struct score_mix){{0}}); /* knows no mix */
        for (unsigned s = 0; s < a->seeds; s++)
            one_seed(r, scores, &mixes[m], a, s, f, moves);
        printf("%-11s", mixes[m].name);
        for (unsigned mode = 0; mode < MODES; mode++)
            printf(" %7.2f +-%4.2f", mean(&f[mode]), half(&f[mode]));
        double gap = mean(&f[4]) - mean(&f[0]);
        for (unsigned i = 0; i < 2; i++) {
            add(&all[i], 100 * (mean(&f[i + 2]) - mean(&f[0])) / gap);
            add(&per_job[i], mean(&moves[i]));
            printf(" %6.1f%%", 100 * (mean(&f[i + 2]) - mean(&f[0])) / gap);
        }
        printf(" %7.4f %7.4f\n", mean(&moves[0]), mean(&moves[1]));
        (void)fflush(stdout);
    }
    printf(
        "mean: gap closed %.1f%% with one, %.1f%% with two; moves per accepted job %.4f, %.4f\n\n",
        mean(&all[0]), mean(&all[1]), mean(&per_job[0]), mean(&per_job[1]));
}

static void bench_rules(struct run *r, struct score *score, const struct args *a)
{
    r->moves = 0;
    r->score = score;
    printf("%-15s", "rule");
    for (unsigned m = 0; m < ARRAY_LEN(mixes); m++)
        printf(" %14s", mixes[m].name);
    printf(" %8s\n", "mean");
    for (unsigned i = 0; i < 2 * SCORE_N; i++) {
        struct figure all = {0};
        bool blind = i >= SCORE_N; /* the rule is not told the mix */
        enum score_rule rule = i % SCORE_N;
        if (blind && rule < SCORE_FGD)
            continue;
        printf("%-*s%-*s", blind ? 9 : 15, score_name(rule), blind ? 6 : 0, blind ? "blind" : "");
        for (unsigned m = 0; m < ARRAY_LEN(mixes); m++) {
            struct figure f = {0};
            struct score_mix mix = mix_of(r, &mixes[m]);
            score_fill(score, r->board, rule, blind ? &(struct score_mix){{0}} : &mix);
            for (unsigned s = 0; s < a->seeds; s++)
                add(&f, simulate(r, &mixes[m], a->first + s, a->services));
            printf(" %7.2f +-%4.2f", mean(&f), half(&f));
            add(&all, mean(&f));
        }
        printf(" %8.2f\n", mean(&all));
        (void)fflush(stdout);
    }
}

/* The numbers of the command line, after what is to be measured. */
static struct args args_of(int argc, char **argv)
{
    struct args a = {argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5,
                     argc > 3 ? strtod(argv[3], NULL) : 60,
                     argc > 4 ? strtoull(argv[4], NULL, 10) : 1001};
    must(a.seeds > 1 && a.services > 0,
         "usage: bench-rescue [rules|RULE [SEEDS [SERVICES [FIRST_SEED [CHARGE]]]]], two seeds or "
         "more");
    printf("%u A100-80s, offered load 1.0, %u seeds from %llu, %.0f mean services after %d to warm "
           "up\n\n",
           GPUS, a.seeds, (unsigned long long)a.first, a.services, WARM);
    return a;
}

int main(int argc, char **argv)
{
    static struct run r;
    static const double charges[] = {0, 2, 10, 60};
    bool rules = argc > 1 && strcmp(argv[1], "rules") == 0;
    enum score_rule rule = argc > 1 ? score_find(argv[1]) : SCORE_FGD_FILL;
    must(rules || rule != SCORE_N, "there is no such rule");
    struct args a = args_of(argc, argv);
    r.board = board_find("a100-80");
    struct table *table = r.board ? table_new(r.board, table_plain(r.board)) : NULL;
    struct pack *pack = table ? pack_new(table) : NULL;
    struct score *scores[2] = {malloc(sizeof(struct score)), malloc(sizeof(struct score))};
    must(pack && scores[0] && scores[1], "out of memory");
    for (unsigned i = 0; i < SIZES; i++)
        r.profile[i] = board_profile_by_name(r.board, sizes[i]);
    r.table = table;
    r.pack = pack;
    if (rules)
        bench_rules(&r, scores[0], &a);
    for (unsigned i = 0; !rules && i < ARRAY_LEN(charges); i++) {
        r.charge = argc > 5 ? strtod(argv[5], NULL) : charges[i];
        bench_moves(&r, scores, rule, &a);
        if (argc > 5)
            break;
    }
    free(scores[0]);
    free(scores[1]);
    pack_free(pack);
    table_free(table);
    return 0;
}
