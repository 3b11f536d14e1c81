/* Reads the JSON that programs write into jansson's values. It gives up on whatever is unusual,
 * which makes it short: there is one right way through and no error to tell. */
#include "text/quick.h"

#include <stdbool.h>
#include <string.h>

enum {
    DEPTH_MAX = 32,
    DIGITS_MAX = 18, /* any of so many fit into 64 bits */
};

static const json_int_t exact_most = 1LL << 53; /* what a double holds to the last digit */

struct quick {
    const char *at, *end;
    unsigned depth;
};

static json_t *value(struct quick *q);

/* The next byte that is not blank, 0 at the end; it is not taken. */
static char peek(struct quick *q)
{
    while (q->at < q->end && (*q->at == ' ' || *q->at == '\n' || *q->at == '\t' || *q->at == '\r'))
        q->at++;
    return q->at < q->end ? *q->at : '\0';
}

static bool take(struct quick *q, char c)
{
    if (peek(q) != c)
        return false;
    q->at++;
    return true;
}

static bool word(struct quick *q, const char *text, size_t n)
{
    if ((size_t)(q->end - q->at) < n || memcmp(q->at, text, n) != 0)
        return false;
    q->at += n;
    return true;
}

/* The bytes of a string without escapes; its first quote was taken. */
static bool string_bytes(struct quick *q, const char **ret, size_t *ret_n, bool *ret_ascii)
{
    unsigned char all = 0;
    for (*ret = q->at; q->at < q->end; q->at++) {
        unsigned char c = (unsigned char)*q->at;
        if (c == '"') {
            *ret_n = (size_t)(q->at++ - *ret);
            *ret_ascii = all < 0x80;
            return true;
        }
        if (c == '\\' || c < ' ')
            return false;
        all |= c;
    }
    return false;
}

static json_t *string(struct quick *q)
{
    const char *text;
    size_t n;
    bool ascii;
    if (!string_bytes(q, &text, &n, &ascii))
        return NULL;
    return ascii ? json_stringn_nocheck(text, n) : json_stringn(text, n);
}

/* Takes digits; false if there is none, or more than fit. */
static bool digits(struct quick *q, unsigned most, json_int_t *value)
{
    const char *begin = q->at;
    for (; q->at < q->end && *q->at >= '0' && *q->at <= '9'; q->at++) {
        if (q->at - begin == most)
            return false;
        *value = *value * 10 + (*q->at - '0');
    }
    return q->at > begin;
}

static bool exponent(const struct quick *q)
{
    return q->at < q->end && (*q->at == 'e' || *q->at == 'E');
}

/* An integer, or with a point a real. Both its digits and the power of ten below them are exact in
 * a double (the latter up to 10^22), so one division rounds as strtod does; and it knows no locale.
 */
static json_t *number(struct quick *q)
{
    static const double powers[] = {1,   1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,
                                    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17};
    bool minus = *q->at == '-';
    json_int_t all = 0;
    q->at += minus;
    const char *begin = q->at;
    if (!digits(q, DIGITS_MAX, &all) || (*begin == '0' && q->at - begin > 1) || exponent(q))
        return NULL;
    if (q->at == q->end || *q->at != '.')
        return json_integer(minus ? -all : all);
    ptrdiff_t left = DIGITS_MAX - (q->at - begin);
    begin = ++q->at;
    if (!digits(q, (unsigned)left, &all) || all > exact_most || exponent(q))
        return NULL;
    double real = (double)all / powers[q->at - begin];
    return json_real(minus ? -real : real);
}

/* What follows a [. NULL frees what was read of it. */
static json_t *array(struct quick *q)
{
    json_t *list = json_array();
    if (!list || take(q, ']'))
        return list;
    for (;;) {
        if (json_array_append_new(list, value(q)) < 0)
            break;
        if (take(q, ']'))
            return list;
        if (!take(q, ','))
            break;
    }
    json_decref(list);
    return NULL;
}

static bool member(struct quick *q, json_t *to)
{
    const char *key;
    size_t n, before = json_object_size(to);
    bool ascii;
    if (!take(q, '"') || !string_bytes(q, &key, &n, &ascii) || !ascii || !take(q, ':'))
        return false;
    /* A key that was there already does not make it larger. */
    return json_object_setn_new_nocheck(to, key, n, value(q)) == 0 && json_object_size(to) > before;
}

static json_t *object(struct quick *q)
{
    json_t *all = json_object();
    if (!all || take(q, '}'))
        return all;
    while (member(q, all)) {
        if (take(q, '}'))
            return all;
        if (!take(q, ','))
            break;
    }
    json_decref(all);
    return NULL;
}

static json_t *nested(struct quick *q, json_t *(*read)(struct quick *q))
{
    json_t *all = NULL;
    q->at++;
    if (q->depth++ < DEPTH_MAX)
        all = read(q);
    q->depth--;
    return all;
}

static json_t *value(struct quick *q)
{
    switch (peek(q)) {
    case '{':
        return nested(q, object);
    case '[':
        return nested(q, array);
    case '"':
        q->at++;
        return string(q);
    case 't':
        return word(q, "true", 4) ? json_true() : NULL;
    case 'f':
        return word(q, "false", 5) ? json_false() : NULL;
    case 'n':
        return word(q, "null", 4) ? json_null() : NULL;
    default:
        return q->at < q->end ? number(q) : NULL;
    }
}

json_t *quick_read(const char *text, size_t size)
{
    struct quick q = {text, text + size, 0};
    json_t *all = value(&q);
    if (!all || (peek(&q) == '\0' && q.at == q.end))
        return all;
    json_decref(all);
    return NULL;
}
