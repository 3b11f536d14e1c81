/* Hardware that knows the truth, for the random test: it obeys late or not at all, and breaks the
 * test when it is asked for what must never be asked. */
#pragma once

#include "engine/test-rig.h"

#include "base/rng.h"

enum { IDS = 4096, GPUS = 16 };

struct thing {
    uint8_t profile, start, size, gi;
    bool foreign;
};

/* One GPU as it really is. */
struct truth {
    bool on, lost;
    unsigned n;
    struct thing at[BOARD_GIS];
};

struct sim {
    struct rig r;
    struct rng rng;
    struct truth gpu[GPUS];
    bool *running;         /* by lease id: processes are there */
    struct lease *granted; /* by lease id: where */
    bool broken, calm;
    unsigned step;
    unsigned grants, waits, fits, nevers, wipes;
};

/* A random number below n. */
unsigned sim_below(struct sim *s, unsigned n);

/* A running lease that uses any of `span` on a GPU, 0 if none does. */
uint32_t sim_user_of(const struct sim *s, unsigned gpu, slices span);

/* One event, with all that must hold afterwards checked. */
int sim_step(struct sim *s, struct event *e);

/* Tells the engine what a GPU looks like. */
void sim_look(struct sim *s, unsigned gpu, bool fresh);

/* What really stands on a GPU. */
struct layout sim_layout(const struct truth *t);

/* Makes an instance, the engine knowing or not. */
void sim_add(struct sim *s, unsigned gpu, unsigned profile, unsigned start, bool foreign);

/* The hardware does what it was asked, or not. */
enum error_code sim_perform(struct sim *s, const struct action *a);

/* Performs one kept action and tells the engine. */
void sim_answer(struct sim *s, size_t op);

/* The slices of an instance. */
slices sim_span(const struct thing *t);
