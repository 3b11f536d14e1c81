/* Settings and errors of an emulated GPU; see box_state.h. */
#include "emul/box_state.h"

#include "emul/box.h"

#include <string.h>

enum { XID_ROW_REMAP = 63, XID_CONTAINED = 94 };

void box_state_start(struct box_state *s)
{
    /* Persistence mode: an emulated driver stays loaded without clients, so it begins as on. */
    *s = (struct box_state){.persistence = true, .ecc = true, .ecc_pending = true};
}

void box_state_reset(struct box_state *s)
{
    s->ecc = s->ecc_pending;
    s->remap_pending = false;
    s->lock_min = s->lock_max = s->lock_memory_min = s->lock_memory_max = 0;
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned place = 0; place < 2; place++)
            s->ecc_n[kind][place][BOX_ECC_VOLATILE] = 0;
    memset(s->ecc_gi, 0, sizeof s->ecc_gi);
}

void box_state_keep(struct box_state *s, const struct box_state *old)
{
    s->ecc = s->ecc_pending = old->ecc_pending;
    s->remapped[0] = old->remapped[0];
    s->remapped[1] = old->remapped[1];
    s->remap_failed = old->remap_failed;
    for (unsigned kind = 0; kind < 2; kind++)
        for (unsigned place = 0; place < 2; place++)
            s->ecc_n[kind][place][BOX_ECC_AGGREGATE] = old->ecc_n[kind][place][BOX_ECC_AGGREGATE];
}

void box_ecc(struct box *b, unsigned gpu, int gi, enum box_ecc_kind kind, enum box_ecc_place place,
             uint64_t n)
{
    if (gpu >= b->m.gpu_n || n == 0)
        return;
    struct box_state *s = &b->state[gpu];
    s->ecc_n[kind][place][BOX_ECC_VOLATILE] += n;
    s->ecc_n[kind][place][BOX_ECC_AGGREGATE] += n;
    if (kind == BOX_ECC_CORRECTED)
        return;
    const struct machine_gi *instance = gi == BOX_ANY ? NULL : box_gi(b, gpu, gi);
    if (instance && place == BOX_ECC_SRAM)
        s->ecc_gi[gi] += n;
    if (place == BOX_ECC_DRAM) {
        s->remapped[kind] += (uint32_t)MIN(n, 512);
        s->remap_pending = true;
        box_xid(b, gpu, BOX_ANY, BOX_ANY, XID_ROW_REMAP);
    }
    box_xid(b, gpu, instance ? gi : BOX_ANY,
            instance && instance->ci_n > 0 ? instance->cis[0].id : BOX_ANY, XID_CONTAINED);
}
