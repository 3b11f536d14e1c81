/* Depth first over the pieces, least useful first; see cover.h. What counts of a piece is its loss:
 * its price beyond what the best piece would take for as much. */
#include "plan/cover.h"

#include "base/macro.h"

#include <math.h>
#include <string.h>

enum { STEPS = 20000 }; /* after which the search is not worth its time */

static const double tiny = 1e-9;

struct hunt {
    const double *amounts, *prices;
    unsigned n, room, order[COVER_PIECES];
    double unit; /* price of one of the amount, by the best piece */
    double need;
    unsigned steps;
    struct cover now;
    struct cover_list *list;
};

/* The loss that is too much to be among the cheapest. */
static double too_much(const struct hunt *h)
{
    const struct cover_list *l = h->list;
    return l->n < h->room ? HUGE_VAL : l->at[l->n - 1].price - h->unit * h->need - tiny;
}

static void keep(struct hunt *h)
{
    struct cover_list *l = h->list;
    unsigned i = l->n < h->room ? l->n++ : l->n - 1;
    for (; i > 0 && l->at[i - 1].price > h->now.price; i--)
        l->at[i] = l->at[i - 1];
    l->at[i] = h->now;
}

/* Tries all numbers of piece order[i], and of those after it, for what is left. */
static void try_piece(struct hunt *h, unsigned i, double left, double loss)
{
    unsigned k = h->order[i];
    double before = h->now.price, by = h->amounts[k];
    double extra = h->prices[k] - h->unit * by;
    double most = ceil(left / by - tiny);
    for (double c = i + 1 == h->n ? most : 0; c <= most && h->steps < STEPS; c++) {
        double rest = left - c * by, lost = loss + c * extra;
        h->steps++;
        if (lost + h->unit * fmax(-rest, 0) >= too_much(h))
            break;
        h->now.n[k] = (uint32_t)c;
        h->now.price = before + c * h->prices[k];
        if (rest <= tiny * h->need)
            keep(h);
        else
            try_piece(h, i + 1, rest, lost);
    }
    h->now.n[k] = 0;
    h->now.price = before;
}

void cover_find(const double *amounts, const double *prices, unsigned n, double need, unsigned room,
                struct cover_list *ret)
{
    struct hunt h = {.amounts = amounts, .prices = prices, .need = need, .room = room, .list = ret};
    ret->bound = 0;
    ret->n = 0;
    ret->all = true;
    for (unsigned k = 0; k < n; k++) {
        unsigned i = h.n;
        if (amounts[k] <= 0)
            continue;
        for (; i > 0 && amounts[k] * prices[h.order[i - 1]] < prices[k] * amounts[h.order[i - 1]];
             i--)
            h.order[i] = h.order[i - 1];
        h.order[i] = k;
        h.n++;
    }
    if (!h.n)
        return;
    unsigned best = h.order[h.n - 1];
    h.unit = prices[best] / amounts[best];
    try_piece(&h, 0, need, 0);
    ret->all = h.steps < STEPS;
    ret->bound = h.steps < STEPS ? ret->at[0].price : h.unit * need;
}
