/* One reader for requests and configuration: walk the object's keys, then the table's rows. */
#include "text/field.h"

#include "base/str.h"
#include "base/time.h"
#include "text/json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 64, PATH = 160 };

struct field_at field_key(const struct field_at *above, const json_t *in, const char *key)
{
    return (struct field_at){.above = above, .in = in, .key = key, .marks = above->marks};
}

struct field_at field_index(const struct field_at *above, const json_t *in, size_t index)
{
    return (struct field_at){.above = above, .in = in, .index = index, .marks = above->marks};
}

/* Writes "a.b[2].c" into `buf`; cut, never overrun, when long. Returns the length written. */
static size_t path(const struct field_at *at, char *buf, size_t size)
{
    if (!at->above) {
        buf[0] = '\0';
        return 0;
    }
    size_t n = path(at->above, buf, size);
    int more = at->key ? snprintf(buf + n, size - n, "%s%s", n ? "." : "", at->key)
                       : snprintf(buf + n, size - n, "[%zu]", at->index);
    return MIN(n + (size_t)MAX(more, 0), size - 1);
}

static const char *root_name(const struct field_at *at)
{
    while (at->above)
        at = at->above;
    return at->what ? at->what : "input";
}

/* `of_key`: the fault is the key's, so point there rather than at the value. */
static int fault(const struct field_at *at, bool of_key, struct error *err, const char *text)
{
    char where[PATH];
    size_t n = path(at, where, sizeof(where));
    const char *colon = n ? ": " : "";
    const struct mark *m = marks_find(at->marks, at->in, at->key, at->index);
    if (!m)
        return error_set(err, ERROR_INVALID, "%s: %s%s%s", root_name(at), where, colon, text);
    return error_set(err, ERROR_INVALID, "%s: line %u, column %u: %s%s%s", root_name(at),
                     of_key ? m->key_line : m->line, of_key ? m->key_column : m->column, where,
                     colon, text);
}

int field_error(const struct field_at *at, struct error *err, const char *fmt, ...)
{
    char text[ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return fault(at, false, err, text);
}

static int expected(const struct field_at *at, const json_t *value, const char *what,
                    struct error *err)
{
    if (json_is_string(value))
        return field_error(at, err, "expected %s, found the text \"%.40s\"", what,
                           json_string_value(value));
    if (json_is_integer(value))
        return field_error(at, err, "expected %s, found the number %" JSON_INTEGER_FORMAT, what,
                           json_integer_value(value));
    return field_error(at, err, "expected %s, found %s", what, json_kind(value));
}

static int read_string(const struct field_at *at, const json_t *value, const struct field *f,
                       struct error *err)
{
    if (!json_is_string(value))
        return expected(at, value, "a string", err);
    if (f->max > 0 && json_string_length(value) > (size_t)f->max)
        return field_error(at, err, "%zu characters is too long, at most %" PRId64 " are taken",
                           json_string_length(value), f->max);
    if (f->into)
        *(const char **)f->into = json_string_value(value);
    return 0;
}

static int read_bool(const struct field_at *at, const json_t *value, const struct field *f,
                     struct error *err)
{
    /* YAML 1.1's words, which YAML 1.2 reads as text: people write `privacy: on`. */
    static const struct {
        const char *word;
        bool is;
    } words[] = {{"on", true}, {"off", false}, {"yes", true}, {"no", false}};
    bool is = json_is_true(value), known = json_is_boolean(value);
    for (size_t i = 0; at->marks && json_is_string(value) && i < ARRAY_LEN(words); i++) {
        if (strcmp(json_string_value(value), words[i].word) == 0) {
            is = words[i].is;
            known = true;
        }
    }
    if (!known)
        return expected(at, value, "true or false", err);
    if (f->into)
        *(bool *)f->into = is;
    return 0;
}

static int read_int(const struct field_at *at, const json_t *value, const struct field *f,
                    struct error *err)
{
    if (!json_is_integer(value))
        return expected(at, value, "a whole number", err);
    int64_t number = json_integer_value(value);
    if ((f->min || f->max) && (number < f->min || number > f->max))
        return field_error(at, err, "%" PRId64 " is out of range, from %" PRId64 " to %" PRId64,
                           number, f->min, f->max);
    if (f->into)
        *(int64_t *)f->into = number;
    return 0;
}

/* "18GiB", "18G", "18432": the factor is a power of two in all spellings, as docker and Slurm. */
static bool parse_bytes(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    if (!isdigit((unsigned char)text[0]))
        return false;
    uint64_t number = strtoull(text, &end, 10);
    int shift = *end ? str_unit(end) : 0;
    if (errno != 0 || shift < 0 || number >= (UINT64_C(1) << 50) >> shift)
        return false;
    *ret = number << shift;
    return true;
}

static int read_bytes(const struct field_at *at, const json_t *value, const struct field *f,
                      struct error *err)
{
    uint64_t bytes = 0;
    bool good = json_is_string(value) && parse_bytes(json_string_value(value), &bytes);
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        bytes = (uint64_t)json_integer_value(value);
        good = bytes < UINT64_C(1) << 50;
    }
    if (!good)
        return expected(at, value, "a size such as \"18GiB\" or \"512M\"", err);
    if (f->into)
        *(uint64_t *)f->into = bytes;
    return 0;
}

static int read_duration(const struct field_at *at, const json_t *value, const struct field *f,
                         struct error *err)
{
    int64_t ns = 0;
    const char *text = json_string_value(value);
    bool good = text && time_parse(text, "time", &ns, NULL) == 0;
    if (text && f->never && strcmp(text, "never") == 0) {
        ns = TIME_NEVER;
        good = true;
    }
    if (json_is_integer(value)) {
        int64_t seconds = json_integer_value(value);
        good = seconds >= 0 && seconds <= 3650 * (TIME_DAY / TIME_S);
        ns = good ? seconds * TIME_S : 0;
    }
    if (!good)
        return expected(at, value,
                        f->never ? "a time such as \"90s\", \"1h30m\" or \"never\""
                                 : "a time such as \"90s\" or \"1h30m\", at most 3650 days",
                        err);
    if (f->into)
        *(int64_t *)f->into = ns;
    return 0;
}

static int read_array(const struct field_at *at, const json_t *value, const struct field *f,
                      struct error *err)
{
    if (!json_is_array(value))
        return expected(at, value, "a list", err);
    if (f->max > 0 && json_array_size(value) > (size_t)f->max)
        return field_error(at, err, "%zu elements are too many, at most %" PRId64 " are taken",
                           json_array_size(value), f->max);
    if (f->into)
        *(json_t **)f->into = (json_t *)value;
    return 0;
}

int field_value(const struct field_at *at, const json_t *value, const struct field *f,
                struct error *err)
{
    switch (f->type) {
    case FIELD_STRING:
        return read_string(at, value, f, err);
    case FIELD_BOOL:
        return read_bool(at, value, f, err);
    case FIELD_INT:
        return read_int(at, value, f, err);
    case FIELD_BYTES:
        return read_bytes(at, value, f, err);
    case FIELD_DURATION:
        return read_duration(at, value, f, err);
    case FIELD_OBJECT:
        if (!json_is_object(value))
            return expected(at, value, "an object with keys", err);
        break;
    case FIELD_ARRAY:
        return read_array(at, value, f, err);
    case FIELD_ANY:
        break;
    }
    if (f->into)
        *(json_t **)f->into = (json_t *)value;
    return 0;
}

static int unknown_key(const struct field_at *at, const json_t *object, const char *key,
                       const struct field *fields, size_t n, struct error *err)
{
    const char *names[FIELDS_MAX] = {0};
    for (size_t i = 0; i < n; i++)
        names[i] = fields[i].name;
    const char *near = str_nearest(key, names, n);
    struct field_at member = field_key(at, object, key);
    char text[ERROR_TEXT];
    if (near) {
        (void)snprintf(text, sizeof(text), "unknown key, the nearest known one is \"%s\"", near);
        return fault(&member, true, err, text);
    }
    size_t used = (size_t)snprintf(text, sizeof(text), "unknown key, known here:");
    for (size_t i = 0; i < n && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " %s", names[i]);
    return fault(&member, true, err, n ? text : "unknown key, none is known here");
}

static int read_field(const struct field_at *at, const json_t *object, const struct field *f,
                      struct error *err)
{
    const json_t *value = json_object_get(object, f->name);
    bool there = value && !json_is_null(value);
    if (f->found)
        *f->found = there;
    if (there) {
        struct field_at member = field_key(at, object, f->name);
        return field_value(&member, value, f, err);
    }
    return f->required ? field_error(at, err, "the key \"%s\" is missing", f->name) : 0;
}

int field_read(const struct field_at *at, const json_t *object, const struct field *fields,
               size_t n, struct error *err)
{
    if (!json_is_object(object))
        return expected(at, object, "an object with keys", err);
    if (n > FIELDS_MAX)
        return error_set(err, ERROR_INVALID, "%s: a table of %zu fields is too long", root_name(at),
                         n);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (i < n && strcmp(fields[i].name, key) != 0)
            i++;
        if (i == n)
            return unknown_key(at, object, key, fields, n, err);
    }
    for (size_t i = 0; i < n; i++) {
        int result = read_field(at, object, &fields[i], err);
        if (result != 0)
            return result;
    }
    return 0;
}
