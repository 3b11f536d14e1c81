/* getopt_long driven by our own tables, with errors that say what to write instead. */
#include "cli/args.h"

#include "base/time.h"
#include "model/request.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { LONG = 1000, HELP_COLUMN = 28 };

void args_add(struct args *a, struct args_option o)
{
    if (a->n < ARGS_MAX)
        a->options[a->n++] = o;
}

void args_add_json(struct args *a, struct cli *c)
{
    args_add(a,
             (struct args_option){"json", 0, ARGS_FLAG, &c->json, NULL, "print JSON"});
}

static int read_count(const struct args_option *o, const char *value, struct error *err)
{
    char *end;
    errno = 0;
    long long n = strtoll(value, &end, 10);
    if (!isdigit((unsigned char)value[*value == '-']) || *end)
        return error_set(err, ERROR_INVALID, "--%s: '%.40s' is not a whole number", o->name, value);
    if (errno || n < o->min || n > o->max)
        return error_set(err, ERROR_INVALID, "--%s: %.24s is out of range; it can be %lld to %lld",
                         o->name, value, (long long)o->min, (long long)o->max);
    *(int64_t *)o->into = n;
    return 0;
}

/* Checks a value whose unit the daemon reads as well; the text itself is what is sent. */
static int check_text(const struct args_option *o, const char *value, struct error *err)
{
    char what[64];
    int64_t ns;
    uint64_t bytes;
    uint16_t part;
    (void)str_copy(what, sizeof what, "--");
    (void)str_copy(what + 2, sizeof what - 2, o->name);
    if (o->kind == ARGS_DURATION)
        return time_parse(value, what, &ns, err);
    if (o->kind == ARGS_BYTES)
        return request_parse_bytes(value, what, &bytes, err);
    if (o->kind == ARGS_PART)
        return request_parse_compute(value, what, &part, err);
    if (!*value)
        return error_set(err, ERROR_INVALID, "--%s needs a value (%s), not an empty one", o->name,
                         o->value);
    return 0;
}

static int take(const struct args_option *o, const char *value, struct error *err)
{
    int r = 0;
    switch (o->kind) {
    case ARGS_FLAG:
        *(bool *)o->into = true;
        return 0;
    case ARGS_COUNT:
        return read_count(o, value, err);
    case ARGS_TEXT:
    case ARGS_DURATION:
    case ARGS_BYTES:
    case ARGS_PART:
        r = check_text(o, value, err);
        if (r == 0)
            *(const char **)o->into = value;
        return r;
    case ARGS_REFUSED:
        return error_set(err, ERROR_INVALID, "--%s: %s", o->name, o->help);
    }
    return 0;
}

static void help_line(const struct args_option *o, struct str *out)
{
    size_t begin = out->len;
    if (o->letter)
        str_addf(out, "  -%c, --%s", o->letter, o->name);
    else
        str_addf(out, "      --%s", o->name);
    if (o->value)
        str_addf(out, " %s", o->value);
    size_t used = out->len - begin;
    if (used + 2 > HELP_COLUMN)
        str_addf(out, "\n%*s", HELP_COLUMN, "");
    else
        str_addf(out, "%*s", (int)(HELP_COLUMN - used), "");
    str_addf(out, "%s\n", o->help);
}

static int print_help(const struct args *a, const struct cli *c)
{
    AUTO_STR struct str out = {0};
    str_addf(&out, "usage: fetta %s%s%s\n\n%s\n\n", c->verb->name, *c->verb->synopsis ? " " : "",
             c->verb->synopsis, c->verb->help);
    for (unsigned i = 0; i < a->n; i++) {
        if (a->options[i].kind != ARGS_REFUSED)
            help_line(&a->options[i], &out);
    }
    return cli_print(c, &out);
}

/* What was written instead of an option we know, for the error. */
static int unknown(const struct args *a, const struct cli *c, const char *word, char letter,
                   struct error *err)
{
    const char *names[ARGS_MAX];
    char bare[64];
    if (letter)
        return error_set(err, ERROR_INVALID, "there is no option -%c; fetta %s --help lists them",
                         letter, c->verb->name);
    for (unsigned i = 0; i < a->n; i++)
        names[i] = a->options[i].name;
    (void)str_copy(bare, sizeof bare, word + 2);
    bare[strcspn(bare, "=")] = '\0';
    const char *nearest = str_nearest(bare, names, a->n);
    /* Somebody who shortens an option means the one that goes on so. */
    for (unsigned i = 0; i < a->n && *bare; i++) {
        if (strncmp(names[i], bare, strlen(bare)) == 0)
            nearest = names[i];
    }
    if (nearest)
        return error_set(err, ERROR_INVALID,
                         "there is no option --%s; is --%s meant? fetta %s --help lists them", bare,
                         nearest, c->verb->name);
    return error_set(err, ERROR_INVALID, "there is no option --%s; fetta %s --help lists them",
                     bare, c->verb->name);
}

static const struct args_option *find_option(const struct args *a, int got)
{
    if (got >= LONG)
        return &a->options[got - LONG];
    for (unsigned i = 0; i < a->n; i++) {
        if (a->options[i].letter == got)
            return &a->options[i];
    }
    return NULL;
}

static int trouble(const struct args *a, const struct cli *c, int got, char **argv,
                   struct error *err)
{
    const struct args_option *o = optopt ? find_option(a, optopt) : NULL;
    if (got == ':')
        return error_set(err, ERROR_INVALID, "--%s needs a value (%s)", o ? o->name : "option",
                         o && o->value ? o->value : "VALUE");
    if (o && optopt >= LONG)
        return error_set(err, ERROR_INVALID, "--%s takes no value", o->name);
    return unknown(a, c, argv[optind - 1], (char)optopt, err);
}

/* The two tables getopt_long wants. Every long option, written in full only, is its own. */
static void getopt_tables(const struct args *a, char *letters, struct option *longs)
{
    if (a->command)
        *letters++ = '+';
    *letters++ = ':';
    for (unsigned i = 0; i < a->n; i++) {
        const struct args_option *o = &a->options[i];
        bool bare = o->kind == ARGS_FLAG;
        int has = bare ? no_argument : required_argument;
        longs[i] = (struct option){o->name, o->kind == ARGS_REFUSED ? optional_argument : has, NULL,
                                   LONG + (int)i};
        if (!o->letter)
            continue;
        *letters++ = o->letter;
        if (!bare)
            *letters++ = ':';
    }
    *letters = '\0';
    longs[a->n] = (struct option){0};
}

/* getopt_long takes abbreviations, which would break scripts on the day a longer name comes. */
static bool abbreviated(const struct args_option *o, const char *word)
{
    size_t n = strlen(o->name);
    return strncmp(word, "--", 2) == 0 &&
           (strncmp(word + 2, o->name, n) != 0 || (word[2 + n] && word[2 + n] != '='));
}

int args_parse(struct args *a, struct cli *c, int argc, char **argv, int *ret_first,
               struct error *err)
{
    bool help = false, plain = false;
    char letters[ARGS_MAX * 2 + 4];
    struct option longs[ARGS_MAX + 1];
    args_add(a, (struct args_option){"no-color", 0, ARGS_FLAG, &plain, NULL, "no colours"});
    args_add(a, (struct args_option){"help", 'h', ARGS_FLAG, &help, NULL, "this text"});
    getopt_tables(a, letters, longs);
    opterr = 0;
    optind = 0;
    for (;;) {
        int got = getopt_long(argc, argv, letters, longs, NULL);
        if (got == -1)
            break;
        if (got == '?' || got == ':')
            return trouble(a, c, got, argv, err);
        const struct args_option *o = find_option(a, got);
        const char *word = argv[optind - 1 - (optarg && argv[optind - 1] == optarg)];
        if (got >= LONG && abbreviated(o, word))
            return unknown(a, c, word, 0, err);
        int r = take(o, optarg, err);
        if (r < 0)
            return r;
    }
    if (plain)
        c->out.colour = c->err.colour = false;
    *ret_first = optind;
    if (!help)
        return 0;
    (void)print_help(a, c);
    return 1;
}

int args_read(struct args *a, struct cli *c, int argc, char **argv, int least, int most,
              int *ret_first, struct error *err)
{
    int r = args_parse(a, c, argc, argv, ret_first, err);
    return r ? r : args_count(c, argc - *ret_first, least, most, err);
}

int args_count(const struct cli *c, int n, int least, int most, struct error *err)
{
    if (n >= least && (most < 0 || n <= most))
        return 0;
    return error_set(err, ERROR_INVALID, "%s; usage: fetta %s%s%s",
                     n < least ? "something is missing" : "there is one word too many",
                     c->verb->name, *c->verb->synopsis ? " " : "", c->verb->synopsis);
}

int args_id(const char *word, int64_t *ret, struct error *err)
{
    char *end;
    errno = 0;
    long long id = strtoll(word, &end, 10);
    if (!isdigit((unsigned char)*word) || *end || errno || id < 1 || id > UINT32_MAX)
        return error_set(err, ERROR_INVALID,
                         "'%.40s' is not a lease's id; fetta lease list shows them (12, 13, ...)",
                         word);
    *ret = id;
    return 0;
}
