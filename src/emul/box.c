/* Sessions, MIG mode, GPU instances and what a look at the machine shows; compute instances are in
 * box_ci.c. The rules are those of the driver as far as they are public; where they are not, the
 * comment says "assumed". */
#include "emul/box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct machine_gpu *gpu_at(struct box *b, unsigned gpu)
{
    return gpu < b->m.gpu_n ? &b->m.gpus[gpu] : NULL;
}

void box_note(struct box *b, enum box_event_kind kind, unsigned gpu, uint64_t data)
{
    b->events[b->event_n++ % BOX_EVENTS] =
        (struct box_event){.kind = kind, .gpu = gpu, .gi = BOX_ANY, .ci = BOX_ANY, .data = data};
}

void box_xid(struct box *b, unsigned gpu, int gi, int ci, uint64_t xid)
{
    b->events[b->event_n++ % BOX_EVENTS] = (struct box_event){
        .kind = BOX_EVENT_XID, .gpu = gpu, .gi = gi, .ci = ci, .data = xid};
}

int box_new(const struct machine *m, bool mig, uint32_t root, struct box **ret, struct error *err)
{
    struct box *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an emulated machine");
    b->m = *m;
    b->root = root;
    for (unsigned i = 0; i < m->gpu_n; i++) {
        struct machine_gpu *g = &b->m.gpus[i];
        g->mig = g->mig_pending = box_board(b, i)->memory_slices == 0 ? MACHINE_MIG_NONE
                                  : mig                              ? MACHINE_MIG_ON
                                                                     : MACHINE_MIG_OFF;
        box_state_start(&b->state[i]);
    }
    *ret = b;
    return 0;
}

void box_enter(struct box *b, struct box_session *s)
{
    s->prev = NULL;
    s->next = b->first;
    if (b->first)
        b->first->prev = s;
    b->first = s;
}

void box_leave(struct box *b, struct box_session *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        b->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

bool box_privileged(const struct box *b, const struct box_session *s)
{
    return s->uid == 0 || s->uid == b->root;
}

bool box_may_partition(const struct box *b, const struct box_session *s)
{
    return s->config || box_privileged(b, s);
}

const struct board *box_board(const struct box *b, unsigned gpu)
{
    return &b->m.boards[b->m.gpus[gpu].board];
}

struct layout box_layout(const struct box *b, unsigned gpu)
{
    struct layout l = {0};
    const struct machine_gpu *g = &b->m.gpus[gpu];
    for (unsigned i = 0; i < g->gi_n; i++)
        layout_add(box_board(b, gpu), &l,
                   (struct placement){.profile = g->gis[i].profile, .start = g->gis[i].start});
    return l;
}

struct machine_gi *box_gi(struct box *b, unsigned gpu, int gi)
{
    struct machine_gpu *g = gpu_at(b, gpu);
    for (unsigned i = 0; g && i < g->gi_n; i++)
        if (g->gis[i].id == gi)
            return &g->gis[i];
    return NULL;
}

enum box_status box_mig_ready(const struct box *b, unsigned gpu)
{
    if (gpu >= b->m.gpu_n)
        return BOX_NOT_FOUND;
    if (b->m.gpus[gpu].health == MACHINE_LOST)
        return BOX_LOST;
    return b->m.gpus[gpu].mig == MACHINE_MIG_ON ? BOX_OK : BOX_NOT_SUPPORTED;
}

/* Whether anything keeps the GPU from changing its mode for the asking session. Ampere needs every
 * other process to have closed the device; later boards only need that nothing works on it
 * (assumed: public texts say that they need no reset, not what running work does to it). */
static bool mode_blocked(const struct box *b, const struct box_session *asking, unsigned gpu)
{
    bool ampere = box_board(b, gpu)->family == BOARD_AMPERE;
    for (const struct box_session *s = b->first; s; s = s->next) {
        if (ampere && s->pid != asking->pid && (s->attached >> gpu & 1))
            return true;
        for (unsigned i = 0; i < s->use_n; i++)
            if (s->uses[i].gpu == (int)gpu && s->uses[i].work)
                return true;
    }
    return false;
}

/* Ampere changes its mode by a reset of the GPU. */
static void switch_mig(struct box *b, unsigned gpu, enum machine_mig wanted)
{
    b->m.gpus[gpu].mig = wanted;
    if (box_board(b, gpu)->family == BOARD_AMPERE)
        box_state_reset(&b->state[gpu]);
}

enum box_status box_set_mig(struct box *b, const struct box_session *s, unsigned gpu, bool on,
                            enum box_status *ret_activation)
{
    struct machine_gpu *g = gpu_at(b, gpu);
    enum machine_mig wanted = on ? MACHINE_MIG_ON : MACHINE_MIG_OFF;
    *ret_activation = BOX_OK;
    if (!g)
        return BOX_NOT_FOUND;
    if (g->health == MACHINE_LOST)
        return BOX_LOST;
    if (g->mig == MACHINE_MIG_NONE)
        return BOX_NOT_SUPPORTED;
    if (g->mig == wanted) {
        g->mig_pending = wanted;
        return BOX_OK;
    }
    if (g->gi_n > 0) {
        *ret_activation = BOX_IN_USE;
        return BOX_IN_USE;
    }
    g->mig_pending = wanted;
    if (b->m.passthrough && box_board(b, gpu)->family == BOARD_AMPERE)
        *ret_activation = BOX_RESET_REQUIRED;
    else if (mode_blocked(b, s, gpu))
        *ret_activation = BOX_IN_USE;
    else
        switch_mig(b, gpu, wanted);
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
    return BOX_OK;
}

static void drop_uses(struct box *b, unsigned gpu)
{
    for (struct box_session *s = b->first; s; s = s->next) {
        unsigned kept = 0;
        for (unsigned i = 0; i < s->use_n; i++)
            if (s->uses[i].gpu != (int)gpu)
                s->uses[kept++] = s->uses[i];
        s->use_n = (uint8_t)kept;
    }
}

void box_reload(struct box *b)
{
    for (unsigned i = 0; i < b->m.gpu_n; i++) {
        struct machine_gpu *g = &b->m.gpus[i];
        struct box_state old = b->state[i];
        bool keeps = g->mig == MACHINE_MIG_NONE || box_board(b, i)->family == BOARD_AMPERE;
        drop_uses(b, i);
        g->mig = g->mig_pending = keeps ? g->mig_pending : MACHINE_MIG_OFF;
        g->gi_n = 0;
        g->health = MACHINE_OK;
        box_state_start(&b->state[i]);
        box_state_keep(&b->state[i], &old);
        box_note(b, BOX_EVENT_CONFIG, i, 0);
    }
    for (struct box_session *s = b->first; s; s = s->next)
        s->attached = 0;
}

enum box_status box_reset(struct box *b, unsigned gpu)
{
    struct machine_gpu *g = gpu_at(b, gpu);
    if (!g)
        return BOX_NOT_FOUND;
    bool lost = g->health == MACHINE_LOST;
    if (!lost && box_processes(b, gpu, BOX_ANY, BOX_ANY, NULL, 0) > 0)
        return BOX_IN_USE;
    drop_uses(b, gpu);
    g->health = MACHINE_OK;
    g->mig = g->mig_pending;
    g->gi_n = 0;
    box_state_reset(&b->state[gpu]);
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
    return BOX_OK;
}

enum box_status box_lose(struct box *b, unsigned gpu)
{
    struct machine_gpu *g = gpu_at(b, gpu);
    if (!g)
        return BOX_NOT_FOUND;
    g->health = MACHINE_LOST;
    box_note(b, BOX_EVENT_XID, gpu, 79);
    return BOX_OK;
}

/* Where a GI may go: the asked start if it is one of the profile's and free, else the driver's. */
static enum box_status choose_start(const struct board *board, const struct layout *l,
                                    unsigned profile, int start, unsigned size, int *ret_start)
{
    const struct profile *p = &board->profiles[profile];
    if (start == BOX_ANY) {
        *ret_start = layout_choose(board, l, profile);
        return *ret_start < 0 ? BOX_NO_ROOM : BOX_OK;
    }
    if (start < 0 || start >= 16 || size != p->size || !(p->starts >> start & 1))
        return BOX_INVALID;
    *ret_start = start;
    return layout_fits(board, l, profile) >> start & 1 ? BOX_OK : BOX_NO_ROOM;
}

/* Opens a gap so that the GIs stay in order of id, and returns it. */
static struct machine_gi *insert_gi(struct machine_gpu *g, unsigned id)
{
    unsigned at = 0;
    while (at < g->gi_n && g->gis[at].id < id)
        at++;
    memmove(&g->gis[at + 1], &g->gis[at], (g->gi_n - at) * sizeof g->gis[0]);
    g->gi_n++;
    return &g->gis[at];
}

enum box_status box_gi_create(struct box *b, unsigned gpu, unsigned id, int start, unsigned size,
                              int *ret_gi)
{
    enum box_status status = box_mig_ready(b, gpu);
    if (status != BOX_OK)
        return status;
    const struct board *board = box_board(b, gpu);
    unsigned profile = board_profile_by_id(board, id);
    if (profile == BOARD_NO_PROFILE)
        return BOX_INVALID;
    struct layout l = box_layout(b, gpu);
    status = choose_start(board, &l, profile, start, size, &start);
    if (status != BOX_OK)
        return status;
    uint8_t slots = board->profiles[profile].size;
    unsigned gi = board_gi_id(board, (unsigned)start, slots);
    /* Positions have one id each, so a taken id means a table that contradicts itself. */
    if (gi >= BOARD_GIS || box_gi(b, gpu, (int)gi))
        return BOX_NO_ROOM;
    *insert_gi(&b->m.gpus[gpu], gi) = (struct machine_gi){
        .id = (uint8_t)gi, .profile = (uint8_t)profile, .start = (uint8_t)start, .size = slots};
    b->gi_serial[gpu][gi] = ++b->serial;
    b->state[gpu].ecc_gi[gi] = 0;
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
    *ret_gi = (int)gi;
    return BOX_OK;
}

static bool is_held(const struct box *b, unsigned gpu, int gi)
{
    for (const struct box_session *s = b->first; s; s = s->next)
        for (unsigned i = 0; i < s->use_n; i++)
            if (s->uses[i].gpu == (int)gpu && s->uses[i].gi == gi)
                return true;
    return false;
}

enum box_status box_gi_destroy(struct box *b, unsigned gpu, int gi)
{
    struct machine_gi *instance = box_gi(b, gpu, gi);
    if (!instance)
        return BOX_NOT_FOUND;
    enum box_status status = box_mig_ready(b, gpu);
    if (status != BOX_OK)
        return status;
    if (instance->ci_n > 0 || is_held(b, gpu, gi))
        return BOX_IN_USE;
    struct machine_gpu *g = &b->m.gpus[gpu];
    g->gi_n--;
    memmove(instance, instance + 1, (size_t)(&g->gis[g->gi_n] - instance) * sizeof *instance);
    b->gi_serial[gpu][gi] = 0;
    box_note(b, BOX_EVENT_CONFIG, gpu, 0);
    return BOX_OK;
}

enum box_status box_gi_capacity(const struct box *b, unsigned gpu, unsigned id, unsigned *ret)
{
    enum box_status status = box_mig_ready(b, gpu);
    if (status != BOX_OK)
        return status;
    const struct board *board = box_board(b, gpu);
    unsigned profile = board_profile_by_id(board, id);
    if (profile == BOARD_NO_PROFILE)
        return BOX_INVALID;
    struct layout l = box_layout(b, gpu);
    unsigned n = 0;
    for (int start; (start = layout_choose(board, &l, profile)) >= 0; n++)
        layout_add(board, &l,
                   (struct placement){.profile = (uint8_t)profile, .start = (uint8_t)start});
    *ret = n;
    return BOX_OK;
}
