/* What goes wrong, and what takes time: rules that tests and trials load into an emulated machine.
 *
 * A rule speaks of a call by a number that only the caller understands. The first rule that
 * matches and is not used up decides the code; delays of all matching rules add up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FAULTS_MAX = 64, FAULTS_ANY = -1 };

struct fault {
    uint16_t call;
    int16_t gpu, gi;   /* FAULTS_ANY: all */
    uint32_t count;    /* how many more calls it hits; 0 = for ever */
    int32_t code;      /* answered instead of doing anything; 0 = none */
    uint32_t delay_ms; /* before the call is carried out */
    bool after;        /* the delay comes after it: the deed is done, the answer late */
};

struct faults {
    uint32_t n;
    struct fault rules[FAULTS_MAX];
};

struct fault_verdict {
    int32_t code;
    uint32_t before_ms, after_ms;
};

/* False when there is no room for another rule. */
bool faults_add(struct faults *f, struct fault rule);

/* What happens to this call; uses up rules with a count. */
struct fault_verdict faults_take(struct faults *f, unsigned call, int gpu, int gi);
