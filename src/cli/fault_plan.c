/* Reading fault plans by tables of fields. */
#include "cli/fault_plan.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"
#include "nvml/calls.h"
#include "text/field.h"
#include "text/json.h"
#include "text/yaml.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const calls[] = {
#define CALL(name, ...) [NVML_CALL_##name] = #name,
#define ALIAS(...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
};

static_assert((int)NVML_CALL_N <= (int)FAULTS_CALLS, "a bit for each");

static const char *const effects[FAULT_EFFECTS] = {
    [FAULT_FAIL] = "fail",         [FAULT_SPOIL] = "answer", [FAULT_DELAY] = "delay",
    [FAULT_LATE] = "late",         [FAULT_HANG] = "hang",    [FAULT_LOSE] = "lose",
    [FAULT_XID] = "xid",           [FAULT_ECC] = "ecc",      [FAULT_LEAK] = "leak",
    [FAULT_RELOAD] = "reload",     [FAULT_RENUMBER] = "renumber",
    [FAULT_HOLES] = "holes",
};

static const char *const ecc_kinds[FAULT_ECCS] = {
    [FAULT_ECC_CORRECTED] = "corrected",
    [FAULT_ECC_CONTAINED] = "contained",
    [FAULT_ECC_UNCONTAINED] = "uncontained",
};

/* An error that names what is nearest to an unknown word. */
static int unknown(const struct field_at *at, const char *what, const char *word,
                   const char *const *words, size_t n, struct error *err)
{
    const char *near = str_nearest(word, words, n);
    return field_error(at, err, "there is no %s '%.48s'%s%s%s", what, word,
                       near ? "; is '" : "", near ? near : "", near ? "' meant?" : "");
}

/* A function's name or a pattern of names. */
static int read_call(const struct field_at *at, const char *pattern, struct fault *f,
                     struct error *err)
{
    bool any = false;
    for (uint32_t i = 0; i < NVML_CALL_N; i++) {
        if (fnmatch(pattern, calls[i], 0) != 0)
            continue;
        fault_set_call(f, i);
        any = true;
    }
    return any ? 0 : unknown(at, "NVML function", pattern, calls, NVML_CALL_N, err);
}

static int read_calls(const struct field_at *at, const json_t *value, struct fault *f,
                      struct error *err)
{
    if (json_is_string(value))
        return read_call(at, json_string_value(value), f, err);
    if (!json_is_array(value) || json_array_size(value) == 0)
        return field_error(at, err, "a function's name, a pattern such as nvmlDeviceGet*, or a "
                                    "list of them was expected");
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct field_at one = field_index(at, value, i);
        const char *name = json_string_value(json_array_get(value, i));
        int r = name ? read_call(&one, name, f, err)
                     : field_error(&one, err, "a function's name was expected");
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_match(const struct field_at *above, const json_t *rule, json_t *match,
                      struct fault *f, struct error *err)
{
    int64_t gpu = FAULTS_ANY, gi = FAULTS_ANY, ci = FAULTS_ANY;
    json_t *call = NULL;
    const char *process = NULL;
    const struct field fields[] = {
        {"call", FIELD_ANY, &call},
        {"process", FIELD_STRING, &process, .max = FAULTS_PROCESS - 1},
        {"uid", FIELD_INT, &f->uid, .min = 0, .max = UINT32_MAX},
        {"pid", FIELD_INT, &f->pid, .min = 1, .max = INT32_MAX},
        {"gpu", FIELD_INT, &gpu, .min = 0, .max = 63},
        {"gi", FIELD_INT, &gi, .min = 0, .max = 14},
        {"ci", FIELD_INT, &ci, .min = 0, .max = 7},
    };
    struct field_at at = field_key(above, rule, "match"), of_call = field_key(&at, match, "call");
    int r = field_read(&at, match, fields, ARRAY_LEN(fields), err);
    if (r == 0 && call)
        r = read_calls(&of_call, call, f, err);
    f->gpu = (int32_t)gpu;
    f->gi = (int32_t)gi;
    f->ci = (int32_t)ci;
    if (process)
        (void)str_copy(f->process, sizeof f->process, process);
    return r;
}

static int read_when(const struct field_at *above, const json_t *rule, json_t *when,
                     struct fault *f, struct error *err)
{
    int64_t nth = 1, every = 1, times = 0;
    json_t *chance = NULL;
    const int64_t most = UINT32_MAX;
    const struct field fields[] = {
        {"nth", FIELD_INT, &nth, .min = 1, .max = most},
        {"every", FIELD_INT, &every, .min = 1, .max = most},
        {"probability", FIELD_ANY, &chance},
        {"after", FIELD_DURATION, &f->after, .max = LATENCY_MOST_S * TIME_S},
        {"each", FIELD_DURATION, &f->each, .max = LATENCY_MOST_S * TIME_S},
        {"times", FIELD_INT, &times, .min = 1, .max = most},
    };
    struct field_at at = field_key(above, rule, "when");
    struct field_at of_chance = field_key(&at, when, "probability");
    int r = field_read(&at, when, fields, ARRAY_LEN(fields), err);
    if (r < 0)
        return r;
    double p = json_number_value(chance);
    if (chance && (!json_is_number(chance) || !(p >= 0 && p <= 1)))
        return field_error(&of_chance, err, "a number from 0 to 1 was expected");
    f->nth = (uint32_t)nth;
    f->every = (uint32_t)every;
    f->times = (uint32_t)times;
    f->chance = chance ? (uint32_t)(p * FAULTS_ALWAYS + 0.5) : FAULTS_ALWAYS;
    return 0;
}

/* ---- effects ---- */

static int read_code(const struct field_at *at, const json_t *value, struct fault *f,
                     struct error *err)
{
    static const struct {
        const char *name;
        int32_t code;
    } codes[] = {
#define RETURN(name, value, text) {#name, value},
#include "nvml/nvml_returns.def"
#undef RETURN
    };
    const size_t skip = strlen("NVML_ERROR_");
    const char *word = json_string_value(value), *words[ARRAY_LEN(codes)];
    size_t n = 0;
    if (!word)
        return field_error(at, err, "the name of a return code was expected, such as IN_USE");
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == 0 || strlen(codes[i].name) <= skip)
            continue;
        words[n++] = codes[i].name + skip;
        if (strcmp(word, codes[i].name) == 0 || strcmp(word, codes[i].name + skip) == 0)
            f->code = codes[i].code;
    }
    return f->code ? 0 : unknown(at, "return code", word, words, n, err);
}

static int read_duration(const struct field_at *at, const json_t *value, int64_t *ret,
                         struct error *err)
{
    const struct field f = {"", FIELD_DURATION, ret, .max = LATENCY_MOST_S * TIME_S};
    return field_value(at, value, &f, err);
}

static int read_uniform(const struct field_at *at, const json_t *pair, struct latency *ret,
                        struct error *err)
{
    if (json_array_size(pair) != 2)
        return field_error(at, err, "two durations were expected, such as [1ms, 5ms]");
    struct field_at first = field_index(at, pair, 0), second = field_index(at, pair, 1);
    int r = read_duration(&first, json_array_get(pair, 0), &ret->a, err);
    if (r == 0)
        r = read_duration(&second, json_array_get(pair, 1), &ret->b, err);
    ret->kind = LATENCY_UNIFORM;
    return r;
}

static int read_delay(const struct field_at *at, json_t *value, struct fault *f, struct error *err)
{
    json_t *uniform = NULL;
    bool mean = false, median = false, p99 = false;
    const struct field fields[] = {
        {"uniform", FIELD_ARRAY, &uniform},
        {"exponential", FIELD_DURATION, &f->delay.a, .found = &mean},
        {"median", FIELD_DURATION, &f->delay.a, .found = &median},
        {"p99", FIELD_DURATION, &f->delay.b, .found = &p99},
    };
    if (!json_is_object(value))
        return read_duration(at, value, &f->delay.a, err);
    int r = field_read(at, value, fields, ARRAY_LEN(fields), err);
    struct field_at pair = field_key(at, value, "uniform");
    if (r == 0 && ((uniform != NULL) + mean + (median || p99) != 1 || median != p99))
        return field_error(at, err, "one of uniform: [A, B], exponential: MEAN, or median and p99 "
                                    "was expected");
    if (r == 0 && uniform)
        return read_uniform(&pair, uniform, &f->delay, err);
    f->delay.kind = mean ? LATENCY_EXPONENTIAL : LATENCY_LOGNORMAL;
    if (r == 0 && !latency_valid(&f->delay))
        return field_error(at, err, "the second duration is shorter than the first, or one is "
                                    "longer than 30 days");
    return r;
}

static int read_ecc(const struct field_at *at, const json_t *value, struct fault *f,
                    struct error *err)
{
    const char *word = json_string_value(value);
    for (unsigned i = 0; word && i < FAULT_ECCS; i++) {
        f->data = i;
        if (strcmp(ecc_kinds[i], word) == 0)
            return 0;
    }
    return field_error(at, err, "corrected, contained or uncontained was expected");
}

static int read_what(const struct field_at *at, json_t *value, struct fault *f, struct error *err)
{
    int64_t xid = 0;
    const struct field number = {"", FIELD_INT, &xid, .min = 1, .max = 999};
    int r = 0;
    switch ((enum fault_effect)f->effect) {
    case FAULT_FAIL:
    case FAULT_SPOIL:
        return read_code(at, value, f, err);
    case FAULT_DELAY:
    case FAULT_LATE:
        return read_delay(at, value, f, err);
    case FAULT_XID:
        r = field_value(at, value, &number, err);
        f->data = (uint64_t)xid;
        return r;
    case FAULT_ECC:
        return read_ecc(at, value, f, err);
    case FAULT_RELOAD:
        return read_duration(at, value, &f->lasts, err);
    case FAULT_HANG:
    case FAULT_LOSE:
    case FAULT_LEAK:
    case FAULT_RENUMBER:
    case FAULT_HOLES:
        return json_is_true(value) ? 0 : field_error(at, err, "true was expected");
    case FAULT_EFFECTS:
        break;
    }
    return 0;
}

/* Whether what happens by itself says where. */
static int check_place(const struct field_at *at, const struct fault *f, struct error *err)
{
    bool contained = f->effect == FAULT_ECC && f->data == FAULT_ECC_CONTAINED;
    bool on_gpu = f->effect == FAULT_LOSE || f->effect == FAULT_XID || f->effect == FAULT_ECC ||
                  f->effect == FAULT_LEAK || f->effect == FAULT_HOLES;
    if (on_gpu && f->gpu == FAULTS_ANY)
        return field_error(at, err, "%s needs a GPU: match: {gpu: N}", effects[f->effect]);
    if ((f->effect == FAULT_LEAK || contained) && f->gi == FAULTS_ANY)
        return field_error(at, err, "%s needs a GPU instance: match: {gpu: N, gi: N}",
                           effects[f->effect]);
    return 0;
}

/* What an effect needs to be about, beyond what it says itself. */
static int check_effect(const struct field_at *at, const struct fault *f, struct error *err)
{
    bool call = fault_has_calls(f);
    if (f->effect <= FAULT_HANG && !call)
        return field_error(at, err, "%s needs a function: match: {call: NAME}", effects[f->effect]);
    if (call && f->each)
        return field_error(at, err, "each is for what happens by itself; with a call, write every");
    return call ? 0 : check_place(at, f, err);
}

static int read_effect(const struct field_at *above, const json_t *rule, json_t *effect,
                       struct fault *f, struct error *err)
{
    json_t *values[FAULT_EFFECTS] = {0};
    struct field fields[FAULT_EFFECTS + 1];
    int64_t lasts = TIME_NEVER;
    bool limited = false;
    unsigned n = 0;
    for (unsigned i = 0; i < FAULT_EFFECTS; i++)
        fields[i] = (struct field){effects[i], FIELD_ANY, &values[i]};
    fields[FAULT_EFFECTS] = (struct field){
        "for", FIELD_DURATION, &lasts, .max = LATENCY_MOST_S * TIME_S, .found = &limited};
    struct field_at at = field_key(above, rule, "effect");
    int r = field_read(&at, effect, fields, ARRAY_LEN(fields), err);
    for (unsigned i = 0; i < FAULT_EFFECTS; i++) {
        if (!values[i])
            continue;
        f->effect = i;
        n++;
    }
    if (r == 0 && n != 1)
        return field_error(&at, err, "exactly one of fail, answer, delay, late, hang, lose, xid, "
                                     "ecc, leak, reload, renumber, holes was expected");
    struct field_at what = field_key(&at, effect, effects[f->effect]);
    f->lasts = lasts;
    if (r == 0)
        r = read_what(&what, values[f->effect], f, err);
    if (r == 0 && limited && f->effect == FAULT_RELOAD)
        return field_error(&at, err, "reload says itself how long: reload: 2s");
    return r < 0 ? r : check_effect(&what, f, err);
}

/* What a rule without a name is called. */
static void label(struct fault *f, const char *name, const json_t *match)
{
    const json_t *call = json_object_get(match, "call");
    const char *word = json_is_string(call) ? json_string_value(call) : call ? "calls" : "";
    if (name)
        (void)str_copy(f->label, sizeof f->label, name);
    else
        (void)snprintf(f->label, sizeof f->label, "%.60s%s%s", word, *word ? ": " : "",
                       effects[f->effect]);
}

static int read_rule(const struct field_at *at, const json_t *rule, struct fault *f,
                     struct error *err)
{
    const char *name = NULL;
    json_t *match = NULL, *when = NULL, *effect = NULL;
    const struct field fields[] = {
        {"name", FIELD_STRING, &name, .max = FAULTS_LABEL - 1},
        {"match", FIELD_OBJECT, &match},
        {"when", FIELD_OBJECT, &when},
        {"effect", FIELD_OBJECT, &effect, .required = true},
    };
    *f = fault_any();
    int r = field_read(at, rule, fields, ARRAY_LEN(fields), err);
    if (r == 0 && match)
        r = read_match(at, rule, match, f, err);
    if (r == 0 && when)
        r = read_when(at, rule, when, f, err);
    if (r == 0)
        r = read_effect(at, rule, effect, f, err);
    label(f, name, match);
    return r;
}

static int read_tree(const char *path, const struct yaml *y, struct fault_plan *head,
                     struct fault *rules, struct error *err)
{
    struct field_at root = {.what = path, .marks = &y->marks};
    struct field_at list = field_key(&root, y->root, "rules");
    struct field_at of_latency = field_key(&root, y->root, "latency");
    const char *latency = NULL;
    json_t *all = NULL;
    int64_t seed = 1;
    const struct field fields[] = {
        {"seed", FIELD_INT, &seed, .min = 0, .max = INT64_MAX},
        {"latency", FIELD_STRING, &latency},
        {"rules", FIELD_ARRAY, &all, .max = FAULTS_MAX},
    };
    int r = field_read(&root, y->root, fields, ARRAY_LEN(fields), err);
    if (r == 0 && latency && strcmp(latency, "board") != 0 && strcmp(latency, "off") != 0)
        return field_error(&of_latency, err, "board or off was expected");
    *head = (struct fault_plan){.magic = FAULT_PLAN_MAGIC,
                                .calls = NVML_CALL_N,
                                .rule = sizeof rules[0],
                                .n = (uint32_t)json_array_size(all),
                                .seed = (uint64_t)seed,
                                .latency = !latency                        ? FAULT_LATENCY_KEEP
                                           : strcmp(latency, "board") == 0 ? FAULT_LATENCY_BOARD
                                                                           : FAULT_LATENCY_OFF};
    for (size_t i = 0; i < json_array_size(all) && r == 0; i++) {
        struct field_at one = field_index(&list, all, i);
        r = read_rule(&one, json_array_get(all, i), &rules[i], err);
    }
    return r;
}

int fault_plan_read(const char *path, void **ret_bytes, size_t *ret_size, struct error *err)
{
    AUTO_FREE char *text = NULL;
    AUTO_FREE char *bytes = malloc(FAULT_PLAN_MOST);
    AUTO_YAML struct yaml y = {0};
    struct fault_plan head;
    size_t size = 0;
    if (!bytes)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for a fault plan");
    int r = fd_read_file(path, JSON_TEXT_MAX, &text, &size, err);
    if (r == 0)
        r = yaml_parse(text, size, path, &y, err);
    if (r == 0 && json_is_null(y.root))
        return error_set(err, ERROR_INVALID, "%s: the plan is empty; --example shows one", path);
    if (r == 0)
        r = read_tree(path, &y, &head, (struct fault *)(void *)(bytes + sizeof head), err);
    if (r < 0)
        return r;
    memcpy(bytes, &head, sizeof head);
    *ret_size = sizeof head + head.n * sizeof(struct fault);
    *ret_bytes = STEAL(bytes);
    return 0;
}

const char fault_plan_example[] =
    "# A fault plan: what goes wrong on an emulated machine. The same seed gives the same run.\n"
    "seed: 7\n"
    "latency: board          # operations take their time; fetta emulate fault --latency: figures\n"
    "rules:\n"
    "  # A rule says whom it is about (all of match), when, and what happens.\n"
    "  - name: the firmware stalls\n"
    "    match: {call: nvmlDeviceGet*, gpu: 0}   # names or patterns; a list of them, too\n"
    "    when: {nth: 100, every: 50, times: 2}   # calls 100 and 150\n"
    "    effect: {delay: 45s}\n"
    "  - name: instances are made slowly, sometimes refused\n"
    "    match: {call: nvmlDeviceCreateGpuInstance*}\n"
    "    effect: {delay: {median: 1s, p99: 3s}}  # or {uniform: [1s, 2s]}, {exponential: 1s}\n"
    "  - match: {call: nvmlDeviceCreateGpuInstance*, uid: 0}   # or pid: 12, process: 'fetta*'\n"
    "    when: {probability: 0.1}\n"
    "    effect: {fail: INSUFFICIENT_RESOURCES}\n"
    "  - name: partial success, a GPU instance without its compute instance\n"
    "    match: {call: nvmlGpuInstanceCreateComputeInstance*}\n"
    "    when: {times: 1}\n"
    "    effect: {fail: UNKNOWN}\n"
    "  - name: done, and an error all the same\n"
    "    match: {call: nvmlGpuInstanceDestroy, gpu: 1, gi: 9}\n"
    "    when: {times: 1}\n"
    "    effect: {answer: UNKNOWN}               # late: 5s is done at once, told late\n"
    "  - match: {call: nvmlDeviceGetMemoryInfo*, process: nvtop}\n"
    "    effect: {hang: true, for: 10m}          # without for: until fetta emulate fault clear\n"
    "  # Without a call a rule happens by itself.\n"
    "  - match: {gpu: 2}\n"
    "    when: {after: 1m}\n"
    "    effect: {lose: true, for: 30s}          # falls off the bus; without for: until a reset\n"
    "  - match: {gpu: 1, gi: 9, ci: 0}\n"
    "    when: {after: 90s, each: 10m}\n"
    "    effect: {ecc: contained}                # or corrected, uncontained\n"
    "  - match: {gpu: 3}\n"
    "    when: {after: 2m}\n"
    "    effect: {xid: 119}\n"
    "  - match: {gpu: 3, gi: 7}\n"
    "    when: {after: 2m}\n"
    "    effect: {leak: true, for: 5m}           # in use, by no process that one could see\n"
    "  - match: {gpu: 4}\n"
    "    effect: {holes: true}                   # MIG devices keep their index when others go\n"
    "  - when: {after: 1h}\n"
    "    effect: {reload: 2s}                    # all clients cut off; back, empty, after 2 s\n"
    "  - when: {after: 1h}\n"
    "    effect: {renumber: true}                # /dev/nvidiaN: every GPU has another N\n";
