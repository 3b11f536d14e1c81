/* From what the driver shows to what the engine knows.
 *
 * GPUs are recognised by UUID: the store gives each a slot for life, so a reboot that renumbers
 * indices does not move anybody's lease. Boards are compared by content, so that a driver update
 * that renames profiles simply is another board. */
#include "daemon/see.h"

#include "base/log.h"
#include "daemon/api.h"
#include "daemon/turn.h"

#include <string.h>

struct machine_gpu *daemon_gpu(struct daemon *d, unsigned slot)
{
    for (unsigned i = 0; i < d->machine->gpu_n; i++)
        if (d->slot_of[i] == slot)
            return &d->machine->gpus[i];
    return NULL;
}

static struct machine_gi *find_gi(struct machine_gpu *g, unsigned gi)
{
    for (unsigned i = 0; i < g->gi_n; i++)
        if (g->gis[i].id == gi)
            return &g->gis[i];
    return NULL;
}

const struct machine_ci *daemon_ci(struct daemon *d, const struct lease_slice *s)
{
    struct machine_gpu *g = daemon_gpu(d, s->gpu);
    struct machine_gi *gi = g ? find_gi(g, s->gi) : NULL;
    for (unsigned i = 0; gi && i < gi->ci_n; i++)
        if (gi->cis[i].id == s->ci)
            return &gi->cis[i];
    return NULL;
}

/* The world's number of a board, adding it if it is new; MACHINE_BOARDS if there is no room. */
static unsigned board_number(struct daemon *d, const struct board *b)
{
    unsigned n = world_board_n(d->world);
    for (unsigned i = 0; i < n; i++)
        if (memcmp(world_board(d->world, i), b, sizeof *b) == 0)
            return i;
    if (n == MACHINE_BOARDS)
        return n;
    struct event e = {.kind = EVENT_BOARD, .board = {.index = (uint8_t)n, .board = *b}};
    turn_post(d, &e);
    return n;
}

static void sight(const struct board *b, const struct machine_gpu *g, struct event *e)
{
    e->gpu.n = g->gi_n;
    for (unsigned i = 0; i < g->gi_n; i++) {
        const struct machine_gi *gi = &g->gis[i];
        struct sighting *s = &e->gpu.seen[i];
        *s = (struct sighting){.profile = gi->profile,
                               .start = gi->start,
                               .size = gi->size,
                               .gi = gi->id};
        if (gi->ci_n != 1 || gi->profile >= b->profile_n)
            continue;
        struct ci_profile ci[BOARD_CI_PROFILES];
        unsigned n = board_ci_profiles(b, &b->profiles[gi->profile], ci);
        s->has_ci = n > 0 && gi->cis[0].nvml == ci[n - 1].nvml;
        s->ci = gi->cis[0].id;
    }
}

/* A GPU seen for the first time is fetta's if the configuration says so. */
static void manage_new(struct daemon *d, unsigned slot, unsigned index)
{
    if (!config_manages(&d->config, index))
        return;
    struct event e = {.kind = EVENT_MANAGE, .manage = {.gpu = (uint16_t)slot, .on = true}};
    turn_post(d, &e);
    enum pool pool = config_pool(&d->config, index);
    struct event p = {.kind = EVENT_POOL, .pool = {.gpu = (uint16_t)slot, .pool = pool}};
    if (pool != POOL_ELASTIC)
        turn_post(d, &p);
}

static void see_gpu(struct daemon *d, const struct machine *m, unsigned i, bool fresh)
{
    const struct machine_gpu *g = &m->gpus[i];
    const struct board *b = &m->boards[g->board];
    unsigned slot = d->slot_of[i];
    const struct gpu *known = world_gpu(d->world, slot);
    bool is_new = !known;
    struct event e = {.kind = EVENT_GPU_SEEN,
                      .gpu = {.slot = (uint16_t)slot,
                              .board = (uint8_t)board_number(d, b),
                              .present = true,
                              .fresh = fresh,
                              .mig = g->mig,
                              .health = g->health}};
    sight(b, g, &e);
    turn_post(d, &e);
    if (is_new)
        manage_new(d, slot, g->index);
}

static void see_gone(struct daemon *d, unsigned slot, bool fresh)
{
    const struct gpu *g = world_gpu(d->world, slot);
    if (!g || (!g->present && !fresh))
        return;
    struct event e = {.kind = EVENT_GPU_SEEN,
                      .gpu = {.slot = g->slot,
                              .board = g->board,
                              .present = false,
                              .fresh = fresh,
                              .mig = g->mig,
                              .health = MACHINE_LOST}};
    turn_post(d, &e);
}

void see_machine(struct daemon *d, const struct machine *m, const bool stale[MACHINE_GPUS])
{
    struct error err;
    bool here[MACHINE_GPUS] = {false};
    bool fresh = !d->seen_once;
    /* What a stale GPU looks like is known better from its own changes: keep that. */
    struct machine *kept = d->machine;
    for (unsigned i = 0; i < m->gpu_n; i++) {
        uint16_t slot = 0;
        if (store_gpu_slot(d->store, m->gpus[i].uuid, &slot, &err) < 0 || slot >= MACHINE_GPUS) {
            log_error("GPU %u is left out: %s", m->gpus[i].index, err.text);
            continue;
        }
        struct machine_gpu *old = daemon_gpu(d, slot);
        if (stale[slot] && old && kept->gpu_n == m->gpu_n)
            kept->gpus[i] = *old;
        else
            kept->gpus[i] = m->gpus[i];
        d->slot_of[i] = slot;
        here[slot] = true;
    }
    memcpy(kept->boards, m->boards, sizeof kept->boards);
    memcpy(kept->name, m->name, sizeof kept->name);
    memcpy(kept->driver, m->driver, sizeof kept->driver);
    kept->gpu_n = m->gpu_n;
    kept->board_n = m->board_n;
    for (unsigned i = 0; i < m->gpu_n; i++)
        if (!stale[d->slot_of[i]] || fresh)
            see_gpu(d, m, i, fresh);
    for (unsigned slot = 0; slot < MACHINE_GPUS; slot++)
        if (!here[slot])
            see_gone(d, slot, fresh);
    d->seen_once = true;
    /* The engine places nothing before all GPUs were seen and time has begun. */
    if (fresh)
        turn_post(d, &(struct event){.kind = EVENT_TICK});
    api_stale(d);
    turn_touch(d);
}

void see_lost(struct daemon *d)
{
    for (unsigned slot = 0; slot < MACHINE_GPUS; slot++)
        see_gone(d, slot, false);
    for (unsigned i = 0; i < d->machine->gpu_n; i++)
        d->machine->gpus[i].gi_n = 0;
    api_stale(d);
    turn_touch(d);
}

void see_slow(struct daemon *d, unsigned slot, bool slow)
{
    struct machine_gpu *g = slot < MACHINE_GPUS ? daemon_gpu(d, slot) : NULL;
    if (g)
        log_warn("GPU %u: %s", g->index, slow ? "not answering" : "answers again");
    api_stale(d);
    if (!g)
        return;
    /* No new leases there meanwhile; what runs is not touched. */
    bool stale[MACHINE_GPUS];
    for (unsigned i = 0; i < MACHINE_GPUS; i++)
        stale[i] = i != slot;
    g->health = slow ? MACHINE_NOT_ANSWERING : MACHINE_OK;
    see_machine(d, d->machine, stale);
}

void see_changed(struct daemon *d, const struct action *a, const struct device_result *result)
{
    struct machine_gpu *g = daemon_gpu(d, a->gpu);
    if (!g)
        return;
    struct machine_gi *gi = find_gi(g, a->kind == ACTION_CREATE ? result->gi : a->gi);
    if (a->kind == ACTION_SET_MODE) {
        g->mig = g->mig_pending = a->mig_on ? MACHINE_MIG_ON : MACHINE_MIG_OFF;
        g->gi_n = 0;
    } else if (a->kind == ACTION_DESTROY && gi) {
        *gi = g->gis[--g->gi_n];
    } else if (a->kind == ACTION_CREATE && (gi || g->gi_n < BOARD_GIS)) {
        const struct board *b = &d->machine->boards[g->board];
        if (!gi)
            gi = &g->gis[g->gi_n++];
        *gi = (struct machine_gi){.id = result->gi,
                                  .profile = a->profile,
                                  .start = a->start,
                                  .size = b->profiles[a->profile].size,
                                  .ci_n = 1};
        struct machine_ci *ci = &gi->cis[0];
        *ci = (struct machine_ci){.id = result->ci, .sms = b->profiles[a->profile].sms};
        memcpy(ci->uuid, result->uuid, sizeof ci->uuid);
    }
}
