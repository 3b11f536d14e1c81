/* `fetta emulate fidelity`: how true each function of the emulated library is. The table is that of
 * nvml_calls.def, from which the library itself is made. */
#include "cli/args.h"
#include "cli/branch.h"

#include "nvml/calls.h"

#include <string.h>

static const struct function {
    const char *name;
    unsigned since; /* driver branch */
    enum nvml_fidelity fidelity;
    const char *as; /* NULL, or the function that this is another name of */
} functions[] = {
#define CALL(name, since, fidelity, who, ...) {#name, since, NVML_##fidelity, NULL},
#define ALIAS(name, since, as, ...)           {#name, since, NVML_NONE, #as},
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    /* The two that are no rows, as they do not return what the others do or are not public. */
    {"nvmlErrorString", 535, NVML_EXACT, NULL},
    {"nvmlInternalGetExportTable", 535, NVML_MODELLED, NULL},
};

static const char *const later[] = {
#define LATER(name) #name,
#include "nvml/later.def"
#undef LATER
};

static const char *word(enum nvml_fidelity fidelity)
{
    switch (fidelity) {
    case NVML_EXACT:
    case NVML_LOCAL:
        return "exact";
    case NVML_MODELLED:
        return "modelled";
    case NVML_CONSTANT:
        return "constant";
    case NVML_NONE:
        break;
    }
    return "absent";
}

static enum nvml_fidelity fidelity_of(const struct function *f)
{
    for (size_t i = 0; f->as && i < ARRAY_LEN(functions); i++)
        if (strcmp(functions[i].name, f->as) == 0)
            return functions[i].fidelity;
    return f->fidelity;
}

static bool has(unsigned branch, const struct function *f)
{
    return f->since <= branch;
}

static json_t *as_json(const struct branch *b)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < ARRAY_LEN(functions); i++)
        if (has(b->number, &functions[i]))
            (void)json_array_append_new(
                rows, json_pack("{s:s, s:s}", "name", functions[i].name, "fidelity",
                                word(fidelity_of(&functions[i]))));
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:s}", "name", later[i], "fidelity", "unknown"));
    return json_pack("{s:s, s:o}", "driver", b->name, "functions", rows);
}

static void add_row(struct table *t, const char *name, const char *fidelity, const char *as)
{
    table_add(t, TABLE_PLAIN, fidelity);
    table_add(t, TABLE_BOLD, name);
    if (as)
        table_addf(t, "as %s", as);
    else
        table_add(t, TABLE_PLAIN, "");
}

/* The rows of one degree, and how many they are. */
static unsigned add_all(struct table *t, const struct branch *b, const char *fidelity)
{
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        const struct function *f = &functions[i];
        if (!has(b->number, f) || strcmp(word(fidelity_of(f)), fidelity) != 0)
            continue;
        add_row(t, f->name, fidelity, f->as);
        n++;
    }
    return n;
}

static int print_table(struct cli *c, const struct branch *b)
{
    AUTO_TABLE struct table t = {.columns = 3};
    AUTO_STR struct str out = {0};
    unsigned exact = add_all(&t, b, "exact"), modelled = add_all(&t, b, "modelled");
    unsigned constant = add_all(&t, b, "constant"), absent = add_all(&t, b, "absent");
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        add_row(&t, later[i], "unknown", NULL);
    table_print(&t, &c->out, &out);
    str_addf(&out,
             "\ndriver %s: %u functions: %u exact, %u modelled, %u constant, %u absent (they "
             "answer NOT_SUPPORTED)\n"
             "%zu of later drivers are unknown, and not there\n",
             b->name, exact + modelled + constant + absent, exact, modelled, constant, absent,
             ARRAY_LEN(later));
    return cli_print(c, &out);
}

int verb_emulate_fidelity(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    int first;
    unsigned n;
    const char *name = NULL;
    const struct branch *all = branch_all(&n), *b = &all[n - 1];
    args_add(&a, (struct args_option){"driver", 0, ARGS_TEXT, &name, "BRANCH",
                                      "the functions of driver 535 or 550 (550)"});
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r == 0 && name)
        r = branch_find(name, NULL, &b, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    if (c->json) {
        json_t *all_rows = as_json(b);
        r = cli_print_json(c, all_rows);
        json_decref(all_rows);
        return r;
    }
    return print_table(c, b);
}
