/* What a GPU's row asks of the hardware, asked in the order in which it can be done: destroy what
 * makes way, change the mode, create. Called after every change of a row; asks nothing twice. */
#include "engine/parts.h"

#include "base/time.h"

#include <assert.h>
#include <string.h>

enum { OP_SLOT_BITS = 16, OP_COUNT_MASK = 0xffff };

void advance_remove_seat(struct gpu *g, unsigned i)
{
    g->seat_n--;
    memmove(&g->seats[i], &g->seats[i + 1], (g->seat_n - i) * sizeof g->seats[0]);
    memset(&g->seats[g->seat_n], 0, sizeof g->seats[0]);
}

struct seat *advance_insert_seat(struct gpu *g, const struct seat *s)
{
    assert(g->seat_n < BOARD_GIS);
    unsigned i = g->seat_n++;
    for (; i > 0 && g->seats[i - 1].start > s->start; i--)
        g->seats[i] = g->seats[i - 1];
    g->seats[i] = *s;
    return &g->seats[i];
}

/* Numbers count per GPU and carry its slot, so that they are unique in the world: to 65,536 GPUs,
 * beyond which the GPU beside the number tells them apart. */
static uint32_t next_op(struct gpu *g)
{
    do
        g->op_n++;
    while (!(g->op_n & OP_COUNT_MASK));
    return (g->op_n & OP_COUNT_MASK) << OP_SLOT_BITS | g->slot;
}

static bool matches(const struct seat *s, struct placement p)
{
    return s->profile == p.profile && s->start == p.start &&
           (s->state == SEAT_LEASED || s->state == SEAT_IDLE || s->state == SEAT_CREATING);
}

/* The seat that holds a place of the applied layout, or -1. */
static int holder_of(const struct gpu *g, struct placement p)
{
    for (int i = 0; i < g->seat_n; i++) {
        if (matches(&g->seats[i], p))
            return i;
    }
    return -1;
}

/* A fixed GPU: instances outside the layout go once nobody holds them, missing ones are made. */
static void converge(struct draft *d, struct gpu *g)
{
    if (!g->fixed || g->whole_lease)
        return;
    for (unsigned i = 0; i < g->layout_fixed.n; i++) {
        int seat = holder_of(g, g->layout_fixed.at[i]);
        if (seat >= 0)
            g->seats[seat].fixed = true;
    }
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].state == SEAT_IDLE && !g->seats[i].fixed)
            g->seats[i].state = SEAT_DESTROYING;
    }
    for (unsigned i = 0; i < g->layout_fixed.n && g->mode_wanted; i++) {
        struct placement p = g->layout_fixed.at[i];
        const struct board *b = draft_board(d, g);
        struct layout hard = view_layout(g, false, 0);
        if (holder_of(g, p) >= 0 || g->seat_n >= BOARD_GIS ||
            !(layout_fits(b, &hard, p.profile) >> p.start & 1))
            continue;
        struct seat s = {.state = SEAT_CREATING,
                         .profile = p.profile,
                         .start = p.start,
                         .size = b->profiles[p.profile].size,
                         .fixed = true,
                         .since = d->now};
        advance_insert_seat(g, &s);
    }
}

static void ask_destroy(struct draft *d, struct gpu *g)
{
    for (unsigned i = 0; i < g->seat_n; i++) {
        struct seat *s = &g->seats[i];
        if (s->state != SEAT_DESTROYING || s->op)
            continue;
        s->op = next_op(g);
        s->since = d->now;
        struct action *a = draft_action(d, ACTION_DESTROY, 0, g->slot);
        a->op = s->op;
        a->profile = s->profile;
        a->start = s->start;
        a->gi = s->gi;
    }
}

/* Whether the row needs MIG on (1), off (0), or does not care (-1). */
static int wanted_mode(const struct gpu *g)
{
    if (g->whole_lease)
        return 0;
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].state == SEAT_CREATING)
            return 1;
    }
    return g->fixed ? g->mode_wanted : -1;
}

/* Asks for a change of mode if one is needed and nothing is in its way; true if the mode is not
 * (yet) what the row needs. */
static bool ask_mode(struct draft *d, struct gpu *g)
{
    int want = wanted_mode(g);
    if (g->mode_op)
        return true;
    if (want < 0 || g->mig == MACHINE_MIG_NONE || (g->mig == MACHINE_MIG_ON) == want)
        return false;
    for (unsigned i = 0; i < g->seat_n; i++) {
        if (g->seats[i].state != SEAT_CREATING || g->seats[i].op)
            return true;
    }
    if (g->mode_retry_at || (!want && g->seat_n))
        return true;
    g->mode_op = next_op(g);
    g->mode_changing = true;
    g->mode_asked = want;
    if (!g->fixed)
        g->mode_wanted = want;
    struct action *a = draft_action(d, ACTION_SET_MODE, g->whole_lease, g->slot);
    a->op = g->mode_op;
    a->mig_on = want;
    return true;
}

/* Whether everything that stands where `s` will be has gone. */
static bool way_is_free(const struct gpu *g, const struct board *b, const struct seat *s)
{
    struct layout l = {0};
    for (unsigned i = 0; i < g->seat_n; i++) {
        const struct seat *other = &g->seats[i];
        if (other->state == SEAT_CREATING && !other->op)
            continue;
        l.busy |= view_seat_span(other);
        if (other->profile != BOARD_NO_PROFILE)
            l.at[l.n++] = (struct placement){other->profile, other->start};
    }
    return layout_fits(b, &l, s->profile) >> s->start & 1;
}

static void ask_create(struct draft *d, struct gpu *g)
{
    if (g->mig != MACHINE_MIG_ON)
        return;
    for (unsigned i = 0; i < g->seat_n; i++) {
        struct seat *s = &g->seats[i];
        if (s->state != SEAT_CREATING || s->op || s->retry_at ||
            !way_is_free(g, draft_board(d, g), s))
            continue;
        s->op = next_op(g);
        s->since = d->now;
        struct action *a = draft_action(d, ACTION_CREATE, s->lease, g->slot);
        a->op = s->op;
        a->profile = s->profile;
        a->start = s->start;
    }
}

static void whole_ready(struct draft *d, struct gpu *g)
{
    uint32_t id = g->whole_lease;
    if (!id || g->seat_n || g->mig == MACHINE_MIG_ON)
        return;
    const struct lease *held = draft_lease(d, id);
    for (unsigned i = 0; held && i < held->slice_n; i++) {
        if (held->slices[i].gpu == g->slot && !held->slices[i].made) {
            draft_lease_edit(d, id)->slices[i].made = true;
            life_progress(d, id);
            return;
        }
    }
}

/* Whether nothing is to be asked of a GPU, as is most often so: nothing is on its way to be or to
 * be gone, and nobody has the whole of it or has fixed its layout. */
static bool quiet(const struct gpu *g)
{
    bool busy = g->fixed || g->whole_lease || g->mode_op;
    for (unsigned i = 0; i < g->seat_n; i++)
        busy |= g->seats[i].state == SEAT_CREATING || g->seats[i].state == SEAT_DESTROYING;
    return !busy;
}

void advance(struct draft *d, unsigned slot)
{
    const struct gpu *now = draft_gpu(d, slot);
    if (!now->managed || !now->present || now->health != MACHINE_OK || !draft_board(d, now) ||
        quiet(now))
        return;
    struct gpu *g = draft_gpu_edit(d, slot);
    converge(d, g);
    ask_destroy(d, g);
    if (ask_mode(d, g))
        return;
    ask_create(d, g);
    whole_ready(d, g);
}
