/* What one slice serves of a need; see needs.h.
 *
 * The more requests are served at once, the more are served, and the later each is: of all batch
 * sizes that keep the time, the one that serves most. Times are those beside neighbours at work
 * (emul/work.h), because in a plan there are some. */
#include "needs/needs.h"

#include "base/macro.h"
#include "needs/late.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool has_memory(const struct need *n, const struct profile *p)
{
    return (uint64_t)p->mib << 20 >= n->bytes;
}

/* The smallest with so many compute slices, without a suffix. */
static bool is_smallest(const struct board *b, unsigned profile)
{
    const struct profile *mine = &b->profiles[profile];
    for (unsigned i = 0; i < b->profile_n; i++)
        if (b->profiles[i].compute == mine->compute && !b->profiles[i].suffix[0] &&
            b->profiles[i].size < mine->size)
            return false;
    return !mine->suffix[0];
}

static bool is_slice(const char *slice, const struct board *b, unsigned profile)
{
    char name[BOARD_PROFILE_NAME], size[BOARD_PROFILE_NAME];
    const char *g = strchr(slice, 'g');
    board_profile_name(b, &b->profiles[profile], name);
    if (strcmp(slice, name) == 0)
        return true;
    (void)snprintf(size, sizeof size, "%ug", b->profiles[profile].compute);
    return g && !g[1] && strcmp(slice, size) == 0 && is_smallest(b, profile);
}

static void take_better(struct needs_offer *best, const struct needs_offer *next)
{
    if (next->rate > best->rate * (1 + 1e-9))
        *best = *next;
}

static struct needs_offer own_offer(const struct need *n, const struct board *b, unsigned profile)
{
    struct needs_offer best = {0};
    for (size_t i = 0; i < n->point_n; i++) {
        const struct needs_point *p = &n->points[i];
        if (!is_slice(p->slice, b, profile) || p->batch > n->batch || p->rate <= 0 || p->ms <= 0)
            continue;
        /* So many processes are like one that takes the batches of all in the time of one. */
        double rate =
            late_rate(p->ms / 1000, p->batch * p->processes, n->target_ms / 1000, n->most);
        struct needs_offer next = {.rate = fmin(rate, n->most * p->rate),
                                   .batch = p->batch,
                                   .processes = p->processes,
                                   .ms = p->ms,
                                   .basis = WORK_GIVEN};
        take_better(&best, &next);
    }
    return best;
}

static struct needs_offer model_offer(const struct need *n, const struct board *b, unsigned profile)
{
    struct needs_offer best = {0};
    struct work_place at = work_place(b, profile, 0);
    struct work_around full = {.other_busy = b->compute_slices > at.compute
                                                 ? (unsigned)(b->compute_slices - at.compute)
                                                 : 0};
    for (unsigned batch = 1; batch <= n->batch; batch *= 2) {
        struct work_time t;
        if (work_service(&n->work, &at, batch, &t, NULL) < 0)
            return best;
        double ms = (double)t.ns / 1e6 * work_cost(&n->work, &at, batch, false, &full).factor;
        struct needs_offer next = {.rate =
                                       late_rate(ms / 1000, batch, n->target_ms / 1000, n->most),
                                   .batch = batch,
                                   .processes = 1,
                                   .ms = ms,
                                   .basis = t.basis,
                                   .source = t.source};
        take_better(&best, &next);
    }
    return best;
}

static bool serves_job(const struct need *n, const struct board *b, unsigned profile)
{
    char name[BOARD_PROFILE_NAME];
    board_profile_name(b, &b->profiles[profile], name);
    if (n->profile[0])
        return strcmp(n->profile, name) == 0;
    return !b->profiles[profile].suffix[0] &&
           board_profile_ppt(b, &b->profiles[profile]) >= n->compute_ppt;
}

struct needs_offer needs_offer(const struct need *n, const struct board *b, unsigned profile)
{
    if (!has_memory(n, &b->profiles[profile]))
        return (struct needs_offer){0};
    if (n->job)
        return (struct needs_offer){.rate = serves_job(n, b, profile)};
    return n->work.model < 0 ? own_offer(n, b, profile) : model_offer(n, b, profile);
}
