/* A ring of steps. The newest step may lie ahead of now, as work is told in advance. */
#include "emul/meter.h"

#include "base/macro.h"

#include <string.h>

static void advance(struct meter *m, int64_t step)
{
    if (step - m->newest >= METER_STEPS)
        memset(m->busy, 0, sizeof m->busy);
    else
        for (int64_t i = m->newest + 1; i <= step; i++)
            m->busy[i % METER_STEPS] = 0;
    m->newest = MAX(m->newest, step);
}

void meter_add(struct meter *m, int64_t from, int64_t ns)
{
    int64_t to = from + MIN(MAX(ns, 0), METER_STEP);
    int64_t at = MAX(from, m->covered);
    while (at < to) {
        int64_t step = at / METER_STEP, end = MIN((step + 1) * METER_STEP, to);
        advance(m, step);
        m->busy[step % METER_STEPS] += (uint32_t)(end - at);
        at = end;
    }
    m->covered = MAX(m->covered, to);
}

unsigned meter_ppt(const struct meter *m, int64_t now)
{
    int64_t last = now / METER_STEP - 1, sum = 0;
    for (int64_t i = last - METER_WINDOW + 1; i <= last; i++)
        if (i >= 0 && i <= m->newest && i > m->newest - METER_STEPS)
            sum += m->busy[i % METER_STEPS];
    return (unsigned)(sum * 1000 / (METER_WINDOW * METER_STEP));
}
