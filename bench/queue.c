/* A queue of jobs of fixed size on eight GPUs, as a public benchmark of MIG schedulers has it
 * (github.com/FouoF/MIG-scheduler-benchmark: 500 jobs, lognormal run times with a median of 600 s
 * and a sigma of 0.8, 1g to 2g to 3g to 7g as 35 to 25 to 25 to 5, offered load 1.4).
 *
 * The queue is a scan: whenever something changes, each job that waits, in the order of arrival, is
 * started if it fits. Nobody waits for those in front, so a large job may be overtaken for long.
 * Beside it stands the queue that fettad has, by the engine itself on the same jobs (sim/sim.h),
 * which keeps a place for the first that does not fit.
 *
 *     bench-queue [SEEDS [FIRST_SEED]]
 *
 * A moldable job that starts while nobody else waits takes the largest slice that fits, and is done
 * sooner in proportion to the compute slices: assumed, and kind to large slices. */
#include "bench/figure.h"
#include "bench/yard.h"
#include "sim/sim.h"

#include "base/macro.h"
#include "base/time.h"
#include "bench/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS = 8, JOBS = 500, SIZES = 4, SEEDS = 201, DECISIONS = 1 << 21 };

static const char *const names[SIZES] = {"1g.10gb", "2g.20gb", "3g.40gb", "7g.80gb"};
static const double share[SIZES] = {.35, .25, .25, .05};
static const double load = 1.4, median_s = 600, sigma = .8;

struct job {
    double arrive, run, start, end;
    unsigned size; /* as asked for */
    bool waits;
};

struct queue {
    struct yard yard;
    struct score *score;
    unsigned profile[SIZES];
    bool keeps;    /* a place for the first that waits */
    bool moldable; /* jobs may take more than they asked for */
    double now, first_wait;
    double busy, busy_from; /* compute slices x s in use: since the beginning, when one waited */
    double busy_last;       /* ... and when the last arrived */
    unsigned asked, waiting;
    struct job jobs[JOBS];
    int64_t *took; /* ns of each decision */
    size_t took_n;
};

/* What is measured of one run. */
enum { USE, USE_ALL, WAIT, MAKESPAN, WAIT_7G, WAIT_7G_P95, END, MOVES, FIGURES };

static void make(struct queue *q, uint64_t seed)
{
    struct rng rng = {seed};
    double sum = 0, compute = 0, at = 0;
    for (unsigned i = 0; i < SIZES; i++) {
        sum += share[i];
        compute += share[i] * q->yard.board->profiles[q->profile[i]].compute;
    }
    double work = compute / sum * median_s * exp(sigma * sigma / 2);
    double gap = work / (load * GPUS * q->yard.board->compute_slices);
    for (unsigned i = 0; i < JOBS; i++) {
        double u = figure_uniform(&rng) * sum;
        unsigned size = 0;
        for (double up_to = share[0]; up_to < u && size + 1 < SIZES;)
            up_to += share[++size];
        at += figure_exponential(&rng, gap);
        q->jobs[i] = (struct job){
            .arrive = at, .run = figure_lognormal(&rng, median_s, sigma), .size = size};
    }
}

static unsigned compute_of(const struct queue *q, unsigned size)
{
    return q->yard.board->profiles[q->profile[size]].compute;
}

static bool take(struct queue *q, unsigned i, unsigned size)
{
    struct job *j = &q->jobs[i];
    double run = j->run * compute_of(q, j->size) / compute_of(q, size);
    int64_t before = clock_now();
    bool taken = yard_take(&q->yard, q->profile[size], q->now + run, i);
    if (q->took && q->took_n < DECISIONS)
        q->took[q->took_n++] = clock_now() - before;
    if (taken) {
        j->waits = false;
        q->waiting--;
        j->start = q->now;
    }
    return taken;
}

/* Slices of the first GPU, which runs empty for it: without knowing when jobs end all GPUs are
 * alike, so the engine takes the first, too. */
static void keep(struct queue *q, unsigned size)
{
    struct placement p = {(uint8_t)q->profile[size], 0};
    p.start = (uint8_t)__builtin_ctz(q->yard.board->profiles[p.profile].starts);
    q->yard.kept_gpu = 0;
    q->yard.kept = layout_span(q->yard.board, p);
}

/* Starts job `i` if it fits. */
static bool start(struct queue *q, unsigned i)
{
    unsigned size = q->jobs[i].size;
    bool alone = q->moldable && q->waiting == 1;
    for (unsigned larger = SIZES; alone && --larger > size;) {
        if (take(q, i, larger))
            return true;
    }
    return take(q, i, size);
}

static void scan(struct queue *q)
{
    unsigned none = 0; /* sizes for which there is no room */
    q->yard.kept = 0;
    for (unsigned i = 0; i < q->asked && q->waiting; i++) {
        struct job *j = &q->jobs[i];
        if (!j->waits || none >> j->size & 1 || start(q, i))
            continue;
        none |= 1u << j->size;
        if (q->keeps && !q->yard.kept)
            keep(q, j->size);
        if (q->first_wait < 0) {
            q->first_wait = q->now;
            q->busy_from = q->busy;
        }
    }
}

/* Time goes on to `until`; what is in use is added up. */
static void pass(struct queue *q, double until)
{
    double compute = 0;
    for (unsigned i = 0; i < q->yard.live; i++)
        compute += q->yard.board->profiles[q->yard.jobs[i].profile].compute;
    q->busy += compute * (until - q->now);
    q->now = until;
}

/* The next job to end, YARD_LIVE if none runs. */
static unsigned next_end(const struct queue *q)
{
    unsigned first = YARD_LIVE;
    for (unsigned i = 0; i < q->yard.live; i++)
        if (first == YARD_LIVE || q->yard.jobs[i].end < q->yard.jobs[first].end)
            first = i;
    return first;
}

static void arrive(struct queue *q)
{
    struct job *j = &q->jobs[q->asked++];
    pass(q, j->arrive);
    j->waits = true;
    q->waiting++;
    if (q->asked == JOBS)
        q->busy_last = q->busy - q->yard.stopped;
    scan(q);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sum_up(const struct queue *q, double ret[FIGURES])
{
    double wait = 0, stretch = 0, large[JOBS], large_sum = 0;
    double all = GPUS * q->yard.board->compute_slices;
    unsigned n = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        const struct job *j = &q->jobs[i];
        wait += j->start - j->arrive;
        stretch += j->end - j->arrive;
        if (j->size < SIZES - 1)
            continue;
        large[n] = j->start - j->arrive;
        large_sum += large[n++];
    }
    figure_must(n > 0 && q->first_wait >= 0, "a seed without a 7g, or without a wait");
    qsort(large, n, sizeof *large, by_value);
    ret[USE] =
        100 * (q->busy_last - q->busy_from) / (all * (q->jobs[JOBS - 1].arrive - q->first_wait));
    ret[USE_ALL] = 100 * (q->busy - q->yard.stopped) / (all * (q->now - q->jobs[0].arrive));
    ret[WAIT] = wait / JOBS;
    ret[MAKESPAN] = q->now - q->jobs[0].arrive;
    ret[WAIT_7G] = large_sum / n;
    ret[WAIT_7G_P95] = large[(n * 95 + 99) / 100 - 1];
    ret[MOVES] = (double)q->yard.moved / JOBS;
    ret[END] = stretch / JOBS;
}

static void run(struct queue *q, uint64_t seed, double ret[FIGURES])
{
    make(q, seed);
    yard_clear(&q->yard);
    q->now = q->busy = q->busy_from = q->busy_last = 0;
    q->first_wait = -1;
    q->asked = q->waiting = 0;
    while (q->asked < JOBS || q->yard.live) {
        unsigned i = next_end(q);
        if (q->asked < JOBS && (i == YARD_LIVE || q->jobs[q->asked].arrive < q->yard.jobs[i].end)) {
            arrive(q);
            continue;
        }
        pass(q, q->yard.jobs[i].end);
        q->jobs[q->yard.jobs[i].tag].end = q->now;
        yard_end(&q->yard, i);
        scan(q);
    }
    sum_up(q, ret);
}

/* What is compared. The first is what the others are held against. */
struct way {
    const char *name;
    enum score_rule rule;
    unsigned moves;
    double charge;
    bool keeps, moldable; /* as of the queue */
    bool engine, ends;    /* the engine's queue; it is told when jobs will end */
    bool blind;           /* the rule is not told the mix */
};

static const struct way ways[] = {
    {"first-fit", SCORE_FIRST_LOW},
    {"mfi", SCORE_MFI},
    {"best-fit-cc", SCORE_BEST_CC},
    {"fgd-fill, blind", SCORE_FGD_FILL, .blind = true},
    {"fgd-fill", SCORE_FGD_FILL},
    {"  one move", SCORE_FGD_FILL, .moves = 1},
    {"  one move of 2 s", SCORE_FGD_FILL, .moves = 1, .charge = 2},
    {"  one move of 10 s", SCORE_FGD_FILL, .moves = 1, .charge = 10},
    {"  one move of 60 s", SCORE_FGD_FILL, .moves = 1, .charge = 60},
    {"  two moves", SCORE_FGD_FILL, .moves = 2},
    {"  two moves of 2 s", SCORE_FGD_FILL, .moves = 2, .charge = 2},
    {"  two moves of 10 s", SCORE_FGD_FILL, .moves = 2, .charge = 10},
    {"  two moves of 60 s", SCORE_FGD_FILL, .moves = 2, .charge = 60},
    {"free repacking", SCORE_FGD_FILL, .moves = YARD_REPACK},
    {"first-fit, kept", SCORE_FIRST_LOW, .keeps = true},
    {"fgd-fill, kept", SCORE_FGD_FILL, .keeps = true},
    {"  one move", SCORE_FGD_FILL, .moves = 1, .keeps = true},
    {"  two moves", SCORE_FGD_FILL, .moves = 2, .keeps = true},
    {"engine", SCORE_FGD_FILL, .engine = true},
    {"engine, blind", SCORE_FGD_FILL, .engine = true, .blind = true},
    {"engine, told ends", SCORE_FGD_FILL, .engine = true, .ends = true},
    {"first-fit, moldable", SCORE_FIRST_LOW, .moldable = true},
    {"fgd-fill, moldable", SCORE_FGD_FILL, .moldable = true},
    {"  one move", SCORE_FGD_FILL, .moves = 1, .moldable = true},
    {"  two moves", SCORE_FGD_FILL, .moves = 2, .moldable = true},
};

/* The engine's own queue on the same jobs. */
struct feed {
    const struct queue *q;
    unsigned next;
};

static int feed_next(void *arg, struct sim_job *ret, struct error *err)
{
    struct feed *f = arg;
    (void)err;
    if (f->next == JOBS)
        return 0;
    const struct job *j = &f->q->jobs[f->next++];
    *ret = (struct sim_job){.submit = (int64_t)(j->arrive * (double)TIME_S),
                            .run = 1 + (int64_t)(j->run * (double)TIME_S),
                            .wait = TIME_NEVER,
                            .count = 1,
                            .row = {(uint8_t)f->q->profile[j->size]}};
    return 1;
}

/* Within the window of the scan that ran just before. */
static void run_engine(struct queue *q, const struct way *w, const struct score_mix *mix,
                       double ret[FIGURES])
{
    struct sim_setup setup = {.group_n = 1,
                              .groups = {{.board = q->yard.board, .gpus = GPUS}},
                              .idle_keep = TIME_NEVER,
                              .rule = w->rule,
                              .mix = *mix,
                              .told_runtime = w->ends};
    struct sim_result all, window;
    struct error err;
    struct sim_source source = {feed_next, &(struct feed){q, 0}};
    figure_must(sim_run(&setup, &source, NULL, NULL, &all, &err) == 0, err.text);
    setup.from = (int64_t)(q->first_wait * (double)TIME_S);
    setup.until = (int64_t)(q->jobs[JOBS - 1].arrive * (double)TIME_S);
    source.arg = &(struct feed){q, 0};
    figure_must(sim_run(&setup, &source, NULL, NULL, &window, &err) == 0, err.text);
    memset(ret, 0, FIGURES * sizeof *ret);
    ret[USE] = 100 * window.gpc_busy / window.gpc_all;
    ret[USE_ALL] = 100 * all.gpc_busy / all.gpc_all;
    ret[WAIT] = all.wait_mean;
    ret[MAKESPAN] = all.makespan;
    ret[END] = all.end_mean;
}

enum { WAYS = ARRAY_LEN(ways) };

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const struct queue *q)
{
    double sum = 0;
    for (size_t i = 0; i < q->took_n; i++)
        sum += (double)q->took[i];
    qsort(q->took, q->took_n, sizeof *q->took, by_time);
    printf("    a decision: mean %.2f us, median %.2f, 99 of 100 %.2f, %zu decisions\n",
           sum / (double)q->took_n / 1e3, (double)q->took[q->took_n / 2] / 1e3,
           (double)q->took[q->took_n * 99 / 100] / 1e3, q->took_n);
}

static void print_way(const struct way *w, unsigned seeds, double got[SEEDS][FIGURES],
                      double base[SEEDS][FIGURES])
{
    struct figure f[FIGURES] = {{0}}, less[FIGURES] = {{0}};
    for (unsigned s = 0; s < seeds; s++)
        for (unsigned i = 0; i < FIGURES; i++) {
            figure_add(&f[i], got[s][i]);
            figure_add(&less[i], 100 * (got[s][i] / base[s][i] - 1));
        }
    printf("%-22s %5.2f +-%4.2f %5.2f +-%4.2f %5.0f +-%3.0f %6.0f +-%3.0f", w->name,
           figure_mean(&f[USE]), figure_half(&f[USE]), figure_mean(&f[USE_ALL]),
           figure_half(&f[USE_ALL]), figure_mean(&f[WAIT]), figure_half(&f[WAIT]),
           figure_mean(&f[MAKESPAN]), figure_half(&f[MAKESPAN]));
    printf(" | %+6.2f +-%4.2f %+6.2f +-%4.2f %+6.2f +-%4.2f", figure_mean(&less[WAIT]),
           figure_half(&less[WAIT]), figure_mean(&less[MAKESPAN]), figure_half(&less[MAKESPAN]),
           figure_mean(&less[END]), figure_half(&less[END]));
    if (w->engine)
        printf(" |      -       -\n");
    else
        printf(" | %6.0f %7.0f %+6.1f +-%4.1f %6.4f\n", figure_mean(&f[WAIT_7G]),
               figure_mean(&f[WAIT_7G_P95]), figure_mean(&less[WAIT_7G_P95]),
               figure_half(&less[WAIT_7G_P95]), figure_mean(&f[MOVES]));
    (void)fflush(stdout);
}

static struct score_mix told_mix(const struct queue *q)
{
    double counts[BOARD_PROFILES] = {0};
    for (unsigned i = 0; i < SIZES; i++)
        counts[q->profile[i]] = share[i];
    return score_mix_of(counts);
}

static void bench(struct queue *q, unsigned seeds, uint64_t first)
{
    static double got[WAYS][SEEDS][FIGURES];
    for (unsigned i = 0; i < WAYS; i++) {
        const struct way *w = &ways[i];
        struct score_mix mix = w->blind ? (struct score_mix){{0}} : told_mix(q);
        score_fill(q->score, q->yard.board, w->rule, &mix);
        q->yard.moves = w->moves;
        q->yard.charge = w->charge;
        q->keeps = w->keeps;
        q->moldable = w->moldable;
        q->took_n = 0;
        for (unsigned s = 0; s < seeds; s++) {
            run(q, first + s, got[i][s]);
            if (w->engine)
                run_engine(q, w, &mix, got[i][s]);
        }
        print_way(w, seeds, got[i], got[0]);
        if (w->moves < YARD_REPACK && w->charge <= 0 && !w->engine)
            print_times(q);
    }
}

int main(int argc, char **argv)
{
    struct queue *q = calloc(1, sizeof *q);
    unsigned seeds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 8001;
    figure_must(seeds > 1 && seeds < SEEDS, "usage: bench-queue [SEEDS [FIRST_SEED]], 2 to 200");
    figure_must(q != NULL, "out of memory");
    q->yard.board = board_find("h100-sxm");
    figure_must(q->yard.board != NULL, "there is no h100-sxm");
    struct table *table = table_new(q->yard.board, table_plain(q->yard.board));
    struct pack *pack = table ? pack_new(table) : NULL;
    q->score = malloc(sizeof *q->score);
    q->took = malloc(DECISIONS * sizeof *q->took);
    figure_must(pack && q->score && q->took, "out of memory");
    for (unsigned i = 0; i < SIZES; i++)
        q->profile[i] = board_profile_by_name(q->yard.board, names[i]);
    q->yard.gpus = GPUS;
    q->yard.table = table;
    q->yard.pack = pack;
    q->yard.score = q->score;
    printf("%d H100s, %d jobs, load %.1f, %u seeds from %llu\n%-22s %12s %12s %10s %11s | %s\n",
           GPUS, JOBS, load, seeds, (unsigned long long)first, "", "in use, %", "of all, %",
           "wait, s", "makespan, s",
           "against the first, %: wait, makespan, end | 7g: wait, p95, against | moves a job");
    bench(q, seeds, first);
    free(q->took);
    free(q->score);
    pack_free(pack);
    table_free(table);
    free(q);
    return 0;
}
