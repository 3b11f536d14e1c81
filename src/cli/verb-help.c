/* `fetta help`: the verbs, or what one verb takes. */
#include "cli/args.h"

#include <string.h>

static void overview(const struct cli *c, struct str *out)
{
    AUTO_TABLE struct table t = {.columns = 2};
    str_add(out, "fetta leases slices of GPUs (MIG instances), and whole GPUs.\n\n"
                 "  fetta run -s 1g.10gb -- python train.py    lease, run, give back\n"
                 "  fetta status                               who holds what\n"
                 "  fetta emulate dgx-a100 -- bash             try it without a GPU\n\n");
    for (unsigned i = 0; i < VERB_N; i++) {
        table_addf(&t, "  %s", cli_verbs[i].name);
        table_add(&t, TABLE_PLAIN, cli_verbs[i].help);
    }
    table_print(&t, &c->out, out);
    str_add(out, "\nfetta VERB --help says what a verb takes, man fetta the rest.\n");
}

int verb_help(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    char help[] = "--help", *again[] = {NULL, help, NULL};
    int first, words, r = args_parse(&a, c, argc, argv, &first, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    AUTO_STR struct str out = {0};
    if (first == argc) {
        overview(c, &out);
        return cli_print(c, &out);
    }
    const struct verb *v = verb_find(argc - first, argv + first, &words, &err);
    if (!v)
        return cli_fail(c, &err);
    if (v->run == verb_help)
        return verb_help(c, 1, argv);
    c->verb = v;
    again[0] = argv[first];
    return v->run(c, 2, again);
}
