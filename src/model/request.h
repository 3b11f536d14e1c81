/* What somebody asks for, after parsing and before placement: values only. */
#pragma once

#include "model/board.h"
#include "model/owner.h"

enum {
    REQUEST_SLICES = 64, /* most slices of one lease */
    REQUEST_KEY = 64,    /* idempotency key, with terminating zero */
    REQUEST_ANY = -1,    /* for `gpu` and `start` */
};

/* What one slice of a lease is. */
enum slice_kind {
    SLICE_GI,    /* a GPU instance with one full-size compute instance */
    SLICE_WHOLE, /* a whole GPU, MIG off (or a GPU without MIG) */
    SLICE_CI,    /* a compute instance inside a GI shared with other leases of the owner */
    SLICE_SHARE, /* a software share of a GPU without MIG: bytes and compute thousandths */
};

/* What the lease lives with; when that is gone, the lease ends. */
enum bind_kind {
    BIND_NONE,    /* only its time; needs an end */
    BIND_PID,     /* one process, found again by boot id, pid and start time */
    BIND_LEASE,   /* any process of the lease itself (its cgroup; the asker where there is none) */
    BIND_USER,    /* any process of the owner's uid */
    BIND_SESSION, /* the login session (kernel session id) of the asking process */
    BIND_CGROUP,  /* a cgroup of somebody else's making, until it is empty or gone */
    BIND_KEY,     /* a key of another system, which ends it by that key */
};

struct request {
    struct owner owner;
    enum slice_kind kind;
    uint8_t count; /* slices, 1..REQUEST_SLICES, all or none */
    /* Which profile, by name or by need; resolved per board because names differ. */
    char profile[BOARD_PROFILE_NAME]; /* "" = by need */
    char ci_profile[8];               /* SLICE_CI: "1c"; "" otherwise */
    uint64_t bytes;                   /* at least this much memory; 0 = any */
    uint16_t compute_ppt; /* at least this many thousandths of the compute slices; 0 = any */
    int16_t gpu;          /* REQUEST_ANY or the world's GPU slot */
    int16_t start;        /* REQUEST_ANY or the memory slice */
    int16_t priority;     /* higher first; only operators may ask above 0 */
    bool movable;         /* may be moved to another slice while idle */
    bool group_span;      /* slices may be on different GPUs (true for -n) */
    enum bind_kind bind;
    int64_t wait_ns;       /* TIME_NEVER = without limit, 0 = now or never */
    int64_t for_ns;        /* 0 = default_for */
    int64_t grace_ns;      /* -1 = default */
    char key[REQUEST_KEY]; /* unique per owner; "" = none */
};

/* Reads "18GiB", "18G", "18Gi", "18gb", "18432M": a whole number and a unit B, K, M, G or T, always
 * powers of two (as docker and Slurm); at least 1 byte, below 2^50. A number without a unit is
 * refused: docker takes it for bytes and Slurm for MiB. `what` names the option in the error. */
int request_parse_bytes(const char *text, const char *what, uint64_t *ret, struct error *err);

/* Reads "2/7", "0.3", "30%": a part of the whole GPU in thousandths, rounded up; 1..1000. At most
 * six digits on either side of the slash or point. */
int request_parse_compute(const char *text, const char *what, uint16_t *ret, struct error *err);

/* Checks ranges and contradictions (no bind without an end, profile and need together, ...).
 * Neither profile nor need asks for the smallest slice. for_ns = 0 passes as an end here: check
 * again once the default is filled in. */
int request_check(const struct request *r, struct error *err);
