/* `fetta version`: both sides, since they may be upgraded apart. */
#include "cli/args.h"
#include "cli/get.h"

int verb_version(struct cli *c, int argc, char **argv)
{
    struct args a = {0};
    struct error err;
    json_t *status;
    int first, r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r)
        return r < 0 ? cli_fail(c, &err) : 0;
    AUTO_STR struct str out = {0};
    str_add(&out, "fetta " FETTA_VERSION "\n");
    if (cli_call(c, "GET", "/status?brief=1", NULL, &status, &err) == 0) {
        str_addf(&out, "fettad %s\n", get_text(status, "version"));
        json_decref(status);
    }
    return cli_print(c, &out);
}
