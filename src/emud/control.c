/* Control requests; all but holding a device are the root's of the machine. */
#include "emud/control.h"

#include "base/log.h"
#include "base/str.h"
#include "base/time.h"

#include <stdlib.h>
#include <string.h>

static int add_fault(struct trouble *t, const struct emu_request *q)
{
    int call = answer_find(q->text);
    if (call < 0)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    struct fault rule = fault_any();
    fault_set_call(&rule, (uint32_t)call);
    rule.times = (uint32_t)q->arg[0];
    rule.gpu = (int16_t)(q->arg[1] & 0xffff);
    rule.gi = (int16_t)(q->arg[1] >> 16 & 0xffff);
    rule.code = (int32_t)q->arg[2];
    rule.delay.a = (int64_t)MIN(q->arg[3], UINT32_MAX) * TIME_MS;
    rule.effect = rule.code ? FAULT_FAIL : q->arg[1] >> 32 & 1 ? FAULT_LATE : FAULT_DELAY;
    (void)str_copy(rule.label, sizeof rule.label, q->text);
    return faults_add(&t->faults, &rule, trouble_now(t)) ? NVML_SUCCESS
                                                         : NVML_ERROR_INSUFFICIENT_RESOURCES;
}

/* The next piece; the last one makes the plan that of the machine. */
static int take_plan(struct trouble *t, struct control_plan *plan, const struct emu_request *q)
{
    struct error err = {0};
    size_t n = (size_t)MIN(q->arg[0], EMU_TEXT - 1);
    if (plan->n + n > FAULT_PLAN_MOST)
        return NVML_ERROR_INVALID_ARGUMENT;
    char *bytes = realloc(plan->bytes, plan->n + n + 1);
    if (!bytes)
        return NVML_ERROR_MEMORY;
    memcpy(bytes + plan->n, q->text, n);
    plan->bytes = bytes;
    plan->n += n;
    if (!q->arg[1])
        return NVML_SUCCESS;
    int r = trouble_load(t, plan->bytes, plan->n, &err);
    if (r < 0)
        log_warn("%s", err.text);
    free(plan->bytes);
    *plan = (struct control_plan){0};
    return r < 0 ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

static int show_rule(struct trouble *t, const struct emu_request *q, struct answer *a)
{
    const struct faults *f = &t->faults;
    a->head.count = f->n;
    if (q->arg[0] >= f->n)
        return NVML_SUCCESS;
    struct fault_state state = f->states[q->arg[0]];
    if (faults_spent(f, (uint32_t)q->arg[0], trouble_now(t)))
        state.due = -1;
    memcpy(a->data, &f->rules[q->arg[0]], sizeof f->rules[0]);
    memcpy(a->data + sizeof f->rules[0], &state, sizeof state);
    a->head.size = sizeof f->rules[0] + sizeof state;
    return NVML_SUCCESS;
}

static int move_clock(struct trouble *t, const struct emu_request *q, struct answer *a)
{
    if (q->arg[0] > (uint64_t)(3650 * TIME_DAY))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (q->arg[0])
        trouble_jump(t, (int64_t)q->arg[0]);
    struct emu_clock now = {trouble_now(t), (uint32_t)t->clock.kind, t->clock.factor};
    memcpy(a->data, &now, sizeof now);
    a->head.size = sizeof now;
    return NVML_SUCCESS;
}

static int reset(struct trouble *t, unsigned gpu)
{
    int status = (int)box_reset(t->box, gpu);
    if (status == NVML_SUCCESS)
        trouble_reset(t, gpu);
    return status;
}

static int privileged(struct trouble *t, struct control_plan *plan, const struct emu_request *q,
                      struct answer *a)
{
    switch (q->call) {
    case EMU_FAULT:
        return add_fault(t, q);
    case EMU_CLEAR:
        trouble_clear(t);
        return NVML_SUCCESS;
    case EMU_LOSE:
        return (int)box_lose(t->box, (unsigned)MIN(q->arg[0], MACHINE_GPUS));
    case EMU_RESET:
        return reset(t, (unsigned)MIN(q->arg[0], MACHINE_GPUS));
    case EMU_PLAN:
        return take_plan(t, plan, q);
    case EMU_RULE:
        return show_rule(t, q, a);
    case EMU_CLOCK:
        return move_clock(t, q, a);
    default: /* a number from outside, not an enum */
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    }
}

static int perform(struct trouble *t, struct box_session *s, struct control_plan *plan,
                   const struct emu_request *q, struct answer *a)
{
    if (q->call == EMU_OPEN && trouble_refuses(t, q->text))
        return NVML_ERROR_RESET_REQUIRED;
    if (q->call == EMU_OPEN)
        return (int)box_open(t->box, s, q->text, q->arg[0]);
    if (q->call == EMU_HOLD)
        return (int)box_hold(t->box, s, (unsigned)MIN(q->arg[0], MACHINE_GPUS),
                             (int)MIN(q->arg[1], BOARD_GIS + 1) - 1);
    return box_privileged(t->box, s) ? privileged(t, plan, q, a) : NVML_ERROR_NO_PERMISSION;
}

void control_answer(struct trouble *t, struct box_session *s, struct control_plan *plan,
                    const struct emu_request *q, struct answer *a)
{
    answer_start(a, q, 0);
    a->head.status = perform(t, s, plan, q, a);
}
