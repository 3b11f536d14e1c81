/* Times of one server, and what a whole GPU of its own serves. */
#include "compare/inside.h"

#include "base/macro.h"
#include "needs/late.h"

#include <math.h>
#include <stdio.h>

/* ms that the user measured for a batch on the slice that is nearest to the place: its own, or the
 * largest. */
static double own_ms(const struct need *n, struct compare_place at)
{
    struct needs_offer best = {0};
    if (at.profile != BOARD_NO_PROFILE)
        best = needs_offer(n, at.board, at.profile);
    for (unsigned p = 0; p < at.board->profile_n && at.profile == BOARD_NO_PROFILE; p++) {
        struct needs_offer next = needs_offer(n, at.board, p);
        if (next.rate > best.rate)
            best = next;
    }
    return best.ms;
}

bool compare_times(const struct need *n, struct compare_place at, unsigned batch, bool busy,
                   bool mps, struct queue_server *ret, enum work_basis *ret_basis)
{
    struct work_place p = work_place(at.board, at.profile, 0);
    struct work_around around = {.other_busy = busy && p.compute > 0 && p.of_compute > p.compute
                                                   ? (unsigned)(p.of_compute - p.compute)
                                                   : 0};
    ret->batch = MIN(batch, (unsigned)QUEUE_BATCH);
    for (unsigned b = 1; b <= ret->batch; b++) {
        struct work_time t = {.basis = WORK_GIVEN};
        struct error err;
        double s = own_ms(n, at) / 1000, device = s;
        if (n->work.model >= 0) {
            if (work_service(&n->work, &p, b, &t, &err) < 0)
                return false;
            s = (double)t.ns / 1e9 * work_cost(&n->work, &p, b, false, &around).factor;
            device = mps ? work_device(&n->work, &p, b, s * 1e9) / 1e9 : s;
        }
        ret->device[b] = device;
        ret->own[b] = s - device;
        if (ret_basis)
            *ret_basis = t.basis;
    }
    return ret->device[1] > 0;
}

struct needs_offer compare_whole(const struct need *n, const struct board *b)
{
    struct needs_offer best = {0};
    struct compare_place at = {b, BOARD_NO_PROFILE};
    for (unsigned batch = 1; batch <= MIN(n->batch, (unsigned)QUEUE_BATCH); batch *= 2) {
        struct queue_server s;
        struct needs_offer next = {.batch = batch, .processes = 1};
        if (!compare_times(n, at, batch, false, false, &s, &next.basis))
            break;
        next.ms = s.device[batch] * 1000;
        next.rate = late_rate(s.device[batch], batch, n->target_ms / 1000, n->most);
        if (next.rate > best.rate)
            best = next;
    }
    return best;
}

/* "3g.40gb" on a board that calls such a slice otherwise: at least so much of both. */
bool compare_job_fits(const struct need *n, const struct board *b, unsigned profile)
{
    const struct profile *p = &b->profiles[profile];
    unsigned compute = 0, gb = 0;
    uint64_t bytes = n->bytes;
    if (sscanf(n->profile, "%ug.%ugb", &compute, &gb) == 2)
        bytes = MAX(bytes, ((uint64_t)gb << 30) * 9 / 10); /* names round up */
    return !p->suffix[0] && p->compute >= compute && (uint64_t)p->mib << 20 >= bytes &&
           (unsigned)p->compute * 1000 >= (unsigned)n->compute_ppt * b->compute_slices;
}
