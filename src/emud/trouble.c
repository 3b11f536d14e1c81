/* Carrying out what fault rules say; see trouble.h. */
#include "emud/trouble.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "emud/answer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { XID_UNCONTAINED = 95 };

int64_t trouble_now(const struct trouble *t)
{
    return clock_at(&t->clock, time_boot());
}

static void seed_latencies(struct trouble *t, uint64_t seed)
{
    for (unsigned i = 0; i < LATENCY_OPS; i++)
        t->rng[i].state = ~seed * UINT64_C(0x9e3779b97f4a7c15) + i;
}

void trouble_init(struct trouble *t, struct box *b, const struct clock *clock, uint64_t seed)
{
    t->box = b;
    t->log = -1;
    t->logged = b->event_n;
    t->clock = *clock;
    clock_start(&t->clock, time_boot());
    t->faults.since = trouble_now(t);
    t->faults.seed = seed;
    seed_latencies(t, seed);
}

/* A new file in the place of the old one: whoever reads it sees one or the other. */
static int write_clock(const struct trouble *t, struct error *err)
{
    char text[CLOCK_TEXT], part[4096];
    (void)snprintf(part, sizeof part, "%s.new", t->clock_file);
    AUTO_FD int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot write %s", part);
    (void)clock_write(&t->clock, text);
    int r = fd_write_all(fd, text, strlen(text), err);
    if (r == 0 && rename(part, t->clock_file) < 0)
        r = error_errno(err, ERROR_IO, errno, "cannot write %s", t->clock_file);
    return r;
}

int trouble_share_clock(struct trouble *t, const char *path, struct error *err)
{
    AUTO_FREE char *text = NULL;
    struct clock old;
    t->clock_file = path;
    if (fd_read_file(path, CLOCK_TEXT, &text, NULL, NULL) == 0 &&
        clock_read(text, &old, NULL) == 0 && old.kind == t->clock.kind &&
        old.factor == t->clock.factor)
        t->clock = old;
    return write_clock(t, err);
}

void trouble_jump(struct trouble *t, int64_t ns)
{
    struct error err;
    clock_advance(&t->clock, ns);
    if (t->clock_file && write_clock(t, &err) < 0)
        log_warn("%s; leases do not see the clock jump", err.text);
}

int trouble_load(struct trouble *t, const void *plan, size_t size, struct error *err)
{
    struct fault_plan head;
    int r = faults_load(&t->faults, plan, size, NVML_CALL_N, trouble_now(t), err);
    if (r < 0)
        return r;
    memcpy(&head, plan, sizeof head);
    if (head.latency != FAULT_LATENCY_KEEP)
        t->latency = head.latency == FAULT_LATENCY_BOARD;
    seed_latencies(t, head.seed);
    t->cleared = true;
    return 0;
}

int trouble_load_file(struct trouble *t, const char *path, struct error *err)
{
    AUTO_FREE char *bytes = NULL;
    size_t size = 0;
    int r = fd_read_file(path, FAULT_PLAN_MOST + 1, &bytes, &size, err);
    return r < 0 ? r : trouble_load(t, bytes, size, err);
}

static void free_leak(struct trouble *t, unsigned i)
{
    if (t->leak_until[i])
        box_leave(t->box, &t->leaks[i]);
    t->leak_until[i] = 0;
}

static void heal(struct trouble *t, unsigned gpu)
{
    t->mend[gpu] = 0;
    if (t->box->m.gpus[gpu].health == MACHINE_LOST)
        (void)box_reset(t->box, gpu);
}

/* Everything that rules did and that is still so is over, too; what they broke for good is not. */
void trouble_clear(struct trouble *t)
{
    faults_clear(&t->faults);
    for (unsigned i = 0; i < TROUBLE_LEAKS; i++)
        free_leak(t, i);
    for (unsigned gpu = 0; gpu < t->box->m.gpu_n; gpu++) {
        box_keep_indices(t->box, gpu, false);
        if (t->mend[gpu])
            heal(t, gpu);
    }
    t->cleared = true;
}

int trouble_log_to(struct trouble *t, const char *path, struct error *err)
{
    t->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return t->log < 0 ? error_errno(err, ERROR_IO, errno, "cannot write the kernel log %s", path)
                      : 0;
}

/* ---- what rules do ---- */

static void leak(struct trouble *t, const struct fault_strike *at, int64_t until)
{
    for (unsigned i = 0; i < TROUBLE_LEAKS; i++) {
        if (t->leak_until[i])
            continue;
        t->leaks[i] = (struct box_session){0};
        if (box_hold(t->box, &t->leaks[i], (unsigned)at->gpu, at->gi) != BOX_OK)
            return;
        t->leak_until[i] = until;
        box_enter(t->box, &t->leaks[i]);
        return;
    }
}

/* Programs at work where an uncorrectable error hit end, as those of CUDA do. */
static void end_work(struct trouble *t, int gpu, int gi, int ci)
{
    if (t->ended_n < FAULTS_STRIKES)
        t->ended[t->ended_n++] =
            (struct box_use){.gpu = (int16_t)gpu, .gi = (int16_t)gi, .ci = (int16_t)ci};
}

bool trouble_ended(const struct trouble *t, const struct box_session *s)
{
    for (unsigned i = 0; i < s->use_n; i++) {
        const struct box_use *use = &s->uses[i];
        for (unsigned k = 0; k < t->ended_n && use->work; k++) {
            const struct box_use *at = &t->ended[k];
            if (use->gpu == at->gpu && (at->gi == BOX_ANY || use->gi == at->gi) &&
                (at->ci == BOX_ANY || use->ci == at->ci))
                return true;
        }
    }
    return false;
}

static void hurt(struct trouble *t, const struct fault_strike *at, enum fault_ecc kind)
{
    unsigned gpu = (unsigned)at->gpu;
    switch (kind) {
    case FAULT_ECC_CORRECTED:
        box_ecc(t->box, gpu, at->gi, BOX_ECC_CORRECTED, BOX_ECC_DRAM, 1);
        return;
    case FAULT_ECC_CONTAINED:
        box_ecc(t->box, gpu, at->gi, BOX_ECC_UNCORRECTED, BOX_ECC_DRAM, 1);
        end_work(t, at->gpu, at->gi, at->ci);
        return;
    case FAULT_ECC_UNCONTAINED:
        box_ecc(t->box, gpu, BOX_ANY, BOX_ECC_UNCORRECTED, BOX_ECC_DRAM, 1);
        box_xid(t->box, gpu, BOX_ANY, BOX_ANY, XID_UNCONTAINED);
        end_work(t, at->gpu, BOX_ANY, BOX_ANY);
        t->sick |= UINT64_C(1) << gpu;
        return;
    case FAULT_ECCS:
        return;
    }
}

/* The minors of all GPUs move on by one, as enumeration in another order leaves them. */
static void renumber(struct box *b)
{
    uint32_t first = b->m.gpus[0].minor;
    for (unsigned i = 0; i + 1 < b->m.gpu_n; i++)
        b->m.gpus[i].minor = b->m.gpus[i + 1].minor;
    b->m.gpus[b->m.gpu_n - 1].minor = first;
}

static int64_t until(const struct trouble *t, int64_t lasts)
{
    return lasts == TIME_NEVER ? TIME_NEVER : trouble_now(t) + lasts;
}

static void carry_out(struct trouble *t, const struct fault_strike *at)
{
    const struct fault *r = &t->faults.rules[at->rule];
    bool here = at->gpu >= 0 && at->gpu < (int)t->box->m.gpu_n;
    if (r->effect == FAULT_RELOAD) {
        t->away = MAX(until(t, r->lasts), 1);
    } else if (r->effect == FAULT_RENUMBER) {
        renumber(t->box);
    } else if (!here) {
        return;
    } else if (r->effect == FAULT_LOSE) {
        (void)box_lose(t->box, (unsigned)at->gpu);
        t->mend[at->gpu] = r->lasts == TIME_NEVER ? 0 : until(t, r->lasts);
    } else if (r->effect == FAULT_XID) {
        box_xid(t->box, (unsigned)at->gpu, at->gi, at->ci, r->data);
    } else if (r->effect == FAULT_ECC) {
        hurt(t, at, (enum fault_ecc)r->data);
    } else if (r->effect == FAULT_HOLES) {
        box_keep_indices(t->box, (unsigned)at->gpu, true);
    } else if (r->effect == FAULT_LEAK) {
        leak(t, at, until(t, r->lasts));
    }
}

/* ---- calls ---- */

static const char *process_name(uint32_t pid, char buf[64])
{
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%u/comm", (unsigned)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, buf, 63);
    (void)fd_close(fd);
    buf[MAX(n, 0)] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return buf;
}

static enum latency_op operation(uint32_t call)
{
    switch (call) {
    case EMU_HELLO:
        return LATENCY_INIT;
    case EMU_RESET:
        return LATENCY_RESET;
    case NVML_CALL_nvmlDeviceCreateGpuInstance:
    case NVML_CALL_nvmlDeviceCreateGpuInstanceWithPlacement:
        return LATENCY_GI_CREATE;
    case NVML_CALL_nvmlGpuInstanceDestroy:
        return LATENCY_GI_DESTROY;
    case NVML_CALL_nvmlGpuInstanceCreateComputeInstance:
    case NVML_CALL_nvmlGpuInstanceCreateComputeInstanceWithPlacement:
        return LATENCY_CI_CREATE;
    case NVML_CALL_nvmlComputeInstanceDestroy:
        return LATENCY_CI_DESTROY;
    case NVML_CALL_nvmlDeviceSetMigMode:
        return LATENCY_MODE;
    default: /* all other calls only look */
        return LATENCY_QUERY;
    }
}

static int64_t latency_of(struct trouble *t, uint32_t call, int gpu)
{
    if (!t->latency || call == NVML_CALL_nvmlEventSetWait_v2)
        return 0;
    enum latency_op op = operation(call);
    struct latency l = latency_board(box_board(t->box, gpu < 0 ? 0 : (unsigned)gpu), op, NULL);
    return latency_draw(&l, &t->rng[op]);
}

struct fault_verdict trouble_take(struct trouble *t, const struct box_session *s,
                                  const struct emu_request *q)
{
    char name[64] = "";
    struct fault_call c = {.call = q->call == EMU_HELLO ? NVML_CALL_nvmlInit_v2 : q->call,
                           .gpu = FAULTS_ANY,
                           .gi = FAULTS_ANY,
                           .ci = FAULTS_ANY,
                           .uid = s->uid,
                           .pid = s->pid,
                           .process = name};
    if (q->call == EMU_RESET)
        c.gpu = (int)MIN(q->arg[0], MACHINE_GPUS);
    else if (q->call != EMU_HELLO)
        answer_about(t->box, q, &c.gpu, &c.gi, &c.ci);
    if (faults_need_process(&t->faults))
        (void)process_name(s->pid, name);
    struct fault_verdict v = {0};
    if (q->call <= EMU_HELLO)
        v = faults_take(&t->faults, &c, trouble_now(t));
    for (uint32_t i = 0; i < v.strike_n; i++)
        carry_out(t, &v.strikes[i]);
    v.before += latency_of(t, q->call, c.gpu < (int)t->box->m.gpu_n ? c.gpu : 0);
    return v;
}

int64_t trouble_run(struct trouble *t)
{
    struct fault_strike at;
    int64_t now = trouble_now(t), next;
    while (faults_run(&t->faults, now, &at))
        carry_out(t, &at);
    next = faults_next(&t->faults);
    for (unsigned gpu = 0; gpu < t->box->m.gpu_n; gpu++) {
        if (t->mend[gpu] && t->mend[gpu] <= now)
            heal(t, gpu);
        else if (t->mend[gpu])
            next = MIN(next, t->mend[gpu]);
    }
    for (unsigned i = 0; i < TROUBLE_LEAKS; i++) {
        if (t->leak_until[i] && t->leak_until[i] <= now)
            free_leak(t, i);
        else if (t->leak_until[i])
            next = MIN(next, t->leak_until[i]);
    }
    return next;
}

void trouble_reset(struct trouble *t, unsigned gpu)
{
    t->sick &= ~(UINT64_C(1) << gpu % 64);
    if (gpu < MACHINE_GPUS)
        t->mend[gpu] = 0;
}

bool trouble_refuses(struct trouble *t, const char *uuid)
{
    unsigned gpu = 0;
    int gi, ci;
    return t->sick && box_find(t->box, uuid, &gpu, &gi, &ci) && (t->sick >> gpu & 1);
}

void trouble_reload(struct trouble *t)
{
    for (unsigned i = 0; i < TROUBLE_LEAKS; i++)
        free_leak(t, i);
    for (unsigned gpu = 0; gpu < MACHINE_GPUS; gpu++)
        trouble_reset(t, gpu);
    box_reload(t->box);
}

/* ---- the kernel log ---- */

/* What the driver's own lines say after the number, where that is public. */
static const char *xid_text(uint64_t xid)
{
    static const struct {
        unsigned xid;
        const char *text;
    } texts[] = {
        {13, "Graphics Exception"},
        {31, "MMU Fault"},
        {43, "Reset Channel"},
        {45, "Preemptive Channel Removal"},
        {48, "DBE (double bit error)"},
        {63, "Row Remapper: New row marked for remapping, reset gpu to activate."},
        {64, "Row Remapper: Failed to remap row"},
        {79, "GPU has fallen off the bus."},
        {92, "High single-bit ECC error rate"},
        {94, "Contained memory error"},
        {95, "Uncontained memory error"},
        {119, "Timeout after 45s of waiting for RPC response from GSP"},
        {120, "GSP error"},
        {154, "GPU recovery action changed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].xid == xid)
            return texts[i].text;
    return "emulated";
}

static void log_event(struct trouble *t, const struct box_event *e)
{
    char line[256], where[40] = "";
    int64_t now = trouble_now(t);
    /* "00000000:0A:00.0" becomes "0000:0a:00", as the kernel module writes it. */
    const char *pci = t->box->m.gpus[e->gpu].pci;
    char bus[11];
    (void)snprintf(bus, sizeof bus, "%.10s", strlen(pci) > 12 ? pci + 4 : pci);
    for (char *at = bus; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    if (e->gi >= 0 && e->ci >= 0)
        (void)snprintf(where, sizeof where, " GPU-I:%02d GPU-CI:%02d", e->gi, e->ci);
    else if (e->gi >= 0)
        (void)snprintf(where, sizeof where, " GPU-I:%02d", e->gi);
    int n = snprintf(line, sizeof line, "[%5lld.%06lld] NVRM: Xid (PCI:%s%s): %llu, %s\n",
                     (long long)(now / TIME_S), (long long)(now % TIME_S / TIME_US), bus, where,
                     (unsigned long long)e->data, xid_text(e->data));
    (void)fd_write_all(t->log, line, (size_t)MIN(n, (int)sizeof line - 1), NULL);
}

void trouble_log(struct trouble *t)
{
    const struct box *b = t->box;
    if (t->log < 0 || b->event_n == t->logged)
        return;
    t->logged = MAX(t->logged, b->event_n - MIN(b->event_n, BOX_EVENTS));
    for (; t->logged < b->event_n; t->logged++)
        if (b->events[t->logged % BOX_EVENTS].kind == BOX_EVENT_XID)
            log_event(t, &b->events[t->logged % BOX_EVENTS]);
}
