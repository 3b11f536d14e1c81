/* What happens to a world: one struct, one kind, and the instant it happened (time enters the
 * engine here and nowhere else). */
#pragma once

#include "engine/world.h"

enum event_kind {
    EVENT_BOARD,     /* a kind of board is in this machine: adds it to the world's table */
    EVENT_GPU_SEEN,  /* what one GPU looks like now; also how loss and return are told */
    EVENT_POLICY,    /* new rules of the house */
    EVENT_ASK,       /* a request for a lease */
    EVENT_END,       /* end a lease, or give up a place in the queue */
    EVENT_EXTEND,    /* another end for a lease */
    EVENT_GONE,      /* what the lease was bound to has ended */
    EVENT_EMPTY,     /* proof: no process of this lease is left */
    EVENT_OVER,      /* GONE, with the proof: it ended and left nothing */
    EVENT_APPLIED,   /* a CREATE, DESTROY or SET_MODE succeeded */
    EVENT_FAILED,    /* ... or did not */
    EVENT_DRAIN,     /* no new leases on a GPU, or again */
    EVENT_MANAGE,    /* fetta may touch a GPU, or not any more */
    EVENT_LAYOUT,    /* fix a GPU's layout, or make it dynamic again */
    EVENT_POOL,      /* sliced, whole or elastic */
    EVENT_RESTART,   /* the boot id is new: every lease is over */
    EVENT_TICK,      /* time passed */
};

/* A GPU instance as observed; foreign unless the world knows it. */
struct sighting {
    uint8_t profile, start, size, gi;
    bool has_ci;          /* a full-size compute instance is there */
    uint8_t ci;
};

struct event {
    enum event_kind kind;
    int64_t now; /* boot time */
    union {
        struct {
            uint8_t index;
            struct board board;
        } board;
        struct {
            uint32_t slot;
            uint8_t board;
            bool present;
            bool fresh; /* first look after a start: actions under way before are void, and nothing
                         * is placed until a TICK follows the looks at all GPUs */
            enum machine_mig mig;
            enum machine_health health;
            uint8_t n;
            struct sighting seen[BOARD_GIS];
        } gpu;
        struct policy policy;
        struct {
            struct lease lease; /* what was asked, owner, asker, bind; id and state are ours */
            uint32_t gid;        /* primary group of the asker; kept as lease.gid */
        } ask;
        struct {
            uint32_t lease;
            enum lease_why why;
            bool hard;           /* skip warning and grace (operators only) */
        } end;
        struct {
            uint32_t lease;
            int64_t ends_at;     /* boot time */
            bool beyond_max;     /* an operator may pass max_for */
        } extend;
        uint32_t lease;          /* EVENT_GONE, EVENT_EMPTY, EVENT_OVER */
        struct {
            uint32_t gpu;
            uint32_t op;         /* the action's number */
            uint8_t gi, ci;      /* EVENT_APPLIED of a CREATE */
            enum error_code code; /* EVENT_FAILED: IN_USE is retried, others end the lease */
        } done;
        struct {
            uint32_t gpu;
            bool on;
            uint32_t reason;     /* interned text, 0 = none */
        } drain;
        struct {
            uint32_t gpu;
            bool on;
        } manage;
        struct {
            uint32_t gpu;
            bool fixed;          /* false: dynamic again */
            bool mig;            /* false: a fixed whole GPU */
            bool force;          /* end the leases in the way */
            struct layout layout;
        } layout;
        struct {
            uint32_t gpu;
            enum pool pool;
        } pool;
    };
};
