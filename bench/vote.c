/* What the vote on the rule of placement (src/vote) is worth: it is held on recorded requests of
 * each mix, and what it answers is judged on others.
 *
 * bench-vote [GPUS [LOAD [SEED [WAIT [RANDOM]]]]]: so many A100-80s (8), offered so much of what
 * they hold (1.0). Votes are on VOTE_JOBS requests of seeds from SEED (7001) on, judged on seeds
 * from SEED + 100000 on. What finds no place is lost, or waits, where WAIT is "wait". With RANDOM
 * so many mixes drawn at random take the place of the six: each size is in one with probability a
 * half, with a share that is exponential. The house is as fetta.yaml has it when nothing is said:
 * idle instances stay for their owners, of whom there are 20. */
#include "vote/vote.h"
#include "bench/figure.h"
#include "bench/mix.h"

#include "base/macro.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOTES = 5, JUDGED = 10, USERS = 20, WARM = 10, LONG = 60 };

#define MEAN (1200 * TIME_S)

struct stream {
    const struct mix *mix;
    unsigned profiles[MIX_SIZES];
    double gap; /* mean, ns */
    int64_t now, wait;
    uint64_t n, most;
    struct rng random;
};

static struct stream stream_new(const struct mix *m, const struct board *b, double gpus,
                                double load, uint64_t seed)
{
    struct stream s = {.mix = m, .random = {seed}};
    mix_profiles(b, s.profiles);
    s.gap = (double)MEAN * mix_compute(m, b) / (load * gpus * b->compute_slices);
    return s;
}

static int next(void *arg, struct sim_job *ret, struct error *err)
{
    struct stream *s = arg;
    (void)err;
    if (s->n++ == s->most)
        return 0;
    s->now += (int64_t)figure_exponential(&s->random, s->gap);
    *ret = (struct sim_job){.submit = s->now, .wait = s->wait, .count = 1};
    ret->run = 1 + (int64_t)figure_exponential(&s->random, (double)MEAN);
    ret->user = rng_below(&s->random, USERS);
    memset(ret->row, BOARD_NO_PROFILE, sizeof ret->row);
    ret->row[0] = (uint8_t)s->profiles[mix_draw(s->mix, figure_uniform(&s->random))];
    return 1;
}

static void record(struct stream s, struct vote_job jobs[VOTE_JOBS])
{
    struct sim_job j;
    int64_t before = 0;
    s.most = VOTE_JOBS;
    for (unsigned i = 0; next(&s, &j, NULL) > 0; i++) {
        jobs[i] = (struct vote_job){
            .gap = j.submit - before, .run = j.run, .wait = j.wait, .user = j.user, .count = 1};
        memcpy(jobs[i].row, j.row, sizeof j.row);
        before = j.submit;
    }
}

/* Part of the work that finds a place, or the mean wait in seconds. */
static double judge(const struct vote_question *q, struct stream s, enum score_rule rule,
                    struct score_mix mix)
{
    struct sim_setup setup = {.group_n = 1,
                              .groups = {{.board = &q->groups[0].board, .gpus = q->groups[0].gpus}},
                              .idle_keep = q->idle_keep,
                              .warm_by_owner = true,
                              .rule = rule,
                              .mix = mix,
                              .from = WARM * MEAN,
                              .until = (WARM + LONG) * MEAN};
    struct sim_result r;
    struct sim_source source = {next, &s};
    struct error err;
    s.most = (uint64_t)((double)setup.until / s.gap);
    figure_must(sim_run(&setup, &source, NULL, NULL, &r, &err) == 0, "a run failed");
    return s.wait ? r.wait_mean : 100 * r.gpc_granted / r.gpc_asked;
}

/* Votes on one mix under one rule, and what became of their answers. */
static void show(const struct mix *m, enum score_rule rule, double gpus, double load, uint64_t seed,
                 int64_t wait)
{
    static struct vote_job jobs[VOTE_JOBS];
    static struct vote_question q;
    struct figure promised = {0}, gain = {0}, held = {0};
    unsigned won = 0, told = 0, chosen[SCORE_N] = {0};
    struct error err;
    q = (struct vote_question){.idle_keep = TIME_NEVER,
                               .warm_by_owner = true,
                               .rule = rule,
                               .group_n = 1,
                               .job_n = VOTE_JOBS};
    q.groups[0] = (struct vote_group){.board = *board_find("a100-80"), .gpus = (uint32_t)gpus};
    for (unsigned v = 0; v < VOTES; v++) {
        struct stream s = stream_new(m, &q.groups[0].board, gpus, load, seed + v);
        struct vote_result r;
        s.wait = wait;
        q.seed = seed + v;
        record(s, jobs);
        figure_must(vote_hold(&q, jobs, &r, &err) == 0, "a vote failed");
        bool yes = r.won != VOTE_NOTHING;
        won += yes;
        chosen[r.rule] += yes;
        told += yes && (r.mix.word[0] | r.mix.word[1]);
        figure_add(&promised, !yes ? 0 : wait ? r.wait_gain : 100 * r.work_gain);
        for (unsigned k = 0; k < JUDGED; k++) {
            s = stream_new(m, &q.groups[0].board, gpus, load, seed + 100000 + v * JUDGED + k);
            s.wait = wait;
            double was = judge(&q, s, rule, q.mix);
            double is = yes ? judge(&q, s, r.rule, r.mix) : was;
            figure_add(&held, was);
            figure_add(&gain, wait ? was - is : is - was);
        }
    }
    (void)printf("| %s | %s | %.2f | %u of %d", m->name, score_name(rule), figure_mean(&held), won,
                 VOTES);
    for (unsigned i = 0; i < SCORE_N; i++)
        if (chosen[i])
            (void)printf(", %u %s", chosen[i], score_name((enum score_rule)i));
    if (told)
        (void)printf(" (%u told)", told);
    (void)printf(" | %+.2f | %+.2f ± %.2f |\n", figure_mean(&promised), figure_mean(&gain),
                 figure_half(&gain));
    (void)fflush(stdout);
}

/* Two sizes at least. */
static struct mix random_mix(struct rng *r, char name[24], unsigned number)
{
    struct mix m = {.name = name};
    unsigned n = 0;
    (void)snprintf(name, 24, "random %u", number);
    while (n < 2) {
        n = 0;
        for (unsigned i = 0; i < MIX_SIZES; i++) {
            m.share[i] = rng_below(r, 2) ? figure_exponential(r, 1) : 0;
            n += m.share[i] > 0;
        }
    }
    return m;
}

int main(int argc, char **argv)
{
    double gpus = argc > 1 ? strtod(argv[1], NULL) : 8,
           load = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 7001;
    bool wait = argc > 4 && strcmp(argv[4], "wait") == 0;
    unsigned random = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
    struct rng r = {seed};
    char name[24];
    figure_must(gpus >= 1 && gpus <= SIM_GPUS && load > 0, "GPUS from 1 on, LOAD above 0");
    (void)printf("| mix | rule in force | %s | votes won | gain promised | gain on other seeds |\n",
                 wait ? "mean wait, s" : "work, %");
    (void)printf("|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < random; i++) {
        struct mix m = random_mix(&r, name, i + 1);
        show(&m, SCORE_FGD_FILL, gpus, load, seed, wait ? TIME_NEVER : 0);
    }
    for (unsigned i = 0; i < MIX_N && !random; i++) {
        show(&mix_all[i], SCORE_FGD_FILL, gpus, load, seed, wait ? TIME_NEVER : 0);
        show(&mix_all[i], SCORE_FIRST_LOW, gpus, load, seed, wait ? TIME_NEVER : 0);
    }
    return 0;
}
