/* The emulated driver's side of modelled work: it tells a program what device it has and who else
 * works on the same GPU, and writes down for how long. How long anything takes is the program's
 * business, which keeps tables of speed out of the driver. */
#include "emud/calls_work.h"

#include "base/str.h"
#include "emul/work.h"

#include <stdlib.h>
#include <string.h>

/* A UUID, or a GPU's index; "" is GPU 0. */
static bool find_device(struct box *b, const char *text, struct target *ret)
{
    char *end = NULL;
    unsigned long index = strtoul(text, &end, 10);
    *ret = (struct target){.gpu = (unsigned)index, .gi = BOX_ANY, .ci = BOX_ANY};
    if (!*text || (*end == '\0' && text[0] != '-'))
        return index < b->m.gpu_n;
    return box_find(b, text, &ret->gpu, &ret->gi, &ret->ci);
}

static int tell_device(struct ask *k)
{
    struct box *b = k->box;
    struct target at;
    if (!find_device(b, k->request->text, &at))
        return NVML_ERROR_NOT_FOUND;
    const struct machine_gpu *g = &b->m.gpus[at.gpu];
    if (g->health == MACHINE_LOST)
        return NVML_ERROR_GPU_IS_LOST;
    const struct board *board = box_board(b, at.gpu);
    const struct machine_gi *gi = at.gi == BOX_ANY ? NULL : box_gi(b, at.gpu, at.gi);
    const struct machine_ci *ci = gi ? box_ci(b, at.gpu, at.gi, at.ci) : NULL;
    struct work_place p = work_place(board, gi ? gi->profile : BOARD_NO_PROFILE, ci ? ci->sms : 0);
    struct emu_device d = {.gpu = at.gpu,
                           .gi = at.gi,
                           .ci = at.ci,
                           .sms = p.sms,
                           .board_sms = p.board_sms,
                           .slices = p.slices,
                           .of_slices = p.of_slices,
                           .compute = p.compute,
                           .of_compute = p.of_compute,
                           .plain = p.plain,
                           .mig = g->mig == MACHINE_MIG_ON,
                           .compute_mode = b->state[at.gpu].compute_mode};
    uint64_t used = 0;
    box_memory(b, at.gpu, at.gi, &d.total, &used);
    uint64_t kept = MIN(used + box_reserved(b, at.gpu, at.gi), d.total);
    d.free = d.total - kept;
    (void)str_copy(d.uuid, sizeof d.uuid, ci ? ci->uuid : g->uuid);
    (void)str_copy(d.board, sizeof d.board, board->name);
    if (gi)
        (void)board_profile_name(board, &board->profiles[gi->profile], d.profile);
    return answer_put(k, &d, sizeof d);
}

static int tell_neighbours(struct ask *k, unsigned gpu, int64_t now)
{
    struct box_worker found[EMU_NEIGHBOURS];
    unsigned n = box_work_others(k->box, gpu, k->session, now, found, EMU_NEIGHBOURS);
    for (unsigned i = 0; i < MIN(n, EMU_NEIGHBOURS); i++) {
        struct emu_neighbour e = {.pid = found[i].pid,
                                  .gi = found[i].gi,
                                  .ci = found[i].ci,
                                  .compute = found[i].compute,
                                  .running = found[i].running,
                                  .mps = found[i].mps,
                                  .busy_ppt = found[i].busy_ppt};
        (void)str_copy(e.name, sizeof e.name, found[i].name);
        (void)answer_put(k, &e, sizeof e);
    }
    k->answer->head.count = MIN(n, EMU_NEIGHBOURS);
    return NVML_SUCCESS;
}

static int take_work(struct ask *k, int64_t now)
{
    const struct emu_request *q = k->request;
    unsigned gpu = 0;
    int gi, ci;
    if (!box_work_at(k->session, &gpu, &gi, &ci))
        return NVML_ERROR_UNINITIALIZED;
    if (k->box->m.gpus[gpu].health == MACHINE_LOST)
        return NVML_ERROR_GPU_IS_LOST;
    int64_t ns = (int64_t)MIN(q->arg[0], (uint64_t)METER_STEP);
    int64_t seen = (int64_t)MIN(q->arg[1], 2 * (uint64_t)METER_STEP);
    (void)box_work_run(k->box, k->session, now, ns, now + seen, q->arg[2] & 1, q->text);
    return tell_neighbours(k, gpu, now);
}

bool calls_work_answer(struct box *b, struct box_session *s, const struct emu_request *q,
                       int64_t now, struct answer *ret)
{
    struct ask k = {.box = b, .session = s, .request = q, .answer = ret};
    if (q->call != EMU_DEVICE && q->call != EMU_WORK)
        return false;
    answer_start(ret, q, 0);
    ret->head.status = q->call == EMU_DEVICE ? tell_device(&k) : take_work(&k, now);
    return true;
}
