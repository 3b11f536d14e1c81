/* Faults by count: the n-th operation of a kind fails, before or after it is done. */
#include "device/fault.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = FAULT_WAIT + 1 };

struct fault {
    struct device base;
    struct device *inner;
    unsigned done[CALLS];
    size_t rule_n;
    struct fault_rule rules[];
};

/* Counts one operation and returns the rule that meets it, NULL if none does; delays as it says. */
static const struct fault_rule *meet(struct fault *f, enum fault_call call)
{
    unsigned number = ++f->done[call];
    for (size_t i = 0; i < f->rule_n; i++) {
        const struct fault_rule *r = &f->rules[i];
        if (r->call != call || (r->nth && r->nth != number))
            continue;
        poll(NULL, 0, r->delay_ms);
        return r;
    }
    return NULL;
}

static bool fails(const struct fault_rule *r, bool after)
{
    return r && r->code != ERROR_OK && r->after == after;
}

static int injected(const struct fault_rule *r, struct error *err)
{
    return error_set(err, r->code, "a fault was injected here");
}

static int observe(struct device *d, struct machine *ret, struct error *err)
{
    struct fault *f = (struct fault *)d;
    const struct fault_rule *rule = meet(f, FAULT_OBSERVE);
    if (fails(rule, false))
        return injected(rule, err);
    int r = f->inner->ops->observe(f->inner, ret, err);
    return r == 0 && fails(rule, true) ? injected(rule, err) : r;
}

static int observe_gpu(struct device *d, const char *uuid, struct machine_gpu *ret,
                       struct error *err)
{
    struct fault *f = (struct fault *)d;
    const struct fault_rule *rule = meet(f, FAULT_OBSERVE_GPU);
    if (fails(rule, false))
        return injected(rule, err);
    int r = f->inner->ops->observe_gpu(f->inner, uuid, ret, err);
    return r == 0 && fails(rule, true) ? injected(rule, err) : r;
}

static int apply(struct device *d, const struct device_op *op, struct device_result *ret,
                 struct error *err)
{
    struct fault *f = (struct fault *)d;
    const struct fault_rule *rule = meet(f, FAULT_APPLY);
    if (fails(rule, false))
        return injected(rule, err);
    int r = f->inner->ops->apply(f->inner, op, ret, err);
    return r == 0 && fails(rule, true) ? injected(rule, err) : r;
}

static int processes(struct device *d, const char *uuid, struct device_process *ret, size_t cap,
                     size_t *ret_n, struct error *err)
{
    struct fault *f = (struct fault *)d;
    const struct fault_rule *rule = meet(f, FAULT_PROCESSES);
    if (fails(rule, false))
        return injected(rule, err);
    int r = f->inner->ops->processes(f->inner, uuid, ret, cap, ret_n, err);
    return r == 0 && fails(rule, true) ? injected(rule, err) : r;
}

static int wait_event(struct device *d, int timeout_ms, struct error *err)
{
    struct fault *f = (struct fault *)d;
    const struct fault_rule *rule = meet(f, FAULT_WAIT);
    if (fails(rule, false))
        return injected(rule, err);
    int r = f->inner->ops->wait(f->inner, timeout_ms, err);
    return r >= 0 && fails(rule, true) ? injected(rule, err) : r;
}

static struct device *free_fault(struct device *d)
{
    struct fault *f = (struct fault *)d;
    f->inner->ops->free(f->inner);
    free(f);
    return NULL;
}

static const struct device_ops ops = {
    .name = "fault",
    .observe = observe,
    .observe_gpu = observe_gpu,
    .apply = apply,
    .processes = processes,
    .wait = wait_event,
    .free = free_fault,
};

int fault_new(struct device *inner, const struct fault_rule *rules, size_t n, struct device **ret,
              struct error *err)
{
    struct fault *f = calloc(1, sizeof *f + n * sizeof *rules);
    if (!f)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu faults", n);
    f->base.ops = &ops;
    f->inner = inner;
    f->rule_n = n;
    if (n)
        memcpy(f->rules, rules, n * sizeof *rules);
    *ret = &f->base;
    return 0;
}
