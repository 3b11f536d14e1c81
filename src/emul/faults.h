/* What goes wrong: a plan of rules that tests and trials load into an emulated machine.
 *
 * A rule says whom it is about, when it hits and what it does. Rules with calls are asked at every
 * call (faults_take); rules without hit by themselves at an instant (faults_run). A call is a
 * number that only the caller understands. The first rule that refuses or spoils a call decides
 * its code; delays add up; everything else is handed back as strikes for the caller to carry out.
 * Chance comes from a generator per rule, so that the same seed and the same calls that a rule is
 * about give the same hits, whatever happens elsewhere.
 *
 * Rules are plain values of one build: they travel between its programs as bytes (struct
 * fault_plan, then the rules), and faults_load checks them. */
#pragma once

#include "base/error.h"
#include "emul/latency.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAULTS_MAX = 256,
    FAULTS_ANY = -1,
    FAULTS_CALLS = 1024, /* call numbers are below this */
    FAULTS_WORDS = FAULTS_CALLS / 64,
    FAULTS_LABEL = 96,
    FAULTS_PROCESS = 32,
    FAULTS_STRIKES = 8,
    FAULTS_ALWAYS = 1000000, /* chance: every time */
};

enum fault_effect {
    FAULT_FAIL,     /* the call answers `code` and does nothing */
    FAULT_SPOIL,    /* the call does its deed and answers `code` all the same */
    FAULT_DELAY,    /* the call begins later */
    FAULT_LATE,     /* the call's answer comes later, its deed does not */
    FAULT_HANG,     /* the call begins when the rule is cleared, or after `lasts` */
    FAULT_LOSE,     /* the GPU falls off the bus; back after `lasts` */
    FAULT_XID,      /* XID `data` is told of GPU, GI and CI */
    FAULT_ECC,      /* an ECC error, `data` of enum fault_ecc */
    FAULT_LEAK,     /* the GI is in use by nobody visible, for `lasts` */
    FAULT_RELOAD,   /* all clients are cut off; the driver is back, empty, after `lasts` */
    FAULT_RENUMBER, /* the minor numbers of the GPUs move on by one */
    FAULT_HOLES,    /* MIG devices of the GPU keep their indices when others go */
    FAULT_EFFECTS,
};

enum fault_ecc { FAULT_ECC_CORRECTED, FAULT_ECC_CONTAINED, FAULT_ECC_UNCONTAINED, FAULT_ECCS };

struct fault {
    char label[FAULTS_LABEL]; /* for people */

    /* Whom: all must match. */
    uint64_t calls[FAULTS_WORDS];  /* bit = call; none: it hits by itself */
    char process[FAULTS_PROCESS];  /* a pattern for the caller's name; "": all */
    int64_t uid, pid;              /* FAULTS_ANY: all; these below too */
    int32_t gpu, gi, ci, zero;

    /* When: the nth match and every `every`-th after it, with a chance, not before `after`, at
     * most `times` times. */
    uint32_t nth, every; /* from 1 */
    uint32_t chance;     /* in FAULTS_ALWAYS */
    uint32_t times;      /* 0: no end */
    int64_t after;       /* ns after the plan was loaded */
    int64_t each;        /* hits by itself again after so many ns; 0: once */

    /* What. */
    uint32_t effect; /* enum fault_effect */
    int32_t code;    /* FAIL, SPOIL: not 0 */
    uint64_t data;
    int64_t lasts; /* ns from its first hit on (LOSE, HANG, LEAK, RELOAD: from each); TIME_NEVER */
    struct latency delay;
};

/* What a rule has done so far. */
struct fault_state {
    uint64_t seen, hits;
    int64_t first;      /* instant of the first hit */
    int64_t due;        /* rules that hit by themselves: the next time, TIME_NEVER when spent */
    struct rng chance;
};

struct faults {
    uint32_t n;
    int64_t since; /* when the plan was loaded */
    uint64_t seed;
    struct fault rules[FAULTS_MAX];
    struct fault_state states[FAULTS_MAX];
};

/* A call on its way, for matching. */
struct fault_call {
    uint32_t call;
    int gpu, gi, ci; /* FAULTS_ANY: about none */
    uint32_t uid, pid;
    const char *process;
};

/* A rule that hit: which, and what it is about where the rule leaves that to the call. */
struct fault_strike {
    uint32_t rule;
    int gpu, gi, ci;
};

struct fault_verdict {
    int32_t code;
    bool spoil;             /* do it, then answer `code` */
    bool hang;              /* until a clear, or until `hang_until` */
    int64_t hang_until;
    int64_t before, after;  /* ns */
    uint32_t strike_n;
    struct fault_strike strikes[FAULTS_STRIKES];
};

enum fault_latency { FAULT_LATENCY_KEEP, FAULT_LATENCY_OFF, FAULT_LATENCY_BOARD };

/* The head of a plan as bytes; `n` rules follow. */
struct fault_plan {
    uint32_t magic;   /* FAULT_PLAN_MAGIC */
    uint32_t calls;   /* how many calls the writer knows; must be the reader's */
    uint32_t rule;    /* sizeof(struct fault) */
    uint32_t n;
    uint64_t seed;
    uint32_t latency; /* enum fault_latency, for the caller of faults_load */
    uint32_t zero;
};

#define FAULT_PLAN_MAGIC 0x6e616c70u /* "plan" */
enum { FAULT_PLAN_MOST = sizeof(struct fault_plan) + FAULTS_MAX * sizeof(struct fault) };

/* A rule that is about everybody and hits always, to be filled in. */
struct fault fault_any(void);

/* Makes the rule one about this call too (below FAULTS_CALLS). */
void fault_set_call(struct fault *f, uint32_t call);

/* True if it is about calls; else it hits by itself. */
bool fault_has_calls(const struct fault *f);

/* Replaces all rules by those of a plan. -ERROR_INVALID with what is wrong; then nothing has
 * changed. `calls`: how many calls there are; `now` in ns. */
int faults_load(struct faults *f, const void *plan, size_t size, uint32_t calls, int64_t now,
                struct error *err);

/* Adds one rule, in the place of a spent one if there is no other; false when there is no room. */
bool faults_add(struct faults *f, const struct fault *rule, int64_t now);

/* Forgets all. */
void faults_clear(struct faults *f);

/* True if the rule will never hit again. */
bool faults_spent(const struct faults *f, uint32_t rule, int64_t now);

/* True if some rule asks for the caller's name. */
bool faults_need_process(const struct faults *f);

/* What happens to this call. */
struct fault_verdict faults_take(struct faults *f, const struct fault_call *c, int64_t now);

/* The next instant at which a rule hits by itself; TIME_NEVER. */
int64_t faults_next(const struct faults *f);

/* One rule that is due by itself at `now`; false if there is none (any more). Call until false. */
bool faults_run(struct faults *f, int64_t now, struct fault_strike *ret);
