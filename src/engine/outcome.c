/* The memory of outcomes; see outcome.h. */
#include "engine/outcome.h"

#include <stdlib.h>

void outcome_done(struct outcome *o)
{
    for (size_t i = 0; i < o->row_room; i++)
        free(o->rows[i]);
    free(o->rows);
    free(o->row_keys);
    free(o->changes.at);
    free(o->actions);
    *o = (struct outcome){0};
}

void outcome_clear(struct outcome *o)
{
    o->row_n = 0;
    o->changes.n = 0;
    o->action_n = 0;
    o->lease = 0;
    o->cost = (struct outcome_cost){0};
}
