/* `fetta status` and `fetta` alone: the machine as it is now. */
#include "cli/args.h"
#include "cli/get.h"
#include "cli/show.h"

#include <inttypes.h>
#include <string.h>

static void headline(const json_t *status, const struct table_look *look, struct str *out)
{
    const char *machine = get_text(status, "machine"), *driver = get_text(status, "driver");
    size_t gpus = json_array_size(get_in(status, "gpus"));
    table_styled(out, look, TABLE_BOLD, *machine ? machine : "this machine");
    str_addf(out, "%s, %zu GPU%s", get_bool(status, "emulated") ? " (emulated)" : "", gpus,
             gpus == 1 ? "" : "s");
    if (*driver)
        str_addf(out, ", driver %s", driver);
    if (strcmp(get_text(status, "store"), "ok") != 0 && *get_text(status, "store"))
        str_addf(out, ", state: %s", get_text(status, "store"));
    str_add(out, "\n\n");
}

static void free_line(const json_t *status, struct str *out)
{
    if (json_array_size(get_in(status, "gpus")) == 0)
        return;
    str_add(out, "free now, one kind alone: ");
    show_free(status, out);
    str_add(out, "\n");
}

static void whole_status(const json_t *status, const struct table_look *look, struct str *out)
{
    headline(status, look, out);
    show_gpus(status, look, out);
    str_add(out, "\n");
    size_t before = out->len;
    show_no_gpu(status, out);
    if (out->len > before)
        str_add(out, "\n");
    before = out->len;
    show_leases(get_in(status, "leases"), SHOW_HOLDING, get_time(status, "now"), look, out);
    if (out->len > before)
        str_add(out, "\n");
    before = out->len;
    show_queue(status, look, out);
    if (out->len > before)
        str_add(out, "\n");
    free_line(status, out);
}

/* The status is one text for everybody, so under `privacy: on` nobody finds their own leases in it;
 * the list of leases is for whoever asks. */
static void add_names(struct cli *c, json_t *status)
{
    struct error ignored;
    json_t *reply;
    if (!get_bool(status, "privacy") || cli_call(c, "GET", "/leases", NULL, &reply, &ignored) < 0)
        return;
    (void)json_object_set(status, "leases", get_in(reply, "leases"));
    json_decref(reply);
}

int verb_status(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    json_t *status;
    int first;
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = cli_call(c, "GET", c->json ? "/status" : "/status?brief=1", NULL, &status, &err);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    if (!c->json)
        add_names(c, status);
    if (!c->json)
        whole_status(status, &c->out, &out);
    return cli_print_reply(c, status, &out);
}

static json_t *mine(const json_t *status)
{
    json_t *list = json_array(), *lease;
    size_t i;
    json_array_foreach(get_in(status, "leases"), i, lease)
    {
        if (list && show_mine(lease))
            (void)json_array_append(list, lease);
    }
    return list;
}

/* The command somebody in this situation types next. */
static void next_step(const json_t *status, const json_t *leases, struct str *out)
{
    const json_t *gpu = json_array_get(get_in(status, "gpus"), 0);
    const char *profile = json_object_iter_key(json_object_iter(get_in(gpu, "free")));
    json_t *lease;
    size_t i;
    str_add(out, "next: ");
    json_array_foreach(leases, i, lease)
    {
        int64_t id = get_int(lease, "id", 0);
        if (strcmp(get_text(lease, "state"), "active") != 0)
            continue;
        str_addf(out, "fetta attach %" PRId64 ", or fetta lease end %" PRId64 "\n", id, id);
        return;
    }
    if (strcmp(get_text(gpu, "mig"), "none") == 0 || !profile)
        str_add(out, "fetta run --gpus 1 -- COMMAND\n");
    else
        str_addf(out, "fetta run -s %s -- COMMAND\n", profile);
}

int verb_home(struct cli *c, int argc, char **argv)
{
    struct error err;
    json_t *status;
    (void)argc;
    (void)argv;
    if (cli_call(c, "GET", "/status", NULL, &status, &err) < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0}, trouble = {0};
    add_names(c, status);
    json_t *leases = mine(status);
    headline(status, &c->out, &out);
    show_no_gpu(status, &trouble);
    /* What is on GPUs that are not ours yet is what the decision to take them rests on. */
    if (trouble.len && json_array_size(get_in(status, "gpus"))) {
        show_gpus(status, &c->out, &out);
        str_add(&out, "\n");
    }
    size_t before = out.len;
    show_leases(leases, SHOW_LIVE, get_time(status, "now"), &c->out, &out);
    if (out.len == before)
        str_add(&out, "you hold no lease\n");
    str_add(&out, "\n");
    if (trouble.len) {
        str_add(&out, trouble.text);
    } else {
        free_line(status, &out);
        next_step(status, leases, &out);
    }
    json_decref(leases);
    json_decref(status);
    return cli_print(c, &out);
}
