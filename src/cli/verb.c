/* Finding a verb by what was typed, and saying which was meant when there is none. */
#include "cli/verb.h"

#include "base/str.h"

#include <string.h>

static const struct verb *find(const char *first, const char *second)
{
    for (unsigned i = 0; i < VERB_N; i++) {
        const char *name = cli_verbs[i].name;
        size_t n = strlen(first);
        if (strncmp(name, first, n) != 0)
            continue;
        if (second ? name[n] == ' ' && strcmp(name + n + 1, second) == 0 : name[n] == '\0')
            return &cli_verbs[i];
    }
    return NULL;
}

/* The first words of the verbs, or the second ones of those that begin with `first`. */
static size_t words_of(const char *first, const char *ret[VERB_N])
{
    size_t n = 0;
    for (unsigned i = 0; i < VERB_N; i++) {
        size_t len = first ? strlen(first) : 0;
        if (!first)
            ret[n++] = strchr(cli_verbs[i].name, ' ') ? "lease" : cli_verbs[i].name;
        else if (strncmp(cli_verbs[i].name, first, len) == 0 && cli_verbs[i].name[len] == ' ')
            ret[n++] = cli_verbs[i].name + len + 1;
    }
    return n;
}

static void unknown(const char *first, const char *second, struct error *err)
{
    const char *words[VERB_N];
    size_t n = words_of(first, words);
    if (n == 0) {
        n = words_of(NULL, words);
        const char *nearest = str_nearest(first, words, n);
        error_set(err, ERROR_INVALID, "there is no verb '%.40s'%s%s%s fetta help lists them", first,
                  nearest ? "; is '" : "", nearest ? nearest : "", nearest ? "' meant?" : ";");
        return;
    }
    AUTO_STR struct str all = {0};
    for (size_t i = 0; i < n; i++)
        str_addf(&all, "%s%s", i ? ", " : "", words[i]);
    const char *nearest = second ? str_nearest(second, words, n) : NULL;
    if (second)
        error_set(err, ERROR_INVALID, "there is no verb '%s %.40s'%s%s%s there is: %s", first,
                  second, nearest ? "; is '" : "", nearest ? nearest : "",
                  nearest ? "' meant?" : ";", all.text);
    else
        error_set(err, ERROR_INVALID, "%s what? one of: %s", first, all.text);
}

const struct verb *verb_find(int argc, char **argv, int *ret_words, struct error *err)
{
    const char *first = argv[0];
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
        first = "help";
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0)
        first = "version";
    const struct verb *v = argc > 1 ? find(first, argv[1]) : NULL;
    *ret_words = v ? 2 : 1;
    if (!v)
        v = find(first, NULL);
    if (!v)
        unknown(first, argc > 1 ? argv[1] : NULL, err);
    return v;
}
