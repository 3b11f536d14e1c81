/* One row: how many GPUs, cut or shared how, and what requests take on them. */
#include "compare/inside.h"

#include "base/macro.h"
#include "emul/physical.h"
#include "share/share.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests of each server in a trial, and in the runs whose figures are shown. */
enum { TRIAL = 2000, SHOWN = 20000, GPUS_MOST = 4096 };

/* Most clients of one MPS server (NVIDIA, Multi-Process Service, "Client Connection Limits"). */
enum { MPS_CLIENTS = 48 };

static const struct {
    const char *name, *isolates, *shares;
} ways[] = {
    [COMPARE_WHOLE] = {"whole GPUs", "all of the GPU", "host, power supply, PCIe switches"},
    [COMPARE_STATIC] = {"static MIG", "SMs, memory and its bandwidth, caches, faults",
                        "power and clock, PCIe, last-level TLB, host"},
    [COMPARE_FETTA] = {"fetta on MIG", "SMs, memory and its bandwidth, caches, faults",
                       "power and clock, PCIe, last-level TLB, host"},
    [COMPARE_MPS] = {"MPS", "address spaces", "SMs, bandwidth, caches; a fault ends all clients"},
    [COMPARE_TURNS] = {"time slicing", "address spaces, faults",
                       "all of the GPU by turns; memory without a limit for each"},
};

const char *compare_way_name(enum compare_way way)
{
    return ways[way].name;
}

const char *compare_isolates(enum compare_way way)
{
    return ways[way].isolates;
}

const char *compare_shares(enum compare_way way)
{
    return ways[way].shares;
}

static const struct {
    const char *board;
    double usd;
    const char *source;
} prices[] = {
#define PRICE(board, usd, source) {board, usd, source},
#include "compare/price.def"
#undef PRICE
};

double compare_curve_part(unsigned i)
{
    return queue_part(i);
}

_Static_assert((int)COMPARE_CURVE == (int)QUEUE_CURVE, "a distribution is copied as it is");

static void note_curve(const struct queue_result *seen, struct compare_service *s)
{
    for (unsigned i = 0; i < COMPARE_CURVE; i++)
        s->curve[i] = seen->curve[i] * 1000;
}

double compare_price(const char *board, const char **ret_source)
{
    for (size_t i = 0; i < ARRAY_LEN(prices); i++)
        if (strcmp(prices[i].board, board) == 0) {
            *ret_source = prices[i].source;
            return prices[i].usd;
        }
    *ret_source = NULL;
    return 0;
}

/* What the ways of one system share while they are worked out. */
struct run {
    const struct needs *n;
    struct compare_system *s;
    uint64_t seed;
    struct error *err;
};

static void cannot(struct compare_row *row, const struct need *n, const char *where)
{
    if (n->job)
        (void)snprintf(row->why_not, sizeof row->why_not, "%s does not fit %s", n->name, where);
    else
        (void)snprintf(row->why_not, sizeof row->why_not, "%s is not served in %g ms on %s",
                       n->name, n->target_ms, where);
}

/* Runs one replica of each kind by itself, and fills what requests take. */
static int see_alone(struct run *r, struct compare_row *row, unsigned i, unsigned profile,
                     unsigned replicas, double rate, unsigned batch)
{
    const struct need *n = &r->n->all[i];
    struct compare_service *s = &row->services[i];
    struct compare_place at = {r->s->board, profile};
    bool cut = profile != BOARD_NO_PROFILE;
    struct queue_server server = {0}, quiet = {0};
    struct queue_result seen;
    if (!compare_times(n, at, batch, cut, false, &server, &s->basis) ||
        !compare_times(n, at, 1, false, false, &quiet, NULL))
        return error_set(r->err, ERROR_UNSUPPORTED, "nothing was published about work on %s",
                         r->s->board->name);
    server.rate = rate / replicas;
    int result = queue_run(&server, 1, SHOWN, r->seed + i, &seen, r->err);
    *s = (struct compare_service){.replicas = replicas,
                                  .batch = batch,
                                  .rate = rate,
                                  .p50 = seen.p50 * 1000,
                                  .p95 = seen.p95 * 1000,
                                  .p99 = seen.p99 * 1000,
                                  .alone = quiet.device[1] * 1000,
                                  .in_time = !seen.drowned && seen.p99 * 1000 <= n->target_ms,
                                  .profile = (uint8_t)profile,
                                  .basis = s->basis};
    note_curve(&seen, s);
    double sms = cut ? r->s->board->profiles[profile].sms : r->s->board->sms;
    double own = seen.busy;
    struct queue_server split = {0};
    /* Without the part of the time that is the process's own. */
    if (compare_times(n, at, batch, cut, true, &split, NULL))
        own *= split.device[batch] / server.device[batch];
    row->utilisation += own * replicas * sms / r->s->board->sms;
    return result;
}

static int whole(struct run *r, struct compare_row *row)
{
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *n = &r->n->all[i];
        if (n->job) {
            row->gpus += compare_ends(n) ? 0 : n->at_once;
            continue;
        }
        struct needs_offer o = compare_whole(n, r->s->board);
        if (o.rate <= 0) {
            cannot(row, n, "a whole GPU");
            return 0;
        }
        unsigned replicas = (unsigned)ceil(n->rate / o.rate - 1e-9);
        row->gpus += replicas;
        int result = see_alone(r, row, i, BOARD_NO_PROFILE, replicas, n->rate, o.batch);
        if (result < 0)
            return result;
    }
    row->users = r->s->gpus;
    return 0;
}

/* Slices that all work needs if all are of one profile; UINT64_MAX if that cannot be. */
static uint64_t slices_of(struct run *r, unsigned profile)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *n = &r->n->all[i];
        struct needs_offer o = needs_offer(n, r->s->board, profile);
        if (n->job ? !compare_job_fits(n, r->s->board, profile) : o.rate <= 0)
            return UINT64_MAX;
        if (n->job)
            sum += compare_ends(n) ? 0 : n->at_once;
        else
            sum += (uint64_t)ceil(n->rate / o.rate - 1e-9);
    }
    return sum;
}

static int fixed(struct run *r, struct compare_row *row)
{
    const struct board *b = r->s->board;
    const struct layout none = {0};
    uint64_t fewest = UINT64_MAX;
    unsigned each = 1;
    for (unsigned p = 0; p < b->profile_n; p++) {
        unsigned room = layout_capacity(b, &none, p);
        bool can = !b->profiles[p].suffix[0] && room > 0;
        uint64_t many = can ? slices_of(r, p) : UINT64_MAX;
        uint64_t gpus = many < UINT64_MAX ? (many + room - 1) / room : UINT64_MAX;
        if (gpus < fewest) {
            fewest = gpus;
            row->profile = (uint8_t)p;
            each = room;
        }
    }
    if (fewest == UINT64_MAX) {
        (void)snprintf(row->why_not, sizeof row->why_not, "no one size of slice does for all");
        return 0;
    }
    row->gpus = (uint32_t)fewest;
    row->users = r->s->gpus * each;
    row->mix_n = row->gpus > 0;
    row->mixes[0].gpus = row->gpus;
    row->mixes[0].n[row->profile] = (uint8_t)each;
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *n = &r->n->all[i];
        struct needs_offer o = needs_offer(n, b, row->profile);
        unsigned replicas = n->job ? 0 : (unsigned)ceil(n->rate / o.rate - 1e-9);
        int result = n->job ? 0 : see_alone(r, row, i, row->profile, replicas, n->rate, o.batch);
        if (result < 0)
            return result;
    }
    return 0;
}

/* The profile that serves most of a service in a plan, and the rate of it there. */
static int see_planned(struct run *r, struct compare_row *row, unsigned i,
                       const struct serve_plan *plan, unsigned at)
{
    const struct need *n = &r->n->all[i];
    double all = 0, most = 0;
    unsigned best = 0, replicas = 0;
    for (unsigned p = 0; p < r->s->board->profile_n; p++) {
        double can = plan->replicas[at][p] * needs_offer(n, r->s->board, p).rate;
        all += can;
        replicas += plan->replicas[at][p];
        if (can > most) {
            most = can;
            best = p;
        }
    }
    struct needs_offer o = needs_offer(n, r->s->board, best);
    double here = n->rate * most / all;
    int result = see_alone(r, row, i, best, plan->replicas[at][best], here, o.batch);
    double seen = row->utilisation;
    for (unsigned p = 0; p < r->s->board->profile_n && result == 0; p++) {
        struct needs_offer other = needs_offer(n, r->s->board, p);
        if (p == best || !plan->replicas[at][p])
            continue;
        row->utilisation += other.rate / all * n->rate / other.batch * plan->replicas[at][p] *
                            other.ms / 1000 * r->s->board->profiles[p].sms / r->s->board->sms;
    }
    row->utilisation = MAX(row->utilisation, seen);
    row->services[i].replicas = replicas;
    row->services[i].rate = n->rate;
    return result;
}

/* What is asked of the planner: services, and slices for jobs that never end. */
static unsigned asked(struct run *r, const struct table *t, struct serve_service *services,
                      unsigned *which)
{
    const struct board *b = r->s->board;
    unsigned n = 0;
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *need = &r->n->all[i];
        if (compare_ends(need))
            continue;
        services[n].rate = need->job ? need->at_once : need->rate;
        for (unsigned p = 0; p < b->profile_n; p++)
            if (table_mask(t) >> p & 1)
                services[n].per_slice[p] =
                    need->job ? compare_job_fits(need, b, p) : needs_offer(need, b, p).rate;
        which[n++] = i;
    }
    return n;
}

static void note_mixes(struct compare_row *row, const struct serve_plan *plan,
                       const struct table *t)
{
    unsigned n = 0;
    const struct table_mix *pareto = table_pareto(t, &n);
    for (unsigned m = 0; m < MIN(n, (unsigned)SERVE_MIXES); m++) {
        if (!plan->mixes[m])
            continue;
        struct compare_mix *mix = &row->mixes[row->mix_n++];
        mix->gpus = plan->mixes[m];
        memcpy(mix->n, pareto[m].n, sizeof mix->n);
    }
}

static int planned(struct run *r, struct compare_row *row, const struct table *t,
                   const struct pack *pack)
{
    struct serve_service services[SERVE_MAX] = {0};
    unsigned which[SERVE_MAX], bad = 0, n = asked(r, t, services, which);
    struct serve_plan *plan = calloc(1, sizeof *plan);
    int result = plan ? 0 : error_set(r->err, ERROR_NO_MEMORY, "no memory left to plan slices");
    if (result == 0 && n > 0)
        result = serve_fewest(pack, t, services, n, plan, &bad, r->err);
    if (result == -ERROR_NEVER) {
        cannot(row, &r->n->all[which[bad]], "any slice");
        result = 0;
        n = 0;
    }
    if (result == 0 && n > 0) {
        row->gpus = plan->gpus;
        note_mixes(row, plan, t);
    }
    for (unsigned k = 0; k < n && result == 0; k++)
        if (!r->n->all[which[k]].job)
            result = see_planned(r, row, which[k], plan, k);
    free(plan);
    return result;
}

static int dynamic(struct run *r, struct compare_row *row)
{
    const struct board *b = r->s->board;
    const struct layout none = {0};
    struct table *t = table_new(b, table_plain(b));
    struct pack *pack = t ? pack_new(t) : NULL;
    int result = pack ? planned(r, row, t, pack)
                      : error_set(r->err, ERROR_NO_MEMORY, "no memory left to plan slices");
    for (unsigned p = 0; p < b->profile_n; p++)
        row->users = MAX(row->users, r->s->gpus * layout_capacity(b, &none, p));
    pack_free(pack);
    table_free(t);
    return result;
}

/* All services on one device, as one of `gpus` alike ones, each with so many processes. */
struct together {
    unsigned n, need[QUEUE_SERVERS];
    struct queue_server servers[QUEUE_SERVERS];
    struct queue_result seen[QUEUE_SERVERS];
};

static bool gather(struct run *r, bool mps, unsigned processes, struct together *t,
                   struct compare_row *row)
{
    unsigned services = 0;
    t->n = 0;
    for (unsigned i = 0; i < r->n->n; i++)
        services += !r->n->all[i].job;
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *n = &r->n->all[i];
        struct compare_place at = {r->s->board, BOARD_NO_PROFILE};
        for (unsigned k = 0; !n->job && k < processes; k++) {
            struct queue_server *s = &t->servers[t->n];
            unsigned batch = MIN(compare_whole(n, r->s->board).batch, row->batch);
            if (t->n == QUEUE_SERVERS || batch == 0 ||
                !compare_times(n, at, batch, false, mps, s, &row->services[i].basis))
                return false;
            for (unsigned b = 1; !mps && services > 1 && b <= s->batch; b++)
                s->device[b] *= share_switching;
            t->need[t->n++] = i;
        }
    }
    return t->n > 0;
}

/* Tries it on so many GPUs: 1 if all are in time. A trial keeps the reserve that the work asks for,
 * by more requests; how busy the device is would not tell, since who finds it free takes few. */
static int holds(struct run *r, struct together *t, unsigned processes, double gpus, bool trial)
{
    for (unsigned i = 0; i < t->n; i++) {
        const struct need *n = &r->n->all[t->need[i]];
        t->servers[i].rate = n->rate / gpus / processes / (trial ? n->most : 1);
    }
    int result = queue_run(t->servers, t->n, trial ? TRIAL : SHOWN, r->seed, t->seen, r->err);
    bool good = result == 0;
    for (unsigned i = 0; i < t->n && good; i++) {
        const struct need *n = &r->n->all[t->need[i]];
        good = !t->seen[i].drowned && t->seen[i].p99 * 1000 <= n->target_ms;
    }
    return result < 0 ? result : good;
}

/* The fewest GPUs that hold, if that is fewer than as many as whole GPUs take; 0: none. */
static int search(struct run *r, struct together *t, unsigned processes, uint32_t *ret)
{
    const struct compare_row *w = &r->s->rows[COMPARE_WHOLE];
    uint32_t high = 1, low = 0, limit = w->why_not[0] ? GPUS_MOST : w->gpus;
    int result;
    while ((result = holds(r, t, processes, high, true)) == 0 && high < limit) {
        low = high;
        high = MIN(high * 2, limit);
    }
    *ret = 0;
    while (result > 0 && high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        int now = holds(r, t, processes, middle, true);
        if (now < 0)
            return now;
        if (now)
            high = middle;
        else
            low = middle;
    }
    if (result > 0)
        *ret = high;
    return MIN(result, 0);
}

static int show_together(struct run *r, struct compare_row *row, struct together *t, bool mps)
{
    int result =
        gather(r, mps, row->processes, t, row) ? holds(r, t, row->processes, row->gpus, false) : 0;
    for (unsigned i = 0; i < t->n && result >= 0; i++) {
        const struct need *n = &r->n->all[t->need[i]];
        struct compare_service *s = &row->services[t->need[i]];
        const struct queue_server *server = &t->servers[i];
        double served = row->gpus * row->processes * server->rate;
        *s = (struct compare_service){.replicas = row->gpus * row->processes,
                                      .batch = server->batch,
                                      .rate = served,
                                      .p50 = t->seen[i].p50 * 1000,
                                      .p95 = t->seen[i].p95 * 1000,
                                      .p99 = t->seen[i].p99 * 1000,
                                      .alone = (server->own[1] + server->device[1]) * 1000,
                                      .in_time = t->seen[i].p99 * 1000 <= n->target_ms,
                                      .profile = BOARD_NO_PROFILE,
                                      .basis = WORK_PREDICTED};
        note_curve(&t->seen[i], s);
        struct queue_server split = {0};
        struct compare_place at = {r->s->board, BOARD_NO_PROFILE};
        double part = 1;
        if (!mps && compare_times(n, at, server->batch, false, true, &split, NULL))
            part = split.device[server->batch] / server->device[server->batch];
        row->utilisation += t->seen[i].busy * part * row->gpus;
    }
    return MIN(result, 0);
}

/* How many processes of each service are best, with how many requests at once, and on how many
 * GPUs: large batches are efficient, but whoever else is there waits for them. */
static int best_together(struct run *r, struct compare_row *row, struct together *t, bool mps,
                         unsigned services)
{
    struct compare_row best = {0};
    int result = 0;
    for (unsigned try = 0; result == 0 && try < 12; try++) {
        uint32_t gpus = 0;
        row->processes = 1u << try % 3;
        row->batch = 64u >> 2 * (try / 3);
        if (row->processes * services > (mps ? MPS_CLIENTS : services) ||
            !gather(r, mps, row->processes, t, row))
            continue;
        result = search(r, t, row->processes, &gpus);
        if (gpus && (best.gpus == 0 || gpus < best.gpus)) {
            best = *row;
            best.gpus = gpus;
        }
    }
    *row = best.gpus ? best : *row;
    if (result == 0 && row->gpus == 0)
        (void)snprintf(row->why_not, sizeof row->why_not,
                       "with all services on each GPU, one of them is never in time");
    return result == 0 && row->gpus ? show_together(r, row, t, mps) : result;
}

/* Nobody has to share: where each service on GPUs of its own takes fewer, that is the way. */
static void keep_apart(struct run *r, struct compare_row *row)
{
    const struct compare_row *w = &r->s->rows[COMPARE_WHOLE];
    if (w->why_not[0] || w->gpus == 0 || (row->gpus > 0 && row->gpus <= w->gpus))
        return;
    enum compare_way way = row->way;
    uint32_t users = row->users;
    *row = *w;
    row->way = way;
    row->users = users;
    row->apart = true;
    /* sum_up divides again. */
    row->utilisation = w->utilisation * w->gpus;
    memset(&row->jobs, 0, sizeof row->jobs);
}

static int shared(struct run *r, struct compare_row *row, bool mps)
{
    struct together *t = calloc(1, sizeof *t);
    int result = t ? 0 : error_set(r->err, ERROR_NO_MEMORY, "no memory left to try sharing");
    unsigned services = 0;
    double held = 0;
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *n = &r->n->all[i];
        services += !n->job;
        held += n->job && !compare_ends(n) ? compare_part(n, r->s) * n->at_once : 0;
    }
    if (result == 0 && services > 0)
        result = best_together(r, row, t, mps, services);
    row->gpus += (uint32_t)ceil(held - 1e-9);
    row->users = mps ? r->s->gpus * MPS_CLIENTS : 0;
    if (result == 0)
        keep_apart(r, row);
    free(t);
    return result;
}

/* Rate, watts and price, from what the row says by now. */
static void sum_up(struct run *r, struct compare_row *row)
{
    const struct physical *h = physical_of(r->s->board->name);
    const char *source;
    double wanted = 0, worst = 0;
    for (unsigned i = 0; i < r->n->n; i++) {
        const struct need *n = &r->n->all[i];
        double near = n->job ? 0 : row->services[i].p99 / n->target_ms;
        wanted += n->job ? 0 : n->rate;
        if (near > worst) {
            worst = near;
            row->tight = i;
        }
    }
    row->fits = row->gpus <= r->s->gpus;
    row->part = row->fits ? 1 : (double)r->s->gpus / row->gpus;
    row->rate = wanted * row->part;
    row->utilisation = row->gpus && wanted > 0 ? MIN(row->utilisation / row->gpus, 1.0) : -1;
    double busy = h->watt_busy ? h->watt_busy : h->watt_default;
    if (h->watt_idle && busy > 0 && wanted > 0)
        row->watts = r->s->gpus * h->watt_idle +
                     (busy - h->watt_idle) * row->utilisation * MIN(row->gpus, r->s->gpus);
    row->usd_hour = compare_price(r->s->board->name, &source) * MIN(row->gpus, r->s->gpus);
}

static int one_way(struct run *r, struct compare_row *row)
{
    switch (row->way) {
    case COMPARE_WHOLE:
        return whole(r, row);
    case COMPARE_STATIC:
        return fixed(r, row);
    case COMPARE_FETTA:
        return dynamic(r, row);
    case COMPARE_MPS:
    case COMPARE_TURNS:
        return shared(r, row, row->way == COMPARE_MPS);
    case COMPARE_WAYS:
        break;
    }
    return 0;
}

int compare_run(const struct needs *n, uint64_t seed, struct compare_system *ret, struct error *err)
{
    struct run r = {n, ret, seed, err};
    int result = 0;
    for (unsigned w = 0; w < COMPARE_WAYS && result == 0; w++) {
        struct compare_row *row = &ret->rows[w];
        bool cut = w == COMPARE_STATIC || w == COMPARE_FETTA;
        *row = (struct compare_row){.way = w, .utilisation = 0, .processes = 1};
        if (cut && ret->board->memory_slices == 0) {
            (void)snprintf(row->why_not, sizeof row->why_not, "this GPU has no MIG");
            continue;
        }
        result = one_way(&r, row);
        if (result == 0 && !row->why_not[0]) {
            sum_up(&r, row);
            if (row->fits)
                result = compare_jobs(n, ret, row, ret->gpus - row->gpus, err);
        }
    }
    return result;
}
