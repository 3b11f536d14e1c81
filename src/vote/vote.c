/* Holding the vote; see vote.h. */
#include "vote/vote.h"

#include "base/macro.h"
#include "base/rng.h"
#include "base/time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUN_TOGETHER = 16, /* requests drawn in a row, so that what comes in bursts still does */
    REPLAY_LEAST = 300,
    WARM_PART = 8, /* the first eighth of a replay fills the fleet and is not counted */
    CANDIDATES = SCORE_N + 2,
};

/* Gains below these are not worth a change: parts of the work, parts of the wait. */
#define WORTH_WORK 0.001
#define WORTH_WAIT 0.01

/* Of Student's distribution with VOTE_JUDGING - 1 degrees of freedom, 97.5 %. */
#define STUDENT 2.069

struct candidate {
    enum score_rule rule;
    struct score_mix mix;
    double work[VOTE_JUDGING], wait[VOTE_JUDGING]; /* per replay */
    double work_mean, wait_mean;
};

struct vote {
    const struct vote_question *q;
    const struct vote_job *jobs;
    struct sim_setup setup;
    uint32_t known_n; /* jobs of which the run time is known */
    uint32_t *known;
    uint32_t n, at; /* the replay, and where its source is */
    struct sim_job *replay;
    uint64_t played;
    struct error *err;
};

static bool alike(const struct vote_job *a, const struct vote_job *b)
{
    return a->whole == b->whole && (a->whole || memcmp(a->row, b->row, sizeof a->row) == 0);
}

/* How long a job runs that was refused: as one of its profile did, or else as any. */
static int64_t run_of(const struct vote *v, const struct vote_job *j, struct rng *r)
{
    if (j->run > 0)
        return j->run;
    uint32_t start = rng_below(r, v->known_n);
    for (uint32_t i = 0; i < v->known_n; i++) {
        const struct vote_job *k = &v->jobs[v->known[(start + i) % v->known_n]];
        if (alike(j, k))
            return k->run;
    }
    return v->jobs[v->known[start]].run;
}

/* The replay of a seed. */
static void draw(struct vote *v, uint64_t seed)
{
    struct rng r = {seed};
    int64_t now = 0;
    uint32_t from = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        from = i % RUN_TOGETHER ? (from + 1) % v->q->job_n : rng_below(&r, v->q->job_n);
        const struct vote_job *j = &v->jobs[from];
        now += j->gap;
        struct sim_job *to = &v->replay[i];
        *to = (struct sim_job){.submit = now,
                               .run = run_of(v, j, &r),
                               .wait = j->wait,
                               .user = j->user,
                               .priority = j->priority,
                               .count = j->count,
                               .whole = j->whole};
        memcpy(to->row, j->row, sizeof to->row);
    }
    v->setup.from = v->replay[v->n / WARM_PART].submit;
    v->setup.until = now + 1;
}

static int next(void *arg, struct sim_job *ret, struct error *err)
{
    struct vote *v = arg;
    (void)err;
    if (v->at == v->n)
        return 0;
    *ret = v->replay[v->at++];
    return 1;
}

static int play(struct vote *v, struct candidate *c, unsigned replay)
{
    struct sim_source source = {next, v};
    struct sim_result s;
    v->at = 0;
    v->setup.rule = c->rule;
    v->setup.mix = c->mix;
    int r = sim_run(&v->setup, &source, NULL, NULL, &s, v->err);
    if (r < 0)
        return r;
    v->played += v->n;
    c->work[replay] = s.gpc_asked > 0 ? s.gpc_granted / s.gpc_asked : 0;
    c->wait[replay] = s.wait_mean;
    return 0;
}

static double mean_of(const double *values, unsigned n)
{
    double sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += values[i];
    return sum / n;
}

/* The mean of a - b over the judging replays, and half of its 95 % interval. */
static double gain_of(const double *a, const double *b, double *ret_noise)
{
    double gaps[VOTE_JUDGING], squares = 0;
    for (unsigned i = 0; i < VOTE_JUDGING; i++)
        gaps[i] = a[i] - b[i];
    double mean = mean_of(gaps, VOTE_JUDGING);
    for (unsigned i = 0; i < VOTE_JUDGING; i++)
        squares += (gaps[i] - mean) * (gaps[i] - mean);
    *ret_noise = STUDENT * sqrt(squares / (VOTE_JUDGING - 1) / VOTE_JUDGING);
    return mean;
}

/* Every rule, and those that look at a mix also with the recorded one: on some mixes they do better
 * without. Which profile is which is one thing only where all GPUs are of one board. */
static unsigned stand(const struct vote *v, struct candidate *c)
{
    double counts[BOARD_PROFILES] = {0};
    unsigned n = 0;
    bool one_board = true;
    for (unsigned i = 0; i < SCORE_N; i++)
        c[n++] = (struct candidate){.rule = (enum score_rule)i};
    for (unsigned i = 1; i < v->q->group_n; i++)
        one_board =
            one_board && strcmp(v->q->groups[i].board.name, v->q->groups[0].board.name) == 0;
    for (uint32_t i = 0; i < v->q->job_n; i++)
        if (!v->jobs[i].whole && v->jobs[i].row[0] < BOARD_PROFILES)
            counts[v->jobs[i].row[0]] += v->jobs[i].count;
    struct score_mix mix = score_mix_of(counts);
    if (!one_board || !(mix.word[0] | mix.word[1]))
        return n;
    c[n++] = (struct candidate){.rule = SCORE_FGD, .mix = mix};
    c[n++] = (struct candidate){.rule = SCORE_FGD_FILL, .mix = mix};
    return n;
}

/* The most work; of those that do as much but for what is not worth a change, the shortest wait. */
static const struct candidate *best_of(const struct candidate *c, unsigned n)
{
    const struct candidate *most = c, *best = NULL;
    for (unsigned i = 1; i < n; i++)
        most = c[i].work_mean > most->work_mean ? &c[i] : most;
    best = most;
    for (unsigned i = 0; i < n; i++)
        if (c[i].work_mean >= most->work_mean - WORTH_WORK && c[i].wait_mean < best->wait_mean)
            best = &c[i];
    return best;
}

static int choose(struct vote *v, struct candidate *ret)
{
    AUTO_FREE struct candidate *c = calloc(CANDIDATES, sizeof *c);
    if (!c)
        return error_set(v->err, ERROR_NO_MEMORY, "no memory for a vote");
    unsigned n = stand(v, c);
    for (unsigned k = 0; k < VOTE_CHOOSING; k++) {
        draw(v, v->q->seed + k);
        for (unsigned i = 0; i < n; i++) {
            int r = play(v, &c[i], k);
            if (r < 0)
                return r;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        c[i].work_mean = mean_of(c[i].work, VOTE_CHOOSING);
        c[i].wait_mean = mean_of(c[i].wait, VOTE_CHOOSING);
    }
    *ret = *best_of(c, n);
    return 0;
}

/* The best against the rule in force, on replays that chose nothing. */
static int judge(struct vote *v, struct candidate *best, struct vote_result *ret)
{
    struct candidate held = {.rule = v->q->rule, .mix = v->q->mix};
    for (unsigned k = 0; k < VOTE_JUDGING; k++) {
        draw(v, v->q->seed + VOTE_CHOOSING + k);
        int r = play(v, &held, k);
        if (r == 0)
            r = play(v, best, k);
        if (r < 0)
            return r;
    }
    ret->rule = best->rule;
    ret->mix = best->mix;
    ret->work = mean_of(held.work, VOTE_JUDGING);
    ret->wait = mean_of(held.wait, VOTE_JUDGING);
    ret->work_gain = gain_of(best->work, held.work, &ret->work_noise);
    ret->wait_gain = gain_of(held.wait, best->wait, &ret->wait_noise);
    if (ret->work_gain > ret->work_noise && ret->work_gain >= WORTH_WORK)
        ret->won = VOTE_WORK;
    else if (ret->work_gain > -WORTH_WORK && ret->wait_gain > ret->wait_noise &&
             ret->wait_gain >= WORTH_WAIT * ret->wait)
        ret->won = VOTE_WAIT;
    return 0;
}

static bool good_job(const struct vote_job *j)
{
    bool times = j->gap >= 0 && j->gap < 365 * TIME_DAY && j->run >= 0 && j->wait >= 0;
    return times && j->count >= 1 && j->count <= REQUEST_SLICES && j->user < SIM_USERS;
}

static int check(const struct vote_question *q, const struct vote_job *jobs, struct error *err)
{
    bool good = q->group_n >= 1 && q->group_n <= SIM_BOARDS && q->job_n >= VOTE_JOBS_LEAST &&
                q->job_n <= VOTE_JOBS && q->rule < SCORE_N;
    uint32_t known = 0;
    for (uint32_t i = 0; good && i < q->group_n; i++)
        good = q->groups[i].board.profile_n <= BOARD_PROFILES && q->groups[i].gpus > 0;
    for (uint32_t i = 0; good && i < q->job_n; i++) {
        good = good_job(&jobs[i]);
        known += jobs[i].run > 0;
    }
    return good && known ? 0 : error_set(err, ERROR_INVALID, "a vote on nothing that makes sense");
}

/* Room for a replay, and the list of jobs that are known to have run. */
static int prepare(struct vote *v)
{
    const struct vote_question *q = v->q;
    v->n = MAX(2 * q->job_n, (uint32_t)REPLAY_LEAST);
    v->replay = calloc(v->n, sizeof *v->replay);
    v->known = calloc(q->job_n, sizeof *v->known);
    if (!v->replay || !v->known)
        return error_set(v->err, ERROR_NO_MEMORY, "no memory for a vote");
    for (uint32_t i = 0; i < q->job_n; i++)
        if (v->jobs[i].run > 0)
            v->known[v->known_n++] = i;
    v->setup = (struct sim_setup){.group_n = q->group_n,
                                  .idle_keep = q->idle_keep,
                                  .warm_by_owner = q->warm_by_owner,
                                  .lease_max = v->n};
    for (uint32_t i = 0; i < q->group_n; i++)
        v->setup.groups[i] = (struct sim_group){.board = &q->groups[i].board,
                                                .gpus = q->groups[i].gpus,
                                                .pool = q->groups[i].pool,
                                                .fixed = q->groups[i].fixed};
    return 0;
}

int vote_hold(const struct vote_question *q, const struct vote_job *jobs, struct vote_result *ret,
              struct error *err)
{
    struct vote v = {.q = q, .jobs = jobs, .err = err};
    struct candidate best;
    *ret = (struct vote_result){.won = VOTE_NOTHING};
    int r = check(q, jobs, err);
    if (r == 0)
        r = prepare(&v);
    if (r == 0)
        r = choose(&v, &best);
    if (r == 0)
        r = judge(&v, &best, ret);
    ret->jobs = v.played;
    free(v.replay);
    free(v.known);
    return r;
}
