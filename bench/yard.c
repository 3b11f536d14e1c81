/* GPUs with jobs; see yard.h. */
#include "bench/yard.h"

#include "bench/figure.h"

#include <string.h>

enum { LAYOUTS = 2048 };

void yard_clear(struct yard *p)
{
    p->live = 0;
    p->moved = 0;
    p->stopped = 0;
    p->kept = 0;
    memset(p->at, 0, sizeof p->at);
    memset(&p->held, 0, sizeof p->held);
}

static bool place(const struct yard *p, unsigned profile, uint32_t *ret_gpu, unsigned *ret_start)
{
    unsigned best = ~0u;
    for (unsigned g = 0; g < p->gpus; g++) {
        struct layout l = p->at[g];
        l.busy |= p->kept && p->kept_gpu == g ? p->kept : (slices)0;
        slices starts = layout_fits(p->board, &l, profile);
        if (!starts)
            continue;
        unsigned start = score_start(p->score, p->board, profile, starts, l.busy, 0);
        unsigned rank = score_rank(p->score, p->board, profile, start, l.busy);
        if (rank < best) {
            best = rank;
            *ret_gpu = g;
            *ret_start = start;
        }
    }
    return best != ~0u;
}

static void move_jobs(struct yard *p, const struct rescue_plan *plan)
{
    struct yard_job *moved[RESCUE_MOVES] = {NULL};
    for (unsigned i = 0; i < plan->n; i++) {
        const struct rescue_move *m = &plan->moves[i];
        for (unsigned j = 0; j < p->live && !moved[i]; j++) {
            struct yard_job *job = &p->jobs[j];
            moved[i] = job->gpu == m->from && job->start == m->from_start ? job : NULL;
        }
        figure_must(moved[i] != NULL, "a move of nothing");
        layout_remove(p->board, &p->at[m->from], m->from_start);
    }
    for (unsigned i = 0; i < plan->n; i++) {
        const struct rescue_move *m = &plan->moves[i];
        figure_must(layout_fits(p->board, &p->at[m->to], m->profile) >> m->to_start & 1,
                    "a move onto something");
        layout_add(p->board, &p->at[m->to], (struct placement){m->profile, m->to_start});
        moved[i]->gpu = m->to;
        moved[i]->start = m->to_start;
        moved[i]->end += p->charge;
        p->stopped += p->charge * p->board->profiles[m->profile].compute;
    }
    p->moved += plan->n;
}

/* GPUs that look alike are one kind. */
static unsigned kinds_of(const struct yard *p, struct rescue_kind kinds[YARD_GPUS])
{
    static uint16_t kind_of[LAYOUTS];
    unsigned n = 0;
    memset(kind_of, 0xff, sizeof kind_of);
    for (unsigned g = 0; g < p->gpus; g++) {
        unsigned id = table_find(p->table, &p->at[g]);
        figure_must(id < LAYOUTS, "a layout that the table does not have");
        bool kept = p->kept && p->kept_gpu == g; /* things may leave it, and that is all */
        unsigned at = kept ? n : kind_of[id];
        if (at >= n) {
            at = n++;
            kind_of[id] = kept ? kind_of[id] : (uint16_t)at;
            kinds[at] = (struct rescue_kind){.layout = p->at[g], .target = !kept};
            kinds[at].movable = (uint16_t)((1u << p->at[g].n) - 1);
            memset(kinds[at].allowed, kept ? 0 : 0xff, sizeof kinds[at].allowed);
        }
        struct rescue_kind *k = &kinds[at];
        if (k->n < RESCUE_SAME)
            k->gpus[k->n] = g;
        k->n++;
    }
    return n;
}

static bool rescue(struct yard *p, unsigned profile, uint32_t *ret_gpu, unsigned *ret_start)
{
    static struct rescue_kind kinds[YARD_GPUS];
    struct rescue_fleet f = {.board = p->board, .kinds = kinds, .room = YARD_GPUS};
    struct rescue_want want = {profile, (slices)~0u};
    struct rescue_plan plan;
    f.n = kinds_of(p, kinds);
    figure_must(rescue_find(&f, &want, p->moves, &plan, NULL) == 0, "out of memory");
    bool too_large = plan.compute > p->board->profiles[profile].compute;
    if (!plan.found || (p->sparing && too_large))
        return false;
    move_jobs(p, &plan);
    *ret_gpu = plan.gpu;
    *ret_start = plan.start;
    return true;
}

bool yard_take(struct yard *p, unsigned profile, double end, uint32_t tag)
{
    struct pack_demand more = p->held;
    uint32_t gpu = 0;
    unsigned start = 0;
    more.n[profile]++;
    bool taken = pack_holds(p->pack, &more, p->gpus);
    if (taken && p->moves < YARD_REPACK)
        taken = place(p, profile, &gpu, &start) || (p->moves && rescue(p, profile, &gpu, &start));
    if (!taken)
        return false;
    figure_must(p->live < YARD_LIVE, "more jobs than there can be");
    p->jobs[p->live++] = (struct yard_job){end, gpu, tag, (uint8_t)profile, (uint8_t)start};
    p->held.n[profile]++;
    if (p->moves < YARD_REPACK)
        layout_add(p->board, &p->at[gpu], (struct placement){(uint8_t)profile, (uint8_t)start});
    return true;
}

void yard_end(struct yard *p, unsigned i)
{
    struct yard_job *j = &p->jobs[i];
    if (p->moves < YARD_REPACK)
        layout_remove(p->board, &p->at[j->gpu], j->start);
    p->held.n[j->profile]--;
    *j = p->jobs[--p->live];
}
