/* What would have to move so that something fits that does not fit now.
 *
 * A refusal is only honest with its reason: either no repacking of what may move makes room, or so
 * many moves would, and these are the cheapest. GPUs that look alike are one kind, so the work
 * depends on how many different kinds there are and not on how large the fleet is. */
#pragma once

#include "base/error.h"
#include "model/layout.h"

#include <stdbool.h>

enum {
    RESCUE_SAME = 4,         /* GPUs of one kind that are told apart: two moves touch no more */
    RESCUE_MOVES = 2,        /* most moves looked for */
    RESCUE_WHOLE = 0xff,     /* wanted: a GPU with nothing on it */
    RESCUE_LOOKS = 20000000, /* layouts looked at before the search gives up */
};

/* GPUs with the same instances on them, of which the same may move. */
struct rescue_kind {
    struct layout layout;           /* what is there; `busy` may hold more, which never moves */
    uint16_t movable;               /* bit i: layout.at[i] may move */
    bool target;                    /* what is wanted may come here */
    slices allowed[BOARD_PROFILES]; /* starts that may be used, by profile */
    uint32_t n;                     /* how many such GPUs */
    uint32_t gpus[RESCUE_SAME];     /* the numbers of the first of them */
};

/* A fleet of one kind of board. Zeroed but for `board` it is empty. */
struct rescue_fleet {
    const struct board *board;
    struct rescue_kind *kinds;
    unsigned n, room;
};

/* Adds one GPU (`kind->n` and `gpus` are not looked at); ERROR_NO_MEMORY. */
int rescue_add(struct rescue_fleet *f, const struct rescue_kind *kind, uint32_t gpu,
               struct error *err);
void rescue_done(struct rescue_fleet *f);

struct rescue_want {
    unsigned profile; /* or RESCUE_WHOLE */
    slices starts;    /* where it may begin; all ones: anywhere */
};

struct rescue_move {
    uint32_t from, to; /* GPUs */
    uint8_t profile, from_start, to_start;
};

struct rescue_plan {
    bool found;
    bool cut_short; /* the search gave up: there may be fewer or cheaper moves, or any at all */
    unsigned n;     /* moves, 0 if it fits as it is */
    struct rescue_move moves[RESCUE_MOVES];
    uint32_t gpu; /* where the wanted goes then */
    uint8_t start;
    unsigned compute; /* compute slices that stop while they move: what the moves cost */
    uint64_t looked;  /* layouts looked at */
};

/* The fewest moves, at most `most` (up to RESCUE_MOVES), after which the wanted fits, and among
 * those the ones that stop the fewest compute slices, then those that cost the least room for
 * others. What moves is gone while it moves, so two may change places. ERROR_NO_MEMORY. */
int rescue_find(const struct rescue_fleet *f, const struct rescue_want *want, unsigned most,
                struct rescue_plan *ret, struct error *err);
