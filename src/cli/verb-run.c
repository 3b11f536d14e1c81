/* `fetta run`: lease, run, give back. Where the lease has a cgroup of its own, fetta becomes the
 * command; otherwise, and for several tasks, it stays as parent. */
#include "cli/get.h"
#include "cli/stay.h"

#include "proc/spawn.h"

#include <signal.h>
#include <string.h>

struct run {
    struct ask ask;
    bool stay, keep_going;
};

static int parse(struct cli *c, int argc, char **argv, struct run *r, int *ret_first,
                 struct error *err)
{
    struct args a = {.command = true};
    ask_which(&a, &r->ask);
    ask_tasks(&a, &r->ask);
    ask_terms(&a, &r->ask);
    args_add(&a, (struct args_option){"stay", 0, ARGS_FLAG, &r->stay, NULL,
                                      "stay as parent: warnings on stderr, 124 when time was up"});
    args_add(&a, (struct args_option){"keep-going", 0, ARGS_FLAG, &r->keep_going, NULL,
                                      "with -n: do not end the others when one fails"});
    int result = args_parse(&a, c, argc, argv, ret_first, err);
    if (result)
        return result;
    if (*ret_first == argc)
        return error_set(err, ERROR_INVALID,
                         "what to run? fetta run -s 1g.10gb -- COMMAND [ARGUMENT...]");
    if (r->keep_going && !r->ask.tasks)
        return error_set(err, ERROR_INVALID, "--keep-going says what -n N is to do; give both");
    return ask_check(&r->ask, err);
}

static json_t *request(const struct run *r, char *const *command)
{
    char text[512];
    json_t *body = ask_body(&r->ask);
    json_t *stay = json_boolean(r->stay || r->ask.tasks);
    /* A command line need not be UTF-8, JSON is: then it is left out, it is only for people. */
    json_t *line = json_string(ask_command(command, text, sizeof text));
    if (body && line)
        (void)json_object_set_new(body, "command", line);
    if (body && json_object_set_new(body, "bind", json_string("pid")) == 0 &&
        json_object_set_new(body, "door", json_string("run")) == 0 &&
        json_object_set_new(body, "stay", stay) == 0)
        return body;
    json_decref(body);
    return NULL;
}

/* Becomes the command; returns only when that failed, with the lease given back. */
static int become(struct cli *c, const json_t *lease, char **command)
{
    struct error err;
    char **env = grant_env(lease, -1);
    if (!env) {
        stay_give_back(c, get_int(lease, "id", 0));
        cli_say(c, "no memory left to start the command");
        return c->verb->exit;
    }
    (void)spawn_become(command, env, &err);
    grant_free_env(env);
    /* We are in the lease ourselves, and are told to end with it. */
    (void)signal(SIGTERM, SIG_IGN);
    stay_give_back(c, get_int(lease, "id", 0));
    (void)cli_fail(c, &err);
    return spawn_exec_status(&err);
}

int verb_run(struct cli *c, int argc, char **argv)
{
    struct run r = {0};
    struct error err;
    json_t *lease;
    int first, result = parse(c, argc, argv, &r, &first, &err);
    if (result)
        return result < 0 ? cli_fail(c, &err) : 0;
    json_t *body = request(&r, argv + first);
    if (!body) {
        error_set(&err, ERROR_NO_MEMORY, "no memory left to ask fettad");
        return cli_fail(c, &err);
    }
    result = grant_wait(c, body, &lease, &err);
    json_decref(body);
    if (result < 0)
        return cli_fail(c, &err);
    if (r.ask.tasks > 1)
        cli_say(c, "NCCL does not work between slices; for torch.distributed use gloo, or MPI");
    struct stay_plan plan = {STAY_RUN, r.keep_going, r.ask.tasks, argv + first};
    if (get_bool(lease, "confined") && !r.stay && !r.ask.tasks)
        result = become(c, lease, argv + first);
    else
        result = stay_run(c, lease, &plan);
    json_decref(lease);
    return result;
}
