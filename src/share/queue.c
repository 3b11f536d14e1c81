/* Events are few (one next arrival and one end of work per server), so the next is looked for and
 * no heap is kept. The run ends with the last arrival; what was answered by then
 * counts. */
#include "share/queue.h"

#include "base/macro.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

enum { WAITING = 4096, MANY = 20 };

enum phase { FREE, ALONE, IN_LINE, ON_DEVICE };

struct server {
    const struct queue_server *is;
    double *taken; /* seconds of each request answered */
    double next, until, joined;
    double waiting[WAITING]; /* arrivals, a ring */
    double batch[QUEUE_BATCH];
    unsigned first, waits, size, left, answered, steps;
    double occupied;
    enum phase phase;
    bool drowned;
};

struct run {
    struct server *servers;
    unsigned n;
    struct rng rng;
    double now;
    struct server *holder;
};

static double gap(struct run *r, double rate)
{
    double u = ((double)(rng_next(&r->rng) >> 11) + 0.5) / 9007199254740992.0;
    return -log(u) / rate;
}

static void take(struct run *r, struct server *s)
{
    s->size = MIN(s->waits, s->is->batch);
    if (s->size == 0) {
        s->phase = FREE;
        return;
    }
    for (unsigned i = 0; i < s->size; i++)
        s->batch[i] = s->waiting[(s->first + i) % WAITING];
    s->first = (s->first + s->size) % WAITING;
    s->waits -= s->size;
    s->phase = ALONE;
    s->until = r->now + s->is->own[s->size];
}

/* Gives a free device to who came first. */
static void hand_over(struct run *r)
{
    struct server *next = NULL;
    for (unsigned i = 0; i < r->n && !r->holder; i++) {
        struct server *s = &r->servers[i];
        if (s->phase == IN_LINE && (!next || s->joined < next->joined))
            next = s;
    }
    if (!next)
        return;
    r->holder = next;
    next->phase = ON_DEVICE;
    next->until = r->now + next->is->device[next->size];
    next->occupied += next->is->device[next->size];
}

static void arrive(struct run *r, struct server *s)
{
    s->next = --s->left > 0 ? r->now + gap(r, s->is->rate) : INFINITY;
    if (s->waits == WAITING) {
        s->drowned = true;
        return;
    }
    s->waiting[(s->first + s->waits++) % WAITING] = r->now;
    if (s->phase == FREE)
        take(r, s);
}

static void finish(struct run *r, struct server *s)
{
    if (s->phase == ALONE) {
        s->phase = IN_LINE;
        s->joined = r->now;
        s->until = INFINITY;
        hand_over(r);
        return;
    }
    for (unsigned i = 0; i < s->size; i++)
        s->taken[s->answered++] = r->now - s->batch[i];
    s->steps++;
    s->until = INFINITY;
    r->holder = NULL;
    take(r, s);
    hand_over(r);
}

/* The next thing that happens; false when all requests have come. */
static bool step(struct run *r)
{
    struct server *who = NULL;
    double when = INFINITY;
    bool comes = false, more = false;
    for (unsigned i = 0; i < r->n; i++) {
        struct server *s = &r->servers[i];
        more = more || s->left > 0;
        if (s->next < when || s->until < when) {
            who = s;
            comes = s->next <= s->until;
            when = MIN(s->next, s->until);
        }
    }
    if (!more || !who)
        return false;
    r->now = when;
    if (comes)
        arrive(r, who);
    else
        finish(r, who);
    return true;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, unsigned n, double q)
{
    return n ? sorted[MIN((unsigned)(q * n), n - 1)] : INFINITY;
}

double queue_part(unsigned i)
{
    return 1 - pow(10, -0.1 * i);
}

static void sum_up(const struct run *r, struct server *s, unsigned requests,
                   struct queue_result *ret)
{
    qsort(s->taken, s->answered, sizeof *s->taken, by_size);
    *ret = (struct queue_result){
        .requests = s->answered,
        .p50 = quantile(s->taken, s->answered, 0.5),
        .p95 = quantile(s->taken, s->answered, 0.95),
        .p99 = quantile(s->taken, s->answered, 0.99),
        .mean_batch = s->steps ? (double)s->answered / s->steps : 0,
        .busy = r->now > 0 ? s->occupied / r->now : 0,
        /* A queue that grows to the end is one that nothing drains. */
        .drowned = s->drowned || s->waits > requests / 20 + 4 * s->is->batch,
    };
    for (unsigned i = 0; i < QUEUE_CURVE; i++)
        ret->curve[i] = quantile(s->taken, s->answered, queue_part(i));
}

int queue_run(const struct queue_server *servers, unsigned n, unsigned requests, uint64_t seed,
              struct queue_result *ret, struct error *err)
{
    /* All run equally long: as long as the slowest to get its requests needs, but not so long that
     * another gets very many. */
    double least = INFINITY, most = 0;
    struct run r = {.n = n, .rng = {seed}, .servers = calloc(n, sizeof *r.servers)};
    for (unsigned i = 0; i < n; i++) {
        least = MIN(least, servers[i].rate);
        most = MAX(most, servers[i].rate);
    }
    double span = MIN(requests / least, MANY * (double)requests / most);
    bool whole = r.servers != NULL;
    for (unsigned i = 0; i < n && whole; i++) {
        struct server *s = &r.servers[i];
        s->left = 1 + (unsigned)(span * servers[i].rate);
        s->is = &servers[i];
        s->taken = calloc(s->left, sizeof *s->taken);
        s->until = INFINITY;
        s->next = gap(&r, servers[i].rate);
        whole = s->taken != NULL;
    }
    while (whole && step(&r))
        ;
    for (unsigned i = 0; i < n && whole; i++)
        sum_up(&r, &r.servers[i], requests, &ret[i]);
    for (unsigned i = 0; i < n && r.servers; i++)
        free(r.servers[i].taken);
    free(r.servers);
    return whole ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory left to try out the work");
}
