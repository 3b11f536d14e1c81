/* `fetta shell`: as salloc, a shell on a slice. fetta stays outside the lease as the shell's
 * parent, so that it can warn; the lease lives until the last process in it has left. */
#include "cli/stay.h"

#include <stdlib.h>

static json_t *request(const struct ask *k)
{
    json_t *body = ask_body(k);
    if (body && json_object_set_new(body, "bind", json_string("lease")) == 0 &&
        json_object_set_new(body, "door", json_string("shell")) == 0 &&
        json_object_set_new(body, "command", json_string("shell")) == 0 &&
        json_object_set_new(body, "stay", json_true()) == 0)
        return body;
    json_decref(body);
    return NULL;
}

int verb_shell(struct cli *c, int argc, char **argv)
{
    struct ask k = {0};
    struct args a = {0};
    struct error err;
    json_t *lease;
    int first;
    char interactive[] = "-i", bash[] = "/bin/sh";
    ask_which(&a, &k);
    ask_terms(&a, &k);
    int r = args_parse(&a, c, argc, argv, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0 && first < argc)
        r = error_set(&err, ERROR_INVALID, "'%.60s': a shell takes no command; fetta run does",
                      argv[first]);
    if (r == 0)
        r = ask_check(&k, &err);
    if (r < 0)
        return cli_fail(c, &err);
    json_t *body = request(&k);
    r = body ? grant_wait(c, body, &lease, &err)
             : error_set(&err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    json_decref(body);
    if (r < 0)
        return cli_fail(c, &err);
    char *shell = getenv("SHELL");
    char *command[] = {shell && *shell ? shell : bash, interactive, NULL};
    r = stay_run(c, lease, &(struct stay_plan){.kind = STAY_SHELL, .argv = command});
    json_decref(lease);
    return r;
}
