/* Classes: below 256 one for each ns, above 256 for each power of two. */
#include "load/tally.h"

#include "base/macro.h"

static unsigned class_of(uint64_t ns)
{
    if (ns < TALLY_PARTS)
        return (unsigned)ns;
    unsigned shift = 55 - (unsigned)__builtin_clzll(ns); /* 9 bits are left: 256 to 511 */
    return MIN((shift + 1) * TALLY_PARTS + (unsigned)((ns >> shift) - TALLY_PARTS),
               TALLY_CLASSES - 1u);
}

/* The middle of a class. */
static double middle(unsigned c)
{
    if (c < TALLY_PARTS)
        return c;
    double width = (double)(UINT64_C(1) << (c / TALLY_PARTS - 1));
    return (c % TALLY_PARTS + TALLY_PARTS + 0.5) * width;
}

void tally_add(struct tally *t, int64_t ns)
{
    ns = MAX(ns, 0);
    t->n++;
    t->sum += (double)ns;
    t->most = MAX(t->most, ns);
    t->counts[class_of((uint64_t)ns)]++;
}

double tally_mean(const struct tally *t)
{
    return t->n ? t->sum / (double)t->n : 0;
}

double tally_quantile(const struct tally *t, double q)
{
    uint64_t past = 0;
    if (q >= 1)
        return (double)t->most;
    for (unsigned c = 0; c < TALLY_CLASSES && t->n; c++) {
        past += t->counts[c];
        if ((double)past >= q * (double)t->n)
            return MIN(middle(c), (double)t->most);
    }
    return (double)t->most;
}
