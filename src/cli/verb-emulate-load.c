/* `fetta emulate load`: becomes fetta-load, the program that models work. It is one of its own
 * because it needs the tables of the emulation and the emulated driver's protocol, which fetta
 * itself has no use for. */
#include "cli/args.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Beside fetta: in the build folder, and installed. */
static const char *const places[] = {"../load/fetta-load", "fetta-load",
                                     FETTA_BINDIR "/fetta-load"};

static bool find(char ret[PATH_MAX])
{
    char bin[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", bin, sizeof bin - 1);
    if (n < 0)
        return false;
    bin[n] = '\0';
    *strrchr(bin, '/') = '\0';
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const char *at = places[i];
        int len =
            snprintf(ret, PATH_MAX, "%s%s%s", *at == '/' ? "" : bin, *at == '/' ? "" : "/", at);
        if (len < PATH_MAX && access(ret, X_OK) == 0)
            return true;
    }
    return false;
}

int verb_emulate_load(struct cli *c, int argc, char **argv)
{
    char program[PATH_MAX];
    struct error err;
    (void)argc;
    if (find(program)) {
        argv[0] = program;
        (void)execv(program, argv);
        error_errno(&err, ERROR_IO, errno, "cannot run %s", program);
    } else {
        error_set(&err, ERROR_NOT_FOUND,
                  "cannot find fetta-load; is all of fetta installed or built?");
    }
    return cli_fail(c, &err);
}
