/* Making traces up; see make.h. */
#include "trace/make.h"

#include "base/macro.h"
#include "base/rng.h"
#include "base/time.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *const make_mixes[] = {"uniform",    "skew-small", "skew-big", "bimodal",
                                  "core-small", "migbench",   NULL};
const char *const make_times[MAKE_TIMES] = {"exponential", "lognormal", "philly"};

/* Shares of the classes; they need not add up to 1. Those of migbench are the benchmark's own
 * (github.com/FouoF/MIG-scheduler-benchmark), the others those of docs/placement.md. */
static const double shares[][MAKE_CLASSES] = {
    {1, 1, 1, 1, 1, 1},
    {.30, .25, .20, .10, .10, .05},
    {.05, .10, .10, .20, .25, .30},
    {.30, .15, .05, .05, .15, .30},
    {.40, 0, .30, .20, .05, .05},
    {.35, 0, .25, .25, 0, .05},
};

static const uint8_t compute_of[MAKE_CLASSES] = {1, 1, 2, 3, 4, 7};

/* Run times of Philly (Jeon et al., USENIX ATC 2019), 83,154 jobs: part, seconds. Between them the
 * logarithm grows evenly, and the shortest is a second: assumed. */
static const double philly[][2] = {{0, 1},       {.10, 61},     {.50, 1186},
                                   {.90, 12860}, {.99, 287333}, {1, 4628239}};

#define MEDIAN_S 600.0
#define SIGMA    0.8

static double uniform(struct make *m)
{
    struct rng r = {m->state};
    double u = ((double)(rng_next(&r) >> 11) + 0.5) * 0x1p-53;
    m->state = r.state;
    return u;
}

static double mean_of(const struct make *m)
{
    double mean = 0;
    switch (m->times) {
    case MAKE_EXPONENTIAL:
    case MAKE_TIMES:
        return m->mean_s;
    case MAKE_LOGNORMAL:
        return MEDIAN_S * exp(SIGMA * SIGMA / 2);
    case MAKE_PHILLY:
        for (unsigned i = 1; i < ARRAY_LEN(philly); i++)
            mean += (philly[i][0] - philly[i - 1][0]) * (philly[i][1] - philly[i - 1][1]) /
                    log(philly[i][1] / philly[i - 1][1]);
    }
    return mean;
}

static double draw_time(struct make *m)
{
    double u = uniform(m);
    unsigned i = 1;
    switch (m->times) {
    case MAKE_EXPONENTIAL:
    case MAKE_TIMES:
        return -m->mean_s * log(u);
    case MAKE_LOGNORMAL:
        return MEDIAN_S * exp(SIGMA * sqrt(-2 * log(u)) * cos(2 * M_PI * uniform(m)));
    case MAKE_PHILLY:
        while (u > philly[i][0])
            i++;
        u = (u - philly[i - 1][0]) / (philly[i][0] - philly[i - 1][0]);
        return philly[i - 1][1] * pow(philly[i][1] / philly[i - 1][1], u);
    }
    return 0;
}

/* The plain profile of a class: by its compute slices, the smallest; the second smallest for 1g
 * with double memory. */
static unsigned profile_of(const struct board *b, unsigned class)
{
    unsigned best = BOARD_NO_PROFILE, second = BOARD_NO_PROFILE;
    for (unsigned p = 0; p < b->profile_n; p++) {
        const struct profile *q = &b->profiles[p];
        if (q->suffix[0] || q->compute != compute_of[class])
            continue;
        if (best == BOARD_NO_PROFILE || q->size < b->profiles[best].size) {
            second = best;
            best = p;
        } else if (q->size > b->profiles[best].size) {
            second = p;
        }
    }
    return class == 1 ? second : best;
}

int make_begin(struct make *m, const struct sim_setup *fleet, struct error *err)
{
    const struct board *b = fleet->groups[0].board;
    double sum = 0, gpc = 0, upto = 0, all = 0;
    unsigned mix = 0;
    while (make_mixes[mix] && strcmp(make_mixes[mix], m->mix) != 0)
        mix++;
    if (!make_mixes[mix])
        return error_set(err, ERROR_INVALID,
                         "no mix is called '%s'; there are uniform, skew-small, skew-big, bimodal, "
                         "core-small and migbench",
                         m->mix);
    for (unsigned i = 0; i < MAKE_CLASSES; i++) {
        m->row[i] = (uint8_t)profile_of(b, i);
        if (shares[mix][i] > 0 && m->row[i] == BOARD_NO_PROFILE)
            return error_set(err, ERROR_INVALID, "%s has no %ug%s, which the mix %s asks for",
                             b->name, compute_of[i], i == 1 ? " with double memory" : "", m->mix);
        sum += shares[mix][i];
        gpc += shares[mix][i] * compute_of[i];
    }
    for (unsigned i = 0; i < MAKE_CLASSES; i++)
        m->upto[i] = upto += shares[mix][i] / sum;
    for (unsigned i = 0; i < fleet->group_n; i++)
        all += (double)fleet->groups[i].gpus * fleet->groups[i].board->compute_slices;
    m->rate = m->load * all / (gpc / sum * mean_of(m));
    m->state = m->seed;
    m->now_s = 0;
    m->made = 0;
    return 0;
}

int make_next(void *arg, struct sim_job *ret, struct error *err)
{
    struct make *m = arg;
    if (m->made++ == m->jobs)
        return 0;
    m->now_s -= log(uniform(m)) / m->rate;
    if (!(m->now_s < (double)TIME_NEVER / TIME_S))
        return error_set(err, ERROR_INVALID,
                         "job %" PRIu64 " would come after more than 292 years: --load is too "
                         "small, or --mean too long",
                         m->made);
    double u = uniform(m);
    unsigned class = 0;
    while (class < MAKE_CLASSES - 1 && u > m->upto[class])
        class ++;
    *ret = (struct sim_job){.submit = (int64_t)(m->now_s * 1e6) * TIME_US, .count = 1};
    ret->run = MAX((int64_t)(draw_time(m) * 1e6), 1) * TIME_US;
    memset(ret->row, BOARD_NO_PROFILE, sizeof ret->row);
    ret->row[0] = m->row[class];
    return 1;
}
