/* Who works on what: sessions' uses of devices, memory, and the lists of processes. */
#include "emul/box.h"
#include "emul/physical.h"

#include <stdlib.h>
#include <string.h>

bool box_find(struct box *b, const char *uuid, unsigned *ret_gpu, int *ret_gi, int *ret_ci)
{
    for (unsigned gpu = 0; gpu < b->m.gpu_n; gpu++) {
        *ret_gpu = gpu;
        *ret_gi = *ret_ci = BOX_ANY;
        if (strcmp(b->m.gpus[gpu].uuid, uuid) == 0)
            return true;
        for (unsigned i = 0; i < box_mig_max(b, gpu); i++)
            if (box_mig_at(b, gpu, i, ret_gi, ret_ci) &&
                strcmp(box_ci(b, gpu, *ret_gi, *ret_ci)->uuid, uuid) == 0)
                return true;
    }
    return false;
}

unsigned box_branch(const struct box *b)
{
    return (unsigned)strtoul(b->m.driver, NULL, 10);
}

enum { BRANCH_MANY_INSTANCES = 570 };

/* Whether a process that has `has` open may open `wants` as well. Names of one compute instance are
 * all the same to it. */
static bool is_visible(const struct box *b, const struct box_use *has, const struct box_use *wants)
{
    bool same_gi = has->gpu == wants->gpu && has->gi == wants->gi;
    if (!has->work || (has->gi == BOX_ANY && wants->gi == BOX_ANY))
        return true;
    if (same_gi)
        return has->ci == wants->ci;
    return box_branch(b) >= BRANCH_MANY_INSTANCES;
}

static bool process_sees(const struct box *b, uint32_t pid, const struct box_use *wants)
{
    for (const struct box_session *s = b->first; s; s = s->next)
        for (unsigned i = 0; s->pid == pid && i < s->use_n; i++)
            if (!is_visible(b, &s->uses[i], wants))
                return false;
    return true;
}

static enum box_status add_use(struct box_session *s, struct box_use use)
{
    if (s->use_n == BOX_USES)
        return BOX_NO_ROOM;
    s->uses[s->use_n++] = use;
    s->attached |= UINT64_C(1) << use.gpu;
    return BOX_OK;
}

enum box_status box_open(struct box *b, struct box_session *s, const char *uuid, uint64_t bytes)
{
    unsigned gpu = 0;
    int gi = BOX_ANY, ci = BOX_ANY;
    if (!box_find(b, uuid, &gpu, &gi, &ci))
        return BOX_NOT_FOUND;
    if (b->m.gpus[gpu].health == MACHINE_LOST)
        return BOX_LOST;
    if (gi == BOX_ANY && b->m.gpus[gpu].mig == MACHINE_MIG_ON)
        return BOX_NOT_SUPPORTED;
    struct box_use use = {
        .gpu = (int16_t)gpu, .gi = (int16_t)gi, .ci = (int16_t)ci, .work = true, .bytes = bytes};
    if (!process_sees(b, s->pid, &use))
        return BOX_NOT_FOUND;
    uint64_t total = 0, used = 0;
    box_memory(b, gpu, gi, &total, &used);
    if (bytes > total - used - MIN(box_reserved(b, gpu, gi), total - used))
        return BOX_NO_MEMORY;
    return add_use(s, use);
}

enum box_status box_hold(struct box *b, struct box_session *s, unsigned gpu, int gi)
{
    if (gpu >= b->m.gpu_n || (gi != BOX_ANY && !box_gi(b, gpu, gi)))
        return BOX_NOT_FOUND;
    return add_use(
        s, (struct box_use){.gpu = (int16_t)gpu, .gi = (int16_t)gi, .ci = (int16_t)BOX_ANY});
}

void box_memory(struct box *b, unsigned gpu, int gi, uint64_t *ret_total, uint64_t *ret_used)
{
    const struct board *board = box_board(b, gpu);
    const struct machine_gi *instance = gi == BOX_ANY ? NULL : box_gi(b, gpu, gi);
    uint64_t mib = instance ? board->profiles[instance->profile].mib : board->total_mib;
    *ret_total = mib << 20;
    *ret_used = 0;
    for (const struct box_session *s = b->first; s; s = s->next)
        for (unsigned i = 0; i < s->use_n; i++)
            if (s->uses[i].gpu == (int)gpu && (gi == BOX_ANY || s->uses[i].gi == gi))
                *ret_used += s->uses[i].bytes;
}

uint64_t box_reserved(const struct box *b, unsigned gpu, int gi)
{
    return gi == BOX_ANY ? (uint64_t)physical_of(box_board(b, gpu)->name)->reserved_mib << 20 : 0;
}

/* Adds a use to the rows already written for the same process; false if it needs a row. */
static bool merge(const struct box_use *use, uint32_t pid, struct box_process *rows, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (rows[i].pid != pid || rows[i].gi != use->gi || rows[i].ci != use->ci)
            continue;
        rows[i].bytes += use->bytes;
        return true;
    }
    return false;
}

unsigned box_processes(const struct box *b, unsigned gpu, int gi, int ci, struct box_process *ret,
                       unsigned room)
{
    unsigned n = 0;
    for (const struct box_session *s = b->first; s; s = s->next) {
        for (unsigned i = 0; i < s->use_n; i++) {
            const struct box_use *use = &s->uses[i];
            if (use->gpu != (int)gpu || !use->work || (gi != BOX_ANY && use->gi != gi) ||
                (ci != BOX_ANY && use->ci != ci) || merge(use, s->pid, ret, MIN(n, room)))
                continue;
            if (n++ < room)
                ret[n - 1] = (struct box_process){s->pid, use->gi, use->ci, use->bytes};
        }
    }
    return n;
}
