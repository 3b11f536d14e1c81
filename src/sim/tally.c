/* Counting; see tally.h. Jobs that are neither refused nor over are kept in a ring by lease id. */
#include "sim/tally.h"

#include "base/macro.h"
#include "base/time.h"
#include "sim/detail.h"
#include "sim/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tally_job {
    int64_t submit, run, granted;
    float gpc;     /* compute slices asked for */
    float held;    /* compute slices in use while it runs */
    bool open;     /* not over yet */
    bool counted;  /* submitted inside the window */
    bool stuck;    /* did not start at once */
    uint8_t class; /* of the detail */
};

static double seconds(double ns)
{
    return ns / TIME_S;
}

int tally_init(struct tally *t, const struct sim_setup *s, struct error *err)
{
    size_t gpus = 0;
    *t = (struct tally){.setup = s, .base = 1, .top = 1, .room = 1024, .first = -1};
    for (unsigned i = 0; i < s->group_n; i++)
        gpus += s->groups[i].gpus;
    if (s->record)
        s->record->begun = false; /* it begins with the first job */
    t->jobs = calloc(t->room, sizeof *t->jobs);
    t->leases_on = calloc(gpus, sizeof *t->leases_on);
    if (!t->jobs || !t->leases_on || !times_init(&t->waits) || !times_init(&t->ends))
        return error_set(err, ERROR_NO_MEMORY, "no memory to count with");
    return s->detail ? detail_begin(s->detail, s, err) : 0;
}

void tally_done(struct tally *t)
{
    free(t->jobs);
    free(t->leases_on);
    times_done(&t->waits);
    times_done(&t->ends);
    if (t->setup->detail)
        detail_done(t->setup->detail);
}

static struct tally_job *job_of(const struct tally *t, uint32_t id)
{
    return &t->jobs[id & (t->room - 1)];
}

/* The part of then..now that lies inside the window. */
void tally_clock(struct tally *t, int64_t now)
{
    int64_t from = MAX(t->then, t->setup->from);
    int64_t until = t->setup->until ? MIN(now, t->setup->until) : now;
    if (until > from) {
        t->busy_sum += t->busy * (double)(until - from);
        t->used_sum += (double)t->used * (double)(until - from);
        if (t->setup->detail)
            detail_clock(t->setup->detail, until - from);
    }
    if (t->setup->record)
        record_clock(t->setup->record, t->then, now, t->busy, (double)t->used);
    t->then = now;
}

double tally_gpc(const struct tally *t, const struct sim_job *j)
{
    if (j->gpc > 0)
        return j->gpc;
    for (unsigned i = 0; i < t->setup->group_n; i++) {
        const struct board *b = t->setup->groups[i].board;
        if (j->whole)
            return j->count * MAX(b->compute_slices, 1);
        if (j->row[i] < b->profile_n)
            return j->count * b->profiles[j->row[i]].compute;
    }
    return 0;
}

static int make_room(struct tally *t, struct error *err)
{
    while (t->base < t->top && !job_of(t, t->base)->open)
        t->base++;
    if (t->top - t->base < t->room)
        return 0;
    struct tally_job *jobs = calloc((size_t)t->room * 2, sizeof *jobs);
    if (!jobs)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the jobs under way");
    for (uint32_t id = t->base; id < t->top; id++)
        jobs[id & (2 * t->room - 1)] = *job_of(t, id);
    free(t->jobs);
    t->jobs = jobs;
    t->room *= 2;
    return 0;
}

int tally_ask(struct tally *t, uint32_t id, const struct sim_job *j, int64_t now, struct error *err)
{
    int rc = make_room(t, err);
    if (rc < 0)
        return rc;
    struct tally_job k = {
        .submit = now, .run = j->run, .gpc = (float)tally_gpc(t, j), .held = j->gpc, .open = true};
    k.counted = now >= t->setup->from && (!t->setup->until || now < t->setup->until);
    if (t->setup->detail) {
        rc = detail_ask(t->setup->detail, j, (double)k.gpc, k.counted, err);
        if (rc < 0)
            return rc;
        k.class = (uint8_t)rc;
    }
    t->first = t->first < 0 ? now : t->first;
    t->top = id + 1;
    *job_of(t, id) = k;
    if (t->setup->record)
        record_wait(t->setup->record, t->setup, now, 1);
    if (k.counted) {
        t->asked++;
        t->gpc_asked += (double)k.gpc * (double)k.run;
    }
    return 0;
}

void tally_wait(struct tally *t, uint32_t id)
{
    struct tally_job *j = job_of(t, id);
    if (t->setup->detail && j->counted && !j->stuck)
        detail_stuck(t->setup->detail, j->class);
    j->stuck = true;
}

void tally_refuse(struct tally *t, uint32_t id)
{
    struct tally_job *j = job_of(t, id);
    if (j->open)
        tally_wait(t, id);
    t->refused += j->open && j->counted;
    if (t->setup->detail && j->open && j->counted)
        detail_refuse(t->setup->detail, j->class);
    if (t->setup->record && j->open)
        record_wait(t->setup->record, t->setup, t->then, -1);
    j->open = false;
}

static double gpc_held(const struct tally *t, const struct lease *l)
{
    double sum = 0;
    for (unsigned i = 0; i < l->slice_n; i++) {
        unsigned group = 0;
        uint32_t first = 0;
        while (l->slices[i].gpu >= first + t->setup->groups[group].gpus)
            first += t->setup->groups[group++].gpus;
        const struct board *b = t->setup->groups[group].board;
        bool whole = l->slices[i].profile == BOARD_NO_PROFILE;
        sum += whole ? MAX(b->compute_slices, 1) : b->profiles[l->slices[i].profile].compute;
    }
    return sum;
}

int64_t tally_grant(struct tally *t, const struct lease *l, int64_t now)
{
    struct tally_job *j = job_of(t, l->id);
    j->granted = now;
    if (j->held <= 0)
        j->held = (float)gpc_held(t, l);
    t->busy += (double)j->held;
    for (unsigned i = 0; i < l->slice_n; i++)
        t->used += t->leases_on[l->slices[i].gpu]++ == 0;
    if (t->setup->record) {
        record_wait(t->setup->record, t->setup, now, -1);
        record_place(t->setup->record, t->setup, l, true);
    }
    if (t->setup->detail)
        detail_place(t->setup->detail, l, true);
    if (j->counted && t->setup->detail)
        detail_grant(t->setup->detail, j->class, (double)j->gpc * (double)j->run, now - j->submit);
    if (j->counted) {
        t->granted++;
        t->gpc_granted += (double)j->gpc * (double)j->run;
        times_add(&t->waits, now - j->submit);
    }
    return j->run;
}

void tally_end(struct tally *t, const struct lease *l, int64_t now)
{
    struct tally_job *j = job_of(t, l->id);
    t->busy -= (double)j->held;
    for (unsigned i = 0; i < l->slice_n; i++)
        t->used -= --t->leases_on[l->slices[i].gpu] == 0;
    t->last_end = now;
    if (t->setup->record)
        record_place(t->setup->record, t->setup, l, false);
    if (t->setup->detail)
        detail_place(t->setup->detail, l, false);
    if (j->counted && t->setup->detail)
        detail_end(t->setup->detail, j->class, now - j->submit);
    if (j->counted) {
        t->done++;
        times_add(&t->ends, now - j->submit);
    }
    j->open = false;
}

void tally_soon(const struct tally *t, uint32_t id, uint32_t gpu)
{
    __builtin_prefetch(job_of(t, id));
    __builtin_prefetch(&t->leases_on[gpu]);
}

void tally_finish(const struct tally *t, int64_t now, struct sim_result *ret)
{
    int64_t from = MAX(t->setup->from, MAX(t->first, 0));
    int64_t until = t->setup->until ? t->setup->until : t->last_end;
    double slices_all = 0, ns = (double)MAX(until - from, 1);
    for (unsigned i = 0; i < t->setup->group_n; i++)
        slices_all +=
            (double)t->setup->groups[i].gpus * MAX(t->setup->groups[i].board->compute_slices, 1);
    for (unsigned i = 0; i < RECORD_CURVE && t->setup->record; i++) {
        t->setup->record->waits[i] = times_part(&t->waits, i / 100.0);
        t->setup->record->ends[i] = times_part(&t->ends, i / 100.0);
    }
    if (t->setup->detail)
        detail_finish(t->setup->detail, ns);
    ret->asked = t->asked;
    ret->granted = t->granted;
    ret->refused = t->refused;
    ret->done = t->done;
    ret->gpc_asked = t->gpc_asked;
    ret->gpc_granted = t->gpc_granted;
    ret->gpc_busy = t->busy_sum;
    ret->gpc_all = slices_all * ns;
    ret->gpu_used = t->used_sum / ns;
    ret->wait_mean = times_mean(&t->waits);
    ret->wait_p95 = times_part(&t->waits, 0.95);
    ret->wait_p99 = times_part(&t->waits, 0.99);
    ret->wait_most = seconds((double)t->waits.most);
    ret->end_mean = times_mean(&t->ends);
    ret->makespan = seconds((double)(t->last_end - MAX(t->first, 0)));
    ret->last = now;
}
