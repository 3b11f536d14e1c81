/* The jobs of a trace put as the question that fettad asks; see simulate-vote.h. */
#include "cli/simulate-vote.h"

#include "base/macro.h"
#include "vote/vote.h"

#include <stdlib.h>
#include <string.h>

static struct vote_job recorded(const struct sim_job *j, int64_t before)
{
    struct vote_job k = {.gap = j->submit - before,
                         .run = j->run,
                         .wait = j->wait,
                         .user = j->user,
                         .priority = j->priority,
                         .count = j->count,
                         .whole = j->whole};
    memcpy(k.row, j->row, sizeof k.row);
    return k;
}

/* The last VOTE_JOBS of the first `most` jobs: fettad, too, looks at no more. */
static int read_jobs(struct trace *t, uint64_t most, struct vote_job *ret, uint32_t *ret_n,
                     struct error *err)
{
    uint64_t skip = most > VOTE_JOBS ? most - VOTE_JOBS : 0;
    int64_t before = 0;
    struct sim_job j;
    int r = 0;
    *ret_n = 0;
    for (uint64_t n = 0; n < most && (r = trace_next(t, &j, err)) > 0; n++) {
        if (n >= skip)
            ret[(*ret_n)++] = recorded(&j, before);
        before = j.submit;
    }
    return MIN(r, 0);
}

int simulate_vote(struct trace *t, const struct sim_setup *setup, uint64_t most, uint64_t seed,
                  struct rival *rival, struct error *err)
{
    AUTO_FREE struct vote_job *jobs = calloc(VOTE_JOBS, sizeof *jobs);
    AUTO_FREE struct vote_question *q = calloc(1, sizeof *q);
    struct vote_result result;
    uint32_t n = 0;
    if (!jobs || !q)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for a vote");
    int r = read_jobs(t, most, jobs, &n, err);
    if (r < 0 || n < VOTE_JOBS_LEAST)
        return r;
    q->seed = seed;
    q->idle_keep = setup->idle_keep;
    q->warm_by_owner = setup->warm_by_owner;
    q->rule = rival->rule;
    q->mix = rival->mix;
    q->group_n = setup->group_n;
    q->job_n = n;
    for (unsigned i = 0; i < setup->group_n; i++)
        q->groups[i] = (struct vote_group){.board = *setup->groups[i].board,
                                           .gpus = setup->groups[i].gpus,
                                           .pool = setup->groups[i].pool,
                                           .fixed = setup->groups[i].fixed};
    r = vote_hold(q, jobs, &result, err);
    if (r == 0 && result.won != VOTE_NOTHING) {
        rival->rule = result.rule;
        rival->mix = result.mix;
    }
    return r;
}
