/* Options of a verb as a table, from which parsing and --help follow.
 *
 *     const char *file = NULL;
 *     bool force = false;
 *     struct args a = {0};
 *     args_add(&a, (struct args_option){"file", 'f', ARGS_TEXT, &file, "FILE", "the layout file"});
 *     int first, r = args_parse(&a, c, argc, argv, &first, &err);
 *
 * --help, --no-color and (where the verb has `json`) --json are the same everywhere. */
#pragma once

#include "cli/cli.h"

#include <stdint.h>

enum { ARGS_MAX = 32 };

enum args_kind {
    ARGS_FLAG,     /* bool * */
    ARGS_TEXT,     /* const char **, not empty */
    ARGS_COUNT,    /* int64_t *, min..max */
    ARGS_DURATION, /* const char **, checked to be one ("90s", "2h") */
    ARGS_BYTES,    /* const char **, checked to be a size ("18GiB") */
    ARGS_PART,     /* const char **, checked to be a part ("2/7", "30%") */
    ARGS_REFUSED,  /* no variable; `help` is the error for whoever writes it */
};

struct args_option {
    const char *name; /* long name */
    char letter;      /* short name, or 0 */
    enum args_kind kind;
    void *into;
    const char *value; /* "FILE" in the help; NULL for flags */
    const char *help;
    int64_t min, max;
};

struct args {
    unsigned n;
    bool command; /* the first word that is no option begins a command and ends the options */
    struct args_option options[ARGS_MAX];
};

/* Adds an option; at most ARGS_MAX - 4. */
void args_add(struct args *a, struct args_option o);

/* Adds --json, which sets c->json. */
void args_add_json(struct args *a, struct cli *c);

/* Reads argv[1..]. 0: *ret_first is the index of the first word that is no option (argv is permuted
 * so that these are last); 1: --help was printed; -ERROR_INVALID. */
int args_parse(struct args *a, struct cli *c, int argc, char **argv, int *ret_first,
               struct error *err);

/* The same, where least..most words that are no options must be left. */
int args_read(struct args *a, struct cli *c, int argc, char **argv, int least, int most,
              int *ret_first, struct error *err);

/* -ERROR_INVALID with the verb's synopsis when `n` is not within least..most (most < 0: any). */
int args_count(const struct cli *c, int n, int least, int most, struct error *err);

/* Reads a lease's id from a word. */
int args_id(const char *word, int64_t *ret, struct error *err);
