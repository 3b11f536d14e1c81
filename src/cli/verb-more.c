/* Any verb that fetta-more has: fetta becomes it, as if it had been typed. What is typed, read and
 * printed is the same; only fetta itself stays small: loading all of it was two thirds of what its
 * start took above that of `true`. */
#include "cli/beside.h"
#include "cli/cli.h"

#include <errno.h>
#include <unistd.h>

int verb_more(struct cli *c, int argc, char **argv)
{
    static const char *const places[] = {"fetta-more", FETTA_LIBEXEC "/fetta-more", NULL};
    char program[PATH_MAX];
    struct error err;
    (void)argc;
    (void)argv;
    if (beside_find(places, "fetta-more", program, &err) == 0) {
        (void)execv(program, c->typed);
        error_errno(&err, ERROR_IO, errno, "cannot run %s", program);
    }
    return cli_fail(c, &err);
}
