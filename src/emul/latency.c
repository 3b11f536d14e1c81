/* Drawing durations, and the table of what operations take. Slow operations have long tails, so the
 * table is lognormal, given by median and 99th percentile. */
#include "emul/latency.h"

#include "base/macro.h"
#include "base/time.h"

#include <math.h>
#include <string.h>

bool latency_valid(const struct latency *l)
{
    const int64_t most = LATENCY_MOST_S * TIME_S;
    if (l->kind > LATENCY_LOGNORMAL || l->a < 0 || l->a > most || l->b < 0 || l->b > most)
        return false;
    bool two = l->kind == LATENCY_UNIFORM || l->kind == LATENCY_LOGNORMAL;
    return !two || l->b >= l->a;
}

/* In (0, 1): never an end, since logarithms are taken. */
static double unit(struct rng *r)
{
    return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

/* Box and Muller's method, of which one of the two numbers is used. */
static double normal(struct rng *r)
{
    double radius = sqrt(-2 * log(unit(r)));
    return radius * cos(2 * 3.14159265358979323846 * unit(r));
}

static double draw(const struct latency *l, struct rng *r)
{
    const double z99 = 2.3263478740408408; /* the normal distribution's 99th percentile */
    double a = (double)l->a, b = (double)l->b;
    switch ((enum latency_kind)l->kind) {
    case LATENCY_FIXED:
        return a;
    case LATENCY_UNIFORM:
        return a + (b - a) * unit(r);
    case LATENCY_EXPONENTIAL:
        return -a * log(unit(r));
    case LATENCY_LOGNORMAL:
        return a > 0 ? a * exp(log(b / a) / z99 * normal(r)) : 0;
    }
    return 0;
}

int64_t latency_draw(const struct latency *l, struct rng *r)
{
    const double most = (double)(LATENCY_MOST_S * TIME_S);
    double ns = draw(l, r);
    return (int64_t)(ns < most ? ns : most);
}

#define ASSUMED "assumed"
#define LOG(median, p99)                                                                           \
    {                                                                                              \
        .kind = LATENCY_LOGNORMAL, .a = (median)*TIME_MS, .b = (p99)*TIME_MS                       \
    }

/* Public figures name whole sequences rather than calls and no percentiles, so tails are assumed
 * everywhere; where a median is published, the source says from what. */
static const struct {
    const char *name;
    struct latency latency;
    const char *source;
} rows[LATENCY_OPS] = {
    [LATENCY_INIT] = {"init", LOG(10, 30),
                      "median: a log in DRA driver pull request 1018; tail assumed"},
    [LATENCY_QUERY] = {"query",
                       {.kind = LATENCY_LOGNORMAL, .a = 300 * TIME_US, .b = 3 * TIME_MS},
                       "30 to 50 ms for the walk over one GPU (the same log), over some 130 calls "
                       "(assumed); tail assumed"},
    [LATENCY_GI_CREATE] = {"GI create", LOG(1000, 2500),
                           "1.5 s for a slice (HAMi 2910), two thirds of it the GI (assumed); tail "
                           "assumed"},
    [LATENCY_GI_DESTROY] = {"GI destroy", LOG(700, 2000),
                            "about 1 s for a slice (DRA driver), split assumed; tail assumed"},
    [LATENCY_CI_CREATE] = {"CI create", LOG(500, 1200),
                           "1.5 s for a slice (HAMi 2910), one third of it the CI (assumed); tail "
                           "assumed"},
    [LATENCY_CI_DESTROY] = {"CI destroy", LOG(300, 900),
                            "about 1 s for a slice (DRA driver), split assumed; tail assumed"},
    [LATENCY_MODE] = {"mode change", LOG(1000, 3000), ASSUMED},
    [LATENCY_RESET] = {"reset", LOG(5000, 15000), ASSUMED},
};

#define A30_LOG                                                                                    \
    "the sample log of FAR's scheduler (A30: 0.16 s to make a slice, 0.10 s to destroy it), "

/* What single boards and families are known to take instead: the first row that is for the board.
 * On Ampere a change of the mode contains a reset of the GPU. */
static const struct {
    const char *board; /* "": every board of the family */
    enum board_family family;
    enum latency_op op;
    struct latency latency;
    const char *source;
} own[] = {
    {"a30", BOARD_AMPERE, LATENCY_GI_CREATE, LOG(107, 268),
     A30_LOG "two thirds of it the GI (assumed); tail assumed"},
    {"a30", BOARD_AMPERE, LATENCY_CI_CREATE, LOG(53, 128),
     A30_LOG "one third of it the CI (assumed); tail assumed"},
    {"a30", BOARD_AMPERE, LATENCY_GI_DESTROY, LOG(70, 200), A30_LOG "split assumed; tail assumed"},
    {"a30", BOARD_AMPERE, LATENCY_CI_DESTROY, LOG(30, 90), A30_LOG "split assumed; tail assumed"},
    {"", BOARD_AMPERE, LATENCY_MODE, LOG(6460, 15000),
     "6.46 s in a single report of an A100-80GB (cloudai-fusion); tail assumed"},
};

const char *latency_op_name(unsigned op)
{
    return rows[op].name;
}

struct latency latency_board(const struct board *b, unsigned op, const char **ret_source)
{
    struct latency l = rows[op].latency;
    const char *source = rows[op].source;
    for (unsigned i = ARRAY_LEN(own); i-- > 0;) {
        bool meant =
            *own[i].board ? strcmp(own[i].board, b->name) == 0 : own[i].family == b->family;
        if (own[i].op != op || !meant)
            continue;
        l = own[i].latency;
        source = own[i].source;
    }
    if (ret_source)
        *ret_source = source;
    return l;
}
