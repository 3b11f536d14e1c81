/* Names of a lease's states and ends, and the instants its times lead to. */
#include "engine/lease.h"

#include "base/macro.h"
#include "base/time.h"

#include <stddef.h>
#include <string.h>

void lease_copy(struct lease *to, const struct lease *from)
{
    unsigned n = MIN(MAX(from->slice_n, 1u), REQUEST_SLICES);
    memcpy(to, from, offsetof(struct lease, slices) + n * sizeof from->slices[0]);
}

void lease_clear(struct lease *l)
{
    memset(l, 0, offsetof(struct lease, slices) + sizeof l->slices[0]);
}

const char *lease_state_name(enum lease_state s)
{
    static const char *const names[] = {
        [LEASE_QUEUED] = "queued", [LEASE_STARTING] = "starting", [LEASE_ACTIVE] = "active",
        [LEASE_ENDING] = "ending", [LEASE_KILLING] = "killing",   [LEASE_ENDED] = "ended",
    };
    return names[s];
}

static const struct {
    const char *name, *text;
} whys[LEASE_WHY_N] = {
    [LEASE_WHY_NONE] = {"none", "it has not ended"},
    [LEASE_WHY_DONE] = {"done", "what it lived with ended by itself"},
    [LEASE_WHY_RELEASED] = {"released", "its owner ended it"},
    [LEASE_WHY_OPERATOR] = {"operator", "an operator ended it"},
    [LEASE_WHY_TIME] = {"time", "its time was up"},
    [LEASE_WHY_GAVE_UP] = {"gave-up", "its client left the queue"},
    [LEASE_WHY_NO_FIT] = {"no-fit", "nothing was free within its wait"},
    [LEASE_WHY_FAILED] = {"failed", "the driver could not make its slices"},
    [LEASE_WHY_LOST] = {"lost", "its GPU or the driver was lost"},
    [LEASE_WHY_VANISHED] = {"vanished", "somebody destroyed its instance"},
    [LEASE_WHY_RESTART] = {"restart", "the machine was restarted"},
    [LEASE_WHY_FORCED] = {"forced", "an applied layout took its place"},
};

const char *lease_why_name(enum lease_why w)
{
    return whys[w].name;
}

const char *lease_why_text(enum lease_why w)
{
    return whys[w].text;
}

static int64_t later(int64_t at, int64_t by)
{
    return at > TIME_NEVER - by ? TIME_NEVER : at + by;
}

int64_t lease_gone_by(const struct lease *l)
{
    if (l->state == LEASE_KILLING)
        return l->kill_at;
    if (l->state == LEASE_ENDING)
        return later(l->term_at, l->grace_ns);
    return l->ends_at ? later(l->ends_at, l->grace_ns) : TIME_NEVER;
}
