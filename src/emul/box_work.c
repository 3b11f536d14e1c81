/* The books of work: see box_work.h. */
#include "emul/box.h"

#include "base/str.h"

bool box_work_at(const struct box_session *s, unsigned *ret_gpu, int *ret_gi, int *ret_ci)
{
    for (unsigned i = 0; i < s->use_n; i++) {
        if (!s->uses[i].work)
            continue;
        *ret_gpu = (unsigned)s->uses[i].gpu;
        *ret_gi = s->uses[i].gi;
        *ret_ci = s->uses[i].ci;
        return true;
    }
    return false;
}

/* How many other sessions take turns with this one on its device at the moment. */
static unsigned in_turn(const struct box *b, const struct box_session *mine, int64_t now)
{
    unsigned gpu = 0, at = 0, n = 0;
    int gi = BOX_ANY, ci = BOX_ANY, at_gi, at_ci;
    (void)box_work_at(mine, &gpu, &gi, &ci);
    for (const struct box_session *s = b->first; s; s = s->next)
        n += s != mine && s->work.until > now && !s->work.mps &&
             box_work_at(s, &at, &at_gi, &at_ci) && at == gpu && at_gi == gi && at_ci == ci;
    return n;
}

bool box_work_run(struct box *b, struct box_session *s, int64_t now, int64_t ns, int64_t until,
                  bool mps, const char *name)
{
    unsigned gpu = 0;
    int gi, ci;
    if (!box_work_at(s, &gpu, &gi, &ci))
        return false;
    s->work.until = until;
    s->work.mps = mps;
    (void)str_copy(s->work.name, sizeof s->work.name, name);
    meter_add(&s->work.meter, now, mps ? ns : ns / (1 + in_turn(b, s, now)));
    meter_add(&b->busy[gpu], now, ns);
    return true;
}

unsigned box_work_others(struct box *b, unsigned gpu, const struct box_session *except, int64_t now,
                         struct box_worker *ret, unsigned room)
{
    unsigned n = 0, at = 0;
    for (const struct box_session *s = b->first; s; s = s->next) {
        struct box_worker w = {.pid = s->pid, .running = s->work.until > now, .mps = s->work.mps};
        if (s == except || !s->work.name[0] || !box_work_at(s, &at, &w.gi, &w.ci) || at != gpu)
            continue;
        const struct machine_gi *gi = w.gi == BOX_ANY ? NULL : box_gi(b, gpu, w.gi);
        w.compute = gi ? box_board(b, gpu)->profiles[gi->profile].compute : 0;
        w.busy_ppt = meter_ppt(&s->work.meter, now);
        (void)str_copy(w.name, sizeof w.name, s->work.name);
        if (n++ < room)
            ret[n - 1] = w;
    }
    return n;
}

unsigned box_work_busy(const struct box *b, unsigned gpu, int64_t now)
{
    return meter_ppt(&b->busy[gpu], now);
}
