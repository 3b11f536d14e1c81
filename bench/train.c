/* Training jobs on a fleet: the ways to serve them; see train.h. Speeds come from the measured
 * times of steps that the authors of MISO (SoCC'22) published, and so do models, batches and run
 * times of the jobs. */
#include "bench/train.h"

#include "bench/figure.h"

#include "base/macro.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const unsigned train_compute[TRAIN_SIZES] = {1, 2, 3, 4, 7};

static unsigned find_kind(struct train_world *w, const char *model, unsigned batch)
{
    unsigned i = 0;
    while (i < w->kind_n && (strcmp(w->kinds[i].model, model) != 0 || w->kinds[i].batch != batch))
        i++;
    if (i == w->kind_n) {
        figure_must(i < TRAIN_KINDS, "too many models");
        w->kinds[w->kind_n++] = (struct train_kind){.batch = batch};
        (void)snprintf(w->kinds[i].model, sizeof w->kinds[i].model, "%s", model);
    }
    return i;
}

static bool read_steps(const char *dir, struct train_world *w)
{
    char path[400], line[200], model[24];
    unsigned batch, g;
    double median;
    (void)snprintf(path, sizeof path, "%s/miso-training/miso_train_step_time.csv", dir);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%23[^,],%u,%ug.%*[^,],%*u,%*f,%lf", model, &batch, &g, &median) != 4)
            continue;
        struct train_kind *k = &w->kinds[find_kind(w, model, batch)];
        for (unsigned i = 0; i < TRAIN_SIZES; i++)
            k->speed[i] = train_compute[i] == g ? 1 / median : k->speed[i];
    }
    for (unsigned i = 0; i < w->kind_n; i++)
        for (unsigned s = 0; s < TRAIN_SIZES; s++)
            w->kinds[i].speed[s] /= s < TRAIN_WHOLE ? w->kinds[i].speed[TRAIN_WHOLE] : 1;
    for (unsigned i = 0; i < w->kind_n; i++)
        w->kinds[i].speed[TRAIN_WHOLE] = 1;
    if (f)
        (void)fclose(f);
    return w->kind_n > 0;
}

static bool read_jobs(const char *dir, struct train_world *w)
{
    char path[400], line[200], model[24];
    unsigned batch, n = 0;
    double work;
    (void)snprintf(path, sizeof path, "%s/miso-training/miso_trace_100.csv", dir);
    FILE *f = fopen(path, "r");
    while (f && n < TRAIN_TRACE && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*u,%23[^,],%u,%lf", model, &batch, &work) != 3)
            continue;
        w->trace[n].kind = find_kind(w, model, batch);
        w->trace[n++].work = work;
    }
    if (f)
        (void)fclose(f);
    return n == TRAIN_TRACE;
}

bool train_read(const char *dir, struct train_world *w)
{
    return read_steps(dir, w) && read_jobs(dir, w);
}

void train_make(struct train_world *w, double load, uint64_t seed)
{
    struct rng rng = {seed};
    double mean = 0, at = 0;
    for (unsigned i = 0; i < TRAIN_TRACE; i++)
        mean += w->trace[i].work / TRAIN_TRACE;
    for (unsigned i = 0; i < w->job_n; i++) {
        unsigned from = rng_below(&rng, TRAIN_TRACE);
        at += figure_exponential(&rng, mean / load / w->gpu_n);
        w->jobs[i] = (struct train_job){.arrive = at,
                                        .work = w->trace[from].work,
                                        .left = w->trace[from].work,
                                        .kind = w->trace[from].kind,
                                        .gpu = TRAIN_NOWHERE,
                                        .size = TRAIN_NOWHERE};
    }
    memset(w->gpus, 0, sizeof w->gpus);
    w->now = 0;
    w->arrived = 0;
    w->changes = 0;
}

/* What the jobs of one GPU are worth on the best slices for them. */
struct cut {
    double value; /* below 0: they do not all fit */
    int8_t size[TRAIN_ON_GPU];
};

struct search {
    const struct train_world *w;
    unsigned n;
    double value[TRAIN_ON_GPU][TRAIN_SIZES]; /* below 0: the job does not run there */
    int8_t size[TRAIN_ON_GPU];
    struct cut best;
};

static void search(struct search *s, unsigned i, uint8_t left[TRAIN_SIZES], double sum)
{
    if (i == s->n) {
        if (sum > s->best.value) {
            s->best.value = sum;
            memcpy(s->best.size, s->size, sizeof s->size);
        }
        return;
    }
    for (unsigned size = 0; size < TRAIN_SIZES; size++) {
        if (!left[size] || s->value[i][size] < 0)
            continue;
        left[size]--;
        s->size[i] = (int8_t)size;
        search(s, i + 1, left, sum + s->value[i][size]);
        left[size]++;
    }
}

/* What a job on a slice is worth: its speed, by its weight, less what a change costs. */
static double value_of(const struct train_world *w, const struct train_job *j, unsigned size,
                       bool moved)
{
    double speed = w->kinds[j->kind].speed[size];
    if (speed <= 0)
        return -1;
    double weight = w->policy.way >= TRAIN_OURS ? pow(j->left, -w->policy.favour) : 1;
    bool changed = j->gpu != TRAIN_NOWHERE && (moved || (int)size != j->size);
    double lasts = MIN(j->left / speed, w->policy.horizon);
    double part = changed && w->policy.way == TRAIN_OURS ? 1 - w->policy.charge / lasts : 1;
    return weight * speed * MAX(part, 0);
}

/* The best cut for a GPU's jobs without `less` and with `more`; either may be TRAIN_JOBS: none.
 * `more` is the last of the cut. */
static struct cut best_cut(const struct train_world *w, const struct train_gpu *g, unsigned less,
                           unsigned more)
{
    struct search s = {.w = w, .best = {.value = -1}};
    for (unsigned i = 0; i <= g->n; i++) {
        unsigned id = i < g->n ? g->jobs[i] : more;
        if (id == less || id == TRAIN_JOBS)
            continue;
        if (s.n == TRAIN_ON_GPU)
            return s.best;
        for (unsigned size = 0; size < TRAIN_SIZES; size++)
            s.value[s.n][size] = value_of(w, &w->jobs[id], size, id == more);
        s.n++;
    }
    if (!s.n)
        s.best.value = 0;
    for (unsigned m = 0; m < w->mix_n && s.n; m++) {
        uint8_t left[TRAIN_SIZES];
        memcpy(left, w->mixes[m], sizeof left);
        search(&s, 0, left, 0);
    }
    return s.best;
}

/* Cuts a GPU like `c`; those whose slice changes stand still. */
static void apply(struct train_world *w, struct train_gpu *g, const struct cut *c)
{
    for (unsigned i = 0; i < g->n; i++) {
        struct train_job *j = &w->jobs[g->jobs[i]];
        if (j->size != TRAIN_NOWHERE && j->size != c->size[i]) {
            j->held_until = w->now + w->policy.charge;
            w->changes++;
        }
        j->size = c->size[i];
    }
}

static void put(struct train_world *w, unsigned gpu, unsigned job, const struct cut *c)
{
    struct train_gpu *g = &w->gpus[gpu];
    struct train_job *j = &w->jobs[job];
    bool ran = j->gpu != TRAIN_NOWHERE;
    g->jobs[g->n++] = job;
    j->gpu = (int)gpu;
    apply(w, g, c);
    if (ran && j->held_until < w->now + w->policy.charge) {
        j->held_until = w->now + w->policy.charge;
        w->changes++;
    }
}

static void take_off(struct train_world *w, unsigned job)
{
    struct train_gpu *g = &w->gpus[w->jobs[job].gpu];
    unsigned i = 0;
    while (g->jobs[i] != job)
        i++;
    for (g->n--; i < g->n; i++)
        g->jobs[i] = g->jobs[i + 1];
}

static void cut_again(struct train_world *w, unsigned gpu)
{
    struct cut c = best_cut(w, &w->gpus[gpu], TRAIN_JOBS, TRAIN_JOBS);
    apply(w, &w->gpus[gpu], &c);
}

/* Whole GPUs, and layouts that stay: the first job that waits gets the slice that is fastest for
 * it; one that runs on none of the free lets the next try. */
static void serve_slots(struct train_world *w)
{
    static const uint8_t whole[TRAIN_SIZES] = {0, 0, 0, 0, 1};
    const uint8_t *mix = w->policy.way == TRAIN_UNCUT ? whole : w->mixes[w->policy.mix];
    for (unsigned id = 0; id < w->arrived; id++) {
        struct train_job *j = &w->jobs[id];
        double best = 0;
        if (j->gpu != TRAIN_NOWHERE || j->left <= 0)
            continue;
        for (unsigned at = 0; at < w->gpu_n * TRAIN_SIZES; at++) {
            const struct train_gpu *g = &w->gpus[at / TRAIN_SIZES];
            unsigned size = at % TRAIN_SIZES, used = 0;
            for (unsigned i = 0; i < g->n; i++)
                used += w->jobs[g->jobs[i]].size == (int)size;
            if (used >= mix[size] || w->kinds[j->kind].speed[size] <= best)
                continue;
            best = w->kinds[j->kind].speed[size];
            j->gpu = (int)(at / TRAIN_SIZES);
            j->size = (int)size;
        }
        if (best > 0)
            w->gpus[j->gpu].jobs[w->gpus[j->gpu].n++] = id;
    }
}

/* MISO with exact knowledge of speeds: the first job that waits goes to the GPU with the fewest
 * jobs that can hold it, and that GPU is cut for the most speed in all. */
static void serve_miso(struct train_world *w, int touched)
{
    struct cut c;
    if (touched != TRAIN_NOWHERE)
        cut_again(w, (unsigned)touched);
    for (unsigned id = 0; id < w->arrived; id++) {
        unsigned best = TRAIN_GPUS;
        if (w->jobs[id].gpu != TRAIN_NOWHERE || w->jobs[id].left <= 0)
            continue;
        for (unsigned g = 0; g < w->gpu_n; g++)
            if ((best == TRAIN_GPUS || w->gpus[g].n < w->gpus[best].n) &&
                best_cut(w, &w->gpus[g], TRAIN_JOBS, id).value >= 0)
                best = g;
        if (best == TRAIN_GPUS)
            return;
        c = best_cut(w, &w->gpus[best], TRAIN_JOBS, id);
        put(w, best, id, &c);
    }
}

/* Of jobs alike that wait only the one that is soonest done is looked at. */
static bool soonest(const struct train_world *w, unsigned id)
{
    const struct train_job *j = &w->jobs[id];
    for (unsigned i = 0; i < w->arrived; i++) {
        const struct train_job *o = &w->jobs[i];
        if (i != id && o->gpu == TRAIN_NOWHERE && o->left > 0 && o->kind == j->kind &&
            (o->left < j->left || (o->left <= j->left && i < id)))
            return false;
    }
    return true;
}

/* Starts the job that adds most where it adds most, as long as one adds anything. */
static bool start_one(struct train_world *w)
{
    double best = 0;
    unsigned best_job = TRAIN_JOBS, best_gpu = 0;
    struct cut best_c = {0};
    double value[TRAIN_GPUS];
    bool empty_seen = false;
    for (unsigned g = 0; g < w->gpu_n; g++)
        value[g] = best_cut(w, &w->gpus[g], TRAIN_JOBS, TRAIN_JOBS).value;
    for (unsigned id = 0; id < w->arrived; id++) {
        if (w->jobs[id].gpu != TRAIN_NOWHERE || w->jobs[id].left <= 0 || !soonest(w, id))
            continue;
        empty_seen = false;
        for (unsigned g = 0; g < w->gpu_n; g++) {
            if (!w->gpus[g].n && empty_seen)
                continue;
            empty_seen = empty_seen || !w->gpus[g].n;
            struct cut c = best_cut(w, &w->gpus[g], TRAIN_JOBS, id);
            if (c.value - value[g] <= best)
                continue;
            best = c.value - value[g];
            best_job = id;
            best_gpu = g;
            best_c = c;
        }
    }
    if (best_job != TRAIN_JOBS)
        put(w, best_gpu, best_job, &best_c);
    return best_job != TRAIN_JOBS;
}

/* Moves the job that gains most by moving to one GPU, if any does. */
static bool move_one(struct train_world *w, unsigned to)
{
    unsigned best_job = TRAIN_JOBS;
    double best = 1e-9, there = best_cut(w, &w->gpus[to], TRAIN_JOBS, TRAIN_JOBS).value;
    struct cut c;
    for (unsigned g = 0; g < w->gpu_n; g++) {
        const struct train_gpu *from = &w->gpus[g];
        double here = best_cut(w, from, TRAIN_JOBS, TRAIN_JOBS).value;
        for (unsigned i = 0; i < from->n && g != to; i++) {
            c = best_cut(w, &w->gpus[to], TRAIN_JOBS, from->jobs[i]);
            double left = best_cut(w, from, from->jobs[i], TRAIN_JOBS).value;
            double gain = (left + c.value) / (here + there) - 1;
            if (c.value < 0 || gain <= best)
                continue;
            best = gain;
            best_job = from->jobs[i];
        }
    }
    if (best_job == TRAIN_JOBS)
        return false;
    unsigned from = (unsigned)w->jobs[best_job].gpu;
    c = best_cut(w, &w->gpus[to], TRAIN_JOBS, best_job);
    take_off(w, best_job);
    cut_again(w, from);
    put(w, to, best_job, &c);
    return true;
}

static void serve_ours(struct train_world *w, int touched)
{
    unsigned emptiest = 0;
    while (start_one(w))
        ;
    if (touched != TRAIN_NOWHERE)
        cut_again(w, (unsigned)touched);
    for (unsigned g = 1; g < w->gpu_n; g++)
        emptiest = w->gpus[g].n < w->gpus[emptiest].n ? g : emptiest;
    for (unsigned i = 0; i < 4 && move_one(w, emptiest); i++)
        ;
}

/* Everything is placed anew whenever something changes, at no cost, as well as single moves can. */
static void serve_free(struct train_world *w)
{
    bool moved = true;
    while (start_one(w))
        ;
    for (unsigned g = 0; g < w->gpu_n; g++)
        cut_again(w, g);
    for (unsigned round = 0; round < 3 && moved; round++) {
        moved = false;
        for (unsigned g = 0; g < w->gpu_n; g++)
            moved = move_one(w, g) || moved;
    }
    while (start_one(w))
        ;
}

static void serve(struct train_world *w, int touched)
{
    switch (w->policy.way) {
    case TRAIN_UNCUT:
    case TRAIN_STAYS:
        serve_slots(w);
        break;
    case TRAIN_MISO:
        serve_miso(w, touched);
        break;
    case TRAIN_OURS:
        serve_ours(w, touched);
        break;
    case TRAIN_FREE:
        serve_free(w);
        break;
    }
}

static double ends_at(const struct train_world *w, const struct train_job *j)
{
    return MAX(w->now, j->held_until) + j->left / w->kinds[j->kind].speed[j->size];
}

static void pass(struct train_world *w, double until)
{
    for (unsigned i = 0; i < w->arrived; i++) {
        struct train_job *j = &w->jobs[i];
        if (j->gpu != TRAIN_NOWHERE)
            j->left -=
                MAX(0, until - MAX(w->now, j->held_until)) * w->kinds[j->kind].speed[j->size];
    }
    w->now = until;
}

/* Runs all jobs to their end; the mean time from arrival to end, in seconds. */
double train_run(struct train_world *w)
{
    double sum = 0;
    for (unsigned over = 0; over < w->job_n;) {
        unsigned first = TRAIN_JOBS;
        for (unsigned i = 0; i < w->arrived; i++)
            if (w->jobs[i].gpu != TRAIN_NOWHERE &&
                (first == TRAIN_JOBS || ends_at(w, &w->jobs[i]) < ends_at(w, &w->jobs[first])))
                first = i;
        if (w->arrived < w->job_n &&
            (first == TRAIN_JOBS || w->jobs[w->arrived].arrive <= ends_at(w, &w->jobs[first]))) {
            pass(w, w->jobs[w->arrived].arrive);
            w->arrived++;
            serve(w, TRAIN_NOWHERE);
            continue;
        }
        figure_must(first != TRAIN_JOBS, "jobs that never run");
        struct train_job *j = &w->jobs[first];
        int gpu = j->gpu;
        pass(w, ends_at(w, j));
        take_off(w, first);
        j->left = 0;
        j->gpu = j->size = TRAIN_NOWHERE;
        sum += w->now - j->arrive;
        over++;
        serve(w, gpu);
    }
    return sum / w->job_n;
}
