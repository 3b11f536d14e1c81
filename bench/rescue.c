/* What moves are worth: a loss system of 100 A100-80s (a request that finds no room is gone), with
 * exponential service and Poisson arrivals, as the placement literature has it. Beside each other:
 * no moves, one, two, and free repacking, where a request is let in whenever any packing of all
 * there is and it exists. Acceptance is weighted with compute slices times service.
 *
 *     bench-rescue [RULE [SEEDS [SERVICES [FIRST_SEED [CHARGE]]]]]
 *
 * A move makes the job that moves stay so many seconds longer, of services of 1,200 s on average
 * (assumed; the median job of Microsoft's published Philly trace ran 1,186 s). */
#include "bench/figure.h"
#include "bench/mix.h"
#include "bench/yard.h"

#include "base/macro.h"

#include <stdio.h>
#include <stdlib.h>

enum { GPUS = 100, WARM = 10 };

static const double service_s = 1200;

struct run {
    struct yard yard;
    unsigned profile[MIX_SIZES];
    struct rng rng;
    double asked, taken; /* compute slices x service */
    uint64_t taken_n, move_n;
};

static void end_jobs(struct run *r, double now)
{
    for (unsigned i = 0; i < r->yard.live;) {
        if (r->yard.jobs[i].end > now)
            i++;
        else
            yard_end(&r->yard, i);
    }
}

static void ask(struct run *r, const struct mix *m, double now, bool count)
{
    unsigned profile = r->profile[mix_draw(m, figure_uniform(&r->rng))];
    double service = figure_exponential(&r->rng, service_s);
    double work = service * r->yard.board->profiles[profile].compute;
    uint64_t moved = r->yard.moved;
    bool taken = yard_take(&r->yard, profile, now + service, 0);
    if (!count)
        return;
    r->move_n += r->yard.moved - moved;
    r->asked += work;
    r->taken += taken ? work : 0;
    r->taken_n += taken;
}

/* Runs one mix at an offered load of 1 and returns the acceptance in per cent. */
static double simulate(struct run *r, const struct mix *m, uint64_t seed, double services)
{
    double now = 0;
    const struct board *b = r->yard.board;
    double gap = service_s * mix_compute(m, b) / (GPUS * b->compute_slices);
    r->rng = (struct rng){seed};
    r->asked = r->taken = 0;
    r->taken_n = r->move_n = 0;
    yard_clear(&r->yard);
    while (now < (WARM + services) * service_s) {
        now += figure_exponential(&r->rng, gap);
        end_jobs(r, now);
        ask(r, m, now, now >= WARM * service_s);
    }
    return 100 * r->taken / r->asked;
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
    static const unsigned most[MODES] = {0, 0, 1, 2, YARD_REPACK};
    for (unsigned mode = 0; mode < MODES; mode++) {
        r->yard.score = scores[mode > 0];
        r->yard.moves = most[mode];
        figure_add(&f[mode], simulate(r, m, a->first + s, a->services));
        if (mode == 2 || mode == 3)
            figure_add(&moves[mode - 2], (double)r->move_n / (double)r->taken_n);
    }
}

static void bench_moves(struct run *r, struct score *const scores[2], enum score_rule rule,
                        const struct args *a)
{
    struct figure all[2] = {{0}}, per_job[2] = {{0}};
    printf("## %.0f s charged per move, rule %s\n", r->yard.charge, score_name(rule));
    printf("%-11s %14s %14s %14s %14s %14s %7s %7s %7s %7s\n", "mix", "best-fit-cc", "no move",
           "one", "two", "repack", "gap1", "gap2", "moves1", "moves2");
    for (unsigned m = 0; m < MIX_N; m++) {
        struct figure f[MODES] = {{0}}, moves[2] = {{0}};
        score_fill(scores[0], r->yard.board, SCORE_BEST_CC, &(struct score_mix){{0}});
        score_fill(scores[1], r->yard.board, rule, &(struct score_mix){{0}}); /* knows no mix */
        for (unsigned s = 0; s < a->seeds; s++)
            one_seed(r, scores, &mix_all[m], a, s, f, moves);
        printf("%-11s", mix_all[m].name);
        for (unsigned mode = 0; mode < MODES; mode++)
            printf(" %7.2f +-%4.2f", figure_mean(&f[mode]), figure_half(&f[mode]));
        double gap = figure_mean(&f[4]) - figure_mean(&f[0]);
        for (unsigned i = 0; i < 2; i++) {
            figure_add(&all[i], 100 * (figure_mean(&f[i + 2]) - figure_mean(&f[0])) / gap);
            figure_add(&per_job[i], figure_mean(&moves[i]));
            printf(" %6.1f%%", 100 * (figure_mean(&f[i + 2]) - figure_mean(&f[0])) / gap);
        }
        printf(" %7.4f %7.4f\n", figure_mean(&moves[0]), figure_mean(&moves[1]));
        (void)fflush(stdout);
    }
    printf(
        "mean: gap closed %.1f%% with one, %.1f%% with two; moves per accepted job %.4f, %.4f\n\n",
        figure_mean(&all[0]), figure_mean(&all[1]), figure_mean(&per_job[0]),
        figure_mean(&per_job[1]));
}

/* The numbers of the command line, after what is to be measured. */
static struct args args_of(int argc, char **argv)
{
    struct args a = {argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5,
                     argc > 3 ? strtod(argv[3], NULL) : 60,
                     argc > 4 ? strtoull(argv[4], NULL, 10) : 1001};
    figure_must(a.seeds > 1 && a.services > 0,
                "usage: bench-rescue [RULE [SEEDS [SERVICES [FIRST_SEED [CHARGE]]]]], two seeds or "
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
    enum score_rule rule = argc > 1 ? score_find(argv[1]) : SCORE_FGD_FILL;
    figure_must(rule != SCORE_N, "there is no such rule");
    struct args a = args_of(argc, argv);
    struct yard *p = &r.yard;
    p->gpus = GPUS;
    p->sparing = true;
    p->board = board_find("a100-80");
    struct table *table = p->board ? table_new(p->board, table_plain(p->board)) : NULL;
    struct pack *pack = table ? pack_new(table) : NULL;
    struct score *scores[2] = {malloc(sizeof(struct score)), malloc(sizeof(struct score))};
    figure_must(pack && scores[0] && scores[1], "out of memory");
    mix_profiles(p->board, r.profile);
    p->table = table;
    p->pack = pack;
    for (unsigned i = 0; i < ARRAY_LEN(charges); i++) {
        p->charge = argc > 5 ? strtod(argv[5], NULL) : charges[i];
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
