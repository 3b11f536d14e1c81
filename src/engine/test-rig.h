/* A world with hardware that does as it is told, for tests of the engine. */
#pragma once

#include "engine/explain.h"
#include "engine/step.h"

struct rig {
    struct world *world;
    struct world *copy;      /* fed with the changes only; must stay equal */
    struct machine *machine; /* what the world was filled from */
    struct outcome out;      /* of the last step */
    struct error err;
    int64_t now;
    size_t op_n;
    struct action ops[1024]; /* asked of the hardware, not answered yet */
};

/* An empty world with every GPU of the machine in it, managed; rig_done frees it. */
struct rig rig_new(const char *machine);
void rig_done(struct rig *r);

/* One event: step, apply; the hardware's actions are kept in `ops`. */
int rig_step(struct rig *r, struct event *e);

/* Answers everything the hardware was asked, until it is quiet. */
void rig_finish(struct rig *r);
/* Answers one kept action: code 0 = applied. */
void rig_answer(struct rig *r, size_t op, enum error_code code);

/* A request for `count` slices of a profile by name ("gpu" = whole GPUs), uid 1000. */
struct lease rig_want(const char *profile, unsigned count);
uint32_t rig_ask(struct rig *r, struct lease want); /* its id, 0 if refused */
int rig_end(struct rig *r, uint32_t id, enum lease_why why);
void rig_empty(struct rig *r, uint32_t id);
void rig_give_back(struct rig *r, uint32_t id);              /* end and empty */
int rig_tick(struct rig *r, int64_t ns);                     /* time passes, then a tick */
int rig_look(struct rig *r, unsigned slot, struct event *e); /* fills e from the world; 0 */

/* The lease as it stands; NULL if it is not live. */
const struct lease *rig_lease(const struct rig *r, uint32_t id);
/* Asks and lets the hardware make it: an ACTIVE lease's id; 0 if it is not active. */
uint32_t rig_have(struct rig *r, struct lease want);
/* ENDED if it is not live. */
enum lease_state rig_state(const struct rig *r, uint32_t id);
/* Why the lease ended in the last step; NONE: it did not. */
enum lease_why rig_why(const struct rig *r, uint32_t id);
/* Sets the policy; 0. */
int rig_policy(struct rig *r, struct policy p);
/* An hour, at most four; 30 s of grace; idle slices are kept. */
extern const struct policy rig_usual;

/* Actions of that kind in the last step. */
size_t rig_count(const struct rig *r, enum action_kind kind);
const struct action *rig_action(const struct rig *r, enum action_kind kind);

/* Checks everything that must hold of any world; false with a line on stdout if not. */
bool rig_sound(const struct rig *r);

/* Whether two outcomes say the same. */
bool rig_same(const struct outcome *a, const struct outcome *b);

/* Prints a GPU's row as TAP comments. */
void rig_show(const struct gpu *g);
