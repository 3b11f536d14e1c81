/* Planning measured: tables of layouts counted out (G1 of docs/placement.md), exact packing timed
 * and compared with first fit and others (G2), and services of a published data set put onto the
 * fewest GPUs (G6).
 *
 *     bench-plan [--data DIR]     DIR, or $FETTA_DATA: holds parvagpu-profiles, the profiles and
 *                                 scenarios of ParvaGPU (SC'24); without it G6 is left out
 *
 * Everything but the times is the same on every machine. */
#include "base/rng.h"
#include "bench/clock.h"
#include "bench/parva.h"
#include "plan/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 200, WANTED = 300, TIMED = 2001, BATCH = 200 };

static const uint64_t seed = 2026;

static void count_layouts(const char *name, const struct board *b, unsigned mask)
{
    unsigned maximal = 0, pareto;
    int64_t before = clock_now();
    struct table *t = table_new(b, mask);
    int64_t took = clock_now() - before;
    if (!t)
        return;
    for (unsigned id = 0; id < table_n(t); id++)
        maximal += table_maximal(t, id);
    (void)table_pareto(t, &pareto);
    printf("G1 %-34s %4u layouts, %2u maximal, %2u largest mixes, made in %.1f ms\n", name,
           table_n(t), maximal, pareto, (double)took / 1e6);
    table_free(t);
}

/* Instances in the order given, each onto the first GPU that takes it, at its lowest start. */
static uint32_t first_fit(const struct table *t, const uint8_t *wanted, unsigned n)
{
    uint32_t gpus = 0;
    unsigned *id = calloc(n, sizeof *id);
    for (unsigned i = 0; id && i < n; i++) {
        uint32_t g = 0;
        while (g < gpus && !table_starts(t, id[g], wanted[i]))
            g++;
        gpus += g == gpus;
        unsigned start = (unsigned)__builtin_ctz(table_starts(t, id[g], wanted[i]));
        id[g] = table_place(t, id[g], wanted[i], start);
    }
    free(id);
    return gpus;
}

/* The same instances, the largest first: by memory slices, then by compute slices. */
static void largest_first(const struct board *b, const struct pack_demand *d, uint8_t *ret)
{
    for (unsigned key = 256; key-- > 0;)
        for (unsigned p = 0; p < b->profile_n; p++) {
            uint32_t n = b->profiles[p].size * 16u + b->profiles[p].compute == key ? d->n[p] : 0;
            memset(ret, (int)p, n);
            ret += n;
        }
}

static void compare_packing(const struct board *b, const struct table *t, const struct pack *p)
{
    struct rng r = {seed};
    uint64_t best = 0, first = 0, decreasing = 0;
    for (unsigned set = 0; set < SETS; set++) {
        struct pack_demand d = {{0}};
        uint8_t wanted[WANTED];
        uint32_t gpus;
        for (unsigned i = 0; i < WANTED;) {
            unsigned k = rng_below(&r, b->profile_n);
            if (!(table_mask(t) >> k & 1))
                continue;
            wanted[i++] = (uint8_t)k;
            d.n[k]++;
        }
        if (pack_fewest(p, &d, &gpus, NULL, NULL) < 0)
            return;
        best += gpus;
        first += first_fit(t, wanted, WANTED);
        largest_first(b, &d, wanted);
        decreasing += first_fit(t, wanted, WANTED);
    }
    printf("G2 %d sets of %d instances on %s, seed %llu: first fit %.4f of the fewest GPUs, "
           "first fit with the largest first %.4f, exact 1\n",
           SETS, WANTED, b->name, (unsigned long long)seed, (double)first / (double)best,
           (double)decreasing / (double)best);
}

/* ns per answer, over demands of up to some 500 instances of each profile. */
static void time_packing(const struct board *b, const struct table *t, const struct pack *p)
{
    struct rng r = {seed};
    int64_t took[TIMED];
    char name[96];
    uint32_t sum = 0;
    for (unsigned i = 0; i < TIMED; i++) {
        struct pack_demand d = {{0}};
        for (unsigned k = 0; k < b->profile_n; k++)
            d.n[k] = table_mask(t) >> k & 1 ? rng_below(&r, 512) : 0;
        int64_t before = clock_now();
        for (unsigned n = 0; n < BATCH; n++) {
            uint32_t gpus = 0;
            (void)pack_fewest(p, &d, &gpus, NULL, NULL);
            sum += gpus;
            d.n[__builtin_ctz(table_mask(t))] ^= 1; /* another question each time */
        }
        took[i] = (clock_now() - before) / BATCH;
    }
    (void)snprintf(name, sizeof name, "G2 ns an answer, %s (%s), p50 p90 p99 n:", b->name,
                   sum ? "closed form" : "nothing");
    clock_print(name, took, TIMED);
}

static int serve_scenario(const char *dir, const struct parva_scenario *wanted, unsigned by,
                          unsigned scenario, const struct table *t, const struct pack *p)
{
    struct serve_service s[PARVA_MODELS] = {0};
    struct serve_plan *plan = malloc(sizeof *plan);
    unsigned n = 0, which;
    struct error err;
    for (unsigned m = 0; m < PARVA_MODELS; m++) {
        if (wanted->rate[m] <= 0)
            continue;
        s[n].rate = wanted->rate[m] * by;
        if (!parva_profile(dir, parva_models[m], wanted->target_ms[m], table_board(t),
                           table_mask(t), s[n++].per_slice))
            return -1;
    }
    int64_t before = clock_now();
    int rc = plan ? serve_fewest(p, t, s, n, plan, &which, &err) : -1;
    int64_t took = clock_now() - before;
    if (rc == 0)
        printf("G6 S%u x%-2u  %3u GPUs, at least %3u by prices (%.2f), %s, %.1f ms\n", scenario + 1,
               by, plan->gpus, plan->bound, plan->relax, plan->optimal ? "proved" : "NOT PROVED",
               (double)took / 1e6);
    free(plan);
    return rc;
}

static int serve(const char *dir, const struct table *t, const struct pack *p)
{
    static const unsigned times[] = {1, 10, 50};
    struct parva_scenario scenarios[PARVA_SCENARIOS];
    if (!dir) {
        printf("G6 LEFT OUT: it needs ParvaGPU's data; --data DIR or FETTA_DATA says where "
               "DIR/parvagpu-profiles is (github.com/MunQ-Lee/ParvaGPU_SC24: prof_data and SLO)\n");
        return 0;
    }
    if (!parva_scenarios(dir, scenarios)) {
        (void)fprintf(stderr, "bench-plan: %s has no parvagpu-profiles/SLO\n", dir);
        return 1;
    }
    for (unsigned i = 0; i < 3; i++)
        for (unsigned s = 0; s < PARVA_SCENARIOS; s++)
            if (serve_scenario(dir, &scenarios[s], times[i], s, t, p) < 0)
                return 1;
    return 0;
}

int main(int argc, char **argv)
{
    const struct board *a100 = board_find("a100-80"), *a30 = board_find("a30");
    const char *dir = argc == 3 && strcmp(argv[1], "--data") == 0 ? argv[2] : getenv("FETTA_DATA");
    if (argc != 1 && argc != 3) {
        (void)fprintf(stderr, "usage: bench-plan [--data DIR]\n");
        return 2;
    }
    count_layouts("a100-80, without 1g.20gb", a100, parva_mask(a100));
    count_layouts("a100-80", a100, table_plain(a100));
    count_layouts("h100-sxm", board_find("h100-sxm"), table_plain(board_find("h100-sxm")));
    count_layouts("a30", a30, table_plain(a30));
    struct table *t = table_new(a100, table_plain(a100));
    struct table *plain = table_new(a100, parva_mask(a100));
    struct pack *p = t ? pack_new(t) : NULL, *q = plain ? pack_new(plain) : NULL;
    int status = 1;
    if (p && q) {
        compare_packing(a100, t, p);
        time_packing(a100, t, p);
        status = serve(dir, plain, q);
    }
    pack_free(p);
    pack_free(q);
    table_free(t);
    table_free(plain);
    return status;
}
