/* Telling trouble and printing. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_say(const struct cli *c, const char *fmt, ...)
{
    char text[1024];
    AUTO_STR struct str out = {0};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    table_styled(&out, &c->err, TABLE_BOLD, "fetta");
    str_add(&out, ": ");
    table_styled(&out, &c->err, TABLE_PLAIN, text);
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s\n", out.failed ? text : out.text);
}

int cli_fail(const struct cli *c, const struct error *err)
{
    const char *verb = c->verb ? c->verb->name : "";
    cli_say(c, "%s%s%s", verb, *verb ? ": " : "", err->text);
    if (c->verb && c->verb->exit && err->code != ERROR_NO_FIT)
        return c->verb->exit;
    return error_exit(err->code);
}

int cli_print(const struct cli *c, struct str *text)
{
    char *all = str_take(text);
    if (!all) {
        cli_say(c, "no memory left to print this");
        return error_exit(ERROR_NO_MEMORY);
    }
    (void)fputs(all, stdout);
    free(all);
    return 0;
}

int cli_print_json(const struct cli *c, const json_t *value)
{
    char *all = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);
    if (!all) {
        cli_say(c, "no memory left to print this");
        return error_exit(ERROR_NO_MEMORY);
    }
    (void)printf("%s\n", all);
    free(all);
    return 0;
}

int cli_print_reply(const struct cli *c, json_t *reply, struct str *text)
{
    int r = c->json ? cli_print_json(c, reply) : cli_print(c, text);
    json_decref(reply);
    return r;
}
