/* Reading is strict: an unknown key, a number out of range and a model without figures are errors
 * with line and column. */
#include "cli/workload.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"
#include "model/request.h"
#include "text/field.h"
#include "text/json.h"
#include "text/yaml.h"

#include <stdio.h>
#include <string.h>

const char workload_example[] =
    "# Work for fetta plan and fetta compare: what there is to do, not where.\n"
    "\n"
    "services:                  # answer requests, for good\n"
    "  - name: search           # what to call it; the model's name if left out\n"
    "    model: bert            # fetta emulate load --list shows models with figures\n"
    "    rate: 300              # requests per second, arriving at random\n"
    "    latency: 400ms         # 99 of 100 are answered within this time\n"
    "  - model: resnet50\n"
    "    rate: 800\n"
    "    latency: 100ms\n"
    "  - name: phones\n"
    "    model: mobilenetv2\n"
    "    rate: 400\n"
    "    latency: 50ms\n"
    "\n"
    "jobs:                      # run and end\n"
    "  - name: notebooks\n"
    "    profile: 1g.10gb       # a slice by name; or by need:\n"
    "    count: 20\n"
    "    duration: 30m          # how long one runs on such a slice\n"
    "  - name: tuning\n"
    "    memory: 18GiB          # at least so much memory ...\n"
    "    compute: 2/7           # ... and such a part of the GPU\n"
    "    count: 6\n"
    "    duration: 2h\n";

static int read_number(const struct field_at *at, const json_t *in, const char *key, double *ret,
                       struct error *err)
{
    const json_t *value = json_object_get(in, key);
    struct field_at here = field_key(at, in, key);
    if (!value)
        return 0;
    if (!json_is_number(value) || !(json_number_value(value) > 0) || json_number_value(value) > 1e9)
        return field_error(&here, err, "write a number above 0, such as 200");
    *ret = json_number_value(value);
    return 0;
}

static int check_name(const struct field_at *at, const char *name, char to[WORKLOAD_NAME],
                      struct error *err)
{
    if (!*name || !str_copy(to, WORKLOAD_NAME, name))
        return field_error(at, err, "a name has 1 to %d characters", WORKLOAD_NAME - 1);
    return 0;
}

static int read_service(const struct field_at *at, const json_t *in, struct workload_service *s,
                        struct error *err)
{
    const char *name = NULL, *model = NULL;
    json_t *rate = NULL;
    const struct field fields[] = {
        {"name", FIELD_STRING, &name},
        {"model", FIELD_STRING, &model, .required = true},
        {"rate", FIELD_ANY, &rate, .required = true},
        {"latency", FIELD_DURATION, &s->latency, .required = true},
    };
    struct error why;
    int r = field_read(at, in, fields, ARRAY_LEN(fields), err);
    if (r == 0)
        r = read_number(at, in, "rate", &s->rate, err);
    if (r < 0)
        return r;
    struct field_at here = field_key(at, in, "latency"), which = field_key(at, in, "model");
    if (s->latency <= 0)
        return field_error(&here, err, "write a time above 0, such as 100ms");
    if (work_find(model, &s->work, &why) < 0) {
        (void)field_error(&which, err, "%s", why.text);
        err->code = ERROR_NOT_FOUND;
        return -ERROR_NOT_FOUND;
    }
    return check_name(at, name ? name : model, s->name, err);
}

static int read_need(const struct field_at *at, const json_t *in, struct workload_job *j,
                     const char *profile, const char *compute, struct error *err)
{
    struct error why;
    struct field_at part = field_key(at, in, "compute"), named = field_key(at, in, "profile");
    bool need = j->bytes > 0 || compute;
    if ((profile != NULL) + need + j->whole != 1)
        return field_error(at, err,
                           "say what one job needs: profile: 1g.10gb, or memory and compute, or "
                           "gpus: 1");
    if (profile && !str_copy(j->profile, sizeof j->profile, profile))
        return field_error(&named, err, "no profile has so long a name");
    if (compute && request_parse_compute(compute, "compute", &j->compute_ppt, &why) < 0)
        return field_error(&part, err, "%s", why.text);
    return 0;
}

static int read_job(const struct field_at *at, const json_t *in, struct workload_job *j,
                    struct error *err)
{
    const char *name = NULL, *profile = NULL, *compute = NULL;
    int64_t count = 1, gpus = 0;
    const struct field fields[] = {
        {"name", FIELD_STRING, &name},
        {"profile", FIELD_STRING, &profile},
        {"memory", FIELD_BYTES, &j->bytes},
        {"compute", FIELD_STRING, &compute},
        {"gpus", FIELD_INT, &gpus, .min = 1, .max = 1},
        {"count", FIELD_INT, &count, .min = 1, .max = 100000},
        {"duration", FIELD_DURATION, &j->duration, .required = true},
    };
    int r = field_read(at, in, fields, ARRAY_LEN(fields), err);
    if (r < 0)
        return r;
    struct field_at here = field_key(at, in, "duration");
    j->count = (uint32_t)count;
    j->whole = gpus > 0;
    if (j->duration <= 0)
        return field_error(&here, err, "write a time above 0, such as 30m");
    r = read_need(at, in, j, profile, compute, err);
    return r < 0 ? r : check_name(at, name ? name : "job", j->name, err);
}

static int read_all(const struct field_at *at, const json_t *root, struct workload *w,
                    struct error *err)
{
    json_t *services = NULL, *jobs = NULL, *one;
    const struct field fields[] = {
        {"services", FIELD_ARRAY, &services, .max = WORKLOAD_MAX},
        {"jobs", FIELD_ARRAY, &jobs, .max = WORKLOAD_MAX},
    };
    struct field_at in_services = field_key(at, root, "services");
    struct field_at in_jobs = field_key(at, root, "jobs");
    size_t i;
    int r = field_read(at, root, fields, ARRAY_LEN(fields), err);
    json_array_foreach(services, i, one)
    {
        struct field_at here = field_index(&in_services, services, i);
        r = r < 0 ? r : read_service(&here, one, &w->services[w->service_n++], err);
    }
    json_array_foreach(jobs, i, one)
    {
        struct field_at here = field_index(&in_jobs, jobs, i);
        r = r < 0 ? r : read_job(&here, one, &w->jobs[w->job_n++], err);
    }
    if (r == 0 && w->service_n + w->job_n == 0)
        r = field_error(at, err,
                        "there is no work in it: services and jobs are missing; --example "
                        "prints such a file");
    return r;
}

int workload_read(const char *text, size_t size, const char *what, struct workload *ret,
                  struct error *err)
{
    AUTO_YAML struct yaml y = {0};
    *ret = (struct workload){0};
    int r = yaml_parse(text, size, what, &y, err);
    if (r < 0)
        return r;
    struct field_at root = {.what = what, .marks = &y.marks};
    return read_all(&root, y.root, ret, err);
}

int workload_load(const char *path, struct workload *ret, struct error *err)
{
    bool in = strcmp(path, "-") == 0;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    int r = fd_read_file(in ? "/dev/stdin" : path, JSON_TEXT_MAX, &text, &size, err);
    return r < 0 ? r : workload_read(text, size, in ? "stdin" : path, ret, err);
}
