/* The forms of share.h. */
#include "share/share.h"

#include "base/macro.h"

#include <math.h>

/* Chosen on ParvaGPU, MISO and MIGPerf together; what the form does on a table that it has not seen
 * is in docs/sharing.md. */
const struct share_form share_house = {.bend = 4, .mix = 0.5, .weak = 0.4};

/* nebuly-ai/nos, YOLOS-small on one A100-80GB: 3, 5 and 7 clients that take turns need 1.108 times
 * their number as long as one. */
const double share_switching = 1.108;

double share_strength(const struct share_form *f, double arithmetic, double bandwidth)
{
    return pow(arithmetic, f->mix) * pow(bandwidth, 1 - f->mix);
}

double share_curve(double bend, double k_weak, double t_weak, double k_strong, double t_strong,
                   double k)
{
    if (k_strong <= k_weak * 1.000001)
        return t_strong * k_strong / k;
    double weak = pow(t_weak, bend), strong = pow(t_strong, bend);
    double w = (weak - strong) / (pow(k_weak, -bend) - pow(k_strong, -bend));
    if (w <= 0)
        return MAX(t_weak, t_strong);
    double h = strong - w * pow(k_strong, -bend);
    if (h <= 0) {
        double steep = log(t_weak / t_strong) / log(k_strong / k_weak);
        return t_weak * pow(k / k_weak, -steep);
    }
    return pow(h + w * pow(k, -bend), 1 / bend);
}

/* The time of a step of size `work` on one of the two devices, between two known ones; 0 outside.
 */
static double between(const struct share_point *points, unsigned n, bool strong, double work)
{
    double below_work = 0, below = 0, slack = 1.001;
    for (unsigned i = 0; i < n; i++) {
        double x = points[i].work, t = strong ? points[i].strong : points[i].weak;
        if (t <= 0)
            continue;
        if (work <= x * slack && work * slack >= x)
            return t;
        if (work < x)
            return below > 0 ? below + (t - below) * (work - below_work) / (x - below_work) : 0;
        below_work = x;
        below = t;
    }
    return 0;
}

/* The blend at one strength, 1 < k < k_strong. */
static double blend(const struct share_form *f, const struct share_point *points, unsigned n,
                    unsigned at, double k, double k_strong)
{
    const struct share_point *p = &points[at];
    double curve = share_curve(f->bend, 1, p->weak, k_strong, p->strong, k);
    double low = between(points, n, false, p->work / k);
    double high = between(points, n, true, p->work * k_strong / k);
    if (low <= 0 && high <= 0)
        return curve;
    double part = log(k) / log(k_strong);
    double other = low <= 0 ? high : low;
    if (low > 0 && high > 0)
        other = pow(low, 1 - part) * pow(high, part);
    other = MIN(MAX(other, p->strong), p->weak);
    return pow(curve, 1 - f->weak) * pow(other, f->weak);
}

enum { STEPS = 16 };

/* Where other sizes begin or cease to tell something the blend jumps, and could make a stronger
 * device the slower one. So it is taken at a few strengths, each no slower than the one before,
 * with straight lines of logarithms between. */
double share_time(const struct share_form *f, const struct share_point *points, unsigned n,
                  unsigned at, double k, double k_strong)
{
    const struct share_point *p = &points[at];
    if (k <= 1 || k >= k_strong || p->weak <= p->strong)
        return share_curve(f->bend, 1, p->weak, k_strong, p->strong, k);
    double where = log(k) / log(k_strong) * STEPS, before = p->weak, now = before;
    for (unsigned i = 1; i <= (unsigned)where + 1 && i <= STEPS; i++) {
        before = now;
        now = i == STEPS
                  ? p->strong
                  : MIN(now, blend(f, points, n, at, pow(k_strong, i / (double)STEPS), k_strong));
    }
    double part = where - floor(where);
    return pow(before, 1 - part) * pow(now, part);
}

double share_mps(double alone, double device, unsigned n)
{
    double own = MAX(alone - device, 0), waiting = 0, here = device;
    for (unsigned i = 1; i <= n; i++) {
        here = device * (1 + waiting);
        waiting = i * here / (own + here);
    }
    return MAX(own + here, alone);
}

double share_device(double alone, double weak, double k)
{
    return MIN(alone, weak / k);
}

double share_turns(double alone, unsigned n, double switching)
{
    return n < 2 ? alone : alone * n * switching;
}

double share_together(double sum)
{
    return sum <= 1 ? 1 : 1 / sum;
}
