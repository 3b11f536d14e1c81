/* Exact packing; see pack.h.
 *
 * HALVES: with moves free, M GPUs that are not one whole instance are M left halves (4 compute
 * slices on 4 memory slices) and M right halves (3 on 4). A 3g goes right first, as on the left it
 * wastes a compute slice; a 4g only fits left. What is left over holds pairs: two 2g or double 1g
 * in a left half; one 2g and a 1g, or a double 1g without loss, in a right one. HALVING: every
 * profile is half the next larger, so nothing is ever lost. */
#include "plan/pack.h"

#include "plan/mip.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

/* What a profile is in a form, by compute and memory slices. */
enum role { ROLE_1, ROLE_1_DOUBLE, ROLE_2, ROLE_3, ROLE_4, ROLE_ALL, ROLE_N, ROLE_NONE = ROLE_N };

struct pack {
    const struct table *table;
    enum pack_form form;
    uint8_t role[BOARD_PROFILES];
};

/* The demand as wide numbers, so that no sum can overflow. */
struct roles {
    int64_t n[ROLE_N];
};

static struct roles by_role(const struct pack *p, const struct pack_demand *d)
{
    struct roles r = {{0}};
    for (unsigned i = 0; i < BOARD_PROFILES; i++)
        if (p->role[i] < ROLE_N)
            r.n[p->role[i]] += d->n[i];
    return r;
}

static bool halves_hold(const struct roles *r, int64_t gpus)
{
    int64_t m = gpus - r->n[ROLE_ALL];
    int64_t right3 = MIN(r->n[ROLE_3], m);
    int64_t left = m - r->n[ROLE_4] - (r->n[ROLE_3] - right3);
    int64_t right = m - right3;
    if (m < 0 || left < 0 || right < 0)
        return false;
    int64_t doubles = r->n[ROLE_1_DOUBLE];
    int64_t right_doubles = MIN(doubles, right);
    int64_t pairs = 2 * left + right - r->n[ROLE_2] - (doubles - right_doubles);
    return pairs >= 0 && 2 * pairs + (right - right_doubles) >= r->n[ROLE_1];
}

static bool halving_holds(const struct roles *r, int64_t gpus)
{
    int64_t pairs = 2 * (gpus - r->n[ROLE_ALL]) - r->n[ROLE_2];
    return pairs >= 0 && 2 * pairs >= r->n[ROLE_1];
}

static bool form_holds(enum pack_form form, const struct roles *r, int64_t gpus)
{
    return form == PACK_HALVES ? halves_hold(r, gpus) : halving_holds(r, gpus);
}

static bool give_role(struct pack *p, unsigned profile, unsigned compute, unsigned size,
                      enum role role)
{
    const struct profile *f = &table_board(p->table)->profiles[profile];
    if (f->compute != compute || f->size != size)
        return false;
    p->role[profile] = (uint8_t)role;
    return true;
}

/* Gives every profile of the table a role of its own in a form; false if one has none. */
static bool give_roles(struct pack *p, enum pack_form form)
{
    unsigned given = 0;
    const struct board *b = table_board(p->table);
    unsigned all = form == PACK_HALVES ? 7 : 4, slices_all = form == PACK_HALVES ? 8 : 4;
    memset(p->role, ROLE_NONE, sizeof p->role);
    for (unsigned i = 0; i < b->profile_n; i++) {
        if (!(table_mask(p->table) >> i & 1))
            continue;
        bool known = give_role(p, i, 1, 1, ROLE_1) || give_role(p, i, 2, 2, ROLE_2) ||
                     give_role(p, i, all, slices_all, ROLE_ALL);
        if (form == PACK_HALVES)
            known = known || give_role(p, i, 1, 2, ROLE_1_DOUBLE) ||
                    give_role(p, i, 3, 4, ROLE_3) || give_role(p, i, 4, 4, ROLE_4);
        if (!known || given >> p->role[i] & 1)
            return false;
        given |= 1u << p->role[i];
    }
    return true;
}

/* A demand of at most one GPU as a number, for the set of those that some layout holds. */
enum { DIGIT = 9, DEMANDS = DIGIT * DIGIT * DIGIT * DIGIT * DIGIT * DIGIT };

static unsigned digits(const struct roles *r)
{
    unsigned key = 0;
    for (unsigned i = 0; i < ROLE_N; i++)
        key = key * DIGIT + (unsigned)r->n[i];
    return key;
}

/* The roles that the table has. */
static unsigned roles_there(const struct pack *p)
{
    unsigned there = 0;
    for (unsigned i = 0; i < BOARD_PROFILES; i++)
        if (p->role[i] < ROLE_N)
            there |= 1u << p->role[i];
    return there;
}

/* Whether the form says of one GPU exactly what the table says, over every demand there is. */
static bool form_proved(const struct pack *p, enum pack_form form)
{
    AUTO_FREE uint8_t *held = calloc(DEMANDS, 1);
    unsigned there = roles_there(p);
    if (!held)
        return false;
    for (unsigned id = 0; id < table_n(p->table); id++) {
        struct pack_demand d = {{0}};
        const struct layout *l = table_layout(p->table, id);
        for (unsigned i = 0; i < l->n; i++)
            d.n[l->at[i].profile]++;
        struct roles r = by_role(p, &d);
        held[digits(&r)] = 1;
    }
    for (unsigned key = 0; key < DEMANDS; key++) {
        struct roles r = {{0}};
        unsigned rest = key, used = 0;
        for (unsigned i = ROLE_N; i-- > 0; rest /= DIGIT) {
            r.n[i] = rest % DIGIT;
            used |= r.n[i] ? 1u << i : 0;
        }
        if (!(used & ~there) && form_holds(form, &r, 1) != (held[key] != 0))
            return false;
    }
    return true;
}

struct pack *pack_new(const struct table *t)
{
    struct pack *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->table = t;
    p->form = PACK_SEARCH;
    for (enum pack_form form = PACK_HALVES; form <= PACK_HALVING; form++) {
        if (p->form == PACK_SEARCH && give_roles(p, form) && form_proved(p, form))
            p->form = form;
        if (p->form == form)
            break;
    }
    return p;
}

struct pack *pack_free(struct pack *p)
{
    free(p);
    return NULL;
}

enum pack_form pack_form(const struct pack *p)
{
    return p->form;
}

bool pack_holds(const struct pack *p, const struct pack_demand *d, uint32_t gpus)
{
    struct roles r = by_role(p, d);
    return form_holds(p->form, &r, gpus);
}

static uint32_t over(uint64_t asked, uint64_t of_one)
{
    return of_one ? (uint32_t)((asked + of_one - 1) / of_one) : 0;
}

uint32_t pack_simple_bound(const struct board *b, const struct pack_demand *d)
{
    uint64_t compute = 0, memory = 0;
    for (unsigned i = 0; i < b->profile_n; i++) {
        compute += (uint64_t)d->n[i] * b->profiles[i].compute;
        memory += (uint64_t)d->n[i] * b->profiles[i].size;
    }
    return MAX(over(compute, b->compute_slices), over(memory, b->memory_slices));
}

/* More GPUs never hold less, so the fewest lie where a bisection ends. */
static uint32_t fewest_by_form(const struct pack *p, const struct pack_demand *d)
{
    struct roles r = by_role(p, d);
    int64_t low = pack_simple_bound(table_board(p->table), d), high = 0;
    if (form_holds(p->form, &r, low))
        return (uint32_t)low;
    for (unsigned i = 0; i < ROLE_N; i++)
        high += r.n[i];
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (form_holds(p->form, &r, middle))
            high = middle;
        else
            low = middle;
    }
    return (uint32_t)high;
}

/* The program: at least this many of each profile, over GPUs cut to Pareto mixes. A GPU cut to a
 * mix holds every smaller one, so no other layouts are needed. */
static int solve(const struct pack *p, const struct pack_demand *d, uint32_t *ret_gpus,
                 uint32_t *ret_mixes, struct error *err)
{
    unsigned n;
    const struct table_mix *mixes = table_pareto(p->table, &n);
    AUTO_FREE double *a = calloc((size_t)BOARD_PROFILES * n, sizeof *a);
    AUTO_FREE double *one = calloc(n, sizeof *one);
    AUTO_FREE struct mip_result *r = malloc(sizeof *r);
    double b[BOARD_PROFILES];
    if (!a || !one || !r)
        return error_set(err, ERROR_NO_MEMORY, "no memory for the plan");
    for (unsigned i = 0; i < BOARD_PROFILES; i++) {
        b[i] = d->n[i];
        for (unsigned j = 0; j < n; j++)
            a[i * n + j] = mixes[j].n[i];
    }
    for (unsigned j = 0; j < n; j++)
        one[j] = 1;
    struct mip m = {
        .rows = BOARD_PROFILES, .cols = n, .a = a, .b = b, .c = one, .whole_cost = true};
    int rc = mip_solve(&m, r, err);
    if (rc < 0)
        return rc;
    if (r->state != MIP_OPTIMAL)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the search for the fewest GPUs found no end; ask for fewer at once");
    *ret_gpus = (uint32_t)r->cost;
    for (unsigned j = 0; ret_mixes && j < n; j++)
        ret_mixes[j] = (uint32_t)r->x[j];
    return 0;
}

int pack_fewest(const struct pack *p, const struct pack_demand *d, uint32_t *ret_gpus,
                uint32_t *ret_mixes, struct error *err)
{
    for (unsigned i = 0; i < BOARD_PROFILES; i++)
        if (d->n[i] && !(table_mask(p->table) >> i & 1))
            return error_set(err, ERROR_INVALID, "the table has no profile of number %u", i);
    if (p->form == PACK_SEARCH || ret_mixes)
        return solve(p, d, ret_gpus, ret_mixes, err);
    *ret_gpus = fewest_by_form(p, d);
    return 0;
}
