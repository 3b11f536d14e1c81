/* Training on slices, measured: whole GPUs, layouts that stay, the best cut of each GPU for
 * whatever it holds (as MISO has it, SoCC'22), and ours, which also chooses the GPU, favours jobs
 * that are soon done, and cuts anew or moves a job only where that is worth its time.
 *
 *     bench-train [--data DIR]     DIR, or $FETTA_DATA: holds miso-training
 *
 * Jobs are drawn from MISO's trace of 100; arrivals are Poisson. The load is that of whole GPUs: at
 * 1 these are just enough. A job whose slice changes stands still for the charge (assumed), while
 * it writes its state down and starts again. */
#include "bench/figure.h"
#include "bench/parva.h"
#include "bench/train.h"

#include "base/macro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 20, JOBS = 400, LOADS = 4, CHARGES = 4 };

static const double loads[LOADS] = {.8, 1, 1.2, 1.6}, charges[CHARGES] = {0, 10, 30, 60};

static unsigned size_of(const struct board *b, unsigned profile)
{
    unsigned s = 0;
    while (s < TRAIN_SIZES && train_compute[s] != b->profiles[profile].compute)
        s++;
    return s;
}

/* The mixes of a board as sizes. */
static void fill_mixes(struct train_world *w, const struct board *b, const struct table *t)
{
    unsigned n;
    const struct table_mix *mix = table_pareto(t, &n);
    figure_must(n <= TRAIN_MIXES, "too many mixes");
    w->mix_n = n;
    for (unsigned at = 0; at < n * b->profile_n; at++) {
        unsigned m = at / b->profile_n, p = at % b->profile_n;
        if (mix[m].n[p])
            w->mixes[m][size_of(b, p)] += mix[m].n[p];
    }
}

static double fastest(const struct train_world *w, unsigned kind)
{
    double most = 0;
    for (unsigned s = 0; s < TRAIN_SIZES; s++)
        most = MAX(most, w->kinds[kind].speed[s]);
    return most;
}

/* Seconds of all compute slices of the fleet that a job takes at the least. */
static double least_use(const struct train_world *w, const struct train_job *j)
{
    double most = 0;
    for (unsigned s = 0; s < TRAIN_SIZES; s++)
        most = MAX(most, w->kinds[j->kind].speed[s] / train_compute[s]);
    return j->work / most / (w->gpu_n * train_compute[TRAIN_WHOLE]);
}

/* No schedule does better on average. A job takes at least least_use of the fleet, so the means of
 * the times at which its work is done sum up to no less than on one machine that always does the
 * job of the least use; and it ends no sooner than half its fastest run after that mean. Besides,
 * none is faster than its fastest run. */
static double bound(const struct train_world *w)
{
    double use[TRAIN_JOBS], middle = 0, alone = 0, now = 0;
    for (unsigned i = 0; i < w->job_n; i++) {
        use[i] = least_use(w, &w->jobs[i]);
        double run = w->jobs[i].work / fastest(w, w->jobs[i].kind);
        alone += run;
        middle += run / 2 - w->jobs[i].arrive;
    }
    double left[TRAIN_JOBS];
    memcpy(left, use, sizeof left);
    for (unsigned next = 0, over = 0; over < w->job_n;) {
        unsigned first = TRAIN_JOBS;
        for (unsigned i = 0; i < next; i++)
            if (left[i] > 0 && (first == TRAIN_JOBS || use[i] < use[first]))
                first = i;
        double until = next < w->job_n ? w->jobs[next].arrive : 1e18;
        if (first == TRAIN_JOBS || now + left[first] > until) {
            double some = first == TRAIN_JOBS ? 0 : until - now;
            if (some > 0) {
                middle += some / use[first] * (now + some / 2);
                left[first] -= some;
            }
            now = until;
            next++;
            continue;
        }
        middle += left[first] / use[first] * (now + left[first] / 2);
        now += left[first];
        left[first] = 0;
        over++;
    }
    return MAX(middle, alone) / w->job_n;
}

static double one(struct train_world *w, const struct train_policy *p, double load, uint64_t seed)
{
    w->policy = *p;
    train_make(w, load, seed);
    return train_run(w);
}

/* Chooses how ours favours short jobs and how far it looks, on seeds that nothing is judged by. */
static struct train_policy choose(struct train_world *w, double charge)
{
    static const double favours[] = {0, .1, .2, .5}, horizons[] = {100, 300, 1000, 3000};
    struct train_policy best = {.way = TRAIN_OURS, .charge = charge};
    double least = 1e18;
    for (unsigned i = 0; i < ARRAY_LEN(favours) * ARRAY_LEN(horizons); i++) {
        struct train_policy p = best;
        p.favour = favours[i / ARRAY_LEN(horizons)];
        p.horizon = horizons[i % ARRAY_LEN(horizons)];
        if (charge <= 0 && i % ARRAY_LEN(horizons))
            continue; /* looks nowhere */
        double sum = 0;
        for (uint64_t seed = 1; seed <= 4; seed++)
            sum += one(w, &p, .8, seed) + one(w, &p, 1.2, seed) + one(w, &p, 1.6, seed);
        if (sum < least) {
            least = sum;
            best.favour = p.favour;
            best.horizon = p.horizon;
        }
    }
    return best;
}

/* What others are held against, by seed. */
struct bases {
    double whole[SEEDS], stays[SEEDS], free[SEEDS], bound[SEEDS];
};

static void all_seeds(struct train_world *w, const struct train_policy *p, double load,
                      double ret[SEEDS], double *ret_changes)
{
    *ret_changes = 0;
    for (unsigned s = 0; s < SEEDS; s++) {
        ret[s] = one(w, p, load, 101 + s);
        *ret_changes += (double)w->changes / w->job_n / SEEDS;
    }
}

static void print_less(const double ours[SEEDS], const double theirs[SEEDS])
{
    struct figure f = {0};
    for (unsigned s = 0; s < SEEDS; s++)
        figure_add(&f, 100 * (ours[s] / theirs[s] - 1));
    printf(" %+6.1f +-%4.1f", figure_mean(&f), figure_half(&f));
}

static void row(struct train_world *w, const struct train_policy *p, double load,
                const struct bases *b, const char *name)
{
    double got[SEEDS], changes;
    struct figure f = {0};
    all_seeds(w, p, load, got, &changes);
    for (unsigned s = 0; s < SEEDS; s++)
        figure_add(&f, got[s]);
    printf("    %-30s %5.0f +-%4.0f", name, figure_mean(&f), figure_half(&f));
    print_less(got, b->whole);
    print_less(got, b->stays);
    print_less(got, b->free);
    print_less(got, b->bound);
    printf(" %5.2f\n", changes);
    (void)fflush(stdout);
}

/* The layout that stays with the least mean over all seeds. */
static unsigned best_stays(struct train_world *w, double load)
{
    unsigned best = 0;
    double least = 1e18;
    for (unsigned m = 0; m < w->mix_n; m++) {
        double sum = 0;
        bool all = false; /* some slice takes every job */
        for (unsigned s = 2; s < TRAIN_SIZES; s++)
            all = all || w->mixes[m][s];
        for (unsigned s = 0; s < SEEDS && all; s++)
            sum += one(w, &(struct train_policy){.way = TRAIN_STAYS, .mix = m}, load, 101 + s);
        if (all && sum < least) {
            least = sum;
            best = m;
        }
    }
    return best;
}

static void bench(struct train_world *w, double load, const struct train_policy chosen[CHARGES])
{
    struct bases b;
    struct train_policy p, stays = {.way = TRAIN_STAYS, .mix = best_stays(w, load)};
    struct train_policy repack = {.way = TRAIN_FREE, .favour = chosen[0].favour, .horizon = 1e9};
    double none;
    char name[80];
    printf(
        "%u GPUs, load %.1f: mean time to the end, s; against whole GPUs, the layout that stays, "
        "free repacking, the bound, %%; changes per job\n",
        w->gpu_n, load);
    p = (struct train_policy){.way = TRAIN_UNCUT};
    for (unsigned s = 0; s < SEEDS; s++) {
        b.whole[s] = one(w, &p, load, 101 + s);
        b.bound[s] = bound(w);
    }
    all_seeds(w, &stays, load, b.stays, &none);
    all_seeds(w, &repack, load, b.free, &none);
    row(w, &p, load, &b, "whole GPUs");
    const uint8_t *m = w->mixes[stays.mix];
    (void)snprintf(name, sizeof name, "stays: %ux1g %ux2g %ux3g %ux4g %ux7g", m[0], m[1], m[2],
                   m[3], m[4]);
    row(w, &stays, load, &b, name);
    for (unsigned c = 0; c < CHARGES; c++) {
        p = (struct train_policy){.way = TRAIN_MISO, .charge = charges[c]};
        (void)snprintf(name, sizeof name, "each GPU its best cut, %.0f s", charges[c]);
        row(w, &p, load, &b, name);
        (void)snprintf(name, sizeof name, "ours, %.0f s (%.1f, %.0f s)", charges[c],
                       chosen[c].favour, chosen[c].horizon);
        row(w, &chosen[c], load, &b, name);
    }
    row(w, &repack, load, &b, "free repacking");
}

int main(int argc, char **argv)
{
    static struct train_world w;
    struct train_policy chosen[CHARGES];
    const char *dir = argc == 3 && strcmp(argv[1], "--data") == 0 ? argv[2] : getenv("FETTA_DATA");
    figure_must(argc == 1 || argc == 3, "usage: bench-train [--data DIR]");
    if (!dir) {
        printf("LEFT OUT: it needs published data; --data DIR or FETTA_DATA says where "
               "DIR/miso-training is\n");
        return 0;
    }
    figure_must(train_read(dir, &w), "the folder has no miso-training");
    const struct board *b = board_find("a100-40");
    struct table *t = b ? table_new(b, parva_mask(b)) : NULL;
    figure_must(t != NULL, "out of memory");
    fill_mixes(&w, b, t);
    w.job_n = JOBS;
    w.gpu_n = 8;
    for (unsigned c = 0; c < CHARGES; c++)
        chosen[c] = choose(&w, charges[c]);
    for (unsigned i = 0; i < 2 * LOADS; i++) {
        w.gpu_n = i < LOADS ? 8 : 40;
        bench(&w, loads[i % LOADS], chosen);
    }
    table_free(t);
    return 0;
}
