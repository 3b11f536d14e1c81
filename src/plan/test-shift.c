/* Steps between services are those that trying everything finds, and worth what they say. */
#include "plan/shift.h"

#include "base/macro.h"
#include "base/rng.h"
#include "tests/tap.h"

#include <math.h>
#include <string.h>

enum { GPUS = 3, SERVICES = 4 };

struct scene {
    const struct board *board;
    struct shift_gpu gpus[GPUS];
    struct shift_service services[SERVICES];
};

static double served(const struct scene *s)
{
    double sum = 0;
    for (unsigned i = 0; i < SERVICES; i++)
        sum += shift_served(&s->services[i], s->services[i].capacity);
    return sum;
}

static struct scene draw(struct rng *r)
{
    struct scene s = {.board = board_find(rng_below(r, 2) ? "a100-80" : "a30")};
    for (unsigned i = 0; i < SERVICES; i++) {
        struct shift_service *v = &s.services[i];
        v->rate_n = 1 + rng_below(r, SHIFT_RATES);
        for (unsigned k = 0; k < v->rate_n; k++)
            v->rates[k] = rng_below(r, 4) ? rng_below(r, 1000) : 0;
        for (unsigned p = 0; p < s.board->profile_n; p++)
            v->per_slice[p] =
                rng_below(r, 4) && !s.board->profiles[p].suffix[0] ? 20 + rng_below(r, 300) : 0;
    }
    for (unsigned g = 0; g < GPUS; g++) {
        struct layout l = {0};
        for (unsigned tries = rng_below(r, 8); tries; tries--) {
            unsigned p = rng_below(r, s.board->profile_n);
            slices starts = s.board->profiles[p].suffix[0] ? 0 : layout_fits(s.board, &l, p);
            if (!starts)
                continue;
            struct placement at = {(uint8_t)p, (uint8_t)__builtin_ctz(starts)};
            layout_add(s.board, &l, at);
            s.gpus[g].slices[s.gpus[g].n++] =
                (struct shift_slice){at, (uint8_t)rng_below(r, SERVICES)};
        }
    }
    shift_count(s.gpus, GPUS, s.services, SERVICES);
    return s;
}

/* The scene after a step, by itself; its worth follows from what is served then and before. */
static double worth(const struct scene *s, const struct shift_step *step,
                    const struct shift_terms *t, struct scene *ret)
{
    *ret = *s;
    (void)shift_do(s->board, ret->gpus, ret->services, step, NULL);
    const struct shift_service *v = &ret->services[step->made.service];
    double own = shift_served(v, v->capacity) -
                 shift_served(v, v->capacity - v->per_slice[step->made.at.profile]);
    return (served(ret) - served(s)) * t->horizon - own * t->stop;
}

static bool legal(const struct scene *s)
{
    for (unsigned g = 0; g < GPUS; g++) {
        struct layout l = {0};
        for (unsigned i = 0; i < s->gpus[g].n; i++) {
            struct placement at = s->gpus[g].slices[i].at;
            if (!(layout_fits(s->board, &l, at.profile) >> at.start & 1))
                return false;
            layout_add(s->board, &l, at);
        }
    }
    return true;
}

/* The most any step is worth, by taking each. */
static double best(const struct scene *s, const struct shift_terms *t)
{
    double most = 0;
    for (unsigned n = 0; n < GPUS * SERVICES * BOARD_PROFILES * 16; n++) {
        struct shift_step step = {.gpu = n % GPUS,
                                  .made = {{(uint8_t)(n / GPUS / SERVICES % BOARD_PROFILES),
                                            (uint8_t)(n / GPUS / SERVICES / BOARD_PROFILES)},
                                           (uint8_t)(n / GPUS % SERVICES)}};
        struct placement at = step.made.at;
        struct scene after;
        if (at.profile >= s->board->profile_n ||
            !(s->board->profiles[at.profile].starts >> at.start & 1) ||
            s->services[step.made.service].per_slice[at.profile] <= 0)
            continue;
        double gain = worth(s, &step, t, &after);
        most = legal(&after) ? MAX(most, gain) : most;
    }
    return most;
}

static bool by_trying(uint64_t seed)
{
    struct rng r = {seed};
    struct scene s = draw(&r), after;
    struct shift_terms t = {1 + rng_below(&r, 60), rng_below(&r, 30), rng_below(&r, 2) * 500};
    struct shift_step step;
    double most = best(&s, &t);
    bool found = shift_find(s.board, s.gpus, GPUS, s.services, SERVICES, &t, &step);
    if (!found)
        return most <= t.least + 1e-6;
    double gain = worth(&s, &step, &t, &after);
    double kept = after.services[step.made.service].capacity;
    shift_count(after.gpus, GPUS, after.services, SERVICES);
    return legal(&after) && fabs(gain - step.gain) < 1e-6 && fabs(gain - most) < 1e-6 &&
           gain > t.least && fabs(kept - after.services[step.made.service].capacity) < 1e-6;
}

/* Worth is requests over the horizon without the time of making, and the least is not enough. */
TEST(a_step_must_be_worth_its_terms)
{
    struct scene s = {.board = board_find("a100-80")};
    struct shift_terms t = {10, 2, 0};
    struct shift_step step;
    unsigned small = board_profile_by_name(s.board, "1g.10gb");
    for (unsigned i = 0; i < SERVICES; i++)
        s.services[i] = (struct shift_service){.rate_n = 1};
    s.services[1].rates[0] = 50;
    s.services[1].per_slice[small] = 100;
    CHECK(shift_find(s.board, s.gpus, GPUS, s.services, SERVICES, &t, &step) &&
          step.made.service == 1 && step.made.at.profile == small && fabs(step.gain - 400) < 1e-9);
    t.stop = 10; /* by the time that it serves, nobody knows what comes */
    CHECK(!shift_find(s.board, s.gpus, GPUS, s.services, SERVICES, &t, &step));
    t = (struct shift_terms){10, 2, 400};
    CHECK(!shift_find(s.board, s.gpus, GPUS, s.services, SERVICES, &t, &step));
    t.least = 399;
    CHECK(shift_find(s.board, s.gpus, GPUS, s.services, SERVICES, &t, &step));
}

TEST(steps_are_those_that_trying_everything_finds)
{
    enum { SCENES = 150 };
    uint64_t first = 20261, wrong = 0;
    for (uint64_t i = 0; i < SCENES && !wrong; i++)
        wrong = by_trying(first + i) ? 0 : first + i;
    printf("# %d scenes from seed %llu; wrong: %llu\n", SCENES, (unsigned long long)first,
           (unsigned long long)wrong);
    CHECK_INT(wrong, ==, 0);
}

TAP_MAIN
