/* The best next slice; see shift.h. Every place of every profile on every GPU is looked at: what
 * would go there is the same for all services, so its loss is worked out once. */
#include "plan/shift.h"

#include "base/macro.h"

#include <assert.h>

double shift_served(const struct shift_service *s, double capacity)
{
    double sum = 0;
    for (unsigned i = 0; i < s->rate_n; i++)
        sum += MIN(capacity, s->rates[i]);
    return sum / s->rate_n;
}

void shift_count(const struct shift_gpu *gpus, uint32_t gpu_n, struct shift_service *services,
                 unsigned service_n)
{
    for (unsigned i = 0; i < service_n; i++)
        services[i].capacity = 0;
    for (uint32_t g = 0; g < gpu_n; g++)
        for (unsigned i = 0; i < gpus[g].n; i++) {
            const struct shift_slice *s = &gpus[g].slices[i];
            assert(s->service < service_n);
            services[s->service].capacity += services[s->service].per_slice[s->at.profile];
        }
}

/* A place, and what goes when a slice is made there. */
struct place {
    struct placement at;
    unsigned gone_n, gone[BOARD_GIS]; /* indices of slices of the GPU */
};

static bool clear_place(const struct board *b, const struct shift_gpu *g, struct place *p)
{
    struct layout stays = {0};
    slices span = layout_span(b, p->at);
    p->gone_n = 0;
    for (unsigned i = 0; i < g->n; i++) {
        if (layout_span(b, g->slices[i].at) & span)
            p->gone[p->gone_n++] = i;
        else
            layout_add(b, &stays, g->slices[i].at);
    }
    return layout_fits(b, &stays, p->at.profile) >> p->at.start & 1;
}

/* Capacity of a service that goes with a place. */
static double lost(const struct shift_gpu *g, const struct shift_service *services,
                   const struct place *p, unsigned service)
{
    double sum = 0;
    for (unsigned i = 0; i < p->gone_n; i++) {
        const struct shift_slice *s = &g->slices[p->gone[i]];
        sum += s->service == service ? services[service].per_slice[s->at.profile] : 0;
    }
    return sum;
}

/* What is served less when all that is in the place goes; each service once. */
static double loss_of(const struct shift_gpu *g, const struct shift_service *services,
                      const struct place *p)
{
    double sum = 0;
    for (unsigned i = 0; i < p->gone_n; i++) {
        unsigned service = g->slices[p->gone[i]].service;
        bool again = false;
        for (unsigned j = 0; j < i; j++)
            again = again || g->slices[p->gone[j]].service == service;
        const struct shift_service *s = &services[service];
        if (!again)
            sum += shift_served(s, s->capacity) -
                   shift_served(s, s->capacity - lost(g, services, p, service));
    }
    return sum;
}

bool shift_find(const struct board *b, const struct shift_gpu *gpus, uint32_t gpu_n,
                const struct shift_service *services, unsigned service_n,
                const struct shift_terms *terms, struct shift_step *ret)
{
    bool found = false;
    ret->gain = terms->least;
    for (uint32_t at = 0; at < gpu_n * b->profile_n * b->memory_slices; at++) {
        const struct shift_gpu *g = &gpus[at / b->memory_slices / b->profile_n];
        struct place p = {.at = {(uint8_t)(at / b->memory_slices % b->profile_n),
                                 (uint8_t)(at % b->memory_slices)}};
        if (!(b->profiles[p.at.profile].starts >> p.at.start & 1) || !clear_place(b, g, &p))
            continue;
        double loss = loss_of(g, services, &p);
        for (unsigned i = 0; i < service_n; i++) {
            const struct shift_service *s = &services[i];
            double rate = s->per_slice[p.at.profile];
            if (rate <= 0)
                continue;
            double left = s->capacity - lost(g, services, &p, i);
            double more = shift_served(s, left + rate) - shift_served(s, left);
            double gain = (more - loss) * terms->horizon - more * terms->stop;
            if (gain <= ret->gain)
                continue;
            found = true;
            *ret = (struct shift_step){(uint32_t)(g - gpus), {p.at, (uint8_t)i}, gain};
        }
    }
    return found;
}

unsigned shift_do(const struct board *b, struct shift_gpu *gpus, struct shift_service *services,
                  const struct shift_step *step, struct shift_slice ret_gone[BOARD_GIS])
{
    struct shift_gpu *g = &gpus[step->gpu];
    slices span = layout_span(b, step->made.at);
    unsigned gone = 0, kept = 0;
    for (unsigned i = 0; i < g->n; i++) {
        struct shift_slice s = g->slices[i];
        if (!(layout_span(b, s.at) & span)) {
            g->slices[kept++] = s;
            continue;
        }
        services[s.service].capacity -= services[s.service].per_slice[s.at.profile];
        if (ret_gone)
            ret_gone[gone] = s;
        gone++;
    }
    g->n = kept;
    g->slices[g->n++] = step->made;
    services[step->made.service].capacity +=
        services[step->made.service].per_slice[step->made.at.profile];
    return gone;
}
