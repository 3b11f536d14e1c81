/* Layouts played against history; see past.h.
 *
 * A simulation takes milliseconds, so what a layout would have made of the past is not estimated
 * but played: first every largest layout for all GPUs of a board alike, then some GPUs cut
 * otherwise, as long as that is better. So the end is a layout that no single change improves. It
 * is chosen knowing the jobs that it is judged on, which flatters it: cutting on demand knew
 * nothing. */
#include "cli/past.h"

#include "base/macro.h"
#include "base/time.h"
#include "cli/delays.h"
#include "cli/get.h"
#include "cli/source.h"
#include "plan/table.h"
#include "trace/rival.h"
#include "trace/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Jobs that are played in all, and layouts that are played at least and at most. */
enum { PLAY_JOBS = 20000000, PLAY_LEAST = 60, PLAY_MOST = 2000 };

enum { LARGE = 100000 }; /* jobs that are not all in the queue at once */

struct search {
    struct past *p;
    FILE *in;
    const char *name;
    struct table *tables[SIM_BOARDS];
    double counts[BOARD_PROFILES];
    uint64_t most; /* layouts to be played */
    struct delays delays;
};

static int read_gpu(const json_t *gpu, struct past *p, struct error *err)
{
    const struct board *b = board_find(get_text(gpu, "board"));
    unsigned i = 0;
    if (!b || !b->memory_slices || !get_bool(gpu, "managed") ||
        strcmp(get_text(gpu, "mig"), "none") == 0)
        return 0;
    while (i < p->board_n && p->groups[i].board != b)
        i++;
    if (i == SIM_BOARDS)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d kinds of boards", SIM_BOARDS);
    if (i == p->board_n)
        p->groups[p->board_n++].board = b;
    if (p->groups[i].gpus < ARRAY_LEN(p->index[i]))
        p->index[i][p->groups[i].gpus++] = (uint32_t)get_int(gpu, "index", 0);
    return 0;
}

static int read_machine(struct cli *c, struct past *p, struct error *err)
{
    json_t *status = NULL, *gpu;
    size_t i;
    int r = cli_call(c, "GET", "/status", NULL, &status, err);
    json_array_foreach(get_in(status, "gpus"), i, gpu)
    {
        if (r == 0)
            r = read_gpu(gpu, p, err);
    }
    p->rule = score_find(get_text(status, "placement"));
    if (p->rule == SCORE_N)
        p->rule = SCORE_FGD_FILL;
    json_decref(status);
    if (r == 0 && p->board_n == 0)
        r = error_set(err, ERROR_UNSUPPORTED, "this machine has no GPU of fetta's that can be cut");
    return r;
}

/* ---- playing ---- */

static int play(struct search *s, struct sim_setup *setup, enum rival_kind kind,
                struct sim_result *ret, struct error *err)
{
    struct rival rival = {.kind = kind, .rule = s->p->rule};
    struct trace t;
    int r = trace_begin(&t, s->in, s->name, setup, TIME_NEVER, err);
    if (r < 0)
        return r;
    setup->rule = s->p->rule;
    setup->mix = score_mix_of(s->counts);
    setup->idle_keep = TIME_NEVER;
    /* Each run sets up a world: one of the size that is needed is much sooner there. */
    setup->lease_max = s->p->jobs < LARGE ? (uint32_t)s->p->jobs + 64 : 0;
    setup->delay = delays_draw;
    setup->delay_arg = &s->delays;
    setup->seed = 1;
    delays_fill(&s->delays, setup);
    struct rival_source jobs = {{trace_next, &t}, &rival, setup, 0, 0};
    struct sim_source source = {rival_next, &jobs};
    r = sim_run(setup, &source, NULL, NULL, ret, err);
    trace_done(&t);
    return r;
}

static int play_parts(struct search *s, const struct past_part *parts, unsigned n,
                      struct sim_result *ret, struct error *err)
{
    struct sim_setup setup = {0};
    for (unsigned i = 0; i < n; i++)
        if (parts[i].gpus)
            setup.groups[setup.group_n++] =
                (struct sim_group){.board = s->p->groups[parts[i].board].board,
                                   .gpus = parts[i].gpus,
                                   .fixed = parts[i].layout};
    s->p->tried++;
    if (isatty(STDERR_FILENO) && s->p->tried % 16 == 0)
        (void)fprintf(stderr, "\r%" PRIu64 " layouts played ", s->p->tried);
    return play(s, &setup, RIVAL_STATIC, ret, err);
}

/* Plays it, and keeps it if it is better. *ret_better if so. */
static int try_parts(struct search *s, const struct past_part *parts, unsigned n, bool *ret_better,
                     struct error *err)
{
    struct sim_result result;
    int r = play_parts(s, parts, n, &result, err);
    if (r == 0 && (s->p->part_n == 0 || rival_better(&result, &s->p->fixed))) {
        memcpy(s->p->parts, parts, n * sizeof *parts);
        s->p->part_n = n;
        s->p->fixed = result;
        *ret_better = true;
    }
    return r;
}

static const struct layout *candidate(const struct search *s, unsigned board, unsigned i)
{
    unsigned n;
    const struct table_mix *mixes = table_pareto(s->tables[board], &n);
    return i < n ? table_layout(s->tables[board], mixes[i].layout) : NULL;
}

/* All GPUs of a board alike: the best for each board in turn. */
static int try_alike(struct search *s, struct error *err)
{
    struct past_part parts[SIM_BOARDS];
    struct past *p = s->p;
    bool better;
    int r = 0;
    for (unsigned b = 0; b < p->board_n; b++)
        parts[b] = (struct past_part){(uint8_t)b, p->groups[b].gpus, *candidate(s, b, 0)};
    for (unsigned turn = 0; turn < (p->board_n > 1 ? 2 : 1); turn++)
        for (unsigned b = 0; b < p->board_n; b++) {
            const struct layout *l;
            for (unsigned i = 0; r == 0 && (l = candidate(s, b, i)); i++) {
                parts[b].layout = *l;
                r = try_parts(s, parts, p->board_n, &better, err);
            }
            if (r == 0)
                memcpy(parts, p->parts, sizeof parts);
        }
    return r;
}

static bool same(const struct layout *a, const struct layout *b)
{
    return a->n == b->n && memcmp(a->at, b->at, a->n * sizeof a->at[0]) == 0;
}

/* Moves some GPUs of a part to a layout; false if there is no room for one more part. */
static bool recut(struct past_part *parts, unsigned *n, unsigned from, uint32_t gpus,
                  const struct layout *to)
{
    struct past_part new = {parts[from].board, gpus, *to};
    parts[from].gpus -= gpus;
    for (unsigned i = 0; i < *n; i++)
        if (parts[i].board == new.board && same(&parts[i].layout, to)) {
            parts[i].gpus += gpus;
            return i != from;
        }
    if (parts[from].gpus == 0) {
        parts[from] = new;
        return true;
    }
    if (*n == SIM_BOARDS)
        return false;
    parts[(*n)++] = new;
    return true;
}

/* Some GPUs of a part cut otherwise, in every way. */
static int try_recut(struct search *s, const struct past *before, unsigned from, uint32_t gpus,
                     bool *ret_better, struct error *err)
{
    const struct layout *to;
    int r = 0;
    for (unsigned i = 0; r == 0 && (to = candidate(s, before->parts[from].board, i)); i++) {
        struct past_part parts[SIM_BOARDS];
        unsigned n = before->part_n;
        memcpy(parts, before->parts, sizeof parts);
        if (s->p->tried < s->most && recut(parts, &n, from, gpus, to))
            r = try_parts(s, parts, n, ret_better, err);
    }
    return r;
}

/* One GPU, or half or all of a part, cut otherwise. *ret_better if any of that is better. */
static int try_recuts(struct search *s, bool *ret_better, struct error *err)
{
    const struct past before = *s->p;
    int r = 0;
    for (unsigned from = 0; from < before.part_n; from++) {
        const uint32_t all = before.parts[from].gpus, some[] = {1, all / 2, all};
        for (unsigned k = 0; k < ARRAY_LEN(some) && r == 0; k++)
            if (some[k] && !(k && some[k] == some[k - 1]))
                r = try_recut(s, &before, from, some[k], ret_better, err);
    }
    return r;
}

/* Parts without GPUs leave. */
static void tidy(struct past *p)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < p->part_n; i++)
        if (p->parts[i].gpus)
            p->parts[kept++] = p->parts[i];
    p->part_n = kept;
}

static int search(struct search *s, struct error *err)
{
    struct past *p = s->p;
    bool better = true;
    int r = try_alike(s, err);
    p->alike = p->fixed;
    while (r == 0 && better && s->p->tried < s->most) {
        better = false;
        tidy(p);
        r = try_recuts(s, &better, err);
    }
    p->ended = !better && s->p->tried < s->most;
    tidy(p);
    if (isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r\33[K");
    struct sim_setup setup = {.group_n = p->board_n};
    memcpy(setup.groups, p->groups, sizeof setup.groups);
    return r < 0 ? r : play(s, &setup, RIVAL_RULE, &p->dynamic, err);
}

/* Counts the jobs and what they ask for. */
static int scan(struct search *s, struct error *err)
{
    struct sim_setup setup = {.group_n = s->p->board_n};
    struct trace t;
    struct sim_job j;
    memcpy(setup.groups, s->p->groups, sizeof setup.groups);
    int r = trace_begin(&t, s->in, s->name, &setup, TIME_NEVER, err);
    while (r == 0 && (r = trace_next(&t, &j, err)) > 0) {
        s->p->jobs++;
        if (!j.whole && j.row[0] < BOARD_PROFILES)
            s->counts[j.row[0]] += j.count;
        r = 0;
    }
    trace_done(&t);
    s->most = MAX(MIN(PLAY_JOBS / MAX(s->p->jobs, 1u), (uint64_t)PLAY_MOST), (uint64_t)PLAY_LEAST);
    return r;
}

static int make_tables(struct search *s, struct error *err)
{
    for (unsigned b = 0; b < s->p->board_n; b++) {
        const struct board *board = s->p->groups[b].board;
        s->tables[b] = table_new(board, table_plain(board));
        if (!s->tables[b])
            return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    }
    return 0;
}

int past_plan(struct cli *c, const char *since, struct past *ret, struct error *err)
{
    char spec[64];
    AUTO_FREE struct search *s = calloc(1, sizeof *s);
    memset(ret, 0, sizeof *ret);
    if (!s)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    s->p = ret;
    (void)snprintf(ret->since, sizeof ret->since, "%s", since);
    (void)snprintf(spec, sizeof spec, "history:%s", since);
    int r = read_machine(c, ret, err);
    r = r < 0 ? r : source_open(c, spec, &s->in, &s->name, err);
    r = r < 0 ? r : scan(s, err);
    r = r < 0 ? r : make_tables(s, err);
    r = r < 0 ? r : search(s, err);
    for (unsigned b = 0; b < SIM_BOARDS; b++)
        table_free(s->tables[b]);
    if (s->in)
        (void)fclose(s->in);
    return r;
}
