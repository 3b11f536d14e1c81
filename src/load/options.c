/* Options, their ranges, and what is said of wrong ones. */
#include "load/options.h"

#include "base/time.h"
#include "model/request.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char options_help[] =
    "usage: fetta emulate load --model NAME [OPTION...]\n"
    "  modelled work on the slice or GPU of a lease: a real process that NVML clients see, "
    "serving\n"
    "  requests with service times that were measured and published\n"
    "\n"
    "      --model NAME          what to serve; --list shows the known ones\n"
    "      --batch N             requests served at once, at most (1)\n"
    "      --rate N/s|max        requests each second, at random; max: back to back (max)\n"
    "      --memory BYTES        GPU memory to hold, such as 4G (1G, assumed)\n"
    "      --for DURATION        how long (10s)\n"
    "      --device NAME         UUID or index (the first of CUDA_VISIBLE_DEVICES, or GPU 0)\n"
    "      --sharing HOW         timeslice or mps, with others on the same device (timeslice; mps\n"
    "                            where the compute mode is exclusive)\n"
    "      --queue N             requests that may wait; beyond, they are refused (1024)\n"
    "      --seed N              of the arrivals (a different one each time; it is printed)\n"
    "      --service-ms MS       a measurement of your own: one batch alone takes so long\n"
    "      --slice SIZE          on 1g ... 7g, or whole, where that was measured\n"
    "      --list                the known models, their boards and sources\n"
    "      --json                JSON\n"
    "      --help                this text\n";

/* A number above `least`, at most `most`; `unit` may follow it. */
static int parse_number(const char *text, const char *what, const char *unit, double least,
                        double most, double *ret, struct error *err)
{
    char *end = NULL;
    errno = 0;
    *ret = strtod(text, &end);
    if (errno || end == text || (*end && strcmp(end, unit) != 0) || !(*ret > least) ||
        !(*ret <= most))
        return error_set(err, ERROR_INVALID, "--%s: '%.40s' is not a number above %g, at most %g%s",
                         what, text, least, most, *unit ? ", such as 60/s" : "");
    return 0;
}

static int parse_count(const char *text, const char *what, double most, unsigned *ret,
                       struct error *err)
{
    double value = 0;
    int r = parse_number(text, what, "", 0, most, &value, err);
    if (r == 0 && value != floor(value))
        return error_set(err, ERROR_INVALID, "--%s: '%.40s' is not a whole number", what, text);
    *ret = (unsigned)value;
    return r;
}

static int parse_seed(const char *text, uint64_t *ret, struct error *err)
{
    char *end = NULL;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-')
        return error_set(err, ERROR_INVALID, "--seed: '%.40s' is not a number of at least 0", text);
    return 0;
}

static int check_sharing(const char *text, struct error *err)
{
    if (strcmp(text, "timeslice") == 0 || strcmp(text, "mps") == 0)
        return 0;
    return error_set(err, ERROR_INVALID, "--sharing: '%.20s' is neither timeslice nor mps", text);
}

enum opt {
    OPT_MODEL = 256,
    OPT_BATCH,
    OPT_RATE,
    OPT_MEMORY,
    OPT_FOR,
    OPT_DEVICE,
    OPT_SHARING,
    OPT_QUEUE,
    OPT_SEED,
    OPT_SERVICE,
    OPT_SLICE,
    OPT_LIST,
    OPT_JSON,
    OPT_HELP,
    OPT_COLOR,
};

static const struct {
    const char *name;
    int value;
} names[] = {
    {"model", OPT_MODEL},        {"batch", OPT_BATCH}, {"rate", OPT_RATE},
    {"memory", OPT_MEMORY},      {"for", OPT_FOR},     {"device", OPT_DEVICE},
    {"sharing", OPT_SHARING},    {"queue", OPT_QUEUE}, {"seed", OPT_SEED},
    {"service-ms", OPT_SERVICE}, {"slice", OPT_SLICE}, {"list", OPT_LIST},
    {"json", OPT_JSON},          {"help", OPT_HELP},   {"no-color", OPT_COLOR},
};

/* Values that are numbers. */
static int take_number(struct options *o, int option, const char *value, struct error *err)
{
    switch (option) {
    case OPT_BATCH:
        return parse_count(value, "batch", WORK_BATCH, &o->batch, err);
    case OPT_RATE:
        o->rate = 0;
        return strcmp(value, "max") == 0 ? 0
                                         : parse_number(value, "rate", "/s", 0, 1e6, &o->rate, err);
    case OPT_MEMORY:
        return request_parse_bytes(value, "--memory", &o->memory, err);
    case OPT_FOR:
        return time_parse(value, "--for", &o->length, err);
    case OPT_QUEUE:
        return parse_count(value, "queue", SERVE_QUEUE_MAX, &o->queue, err);
    case OPT_SEED:
        return parse_seed(value, &o->seed, err);
    default: /* a number of getopt's, not an enum; the one that is left */
        return parse_number(value, "service-ms", "", 0, 1e6, &o->service_ms, err);
    }
}

static int take(struct options *o, int option, const char *value, struct error *err)
{
    switch (option) {
    case OPT_MODEL:
        o->model = value;
        return 0;
    case OPT_DEVICE:
        o->device = value;
        return 0;
    case OPT_SLICE:
        o->slice = value;
        return 0;
    case OPT_SHARING:
        o->sharing = value;
        return check_sharing(value, err);
    case OPT_LIST:
        o->list = true;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case OPT_HELP:
        o->help = true;
        return 0;
    case OPT_COLOR:
        return 0;
    case '?':
        return error_set(err, ERROR_INVALID, "see fetta emulate load --help");
    case ':':
        return error_set(err, ERROR_INVALID, "a value is missing; see fetta emulate load --help");
    default: /* a number of getopt's, not an enum */
        return take_number(o, option, value, err);
    }
}

static int check(const struct options *o, struct error *err)
{
    if (o->help || o->list)
        return 0;
    if (!o->model && o->service_ms <= 0)
        return error_set(
            err, ERROR_INVALID,
            "which --model? --list shows the known ones; --service-ms and --slice give "
            "a measurement of your own");
    if ((o->service_ms > 0) != (o->slice != NULL))
        return error_set(err, ERROR_INVALID,
                         "--service-ms and --slice belong together: how long, measured where");
    if (o->length <= 0)
        return error_set(err, ERROR_INVALID, "--for: a load of no length serves nothing");
    if (o->model && strlen(o->model) >= WORK_NAME)
        return error_set(err, ERROR_INVALID, "--model: a name has at most %d characters",
                         WORK_NAME - 1);
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct error *err)
{
    struct option table[ARRAY_LEN(names) + 1] = {0};
    int option, r = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        table[i] = (struct option){names[i].name,
                                   names[i].value >= OPT_LIST ? no_argument : required_argument,
                                   NULL, names[i].value};
    *ret = (struct options){.memory = UINT64_C(1) << 30,
                            .seed = (uint64_t)time_wall() ^ (uint64_t)getpid(),
                            .length = 10 * TIME_S,
                            .batch = 1,
                            .queue = 1024};
    while (r == 0 && (option = getopt_long(argc, argv, "h", table, NULL)) != -1)
        r = take(ret, option == 'h' ? OPT_HELP : option, optarg, err);
    if (r == 0 && optind < argc)
        return error_set(err, ERROR_INVALID, "'%.40s' is no option; see fetta emulate load --help",
                         argv[optind]);
    return r ? r : check(ret, err);
}
