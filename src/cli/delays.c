/* Times of the driver; see delays.h. */
#include "cli/delays.h"

#include <stdlib.h>

enum { DRAWS = 10000 }; /* so many tell the 99th percentile to some per cent */

void delays_fill(struct delays *d, const struct sim_setup *fleet)
{
    *d = (struct delays){0};
    for (unsigned i = 0; i < fleet->group_n; i++) {
        const struct board *b = fleet->groups[i].board;
        d->of[i][SIM_CREATE][0] = latency_board(b, LATENCY_GI_CREATE, NULL);
        d->of[i][SIM_CREATE][1] = latency_board(b, LATENCY_CI_CREATE, NULL);
        d->of[i][SIM_DESTROY][0] = latency_board(b, LATENCY_CI_DESTROY, NULL);
        d->of[i][SIM_DESTROY][1] = latency_board(b, LATENCY_GI_DESTROY, NULL);
        d->of[i][SIM_MODE][0] = latency_board(b, LATENCY_MODE, NULL);
    }
}

void delays_fix(struct delays *d, enum sim_op op, int64_t ns)
{
    for (unsigned i = 0; i < SIM_BOARDS; i++) {
        d->of[i][op][0] = (struct latency){.kind = LATENCY_FIXED, .a = ns};
        d->of[i][op][1] = (struct latency){.kind = LATENCY_FIXED};
    }
}

int64_t delays_draw(const void *arg, unsigned group, enum sim_op op, struct rng *rng)
{
    const struct delays *d = arg;
    int64_t sum = 0;
    for (unsigned i = 0; i < DELAYS_STEPS; i++)
        sum += latency_draw(&d->of[group][op][i], rng);
    return sum;
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void delays_usual(const struct delays *d, enum sim_op op, int64_t *ret_half, int64_t *ret_most)
{
    int64_t draws[DRAWS];
    struct rng rng = {DRAWS};
    for (unsigned i = 0; i < DRAWS; i++)
        draws[i] = delays_draw(d, 0, op, &rng);
    qsort(draws, DRAWS, sizeof draws[0], by_length);
    *ret_half = draws[DRAWS / 2];
    *ret_most = draws[DRAWS - DRAWS / 100];
}
