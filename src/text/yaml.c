/* libyaml's events into a tree. Each open list or map is one level on a small stack; the tree owns
 * every value from the moment it is made. */
#include "text/yaml.h"

#include "base/str.h"
#include "text/json.h"
#include "text/scalar.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct level {
    json_t *in; /* borrowed from the tree */
    char *key;  /* the key waiting for its value */
    yaml_mark_t key_at;
};

struct reader {
    yaml_parser_t parser;
    const char *what;
    struct yaml *doc;
    unsigned depth, documents;
    struct level levels[JSON_DEPTH_MAX];
    struct error *err;
};

static int refuse(struct reader *r, yaml_mark_t at, const char *text)
{
    return error_set(r->err, ERROR_INVALID, "%s: line %zu, column %zu: %s", r->what, at.line + 1,
                     at.column + 1, text);
}

static int no_memory(struct reader *r)
{
    return error_set(r->err, ERROR_NO_MEMORY, "%s: out of memory", r->what);
}

/* Puts `value` (taken over) where the stack says; the root when it is empty. */
static int place(struct reader *r, json_t *value, yaml_mark_t at)
{
    if (!value)
        return no_memory(r);
    struct mark mark = {.line = (unsigned)at.line + 1, .column = (unsigned)at.column + 1};
    mark.key_line = mark.line;
    mark.key_column = mark.column;
    if (r->depth == 0) {
        json_decref(r->doc->root);
        r->doc->root = value;
        return marks_add(&r->doc->marks, &mark) ? 0 : no_memory(r);
    }
    struct level *l = &r->levels[r->depth - 1];
    mark.in = l->in;
    if (json_is_array(l->in)) {
        mark.index = json_array_size(l->in);
        if (json_array_append_new(l->in, value) != 0)
            return no_memory(r);
        return marks_add(&r->doc->marks, &mark) ? 0 : no_memory(r);
    }
    AUTO_FREE char *key = STEAL(l->key);
    mark.key = key;
    mark.key_line = (unsigned)l->key_at.line + 1;
    mark.key_column = (unsigned)l->key_at.column + 1;
    if (json_object_set_new(l->in, key, value) != 0)
        return no_memory(r);
    return marks_add(&r->doc->marks, &mark) ? 0 : no_memory(r);
}

static bool key_wanted(const struct reader *r)
{
    return r->depth > 0 && json_is_object(r->levels[r->depth - 1].in) &&
           !r->levels[r->depth - 1].key;
}

static int take_key(struct reader *r, const yaml_event_t *e)
{
    struct level *l = &r->levels[r->depth - 1];
    const char *text = (const char *)e->data.scalar.value;
    if (strlen(text) != e->data.scalar.length)
        return refuse(r, e->start_mark, "a zero character in a key");
    if (json_object_get(l->in, text)) {
        char twice[96];
        (void)snprintf(twice, sizeof(twice), "the key \"%.60s\" is there twice", text);
        return refuse(r, e->start_mark, twice);
    }
    l->key = strdup(text);
    l->key_at = e->start_mark;
    return l->key ? 0 : no_memory(r);
}

static int take_scalar(struct reader *r, const yaml_event_t *e)
{
    if (e->data.scalar.anchor)
        return refuse(r, e->start_mark, "anchors (&name) are not taken, write the value out");
    if (e->data.scalar.tag)
        return refuse(r, e->start_mark, "tags (!name) are not taken");
    if (key_wanted(r))
        return take_key(r, e);
    const char *text = (const char *)e->data.scalar.value;
    size_t size = e->data.scalar.length;
    if (strlen(text) != size)
        return refuse(r, e->start_mark, "a zero character in a text");
    if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return place(r, json_stringn(text, size), e->start_mark);
    json_t *value = NULL;
    enum scalar kind = scalar_read(text, &value);
    if (kind == SCALAR_RANGE)
        return refuse(r, e->start_mark, "the number is too large, quote it if it is a text");
    return place(r, value, e->start_mark);
}

static int open_level(struct reader *r, const yaml_event_t *e, json_t *made, const char *anchor,
                      const char *tag)
{
    const char *wrong = NULL;
    if (anchor)
        wrong = "anchors (&name) are not taken, write the value out";
    else if (tag)
        wrong = "tags (!name) are not taken";
    else if (key_wanted(r))
        wrong = "a key must be a simple text, not a list or map";
    else if (r->depth == JSON_DEPTH_MAX)
        wrong = "too many lists or maps inside one another";
    if (wrong) {
        json_decref(made);
        return refuse(r, e->start_mark, wrong);
    }
    int result = place(r, made, e->start_mark);
    if (result == 0)
        r->levels[r->depth++] = (struct level){.in = made};
    return result;
}

static int take_event(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++ > 0)
            return refuse(r, e->start_mark, "a second document begins, only one is taken");
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(r, e->start_mark, "aliases (*name) are not taken, write the value out");
    case YAML_SCALAR_EVENT:
        return take_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(r, e, json_array(), (const char *)e->data.sequence_start.anchor,
                          (const char *)e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_level(r, e, json_object(), (const char *)e->data.mapping_start.anchor,
                          (const char *)e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        r->depth--;
        return 0;
    }
    return 0;
}

static int parser_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(r);
    if (p->error == YAML_READER_ERROR)
        return error_set(r->err, ERROR_INVALID, "%s: byte %zu: %s", r->what, p->problem_offset,
                         p->problem ? p->problem : "not text");
    return refuse(r, p->problem_mark, p->problem ? p->problem : "malformed");
}

static int read_all(struct reader *r)
{
    for (bool more = true; more;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e))
            return parser_error(r);
        more = e.type != YAML_STREAM_END_EVENT;
        int result = take_event(r, &e);
        yaml_event_delete(&e);
        if (result != 0)
            return result;
    }
    return 0;
}

int yaml_parse(const char *text, size_t size, const char *what, struct yaml *ret, struct error *err)
{
    struct reader r = {.what = what, .doc = ret, .err = err};
    *ret = (struct yaml){.root = json_null()};
    if (size > JSON_TEXT_MAX)
        return error_set(err, ERROR_INVALID, "%s: %zu bytes is too long, at most %d are taken",
                         what, size, JSON_TEXT_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return no_memory(&r);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    int result = read_all(&r);
    for (size_t i = 0; i < ARRAY_LEN(r.levels); i++)
        free(r.levels[i].key);
    yaml_parser_delete(&r.parser);
    if (result != 0)
        yaml_done(ret);
    return result;
}

void yaml_done(struct yaml *y)
{
    json_decref(y->root);
    marks_done(&y->marks);
    *y = (struct yaml){0};
}
