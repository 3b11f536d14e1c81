/* From options to a request. Values go to the daemon as they were written: it knows the boards. */
#include "cli/ask.h"

#include "base/time.h"

#include <inttypes.h>
#include <string.h>

enum { TASKS_MOST = 64 };

#define GPU_MEANINGS                                                                               \
    "this can mean two things; write --gpus N for N whole GPUs, or --on GPU for which GPU the "    \
    "slice is to be on"

void ask_which(struct args *a, struct ask *k)
{
    const struct args_option options[] = {
        {"slice", 's', ARGS_TEXT, &k->profile, "PROFILE", "a slice by its name, such as 1g.10gb"},
        {"gpu-memory", 0, ARGS_BYTES, &k->memory, "SIZE", "at least this much memory (18GiB)"},
        {"gpu-compute", 0, ARGS_PART, &k->compute, "PART",
         "at least this part of a GPU (2/7, 30%)"},
        {"gpus", 0, ARGS_COUNT, &k->gpus, "N", "N whole GPUs, MIG off", .min = 1,
         .max = TASKS_MOST},
        {"on", 0, ARGS_TEXT, &k->on, "GPUS",
         "only on these GPUs: 2, 0-3, 1,5, or one by UUID"},
        {"gpu", 0, ARGS_REFUSED, NULL, NULL, GPU_MEANINGS},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        args_add(a, options[i]);
}

void ask_tasks(struct args *a, struct ask *k)
{
    args_add(a, (struct args_option){"tasks", 'n', ARGS_COUNT, &k->tasks, "N",
                                     "N slices at once, all or none", .min = 1, .max = TASKS_MOST});
}

void ask_terms(struct args *a, struct ask *k)
{
    const struct args_option options[] = {
        {"wait", 0, ARGS_DURATION, &k->wait, "DURATION",
         "wait at most so long (5m); 0: now or never"},
        {"for", 0, ARGS_DURATION, &k->length, "DURATION", "have it for so long (2h)"},
        {"grace", 0, ARGS_DURATION, &k->grace, "DURATION",
         "between SIGTERM and SIGKILL at the end"},
        {"signal", 0, ARGS_TEXT, &k->signal, "SIGNAL@DURATION",
         "a signal before the end (USR1@10m)"},
        {"priority", 0, ARGS_COUNT, &k->priority, "N", "above 0 for operators only", .min = -1000,
         .max = 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        args_add(a, options[i]);
}

/* -n and --on beside --gpus. */
static int check_whole(const struct ask *k, struct error *err)
{
    if (k->tasks > 1)
        return error_set(err, ERROR_INVALID,
                         "-n starts the command once a slice; with --gpus let a launcher do it "
                         "(torchrun --nproc-per-node=%" PRId64 ")",
                         k->gpus);
    if (k->gpus > 1 && k->on)
        return error_set(err, ERROR_INVALID, "--on names one GPU and --gpus asks for %" PRId64,
                         k->gpus);
    return 0;
}

int ask_check(const struct ask *k, struct error *err)
{
    int64_t length;
    if (k->length && time_parse(k->length, "--for", &length, err) == 0 && length == 0)
        return error_set(err, ERROR_INVALID,
                         "--for: %s is no time at all; without it the lease gets the default",
                         k->length);
    const char *need = k->memory ? "--gpu-memory" : k->compute ? "--gpu-compute" : NULL;
    if (k->profile && need)
        return error_set(err, ERROR_INVALID,
                         "-s names a slice and %s asks for one by need; give one", need);
    const char *slice = k->profile ? "-s" : need;
    if (k->gpus && slice)
        return error_set(err, ERROR_INVALID,
                         "--gpus asks for whole GPUs and %s for a slice; give one", slice);
    if (k->gpus)
        return check_whole(k, err);
    if (!slice)
        return error_set(err, ERROR_INVALID,
                         "say what is needed: -s PROFILE (fetta status shows them), --gpu-memory "
                         "SIZE, or --gpus N");
    return 0;
}

json_t *ask_body(const struct ask *k)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"profile", k->profile}, {"memory", k->memory}, {"compute", k->compute},
        {"gpu", k->on},          {"wait", k->wait},     {"for", k->length},
        {"grace", k->grace},     {"signal", k->signal}, {"key", k->key},
        {"owner", k->owner},
    };
    const struct {
        const char *key;
        int64_t n;
    } numbers[] = {
        {"gpus", k->gpus}, {"count", k->tasks > 1 ? k->tasks : 0}, {"priority", k->priority}};
    json_t *body = json_object();
    bool fine = body && (!k->movable || json_object_set_new(body, "movable", json_true()) == 0);
    for (size_t i = 0; fine && i < ARRAY_LEN(texts); i++)
        fine = !texts[i].text ||
               json_object_set_new(body, texts[i].key, json_string(texts[i].text)) == 0;
    for (size_t i = 0; fine && i < ARRAY_LEN(numbers); i++)
        fine = !numbers[i].n ||
               json_object_set_new(body, numbers[i].key, json_integer(numbers[i].n)) == 0;
    if (fine)
        return body;
    json_decref(body);
    return NULL;
}

const char *ask_command(char *const *argv, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = '\0';
    for (size_t i = 0; argv[i] && used + 2 < size; i++) {
        if (i)
            buf[used++] = ' ';
        (void)str_copy(buf + used, size - used, argv[i]);
        used += strlen(buf + used);
    }
    return buf;
}
