/* Reading work files by tables of fields. */
#include "needs/needs.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"
#include "model/request.h"
#include "needs/points.h"
#include "text/field.h"
#include "text/json.h"
#include "text/yaml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char needs_example[] =
    "# What is to run. fetta plan -f THIS --machine dgx-a100 finds the fewest GPUs for it.\n"
    "\n"
    "services:                   # they serve requests that come at random, all the time\n"
    "  - name: search            # what its units are called: a-z, 0-9 and -\n"
    "    model: bert             # `fetta emulate load --list` shows the models with figures\n"
    "    rate: 600               # requests per second\n"
    "    latency: 200            # ms that 99 of 100 requests are to be served in\n"
    "  - name: photos\n"
    "    model: resnet50\n"
    "    rate: 1500\n"
    "    latency: 100\n"
    "    batch: 16               # at most so many requests at once (128)\n"
    "    most: 80%               # of what a slice can serve, leaving the rest as reserve (90%)\n"
    "    memory: 6GiB            # that a slice must have (any)\n"
    "    command: /usr/bin/env serve-photos --port 8000   # for --emit systemd\n"
    "# - name: mine              # a model of your own: measure it and write down what you saw\n"
    "#   profiles: mine.csv      # slice,batch,processes,throughput,latency_ms\n"
    "#   rate: 20\n"
    "#   latency: 500\n"
    "\n"
    "jobs:                       # they need a slice for a while\n"
    "  - name: training\n"
    "    profile: 3g.40gb        # by NVIDIA's name for it\n"
    "    count: 2                # so many at a time\n"
    "  - name: nightly\n"
    "    memory: 8GiB            # or by need: the planner chooses the profile\n"
    "    compute: 1/7            # part of a GPU\n"
    "    count: 12               # so many in all,\n"
    "    duration: 1h            # each of which takes so long,\n"
    "    within: 4h              # to be done in this time: 3 at a time\n";

enum { BATCH_MOST = 128 };
static const double most_assumed = 0.9; /* no source: a reserve for what comes unevenly */

/* A number above 0. */
static int read_number(const struct field_at *at, const json_t *in, const char *key,
                       const json_t *value, double *ret, struct error *err)
{
    struct field_at here = field_key(at, in, key);
    *ret = json_number_value(value);
    if (!json_is_number(value) || !(*ret > 0) || *ret > 1e9)
        return field_error(&here, err, "a number above 0, at most 1e9, was expected");
    return 0;
}

/* "80%" or 0.8, of what a slice can serve. */
static int read_most(const struct field_at *at, const json_t *in, const json_t *value, double *ret,
                     struct error *err)
{
    struct field_at here = field_key(at, in, "most");
    const char *text = json_string_value(value);
    char *end = NULL;
    double v = text ? strtod(text, &end) / 100 : json_number_value(value);
    if ((text && (end == text || strcmp(end, "%") != 0)) || !(v > 0) || !(v <= 0.99))
        return field_error(&here, err,
                           "a part such as 80%%, above 0 and at most 99%%, was "
                           "expected: a queue without any reserve has no end");
    *ret = v;
    return 0;
}

static int read_name(const struct field_at *at, const json_t *in, const char *name,
                     const struct needs *n, struct need *ret, struct error *err)
{
    struct field_at here = field_key(at, in, "name");
    size_t len = strlen(name);
    if (len == 0 || len >= NEEDS_NAME || name[0] == '-' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
        return field_error(&here, err, "'%.40s': a name has 1 to %d of a-z, 0-9 and -", name,
                           NEEDS_NAME - 1);
    for (unsigned i = 0; i < n->n; i++)
        if (&n->all[i] != ret && strcmp(n->all[i].name, name) == 0)
            return field_error(&here, err, "'%s' is there twice", name);
    (void)str_copy(ret->name, sizeof ret->name, name);
    return 0;
}

static int read_command(const struct field_at *at, const json_t *in, const char *command,
                        struct need *ret, struct error *err)
{
    struct field_at here = field_key(at, in, "command");
    if (!command)
        return 0;
    if (!command[0] || strpbrk(command, "\n\r"))
        return field_error(&here, err, "one line was expected");
    if (!str_copy(ret->command, sizeof ret->command, command))
        return field_error(&here, err, "it has more than %d characters", NEEDS_COMMAND - 1);
    return 0;
}

/* A file that a work file names is beside it. */
static int read_points(const struct field_at *at, const json_t *in, const char *name,
                       struct need *ret, struct error *err)
{
    AUTO_STR struct str path = {0};
    AUTO_FREE char *text = NULL;
    struct field_at here = field_key(at, in, "profiles");
    const struct field_at *root = at;
    size_t size;
    while (root->above)
        root = root->above;
    const char *slash = strrchr(root->what, '/');
    if (slash && name[0] != '/')
        str_add_n(&path, root->what, (size_t)(slash - root->what) + 1);
    str_add(&path, name);
    if (path.failed)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to read %s", name);
    struct error why;
    if (fd_read_file(path.text, JSON_TEXT_MAX, &text, &size, &why) < 0)
        return field_error(&here, err, "%s", why.text);
    return points_read(text, path.text, &ret->points, &ret->point_n, err);
}

/* Where the figures come from: a known model, or a file. */
static int read_figures(const struct field_at *at, const json_t *in, const char *model,
                        const char *profiles, struct need *ret, struct error *err)
{
    struct field_at here = field_key(at, in, "model");
    struct error why;
    ret->work.model = -1;
    if ((model != NULL) == (profiles != NULL))
        return field_error(at, err, "either model or profiles says what a slice serves");
    if (profiles)
        return read_points(at, in, profiles, ret, err);
    if (work_find(model, &ret->work, &why) == 0)
        return 0;
    const char *names[64], *near;
    unsigned n = MIN(work_models(), (unsigned)ARRAY_LEN(names));
    for (unsigned i = 0; i < n; i++)
        names[i] = work_model_name(i);
    near = str_nearest(model, names, n);
    (void)field_error(&here, err,
                      "there are no figures for a model '%.40s'%s%s%s `fetta emulate load --list` "
                      "shows those there are; to add one, measure it and give profiles: FILE.csv",
                      model, near ? "; is '" : "", near ? near : "", near ? "' meant?" : ";");
    return -ERROR_INVALID;
}

static int read_service(const struct field_at *at, const json_t *in, const struct needs *n,
                        struct need *ret, struct error *err)
{
    const char *name = NULL, *model = NULL, *profiles = NULL, *command = NULL;
    json_t *rate = NULL, *latency = NULL, *most = NULL;
    int64_t batch = BATCH_MOST;
    const struct field fields[] = {
        {"name", FIELD_STRING, &name, .required = true},
        {"model", FIELD_STRING, &model},
        {"profiles", FIELD_STRING, &profiles},
        {"rate", FIELD_ANY, &rate, .required = true},
        {"latency", FIELD_ANY, &latency, .required = true},
        {"batch", FIELD_INT, &batch, .min = 1, .max = WORK_BATCH},
        {"most", FIELD_ANY, &most},
        {"memory", FIELD_BYTES, &ret->bytes},
        {"command", FIELD_STRING, &command},
    };
    int r = field_read(at, in, fields, ARRAY_LEN(fields), err);
    r = r < 0 ? r : read_name(at, in, name, n, ret, err);
    r = r < 0 ? r : read_number(at, in, "rate", rate, &ret->rate, err);
    r = r < 0 ? r : read_number(at, in, "latency", latency, &ret->target_ms, err);
    ret->most = most_assumed;
    if (r == 0 && most)
        r = read_most(at, in, most, &ret->most, err);
    ret->batch = (unsigned)batch;
    r = r < 0 ? r : read_command(at, in, command, ret, err);
    return r < 0 ? r : read_figures(at, in, model, profiles, ret, err);
}

/* How many run at a time. */
static int read_times(const struct field_at *at, const json_t *in, int64_t count, int64_t within,
                      struct need *ret, struct error *err)
{
    struct field_at here = field_key(at, in, "within");
    ret->count = ret->at_once = (unsigned)count;
    if (within == 0)
        return 0;
    if (ret->duration <= 0)
        return field_error(&here, err, "this needs duration: how long each job takes");
    if (within < ret->duration)
        return field_error(&here, err, "this is shorter than one job takes");
    unsigned after = (unsigned)MIN(within / ret->duration, (int64_t)UINT32_MAX);
    ret->at_once = (unsigned)((count + after - 1) / after);
    return 0;
}

static int read_job(const struct field_at *at, const json_t *in, const struct needs *n,
                    struct need *ret, struct error *err)
{
    const char *name = NULL, *profile = NULL, *compute = NULL, *command = NULL;
    int64_t count = 1, within = 0;
    const struct field fields[] = {
        {"name", FIELD_STRING, &name, .required = true},
        {"profile", FIELD_STRING, &profile, .max = BOARD_PROFILE_NAME - 1},
        {"memory", FIELD_BYTES, &ret->bytes},
        {"compute", FIELD_STRING, &compute},
        {"count", FIELD_INT, &count, .min = 1, .max = 1000000},
        {"duration", FIELD_DURATION, &ret->duration},
        {"within", FIELD_DURATION, &within},
        {"command", FIELD_STRING, &command},
    };
    struct field_at here = field_key(at, in, "compute");
    struct error why;
    ret->job = true;
    int r = field_read(at, in, fields, ARRAY_LEN(fields), err);
    r = r < 0 ? r : read_name(at, in, name, n, ret, err);
    if (r == 0 && (profile != NULL) == (ret->bytes || compute))
        return field_error(at, err, "either profile, or memory and compute, says which slice");
    if (r == 0 && profile)
        (void)str_copy(ret->profile, sizeof ret->profile, profile);
    if (r == 0 && compute && request_parse_compute(compute, "compute", &ret->compute_ppt, &why) < 0)
        return field_error(&here, err, "%s", why.text);
    r = r < 0 ? r : read_times(at, in, count, within, ret, err);
    return r < 0 ? r : read_command(at, in, command, ret, err);
}

static int read_list(const struct field_at *root, const json_t *in, const char *key,
                     const json_t *list, struct needs *n, struct error *err)
{
    struct field_at at = field_key(root, in, key);
    bool jobs = strcmp(key, "jobs") == 0;
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        struct field_at here = field_index(&at, list, i);
        if (!json_is_object(one))
            return field_error(&here, err, "an entry with a name was expected, not %s",
                               json_kind(one));
        if (n->n == SERVE_MAX)
            return field_error(&here, err,
                               "one plan has at most %d services and jobs; plan them "
                               "in two parts",
                               SERVE_MAX);
        struct need *next = &n->all[n->n++];
        int r = jobs ? read_job(&here, one, n, next, err) : read_service(&here, one, n, next, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int needs_read(const char *text, size_t size, const char *what, struct needs *ret,
               struct error *err)
{
    AUTO_YAML struct yaml y = {0};
    json_t *services = NULL, *jobs = NULL;
    const struct field fields[] = {
        {"services", FIELD_ARRAY, &services},
        {"jobs", FIELD_ARRAY, &jobs},
    };
    memset(ret, 0, sizeof *ret);
    int r = yaml_parse(text, size, what, &y, err);
    if (r < 0)
        return r;
    struct field_at root = {.marks = &y.marks, .what = what};
    if (!json_is_object(y.root))
        return field_error(&root, err,
                           "services and jobs were expected; fetta plan --example "
                           "shows how");
    r = field_read(&root, y.root, fields, ARRAY_LEN(fields), err);
    if (r == 0 && services)
        r = read_list(&root, y.root, "services", services, ret, err);
    if (r == 0 && jobs)
        r = read_list(&root, y.root, "jobs", jobs, ret, err);
    if (r == 0 && ret->n == 0)
        r = field_error(&root, err,
                        "there is nothing in it to plan for; fetta plan --example "
                        "shows how");
    if (r < 0)
        needs_done(ret);
    return r;
}

void needs_done(struct needs *n)
{
    for (unsigned i = 0; i < n->n; i++)
        free(n->all[i].points);
    n->n = 0;
}
