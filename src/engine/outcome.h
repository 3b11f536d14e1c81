/* What a step decides, as values: changes to write down first, actions to do afterwards.
 *
 * Changes are whole rows, so applying one twice is harmless: the store writes exactly these, the
 * crash test replays them, world_apply applies them. */
#pragma once

#include "engine/world.h"

enum change_kind {
    CHANGE_LEASE,   /* a lease as it is now; LEASE_ENDED removes it from the world */
    CHANGE_GPU,     /* a GPU as it is now, with all its seats */
    CHANGE_BOARD,
    CHANGE_POLICY,
    CHANGE_NEXT_ID, /* the next lease id */
};

struct change {
    enum change_kind kind;
    union {
        struct lease lease;
        struct gpu gpu;
        struct {
            uint8_t index;
            struct board board;
        } board;
        struct policy policy;
        uint32_t next_id;
    };
};

/* Rows in order. They are the outcome's own, at addresses that stay until it decides again. */
struct changes {
    size_t n, room;
    struct change **at;
};

enum action_kind {
    ACTION_CREATE,   /* make a GI with its full-size CI at this place; answer APPLIED or FAILED */
    ACTION_DESTROY,  /* destroy the CI(s) and the GI; answer APPLIED or FAILED */
    ACTION_SET_MODE, /* MIG on or off; answer APPLIED or FAILED */
    ACTION_GRANT,    /* the lease is active: confine its process, answer its client */
    ACTION_REFUSE,   /* the request was not granted; `lease` carries why (already ENDED) */
    ACTION_QUEUED,   /* the request waits; its client may hear its place */
    ACTION_WARN,     /* tell the lease that `left_ns` remain */
    ACTION_SIGNAL,   /* the signal its owner asked for ahead of the end (`signal`) */
    ACTION_TERM,     /* SIGTERM to all its processes; report EMPTY when none is left */
    ACTION_KILL,     /* SIGKILL to all of them; report EMPTY when none is left */
    ACTION_ENDED,    /* the lease is over: drop its cgroup, answer who waits for the end */
    ACTION_TOLD,     /* the lease changed in a way people see (extended, moved) */
    ACTION_LOOK,     /* observe this GPU again */
};

struct action {
    enum action_kind kind;
    uint32_t lease;
    uint32_t gpu;
    uint32_t op;      /* CREATE, DESTROY, SET_MODE: echoed in the answer; unique per GPU's life */
    uint8_t profile, start, gi;
    bool mig_on;
    uint8_t signal;   /* ACTION_SIGNAL */
    int64_t left_ns;
};

/* What a step looked at: GPUs one by one, words of the index of GPUs, and GPUs gone through to keep
 * places for the head of the queue. The first two do not grow with the fleet. */
struct outcome_cost {
    uint64_t gpus, words, kept;
};

struct outcome {
    struct changes changes;
    size_t action_n, action_room;
    struct action *actions;
    uint32_t lease;   /* ASK: the id given (or the old one for a known key) */
    struct outcome_cost cost;
    /* The engine's own: rows under change while a step runs, at addresses that stay. */
    size_t row_n, row_room;
    struct change **rows;
    uint64_t *row_keys;
};

/* Frees everything and leaves an empty outcome, which may be used again. */
void outcome_done(struct outcome *o);

/* Forgets the content, keeps the memory. */
void outcome_clear(struct outcome *o);
