/* Sentences from rows: each claim with its figure here and the condition under which it holds. */
#include "compare/inside.h"

#include "base/macro.h"
#include "base/time.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum verdict { NO, PARTLY, YES };

static const char *const words[] = {"no", "partly", "yes"};

static const char *const claims[COMPARE_CLAIMS] = {
    "utilisation",         "guaranteed service", "isolation",
    "flexible deployment", "number of users",    "inference with small models"};

static void give(struct compare_verdict *v, enum verdict holds, const char *condition)
{
    v->holds = words[holds];
    (void)snprintf(v->condition, sizeof v->condition, "%s", condition);
}

/* GPUs that a way needs, for a sentence. */
static const char *gpus_of(const struct compare_row *r, char buf[32])
{
    if (r->why_not[0])
        return "none would do";
    (void)snprintf(buf, 32, "%u GPU%s", r->gpus, r->gpus == 1 ? "" : "s");
    return buf;
}

/* When the last job ends, for a sentence. */
enum { ENDS = TIME_TEXT + 8 };
static const char *ends(const struct compare_jobs *j, char buf[ENDS])
{
    char time[TIME_TEXT];
    (void)snprintf(buf, ENDS, j->known ? "after %s" : "never%.0s",
                   time_format((int64_t)(j->makespan + 0.5) * TIME_S, time));
    return buf;
}

static bool can(const struct compare_row *r)
{
    return !r->why_not[0] && r->gpus > 0;
}

static void utilisation(const struct compare_system *s, struct compare_verdict *v)
{
    const struct compare_row *w = &s->rows[COMPARE_WHOLE], *f = &s->rows[COMPARE_FETTA];
    const struct compare_row *m = &s->rows[COMPARE_MPS];
    char a[32], b[32], c[32];
    bool gain = can(f) && (!can(w) || f->gpus < w->gpus);
    bool mps = can(m) && can(f) && m->gpus <= f->gpus;
    (void)snprintf(v->figure, sizeof v->figure,
                   "%s with slices, %s with a whole GPU for each, %s under MPS; SMs busy %.0f, "
                   "%.0f and %.0f %%",
                   gpus_of(f, a), gpus_of(w, b), gpus_of(m, c), 100 * MAX(f->utilisation, 0),
                   100 * MAX(w->utilisation, 0), 100 * MAX(m->utilisation, 0));
    if (!can(f) && !can(w))
        give(v, NO, "neither slices nor whole GPUs serve this work in time");
    else if (!gain)
        give(v, NO,
             "this work fills whole GPUs, or is too little for it to matter: slices save none");
    else if (mps)
        give(v, PARTLY,
             "the gain is that of sharing, not of MIG: MPS needs no more, without the isolation");
    else
        give(
            v, YES,
            "as long as one server does not fill a GPU; cut in seven, an A100 does 0.80 to 0.97 of "
            "what it does in one piece (MLPerf v1.1)");
}

static void service(const struct needs *n, const struct compare_system *s,
                    struct compare_verdict *v)
{
    const struct compare_row *f = &s->rows[COMPARE_FETTA], *t = &s->rows[COMPARE_TURNS];
    const struct compare_row *m = &s->rows[COMPARE_MPS];
    double worst = 1;
    char a[32];
    for (unsigned i = 0; i < n->n && can(f); i++) {
        struct work_place p = work_place(s->board, f->services[i].profile, 0);
        struct work_around full = {.other_busy = (unsigned)MAX(p.of_compute - p.compute, 0)};
        if (!n->all[i].job && n->all[i].work.model >= 0)
            worst = fmax(worst, work_cost(&n->all[i].work, &p, 1, false, &full).factor);
    }
    if (!can(f)) {
        (void)snprintf(v->figure, sizeof v->figure, "no slices serve this work in time");
        give(v, NO, "with these targets");
        return;
    }
    unsigned i = f->tight;
    size_t at =
        (size_t)snprintf(v->figure, sizeof v->figure,
                         "%s: p99 %.3g ms on its slice (%s), at most %.1f %% of it from busy "
                         "neighbours",
                         n->all[i].name, f->services[i].p99, gpus_of(f, a), 100 * (worst - 1));
    if (can(m))
        at += (size_t)snprintf(v->figure + at, sizeof v->figure - at, "; %.3g ms under MPS (%s)",
                               m->services[i].p99, gpus_of(m, a));
    if (can(t) && t->apart)
        (void)snprintf(v->figure + at, sizeof v->figure - at,
                       "; taking turns they would be late unless each has GPUs of its own");
    else if (can(t))
        (void)snprintf(v->figure + at, sizeof v->figure - at, "; %.3g ms taking turns (%s)",
                       t->services[i].p99, gpus_of(t, a));
    give(v, worst < 1.1 ? YES : PARTLY,
         "for SMs, caches and memory; not for power and clock, copies over PCIe (4 times as long "
         "beside a neighbour that copies, AI-RAN study), nor the host");
}

static void deployment(const struct compare_system *s, struct compare_verdict *v)
{
    const struct compare_row *f = &s->rows[COMPARE_FETTA], *x = &s->rows[COMPARE_STATIC];
    char a[ENDS], b[ENDS];
    bool better = can(f) && (!can(x) || f->gpus < x->gpus);
    if (f->jobs.known && f->gpus == 0) {
        better = !x->jobs.known || f->jobs.makespan < x->jobs.makespan * 0.99;
        (void)snprintf(v->figure, sizeof v->figure,
                       "all jobs end %s with sizes mixed, %s with the best single size; a slice is "
                       "made and removed in 0.26 s (A30, FAR scheduler)",
                       ends(&f->jobs, a), ends(&x->jobs, b));
        give(v, better ? YES : PARTLY, "a GPU is cut anew only where it is empty");
        return;
    }
    (void)snprintf(
        v->figure, sizeof v->figure,
        "sizes mixed: %s; the best single size: %s; a slice is made and removed in 0.26 s "
        "(A30, FAR scheduler)",
        gpus_of(f, a), gpus_of(x, b));
    give(v, better ? YES : PARTLY,
         better ? "a GPU is cut anew only where it is empty"
                : "for this work one size does as well; sizes on demand pay when the mix changes");
}

static void users(const struct compare_system *s, struct compare_verdict *v)
{
    const struct compare_row *f = &s->rows[COMPARE_FETTA];
    const struct board *b = s->board;
    const struct profile *least = &b->profiles[0];
    for (unsigned p = 1; p < b->profile_n; p++)
        if (b->profiles[p].mib < least->mib)
            least = &b->profiles[p];
    double lost = 100 - 100.0 * least->sms * f->users / s->gpus / b->sms;
    (void)snprintf(
        v->figure, sizeof v->figure,
        "%u at once on %u GPUs, each with %.1f GiB and %u SMs; %.1f %% of the SMs are in "
        "no slice then",
        f->users, s->gpus, least->mib / 1024.0, least->sms, lost);
    give(v, YES, "if so little memory is enough for each");
}

static void small(const struct needs *n, const struct compare_system *s, struct compare_verdict *v)
{
    const struct compare_row *f = &s->rows[COMPARE_FETTA], *w = &s->rows[COMPARE_WHOLE];
    double most = 0;
    unsigned which = n->n;
    for (unsigned i = 0; i < n->n; i++)
        if (!n->all[i].job && f->services[i].alone > 0 && w->services[i].alone > 0 &&
            f->services[i].alone / w->services[i].alone > most) {
            most = f->services[i].alone / w->services[i].alone;
            which = i;
        }
    if (which == n->n) {
        (void)snprintf(v->figure, sizeof v->figure, "there is no service that both serve");
        give(v, NO, "for this work");
        return;
    }
    bool fewer = can(f) && can(w) && f->gpus < w->gpus;
    (void)snprintf(v->figure, sizeof v->figure,
                   "%s: one request alone takes %.3g ms on its slice and %.3g ms on the whole GPU, "
                   "%.1f times as long",
                   n->all[which].name, f->services[which].alone, w->services[which].alone, most);
    give(v, fewer ? (most < 1.3 ? YES : PARTLY) : NO,
         fewer ? "many small models fit a GPU and keep their targets, but a slice is not quicker "
                 "than the whole, save by what measurements scatter"
               : "slices save no GPU here, and each request takes longer");
}

static void only_jobs(const struct compare_system *s, struct compare_verdict *v)
{
    const struct compare_jobs *w = &s->rows[COMPARE_WHOLE].jobs, *f = &s->rows[COMPARE_FETTA].jobs;
    bool gain = f->known && (!w->known || f->makespan < w->makespan);
    char a[ENDS], b[ENDS];
    (void)snprintf(v->figure, sizeof v->figure, "all jobs end %s in slices and %s on whole GPUs",
                   ends(f, a), ends(w, b));
    give(v, gain ? YES : NO, "where a job takes no less time on a whole GPU than on its slice");
}

void compare_judge(const struct needs *n, const struct compare_system *s,
                   struct compare_verdict ret[COMPARE_CLAIMS])
{
    for (unsigned i = 0; i < COMPARE_CLAIMS; i++) {
        ret[i] = (struct compare_verdict){.claim = claims[i]};
        (void)snprintf(ret[i].figure, sizeof ret[i].figure, "this GPU has no MIG");
        give(&ret[i], NO, "its ways of sharing are MPS and time slicing");
    }
    if (s->board->memory_slices == 0)
        return;
    bool services = false;
    for (unsigned i = 0; i < n->n; i++)
        services = services || !n->all[i].job;
    if (services) {
        utilisation(s, &ret[0]);
        service(n, s, &ret[1]);
        small(n, s, &ret[5]);
    } else {
        for (unsigned i = 1; i < COMPARE_CLAIMS; i += 4) {
            (void)snprintf(ret[i].figure, sizeof ret[i].figure, "there is no service in this work");
            give(&ret[i], PARTLY, "claim 1 has what there is to say about jobs");
        }
        only_jobs(s, &ret[0]);
    }
    (void)snprintf(ret[2].figure, sizeof ret[2].figure,
                   "memory, SMs and faults are kept apart by the hardware; a channel of 31 kbit/s "
                   "between slices is published (TunneLs, CCS'23)");
    give(
        &ret[2], PARTLY,
        "enough against accidents and greedy neighbours; not against somebody who measures timing. "
        "MPS and time slicing isolate less");
    deployment(s, &ret[3]);
    users(s, &ret[4]);
}

/* The way with the fewest GPUs; NULL: none does. */
static const struct compare_row *fewest(const struct compare_system *s)
{
    const struct compare_row *best = NULL;
    for (unsigned i = 0; i < COMPARE_WAYS; i++) {
        const struct compare_row *r = &s->rows[i];
        if (can(r) && (!best || r->gpus < best->gpus))
            best = r;
    }
    return best;
}

static void advise_without(const struct needs *n, const struct compare_system *s,
                           char ret[COMPARE_TEXT])
{
    const char *what = "Only jobs: the way in which all end first is the one to take.";
    const struct compare_row *first = NULL;
    for (unsigned i = 0; i < n->n; i++)
        if (!n->all[i].job)
            what = NULL;
    if (!what) {
        (void)snprintf(ret, COMPARE_TEXT, "No way of sharing serves this work in time here: %s.",
                       s->rows[COMPARE_WHOLE].why_not);
        return;
    }
    for (unsigned i = 0; i < COMPARE_WAYS; i++) {
        const struct compare_row *r = &s->rows[i];
        if (r->jobs.known && (!first || r->jobs.makespan < first->jobs.makespan))
            first = r;
    }
    (void)snprintf(ret, COMPARE_TEXT, "%s%s%s", what, first ? " Here: " : "",
                   first ? compare_way_name(first->way) : "");
}

/* Slices and at least one other way serve it, and the GPUs are enough. */
static void advise_slices(const struct needs *n, const struct compare_system *s,
                          const struct compare_row *best, char ret[COMPARE_TEXT])
{
    const struct compare_row *f = &s->rows[COMPARE_FETTA], *m = &s->rows[COMPARE_MPS];
    char a[32];
    if (best->gpus < f->gpus)
        (void)snprintf(ret, COMPARE_TEXT,
                       "Partition only if users must not disturb each other: slices take %s where "
                       "%s takes %u, which protects nobody from the others' faults, memory or "
                       "load.",
                       gpus_of(f, a), compare_way_name(best->way), best->gpus);
    else if (can(m) && m->gpus == f->gpus)
        (void)snprintf(ret, COMPARE_TEXT,
                       "Partition if users must not disturb each other: slices serve this work "
                       "with %s. MPS needs no more (%s: p99 %.3g ms instead of %.3g), but protects "
                       "nobody from the others' faults, memory or load.",
                       gpus_of(f, a), n->all[f->tight].name, m->services[f->tight].p99,
                       f->services[f->tight].p99);
    else
        (void)snprintf(ret, COMPARE_TEXT,
                       "Partition: slices serve this work with %s, and no other way with as few.",
                       gpus_of(f, a));
}

void compare_advise(const struct needs *n, const struct compare_system *s, char ret[COMPARE_TEXT])
{
    const struct compare_row *w = &s->rows[COMPARE_WHOLE], *f = &s->rows[COMPARE_FETTA];
    const struct compare_row *m = &s->rows[COMPARE_MPS], *best = fewest(s);
    char a[32];
    if (!best)
        advise_without(n, s, ret);
    else if (best->gpus > s->gpus)
        (void)snprintf(ret, COMPARE_TEXT,
                       "Not enough GPUs: the fewest are %u (%s), and there %s %u, which serve%s "
                       "%.0f %% of the rates.",
                       best->gpus, compare_way_name(best->way), s->gpus == 1 ? "is" : "are",
                       s->gpus, s->gpus == 1 ? "s" : "", 100 * best->part);
    else if (s->board->memory_slices == 0)
        (void)snprintf(ret, COMPARE_TEXT,
                       "This cannot be partitioned: there is no MIG. The fewest GPUs: %s (%s).",
                       compare_way_name(best->way), gpus_of(best, a));
    else if (!can(f) || (can(w) && w->gpus <= f->gpus))
        (void)snprintf(ret, COMPARE_TEXT,
                       "Do not partition: whole GPUs serve this work with %s, and slices save none "
                       "of them%s.",
                       gpus_of(w, a),
                       can(m) && m->gpus < w->gpus ? "; MPS would save some, for one owner" : "");
    else
        advise_slices(n, s, best, ret);
}
