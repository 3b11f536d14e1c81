/* A lease as the engine knows it: ids and numbers, no text.
 *
 * Texts (command lines, names, cgroup paths) live in the store under the same numbers; UUIDs are
 * looked up in the latest observation. So a lease copies with `=` and compares field by field; what
 * is in `slices` beyond `slice_n` means nothing, and most leases have one of 64. */
#pragma once

#include "model/machine.h"
#include "model/owner.h"
#include "model/request.h"

enum lease_state {
    LEASE_QUEUED,   /* waits for its slices */
    LEASE_STARTING, /* has its places; the driver is making them */
    LEASE_ACTIVE,   /* granted; its processes may run */
    LEASE_ENDING,   /* SIGTERM was sent, grace runs */
    LEASE_KILLING,  /* SIGKILL was sent; waiting for the proof that nothing is left */
    LEASE_ENDED,    /* over; leaves the world in the same step that records it */
};

/* Why a lease ended; wire names in lease_why_name. */
enum lease_why {
    LEASE_WHY_NONE,
    LEASE_WHY_DONE,      /* what it was bound to ended by itself */
    LEASE_WHY_RELEASED,  /* its owner ended it */
    LEASE_WHY_OPERATOR,  /* an operator ended it */
    LEASE_WHY_TIME,      /* its time was up */
    LEASE_WHY_GAVE_UP,   /* its client left the queue */
    LEASE_WHY_NO_FIT,    /* not granted within its wait */
    LEASE_WHY_FAILED,    /* the driver could not make its slices */
    LEASE_WHY_LOST,      /* its GPU or the driver was lost */
    LEASE_WHY_VANISHED,  /* somebody destroyed its instance behind our back */
    LEASE_WHY_RESTART,   /* the machine was restarted */
    LEASE_WHY_FORCED,    /* an applied layout took its place */
    LEASE_WHY_N
};

/* One slice of a lease: where it is. */
struct lease_slice {
    uint32_t gpu;     /* the world's GPU slot */
    uint8_t profile;  /* index into the board's profiles; BOARD_NO_PROFILE for a whole GPU */
    uint8_t start;    /* first memory slice */
    uint8_t gi, ci;   /* ids, valid once `made` */
    bool made;        /* the driver has confirmed it */
};

struct lease {
    uint32_t id;              /* small integers from 1, never reused; 0 = no lease */
    enum lease_state state;
    enum lease_why why;
    uint32_t revision;        /* counts every change people should hear of */
    struct owner owner;
    uint32_t asker_uid;       /* who asked; differs from the owner for named owners */
    uint32_t gid;             /* primary group of the asker, for warm_reuse: group */

    /* what was asked for */
    enum slice_kind kind;
    uint8_t count;
    uint8_t profile_on[MACHINE_BOARDS]; /* on each kind of board, BOARD_NO_PROFILE = not there */
    bool movable;
    uint16_t compute_ppt;     /* SLICE_SHARE; of a request by need: at least such a part */
    int32_t gpu;              /* REQUEST_ANY or wanted */
    int16_t start;            /* the same */
    int16_t priority;
    uint32_t key;             /* interned, 0 = none */
    uint32_t limit_slices;    /* quota of the owner when it asked; 0 = none */
    uint32_t limit_compute;   /* compute slices; 0 = none */
    uint64_t bytes;           /* SLICE_SHARE; of a request by need: at least so much memory */
    uint64_t gpus;            /* wanted on these of the first 64 slots; 0: wherever `gpu` says */
    int64_t for_ns, grace_ns, wait_until; /* wait_until in boot time, TIME_NEVER = no limit */

    /* what it lives with */
    enum bind_kind bind;
    int32_t bind_pid;         /* BIND_PID; the asking process while queued */
    bool tree;                /* that process asked for itself: its descendants are ours too */
    bool stay;                /* ... and it stays outside as a parent */
    uint64_t bind_start;      /* start time of that process in clock ticks since boot */
    uint32_t bind_ref;        /* BIND_SESSION: session id; BIND_CGROUP, BIND_KEY: interned text */

    /* its life, in boot time; 0 = not yet */
    int64_t asked_at, started_at, ends_at, term_at, kill_at, ended_at;
    uint8_t warned;           /* how many of the warnings (15, 5, 1 min) were given */
    uint8_t signal;           /* sent to its processes `signal_before` ahead of the end; 0 = none */
    bool signalled;           /* ... and it was */
    int64_t signal_before;

    uint8_t tries;            /* places the driver could not make for it so far */
    uint8_t slice_n;
    struct lease_slice slices[REQUEST_SLICES];
};

/* Copies what counts: everything up to the last slice in use, and the first in any case. */
void lease_copy(struct lease *to, const struct lease *from);

/* Whether it may be on the GPU of this slot. */
static inline bool lease_wants(const struct lease *l, unsigned slot)
{
    bool among = !l->gpus || (slot < 64 && (l->gpus >> slot & 1));
    return among && (l->gpu == REQUEST_ANY || l->gpu == (int32_t)slot);
}

/* An empty lease, as far as anything of it counts. */
void lease_clear(struct lease *l);

/* "queued", "starting", "active", "ending", "killing", "ended" */
const char *lease_state_name(enum lease_state s);
const char *lease_why_name(enum lease_why w);     /* "done", "time", "lost", ... */
const char *lease_why_text(enum lease_why w);     /* "its time was up" */

/* The instant before which the lease cannot be assumed gone: its end plus grace; TIME_NEVER if it
 * has no end. */
int64_t lease_gone_by(const struct lease *l);
