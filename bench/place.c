/* What a placement verdict costs: the engine's, and beside it first fit as anybody would write it,
 * over the same fleets. A fleet is A100-80s with random instances on them, in two states: one GPU
 * in four has room for something, or only the last one of all. */
#include "bench/clock.h"
#include "engine/explain.h"
#include "engine/step.h"

#include "base/rng.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, PROFILES = 5 };

struct fleet {
    struct world *world;
    const struct board *board;
    struct layout *layouts; /* what the naive way looks at */
    unsigned n;
    struct outcome out;
};

static void must(bool right, const char *what)
{
    if (right)
        return;
    (void)fprintf(stderr, "bench-place: %s\n", what);
    exit(1);
}

static void tell(struct fleet *f, struct event *e)
{
    struct error err;
    e->now = 1;
    must(engine_step(f->world, e, &f->out, &err) == 0, err.text);
    world_apply(f->world, &f->out.changes);
}

/* Places random instances until nothing fits, or, for a GPU with room, a few small ones. */
static void cut(struct fleet *f, unsigned gpu, struct rng *r, bool room, struct event *e)
{
    struct layout *l = &f->layouts[gpu];
    unsigned tries = room ? 1 + (unsigned)(rng_next(r) % 3) : 64;
    for (unsigned t = 0; t < tries; t++) {
        unsigned p = (unsigned)(rng_next(r) % f->board->profile_n);
        int start = layout_choose(f->board, l, p);
        if (start < 0 || f->board->profiles[p].suffix[0] ||
            (room && f->board->profiles[p].size > 1))
            continue;
        layout_add(f->board, l, (struct placement){.profile = (uint8_t)p, .start = (uint8_t)start});
        e->gpu.seen[e->gpu.n++] = (struct sighting){.profile = (uint8_t)p,
                                                    .start = (uint8_t)start,
                                                    .size = f->board->profiles[p].size,
                                                    .gi = (uint8_t)e->gpu.n,
                                                    .has_ci = true};
    }
}

static struct fleet fleet_new(unsigned n, const char *state)
{
    struct fleet f = {.world = world_new(n, 16), .n = n};
    struct rng r = {.state = 4711};
    f.board = board_find("a100-80");
    f.layouts = calloc(n, sizeof *f.layouts);
    must(f.world && f.board && f.layouts, "out of memory");
    struct event b = {.kind = EVENT_BOARD, .board = {.index = 0, .board = *f.board}};
    tell(&f, &b);
    for (unsigned i = 0; i < n; i++) {
        bool room = i + 1 == n || (strcmp(state, "quarter") == 0 && i % 4 == 3);
        struct event e = {.kind = EVENT_GPU_SEEN,
                          .gpu = {.slot = (uint16_t)i, .present = true, .mig = MACHINE_MIG_ON}};
        if (i + 1 < n || strcmp(state, "quarter") == 0)
            cut(&f, i, &r, room, &e);
        tell(&f, &e);
        struct event m = {.kind = EVENT_MANAGE, .manage = {.gpu = (uint16_t)i, .on = true}};
        tell(&f, &m);
    }
    return f;
}

static struct lease want(unsigned profile)
{
    struct lease l = {.kind = SLICE_GI, .count = 1, .gpu = REQUEST_ANY, .start = REQUEST_ANY,
                      .owner = {OWNER_UID, 1000}, .wait_until = TIME_NEVER, .grace_ns = -1};
    memset(l.profile_on, BOARD_NO_PROFILE, sizeof l.profile_on);
    l.profile_on[0] = (uint8_t)profile;
    return l;
}

/* The first GPU in order where it fits, the lowest start there. */
static int first_fit(const struct fleet *f, unsigned profile)
{
    for (unsigned i = 0; i < f->n; i++) {
        slices starts = layout_fits(f->board, &f->layouts[i], profile);
        if (starts)
            return (int)(i * 16 + (unsigned)__builtin_ctz(starts));
    }
    return -1;
}

/* Both ways must agree on whether there is room: a fast wrong answer is no figure. And every fleet
 * must have room for all that is asked: "no" is quicker than "here", and fleets are compared. */
static void compare(const struct fleet *f)
{
    for (unsigned p = 0; p < f->board->profile_n; p++) {
        struct lease l = want(p);
        struct lease_slice at;
        bool fits = engine_verdict(f->world, &l, 1, &at) == VERDICT_FITS;
        must(fits == (first_fit(f, p) >= 0), "the engine and first fit do not agree");
        must(fits || p >= PROFILES, "this fleet has no room for what is asked");
    }
}

/* The compiler may not drop what was computed for this. */
static void keep(unsigned value)
{
    __asm__ volatile("" : : "r"(value));
}

static void measure(unsigned n, const char *state, unsigned rounds)
{
    struct fleet f = fleet_new(n, state);
    int64_t *took = calloc(rounds, sizeof *took);
    char name[64];
    unsigned sum = 0;
    must(took != NULL, "out of memory");
    compare(&f);
    for (unsigned r = 0; r < rounds; r++) {
        struct lease l = want(r % PROFILES);
        struct lease_slice at = {0};
        int64_t began = clock_now();
        for (unsigned i = 0; i < BATCH; i++)
            sum += (unsigned)engine_verdict(f.world, &l, 1, &at);
        took[r] = (clock_now() - began) / BATCH;
    }
    (void)snprintf(name, sizeof name, "engine-%u-%s", n, state);
    clock_print(name, took, rounds);
    unsigned batch = n > 1000 ? 1 : BATCH;
    for (unsigned r = 0; r < rounds; r++) {
        int64_t began = clock_now();
        for (unsigned i = 0; i < batch; i++)
            sum += (unsigned)first_fit(&f, r % PROFILES);
        took[r] = (clock_now() - began) / batch;
    }
    (void)snprintf(name, sizeof name, "naive-%u-%s", n, state);
    clock_print(name, took, rounds);
    keep(sum);
    outcome_done(&f.out);
    world_free(f.world);
    free(f.layouts);
    free(took);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
    must(rounds > 0, "usage: bench-place [ROUNDS]");
    measure(8, "quarter", rounds);
    measure(8, "last", rounds);
    measure(10000, "quarter", rounds);
    measure(10000, "last", rounds);
    return 0;
}
