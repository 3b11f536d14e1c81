/* The loop of serve.h. */
#include "load/serve.h"

#include "base/macro.h"
#include "base/rng.h"
#include "base/time.h"
#include "load/link.h"

#include <math.h>
#include <stdlib.h>

/* A piece of work, and for how much longer than that we are taken for working: the host may wake
 * us late. Report of progress. */
enum { PIECE_MS = 25, SLACK_MS = 60, PROGRESS_MS = 500 };

struct server {
    const struct serve_plan *plan;
    const struct pace *pace;
    serve_progress *progress;
    void *arg;
    struct serve_report *r;
    int64_t begin, end, at; /* the timeline: all that is before `at` has happened */
    int64_t told;           /* last progress */
    int64_t next;           /* arrival that is not yet in the queue */
    struct rng rng;
    int64_t *queue; /* arrivals, a ring of plan->queue */
    unsigned first, n;
    double factor; /* of the last piece */
};

/* Exponential gaps, mean 1 / rate. */
static int64_t gap(struct server *s)
{
    double u = ((double)(rng_next(&s->rng) >> 11) + 1) / 9007199254740993.0;
    return (int64_t)MIN(-log(u) / s->plan->rate * TIME_S, 1e17);
}

/* Arrivals up to now join the queue, or are refused where it is full. */
static void arrive(struct server *s)
{
    while (s->plan->rate > 0 && s->next <= MIN(s->at, s->end)) {
        s->r->offered++;
        if (s->n < s->plan->queue)
            s->queue[(s->first + s->n++) % s->plan->queue] = s->next;
        else
            s->r->refused++;
        s->r->queue_most = MAX(s->r->queue_most, s->n);
        s->next += gap(s);
    }
}

/* 0, 1 if a signal came, or a negative code. */
static int wait_until(struct server *s, int64_t due, struct error *err)
{
    int64_t now;
    enum pace_end end = pace_until(s->pace, due, &s->r->sig);
    now = pace_now();
    s->at = end == PACE_DUE ? due : MIN(due, now);
    s->r->late = MAX(s->r->late, now - s->at);
    s->r->elapsed = MIN(s->at, s->end) - s->begin;
    if (now - s->told >= PROGRESS_MS * TIME_MS && s->progress) {
        s->told = now;
        arrive(s);
        s->progress(s->arg, s->plan, s->r, now - s->begin);
    }
    if (end == PACE_LOST)
        return error_set(err, ERROR_DRIVER_LOST, "the emulated driver went away");
    return end == PACE_SIGNAL;
}

/* One piece of a batch: returns as wait_until; *left is what remains, in ns of working alone. */
static int piece(struct server *s, unsigned batch, double *left, struct error *err)
{
    const struct serve_plan *p = s->plan;
    struct work_around around;
    unsigned others = 0;
    int64_t most = PIECE_MS * TIME_MS, guess = (int64_t)MIN(*left * s->factor, (double)most);
    int r = link_work(s->pace->driver, &p->device, &p->work, p->mps, guess,
                      guess + SLACK_MS * TIME_MS, &around, &others, err);
    if (r < 0)
        return r;
    struct work_cost cost = work_cost(&p->work, &p->place, batch, p->mps, &around);
    double took = MIN(*left * cost.factor, (double)most);
    s->factor = cost.factor;
    s->r->others_most = MAX(s->r->others_most, others);
    s->r->cost_basis = MAX(s->r->cost_basis, cost.basis);
    s->r->cost_sources |= cost.sources;
    s->r->with_others += cost.sources ? took : 0;
    s->r->of_measured += cost.sources && cost.basis == WORK_MEASURED ? took : 0;
    s->r->alone += took / cost.factor;
    s->r->busy += took;
    *left = took < (double)most ? 0 : *left - took / cost.factor;
    return wait_until(s, s->at + (int64_t)took, err);
}

/* Serves one batch; 1 if the end came before it was done. */
static int serve_batch(struct server *s, struct error *err)
{
    const struct serve_plan *p = s->plan;
    struct work_time t;
    bool closed = p->rate <= 0;
    unsigned batch = closed ? p->batch : MIN(s->n, p->batch);
    int64_t begin = s->at;
    int r = work_service(&p->work, &p->place, batch, &t, err);
    double left = (double)t.ns;
    s->r->basis = MAX(s->r->basis, t.basis);
    s->r->sources |= 1u << t.source;
    s->r->offered += closed ? batch : 0;
    while (r == 0 && left > 0.5 && s->at < s->end)
        r = piece(s, batch, &left, err);
    if (r || s->at > s->end || left > 0.5)
        return r < 0 ? r : 1;
    for (unsigned i = 0; i < batch; i++) {
        int64_t came = closed ? begin : s->queue[(s->first + i) % p->queue];
        tally_add(&s->r->latency, s->at - came);
        tally_add(&s->r->wait, begin - came);
    }
    s->first = closed ? 0 : (s->first + batch) % p->queue;
    s->n -= closed ? 0 : batch;
    s->r->served += batch;
    s->r->batches++;
    return 0;
}

static int idle_until(struct server *s, int64_t due, struct error *err)
{
    struct work_around around;
    unsigned others;
    int r = link_work(s->pace->driver, &s->plan->device, &s->plan->work, s->plan->mps, 0, 0,
                      &around, &others, err);
    if (r < 0)
        return r;
    s->r->others_most = MAX(s->r->others_most, others);
    return wait_until(s, due, err);
}

int serve_run(const struct serve_plan *plan, const struct pace *pace, serve_progress *progress,
              void *arg, struct serve_report *ret, struct error *err)
{
    AUTO_FREE int64_t *queue = calloc(plan->queue, sizeof *queue);
    *ret = (struct serve_report){0};
    struct server s = {.plan = plan,
                       .pace = pace,
                       .progress = progress,
                       .arg = arg,
                       .r = ret,
                       .begin = pace_now(),
                       .rng = {plan->seed},
                       .queue = queue,
                       .factor = 1};
    if (!queue)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a queue of %u", plan->queue);
    s.at = s.told = s.begin;
    s.end = s.begin + plan->length;
    s.next = plan->rate > 0 ? s.begin + gap(&s) : TIME_NEVER;
    int r = 0;
    while (r == 0 && s.at < s.end) {
        arrive(&s);
        if (plan->rate > 0 && s.n == 0)
            r = idle_until(&s, MIN(s.next, s.end), err);
        else
            r = serve_batch(&s, err);
    }
    arrive(&s);
    /* Who goes round and round is measured over whole rounds. */
    if (plan->rate <= 0 && ret->served > 0)
        ret->elapsed = (int64_t)(tally_mean(&ret->latency) * (double)ret->batches);
    ret->unfinished = ret->offered - ret->served - ret->refused;
    return MIN(r, 0);
}
