/* libfetta: ask fettad for slices of GPUs from your own program.
 *
 * Link with -lfetta. The library keeps no global state, starts no thread, prints nothing,
 * raises no signal and never ends the process it is loaded into. A `struct fetta` is one
 * connection: use it from one thread at a time, open as many as you like.
 *
 *     struct fetta *f;
 *     struct fetta_error err;
 *     struct fetta_lease lease = {.size = sizeof lease};
 *     struct fetta_ask ask = {.size = sizeof ask, .profile = "1g.10gb", .for_s = 3600};
 *     if (fetta_open(NULL, &f, &err) < 0 || fetta_lease_new(f, &ask, &lease, &err) < 0)
 *         fprintf(stderr, "%s\n", err.text);
 *
 * Functions return 0 or a positive outcome they name, and a negative number on failure, with
 * the error filled in if `err` is not NULL. Compare errors by `name`; names are listed in
 * fetta-errors(7). */
#ifndef FETTA_FETTA_H
#define FETTA_FETTA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FETTA_PUBLIC __attribute__((visibility("default")))
#else
#define FETTA_PUBLIC
#endif

struct fetta;

struct fetta_error {
    int code;         /* negative, as returned; the number may differ between versions */
    int sys;          /* errno behind it, or 0 */
    int exit_status;  /* what a command line program should exit with: 1, 2, 75 */
    char name[24];    /* "no-fit", "no-daemon", ... */
    char text[400];   /* for people: lower case, without a full stop */
};

/* The version of the library, such as "0.1.0". */
FETTA_PUBLIC const char *fetta_version(void);

/* Connects to fettad at `socket_path`; NULL takes $FETTA_SOCKET, or /run/fetta/fetta.sock
 * without it. Names of failure: no-daemon, no-permission, invalid (path too long), timeout,
 * no-memory, io. */
FETTA_PUBLIC int fetta_open(const char *socket_path, struct fetta **ret, struct fetta_error *err);

/* Closes the connection; a request of it that waits in the queue is given up. NULL is allowed. */
FETTA_PUBLIC void fetta_close(struct fetta *f);

/* Makes the call that waits on `f` now, and every later one, fail with name "io" and sys ECANCELED.
 * The only function that may be called from a signal handler or another thread. */
FETTA_PUBLIC void fetta_cancel(struct fetta *f);

/* Frees what a function of this library gave. NULL is allowed. */
FETTA_PUBLIC void fetta_free(void *given);

/* One call of the API (see docs/api.md): `method` "GET", "POST" or "DELETE", `path` with its
 * query, such as "/v1/leases/12?wait=ended", `json` the body or NULL. Waits at most
 * `timeout_ms`, -1 without limit. `ret_body` may be NULL; *ret_body is zero-terminated text
 * for fetta_free, NULL on failure. Returns 0, or 1 when the answer is that it is under way
 * (HTTP 202). On failure the error is the daemon's own. */
FETTA_PUBLIC int fetta_request(struct fetta *f, const char *method, const char *path,
                               const char *json, int timeout_ms, char **ret_body,
                               struct fetta_error *err);

/* GETs a stream such as "/v1/events" and calls `line` with each JSON text until the stream
 * ends (0), or `line` returns other than 0: that is returned (use positive numbers). */
FETTA_PUBLIC int fetta_events(struct fetta *f, const char *path,
                              int (*line)(const char *json, void *arg), void *arg,
                              struct fetta_error *err);

/* Escapes `text` as a JSON string with its quotes, for building a body; for fetta_free, NULL
 * without memory or if it is not UTF-8. */
FETTA_PUBLIC char *fetta_quote(const char *text);

/* What to ask for. Set `size` to sizeof(struct fetta_ask) and leave what you do not care about
 * zero; later versions add fields at the end. Name one of `profile`, needs, or `gpus`. */
struct fetta_ask {
    size_t size;
    const char *profile;     /* "1g.10gb" */
    uint64_t memory_bytes;   /* by need: the smallest profile that has so much memory ... */
    uint32_t compute_ppt;    /* ... and so many thousandths of the GPU's compute, 1..1000 */
    uint32_t gpus;           /* so many whole GPUs, MIG off */
    uint32_t count;          /* so many slices, all or none; 0 = 1 */
    const char *gpu;         /* only on these: "2", "0-3", "1,5", or one by UUID */
    int32_t priority;        /* above 0 for operators only */
    uint32_t flags;          /* FETTA_ASK_* */
    int64_t for_s;           /* seconds to have it; 0 = the daemon's default */
    int64_t wait_s;          /* seconds to wait for it; 0 = without limit, see FETTA_ASK_NOW */
    int64_t grace_s;         /* seconds between SIGTERM and SIGKILL at the end; 0 = default */
    const char *bind;        /* what it lives with: "pid" (default), "session", "none", ... */
    const char *key;         /* unique per owner: asking again gives the same lease */
    const char *owner;       /* "kube:NAMESPACE", "slurm:ACCOUNT": root and operators only */
    const char *command;     /* for people */
    const char *door;        /* who asks, for people: "slurm" */
    const char *signal;      /* "USR1@10m": this signal so long before the end */
};

enum {
    FETTA_ASK_NOW = 1,      /* now or never: do not wait */
    FETTA_ASK_ASYNC = 2,    /* return 1 with the queued lease instead of waiting */
    FETTA_ASK_STAY = 4,     /* the caller stays outside the lease's cgroup */
    FETTA_ASK_MOVABLE = 8,
};

enum { FETTA_SLICES = 64 };

/* One slice of a lease. A whole GPU has an empty profile, and the GPU's UUID. */
struct fetta_slice {
    int32_t gpu;            /* index */
    int32_t gi, ci, start;  /* -1 for a whole GPU */
    uint32_t compute, sms;
    uint64_t memory_bytes;
    char gpu_uuid[96];
    char uuid[96];          /* for CUDA_VISIBLE_DEVICES */
    char profile[32];
    uint64_t later[4];      /* zero; room for what later versions tell */
};

/* A lease. Set `size` to sizeof(struct fetta_lease) before it is passed; what this version of
 * the caller does not know is not written. Times are seconds since the epoch, 0 for "never"
 * and "not yet". */
struct fetta_lease {
    size_t size;
    int64_t id;
    int64_t revision;
    char state[16];         /* "queued" "starting" "active" "ending" "killing" "ended" */
    char why[16];           /* how it came to its end, "" before */
    char why_text[240];
    char owner[80];         /* "" when the daemon keeps owners private */
    double asked, started, ends, ended;
    double grace_s;
    int32_t confined;       /* 1: its processes are in a cgroup of their own */
    int32_t position;       /* in the queue, 1 is next; 0 when it does not wait */
    int32_t exit_status;    /* -1 when none was told */
    uint32_t slice_n;
    struct fetta_slice slices[FETTA_SLICES];
};

/* Asks for a lease and waits until it is granted. Returns 0 when it is, 1 when it is queued
 * (with FETTA_ASK_ASYNC). Names of failure: never-fits, no-fit, quota, conflict, invalid,
 * no-permission, ... */
FETTA_PUBLIC int fetta_lease_new(struct fetta *f, const struct fetta_ask *ask,
                                 struct fetta_lease *ret, struct fetta_error *err);

/* Reads a lease. Name of failure: not-found. */
FETTA_PUBLIC int fetta_lease_get(struct fetta *f, int64_t id, struct fetta_lease *ret,
                                 struct fetta_error *err);

/* Waits until the lease is "granted" or "ended", at most `timeout_s` seconds (-1: without limit).
 * Returns 0 when it is so, 1 when the time was over first; *ret is the lease as it is then. */
FETTA_PUBLIC int fetta_lease_wait(struct fetta *f, int64_t id, const char *until,
                                  int64_t timeout_s, struct fetta_lease *ret,
                                  struct fetta_error *err);

/* Ends a lease: SIGTERM, grace, SIGKILL. Returns when that has begun. */
FETTA_PUBLIC int fetta_lease_end(struct fetta *f, int64_t id, struct fetta_error *err);

/* Ends the lease that was asked for with `key`; succeeds if there is none (any more). */
FETTA_PUBLIC int fetta_lease_end_key(struct fetta *f, const char *key, struct fetta_error *err);

/* Moves the end of a lease by so many seconds. `ret` may be NULL. */
FETTA_PUBLIC int fetta_lease_extend(struct fetta *f, int64_t id, int64_t by_s,
                                    struct fetta_lease *ret, struct fetta_error *err);

/* Puts the process `pid` (0: the caller) into the lease. */
FETTA_PUBLIC int fetta_lease_attach(struct fetta *f, int64_t id, int64_t pid,
                                    struct fetta_error *err);

#ifdef __cplusplus
}
#endif

#endif
