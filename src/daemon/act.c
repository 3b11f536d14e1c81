/* One action, one line: each goes to the part of the house that can do it. */
#include "daemon/act.h"

#include "daemon/api.h"
#include "daemon/bind.h"
#include "daemon/driver.h"
#include "daemon/peak.h"

/* Processes that are ended against their will still have their memory, if only for a moment. */
static void ask_before_end(struct daemon *d, uint32_t lease)
{
    const struct lease *l = world_lease(d->world, lease);
    if (l && (l->why == LEASE_WHY_TIME || l->why == LEASE_WHY_OPERATOR ||
              l->why == LEASE_WHY_FORCED))
        peaks_ask(d, lease);
}

void act_do(struct daemon *d, const struct action *a)
{
    switch (a->kind) {
    case ACTION_CREATE:
    case ACTION_DESTROY:
    case ACTION_SET_MODE:
        driver_submit(d, a);
        break;
    case ACTION_GRANT:
        binds_grant(d, a->lease);
        break;
    case ACTION_SIGNAL:
        binds_signal(d, a->lease, a->signal);
        break;
    case ACTION_TERM:
        ask_before_end(d, a->lease);
        binds_end(d, a->lease, false);
        break;
    case ACTION_KILL:
        binds_end(d, a->lease, true);
        break;
    case ACTION_REFUSE:
    case ACTION_ENDED:
        binds_ended(d, a->lease);
        peaks_over(d, a->lease);
        api_lease_over(d, a->lease);
        break;
    case ACTION_LOOK:
        driver_look(d);
        break;
    case ACTION_WARN:
        peaks_ask(d, a->lease);
        break;
    case ACTION_QUEUED:
    case ACTION_TOLD:
        break; /* clients that wait hear it when the turn is over */
    }
}
