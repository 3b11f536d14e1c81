/* `fetta attach`: a second way into a lease of one's own, from another terminal, an editor or a
 * notebook. What it starts is the lease's: it ends with it, not the other way round. */
#include "cli/get.h"
#include "cli/stay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The lease, which must be one that commands can be run on. */
static int find(struct cli *c, int64_t id, json_t **ret, struct error *err)
{
    json_t *reply;
    int r = cli_call_lease(c, "GET", id, "", NULL, &reply, err);
    if (r < 0)
        return r;
    const char *state = get_text(get_in(reply, "lease"), "state");
    if (strcmp(state, "active") != 0)
        r = error_set(err, ERROR_STATE,
                      "lease %" PRId64 " is %s; only an active one can be entered", id, state);
    else if (!get_bool(get_in(reply, "lease"), "mine"))
        r = error_set(err, ERROR_NO_PERMISSION, "lease %" PRId64 " belongs to somebody else", id);
    else
        *ret = json_incref(get_in(reply, "lease"));
    json_decref(reply);
    return r;
}

int verb_attach(struct cli *c, int argc, char **argv)
{
    struct args a = {.command = true};
    struct error err;
    json_t *lease = NULL;
    int64_t id;
    char interactive[] = "-i", sh[] = "/bin/sh", *shell = getenv("SHELL");
    char *by_default[] = {shell && *shell ? shell : sh, interactive, NULL}, **command = by_default;
    int first, r = args_read(&a, c, argc, argv, 1, -1, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = args_id(argv[first], &id, &err);
    if (r == 0)
        r = find(c, id, &lease, &err);
    if (r < 0)
        return cli_fail(c, &err);
    first++;
    if (first < argc && strcmp(argv[first], "--") == 0)
        first++;
    if (first < argc)
        command = argv + first;
    r = stay_run(c, lease, &(struct stay_plan){.kind = STAY_ATTACH, .argv = command});
    json_decref(lease);
    return r;
}
