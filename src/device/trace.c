/* Logging around a device; the only place of this module that writes to the log on its own. */
#include "device/trace.h"

#include "base/log.h"
#include "base/time.h"

#include <stdlib.h>

struct trace {
    struct device base;
    struct device *inner;
};

static struct device *inner(struct device *d)
{
    return ((struct trace *)d)->inner;
}

static int done(const char *what, const char *on, int64_t start, int r, const struct error *err)
{
    log_debug("%s %s: %s, %lld us", what, on, r < 0 && err ? err->text : r < 0 ? "failed" : "done",
              (long long)((time_boot() - start) / TIME_US));
    return r;
}

static int observe(struct device *d, struct machine *ret, struct error *err)
{
    int64_t start = time_boot();
    int r = inner(d)->ops->observe(inner(d), ret, err);
    return done("observe", "machine", start, r, err);
}

static int observe_gpu(struct device *d, const char *uuid, struct machine_gpu *ret,
                       struct error *err)
{
    int64_t start = time_boot();
    int r = inner(d)->ops->observe_gpu(inner(d), uuid, ret, err);
    return done("observe", uuid, start, r, err);
}

static const char *op_name(const struct device_op *op)
{
    switch (op->kind) {
    case DEVICE_CREATE:
        return "create on";
    case DEVICE_DESTROY:
        return "destroy on";
    case DEVICE_SET_MODE:
        return op->mig_on ? "MIG on for" : "MIG off for";
    }
    return "?";
}

static int apply(struct device *d, const struct device_op *op, struct device_result *ret,
                 struct error *err)
{
    int64_t start = time_boot();
    int r = inner(d)->ops->apply(inner(d), op, ret, err);
    return done(op_name(op), op->gpu, start, r, err);
}

static int processes(struct device *d, const char *uuid, struct device_process *ret, size_t cap,
                     size_t *ret_n, struct error *err)
{
    int64_t start = time_boot();
    int r = inner(d)->ops->processes(inner(d), uuid, ret, cap, ret_n, err);
    return done("processes of", uuid, start, r, err);
}

static int wait_event(struct device *d, int timeout_ms, struct error *err)
{
    int64_t start = time_boot();
    int r = inner(d)->ops->wait(inner(d), timeout_ms, err);
    return done("wait for", r > 0 ? "event" : "nothing", start, r, err);
}

static struct device *free_trace(struct device *d)
{
    struct device *in = inner(d);
    in->ops->free(in);
    free(d);
    return NULL;
}

static const struct device_ops ops = {
    .name = "trace",
    .observe = observe,
    .observe_gpu = observe_gpu,
    .apply = apply,
    .processes = processes,
    .wait = wait_event,
    .free = free_trace,
};

int trace_new(struct device *wrapped, struct device **ret, struct error *err)
{
    struct trace *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, ERROR_NO_MEMORY, "no memory to trace a device");
    *t = (struct trace){.base.ops = &ops, .inner = wrapped};
    *ret = &t->base;
    return 0;
}
