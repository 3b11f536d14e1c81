/* How many jobs a second the whole engine decides on one core, by the simulator: asking, queueing,
 * quotas, making and destroying instances, ends. Beside it first fit as anybody would write it, in
 * an array of layouts, without owners, queue or driver, over the same jobs.
 *
 * A fleet begins at its load: run times are exponential, so jobs that run already are like jobs
 * that begin now. Processor time is measured, per thousand jobs: `engine-N` is p50, p90, p99 and
 * how many, `mean-N` the mean. Counts are per hundred jobs: `steps-N`, `looks-N` GPUs looked at,
 * `words-N` of the index read, `kept-N` GPUs gone through for the head of the queue. `memory-N` is
 * bytes per GPU. */
#include "sim/agenda.h"
#include "sim/sim.h"

#include "base/macro.h"
#include "base/rng.h"
#include "base/time.h"
#include "bench/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 1000, KINDS = 6, USERS = 1000 };

static const char *const names[KINDS] = {"1g.10gb", "1g.20gb", "2g.20gb",
                                         "3g.40gb", "4g.40gb", "7g.80gb"};
static const double parts[KINDS] = {.30, .25, .20, .10, .10, .05};
static const double load = 0.8;

struct stream {
    const struct board *board;
    struct rng random;
    uint8_t rows[KINDS];
    double rate, at;         /* jobs a second, s */
    uint64_t n, first, most; /* jobs so far, those that run from the beginning, all */
    uint64_t memory;         /* when all jobs were there */
    int64_t began, *took;
    size_t took_n;
};

static void must(bool right, const char *what)
{
    if (right)
        return;
    (void)fprintf(stderr, "bench-fleet: %s\n", what);
    exit(1);
}

/* Bytes of this process that are in memory; 0 if that cannot be told. */
static uint64_t resident(void)
{
    unsigned long long all = 0, here = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &all, &here) != 2)
        here = 0;
    if (f)
        (void)fclose(f);
    return here * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int64_t cpu_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * TIME_S + t.tv_nsec;
}

static double uniform(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) * 0x1p-53;
}

static struct stream stream_new(unsigned gpus, unsigned batches)
{
    struct stream s = {.board = board_find("a100-80"), .random = {.state = 4711}};
    double slices_each = 0;
    must(s.board != NULL, "there is no a100-80");
    for (unsigned i = 0; i < KINDS; i++) {
        s.rows[i] = (uint8_t)board_profile_by_name(s.board, names[i]);
        slices_each += parts[i] * s.board->profiles[s.rows[i]].compute;
    }
    s.rate = load * s.board->compute_slices * gpus / slices_each;
    s.first = (uint64_t)s.rate; /* of one second each */
    s.most = s.first + (uint64_t)batches * BATCH + 1;
    s.took = calloc(batches, sizeof *s.took);
    must(s.took != NULL, "out of memory");
    return s;
}

static int next_job(void *arg, struct sim_job *ret, struct error *err)
{
    struct stream *s = arg;
    (void)err;
    if (s->n == s->most) {
        s->memory = s->memory ? s->memory : resident();
        return 0;
    }
    if (s->n >= s->first && (s->n - s->first) % BATCH == 0) {
        int64_t now = cpu_now();
        if (s->n > s->first)
            s->took[s->took_n++] = (now - s->began) / BATCH;
        s->began = cpu_now();
    }
    if (s->n++ >= s->first)
        s->at -= log(uniform(&s->random)) / s->rate;
    double what = uniform(&s->random);
    unsigned kind = 0;
    while (kind + 1 < KINDS && (what -= parts[kind]) > 0)
        kind++;
    *ret = (struct sim_job){.submit = (int64_t)(s->at * (double)TIME_S),
                            .run = 1 - (int64_t)(log(uniform(&s->random)) * (double)TIME_S),
                            .wait = TIME_S,
                            .user = (uint32_t)(rng_next(&s->random) % USERS),
                            .count = 1,
                            .row = {s->rows[kind]}};
    return 1;
}

static void per_hundred(const char *what, unsigned gpus, uint64_t count, uint64_t jobs)
{
    printf("%s-%u %llu 0 0 1\n", what, gpus, (unsigned long long)((100 * count + jobs / 2) / jobs));
}

static double engine(unsigned gpus, unsigned batches)
{
    struct stream s = stream_new(gpus, batches);
    struct sim_setup setup = {.group_n = 1,
                              .groups = {{.board = s.board, .gpus = gpus}},
                              .idle_keep = TIME_NEVER,
                              .rule = SCORE_FGD_FILL, /* fettad's */
                              .quota_compute = (uint32_t)(7 * gpus)};
    struct sim_result result;
    struct error err;
    char name[32];
    int64_t all = 0;
    uint64_t before = resident();
    must(sim_run(&setup, &(struct sim_source){next_job, &s}, NULL, NULL, &result, &err) == 0,
         err.text);
    (void)snprintf(name, sizeof name, "engine-%u", gpus);
    clock_print(name, s.took, s.took_n);
    for (size_t i = 0; i < s.took_n; i++)
        all += s.took[i];
    printf("mean-%u %lld 0 0 1\n", gpus, (long long)all / (long long)MAX(s.took_n, 1));
    free(s.took);
    per_hundred("steps", gpus, result.steps - 2 * gpus, s.n);
    per_hundred("looks", gpus, result.cost.gpus, s.n);
    per_hundred("words", gpus, result.cost.words, s.n);
    per_hundred("kept", gpus, result.cost.kept, s.n);
    printf("memory-%u %llu 0 0 1\n", gpus, (unsigned long long)((s.memory - before) / gpus));
    return (double)result.granted / (double)(result.asked ? result.asked : 1);
}

/* Every GPU's layout, and ends in a heap. Before anything ends, what was full stays full. */
struct naive {
    struct layout *gpus;
    unsigned n, from[BOARD_PROFILES];
    struct agenda ends;
};

static bool place(struct naive *f, const struct stream *s, const struct sim_job *j, int64_t now)
{
    struct error err;
    unsigned row = j->row[0];
    for (unsigned i = f->from[row]; i < f->n; i++) {
        slices starts = layout_fits(s->board, &f->gpus[i], row);
        if (!starts)
            continue;
        if (s->n <= s->first)
            f->from[row] = i;
        struct placement p = {(uint8_t)row, (uint8_t)__builtin_ctz(starts)};
        layout_add(s->board, &f->gpus[i], p);
        struct agenda_item end = {.at = now + j->run, .gpu = i & AGENDA_GPUS, .op = p.start};
        must(agenda_add(&f->ends, end, &err) == 0, "out of memory");
        return true;
    }
    return false;
}

static double naive(unsigned gpus, unsigned batches)
{
    struct stream s = stream_new(gpus, batches);
    struct naive f = {.gpus = calloc(gpus, sizeof *f.gpus), .n = gpus};
    struct sim_job job;
    uint64_t granted = 0;
    struct error err;
    char name[32];
    must(f.gpus != NULL, "out of memory");
    while (next_job(&s, &job, NULL)) {
        if (s.n > s.first)
            memset(f.from, 0, sizeof f.from);
        while (agenda_next(&f.ends) <= job.submit) {
            struct agenda_item end;
            must(agenda_take(&f.ends, &end, &err) == 0, "out of memory");
            layout_remove(s.board, &f.gpus[end.gpu], end.op);
        }
        granted += place(&f, &s, &job, job.submit);
    }
    (void)snprintf(name, sizeof name, "naive-%u", gpus);
    clock_print(name, s.took, s.took_n);
    agenda_done(&f.ends);
    free(f.gpus);
    free(s.took);
    return (double)granted / (double)s.n;
}

int main(int argc, char **argv)
{
    static const unsigned fleets[] = {100, 10000, 1000000};
    unsigned batches = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300;
    must(batches > 0, "usage: bench-fleet [THOUSANDS [GPUS...]]");
    for (int i = 2; i < argc; i++)
        (void)engine((unsigned)strtoul(argv[i], NULL, 10), batches);
    if (argc > 2)
        return 0;
    for (unsigned i = 0; i < ARRAY_LEN(fleets); i++) {
        double ours = engine(fleets[i], batches);
        double theirs = naive(fleets[i], fleets[i] > 100 ? MIN(batches, 3) : batches);
        must(ours > 0.9 && theirs > 0.8, "a fast refusal is no figure");
    }
    return 0;
}
