/* Lundberg's exponent solved for either side; see late.h. */
#include "needs/late.h"

#include <math.h>

static const double log_100 = 4.605170185988092; /* one of a hundred is later */

/* Batches that pass without regard to the queue: one's own and, if batches are more than one
 * request, the one under way. */
static double batches(unsigned batch)
{
    return batch > 1 ? 2 : 1;
}

double late_rate(double time, unsigned batch, double target, double most)
{
    double each = time / batch, slack = target - batches(batch) * time;
    if (slack <= 0)
        return 0;
    double u = log_100 * each / slack;
    return fmin(u / expm1(u), most) / each;
}

double late_p99(double time, unsigned batch, double rate)
{
    double each = time / batch, load = rate * each, low = 0, high = 800;
    if (load >= 1)
        return HUGE_VAL;
    if (load <= 0)
        return time;
    for (unsigned i = 0; i < 100; i++) { /* u / (e^u - 1) falls from 1 to 0 */
        double u = (low + high) / 2;
        if (u / expm1(u) > load)
            low = u;
        else
            high = u;
    }
    return batches(batch) * time + log_100 * each / high;
}
