/* fetta-load: a program that works on an emulated GPU, as far as anybody can see. `fetta emulate
 * load` becomes it. It opens the device as a real process, so every NVML client shows its pid,
 * memory and utilisation, and all of that is gone when it dies, however it dies. Nothing is
 * computed; it waits as long as the published measurements say the work would take. */
#include "load/link.h"
#include "load/options.h"
#include "load/report.h"
#include "load/serve.h"

#include "base/fd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int fail(const struct error *err)
{
    (void)fprintf(stderr, "fetta emulate load: %s\n", err->text);
    return error_exit(err->code);
}

static int print(struct str *out)
{
    bool good = !out->failed && (out->len == 0 || fwrite(out->text, out->len, 1, stdout) == 1) &&
                fflush(stdout) == 0;
    if (!good && errno != EPIPE)
        (void)fprintf(stderr, "fetta emulate load: cannot write to stdout: %s\n", strerror(errno));
    return good ? 0 : 1;
}

/* The first of CUDA_VISIBLE_DEVICES, as a CUDA program would take it. */
static int visible_device(char *buf, size_t size, struct error *err)
{
    const char *all = getenv("CUDA_VISIBLE_DEVICES");
    size_t n = all ? strcspn(all, ",") : 0;
    if (all && (n == 0 || strcmp(all, "-1") == 0))
        return error_set(err, ERROR_NOT_FOUND, "CUDA_VISIBLE_DEVICES is there and names no device");
    (void)str_copy(buf, MIN(size, n + 1), all ? all : "");
    return 0;
}

/* "1g" ... "7g" by their smallest profile, a profile's full name, or "whole". */
static int own_work(const struct options *o, struct serve_plan *p, struct error *err)
{
    const struct board *b = board_find(p->device.board);
    (void)str_copy(p->work.name, sizeof p->work.name, o->model ? o->model : "own");
    p->work.model = -1;
    p->work.ns = (int64_t)(o->service_ms * 1e6);
    if (b && strcmp(o->slice, "whole") == 0) {
        p->work.at = work_place(b, BOARD_NO_PROFILE, 0);
        return 0;
    }
    for (unsigned i = 0; b && i < b->profile_n; i++) {
        char name[BOARD_PROFILE_NAME], size[8];
        p->work.at = work_place(b, i, 0);
        (void)snprintf(size, sizeof size, "%ug", b->profiles[i].compute);
        (void)board_profile_name(b, &b->profiles[i], name);
        if (strcmp(o->slice, name) == 0 || (p->work.at.plain && strcmp(o->slice, size) == 0))
            return 0;
    }
    return error_set(err, ERROR_INVALID,
                     "--slice: a %.20s has no '%.20s'; 1g ... 7g, a profile's name or whole, as "
                     "far as the board has it",
                     p->device.board, o->slice);
}

/* Finds the device and what to do on it. */
static int make_plan(const struct options *o, int fd, struct serve_plan *p, struct error *err)
{
    enum { EXCLUSIVE = 3 };
    char name[EMU_TEXT];
    struct work_time ignored;
    int r = o->device ? 0 : visible_device(name, sizeof name, err);
    if (r == 0)
        r = link_device(fd, o->device ? o->device : name, &p->device, err);
    if (r == 0)
        r = o->service_ms > 0 ? own_work(o, p, err) : work_find(o->model, &p->work, err);
    if (r < 0)
        return r;
    p->place = link_place(&p->device);
    p->batch = o->batch;
    p->queue = o->queue;
    p->rate = o->rate;
    p->length = o->length;
    p->seed = o->seed;
    p->bytes = o->memory;
    p->mps = o->sharing ? strcmp(o->sharing, "mps") == 0 : p->device.compute_mode == EXCLUSIVE;
    return work_service(&p->work, &p->place, p->batch, &ignored, err);
}

/* On a terminal, one line that changes, and stays one line. */
static void show_progress(void *arg, const struct serve_plan *p, const struct serve_report *r,
                          int64_t now)
{
    AUTO_STR struct str out = {0};
    struct winsize size = {0};
    (void)arg;
    report_progress(p, r, now, &out);
    (void)ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (!out.failed)
        (void)fprintf(stderr, "\r\033[K%.*s", size.ws_col > 1 ? size.ws_col - 1 : 200, out.text);
    (void)fflush(stderr);
}

static int catch_signals(struct error *err)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? error_errno(err, ERROR_IO, errno, "cannot wait for signals") : fd;
}

/* Runs it, and tells how far it went even if it did not end well. */
static int serve(const struct options *o, const struct serve_plan *p, const struct pace *pace)
{
    struct error err;
    AUTO_STR struct str out = {0};
    bool live = !o->json && isatty(STDERR_FILENO);
    AUTO_FREE struct serve_report *r = calloc(1, sizeof *r);
    if (!r) {
        error_set(&err, ERROR_NO_MEMORY, "no memory left for a report");
        return fail(&err);
    }
    int result = serve_run(p, pace, live ? show_progress : NULL, NULL, r, &err);
    if (live)
        (void)fputs("\r\033[K", stderr);
    if (o->json)
        report_json(p, r, &out);
    else
        report_lines(p, r, &out);
    int status = print(&out);
    if (result < 0)
        return fail(&err);
    return r->sig ? 128 + r->sig : status;
}

static int list(const struct options *o)
{
    AUTO_STR struct str out = {0};
    if (o->help)
        str_add(&out, options_help);
    else
        report_models(o->json, &out);
    return print(&out);
}

int main(int argc, char **argv)
{
    struct error err;
    struct options o;
    struct serve_plan plan = {0};
    AUTO_FD int driver = -1;
    AUTO_FD int signals = -1;
    if (options_parse(argc, argv, &o, &err) < 0)
        return fail(&err);
    if (o.help || o.list)
        return list(&o);
    signals = catch_signals(&err);
    if (signals < 0 || link_open(&driver, &err) < 0 || make_plan(&o, driver, &plan, &err) < 0 ||
        link_take(driver, &plan.device, o.memory, plan.mps, &err) < 0)
        return fail(&err);
    struct pace pace = {.driver = driver, .signals = signals};
    return serve(&o, &plan, &pace);
}
