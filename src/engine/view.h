/* One GPU as placement sees it: what must stay, what may go, and how well a request fits.
 *
 * The same function ranks a GPU for the index of the world and for the rows a step has changed, so
 * the two cannot disagree. */
#pragma once

#include "engine/world.h"
#include "plan/choose.h"
#include "plan/fit.h"

enum {
    VIEW_WARM = 0,   /* an idle instance may be taken as it is */
    VIEW_CLEAN = 1,  /* ... + how good by the rule: free without destroying anything */
    VIEW_CLEAR = 65, /* ... + how good by the rule: free once idle instances are destroyed */
    VIEW_MODE = 129, /* ... + 0..7: free after a change of MIG mode */
    VIEW_NONE = CHOOSE_NONE,
};

/* What is wanted of one GPU. */
struct view_want {
    unsigned row; /* profile, or CHOOSE_WHOLE */
    int start;    /* REQUEST_ANY or the memory slice */
    slices avoid; /* memory slices kept for somebody else */
    bool warm;    /* look for instances to reuse, by the fields below */
    enum warm_reuse rule;
    struct owner owner;
    uint32_t gid;
};

/* A place on one GPU. */
struct view_place {
    uint8_t rank; /* VIEW_NONE: there is none */
    uint8_t start;
    int8_t seat; /* the seat reused as it is, or -1 */
};

/* May anything be placed on it at all: managed, present, healthy, not drained. */
static inline bool view_usable(const struct gpu *g)
{
    return g->managed && g->present && !g->drained && g->health == MACHINE_OK && !g->lost_at;
}

/* The MIG mode it has, or will have once what is under way is done. */
bool view_mig_on(const struct gpu *g);

/* Whether an idle instance on the way to nobody may be destroyed for another request. */
static inline bool view_soft(const struct gpu *g, const struct seat *s)
{
    bool idle = s->state == SEAT_IDLE, going = s->state == SEAT_DESTROYING;
    return !s->lease & !s->fixed & (going | (idle & !g->fixed));
}

/* What stays (and with `soft`, what may go too) as a layout; also counts `avoid` as busy. */
struct layout view_layout(const struct gpu *g, bool soft, slices avoid);

/* The best place for what is wanted on this GPU, `f` being of its board; rank VIEW_NONE if none. */
struct view_place view_place(const struct gpu *g, const struct fit *f,
                             const struct view_want *want);

/* All that the ranks of a GPU depend on beside its board's table and the rules: equal keys, equal
 * ranks. Never all zero. */
void view_key(const struct gpu *g, enum warm_reuse rule, uint64_t ret[4]);

/* Ranks for every row, for somebody to whom no idle instance is kept. */
void view_ranks(const struct gpu *g, const struct fit *f, enum warm_reuse rule,
                uint8_t ret[CHOOSE_ROWS]);

/* Whether it could ever serve the row (and start), whatever is on it now; and how often at once. */
bool view_ever(const struct gpu *g, const struct board *b, unsigned row, int start);
unsigned view_capacity(const struct gpu *g, const struct board *b, unsigned row, int start);

/* Whether that holder, or whoever comes, may have this seat as it is once it is idle. */
bool view_seat_warm(const struct seat *s, const struct view_want *want);
static inline bool view_seat_anyones(const struct seat *s, enum warm_reuse rule)
{
    return !s->used || rule == WARM_ANY;
}

/* The memory slices a seat lies on. */
static inline slices view_seat_span(const struct seat *s)
{
    return fit_span(s->start, s->size);
}

/* Whether a stranger's instance stands where this seat was being made. */
bool view_seat_beaten(const struct gpu *g, const struct seat *s);

/* The slices a seat may keep others from: its own, or all where its profile competes for media
 * engines or is not known. */
slices view_seat_reach(const struct seat *s, const struct board *b);
