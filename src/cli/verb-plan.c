/* `fetta plan`: the fewest GPUs for some work, how to cut them, and why fewer cannot do. A plan is
 * for machines that may not be there yet, so nothing is asked of fettad, unless it is to begin from
 * what the machine runs now. */
#include "cli/args.h"
#include "cli/boards.h"
#include "cli/now.h"
#include "cli/past.h"
#include "cli/planned.h"
#include "cli/save.h"

#include "base/fd.h"
#include "text/json.h"
#include "text/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct plan_options {
    const char *file, *machine, *layout, *emit, *since;
    bool example, running, serve;
};

/* Where a plan begins: from a machine by name, or from this one as it is. */
static int check_where(const struct plan_options *o, struct error *err)
{
    if (o->running && o->machine)
        return error_set(err, ERROR_INVALID,
                         "--from-running is for this machine, and --machine for another: one of "
                         "them");
    if (o->serve && !(o->running && o->file))
        return error_set(err, ERROR_INVALID, "--leases-serve belongs to --from-running with -f");
    if (o->running && !o->file && (o->layout || o->emit))
        return error_set(err, ERROR_INVALID,
                         "without -f FILE leases are what is packed, and only who moves them can "
                         "bring that about: there is no layout to write");
    return 0;
}

static int check_past(const struct plan_options *o, struct error *err)
{
    if (o->file || o->machine || o->running || o->serve || o->emit)
        return error_set(err, ERROR_INVALID,
                         "--from-history plans for what this machine ran: -o and --json alone go "
                         "with it");
    return 0;
}

static int check(const struct plan_options *o, const char *folder, struct error *err)
{
    if (o->emit && strcmp(o->emit, "systemd") != 0)
        return error_set(err, ERROR_INVALID, "--emit: units are written for systemd, not for '%s'",
                         o->emit);
    if ((o->emit != NULL) != (folder != NULL))
        return error_set(err, ERROR_INVALID, "a folder belongs to --emit: --emit systemd FOLDER");
    if (o->since)
        return check_past(o, err);
    if (!o->file && !o->running)
        return error_set(err, ERROR_INVALID,
                         "which work? -f FILE; fetta plan --example shows what to write in it");
    if (!o->machine && !o->running)
        return error_set(err, ERROR_INVALID,
                         "on which machine? --machine dgx-a100, 4xdgx-a100, 8xa30; fetta emulate "
                         "list shows the names");
    return check_where(o, err);
}

static int parse(struct cli *c, int argc, char **argv, struct plan_options *o, const char **ret_to,
                 struct error *err)
{
    struct args a = {0};
    int first;
    args_add(&a, (struct args_option){"file", 'f', ARGS_TEXT, &o->file, "FILE",
                                      "what is to run; - is stdin"});
    args_add(&a, (struct args_option){"machine", 0, ARGS_TEXT, &o->machine, "MACHINE",
                                      "where: a name of fetta emulate list, so many of them, or a "
                                      "file of boards"});
    args_add(&a, (struct args_option){"layout", 'o', ARGS_TEXT, &o->layout, "FILE",
                                      "write the layout for fetta apply and mig-parted; - is "
                                      "stdout"});
    args_add(&a, (struct args_option){"emit", 0, ARGS_TEXT, &o->emit, "systemd",
                                      "write one unit per replica into the folder that follows"});
    args_add(&a, (struct args_option){"example", 0, ARGS_FLAG, &o->example, NULL,
                                      "print a work file with comments"});
    args_add(&a, (struct args_option){"from-running", 0, ARGS_FLAG, &o->running, NULL,
                                      "for this machine, with the least change of what is there; "
                                      "without -f, what its leases could be packed into"});
    args_add(&a, (struct args_option){"leases-serve", 0, ARGS_FLAG, &o->serve, NULL,
                                      "what leases hold is part of the work, not beside it"});
    args_add(&a, (struct args_option){"from-history", 0, ARGS_DURATION, &o->since, "TIME",
                                      "the fixed layout for what this machine ran in the last 30d, "
                                      "and whether it is better than none"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 1, &first, err);
    if (r != 0 || o->example)
        return r;
    *ret_to = first < argc ? argv[first] : NULL;
    return check(o, *ret_to, err);
}
static int read_needs(const char *file, struct needs *ret, struct error *err)
{
    bool in = strcmp(file, "-") == 0;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    int r = fd_read_file(in ? "/dev/stdin" : file, JSON_TEXT_MAX, &text, &size, err);
    return r < 0 ? r : needs_read(text, size, in ? "stdin" : file, ret, err);
}

static int read_fleet(const char *machine, struct fleet *ret, struct error *err)
{
    struct error why;
    if (!boards_is_file(machine)) {
        int r = fleet_parse(machine, ret, &why);
        return r < 0 ? error_set(err, why.code, "--machine: %s", why.text) : 0;
    }
    AUTO_FREE struct machine *m = malloc(sizeof *m);
    memset(ret, 0, sizeof *ret);
    if (!m)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    int r = boards_load(machine, m, err);
    return r < 0 ? r : fleet_add(ret, m, 1, err);
}

/* Writes a layout file's document, which it takes. */
static int write_layout(json_t *document, const char *file, struct error *err)
{
    AUTO_FREE char *text = document ? yaml_format(document) : NULL;
    json_decref(document);
    if (!text)
        return error_set(err, ERROR_NO_MEMORY, "no memory left for the layout");
    if (strcmp(file, "-") == 0)
        return fd_write_all(STDOUT_FILENO, text, strlen(text), err);
    return save_text(text, strlen(text), file, err);
}

/* Tells the plan, unless its layout is what goes to stdout. 0 or an exit status. */
static int tell(struct cli *c, const struct planned *p, const struct plan_options *o)
{
    if (o->layout && strcmp(o->layout, "-") == 0)
        return 0;
    if (c->json) {
        json_t *value = planned_json(p);
        int status = value ? cli_print_json(c, value) : 1;
        json_decref(value);
        return status;
    }
    struct str text = {0};
    planned_print(p, &c->out, &text);
    return cli_print(c, &text);
}

static int write_units(const struct cli *c, const struct planned *p, const char *folder,
                       struct error *err)
{
    AUTO_STR struct str without = {0};
    unsigned n;
    int r = planned_units(p, folder, &n, &without, err);
    if (r < 0)
        return r;
    cli_say(c, "%u units are in %s", n, folder);
    if (without.len)
        cli_say(c, "no units for %s: they have no command in the work file", without.text);
    return 0;
}

/* Tells the plan and writes it down as asked. 0, an exit status, or a negative code. */
static int carry_out(struct cli *c, const struct planned *p, const struct plan_options *o,
                     const char *folder, struct error *err)
{
    int r = 0, status = tell(c, p, o);
    if (p->plan->part <= 0)
        r = error_set(err, ERROR_NEVER, "there is no plan: the GPUs are too few");
    if (r == 0 && o->layout)
        r = write_layout(planned_layout(p), o->layout, err);
    if (r == 0 && folder)
        r = write_units(c, p, folder, err);
    return r < 0 ? r : status;
}

/* Tells the plan for the machine that runs. 0 or an exit status. */
static int tell_now(struct cli *c, const struct now *n, const struct running_plan *plan,
                    const struct planned *p, const struct plan_options *o)
{
    if (o->layout && strcmp(o->layout, "-") == 0)
        return 0;
    if (c->json) {
        json_t *value = now_json(n, plan, p);
        int status = value ? cli_print_json(c, value) : 1;
        json_decref(value);
        return status;
    }
    struct str text = {0};
    now_print(n, plan, p, &c->out, &text);
    return cli_print(c, &text);
}

/* Tells the plan and writes it down as asked. 0, an exit status, or a negative code. */
static int carry_out_now(struct cli *c, const struct now *n, const struct running_plan *plan,
                         const struct planned *p, const struct plan_options *o, const char *folder,
                         struct error *err)
{
    int r = 0, status = tell_now(c, n, plan, o->file ? p : NULL, o);
    if (o->file && plan->plan.part <= 0)
        r = error_set(err, ERROR_NEVER, "there is no plan: there is no room");
    if (r == 0 && o->layout)
        r = write_layout(now_layout(n, plan), o->layout, err);
    if (r == 0 && folder)
        r = write_units(c, p, folder, err);
    return r < 0 ? r : status;
}

/* Plans from what runs now. 0, an exit status, or a negative code. */
static int plan_now(struct cli *c, const struct plan_options *o, const char *folder,
                    struct error *err)
{
    AUTO_NEEDS struct needs needs = {0};
    AUTO_FREE struct now *now = malloc(sizeof *now);
    AUTO_RUNNING_PLAN struct running_plan plan = {0};
    int r = now ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    if (r == 0 && o->file)
        r = read_needs(o->file, &needs, err);
    if (r == 0)
        r = now_read(c, !o->file, now, err);
    if (r == 0)
        r = o->file ? running_solve(&now->running, &needs, o->serve, &plan, err)
                    : running_repack(&now->running, &plan, err);
    if (r < 0)
        return r;
    struct planned p = {&now->running.fleet, &needs, &plan.plan};
    return carry_out_now(c, now, &plan, &p, o, folder, err);
}

/* Plans from what ran. 0, an exit status, or a negative code. */
static int plan_past(struct cli *c, const struct plan_options *o, struct error *err)
{
    AUTO_FREE struct past *past = malloc(sizeof *past);
    bool told = !o->layout || strcmp(o->layout, "-") != 0;
    int status = 0;
    int r = past ? past_plan(c, o->since, past, err)
                 : error_set(err, ERROR_NO_MEMORY, "no memory left for the plan");
    if (r == 0 && told && c->json) {
        json_t *value = past_json(past);
        status = value ? cli_print_json(c, value) : 1;
        json_decref(value);
    } else if (r == 0 && told) {
        struct str text = {0};
        past_print(past, &c->out, &text);
        status = cli_print(c, &text);
    }
    if (r == 0 && o->layout)
        r = write_layout(past_layout(past), o->layout, err);
    return r < 0 ? r : status;
}

static int print_example(struct cli *c)
{
    struct str text = {0};
    str_add(&text, needs_example);
    return cli_print(c, &text);
}

int verb_plan(struct cli *c, int argc, char **argv)
{
    struct plan_options o = {0};
    const char *folder = NULL;
    AUTO_NEEDS struct needs needs = {0};
    AUTO_FLEET_PLAN struct fleet_plan plan = {0};
    AUTO_FREE struct fleet *fleet = malloc(sizeof *fleet);
    struct error err;
    if (!fleet) {
        error_set(&err, ERROR_NO_MEMORY, "no memory left for the plan");
        return cli_fail(c, &err);
    }
    int r = parse(c, argc, argv, &o, &folder, &err);
    if (r > 0)
        return 0;
    if (r == 0 && o.example)
        return print_example(c);
    if (r == 0 && (o.running || o.since)) {
        r = o.since ? plan_past(c, &o, &err) : plan_now(c, &o, folder, &err);
        return r < 0 ? cli_fail(c, &err) : r;
    }
    r = r < 0 ? r : read_fleet(o.machine, fleet, &err);
    r = r < 0 ? r : read_needs(o.file, &needs, &err);
    r = r < 0 ? r : fleet_solve(fleet, &needs, &plan, &err);
    struct planned p = {fleet, &needs, &plan};
    r = r < 0 ? r : carry_out(c, &p, &o, folder, &err);
    return r < 0 ? cli_fail(c, &err) : r;
}
