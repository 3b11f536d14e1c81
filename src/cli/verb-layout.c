/* `fetta apply`, `assert`, `export`: layouts in the file format of mig-parted. fettad answers
 * `apply` once the layout is decided on; people and scripts want it there, so that is waited for
 * here. */
#include "cli/args.h"
#include "cli/get.h"
#include "cli/parted.h"

#include "base/fd.h"
#include "base/time.h"
#include "text/json.h"
#include "text/yaml.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_SOON_US = 50000, LOOK_LATER_US = 500000 };

/* The first word of what is awaited comes late, since most layouts are there at once. */
#define TELL_AFTER (1 * TIME_S)
#define TELL_AGAIN (30 * TIME_S)

struct layout_options {
    const char *file, *label;
    bool dry_run, force, no_wait, assert;
};

static int parse(struct cli *c, int argc, char **argv, struct layout_options *o, struct error *err)
{
    struct args a = {0};
    int first;
    args_add(&a, (struct args_option){"file", 'f', ARGS_TEXT, &o->file, "FILE",
                                      "the layout file; - is stdin"});
    args_add(&a, (struct args_option){"config", 'c', ARGS_TEXT, &o->label, "NAME",
                                      "which configuration of it; not needed when there is one"});
    if (!o->assert) {
        args_add(&a, (struct args_option){"dry-run", 0, ARGS_FLAG, &o->dry_run, NULL,
                                          "only say what would be done"});
        args_add(&a, (struct args_option){"force", 0, ARGS_FLAG, &o->force, NULL,
                                          "end leases that stand in the way"});
        args_add(&a, (struct args_option){"no-wait", 0, ARGS_FLAG, &o->no_wait, NULL,
                                          "do not wait until it is there"});
    }
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, err);
    if (r == 0 && !o->file)
        r = error_set(err, ERROR_INVALID, "which file? -f FILE, or -f - for stdin");
    return r;
}

static int read_specs(const struct layout_options *o, json_t **ret, struct error *err)
{
    bool in = strcmp(o->file, "-") == 0;
    AUTO_FREE char *text = NULL;
    size_t size = 0;
    int r = fd_read_file(in ? "/dev/stdin" : o->file, JSON_TEXT_MAX, &text, &size, err);
    return r < 0 ? r : parted_read(text, size, in ? "stdin" : o->file, o->label, ret, err);
}

/* The body of a request for these specs, which it takes; NULL without memory. */
static json_t *body_of(json_t *specs, const struct layout_options *o)
{
    return json_pack("{s:o, s:b, s:b, s:b}", "specs", specs, "force", o->force, "dry_run",
                     o->dry_run, "assert", o->assert);
}

static int ask_daemon(struct cli *c, json_t *body, json_t **ret, struct error *err)
{
    if (!body)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    c->patience_ms = -1;
    int r = cli_call(c, "POST", "/layout", body, ret, err);
    c->patience_ms = 0;
    return r;
}

/* "3g.40gb, 1g.10gb": names, or objects with the name as `profile`. */
static void names(const json_t *list, struct str *out)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *name =
            json_is_string(item) ? json_string_value(item) : get_text(item, "profile");
        if (json_is_integer(item))
            str_addf(out, "%s%" PRId64, i ? ", " : "", (int64_t)json_integer_value(item));
        else
            str_addf(out, "%s%s", i ? ", " : "", name);
    }
}

static void show_changes(const json_t *reply, const struct table_look *look, struct str *out)
{
    const char *head[] = {"GPU", "DESTROY", "CREATE", "LEASES"};
    static const char *const keys[] = {"destroy", "create", "leases"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head)};
    size_t i;
    json_t *gpu;
    table_head(&t, head);
    size_t heading = t.n;
    json_array_foreach(get_in(reply, "gpus"), i, gpu)
    {
        if (get_bool(gpu, "matches"))
            continue;
        table_addf(&t, "%" PRId64, get_int(gpu, "gpu", 0));
        for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
            AUTO_STR struct str text = {0};
            names(get_in(gpu, keys[k]), &text);
            table_add(&t, TABLE_PLAIN, text.len ? text.text : "-");
        }
    }
    if (t.n > heading)
        table_print(&t, look, out);
}

/* "GPU 0, 3 (lease 12)": the GPUs that are not yet cut as wanted, "" when all are. */
static void missing(const json_t *reply, struct str *out)
{
    size_t i;
    json_t *gpu;
    json_array_foreach(get_in(reply, "gpus"), i, gpu)
    {
        AUTO_STR struct str leases = {0};
        if (get_bool(gpu, "matches"))
            continue;
        names(get_in(gpu, "leases"), &leases);
        str_addf(out, "%s%" PRId64, out->len ? ", " : "GPU ", get_int(gpu, "gpu", 0));
        if (leases.len)
            str_addf(out, " (lease %s)", leases.text);
    }
}

static void on_interrupt(int sig)
{
    static const char text[] = "fetta: waits no longer; fetta assert tells when it is there\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(128 + sig);
    _exit(128 + sig);
}

/* Asks what applying it once more would do, until that is nothing. */
static int wait_for_layout(struct cli *c, json_t *body, struct error *err)
{
    struct sigaction quit = {.sa_handler = on_interrupt}, before;
    int64_t tell = time_boot() + TELL_AFTER;
    bool told = false;
    int r;
    (void)json_object_set_new(body, "dry_run", json_true());
    (void)json_object_set_new(body, "force", json_true());
    (void)sigaction(SIGINT, &quit, &before);
    for (;;) {
        AUTO_STR struct str text = {0};
        json_t *reply = NULL;
        r = ask_daemon(c, body, &reply, err);
        missing(reply, &text);
        json_decref(reply);
        bool gone = r < 0 && (err->code == ERROR_NO_DAEMON || err->code == ERROR_IO);
        if ((r < 0 && !gone) || (r >= 0 && !text.len))
            break;
        if (time_boot() >= tell) {
            cli_say(c, "waiting for %s; Ctrl-C leaves it under way", gone ? "fettad" : text.text);
            tell = time_boot() + TELL_AGAIN;
            told = true;
        }
        (void)usleep(told ? LOOK_LATER_US : LOOK_SOON_US);
    }
    (void)sigaction(SIGINT, &before, NULL);
    return r;
}

/* Tells what is done, sees that it is, and says so. */
static int tell(struct cli *c, const struct layout_options *o, json_t *body, const json_t *reply)
{
    struct error err;
    AUTO_STR struct str out = {0}, last = {0};
    bool under_way = !o->assert && !o->dry_run && get_bool(reply, "changed");
    show_changes(reply, &c->out, &out);
    int r = c->json || !out.len ? 0 : cli_print(c, &out);
    (void)fflush(stdout);
    if (r == 0 && under_way && !o->no_wait && wait_for_layout(c, body, &err) < 0)
        return cli_fail(c, &err);
    if (r || c->json)
        return r ? r : cli_print_json(c, reply);
    str_addf(&last, "%s\n",
             under_way && o->no_wait ? "under way; fetta assert tells when it is there"
                                     : get_text(reply, "text"));
    return cli_print(c, &last);
}

static int layout(struct cli *c, int argc, char **argv, bool asserted)
{
    struct layout_options o = {.assert = asserted};
    struct error err;
    json_t *specs, *reply = NULL, *body = NULL;
    int r = parse(c, argc, argv, &o, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = read_specs(&o, &specs, &err);
    if (r == 0) {
        body = body_of(specs, &o);
        r = ask_daemon(c, body, &reply, &err);
    }
    r = r < 0 ? cli_fail(c, &err) : tell(c, &o, body, reply);
    json_decref(reply);
    json_decref(body);
    return r;
}

int verb_apply(struct cli *c, int argc, char **argv)
{
    return layout(c, argc, argv, false);
}

int verb_assert(struct cli *c, int argc, char **argv)
{
    return layout(c, argc, argv, true);
}

int verb_export(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    const char *label = "current";
    json_t *reply = NULL;
    int first;
    args_add(&a, (struct args_option){"label", 'l', ARGS_TEXT, &label, "NAME",
                                      "what to call it (current)"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = cli_call(c, "GET", "/layout", NULL, &reply, &err);
    if (r < 0)
        return cli_fail(c, &err);
    json_t *document = parted_document(get_in(reply, "specs"), label);
    char *text = document && !c->json ? yaml_format(document) : NULL;
    AUTO_STR struct str out = {.failed = !text};
    if (text)
        str_add(&out, text);
    r = document && c->json ? cli_print_json(c, document) : cli_print(c, &out);
    free(text);
    json_decref(document);
    json_decref(reply);
    return r;
}
