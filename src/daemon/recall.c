/* From leases, past and present, to the requests of a vote; see recall.h.
 *
 * Nothing of this is kept in memory: history has it, and it is looked at about once an hour. */
#include "daemon/recall.h"

#include "base/time.h"

#include <stdlib.h>
#include <string.h>

#define MONTH (30 * TIME_DAY)

/* A request with what orders it. */
struct recalled {
    uint32_t id;
    int64_t asked_at;
    struct vote_job job;
};

struct recall {
    struct daemon *d;
    struct vote_question *q;
    uint8_t board_of[SIM_BOARDS]; /* of each group */
    uint32_t n;
    struct recalled *all; /* [2 * VOTE_JOBS] */
};

unsigned recall_kind(const struct lease *l)
{
    for (unsigned i = 0; i < MACHINE_BOARDS && l->kind == SLICE_GI; i++)
        if (l->profile_on[i] < BOARD_PROFILES)
            return l->profile_on[i];
    return BOARD_PROFILES;
}

/* ---- the GPUs ---- */

static bool same_layout(const struct layout *a, const struct layout *b)
{
    return a->n == b->n && memcmp(a->at, b->at, a->n * sizeof a->at[0]) == 0;
}

static int add_gpu(struct recall *r, const struct gpu *g, struct error *err)
{
    struct vote_question *q = r->q;
    bool whole = g->fixed && g->layout_fixed.n == 0; /* a whole GPU was applied */
    enum pool pool = whole ? POOL_WHOLE : g->pool;
    struct layout fixed = g->fixed ? g->layout_fixed : (struct layout){0};
    for (uint32_t i = 0; i < q->group_n; i++) {
        if (r->board_of[i] != g->board || q->groups[i].pool != pool ||
            !same_layout(&q->groups[i].fixed, &fixed))
            continue;
        q->groups[i].gpus++;
        return 0;
    }
    if (q->group_n == SIM_BOARDS)
        return error_set(err, ERROR_INVALID,
                         "GPUs of more than %d kinds, by board, pool and applied layout",
                         SIM_BOARDS);
    r->board_of[q->group_n] = g->board;
    q->groups[q->group_n++] = (struct vote_group){
        .board = *world_board(r->d->world, g->board), .gpus = 1, .pool = pool, .fixed = fixed};
    return 0;
}

static int add_gpus(struct recall *r, struct error *err)
{
    int e = 0;
    for (unsigned i = 0; i < world_gpu_n(r->d->world) && e == 0; i++) {
        const struct gpu *g = world_gpu(r->d->world, i);
        if (g && g->managed && g->present && !g->drained && g->health != MACHINE_LOST)
            e = add_gpu(r, g, err);
    }
    if (e == 0 && r->q->group_n == 0)
        return error_set(err, ERROR_INVALID, "no GPU that fetta manages");
    return e;
}

/* ---- the requests ---- */

static int64_t wait_of(const struct lease *l)
{
    if (l->wait_until == TIME_NEVER)
        return TIME_NEVER;
    return MAX(l->wait_until - l->asked_at, 0);
}

/* A request for what none of the groups has is none for them. */
static void add(struct recall *r, const struct lease *l, int64_t run)
{
    struct recalled *to = &r->all[r->n];
    bool any = l->kind == SLICE_WHOLE;
    if (r->n == 2 * VOTE_JOBS || (l->kind != SLICE_WHOLE && l->kind != SLICE_GI) || l->count < 1)
        return;
    *to =
        (struct recalled){.id = l->id,
                          .asked_at = l->asked_at,
                          .job = {.run = run,
                                  .wait = wait_of(l),
                                  .user = (l->owner.id ^ (uint32_t)l->owner.kind << 19) % SIM_USERS,
                                  .priority = l->priority,
                                  .count = l->count,
                                  .whole = l->kind == SLICE_WHOLE}};
    memset(to->job.row, BOARD_NO_PROFILE, sizeof to->job.row);
    for (uint32_t i = 0; i < r->q->group_n && l->kind == SLICE_GI; i++) {
        to->job.row[i] = l->profile_on[r->board_of[i]];
        any = any || to->job.row[i] < BOARD_PROFILES;
    }
    r->n += any;
}

/* After a restart of the machine the boot clock begins anew, and only wall time tells. */
static int add_past(const struct store_past *p, void *arg)
{
    const struct lease *l = &p->lease;
    int64_t run = 0;
    if (l->started_at > 0)
        run = l->ended_at > l->started_at ? l->ended_at - l->started_at
                                          : MAX(p->ended_wall - p->started_wall, 1);
    add(arg, l, run);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const struct recalled *)a)->id, y = ((const struct recalled *)b)->id;
    return (x > y) - (x < y);
}

static int add_requests(struct recall *r, struct error *err)
{
    uint32_t next = world_next_id(r->d->world), live = 0;
    int64_t now = lease_clock_now(r->d);
    struct store_page page = {.after = next > VOTE_JOBS + 1 ? next - VOTE_JOBS - 1 : 0,
                              .since = time_wall() - MONTH,
                              .until = INT64_MAX,
                              .limit = VOTE_JOBS};
    const struct lease *l = world_lease_after(r->d->world, 0);
    for (; l && live < VOTE_JOBS; l = world_lease_after(r->d->world, l->id), live++)
        add(r, l, l->started_at > 0 ? MAX(now - l->started_at, 1) : 0);
    int e = store_history_page(r->d->store, &page, add_past, r, err);
    qsort(r->all, r->n, sizeof r->all[0], by_id);
    return e;
}

/* Gaps between them; over a restart of the machine there is none that is known. */
static struct vote_job *jobs_of(const struct recall *r, uint32_t *ret_n)
{
    uint32_t skip = r->n > VOTE_JOBS ? r->n - VOTE_JOBS : 0, n = r->n - skip;
    struct vote_job *jobs = calloc(n, sizeof *jobs);
    int64_t sum = 0;
    for (uint32_t i = 0; jobs && i < n; i++) {
        const struct recalled *at = &r->all[skip + i];
        jobs[i] = at->job;
        jobs[i].gap = i ? MIN(MAX(at->asked_at - at[-1].asked_at, 0), MONTH) : 0;
        sum += jobs[i].gap;
    }
    if (jobs && n > 1)
        jobs[0].gap = sum / (n - 1);
    *ret_n = n;
    return jobs;
}

int recall_question(struct daemon *d, struct vote_question *ret, struct vote_job **ret_jobs,
                    struct error *err)
{
    const struct policy *p = world_policy(d->world);
    struct recall r = {.d = d, .q = ret};
    AUTO_FREE struct recalled *all = r.all = calloc(2 * VOTE_JOBS, sizeof *r.all);
    *ret = (struct vote_question){.seed = world_next_id(d->world),
                                  .idle_keep = p->idle_keep,
                                  .warm_by_owner = p->warm_reuse == WARM_OWNER,
                                  .rule = p->rule,
                                  .mix = p->mix};
    if (!all)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a vote");
    int e = add_gpus(&r, err);
    if (e == 0)
        e = add_requests(&r, err);
    if (e == 0 && r.n < VOTE_JOBS_LEAST)
        e = error_set(err, ERROR_INVALID, "only %u requests in a month", r.n);
    if (e < 0)
        return e;
    *ret_jobs = jobs_of(&r, &ret->job_n);
    return *ret_jobs ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory for a vote");
}
