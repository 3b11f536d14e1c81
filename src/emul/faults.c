/* Matching calls against fault rules. */
#include "emul/faults.h"

bool faults_add(struct faults *f, struct fault rule)
{
    if (f->n == FAULTS_MAX)
        return false;
    f->rules[f->n++] = rule;
    return true;
}

static bool matches(const struct fault *rule, unsigned call, int gpu, int gi)
{
    return rule->call == call && (rule->gpu == FAULTS_ANY || rule->gpu == gpu) &&
           (rule->gi == FAULTS_ANY || rule->gi == gi);
}

/* Takes one use of rule `i`; true if the rule is gone and the next one moved into its place. */
static bool use_up(struct faults *f, uint32_t i)
{
    if (f->rules[i].count == 0 || --f->rules[i].count > 0)
        return false;
    f->n--;
    for (uint32_t j = i; j < f->n; j++)
        f->rules[j] = f->rules[j + 1];
    return true;
}

struct fault_verdict faults_take(struct faults *f, unsigned call, int gpu, int gi)
{
    struct fault_verdict verdict = {0};
    for (uint32_t i = 0; i < f->n;) {
        struct fault rule = f->rules[i];
        if (!matches(&rule, call, gpu, gi) || (rule.code && verdict.code)) {
            i++;
            continue;
        }
        if (rule.code)
            verdict.code = rule.code;
        if (rule.after)
            verdict.after_ms += rule.delay_ms;
        else
            verdict.before_ms += rule.delay_ms;
        i += use_up(f, i) ? 0 : 1;
    }
    return verdict;
}
