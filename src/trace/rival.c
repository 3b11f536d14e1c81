/* Policies by name, and jobs as each of them has them; see rival.h. */
#include "trace/rival.h"

#include "base/macro.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "1g.10gb", or "3g": the smallest plain profile with so many compute slices. */
static unsigned profile_called(const struct board *b, const char *name)
{
    unsigned best = board_profile_by_name(b, name);
    size_t digits = strspn(name, "0123456789");
    if (best != BOARD_NO_PROFILE || !digits || strcmp(name + digits, "g") != 0)
        return best;
    unsigned long compute = strtoul(name, NULL, 10);
    for (unsigned p = 0; p < b->profile_n; p++) {
        const struct profile *q = &b->profiles[p];
        if (!q->suffix[0] && q->compute == compute &&
            (best == BOARD_NO_PROFILE || q->size < b->profiles[best].size))
            best = p;
    }
    return best;
}

/* "7x1g.10gb" onto a board. */
static int add_item(const struct board *b, const char *item, struct layout *l, struct error *err)
{
    size_t digits = strspn(item, "0123456789");
    unsigned long count = 1;
    const char *name = item;
    if (digits && item[digits] == 'x') {
        count = strtoul(item, NULL, 10);
        name += digits + 1;
    }
    unsigned p = profile_called(b, name);
    if (p == BOARD_NO_PROFILE || count < 1 || count > BOARD_GIS)
        return error_set(err, ERROR_INVALID,
                         "static layout: '%s' is nothing that %s can be cut into", item, b->name);
    while (count--) {
        int start = layout_choose(b, l, p);
        if (start < 0)
            return error_set(err, ERROR_INVALID,
                             "static layout: %s does not fit beside the others "
                             "on %s",
                             item, b->name);
        layout_add(b, l, (struct placement){(uint8_t)p, (uint8_t)start});
    }
    return 0;
}

static int fix(const char *text, struct sim_setup *setup, struct error *err)
{
    for (unsigned i = 0; i < setup->group_n; i++) {
        char copy[RIVAL_NAME], *rest = copy, *item;
        (void)str_copy(copy, sizeof copy, text);
        while ((item = strsep(&rest, "+")) != NULL) {
            int rc = add_item(setup->groups[i].board, item, &setup->groups[i].fixed, err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* What others do: DRA's driver takes the first device that serves, and what a board has is
 * published in the order of its starts. */
static const struct {
    const char *name;
    enum sim_place place;
} others[] = {
    {"round-robin", SIM_ROUND_ROBIN},
    {"random", SIM_RANDOM},
    {"hami", SIM_HAMI},
    {"dra", SIM_BY_RULE},
    {"free-repack", SIM_REPACK},
};

static bool is_other(const char *name, struct sim_setup *setup, struct rival *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(others[i].name, name) == 0) {
            setup->queue = SIM_SCAN;
            setup->place = others[i].place;
            setup->rule = ret->rule = SCORE_FIRST_LOW;
            ret->kind = RIVAL_OTHER;
            return true;
        }
    return false;
}

static bool is_ours(const char *name, struct rival *ret)
{
    static const struct {
        const char *name;
        enum rival_kind kind;
    } ours[] = {{"fetta", RIVAL_FETTA}, {"auto", RIVAL_VOTED}, {"whole-gpu", RIVAL_WHOLE}};
    for (unsigned i = 0; i < ARRAY_LEN(ours); i++)
        if (strcmp(ours[i].name, name) == 0) {
            ret->kind = ours[i].kind;
            return true;
        }
    return false;
}

int rival_parse(const char *name, struct sim_setup *setup, struct rival *ret, struct error *err)
{
    *ret = (struct rival){.kind = RIVAL_RULE, .rule = score_find(name)};
    for (unsigned i = 0; i < setup->group_n; i++)
        setup->groups[i].fixed = (struct layout){0};
    if (!str_copy(ret->name, sizeof ret->name, name))
        return error_set(err, ERROR_INVALID, "no policy has so long a name: %s", name);
    if (ret->rule != SCORE_N || is_other(name, setup, ret))
        return 0;
    ret->rule = SCORE_FGD_FILL;
    if (strncmp(name, "static:", 7) == 0) {
        ret->kind = RIVAL_STATIC;
        return fix(name + 7, setup, err);
    }
    if (is_ours(name, ret))
        return 0;
    AUTO_STR struct str known = {0};
    for (enum score_rule r = 0; r < SCORE_N; r++)
        str_addf(&known, "%s, ", score_name(r));
    for (unsigned i = 0; i < ARRAY_LEN(others); i++)
        str_addf(&known, "%s, ", others[i].name);
    return error_set(
        err, ERROR_INVALID,
        "no policy is called '%s'; there are fetta, auto, %sstatic:LAYOUT and whole-gpu", name,
        known.text ? known.text : "");
}

/* The smallest instance of a layout that has at least what a profile has. */
static unsigned enough(const struct board *b, const struct layout *l, unsigned profile)
{
    const struct profile *p = &b->profiles[profile];
    unsigned best = BOARD_NO_PROFILE;
    for (unsigned i = 0; i < l->n; i++) {
        const struct profile *q = &b->profiles[l->at[i].profile];
        if (q->compute < p->compute || q->mib < p->mib || q->size < p->size)
            continue;
        if (best == BOARD_NO_PROFILE || q->compute < b->profiles[best].compute ||
            (q->compute == b->profiles[best].compute && q->size < b->profiles[best].size))
            best = l->at[i].profile;
    }
    return best;
}

unsigned rival_gpc(const struct sim_setup *s, const struct sim_job *j)
{
    for (unsigned i = 0; i < s->group_n; i++) {
        const struct board *b = s->groups[i].board;
        if (j->whole)
            return j->count * b->compute_slices;
        if (j->row[i] < b->profile_n)
            return (unsigned)j->count * b->profiles[j->row[i]].compute;
    }
    return 0;
}

int rival_next(void *arg, struct sim_job *ret, struct error *err)
{
    struct rival_source *s = arg;
    if (s->most && s->n == s->most)
        return 0;
    int rc = s->from.next(s->from.arg, ret, err);
    if (rc <= 0)
        return rc;
    s->n++;
    if (ret->whole)
        return 1;
    for (unsigned i = s->setup->group_n; i-- > 0;)
        if (ret->row[i] < s->setup->groups[i].board->profile_n)
            ret->asked_for = sim_asked_for(i, ret->row[i]);
    if (s->rival->kind == RIVAL_WHOLE || s->rival->kind == RIVAL_STATIC)
        ret->gpc = (float)rival_gpc(s->setup, ret);
    if (s->rival->kind == RIVAL_WHOLE) {
        ret->whole = ret->gpc > 0; /* what no board has fits on no whole GPU either */
        return 1;
    }
    for (unsigned i = 0; i < s->setup->group_n && s->rival->kind == RIVAL_STATIC; i++)
        if (ret->row[i] != BOARD_NO_PROFILE)
            ret->row[i] =
                (uint8_t)enough(s->setup->groups[i].board, &s->setup->groups[i].fixed, ret->row[i]);
    return 1;
}

bool rival_better(const struct sim_result *a, const struct sim_result *b)
{
    double more = a->gpc_granted - b->gpc_granted, noise = 1e-9 * fmax(a->gpc_asked, 1);
    return more > noise || (fabs(more) <= noise && a->wait_mean < b->wait_mean);
}
