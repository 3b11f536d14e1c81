/* What would have to move for a request that does not fit, in words and JSON. */
#include "daemon/show.h"

#include "base/str.h"
#include "engine/moves.h"

#include <stdlib.h>

static const char *const answers[] = {[MOVES_ROOM] = "room",
                                      [MOVES_NONE] = "none",
                                      [MOVES_ENOUGH] = "moves",
                                      [MOVES_MORE] = "more",
                                      [MOVES_UNKNOWN] = "unknown"};

static json_int_t index_of(struct daemon *d, unsigned slot)
{
    const struct machine_gpu *seen = daemon_gpu(d, slot);
    return seen ? (json_int_t)seen->index : (json_int_t)slot;
}

/* What the moves cost: compute slices that stop, times the seconds they do. */
static double cost(const struct moves *m)
{
    return m->compute * (MOVES_MS / 1000.0);
}

static json_t *list_moves(struct daemon *d, const struct moves *m)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < m->n; i++) {
        const struct moves_one *x = &m->at[i];
        const struct gpu *g = world_gpu(d->world, x->from);
        const struct board *b = world_board(d->world, g->board);
        char name[BOARD_PROFILE_NAME];
        (void)json_array_append_new(
            list, json_pack("{s:i, s:s, s:{s:I, s:i}, s:{s:I, s:i}}", "lease", (int)x->lease,
                            "profile", board_profile_name(b, &b->profiles[x->profile], name),
                            "from", "gpu", index_of(d, x->from), "start", x->from_start, "to",
                            "gpu", index_of(d, x->to), "start", x->to_start));
    }
    return list;
}

static json_t *list_places(struct daemon *d, const struct moves *m)
{
    json_t *list = json_array();
    for (unsigned i = 0; m->answer == MOVES_ENOUGH && i < m->slice_n; i++) {
        const struct lease_slice *s = &m->slices[i];
        json_t *start = s->profile == BOARD_NO_PROFILE ? json_null() : json_integer(s->start);
        (void)json_array_append_new(
            list, json_pack("{s:I, s:o}", "gpu", index_of(d, s->gpu), "start", start));
    }
    return list;
}

/* "1 move would do, cost 0.25 GPC-s: lease 12 from GPU 0 slice 4 to GPU 3 slice 0" */
static void say_moves(struct daemon *d, const struct moves *m, struct str *text)
{
    str_addf(text, "%u move%s would do, cost %.2f GPC-s:", m->n, m->n == 1 ? "" : "s", cost(m));
    for (unsigned i = 0; i < m->n; i++) {
        const struct moves_one *x = &m->at[i];
        str_addf(text, "%s lease %u from GPU %lld slice %u to GPU %lld slice %u", i ? "," : "",
                 x->lease, (long long)index_of(d, x->from), x->from_start,
                 (long long)index_of(d, x->to), x->to_start);
    }
}

static void say(struct daemon *d, const struct moves *m, struct str *text)
{
    switch (m->answer) {
    case MOVES_ROOM:
        str_add(text, "there is room without any move");
        break;
    case MOVES_NONE:
        str_add(text, "no repacking exists");
        break;
    case MOVES_ENOUGH:
        say_moves(d, m, text);
        break;
    case MOVES_MORE:
        str_add(text, "a repacking exists, but two moves a slice are not enough");
        break;
    case MOVES_UNKNOWN:
        str_add(text, "two moves a slice are not enough; whether more would do was not searched");
        break;
    }
}

static json_t *show_one(struct daemon *d, const struct moves *m, const struct str *text)
{
    json_t *o = json_pack("{s:s, s:s, s:o, s:o}", "answer", answers[m->answer], "text",
                          text->text ? text->text : "", "moves", list_moves(d, m), "slices",
                          list_places(d, m));
    bool enough = m->answer == MOVES_ENOUGH;
    (void)json_object_set_new(o, "compute", enough ? json_integer(m->compute) : json_null());
    (void)json_object_set_new(o, "cost", enough ? json_real(cost(m)) : json_null());
    return o;
}

json_t *show_moves(struct daemon *d, const struct lease *ask)
{
    AUTO_FREE struct moves *now = malloc(sizeof *now);
    AUTO_FREE struct moves *all = malloc(sizeof *all);
    AUTO_STR struct str text = {0}, other = {0};
    if (!now || !all || moves_find(d->world, ask, false, now, NULL) < 0 ||
        moves_find(d->world, ask, true, all, NULL) < 0 || now->answer == MOVES_ROOM)
        return json_null();
    say(d, now, &text);
    say(d, all, &other);
    if (now->answer != MOVES_ENOUGH && all->answer == MOVES_ENOUGH)
        str_addf(&text, "; if running leases could be moved (--movable): %s", other.text);
    else if (now->answer != MOVES_ENOUGH && all->answer == now->answer)
        str_add(&text, ", not even if every running lease could be moved");
    json_t *o = show_one(d, now, &text);
    (void)json_object_set_new(o, "if_movable", show_one(d, all, &other));
    return o;
}
