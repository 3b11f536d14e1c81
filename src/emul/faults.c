/* Matching calls against the rules of a plan, and the rules that hit by themselves. */
#include "emul/faults.h"

#include "base/macro.h"
#include "base/time.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

static_assert(sizeof(struct fault) ==
                  FAULTS_LABEL + 8 * FAULTS_WORDS + FAULTS_PROCESS + 88 + sizeof(struct latency),
              "no padding");
static_assert(sizeof(struct fault_plan) == 32, "no padding");

struct fault fault_any(void)
{
    return (struct fault){.uid = FAULTS_ANY,
                          .pid = FAULTS_ANY,
                          .gpu = FAULTS_ANY,
                          .gi = FAULTS_ANY,
                          .ci = FAULTS_ANY,
                          .nth = 1,
                          .every = 1,
                          .chance = FAULTS_ALWAYS,
                          .lasts = TIME_NEVER};
}

void fault_set_call(struct fault *f, uint32_t call)
{
    f->calls[call / 64] |= UINT64_C(1) << call % 64;
}

bool fault_has_calls(const struct fault *f)
{
    for (unsigned i = 0; i < FAULTS_WORDS; i++)
        if (f->calls[i])
            return true;
    return false;
}

/* Effects that need a call to do something to. */
static bool is_of_call(uint32_t effect)
{
    return effect <= FAULT_HANG;
}

static bool ends_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_duration(int64_t ns)
{
    return ns >= 0 && ns <= LATENCY_MOST_S * TIME_S;
}

static bool has_good_times(const struct fault *f)
{
    return f->nth > 0 && f->every > 0 && f->chance <= FAULTS_ALWAYS && is_duration(f->after) &&
           is_duration(f->each) && (is_duration(f->lasts) || f->lasts == TIME_NEVER) &&
           latency_valid(&f->delay);
}

/* NULL, or what is wrong with a rule from outside. */
static const char *fault_wrong(const struct fault *f)
{
    if (!ends_text(f->label, FAULTS_LABEL) || !ends_text(f->process, FAULTS_PROCESS))
        return "a text without end";
    if (f->effect >= FAULT_EFFECTS)
        return "an effect that does not exist";
    if (is_of_call(f->effect) && !fault_has_calls(f))
        return "an effect on calls without a call";
    if (!has_good_times(f))
        return "a time or a count out of range";
    if ((f->effect == FAULT_FAIL || f->effect == FAULT_SPOIL) && f->code == 0)
        return "a refusal without a code";
    if (f->effect == FAULT_ECC && f->data >= FAULT_ECCS)
        return "an ECC error of no kind";
    return f->effect == FAULT_RELOAD && f->lasts == TIME_NEVER ? "a reload without an end" : NULL;
}

static void begin(struct faults *f, uint32_t i, int64_t now)
{
    const struct fault *rule = &f->rules[i];
    f->states[i] = (struct fault_state){
        .due = fault_has_calls(rule) ? TIME_NEVER : now + rule->after,
        .chance = {.state = f->seed * UINT64_C(0x9e3779b97f4a7c15) + i}};
}

int faults_load(struct faults *f, const void *plan, size_t size, uint32_t calls, int64_t now,
                struct error *err)
{
    struct fault_plan head;
    struct fault rule;
    const char *bytes = plan;
    if (size < sizeof head)
        return error_set(err, ERROR_INVALID, "the fault plan is cut off");
    memcpy(&head, bytes, sizeof head);
    if (head.magic != FAULT_PLAN_MAGIC || head.rule != sizeof rule || head.calls != calls)
        return error_set(err, ERROR_INVALID,
                         "the fault plan was made by another build; use programs of one build");
    if (head.n > FAULTS_MAX || size != sizeof head + head.n * sizeof rule ||
        head.latency > FAULT_LATENCY_BOARD)
        return error_set(err, ERROR_INVALID, "the fault plan is not whole");
    bytes += sizeof head;
    for (uint32_t i = 0; i < head.n; i++) {
        memcpy(&rule, bytes + i * sizeof rule, sizeof rule);
        const char *wrong = fault_wrong(&rule);
        if (wrong)
            return error_set(err, ERROR_INVALID, "the fault plan's rule %u has %s", i + 1, wrong);
    }
    f->seed = head.seed;
    f->since = now;
    f->n = head.n;
    memcpy(f->rules, bytes, head.n * sizeof rule);
    for (uint32_t i = 0; i < f->n; i++)
        begin(f, i, now);
    return 0;
}

bool faults_add(struct faults *f, const struct fault *rule, int64_t now)
{
    uint32_t at = f->n;
    for (uint32_t i = 0; i < f->n && f->n == FAULTS_MAX; i++)
        if (faults_spent(f, i, now))
            at = i;
    if (at == FAULTS_MAX || fault_wrong(rule))
        return false;
    f->n += at == f->n;
    f->rules[at] = *rule;
    /* Its time counts from the plan's, so that all rules read the same clock. */
    f->rules[at].after += now - f->since;
    begin(f, at, f->since);
    return true;
}

void faults_clear(struct faults *f)
{
    f->n = 0;
}

bool faults_spent(const struct faults *f, uint32_t rule, int64_t now)
{
    const struct fault *r = &f->rules[rule];
    const struct fault_state *s = &f->states[rule];
    if (!fault_has_calls(r))
        return s->due == TIME_NEVER;
    bool window = is_of_call(r->effect) && r->effect != FAULT_HANG && r->lasts != TIME_NEVER;
    return (r->times > 0 && s->hits >= r->times) ||
           (window && s->hits > 0 && now - s->first >= r->lasts);
}

bool faults_need_process(const struct faults *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->rules[i].process[0])
            return true;
    return false;
}

static bool fits(int64_t wanted, int64_t is)
{
    return wanted == FAULTS_ANY || wanted == is;
}

static bool matches(const struct fault *r, const struct fault_call *c)
{
    return c->call < FAULTS_CALLS && (r->calls[c->call / 64] >> c->call % 64 & 1) &&
           fits(r->gpu, c->gpu) && fits(r->gi, c->gi) && fits(r->ci, c->ci) &&
           fits(r->uid, c->uid) && fits(r->pid, c->pid) &&
           (!r->process[0] || fnmatch(r->process, c->process ? c->process : "", 0) == 0);
}

static bool by_chance(const struct fault *r, struct fault_state *s)
{
    return rng_below(&s->chance, FAULTS_ALWAYS) < r->chance;
}

/* Counts a match; true if it is one that hits. */
static bool is_turn(const struct fault *r, struct fault_state *s)
{
    s->seen++;
    return s->seen >= r->nth && (s->seen - r->nth) % r->every == 0 && by_chance(r, s);
}

static void hit(struct fault_state *s, int64_t now)
{
    if (s->hits++ == 0)
        s->first = now;
}

static int64_t plus(int64_t instant, int64_t ns)
{
    return ns == TIME_NEVER ? TIME_NEVER : instant + ns;
}

static void strike(struct fault_verdict *v, uint32_t rule, const struct fault *r,
                   const struct fault_call *c)
{
    if (v->strike_n < FAULTS_STRIKES)
        v->strikes[v->strike_n++] = (struct fault_strike){
            .rule = rule,
            .gpu = r->gpu == FAULTS_ANY ? c->gpu : r->gpu,
            .gi = r->gi == FAULTS_ANY ? c->gi : r->gi,
            .ci = r->ci == FAULTS_ANY ? c->ci : r->ci,
        };
}

static void judge(struct faults *f, uint32_t rule, const struct fault_call *c, int64_t now,
                  struct fault_verdict *v)
{
    const struct fault *r = &f->rules[rule];
    switch ((enum fault_effect)r->effect) {
    case FAULT_FAIL:
    case FAULT_SPOIL:
        v->code = r->code;
        v->spoil = r->effect == FAULT_SPOIL;
        break;
    case FAULT_DELAY:
        v->before += latency_draw(&r->delay, &f->states[rule].chance);
        break;
    case FAULT_LATE:
        v->after += latency_draw(&r->delay, &f->states[rule].chance);
        break;
    case FAULT_HANG:
        v->hang_until = MAX(v->hang ? v->hang_until : now, plus(now, r->lasts));
        v->hang = true;
        break;
    case FAULT_LOSE:
    case FAULT_XID:
    case FAULT_ECC:
    case FAULT_LEAK:
    case FAULT_RELOAD:
    case FAULT_RENUMBER:
    case FAULT_HOLES:
        strike(v, rule, r, c);
        break;
    case FAULT_EFFECTS:
        break;
    }
}

struct fault_verdict faults_take(struct faults *f, const struct fault_call *c, int64_t now)
{
    struct fault_verdict v = {0};
    for (uint32_t i = 0; i < f->n; i++) {
        const struct fault *r = &f->rules[i];
        bool decides = r->effect == FAULT_FAIL || r->effect == FAULT_SPOIL;
        if (!matches(r, c) || now < f->since + r->after || faults_spent(f, i, now) ||
            (decides && v.code) || !is_turn(r, &f->states[i]))
            continue;
        hit(&f->states[i], now);
        judge(f, i, c, now, &v);
    }
    return v;
}

int64_t faults_next(const struct faults *f)
{
    int64_t next = TIME_NEVER;
    for (uint32_t i = 0; i < f->n; i++)
        next = MIN(next, f->states[i].due);
    return next;
}

bool faults_run(struct faults *f, int64_t now, struct fault_strike *ret)
{
    for (uint32_t i = 0; i < f->n; i++) {
        const struct fault *r = &f->rules[i];
        struct fault_state *s = &f->states[i];
        while (s->due <= now) {
            bool hits = is_turn(r, s);
            if (hits)
                hit(s, now);
            bool more = r->each > 0 && (r->times == 0 || s->hits < r->times);
            s->due = more ? s->due + r->each : TIME_NEVER;
            if (!hits)
                continue;
            *ret = (struct fault_strike){i, r->gpu, r->gi, r->ci};
            return true;
        }
    }
    return false;
}
