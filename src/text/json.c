/* JSON in: limits first, on the bytes, so that jansson never sees what would make it work hard. */
#include "text/json.h"

#include <stdbool.h>
#include <string.h>

struct place {
    unsigned line, column;
};

/* Where the nesting first goes beyond the limit; false if it never does. Counts brackets outside
 * of strings only: whether they match is the parser's business. */
static bool too_deep(const char *text, size_t size, struct place *ret)
{
    struct place at = {1, 0};
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        at.column++;
        if (c == '\n')
            at = (struct place){at.line + 1, 0};
        if (quoted && c == '\\')
            i++, at.column++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{'))
            depth++;
        else if (!quoted && (c == ']' || c == '}') && depth > 0)
            depth--;
        if (depth > JSON_DEPTH_MAX) {
            *ret = at;
            return true;
        }
    }
    return false;
}

int json_parse(const char *text, size_t size, const char *what, json_t **ret, struct error *err)
{
    *ret = NULL;
    if (size > JSON_TEXT_MAX)
        return error_set(err, ERROR_INVALID, "%s: %zu bytes is too long, at most %d are taken",
                         what, size, JSON_TEXT_MAX);
    struct place deep;
    if (too_deep(text, size, &deep))
        return error_set(err, ERROR_INVALID,
                         "%s: line %u, column %u: more than %d lists or objects inside one another",
                         what, deep.line, deep.column, JSON_DEPTH_MAX);
    json_error_t wrong;
    *ret = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &wrong);
    if (*ret)
        return 0;
    if (json_error_code(&wrong) == json_error_out_of_memory)
        return error_set(err, ERROR_NO_MEMORY, "%s: out of memory", what);
    if (wrong.line <= 0)
        return error_set(err, ERROR_INVALID, "%s: %s", what, wrong.text);
    return error_set(err, ERROR_INVALID, "%s: line %d, column %d: %s", what, wrong.line,
                     wrong.column > 0 ? wrong.column : 1, wrong.text);
}

const char *json_kind(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a number";
    case JSON_REAL:
        return "a fraction";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    }
    return "nothing";
}
