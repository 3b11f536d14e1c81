/* Compute instances of the emulated machine, and the MIG devices they are. */
#include "emul/box.h"

#include <stdio.h>
#include <string.h>

struct machine_ci *box_ci(struct box *b, unsigned gpu, int gi, int ci)
{
    struct machine_gi *instance = box_gi(b, gpu, gi);
    for (unsigned i = 0; instance && i < instance->ci_n; i++)
        if (instance->cis[i].id == ci)
            return &instance->cis[i];
    return NULL;
}

bool box_ci_profile(struct box *b, unsigned gpu, int gi, unsigned id, struct ci_profile *ret)
{
    const struct machine_gi *instance = box_gi(b, gpu, gi);
    if (!instance)
        return false;
    const struct board *board = box_board(b, gpu);
    struct ci_profile all[BOARD_CI_PROFILES];
    unsigned n = board_ci_profiles(board, &board->profiles[instance->profile], all);
    for (unsigned i = 0; i < n; i++) {
        if (all[i].nvml != id)
            continue;
        *ret = all[i];
        return true;
    }
    return false;
}

/* What a GI's CIs occupy: their span inside the GI, compute slices in all, and how many of them are
 * of profile `id`. */
struct occupancy {
    unsigned span, compute, same;
};

static unsigned span_of(unsigned start, unsigned size)
{
    return ((1u << size) - 1) << start;
}

static struct occupancy occupancy(struct box *b, unsigned gpu, const struct machine_gi *instance,
                                  unsigned id)
{
    struct occupancy o = {0};
    for (unsigned i = 0; i < instance->ci_n; i++) {
        const struct machine_ci *ci = &instance->cis[i];
        struct ci_profile p = {0};
        (void)box_ci_profile(b, gpu, instance->id, ci->nvml, &p);
        o.span |= span_of(ci->start, ci->size);
        o.compute += p.compute;
        o.same += ci->nvml == id;
    }
    return o;
}

/* The lowest start where the profile fits; -1 if it does not. Lowest is what real listings show
 * for A100 (0:1, then 1:1). */
static int lowest_start(const struct ci_profile *p, const struct occupancy *o, unsigned gi_compute)
{
    if (o->same >= p->max || o->compute + p->compute > gi_compute)
        return -1;
    for (int start = 0; start < 16; start++)
        if ((p->starts >> start & 1) && !(o->span & span_of((unsigned)start, p->size)))
            return start;
    return -1;
}

static enum box_status choose_start(const struct ci_profile *p, const struct occupancy *o,
                                    unsigned gi_compute, int start, unsigned size, int *ret)
{
    int lowest = lowest_start(p, o, gi_compute);
    if (start == BOX_ANY) {
        *ret = lowest;
        return lowest < 0 ? BOX_NO_ROOM : BOX_OK;
    }
    if (start < 0 || start >= 16 || size != p->size || !(p->starts >> start & 1))
        return BOX_INVALID;
    *ret = start;
    if (lowest < 0 || (o->span & span_of((unsigned)start, p->size)))
        return BOX_NO_ROOM;
    return BOX_OK;
}

/* Opens a gap at the lowest free id, so that the CIs stay in order, and returns it. */
static struct machine_ci *insert_ci(struct machine_gi *instance)
{
    unsigned id = 0;
    while (id < instance->ci_n && instance->cis[id].id == id)
        id++;
    memmove(&instance->cis[id + 1], &instance->cis[id],
            (instance->ci_n - id) * sizeof instance->cis[0]);
    instance->ci_n++;
    instance->cis[id] = (struct machine_ci){.id = (uint8_t)id};
    return &instance->cis[id];
}

/* The device that was given this index; see box_keep_indices. */
static bool kept_at(const struct box *b, unsigned gpu, unsigned index, int *ret_gi, int *ret_ci)
{
    const struct machine_gpu *g = &b->m.gpus[gpu];
    for (unsigned i = 0; i < g->gi_n; i++) {
        for (unsigned c = 0; c < g->gis[i].ci_n; c++) {
            *ret_gi = g->gis[i].id;
            *ret_ci = g->gis[i].cis[c].id;
            if (b->ci_index[gpu][*ret_gi][*ret_ci] == index)
                return true;
        }
    }
    return false;
}

/* The lowest index that no device has, for one that is new. */
static void give_index(struct box *b, unsigned gpu, int gi, int ci)
{
    int other_gi, other_ci;
    unsigned index = 0;
    b->ci_index[gpu][gi][ci] = UINT8_MAX;
    while (kept_at(b, gpu, index, &other_gi, &other_ci))
        index++;
    b->ci_index[gpu][gi][ci] = (uint8_t)index;
}

enum box_status box_ci_create(struct box *b, unsigned gpu, int gi, unsigned id, int start,
                              unsigned size, int *ret_ci)
{
    struct machine_gi *instance = box_gi(b, gpu, gi);
    struct ci_profile p = {0};
    if (!instance)
        return BOX_NOT_FOUND;
    enum box_status status = box_mig_ready(b, gpu);
    if (status != BOX_OK)
        return status;
    if (!box_ci_profile(b, gpu, gi, id, &p))
        return id >= BOARD_CI_PROFILES ? BOX_INVALID : BOX_NOT_SUPPORTED;
    if (instance->ci_n == BOARD_CIS)
        return BOX_NO_ROOM;
    struct occupancy o = occupancy(b, gpu, instance, id);
    unsigned compute = box_board(b, gpu)->profiles[instance->profile].compute;
    status = choose_start(&p, &o, compute, start, size, &start);
    if (status != BOX_OK)
        return status;
    struct machine_ci *ci = insert_ci(instance);
    ci->nvml = p.nvml;
    ci->start = (uint8_t)start;
    ci->size = p.size;
    ci->sms = p.sms;
    box_mig_uuid(b->m.gpus[gpu].uuid, instance->id, ci->id, ci->uuid);
    b->ci_serial[gpu][gi][ci->id] = ++b->serial;
    give_index(b, gpu, gi, ci->id);
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
    *ret_ci = ci->id;
    return BOX_OK;
}

enum box_status box_ci_capacity(struct box *b, unsigned gpu, int gi, unsigned id, unsigned *ret)
{
    const struct machine_gi *instance = box_gi(b, gpu, gi);
    struct ci_profile p = {0};
    if (!instance)
        return BOX_NOT_FOUND;
    if (!box_ci_profile(b, gpu, gi, id, &p))
        return id >= BOARD_CI_PROFILES ? BOX_INVALID : BOX_NOT_SUPPORTED;
    struct occupancy o = occupancy(b, gpu, instance, id);
    unsigned compute = box_board(b, gpu)->profiles[instance->profile].compute;
    *ret = 0;
    for (int start; (start = lowest_start(&p, &o, compute)) >= 0; ++*ret) {
        o.span |= span_of((unsigned)start, p.size);
        o.compute += p.compute;
        o.same++;
    }
    return BOX_OK;
}

enum box_status box_ci_destroy(struct box *b, unsigned gpu, int gi, int id)
{
    struct machine_gi *instance = box_gi(b, gpu, gi);
    struct machine_ci *ci = box_ci(b, gpu, gi, id);
    if (!ci)
        return BOX_NOT_FOUND;
    enum box_status status = box_mig_ready(b, gpu);
    if (status != BOX_OK)
        return status;
    if (box_processes(b, gpu, gi, id, NULL, 0) > 0)
        return BOX_IN_USE;
    instance->ci_n--;
    memmove(ci, ci + 1, (size_t)(&instance->cis[instance->ci_n] - ci) * sizeof *ci);
    b->ci_serial[gpu][gi][id] = 0;
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
    return BOX_OK;
}

void box_keep_indices(struct box *b, unsigned gpu, bool keep)
{
    int gi, ci;
    if (b->holes[gpu] == keep)
        return;
    b->holes[gpu] = false;
    for (unsigned i = 0; box_mig_at(b, gpu, i, &gi, &ci); i++)
        b->ci_index[gpu][gi][ci] = (uint8_t)i;
    b->holes[gpu] = keep;
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
}

bool box_mig_at(struct box *b, unsigned gpu, unsigned index, int *ret_gi, int *ret_ci)
{
    const struct machine_gpu *g = &b->m.gpus[gpu];
    if (b->holes[gpu])
        return kept_at(b, gpu, index, ret_gi, ret_ci);
    for (unsigned i = 0; i < g->gi_n; i++) {
        if (index < g->gis[i].ci_n) {
            *ret_gi = g->gis[i].id;
            *ret_ci = g->gis[i].cis[index].id;
            return true;
        }
        index -= g->gis[i].ci_n;
    }
    return false;
}

unsigned box_mig_index(struct box *b, unsigned gpu, int gi, int ci)
{
    int at_gi = BOX_ANY, at_ci = BOX_ANY;
    unsigned index = 0;
    if (b->holes[gpu])
        return b->ci_index[gpu][gi][ci];
    while (box_mig_at(b, gpu, index, &at_gi, &at_ci) && (at_gi != gi || at_ci != ci))
        index++;
    return index;
}

unsigned box_mig_max(const struct box *b, unsigned gpu)
{
    const struct board *board = box_board(b, gpu);
    unsigned most = 0;
    if (b->m.gpus[gpu].mig != MACHINE_MIG_ON)
        return 0;
    for (unsigned i = 0; i < board->profile_n; i++)
        most = MAX(most, board->profiles[i].max);
    return most;
}

static uint64_t fnv_mixed(const char *text, uint64_t seed)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ seed;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

void box_mig_uuid(const char *gpu_uuid, unsigned gi, unsigned ci, char ret[MACHINE_UUID])
{
    char place[MACHINE_UUID + 24];
    (void)snprintf(place, sizeof place, "%s/%u/%u", gpu_uuid, gi, ci);
    uint64_t high = fnv_mixed(place, 0), low = fnv_mixed(place, 0x5a17);
    high = (high & ~UINT64_C(0xf000)) | 0x5000;
    low = (low & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;
    (void)snprintf(ret, MACHINE_UUID, "MIG-%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
                   (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xffff),
                   (unsigned)(low >> 48), (unsigned long long)(low & UINT64_C(0xffffffffffff)));
}
