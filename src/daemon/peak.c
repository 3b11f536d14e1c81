/* A short list, as long as there are live leases on which a process was seen or could have been. */
#include "daemon/peak.h"

#include "base/log.h"
#include "base/time.h"
#include "daemon/driver.h"
#include "daemon/turn.h"

#include <stdlib.h>

#define LATE (100 * TIME_MS) /* a look may be so late, to share a wake-up with other timers */

struct peak {
    struct peak *next;
    uint32_t lease;
    bool written; /* the store has it */
    struct store_peak seen;
};

struct peaks {
    struct peak *first;
    sd_event_source *timer;
    bool armed;
};

static struct peak *find(const struct daemon *d, uint32_t lease)
{
    for (struct peak *p = d->peaks ? d->peaks->first : NULL; p; p = p->next)
        if (p->lease == lease)
            return p;
    return NULL;
}

static int take_stored(const struct store_past *past, void *arg)
{
    struct peak *p = arg;
    p->seen = past->peak;
    return 0;
}

/* What an earlier fettad saw of the lease counts on. */
static struct peak *find_or_add(struct daemon *d, uint32_t lease)
{
    struct error ignored;
    struct peak *p = find(d, lease);
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct peak){.lease = lease, .next = d->peaks->first};
    d->peaks->first = p;
    (void)store_history(d->store, lease, NULL, 1, take_stored, p, &ignored);
    return p;
}

/* ---- looks ---- */

/* The memory in use on an instance, -1 for the whole GPU: what its processes use, since a GPU that
 * shares the host's memory has no other figure. */
static struct store_peak in_use(const struct device_process *list, size_t n, int gi)
{
    struct store_peak used = {0};
    for (size_t i = 0; i < n; i++) {
        if (gi >= 0 && list[i].gi != gi)
            continue;
        used.looks++; /* processes, here */
        used.bytes += list[i].bytes;
    }
    return used;
}

static void saw(struct daemon *d, uint32_t lease, struct store_peak used)
{
    const struct lease *l = world_lease(d->world, lease);
    bool lives = l && (l->state == LEASE_ACTIVE || l->state == LEASE_ENDING ||
                       l->state == LEASE_KILLING);
    /* That nothing is left at the end says nothing about before, and not every driver tells how
     * much a process uses. */
    bool told = used.looks ? used.bytes > 0 : l && l->state == LEASE_ACTIVE;
    struct peak *p = lives && told ? find_or_add(d, lease) : NULL;
    if (!p)
        return;
    p->written = false;
    p->seen.bytes = MAX(p->seen.bytes, used.bytes);
    p->seen.looks += p->seen.looks < UINT32_MAX;
}

void peaks_heard(struct daemon *d, unsigned slot, int code, const struct device_process *list,
                 size_t n)
{
    const struct gpu *g = world_gpu(d->world, slot);
    if (!g || code < 0)
        return;
    if (g->whole_lease)
        saw(d, g->whole_lease, in_use(list, n, -1));
    for (unsigned i = 0; i < g->seat_n; i++)
        if (g->seats[i].state == SEAT_LEASED)
            saw(d, g->seats[i].lease, in_use(list, n, g->seats[i].gi));
}

void peaks_ask(struct daemon *d, uint32_t lease)
{
    const struct lease *l = world_lease(d->world, lease);
    uint64_t asked = 0;
    for (unsigned i = 0; l && i < l->slice_n; i++) {
        unsigned slot = l->slices[i].gpu;
        if (l->slices[i].made && !(asked >> slot & 1))
            driver_ask_memory(d, slot);
        asked |= UINT64_C(1) << slot;
    }
}

/* ---- looks that nothing but the time causes ---- */

static bool is_held(const struct gpu *g)
{
    bool held = g->whole_lease != 0;
    for (unsigned i = 0; i < g->seat_n; i++)
        held = held || g->seats[i].state == SEAT_LEASED;
    return held;
}

static bool any_held(const struct daemon *d)
{
    for (unsigned slot = 0; slot < world_gpu_n(d->world); slot++) {
        const struct gpu *g = world_gpu(d->world, slot);
        if (g && is_held(g))
            return true;
    }
    return false;
}

void peaks_turn(struct daemon *d)
{
    struct peaks *p = d->peaks;
    if (p->armed || d->config.sample == TIME_NEVER || !any_held(d))
        return;
    p->armed = true;
    (void)sd_event_source_set_time(p->timer,
                                   (uint64_t)((time_boot() + d->config.sample) / TIME_US));
    (void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

void peaks_again(struct daemon *d)
{
    d->peaks->armed = false;
    (void)sd_event_source_set_enabled(d->peaks->timer, SD_EVENT_OFF);
    peaks_turn(d);
}

static int on_sample(sd_event_source *source, uint64_t usec, void *arg)
{
    struct daemon *d = arg;
    (void)source;
    (void)usec;
    d->peaks->armed = false;
    for (unsigned slot = 0; slot < world_gpu_n(d->world); slot++) {
        const struct gpu *g = world_gpu(d->world, slot);
        if (g && is_held(g) && d->config.sample != TIME_NEVER)
            driver_ask_memory(d, slot);
    }
    peaks_turn(d);
    return 0;
}

/* ---- what is kept ---- */

int peaks_write(struct daemon *d, const struct changes *c, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < c->n && r == 0; i++) {
        const struct change *one = c->at[i];
        bool ends = one->kind == CHANGE_LEASE && one->lease.state == LEASE_ENDED;
        const struct peak *p = ends ? find(d, one->lease.id) : NULL;
        if (p)
            r = store_set_peak(d->store, p->lease, &p->seen, err);
    }
    return r;
}

void peaks_over(struct daemon *d, uint32_t lease)
{
    struct peak **at = &d->peaks->first;
    while (*at && (*at)->lease != lease)
        at = &(*at)->next;
    struct peak *p = *at;
    if (!p)
        return;
    *at = p->next;
    free(p);
}

struct store_peak peaks_get(const struct daemon *d, uint32_t lease)
{
    const struct peak *p = find(d, lease);
    return p ? p->seen : (struct store_peak){0};
}

void peaks_stop(struct daemon *d)
{
    struct error err;
    for (struct peak *p = d->peaks ? d->peaks->first : NULL; p; p = p->next) {
        if (p->written)
            continue;
        p->written = true;
        if (turn_open(d, &err) < 0 || store_set_peak(d->store, p->lease, &p->seen, &err) < 0)
            log_warn("%s", err.text);
    }
}

int peaks_init(struct daemon *d, struct error *err)
{
    struct peaks *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, ERROR_NO_MEMORY, "out of memory starting");
    d->peaks = p;
    int r = sd_event_add_time(d->loop, &p->timer, CLOCK_BOOTTIME, UINT64_MAX, LATE / TIME_US,
                              on_sample, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
    return r < 0 ? error_errno(err, ERROR_IO, -r, "cannot set up the event loop") : 0;
}

void peaks_done(struct daemon *d)
{
    if (!d->peaks)
        return;
    while (d->peaks->first)
        peaks_over(d, d->peaks->first->lease);
    sd_event_source_disable_unref(d->peaks->timer);
    free(d->peaks);
    d->peaks = NULL;
}
