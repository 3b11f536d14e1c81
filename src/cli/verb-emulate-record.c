/* `fetta emulate record`: the boards and GPUs of this machine as a file that can be emulated.
 *
 * The driver is asked by fetta-worker, the program that has the device layer; what it answers comes
 * over a pipe. Nothing is changed. */
#include "cli/args.h"
#include "cli/boards.h"
#include "cli/place.h"

#include "base/fd.h"
#include "text/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char head[] =
    "# Boards and GPUs as their driver told them, recorded by fetta. What no driver tells (shares\n"
    "# of the L2 cache, SMs of the whole GPU) is from fetta's own tables where they have the\n"
    "# board, and so are profiles with MIG mode off on a driver that tells none then.\n"
    "# Play it: fetta emulate THIS-FILE -- COMMAND\n";

/* Runs the worker and reads the machine it found. */
static int look(const char *worker, const char *nvml, struct machine_image *ret, struct error *err)
{
    int ends[2], status = 0;
    if (pipe(ends) < 0)
        return error_errno(err, ERROR_IO, errno, "cannot make a pipe");
    int pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl(worker, "fetta-worker", "--record", nvml, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    struct error ignored;
    int r = pid < 0 ? -ERROR_IO : fd_read_all(ends[0], ret, sizeof *ret, &ignored);
    (void)close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return error_set(err, ERROR_HARDWARE,
                         "the driver could not be asked; is one loaded, or does --nvml help?");
    return machine_image_check(ret, err);
}

static int print(struct cli *c, const struct machine *m, struct error *err)
{
    json_t *document = boards_document(m);
    AUTO_FREE char *yaml = document ? yaml_format(document) : NULL;
    AUTO_STR struct str text = {0};
    json_decref(document);
    if (!yaml)
        return error_set(err, ERROR_NO_MEMORY, "no memory left to write the boards");
    str_add(&text, head);
    str_add(&text, yaml);
    return cli_print(c, &text);
}

int verb_emulate_record(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    const char *nvml = NULL;
    char worker[PATH_MAX];
    int first;
    args_add(&a, (struct args_option){"nvml", 0, ARGS_TEXT, &nvml, "FILE",
                                      "the NVML library to ask (libnvidia-ml.so.1)"});
    AUTO_FREE struct machine_image *image = calloc(1, sizeof *image);
    int r = args_parse(&a, c, argc, argv, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = args_count(c, argc - first, 0, 0, &err);
    if (r == 0 && !image)
        r = error_set(&err, ERROR_NO_MEMORY, "no memory left for a machine");
    if (r == 0)
        r = place_find_worker(worker, &err);
    if (r == 0)
        r = look(worker, nvml, image, &err);
    if (r < 0)
        return cli_fail(c, &err);
    if (geteuid() != 0)
        cli_say(c, "placements are told to root only: those written are of fetta's own tables, and "
                   "boards that have none are not complete; as root all is the driver's");
    r = print(c, &image->machine, &err);
    return r < 0 ? cli_fail(c, &err) : r;
}
