/* The core schema's few patterns, spelled out by hand: no regular expressions, no locale. */
#include "text/scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *text, const char *const words[4])
{
    for (unsigned i = 0; i < 4 && words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* The base of an integer, 0 if the text is none: [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+. */
static int integer_base(const char *text)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    if (strncmp(text, "0o", 2) == 0)
        return text[2] && text[2 + strspn(text + 2, "01234567")] == '\0' ? 8 : 0;
    if (strncmp(text, "0x", 2) == 0)
        return text[2] && text[2 + strspn(text + 2, hex)] == '\0' ? 16 : 0;
    const char *number = text + (*text == '-' || *text == '+');
    return *number && number[digits(number)] == '\0' ? 10 : 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_real(const char *text)
{
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = digits(at), part = 0;
    at += whole;
    if (*at == '.') {
        part = digits(at + 1);
        at += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        if (!digits(at))
            return false;
        at += digits(at);
    }
    return *at == '\0';
}

/* .inf, -.inf, .nan in their three spellings: JSON has no such numbers. */
static bool is_special(const char *text)
{
    static const char *const inf[4] = {".inf", ".Inf", ".INF"}, *const nan[4] = {".nan", ".NaN",
                                                                                 ".NAN"};
    return is_one_of(text, nan) || is_one_of(text + (*text == '-' || *text == '+'), inf);
}

static enum scalar give(enum scalar kind, json_t **ret, json_t *value)
{
    if (ret)
        *ret = value;
    else
        json_decref(value);
    return kind;
}

static enum scalar read_number(const char *text, int base, json_t **ret)
{
    errno = 0;
    if (base == 0) {
        double real = strtod(text, NULL);
        return isfinite(real) ? give(SCALAR_TYPED, ret, json_real(real)) : SCALAR_RANGE;
    }
    long long number = strtoll(base == 8 ? text + 2 : text, NULL, base);
    return errno ? SCALAR_RANGE : give(SCALAR_TYPED, ret, json_integer(number));
}

enum scalar scalar_read(const char *text, json_t **ret)
{
    static const char *const nulls[4] = {"~", "null", "Null", "NULL"};
    static const char *const trues[4] = {"true", "True", "TRUE"};
    static const char *const falses[4] = {"false", "False", "FALSE"};
    if (*text == '\0' || is_one_of(text, nulls))
        return give(SCALAR_TYPED, ret, json_null());
    if (is_one_of(text, trues))
        return give(SCALAR_TYPED, ret, json_true());
    if (is_one_of(text, falses))
        return give(SCALAR_TYPED, ret, json_false());
    if (is_special(text))
        return SCALAR_RANGE;
    int base = integer_base(text);
    if (base != 0 || is_real(text))
        return read_number(text, base, ret);
    return give(SCALAR_TEXT, ret, json_string(text));
}
