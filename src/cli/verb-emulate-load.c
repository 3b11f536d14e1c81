/* `fetta emulate load`: becomes fetta-load, the program that models work. It is one of its own
 * because it needs the tables of the emulation and the emulated driver's protocol, which fetta
 * itself has no use for. */
#include "cli/beside.h"
#include "cli/cli.h"

#include <errno.h>
#include <unistd.h>

int verb_emulate_load(struct cli *c, int argc, char **argv)
{
    static const char *const places[] = {"../load/fetta-load", "fetta-load",
                                         FETTA_BINDIR "/fetta-load", NULL};
    char program[PATH_MAX];
    struct error err;
    (void)argc;
    if (beside_find(places, "fetta-load", program, &err) == 0) {
        argv[0] = program;
        (void)execv(program, argv);
        error_errno(&err, ERROR_IO, errno, "cannot run %s", program);
    }
    return cli_fail(c, &err);
}
