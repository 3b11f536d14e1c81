/* Reading the configuration: one table of keys, ranges checked on the way, all or nothing. */
#include "daemon/config.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"
#include "text/field.h"
#include "text/yaml.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20 };

void config_default(struct config *ret)
{
    *ret = (struct config){
        .history = 90 * TIME_DAY,
        .sample = TIME_NEVER,
        .vote_every = TIME_HOUR,
        .vote_requests = 100,
        .policy = {.default_for = TIME_NEVER,
                   .max_for = TIME_NEVER,
                   .grace = 30 * TIME_S,
                   .idle_keep = TIME_NEVER,
                   .warm_reuse = WARM_OWNER,
                   .rule = SCORE_FGD_FILL},
    };
}

/* One number of a list; advances *at; -1 if there is none below 64. */
static int gpu_number(const char **at)
{
    int n = 0;
    const char *p = *at;
    if (!isdigit((unsigned char)*p))
        return -1;
    for (; isdigit((unsigned char)*p) && n < 64; p++)
        n = n * 10 + (*p - '0');
    *at = p;
    return n < 64 ? n : -1;
}

static int add_range(const char **at, uint64_t *set)
{
    int first = gpu_number(at);
    int last = first;
    if (first >= 0 && **at == '-') {
        (*at)++;
        last = gpu_number(at);
    }
    if (first < 0 || last < first)
        return -1;
    for (int i = first; i <= last; i++)
        *set |= UINT64_C(1) << i;
    return 0;
}

int config_gpu_list(const char *text, const char *what, uint64_t *ret, struct error *err)
{
    uint64_t set = 0;
    const char *at = text;
    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
        *ret = text[0] == 'a' ? UINT64_MAX : 0;
        return 0;
    }
    do {
        at += *at == ',' && at != text;
        if (add_range(&at, &set) < 0)
            return error_set(err, ERROR_INVALID,
                             "%s: '%s' is not a list of GPUs; write it as 0, 0-3, 1,5, all or "
                             "none, with numbers up to 63",
                             what, text);
    } while (*at == ',');
    if (*at)
        return error_set(err, ERROR_INVALID, "%s: '%s' has '%c' where a comma was expected", what,
                         text, *at);
    *ret = set;
    return 0;
}

/* ---- the keys that are more than a value ---- */

static int read_operators(const struct field_at *root, const json_t *tree, json_t *list,
                          struct config *c, struct error *err)
{
    struct field_at at = field_key(root, tree, "operators");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct field_at one = field_index(&at, list, i);
        const char *name = json_string_value(json_array_get(list, i));
        if (!name)
            return field_error(&one, err, "a group's name was expected");
        struct group *g = getgrnam(name);
        if (!g)
            return field_error(&one, err, "there is no group '%s' on this machine", name);
        if (c->operator_n == CONFIG_GROUPS)
            return field_error(&one, err, "at most %d groups can be operators", CONFIG_GROUPS);
        c->operators[c->operator_n++] = g->gr_gid;
    }
    return 0;
}

static int read_quota(const struct field_at *at, const json_t *tree, struct config_quota *q,
                      struct error *err)
{
    int64_t most_slices = 0, compute = 0;
    const struct field fields[] = {
        {"slices", FIELD_INT, &most_slices, .min = 1, .max = 100000},
        {"compute", FIELD_INT, &compute, .min = 1, .max = 100000},
        {"max_for", FIELD_DURATION, &q->max_for},
    };
    int r = field_read(at, tree, fields, ARRAY_LEN(fields), err);
    q->slices = (uint32_t)most_slices;
    q->compute = (uint32_t)compute;
    return r;
}

static int named_id(const struct field_at *at, const char *name, bool group, uint32_t *ret,
                    struct error *err)
{
    if (group) {
        struct group *g = getgrnam(name);
        if (!g)
            return field_error(at, err, "there is no group '%s' on this machine", name);
        *ret = g->gr_gid;
        return 0;
    }
    struct passwd *p = getpwnam(name);
    if (!p)
        return field_error(at, err, "there is no user '%s' on this machine", name);
    *ret = p->pw_uid;
    return 0;
}

static int read_named_quotas(const struct field_at *above, const json_t *in, const char *key,
                             json_t *tree, struct config *c, struct error *err)
{
    struct field_at at = field_key(above, in, key);
    bool group = strcmp(key, "groups") == 0;
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach (tree, name, value) {
        struct field_at one = field_key(&at, tree, name);
        if (c->quota_n == CONFIG_QUOTAS)
            return field_error(&one, err, "at most %d quotas can be given", CONFIG_QUOTAS);
        struct config_quota *q = &c->quotas[c->quota_n];
        *q = (struct config_quota){.group = group};
        int r = named_id(&one, name, group, &q->id, err);
        if (r == 0)
            r = read_quota(&one, value, q, err);
        if (r < 0)
            return r;
        c->quota_n++;
    }
    return 0;
}

static int read_quotas(const struct field_at *root, const json_t *tree, json_t *quotas,
                       struct config *c, struct error *err)
{
    json_t *by_default = NULL, *users = NULL, *groups = NULL;
    const struct field fields[] = {
        {"default", FIELD_OBJECT, &by_default},
        {"users", FIELD_OBJECT, &users},
        {"groups", FIELD_OBJECT, &groups},
    };
    struct field_at at = field_key(root, tree, "quotas");
    int r = field_read(&at, quotas, fields, ARRAY_LEN(fields), err);
    struct field_at inner = field_key(&at, quotas, "default");
    if (r == 0 && by_default)
        r = read_quota(&inner, by_default, &c->quota_default, err);
    if (r == 0 && users)
        r = read_named_quotas(&at, quotas, "users", users, c, err);
    if (r == 0 && groups)
        r = read_named_quotas(&at, quotas, "groups", groups, c, err);
    return r;
}

static int read_pools(const struct field_at *root, const json_t *tree, json_t *pools,
                      struct config *c, struct error *err)
{
    struct field_at at = field_key(root, tree, "pools");
    const char *gpus = NULL;
    json_t *value = NULL;
    json_object_foreach (pools, gpus, value) {
        struct field_at one = field_key(&at, pools, gpus);
        uint64_t set = 0;
        struct error bad;
        const char *pool = json_string_value(value);
        if (config_gpu_list(gpus, "pools", &set, &bad) < 0)
            return field_error(&one, err, "%s", bad.text + strlen("pools: "));
        bool sliced = pool && strcmp(pool, "sliced") == 0;
        bool whole = pool && strcmp(pool, "whole") == 0;
        if (!sliced && !whole && !(pool && strcmp(pool, "elastic") == 0))
            return field_error(&one, err, "sliced, whole or elastic was expected");
        c->pool_sliced = (c->pool_sliced & ~set) | (sliced ? set : 0);
        c->pool_whole = (c->pool_whole & ~set) | (whole ? set : 0);
    }
    return 0;
}

static int read_warm(const struct field_at *root, const json_t *tree, const char *word,
                     enum warm_reuse *ret, struct error *err)
{
    static const char *const words[] = {[WARM_OWNER] = "owner",
                                        [WARM_GROUP] = "group",
                                        [WARM_ANY] = "any"};
    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *ret = (enum warm_reuse)i;
        return 0;
    }
    struct field_at at = field_key(root, tree, "warm_reuse");
    return field_error(&at, err, "owner, group or any was expected, not '%s'", word);
}

static int read_manage(const struct field_at *root, const json_t *tree, const json_t *manage,
                       struct config *c, struct error *err)
{
    struct field_at at = field_key(root, tree, "manage");
    char number[24];
    struct error bad;
    const char *text = json_string_value(manage);
    if (json_is_integer(manage)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(manage));
        text = number;
    }
    if (!text)
        return field_error(&at, err, "a list of GPUs was expected, such as 0-3, all or none");
    if (config_gpu_list(text, "manage", &c->manage, &bad) < 0)
        return field_error(&at, err, "%s", bad.text + strlen("manage: "));
    c->manage_all = strcmp(text, "all") == 0;
    return 0;
}

/* A house with a longest lease has a default that keeps it. */
static int settle_default_for(const struct field_at *root, const json_t *tree, struct policy *p,
                              struct error *err)
{
    struct field_at at = field_key(root, tree, "default_for");
    if (p->default_for > p->max_for && p->default_for != TIME_NEVER)
        return field_error(&at, err, "the default is longer than max_for");
    p->default_for = MIN(p->default_for, p->max_for);
    return 0;
}

static int read_vote(const struct field_at *root, const json_t *tree, json_t *vote,
                     struct config *c, struct error *err)
{
    int64_t requests = c->vote_requests;
    const struct field fields[] = {
        {"every", FIELD_DURATION, &c->vote_every},
        {"requests", FIELD_INT, &requests, .min = 16, .max = 1000000},
    };
    struct field_at at = field_key(root, tree, "vote");
    int r = field_read(&at, vote, fields, ARRAY_LEN(fields), err);
    c->vote_requests = (uint32_t)requests;
    return r;
}

static int read_placement(const struct field_at *root, const json_t *tree, const char *name,
                          json_t *vote, struct config *c, struct error *err)
{
    int r = vote ? read_vote(root, tree, vote, c, err) : 0;
    struct field_at at = field_key(root, tree, "placement");
    char known[200] = "";
    c->vote = name && strcmp(name, "auto") == 0;
    if (r < 0 || !name || c->vote)
        return r;
    c->policy.rule = score_find(name);
    if (c->policy.rule != SCORE_N)
        return 0;
    for (unsigned i = 0; i < SCORE_N; i++) {
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", score_name(i));
    }
    return field_error(&at, err, "no rule is called '%s'; there are auto, %s", name, known);
}

/* What was said, if anything was. */
static void copy_text(char *to, size_t size, const char *text)
{
    if (text)
        (void)str_copy(to, size, text);
}

/* More often would burden the driver for nothing that anybody sees. */
static int check_sample(const struct field_at *root, const json_t *tree, const struct config *c,
                        struct error *err)
{
    struct field_at at = field_key(root, tree, "sample");
    if (c->sample >= 100 * TIME_MS)
        return 0;
    return field_error(&at, err, "at least 100ms was expected, or never");
}

static int read_tree(const char *path, const struct yaml *y, struct config *c, struct error *err)
{
    struct field_at root = {.what = path, .marks = &y->marks};
    const char *socket = NULL, *nvml = NULL, *warm = NULL, *placement = NULL;
    json_t *manage = NULL, *operators = NULL, *quotas = NULL, *pools = NULL, *vote = NULL;
    int64_t queue_max = 0;
    const struct field fields[] = {
        {"socket", FIELD_STRING, &socket, .max = CONFIG_PATH - 1},
        {"nvml", FIELD_STRING, &nvml, .max = sizeof c->nvml - 1},
        {"manage", FIELD_ANY, &manage},
        {"pools", FIELD_OBJECT, &pools},
        {"privacy", FIELD_BOOL, &c->privacy},
        {"operators", FIELD_ARRAY, &operators},
        {"default_for", FIELD_DURATION, &c->policy.default_for, .never = true},
        {"max_for", FIELD_DURATION, &c->policy.max_for, .never = true},
        {"grace", FIELD_DURATION, &c->policy.grace},
        {"idle_keep", FIELD_DURATION, &c->policy.idle_keep, .never = true},
        {"warm_reuse", FIELD_STRING, &warm},
        {"placement", FIELD_STRING, &placement},
        {"vote", FIELD_OBJECT, &vote},
        {"queue_max", FIELD_INT, &queue_max, .min = 1, .max = 100000},
        {"history", FIELD_DURATION, &c->history, .never = true},
        {"sample", FIELD_DURATION, &c->sample, .never = true},
        {"quotas", FIELD_OBJECT, &quotas},
    };
    int r = field_read(&root, y->root, fields, ARRAY_LEN(fields), err);
    if (r < 0)
        return r;
    copy_text(c->socket, sizeof c->socket, socket);
    copy_text(c->nvml, sizeof c->nvml, nvml);
    c->policy.queue_max = (uint32_t)queue_max;
    if (warm)
        r = read_warm(&root, y->root, warm, &c->policy.warm_reuse, err);
    if (r == 0)
        r = read_placement(&root, y->root, placement, vote, c, err);
    if (r == 0)
        r = settle_default_for(&root, y->root, &c->policy, err);
    if (r == 0)
        r = check_sample(&root, y->root, c, err);
    if (r == 0 && manage)
        r = read_manage(&root, y->root, manage, c, err);
    if (r == 0 && operators)
        r = read_operators(&root, y->root, operators, c, err);
    if (r == 0 && pools)
        r = read_pools(&root, y->root, pools, c, err);
    if (r == 0 && quotas)
        r = read_quotas(&root, y->root, quotas, c, err);
    return r;
}

int config_read(const char *path, bool may_miss, struct config *ret, struct error *err)
{
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    struct config c;
    config_default(&c);
    int r = fd_read_file(path, FILE_MAX, &text, &size, err);
    if (r == -ERROR_NOT_FOUND && may_miss) {
        *ret = c;
        return 0;
    }
    if (r < 0)
        return r;
    AUTO_YAML struct yaml y = {0};
    r = yaml_parse(text, size, path, &y, err);
    if (r == 0 && !json_is_null(y.root))
        r = read_tree(path, &y, &c, err);
    if (r == 0)
        *ret = c;
    return r;
}

int config_check_gpus(const struct config *c, unsigned gpu_n, struct error *err)
{
    uint64_t here = gpu_n >= 64 ? UINT64_MAX : (UINT64_C(1) << gpu_n) - 1;
    uint64_t named = (c->manage_all ? 0 : c->manage) | c->pool_sliced | c->pool_whole;
    if (named == UINT64_MAX || (named & ~here) == 0)
        return 0;
    return error_set(err, ERROR_INVALID,
                     "the configuration names GPU %d, but this machine has %u (0 to %u)",
                     __builtin_ctzll(named & ~here), gpu_n, gpu_n ? gpu_n - 1 : 0);
}

bool config_manages(const struct config *c, unsigned index)
{
    return c->manage_all || (index < 64 && (c->manage >> index & 1));
}

enum pool config_pool(const struct config *c, unsigned index)
{
    if (index < 64 && (c->pool_sliced >> index & 1))
        return POOL_SLICED;
    return index < 64 && (c->pool_whole >> index & 1) ? POOL_WHOLE : POOL_ELASTIC;
}

/* The larger of two limits, where 0 is none at all. */
static uint32_t wider(uint32_t a, uint32_t b)
{
    return a == 0 || b == 0 ? 0 : MAX(a, b);
}

static bool has_group(const struct config_quota *q, const uint32_t *gids, size_t gid_n)
{
    for (size_t i = 0; q->group && i < gid_n; i++)
        if (gids[i] == q->id)
            return true;
    return false;
}

struct config_quota config_quota(const struct config *c, uint32_t uid, const uint32_t *gids,
                                 size_t gid_n)
{
    struct config_quota best = c->quota_default;
    bool any = false;
    for (size_t i = 0; i < c->quota_n; i++) {
        const struct config_quota *q = &c->quotas[i];
        if (!q->group && q->id == uid)
            return *q;
        if (!has_group(q, gids, gid_n))
            continue;
        best = any ? (struct config_quota){.slices = wider(best.slices, q->slices),
                                           .compute = wider(best.compute, q->compute),
                                           .max_for = best.max_for && q->max_for
                                                          ? MAX(best.max_for, q->max_for)
                                                          : 0}
                   : *q;
        any = true;
    }
    return best;
}
