/* fetta and fetta-more: finds the verb and runs it. What verbs there are is in verbs.def, which of
 * them each program has itself in verbs-fetta.c and verbs-more.c. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Somebody may have started us with a standard stream closed; then the socket must not become it.
 */
static int open_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return -1;
    (void)close(fd);
    return 0;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct error err;
    int words;
    if (argc < 2)
        return verb_home(c, argc, argv);
    if (strcmp(argv[1], "--no-color") == 0) {
        c->out.colour = c->err.colour = false;
        return run(c, argc - 1, argv + 1);
    }
    c->verb = verb_find(argc - 1, argv + 1, &words, &err);
    if (!c->verb)
        return cli_fail(c, &err);
    return c->verb->run(c, argc - words, argv + words);
}

/* A full disk behind stdout shows when the last of it is written; or before, where it was more than
 * stdio keeps, and then nothing is left to write and only the stream knows. */
static int close_output(const struct cli *c, int status)
{
    errno = 0;
    bool lost = fflush(stdout) != 0;
    int why = errno;
    if ((!lost && !ferror(stdout)) || status != 0 || why == EPIPE)
        return status;
    if (lost)
        cli_say(c, "cannot write to stdout: %s", strerror(why));
    else
        cli_say(c, "cannot write all of it to stdout");
    return c->verb && c->verb->exit ? c->verb->exit : 1;
}

int main(int argc, char **argv)
{
    if (open_streams() < 0)
        return 125;
    /* Characters only: the rest costs a dozen files at each start, and all output is English. */
    (void)setlocale(LC_CTYPE, "");
    struct cli c = {
        .typed = argv, .out = table_look(STDOUT_FILENO), .err = table_look(STDERR_FILENO)};
    int status = run(&c, argc, argv);
    cli_hang_up(&c);
    return close_output(&c, status);
}
