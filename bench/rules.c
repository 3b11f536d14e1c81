/* What rules of placement do without moves: a loss system (a request that finds no room is gone)
 * with Poisson arrivals and exponential service, at any load and any size of fleet. Acceptance is
 * weighted with compute slices times service, and the rule that fettad goes by is compared with
 * first fit and MFI over the same requests.
 *
 *     bench-rules [LOAD [GPUS [SEEDS [SERVICES [FIRST_SEED]]]]]
 *
 * A GPU is what is busy on it; for every size and every rank there is a set of the GPUs that have
 * it, so that ten thousand GPUs take no longer than eight. */
#include "bench/figure.h"
#include "bench/mix.h"
#include "model/layout.h"
#include "plan/pack.h"

#include "base/macro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS = 16384, WORDS = GPUS / 64, TOPS = WORDS / 64, WARM = 10, BUSY = 256, NO_RANK = 0xff };

/* GPUs by number, and which words of them are not 0. */
struct set {
    uint64_t word[WORDS], top[TOPS];
};

struct job {
    double end;
    uint32_t gpu;
    slices span;
    uint8_t profile;
};

struct run {
    const struct board *board;
    unsigned gpus, profile[MIX_SIZES];
    double load, services; /* services: mean ones that are counted */
    struct rng rng;
    uint8_t rank[MIX_SIZES][BUSY], start[MIX_SIZES][BUSY];
    uint8_t busy[GPUS];
    uint64_t some[MIX_SIZES]; /* ranks that any GPU has */
    struct set sets[MIX_SIZES][SCORE_RANKS];
    struct job heap[GPUS * 8];
    unsigned live;
    double asked, taken; /* compute slices x service */
    const struct pack *pack;
    bool repacks; /* no rule: whatever any packing holds is let in */
    struct pack_demand held;
};

static void rank_gpus(struct run *r, const struct score *s)
{
    for (unsigned i = 0; i < MIX_SIZES; i++)
        for (unsigned busy = 0; busy < BUSY; busy++) {
            struct layout l = {.busy = (slices)busy};
            slices starts = layout_fits(r->board, &l, r->profile[i]);
            r->rank[i][busy] = NO_RANK;
            if (!starts)
                continue;
            unsigned start = score_start(s, r->board, r->profile[i], starts, (slices)busy, 0);
            r->start[i][busy] = (uint8_t)start;
            r->rank[i][busy] = (uint8_t)score_rank(s, r->board, r->profile[i], start, (slices)busy);
        }
}

static void leave(struct run *r, unsigned size, uint32_t gpu)
{
    unsigned rank = r->rank[size][r->busy[gpu]];
    if (rank == NO_RANK)
        return;
    struct set *s = &r->sets[size][rank];
    uint64_t any = 0;
    s->word[gpu / 64] &= ~(1ull << gpu % 64);
    if (s->word[gpu / 64])
        return;
    s->top[gpu / 4096] &= ~(1ull << gpu / 64 % 64);
    for (unsigned i = 0; i < TOPS; i++)
        any |= s->top[i];
    if (!any)
        r->some[size] &= ~(1ull << rank);
}

static void enter(struct run *r, unsigned size, uint32_t gpu)
{
    unsigned rank = r->rank[size][r->busy[gpu]];
    if (rank == NO_RANK)
        return;
    struct set *s = &r->sets[size][rank];
    s->word[gpu / 64] |= 1ull << gpu % 64;
    s->top[gpu / 4096] |= 1ull << gpu / 64 % 64;
    r->some[size] |= 1ull << rank;
}

static void change(struct run *r, uint32_t gpu, slices flip)
{
    for (unsigned i = 0; i < MIX_SIZES; i++)
        leave(r, i, gpu);
    r->busy[gpu] = (uint8_t)(r->busy[gpu] ^ flip);
    for (unsigned i = 0; i < MIX_SIZES; i++)
        enter(r, i, gpu);
}

/* The GPU of the lowest rank, the first of several; GPUS if there is none. */
static uint32_t place(const struct run *r, unsigned size)
{
    if (!r->some[size])
        return GPUS;
    const struct set *s = &r->sets[size][__builtin_ctzll(r->some[size])];
    unsigned top = 0;
    while (!s->top[top])
        top++;
    unsigned word = top * 64 + (unsigned)__builtin_ctzll(s->top[top]);
    return word * 64 + (uint32_t)__builtin_ctzll(s->word[word]);
}

static void push(struct run *r, struct job job)
{
    unsigned at = r->live++;
    figure_must(r->live <= ARRAY_LEN(r->heap), "more jobs than there can be");
    for (; at && r->heap[(at - 1) / 2].end > job.end; at = (at - 1) / 2)
        r->heap[at] = r->heap[(at - 1) / 2];
    r->heap[at] = job;
}

static struct job pop(struct run *r)
{
    struct job first = r->heap[0], last = r->heap[--r->live];
    unsigned at = 0, child;
    while ((child = 2 * at + 1) < r->live) {
        child += child + 1 < r->live && r->heap[child + 1].end < r->heap[child].end;
        if (r->heap[child].end >= last.end)
            break;
        r->heap[at] = r->heap[child];
        at = child;
    }
    r->heap[at] = last;
    return first;
}

/* Whether it is let in, and where if that matters. */
static bool take(struct run *r, unsigned size, struct job *job)
{
    job->profile = (uint8_t)r->profile[size];
    if (r->repacks) {
        struct pack_demand more = r->held;
        more.n[job->profile]++;
        return pack_holds(r->pack, &more, r->gpus);
    }
    job->gpu = place(r, size);
    if (job->gpu == GPUS)
        return false;
    struct placement at = {job->profile, r->start[size][r->busy[job->gpu]]};
    job->span = layout_span(r->board, at);
    change(r, job->gpu, job->span);
    return true;
}

static void end(struct run *r)
{
    struct job done = pop(r);
    r->held.n[done.profile]--;
    if (!r->repacks)
        change(r, done.gpu, done.span);
}

static void ask(struct run *r, const struct mix *m, double now)
{
    bool count = now >= WARM;
    unsigned size = mix_draw(m, figure_uniform(&r->rng));
    const struct profile *p = &r->board->profiles[r->profile[size]];
    double service = figure_exponential(&r->rng, 1), work = service * p->compute;
    r->asked += count ? work : 0;
    struct job job = {.end = now + service};
    if (!take(r, size, &job))
        return;
    r->taken += count ? work : 0;
    r->held.n[job.profile]++;
    push(r, job);
}

/* One mix, by the rule whose ranks are set; returns the acceptance in per cent. Time is in mean
 * services. */
static double simulate(struct run *r, const struct mix *m, uint64_t seed)
{
    double now = 0;
    double gap = mix_compute(m, r->board) / (r->load * r->gpus * r->board->compute_slices);
    r->rng = (struct rng){seed};
    r->live = 0;
    r->asked = r->taken = 0;
    memset(r->some, 0, sizeof r->some);
    memset(r->sets, 0, sizeof r->sets);
    memset(r->busy, 0, sizeof r->busy);
    memset(&r->held, 0, sizeof r->held);
    for (uint32_t g = 0; g < r->gpus; g++)
        for (unsigned i = 0; i < MIX_SIZES; i++)
            enter(r, i, g);
    while (now < WARM + r->services) {
        now += figure_exponential(&r->rng, gap);
        while (r->live && r->heap[0].end <= now)
            end(r);
        ask(r, m, now);
    }
    return 100 * r->taken / r->asked;
}

/* A rule, told the mix or not. */
struct way {
    enum score_rule rule;
    bool blind, sized; /* sized: told it in compute slices, not in requests */
};

enum { WAYS = SCORE_N + 4, SEEDS = 31 };

/* All but free repacking, which comes last. */
static unsigned ways(struct way ret[WAYS])
{
    unsigned n = 0;
    for (unsigned i = 0; i < SCORE_N; i++)
        ret[n++] = (struct way){(enum score_rule)i, i < SCORE_FGD, false};
    ret[n++] = (struct way){SCORE_FGD_FILL, false, true};
    ret[n++] = (struct way){SCORE_FGD, true, false};
    ret[n++] = (struct way){SCORE_FGD_FILL, true, false}; /* fettad's own */
    return n;
}

struct args {
    unsigned seeds;
    uint64_t first;
};

static void bench_way(struct run *r, const struct args *a, struct score *score, const struct way *w,
                      double ret[MIX_N][SEEDS])
{
    struct figure all = {0};
    char name[24];
    (void)snprintf(name, sizeof name, "%s%s", r->repacks ? "free repacking" : score_name(w->rule),
                   w->sized                           ? " sized"
                   : w->blind && w->rule >= SCORE_FGD ? " blind"
                                                      : "");
    printf("%-15s", name);
    for (unsigned m = 0; m < MIX_N; m++) {
        struct figure f = {0};
        struct score_mix mix = mix_told(&mix_all[m], r->board, w->sized);
        score_fill(score, r->board, w->rule, w->blind ? &(struct score_mix){{0}} : &mix);
        rank_gpus(r, score);
        for (unsigned s = 0; s < a->seeds; s++) {
            ret[m][s] = simulate(r, &mix_all[m], a->first + s);
            figure_add(&f, ret[m][s]);
        }
        printf(" %7.2f +-%4.2f", figure_mean(&f), figure_half(&f));
        figure_add(&all, figure_mean(&f));
    }
    printf(" %7.2f\n", figure_mean(&all));
    (void)fflush(stdout);
}

/* The difference of the same seeds; the mean over mixes has an interval of its own. */
static void compare(const struct args *a, const char *name, double ours[MIX_N][SEEDS],
                    double theirs[MIX_N][SEEDS])
{
    struct figure all = {0};
    printf("- %-13s", name);
    for (unsigned m = 0; m < MIX_N; m++) {
        struct figure f = {0};
        for (unsigned s = 0; s < a->seeds; s++)
            figure_add(&f, ours[m][s] - theirs[m][s]);
        printf(" %+7.2f +-%4.2f", figure_mean(&f), figure_half(&f));
    }
    for (unsigned s = 0; s < a->seeds; s++) {
        double sum = 0;
        for (unsigned m = 0; m < MIX_N; m++)
            sum += ours[m][s] - theirs[m][s];
        figure_add(&all, sum / MIX_N);
    }
    printf(" %+7.2f +-%4.2f\n", figure_mean(&all), figure_half(&all));
}

/* What the command line says, into the run and beside it. */
static struct args args_of(struct run *r, int argc, char **argv)
{
    struct args a = {argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 10,
                     argc > 5 ? strtoull(argv[5], NULL, 10) : 7001};
    r->load = argc > 1 ? strtod(argv[1], NULL) : 1;
    r->gpus = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    r->services = argc > 4 ? strtod(argv[4], NULL) : 100;
    figure_must(r->load > 0 && r->gpus && r->gpus < GPUS && r->services > 0 && a.seeds > 1 &&
                    a.seeds < SEEDS,
                "usage: bench-rules [LOAD [GPUS [SEEDS [SERVICES [FIRST_SEED]]]]], 1 to 16,383 "
                "GPUs, 2 to 30 seeds");
    return a;
}

int main(int argc, char **argv)
{
    static double got[WAYS][MIX_N][SEEDS];
    struct way way[WAYS];
    struct run *r = calloc(1, sizeof *r);
    struct score *score = malloc(sizeof *score);
    figure_must(r && score, "out of memory");
    struct args a = args_of(r, argc, argv);
    r->board = board_find("a100-80");
    figure_must(r->board != NULL, "there is no a100-80");
    mix_profiles(r->board, r->profile);
    struct table *table = table_new(r->board, table_plain(r->board));
    struct pack *pack = table ? pack_new(table) : NULL;
    figure_must(pack != NULL, "out of memory");
    r->pack = pack;
    printf("%u A100-80s, offered load %.2f, %u seeds from %llu, %.0f mean services after %d to "
           "warm up\n\n%-15s",
           r->gpus, r->load, a.seeds, (unsigned long long)a.first, r->services, WARM, "rule");
    for (unsigned m = 0; m < MIX_N; m++)
        printf(" %14s", mix_all[m].name);
    printf(" %7s\n", "mean");
    unsigned n = ways(way);
    for (unsigned i = 0; i < n; i++)
        bench_way(r, &a, score, &way[i], got[i]);
    r->repacks = true;
    bench_way(r, &a, score, &way[0], got[n]);
    printf("\nfgd-fill blind, against\n");
    compare(&a, score_name(SCORE_FIRST_LOW), got[n - 1], got[SCORE_FIRST_LOW]);
    compare(&a, score_name(SCORE_MFI), got[n - 1], got[SCORE_MFI]);
    pack_free(pack);
    table_free(table);
    free(score);
    free(r);
    return 0;
}
