/* `fetta apply`, `assert`, `export`: layouts in the file format of mig-parted. */
#include "cli/args.h"
#include "cli/get.h"
#include "cli/parted.h"

#include "base/fd.h"
#include "text/json.h"
#include "text/yaml.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct layout_options {
    const char *file, *label;
    bool dry_run, force, assert;
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
    }
    args_add_json(&a, c);
    int r = args_parse(&a, c, argc, argv, &first, err);
    if (r == 0)
        r = args_count(c, argc - first, 0, 0, err);
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

static int ask_daemon(struct cli *c, const struct layout_options *o, json_t **ret,
                      struct error *err)
{
    json_t *specs;
    int r = read_specs(o, &specs, err);
    if (r < 0)
        return r;
    json_t *body = json_pack("{s:o, s:b, s:b, s:b}", "specs", specs, "force", o->force, "dry_run",
                             o->dry_run, "assert", o->assert);
    if (!body)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    c->patience_ms = -1;
    r = cli_call(c, "POST", "/layout", body, ret, err);
    json_decref(body);
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
    if (*get_text(reply, "text"))
        str_addf(out, "%s\n", get_text(reply, "text"));
}

static int layout(struct cli *c, int argc, char **argv, bool asserted)
{
    struct layout_options o = {.assert = asserted};
    struct error err;
    json_t *reply;
    int r = parse(c, argc, argv, &o, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = ask_daemon(c, &o, &reply, &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    if (!c->json)
        show_changes(reply, &c->out, &out);
    r = c->json ? cli_print_json(c, reply) : cli_print(c, &out);
    json_decref(reply);
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
    int r = args_parse(&a, c, argc, argv, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = args_count(c, argc - first, 0, 0, &err);
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
