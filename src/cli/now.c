/* Status into values; see now.h. */
#include "cli/now.h"

#include "cli/get.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The group of a board, which is made if it is not there; negative: an error. */
static int group_of(struct fleet *f, const char *name, struct error *err)
{
    const struct board *b = board_find(name);
    for (unsigned g = 0; g < f->n; g++)
        if (strcmp(f->groups[g].board.name, name) == 0)
            return (int)g;
    if (!b)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the layouts of board '%s' are not known here; fetta and fettad are of "
                         "different versions",
                         name);
    if (f->n == MACHINE_BOARDS)
        return error_set(err, ERROR_UNSUPPORTED, "more than %d kinds of boards", MACHINE_BOARDS);
    f->groups[f->n] = (struct fleet_group){.board = *b};
    return (int)f->n++;
}

/* Whether the lease may move. */
static int ask_movable(struct cli *c, int64_t id, bool *ret, struct error *err)
{
    json_t *reply = NULL;
    int r = cli_call_lease(c, "GET", id, "", NULL, &reply, err);
    *ret = r == 0 && get_bool(get_in(reply, "lease"), "movable");
    json_decref(reply);
    return r;
}

/* One instance. What is being destroyed is not there any more. */
static int read_slice(struct cli *c, const json_t *slice, bool movable, struct now *n,
                      struct running_gpu *g, struct error *err)
{
    const struct board *b = &n->running.fleet.groups[g->group].board;
    const char *state = get_text(slice, "state");
    unsigned profile = board_profile_by_name(b, get_text(slice, "profile"));
    int64_t start = get_int(slice, "start", 0), lease = get_int(slice, "lease", 0);
    struct placement at = {.profile = (uint8_t)profile, .start = (uint8_t)start};
    bool idle = strcmp(state, "idle") == 0, moves = false;
    if (strcmp(state, "destroying") == 0)
        return 0;
    if (profile >= b->profile_n || start < 0 || start > 15 ||
        ((g->stays.busy | g->idle.busy) & layout_span(b, at))) {
        g->off = g->in_use = true; /* somebody's that no layout of ours has */
        return 0;
    }
    g->in_use = g->in_use || !idle;
    n->lease[g - n->running.gpus][start] = (uint32_t)lease;
    n->running.fleet.groups[g->group].mask |= 1u << profile;
    if (movable && idle)
        return 0;
    if (movable && lease && strcmp(state, "leased") == 0) {
        int r = ask_movable(c, lease, &moves, err);
        if (r < 0)
            return r;
    }
    layout_add(b, idle || moves ? &g->idle : &g->stays, at);
    return 0;
}

static int read_gpu(struct cli *c, const json_t *gpu, bool movable, struct now *n,
                    struct error *err)
{
    struct running_gpu *g = &n->running.gpus[n->running.n++];
    const char *mig = get_text(gpu, "mig");
    int group = group_of(&n->running.fleet, get_text(gpu, "board"), err);
    size_t i;
    json_t *slice;
    if (group < 0)
        return group;
    *g = (struct running_gpu){.index = (uint32_t)get_int(gpu, "index", 0),
                              .group = (uint8_t)group,
                              .in_use = get_int(gpu, "lease", 0) > 0,
                              .mode = strcmp(mig, "off") == 0};
    g->off = g->in_use || strcmp(mig, "none") == 0 || !get_bool(gpu, "managed") ||
             get_bool(gpu, "drained") || strcmp(get_text(gpu, "health"), "ok") != 0 ||
             strcmp(get_text(gpu, "pool"), "whole") == 0 ||
             !n->running.fleet.groups[group].board.memory_slices;
    json_array_foreach(get_in(gpu, "slices"), i, slice)
    {
        int r = read_slice(c, slice, movable, n, g, err);
        if (r < 0)
            return r;
    }
    n->running.fleet.groups[group].gpus += !g->off;
    return 0;
}

int now_read(struct cli *c, bool movable, struct now *ret, struct error *err)
{
    json_t *status = NULL, *gpu;
    size_t i;
    memset(ret, 0, sizeof *ret);
    int r = cli_call(c, "GET", "/status", NULL, &status, err);
    json_array_foreach(get_in(status, "gpus"), i, gpu)
    {
        if (r == 0 && i < MACHINE_GPUS)
            r = read_gpu(c, gpu, movable, ret, err);
    }
    json_decref(status);
    if (r == 0 && ret->running.n == 0)
        r = error_set(err, ERROR_NOT_FOUND, "this machine has no GPU");
    return r;
}
