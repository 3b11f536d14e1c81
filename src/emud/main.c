/* fetta-emud: the emulated driver as a program. One process holds one machine full of emulated
 * GPUs, as the kernel driver would; every program that loads the emulated libnvidia-ml.so.1 with
 * FETTA_EMU_SOCKET set to its socket sees that machine. When it ends, the driver is unloaded. */
#include "base/log.h"
#include "emud/answer.h"
#include "emud/ctl.h"
#include "emud/protocol.h"
#include "emud/server.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/time.h"
#include "files/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOW_MAX = 64 };

struct arguments {
    const char *machine, *socket, *driver, *plan, *kmsg, *files, *image, *clock_file;
    bool mig;
    uint32_t root;
    int ready_fd;
    bool latency;
    struct clock clock;
    uint64_t seed;
    unsigned slow_n;
    struct fault slow[SLOW_MAX];
};

static const char usage[] =
    "usage: fetta-emud MACHINE --socket PATH [OPTION...]\n"
    "       fetta-emud ctl [--socket PATH] VERB ...\n"
    "\n"
    "  MACHINE                 dgx-a100, 4xa30, 2xh100-sxm,1xa30 ...\n"
    "  --socket PATH           where clients find it (their FETTA_EMU_SOCKET)\n"
    "  --mig on|off            MIG mode at power-on (on)\n"
    "  --driver VERSION        the driver's version, such as 550.54.15\n"
    "  --root-uid UID          this user too may change the machine\n"
    "  --latency board|off     operations take the time they take on such boards (off)\n"
    "  --latency CALL=MS       every call of this NVML function takes MS; may be repeated\n"
    "  --image FILE            MACHINE is only a name; this is what fetta made of a board file\n"
    "  --files DIR             keeps the machine's device nodes, /proc and /sys there (root)\n"
    "  --clock real|virtual|xN the clock of the machine: virtual jumps over waiting (real)\n"
    "  --clock-file FILE       where others who go by that clock read it\n"
    "  --plan FILE             a fault plan as fetta emulate makes it\n"
    "  --kmsg FILE             the kernel log, to which XIDs are appended\n"
    "  --seed N                of latencies (1); a fault plan has its own\n"
    "  --ready-fd N            writes READY=1 there when clients can connect\n"
    "\n"
    "verbs of ctl:\n";

static int parse_u32(const char *text, const char *what, uint32_t *ret, struct error *err)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || text[0] == '-' || value > UINT32_MAX)
        return error_set(err, ERROR_INVALID, "%s: '%s' is not a number", what, text);
    *ret = (uint32_t)value;
    return 0;
}

/* "board", "off", "nvmlDeviceCreateGpuInstance=200" */
static int parse_latency(const char *text, struct arguments *a, struct error *err)
{
    char name[64];
    uint32_t ms = 0;
    a->latency = strcmp(text, "board") == 0 || (a->latency && strcmp(text, "off") != 0);
    if (strcmp(text, "board") == 0 || strcmp(text, "off") == 0)
        return 0;
    const char *equals = strchr(text, '=');
    (void)str_copy(name, MIN(sizeof name, equals ? (size_t)(equals - text) + 1 : 1), text);
    int call = answer_find(name);
    if (!equals || call < 0)
        return error_set(err, ERROR_INVALID,
                         "--latency: '%s' is neither board nor off nor begins with the name of an "
                         "NVML function and =",
                         text);
    if (a->slow_n == SLOW_MAX)
        return error_set(err, ERROR_INVALID, "--latency: at most %d", SLOW_MAX);
    struct fault *rule = &a->slow[a->slow_n++];
    int result = parse_u32(equals + 1, "--latency", &ms, err);
    *rule = fault_any();
    rule->effect = FAULT_DELAY;
    rule->delay.a = ms * TIME_MS;
    fault_set_call(rule, (uint32_t)call);
    (void)str_copy(rule->label, sizeof rule->label, text);
    return result;
}

enum {
    OPT_SOCKET = 256,
    OPT_MIG,
    OPT_ROOT,
    OPT_LATENCY,
    OPT_READY,
    OPT_DRIVER,
    OPT_CLOCK,
    OPT_CLOCK_FILE,
    OPT_PLAN,
    OPT_KMSG,
    OPT_SEED,
    OPT_FILES,
    OPT_IMAGE
};

static int take_option(struct arguments *a, int option, struct error *err)
{
    uint32_t number = 0;
    int result = 0;
    switch (option) {
    case OPT_SOCKET:
        a->socket = optarg;
        return 0;
    case OPT_MIG:
        a->mig = strcmp(optarg, "on") == 0;
        if (!a->mig && strcmp(optarg, "off") != 0)
            return error_set(err, ERROR_INVALID, "--mig: '%s' is neither on nor off", optarg);
        return 0;
    case OPT_DRIVER:
        a->driver = optarg;
        return 0;
    case OPT_IMAGE:
        a->image = optarg;
        return 0;
    case OPT_FILES:
        a->files = optarg;
        return 0;
    case OPT_ROOT:
        return parse_u32(optarg, "--root-uid", &a->root, err);
    case OPT_LATENCY:
        return parse_latency(optarg, a, err);
    case OPT_CLOCK:
        return clock_parse(optarg, &a->clock, err);
    case OPT_CLOCK_FILE:
        a->clock_file = optarg;
        return 0;
    case OPT_PLAN:
        a->plan = optarg;
        return 0;
    case OPT_KMSG:
        a->kmsg = optarg;
        return 0;
    case OPT_SEED:
        result = parse_u32(optarg, "--seed", &number, err);
        a->seed = number;
        return result;
    case OPT_READY:
        result = parse_u32(optarg, "--ready-fd", &number, err);
        a->ready_fd = (int)number;
        return result;
    default: /* getopt's own '?' */
        return error_set(err, ERROR_INVALID, "see fetta-emud --help");
    }
}

static int parse_arguments(int argc, char **argv, struct arguments *a, struct error *err)
{
    static const struct option options[] = {{"socket", required_argument, NULL, OPT_SOCKET},
                                            {"mig", required_argument, NULL, OPT_MIG},
                                            {"driver", required_argument, NULL, OPT_DRIVER},
                                            {"files", required_argument, NULL, OPT_FILES},
                                            {"image", required_argument, NULL, OPT_IMAGE},
                                            {"root-uid", required_argument, NULL, OPT_ROOT},
                                            {"latency", required_argument, NULL, OPT_LATENCY},
                                            {"clock", required_argument, NULL, OPT_CLOCK},
                                            {"clock-file", required_argument, NULL, OPT_CLOCK_FILE},
                                            {"plan", required_argument, NULL, OPT_PLAN},
                                            {"kmsg", required_argument, NULL, OPT_KMSG},
                                            {"seed", required_argument, NULL, OPT_SEED},
                                            {"ready-fd", required_argument, NULL, OPT_READY},
                                            {0}};
    int result = 0, option;
    while (result == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        result = take_option(a, option, err);
    if (result == 0 && optind + 1 != argc)
        result = error_set(err, ERROR_INVALID, "name one machine; see fetta-emud --help");
    if (result == 0 && !a->socket)
        result = error_set(err, ERROR_INVALID, "--socket is missing; see fetta-emud --help");
    a->machine = argv[argc - 1];
    return result;
}

static int serve(const struct arguments *a, struct box *box, struct error *err)
{
    AUTO_FREE struct trouble *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an emulated machine");
    trouble_init(t, box, &a->clock, a->seed);
    t->latency = a->latency;
    int result = a->plan ? trouble_load_file(t, a->plan, err) : 0;
    if (result == 0 && a->clock_file)
        result = trouble_share_clock(t, a->clock_file, err);
    if (result == 0 && a->kmsg)
        result = trouble_log_to(t, a->kmsg, err);
    for (unsigned i = 0; i < a->slow_n; i++)
        (void)faults_add(&t->faults, &a->slow[i], trouble_now(t));
    server_raise_limits();
    struct server_options o = {.path = a->socket, .ready_fd = a->ready_fd};
    if (result == 0 && a->files)
        result = tree_new(a->files, &box->m, &o.files, err);
    if (result == 0)
        result = server_run(&o, t, err);
    o.files = tree_free(o.files);
    t->log = fd_close(t->log);
    return result;
}

static int read_image(const char *path, const char *name, struct machine *ret, struct error *err)
{
    AUTO_FREE struct machine_image *image = calloc(1, sizeof *image);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!image)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an emulated machine");
    if (fd < 0)
        return error_errno(err, ERROR_IO, errno, "cannot read %s", path);
    int result = fd_read_all(fd, image, sizeof *image, err);
    if (result == 0)
        result = machine_image_check(image, err);
    *ret = image->machine;
    (void)str_copy(ret->name, sizeof ret->name, name);
    return result;
}

static int run_driver(int argc, char **argv, struct error *err)
{
    struct arguments a = {
        .mig = true, .ready_fd = -1, .seed = 1, .clock = {.kind = CLOCK_KIND_REAL, .factor = 1}};
    AUTO_FREE struct machine *machine = calloc(1, sizeof *machine);
    AUTO_FREE struct box *box = NULL;
    int result = parse_arguments(argc, argv, &a, err);
    if (result < 0)
        return result;
    if (!machine)
        return error_set(err, ERROR_NO_MEMORY, "no memory for an emulated machine");
    result = a.image ? read_image(a.image, a.machine, machine, err)
                     : machine_parse(a.machine, machine, err);
    if (result < 0)
        return result;
    if (a.driver && !str_copy(machine->driver, sizeof machine->driver, a.driver))
        return error_set(err, ERROR_INVALID, "--driver: '%s' is too long", a.driver);
    result = box_new(machine, a.mig, a.root, &box, err);
    if (result < 0)
        return result;
    macro_free(&machine);
    machine = NULL;
    return serve(&a, box, err);
}

static int run_ctl(int argc, char **argv, struct error *err)
{
    const char *path = getenv(EMU_ENV_SOCKET);
    if (argc >= 2 && strcmp(argv[0], "--socket") == 0) {
        path = argv[1];
        argc -= 2;
        argv += 2;
    }
    if (!path)
        return error_set(err, ERROR_INVALID, "say --socket PATH or set " EMU_ENV_SOCKET);
    return ctl_run(path, argc, argv, err);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    log_init("fetta-emud", LOG_LEVEL_INFO);
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return printf("%s%s", usage, ctl_help) < 0;
    int result = argc >= 2 && strcmp(argv[1], "ctl") == 0 ? run_ctl(argc - 2, argv + 2, &err)
                                                          : run_driver(argc, argv, &err);
    if (result == 0)
        return 0;
    log_error("%s", err.text);
    return error_exit(err.code);
}
