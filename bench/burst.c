/* Services whose requests come in bursts, on fewer GPUs than all bursts together would take: a
 * layout that stays, one that is torn up at every change of the rates, and one that is changed step
 * by step where a step is worth it (plan/shift.h), within a budget of changes.
 *
 *     bench-burst [--data DIR]     DIR, or $FETTA_DATA: holds parvagpu-profiles and azure-llm-2023
 *
 * The services are the models of ParvaGPU's scenarios with their mean rates and targets. How the
 * rates go up and down is Azure's trace of requests to a language model: each service follows it by
 * another part of the hour, and each request of the trace stands for as many of the service as its
 * mean rate wants, spread over a second (assumed). The first half of the trace is for choosing, the
 * second for judging.
 *
 * What cannot be answered in time is turned away at once, so that it makes nothing else late. By
 * ParvaGPU's rule a batch takes at most 0.45 of the target; 0.55 are left to wait. */
#include "bench/figure.h"
#include "bench/parva.h"
#include "plan/pack.h"
#include "plan/shift.h"

#include "base/macro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUESTS = 10000,
    HALF = 1718, /* s: half of the trace */
    BIN = 10,    /* of a second */
    BINS = HALF * BIN,
    GPUS = 64,
    SLICES = GPUS * 7 + 1, /* compute slices, and none */
    LEVELS_NOW = 5,
    LEVELS_LATELY = 4,
    LEVELS = LEVELS_NOW * LEVELS_LATELY,
};

/* One slice at a time is destroyed and made: what that takes is what it took on A30s as published
 * (docs/api.md). */
static const double recut_s = 0.25;

struct world {
    const struct board *board;
    const struct table *table;
    const struct pack *pack;
    double trace[REQUESTS]; /* s, ascending */
    unsigned trace_n;
    unsigned n; /* services */
    double rate[PARVA_MODELS], target_s[PARVA_MODELS];
    struct shift_service services[PARVA_MODELS];
    float come[2][PARVA_MODELS][BINS]; /* requests, by half of the trace */
    unsigned gpus;
    double load_s; /* s until a new slice's server answers, after the slice is there */
    /* Rates that follow, relative to the mean, by what the rate is now and was lately. */
    double next[LEVELS][SHIFT_RATES];
};

static bool read_trace(const char *dir, struct world *w)
{
    char path[400], line[128];
    unsigned hour, minute;
    double second, first = -1;
    (void)snprintf(path, sizeof path, "%s/azure-llm-2023/AzureLLMInferenceTrace_code.csv", dir);
    FILE *f = fopen(path, "r");
    w->trace_n = 0;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*s %u:%u:%lf", &hour, &minute, &second) != 3)
            continue;
        double at = hour * 3600 + minute * 60 + second;
        first = first < 0 ? at : first;
        figure_must(w->trace_n < REQUESTS, "a trace that is too long");
        w->trace[w->trace_n++] = at - first;
    }
    if (f)
        (void)fclose(f);
    return w->trace_n > 0;
}

/* The requests of each service in one half: the trace, shifted in a circle; which service has which
 * shift is drawn. */
static void fill_half(struct world *w, unsigned half, uint64_t seed)
{
    struct rng rng = {seed};
    unsigned n = 0, shift[PARVA_MODELS];
    for (unsigned k = 0; k < w->n; k++) {
        unsigned other = rng_below(&rng, k + 1);
        shift[k] = shift[other];
        shift[other] = k;
    }
    memset(w->come[half], 0, sizeof w->come[half]);
    for (unsigned i = 0; i < w->trace_n; i++)
        n += w->trace[i] >= half * HALF && w->trace[i] < (half + 1) * HALF;
    for (unsigned i = 0; i < w->trace_n; i++) {
        double at = w->trace[i] - half * HALF;
        if (at < 0 || at >= HALF)
            continue;
        for (unsigned k = 0; k < w->n; k++) {
            unsigned bin = (unsigned)((at + (double)shift[k] * HALF / w->n) * BIN);
            for (unsigned b = 0; b < BIN; b++)
                w->come[half][k][(bin + b) % BINS] += (float)(w->rate[k] * HALF / n / BIN);
        }
    }
}

/* Requests per second of a service, relative to its mean, over the `seconds` before a bin. */
static double lately(const struct world *w, unsigned half, unsigned k, unsigned bin,
                     unsigned seconds)
{
    double sum = 0;
    unsigned bins = MIN(bin, seconds * BIN);
    for (unsigned b = bin - bins; b < bin; b++)
        sum += w->come[half][k][b];
    return bins ? sum * BIN / bins / w->rate[k] : 1;
}

static unsigned level(const struct world *w, unsigned half, unsigned k, unsigned bin)
{
    static const double now_up_to[LEVELS_NOW - 1] = {.01, .5, 1.5, 4};
    static const double lately_up_to[LEVELS_LATELY - 1] = {.1, .7, 2};
    double now = lately(w, half, k, bin, 3), before = lately(w, half, k, bin, 30);
    unsigned i = 0, j = 0;
    while (i < LEVELS_NOW - 1 && now > now_up_to[i])
        i++;
    while (j < LEVELS_LATELY - 1 && before > lately_up_to[j])
        j++;
    return i * LEVELS_LATELY + j;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Learns from the first half what rates follow within `horizon` seconds. One service is enough: all
 * follow the same trace. A level that was seldom seen takes what follows on average. */
static void learn(struct world *w, unsigned horizon)
{
    static double seen[LEVELS + 1][HALF * 64];
    unsigned n[LEVELS + 1] = {0};
    figure_must(horizon < 64, "too far to look ahead");
    for (unsigned s = 30; s + horizon < HALF; s++) {
        unsigned l = level(w, 0, 0, s * BIN);
        for (unsigned h = 1; h <= horizon; h++) {
            double rate = lately(w, 0, 0, (s + h) * BIN, 1);
            seen[l][n[l]++] = rate;
            seen[LEVELS][n[LEVELS]++] = rate;
        }
    }
    for (unsigned l = 0; l <= LEVELS; l++)
        qsort(seen[l], n[l], sizeof seen[l][0], by_value);
    for (unsigned l = 0; l < LEVELS; l++) {
        unsigned from = n[l] >= 20 * horizon ? l : LEVELS;
        for (unsigned i = 0; i < SHIFT_RATES; i++)
            w->next[l][i] = seen[from][(2 * i + 1) * n[from] / (2 * SHIFT_RATES)];
    }
}

/* Requests that a service answers in time over one half, at a capacity that stays. */
static double answered(const struct world *w, unsigned half, unsigned k, double capacity)
{
    double waiting = 0, sum = 0, most = 0.55 * w->target_s[k] * capacity;
    for (unsigned b = 0; b < BINS; b++) {
        waiting += w->come[half][k][b];
        double now = MIN(waiting, capacity / BIN);
        sum += now;
        waiting = MIN(waiting - now, most);
    }
    return sum;
}

/* A layout for the services. */
struct cut {
    struct shift_gpu gpus[GPUS];
};

/* For every number of compute slices: the most one service can serve with them, and with what. */
struct ladder {
    double capacity[SLICES], answered[SLICES];
    uint8_t last[SLICES]; /* the profile added, BOARD_NO_PROFILE: none */
};

static void climb(const struct world *w, unsigned half, unsigned k, unsigned most,
                  struct ladder *ret)
{
    const struct board *b = w->board;
    for (unsigned g = 0; g <= most; g++) {
        ret->capacity[g] = g ? ret->capacity[g - 1] : 0;
        ret->last[g] = BOARD_NO_PROFILE;
        for (unsigned p = 0; p < b->profile_n; p++) {
            double rate = w->services[k].per_slice[p];
            unsigned c = b->profiles[p].compute;
            if (rate <= 0 || c > g || ret->capacity[g - c] + rate <= ret->capacity[g])
                continue;
            ret->capacity[g] = ret->capacity[g - c] + rate;
            ret->last[g] = (uint8_t)p;
        }
        ret->answered[g] = answered(w, half, k, ret->capacity[g]);
    }
}

/* Slices of each service. */
struct share {
    uint32_t n[PARVA_MODELS][BOARD_PROFILES];
};

/* What `own` compute slices are cut into. */
static void cut_into(const struct world *w, const struct ladder *l, unsigned own,
                     uint32_t ret[BOARD_PROFILES])
{
    while (own) {
        unsigned p = l->last[own];
        own -= p == BOARD_NO_PROFILE ? 1 : w->board->profiles[p].compute;
        if (p != BOARD_NO_PROFILE)
            ret[p]++;
    }
}

/* The most answered with `budget` compute slices in all, whether a layout has them or not. */
static double divide(const struct world *w, const struct ladder *ladders, unsigned budget,
                     struct share *ret)
{
    static double best[PARVA_MODELS + 1][SLICES];
    static uint16_t given[PARVA_MODELS][SLICES];
    memset(best[0], 0, sizeof best[0]);
    for (unsigned at = 0; at < w->n * (budget + 1); at++) {
        unsigned k = at / (budget + 1), g = at % (budget + 1);
        best[k + 1][g] = -1;
        for (unsigned own = 0; own <= g; own++) {
            double sum = best[k][g - own] + ladders[k].answered[own];
            if (sum <= best[k + 1][g])
                continue;
            best[k + 1][g] = sum;
            given[k][g] = (uint16_t)own;
        }
    }
    memset(ret, 0, sizeof *ret);
    unsigned left = budget;
    for (unsigned k = w->n; k-- > 0; left -= given[k][left])
        cut_into(w, &ladders[k], given[k][left], ret->n[k]);
    return best[w->n][budget];
}

static struct pack_demand demand_of(const struct world *w, const struct share *s)
{
    struct pack_demand d = {{0}};
    for (unsigned k = 0; k < w->n; k++)
        for (unsigned p = 0; p < w->board->profile_n; p++)
            d.n[p] += s->n[k][p];
    return d;
}

/* Cuts one GPU like `l` for services that still want such slices. */
static void hand_out(const struct world *w, const struct layout *l, struct share *left,
                     struct shift_gpu *ret)
{
    for (unsigned i = 0; i < l->n; i++) {
        unsigned k = 0;
        while (k < w->n && !left->n[k][l->at[i].profile])
            k++;
        if (k == w->n)
            continue;
        left->n[k][l->at[i].profile]--;
        ret->slices[ret->n++] = (struct shift_slice){l->at[i], (uint8_t)k};
    }
}

/* Puts the slices onto GPUs, which hold them. */
static void lay_out(const struct world *w, const struct share *s, struct cut *ret)
{
    uint32_t mixes[SHIFT_RATES * 8] = {0}, used, gpu = 0;
    unsigned mix_n;
    struct pack_demand d = demand_of(w, s);
    struct share left = *s;
    const struct table_mix *mix = table_pareto(w->table, &mix_n);
    figure_must(mix_n <= ARRAY_LEN(mixes) && pack_fewest(w->pack, &d, &used, mixes, NULL) == 0 &&
                    used <= w->gpus,
                "a layout that does not fit");
    memset(ret, 0, sizeof *ret);
    for (unsigned m = 0; m < mix_n; m++)
        for (; mixes[m]; mixes[m]--)
            hand_out(w, table_layout(w->table, mix[m].layout), &left, &ret->gpus[gpu++]);
}

/* The best layout for one half by one who knows all of it: returns what it answers; *ret_bound is
 * what no layout exceeds, as none has more compute slices. */
static double best_layout(const struct world *w, unsigned half, struct cut *ret, double *ret_bound)
{
    static struct ladder ladders[PARVA_MODELS];
    struct share share;
    unsigned budget = w->gpus * w->board->compute_slices;
    for (unsigned k = 0; k < w->n; k++)
        climb(w, half, k, budget, &ladders[k]);
    *ret_bound = divide(w, ladders, budget, &share);
    double best = *ret_bound;
    struct pack_demand d = demand_of(w, &share);
    while (!pack_holds(w->pack, &d, w->gpus)) {
        best = divide(w, ladders, --budget, &share);
        d = demand_of(w, &share);
    }
    lay_out(w, &share, ret);
    return best;
}

/* How layouts are changed. */
struct policy {
    bool always;      /* whenever the rates of the last second want it; nothing is weighed */
    unsigned horizon; /* s */
    double least;     /* seconds of a service's mean rate that a step must be worth */
    double per_hour;  /* most changes */
};

struct result {
    double part; /* answered in time */
    double per_hour;
};

struct play {
    struct cut cut;
    struct shift_service services[PARVA_MODELS];
    double ready[GPUS][16]; /* s, by GPU and start: when the slice serves */
    double waiting[PARVA_MODELS], live[PARVA_MODELS];
    double tokens;
    unsigned changes;
};

static void expect(const struct world *w, const struct policy *p, unsigned half, unsigned bin,
                   struct play *y)
{
    for (unsigned k = 0; k < w->n; k++) {
        struct shift_service *s = &y->services[k];
        unsigned l = level(w, half, k, bin);
        s->rate_n = p->always ? 1 : SHIFT_RATES;
        for (unsigned i = 0; i < s->rate_n; i++)
            s->rates[i] = w->rate[k] * (p->always ? lately(w, half, k, bin, 1) : w->next[l][i]);
    }
}

/* Steps as long as they are worth it and may be taken. */
static void change(const struct world *w, const struct policy *p, double now, struct play *y)
{
    double stop = recut_s + w->load_s, mean = 0;
    for (unsigned k = 0; k < w->n; k++)
        mean += w->rate[k] / w->n;
    struct shift_terms terms = {p->horizon, p->always ? 0 : stop, p->least * mean};
    struct shift_step step;
    for (unsigned n = 0; n < 8 * w->gpus && y->tokens >= 1; n++) {
        if (!shift_find(w->board, y->cut.gpus, w->gpus, y->services, w->n, &terms, &step))
            break;
        (void)shift_do(w->board, y->cut.gpus, y->services, &step, NULL);
        y->ready[step.gpu][step.made.at.start] = now + stop;
        y->changes++;
        y->tokens--;
    }
}

static void count_live(const struct world *w, double now, struct play *y)
{
    memset(y->live, 0, sizeof y->live);
    for (unsigned g = 0; g < w->gpus; g++)
        for (unsigned i = 0; i < y->cut.gpus[g].n; i++) {
            const struct shift_slice *s = &y->cut.gpus[g].slices[i];
            if (y->ready[g][s->at.start] <= now)
                y->live[s->service] += w->services[s->service].per_slice[s->at.profile];
        }
}

static double serve_bin(const struct world *w, unsigned half, unsigned bin, struct play *y)
{
    double sum = 0;
    for (unsigned k = 0; k < w->n; k++) {
        double capacity = y->live[k];
        y->waiting[k] += w->come[half][k][bin];
        double now = MIN(y->waiting[k], capacity / BIN);
        sum += now;
        y->waiting[k] = MIN(y->waiting[k] - now, 0.55 * w->target_s[k] * capacity);
    }
    return sum;
}

/* Plays one half from a layout on; without a policy it stays. */
static struct result play(const struct world *w, const struct cut *from, const struct policy *p,
                          unsigned half)
{
    static struct play y;
    double sum = 0, all = 0, depth = p ? MAX(p->per_hour / 60, 4) : 0;
    memset(&y, 0, sizeof y);
    y.cut = *from;
    memcpy(y.services, w->services, sizeof y.services);
    shift_count(y.cut.gpus, w->gpus, y.services, w->n);
    for (unsigned bin = 0; bin < BINS; bin++) {
        double now = (double)bin / BIN;
        if (p && bin && bin % BIN == 0) {
            y.tokens = MIN(y.tokens + p->per_hour / 3600, depth);
            expect(w, p, half, bin, &y);
            change(w, p, now, &y);
        }
        count_live(w, now, &y);
        sum += serve_bin(w, half, bin, &y);
        for (unsigned k = 0; k < w->n; k++)
            all += w->come[half][k][bin];
    }
    return (struct result){100 * sum / all, y.changes * 3600.0 / HALF};
}

/* Chooses horizon and threshold for a budget on the first half. */
static struct policy choose(struct world *w, const struct cut *from, double per_hour)
{
    static const unsigned horizons[] = {5, 10, 20, 40};
    static const double leasts[] = {0, .3, 1, 3, 10};
    struct policy best = {.per_hour = per_hour};
    double most = -1;
    for (unsigned h = 0; h < ARRAY_LEN(horizons); h++) {
        learn(w, horizons[h]);
        for (unsigned l = 0; l < ARRAY_LEN(leasts); l++) {
            struct policy p = {false, horizons[h], leasts[l], per_hour};
            double part = play(w, from, &p, 0).part;
            if (part <= most)
                continue;
            most = part;
            best = p;
        }
    }
    learn(w, best.horizon);
    return best;
}

enum { SEEDS = 5, LOADS = 4, BUDGETS = 4 };

static const double loads[LOADS] = {0, 2, 5, 10}, budgets[BUDGETS] = {6, 20, 60, 180};

/* What is summed up over seeds. */
struct sums {
    struct figure stays, bound, known, always[LOADS], ours[LOADS][BUDGETS];
    struct figure more[LOADS][BUDGETS]; /* than the best layout that stays */
    double always_n, ours_n[LOADS][BUDGETS];
};

/* The second half as one seed has it. */
static void judge(struct world *w, const struct cut *known, const struct policy *chosen,
                  uint64_t seed, struct sums *s)
{
    struct cut cut;
    double bound, all = 0;
    fill_half(w, 1, seed);
    for (unsigned k = 0; k < w->n; k++)
        all += w->rate[k] * HALF / 100;
    double best = best_layout(w, 1, &cut, &bound) / all;
    figure_add(&s->stays, best);
    figure_add(&s->bound, bound / all);
    figure_add(&s->known, play(w, known, NULL, 1).part);
    for (unsigned i = 0; i < LOADS; i++) {
        struct policy always = {true, 1, 0, 1e9};
        w->load_s = loads[i];
        struct result r = play(w, known, &always, 1);
        figure_add(&s->always[i], r.part);
        s->always_n = r.per_hour / w->gpus;
        for (unsigned b = 0; b < BUDGETS; b++) {
            const struct policy *p = &chosen[i * BUDGETS + b];
            learn(w, p->horizon);
            r = play(w, known, p, 1);
            figure_add(&s->ours[i][b], r.part);
            figure_add(&s->more[i][b], r.part - best);
            s->ours_n[i][b] += r.per_hour / w->gpus / SEEDS;
        }
    }
}

static void print_sums(const struct world *w, const char *name, const struct policy *chosen,
                       const struct sums *s)
{
    printf("\n%s, %u services, %u GPUs: the best layout that stays answers %.2f +-%.2f, none more "
           "than %.2f, the one that was best in the first half %.2f\n",
           name, w->n, w->gpus, figure_mean(&s->stays), figure_half(&s->stays),
           figure_mean(&s->bound), figure_mean(&s->known));
    for (unsigned i = 0; i < LOADS; i++) {
        printf("a server starts in %.0f s; always, %.0f changes: %.2f +-%.2f\n", loads[i],
               s->always_n, figure_mean(&s->always[i]), figure_half(&s->always[i]));
        for (unsigned b = 0; b < BUDGETS; b++)
            printf("    at most %3.0f, %5.1f changes: %.2f +-%.2f, %+.2f +-%.2f (%u s, %.1f)\n",
                   budgets[b], s->ours_n[i][b], figure_mean(&s->ours[i][b]),
                   figure_half(&s->ours[i][b]), figure_mean(&s->more[i][b]),
                   figure_half(&s->more[i][b]), chosen[i * BUDGETS + b].horizon,
                   chosen[i * BUDGETS + b].least);
    }
    (void)fflush(stdout);
}

/* Chooses on the first half as the first seed has it, judges on the second by other seeds. */
static void bench(struct world *w, const char *name)
{
    struct policy chosen[LOADS * BUDGETS];
    struct sums s = {0};
    struct cut known;
    double bound;
    fill_half(w, 0, 1);
    (void)best_layout(w, 0, &known, &bound);
    for (unsigned i = 0; i < LOADS; i++)
        for (unsigned b = 0; b < BUDGETS; b++) {
            w->load_s = loads[i];
            chosen[i * BUDGETS + b] = choose(w, &known, budgets[b] * w->gpus);
        }
    for (unsigned seed = 0; seed < SEEDS; seed++)
        judge(w, &known, chosen, 101 + seed, &s);
    print_sums(w, name, chosen, &s);
}

static void bench_scenario(struct world *w, const char *dir, const struct parva_scenario *s,
                           const char *name, unsigned gpus)
{
    w->n = 0;
    w->gpus = gpus;
    memset(w->services, 0, sizeof w->services);
    for (unsigned m = 0; m < PARVA_MODELS; m++) {
        if (s->rate[m] <= 0)
            continue;
        w->rate[w->n] = s->rate[m];
        w->target_s[w->n] = s->target_ms[m] / 1000;
        figure_must(parva_profile(dir, parva_models[m], s->target_ms[m], w->board,
                                  table_mask(w->table), w->services[w->n].per_slice),
                    "no profile of a model");
        w->services[w->n++].rate_n = 1;
    }
    bench(w, name);
}

int main(int argc, char **argv)
{
    static struct world w;
    struct parva_scenario s[PARVA_SCENARIOS];
    const char *dir = argc == 3 && strcmp(argv[1], "--data") == 0 ? argv[2] : getenv("FETTA_DATA");
    figure_must(argc == 1 || argc == 3, "usage: bench-burst [--data DIR]");
    if (!dir) {
        printf("LEFT OUT: it needs published data; --data DIR or FETTA_DATA says where "
               "DIR/parvagpu-profiles and DIR/azure-llm-2023 are\n");
        return 0;
    }
    figure_must(parva_scenarios(dir, s) && read_trace(dir, &w),
                "the folder has no parvagpu-profiles/SLO or no azure-llm-2023");
    w.board = board_find("a100-80");
    struct table *table = w.board ? table_new(w.board, parva_mask(w.board)) : NULL;
    struct pack *pack = table ? pack_new(table) : NULL;
    figure_must(pack != NULL, "out of memory");
    w.table = table;
    w.pack = pack;
    printf(
        "Requests answered in time, %%; changes per GPU and hour; seconds ahead and threshold as "
        "chosen on the first half\n");
    bench_scenario(&w, dir, &s[3], "S4", 7);
    bench_scenario(&w, dir, &s[3], "S4", 14);
    bench_scenario(&w, dir, &s[3], "S4", 28);
    bench_scenario(&w, dir, &s[5], "S6", 15);
    bench_scenario(&w, dir, &s[5], "S6", 30);
    pack_free(pack);
    table_free(table);
    return 0;
}
