/* `fetta emulate list`: machines and boards to emulate. */
#include "cli/args.h"

#include "model/machine.h"

static void machines(struct table *t)
{
    unsigned n;
    const struct machine_kind *kinds = machine_kinds(&n);
    for (unsigned i = 0; i < n; i++) {
        table_add(t, TABLE_BOLD, kinds[i].name);
        table_add(t, TABLE_PLAIN, kinds[i].composition);
        table_add(t, TABLE_PLAIN, kinds[i].text);
    }
}

static void boards(struct table *t)
{
    unsigned n;
    const struct board *all = board_all(&n);
    for (unsigned i = 0; i < n; i++) {
        table_add(t, TABLE_BOLD, all[i].name);
        table_addf(t, "%u memory slices", all[i].memory_slices);
        table_addf(t, "%s%s", all[i].product,
                   all[i].complete ? "" : " (figures incomplete: no leases)");
    }
}

static json_t *as_json(void)
{
    unsigned machine_n, board_n;
    const struct machine_kind *kinds = machine_kinds(&machine_n);
    const struct board *all = board_all(&board_n);
    json_t *m = json_array(), *b = json_array();
    for (unsigned i = 0; i < machine_n; i++)
        (void)json_array_append_new(m, json_pack("{s:s, s:s, s:s}", "name", kinds[i].name,
                                                 "composition", kinds[i].composition, "text",
                                                 kinds[i].text));
    for (unsigned i = 0; i < board_n; i++)
        (void)json_array_append_new(b, json_pack("{s:s, s:s, s:b}", "name", all[i].name, "product",
                                                 all[i].product, "complete", all[i].complete));
    return json_pack("{s:o, s:o}", "machines", m, "boards", b);
}

int verb_emulate_list(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    int first;
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    if (c->json) {
        json_t *all = as_json();
        r = cli_print_json(c, all);
        json_decref(all);
        return r;
    }
    AUTO_TABLE struct table t = {.columns = 3};
    AUTO_STR struct str out = {0};
    machines(&t);
    boards(&t);
    table_print(&t, &c->out, &out);
    str_add(&out, "\nand any mix of them: 4xa30    2xh100-sxm,1xa30    dgx-a100,2xa30\n");
    return cli_print(c, &out);
}
