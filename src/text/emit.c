/* The tree as YAML. A text is written plain only when every reader, YAML 1.1's included, takes it
 * for a text; otherwise quoted, with what libyaml refuses escaped. */
#include "base/str.h"
#include "text/scalar.h"
#include "text/utf8.h"
#include "text/yaml.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { FLOW_MAX = 16 };

static bool plain(const char *text)
{
    static const char safe[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
    static const char *const words[] = {"y",  "n",  "yes",
                                        "no", "on", "off"}; /* YAML 1.1's booleans */
    if (!isalnum((unsigned char)text[0]) && text[0] != '_' && text[0] != '/')
        return false;
    if (text[strspn(text, safe)] != '\0' || scalar_read(text, NULL) != SCALAR_TEXT)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

static bool must_escape(uint32_t c)
{
    return c < 0x20 || c == '"' || c == '\\' || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
           c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

static void text_out(struct str *out, const char *text)
{
    if (plain(text)) {
        str_add(out, text);
        return;
    }
    str_add(out, "\"");
    while (*text) {
        uint32_t c;
        unsigned n = utf8_next(text, &c);
        if (must_escape(c))
            str_addf(out, c < 0x80 && c >= 0x20 && c != 0x7f ? "\\%c" : "\\u%04x", (unsigned)c);
        else
            str_add_n(out, text, n);
        text += n;
    }
    str_add(out, "\"");
}

static void scalar_out(struct str *out, const json_t *value)
{
    char number[64];
    if (json_is_string(value)) {
        text_out(out, json_string_value(value));
        return;
    }
    size_t n = json_dumpb(value, number, sizeof(number), JSON_ENCODE_ANY | JSON_COMPACT);
    if (n == 0 || n > sizeof(number))
        out->failed = true;
    else
        str_add_n(out, number, n);
}

static bool empty(const json_t *value)
{
    return json_array_size(value) + json_object_size(value) == 0;
}

/* A short list of numbers reads best on one line. */
static bool flows(const json_t *value)
{
    size_t n = json_array_size(value);
    bool numbers = n <= FLOW_MAX;
    for (size_t i = 0; i < n && numbers; i++)
        numbers = json_is_number(json_array_get(value, i));
    return json_is_array(value) && numbers;
}

static void flow_out(struct str *out, const json_t *value)
{
    str_add(out, "[");
    for (size_t i = 0; i < json_array_size(value); i++) {
        str_add(out, i ? ", " : "");
        scalar_out(out, json_array_get(value, i));
    }
    str_add(out, "]");
}

static void indent_out(struct str *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        str_add(out, "  ");
}

static void block_out(struct str *out, const json_t *value, unsigned depth, bool inline_first);

/* What follows "key:" or "-": on the same line when it is short, indented below when it is not.
 * A map in a list begins beside its dash. */
static void member_out(struct str *out, const json_t *value, unsigned depth, bool of_list)
{
    if (json_is_object(value) && empty(value)) {
        str_add(out, " {}\n");
    } else if (flows(value)) {
        str_add(out, " ");
        flow_out(out, value);
        str_add(out, "\n");
    } else if (json_is_object(value) || json_is_array(value)) {
        str_add(out, of_list ? " " : "\n");
        block_out(out, value, depth, of_list);
    } else {
        str_add(out, " ");
        scalar_out(out, value);
        str_add(out, "\n");
    }
}

static void block_out(struct str *out, const json_t *value, unsigned depth, bool inline_first)
{
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            indent_out(out, inline_first && i == 0 ? 0 : depth);
            str_add(out, "-");
            member_out(out, json_array_get(value, i), depth + 1, true);
        }
        return;
    }
    const char *key;
    json_t *member;
    bool first = true;
    json_object_foreach((json_t *)value, key, member)
    {
        indent_out(out, inline_first && first ? 0 : depth);
        text_out(out, key);
        str_add(out, ":");
        member_out(out, member, depth + 1, false);
        first = false;
    }
}

char *yaml_format(const json_t *value)
{
    struct str out = {0};
    bool block = (json_is_object(value) || json_is_array(value)) && !empty(value) && !flows(value);
    if (block) {
        block_out(&out, value, 0, false);
        return str_take(&out);
    }
    if (json_is_object(value))
        str_add(&out, "{}");
    else if (json_is_array(value))
        flow_out(&out, value);
    else
        scalar_out(&out, value);
    str_add(&out, "\n");
    return str_take(&out);
}
