/* Jobs, all there at once, on GPUs of their own.
 *
 * Whole GPUs and slices go through the engine on a virtual clock. Under MPS a GPU takes jobs while
 * their parts of its SMs and memory sum to at most all of it, and each runs as long as on its
 * slice. Taking turns, the jobs of a GPU have it one after the other in small pieces, which takes
 * all of them as long as their sum, and switching on top: a job that needs a slice is taken to keep
 * a whole GPU busy no better. A job takes its duration wherever it runs alone: what it would gain
 * from a whole GPU nobody said. */
#include "compare/inside.h"

#include "base/macro.h"
#include "base/time.h"
#include "share/share.h"
#include "sim/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { JOBS_MOST = 200000 };

/* What a GPU is counted as. */
static double slices_of(const struct board *b)
{
    return MAX(b->compute_slices, 1);
}

struct feed {
    const struct needs *n;
    const struct compare_system *s;
    const struct compare_row *row;
    unsigned need, given;
};

static unsigned smallest(const struct need *n, const struct board *b, const struct compare_row *row)
{
    unsigned best = BOARD_NO_PROFILE;
    if (row->way == COMPARE_STATIC)
        return compare_job_fits(n, b, row->profile) ? row->profile : BOARD_NO_PROFILE;
    for (unsigned p = 0; p < b->profile_n; p++)
        if (compare_job_fits(n, b, p) &&
            (best == BOARD_NO_PROFILE || b->profiles[p].compute < b->profiles[best].compute ||
             (b->profiles[p].compute == b->profiles[best].compute &&
              b->profiles[p].size < b->profiles[best].size)))
            best = p;
    return best;
}

static int next_job(void *arg, struct sim_job *ret, struct error *err)
{
    struct feed *f = arg;
    (void)err;
    while (f->need < f->n->n &&
           (!compare_ends(&f->n->all[f->need]) || f->given == f->n->all[f->need].count)) {
        f->need++;
        f->given = 0;
    }
    if (f->need == f->n->n)
        return 0;
    const struct need *n = &f->n->all[f->need];
    f->given++;
    *ret = (struct sim_job){.run = n->duration,
                            .wait = TIME_NEVER,
                            .user = f->need,
                            .count = 1,
                            .whole = f->row->way == COMPARE_WHOLE,
                            .gpc = (float)(compare_part(n, f->s) * slices_of(f->s->board))};
    for (unsigned g = 0; g < SIM_BOARDS; g++)
        ret->row[g] = BOARD_NO_PROFILE;
    if (!ret->whole)
        ret->row[0] = (uint8_t)smallest(n, f->s->board, f->row);
    return 1;
}

static void note_course(const struct record *rec, const struct board *b, uint32_t gpus,
                        struct compare_jobs *ret)
{
    _Static_assert((int)COMPARE_COURSE == (int)RECORD_PARTS, "a course is copied as it is");
    ret->course_n = record_parts(rec);
    for (unsigned i = 0; i < ret->course_n; i++) {
        ret->course_at[i] = record_at(rec, i);
        ret->course_busy[i] = record_mean(rec, rec->busy, i) / (gpus * slices_of(b));
    }
}

static int through_engine(struct feed *f, uint32_t gpus, struct record *rec,
                          struct compare_jobs *ret, struct error *err)
{
    struct sim_setup setup = {.group_n = 1, .idle_keep = TIME_NEVER, .record = rec};
    struct sim_source source = {next_job, f};
    struct sim_result r;
    struct sim_group *group = &setup.groups[0];
    const struct board *b = f->s->board;
    group->board = b;
    group->gpus = gpus;
    int start = 0;
    while (f->row->way == COMPARE_STATIC &&
           (start = layout_choose(b, &group->fixed, f->row->profile)) >= 0)
        layout_add(b, &group->fixed, (struct placement){f->row->profile, (uint8_t)start});
    int result = sim_run(&setup, &source, NULL, NULL, &r, err);
    if (result < 0)
        return result;
    ret->known = r.refused == 0;
    ret->mean_end = r.end_mean;
    ret->makespan = r.makespan;
    ret->busy = r.gpc_all > 0 ? r.gpc_busy / r.gpc_all : 0;
    note_course(rec, b, gpus, ret);
    return 0;
}

bool compare_ends(const struct need *n)
{
    return n->job && n->duration > 0;
}

double compare_part(const struct need *n, const struct compare_system *s)
{
    const struct board *b = s->board;
    double memory = (double)n->bytes / ((double)b->total_mib * (1 << 20));
    unsigned compute = 0, gb = 0;
    if (sscanf(n->profile, "%ug.%ugb", &compute, &gb) == 2)
        memory = fmax(memory, gb * 1024.0 / b->total_mib);
    /* Boards without compute slices are counted in an A100's. */
    double of = b->compute_slices ? b->compute_slices : 7;
    return fmin(1, fmax(memory, fmax(compute / of, n->compute_ppt / 1000.0)));
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Places `count` jobs of one need: the GPU is so many lanes, each of which takes the next job. */
static int in_lanes(const struct needs *needs, const struct compare_system *s, bool turns,
                    uint32_t gpus, struct record *rec, struct compare_jobs *ret, struct error *err)
{
    struct sim_setup fleet = {.group_n = 1, .groups = {{.board = s->board, .gpus = gpus}}};
    double all = slices_of(s->board);
    record_begin(rec, &fleet, 0);
    double work = 0, held = 0, ends = 0;
    uint32_t jobs = 0, lane = 0;
    for (unsigned i = 0; i < needs->n; i++) {
        const struct need *n = &needs->all[i];
        double lanes = turns ? 1 : floor(1 / compare_part(n, s) + 1e-9),
               run = (double)n->duration / 1e9;
        if (!compare_ends(n))
            continue;
        jobs += n->count;
        work += n->count * run / lanes;
        held += n->count * run * compare_part(n, s);
        lane = MAX(lane, (uint32_t)lanes);
    }
    double *free_at = calloc((size_t)gpus * MAX(lane, 1u), sizeof *free_at);
    if (!free_at)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to lay out jobs");
    for (unsigned i = 0; i < needs->n; i++) {
        const struct need *n = &needs->all[i];
        unsigned of = (unsigned)gpus * MAX(lane, 1u);
        double run = (double)n->duration / 1e9;
        unsigned wide = turns ? 1 : (unsigned)ceil(compare_part(n, s) * lane - 1e-9);
        for (unsigned k = 0; compare_ends(n) && k < n->count; k++) {
            qsort(free_at, of, sizeof *free_at, by_size);
            double end = free_at[MAX(wide, 1u) - 1] + run;
            for (unsigned w = 0; w < MAX(wide, 1u); w++)
                free_at[w] = end;
            record_add(rec, (int64_t)((end - run) * 1e9), (int64_t)(end * 1e9),
                       compare_part(n, s) * all, 0, 0);
            ends += end;
            ret->makespan = fmax(ret->makespan, end);
        }
    }
    free(free_at);
    ret->known = true;
    ret->mean_end = ends / jobs;
    ret->busy = ret->makespan > 0 ? held / (ret->makespan * gpus) : 0;
    if (turns) {
        /* All of a GPU's jobs end near the end, since each has had its part all the time. */
        ret->makespan = fmax(work / gpus * share_switching, ret->makespan);
        ret->mean_end = ret->makespan;
        ret->busy = held / (ret->makespan * gpus);
        record_begin(rec, &fleet, 0);
        record_add(rec, 0, (int64_t)(ret->makespan * 1e9), ret->busy * gpus * all, 0, 0);
    }
    note_course(rec, s->board, gpus, ret);
    return 0;
}

int compare_jobs(const struct needs *n, const struct compare_system *s, struct compare_row *row,
                 uint32_t gpus, struct error *err)
{
    uint64_t jobs = 0;
    row->jobs = (struct compare_jobs){0};
    for (unsigned i = 0; i < n->n; i++)
        jobs += compare_ends(&n->all[i]) ? n->all[i].count : 0;
    if (jobs == 0 || jobs > JOBS_MOST || gpus == 0)
        return 0;
    struct feed f = {.n = n, .s = s, .row = row};
    AUTO_FREE struct record *rec = calloc(1, sizeof *rec);
    if (!rec)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to run jobs");
    if (row->way == COMPARE_MPS || row->way == COMPARE_TURNS)
        return in_lanes(n, s, row->way == COMPARE_TURNS, gpus, rec, &row->jobs, err);
    for (unsigned i = 0; i < n->n; i++)
        if (compare_ends(&n->all[i]) && row->way != COMPARE_WHOLE &&
            smallest(&n->all[i], s->board, row) == BOARD_NO_PROFILE)
            return 0;
    return through_engine(&f, gpus, rec, &row->jobs, err);
}
