/* Filling, prefixing and naming errors; see error.h for the rules. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *wire, *doc;
    int http, exit;
} table[ERROR_N] = {
#define CODE(id, wire, http, exit, doc) [ERROR_##id] = {wire, doc, http, exit},
#include "base/codes.def"
#undef CODE
};

void macro_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

/* Marks a text that did not fit, so that nobody takes the stump for the whole. */
static void mark_cut(char *text, int wanted)
{
    if (wanted >= ERROR_TEXT)
        memcpy(text + ERROR_TEXT - 4, "...", 4);
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
    if (!err)
        return -(int)code;
    *err = (struct error){.code = code};
    va_list args;
    va_start(args, fmt);
    mark_cut(err->text, vsnprintf(err->text, sizeof err->text, fmt, args));
    va_end(args);
    return -(int)code;
}

int error_errno(struct error *err, enum error_code code, int sys, const char *fmt, ...)
{
    if (!err)
        return -(int)code;
    *err = (struct error){.code = code, .sys = sys};
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    size_t used = strlen(err->text);
    char reason[128];
    n += snprintf(err->text + used, sizeof err->text - used, ": %s",
                  strerror_r(sys, reason, sizeof reason));
    mark_cut(err->text, n);
    return -(int)code;
}

int error_context(struct error *err, const char *fmt, ...)
{
    if (!err)
        return -ERROR_IO;
    char old[ERROR_TEXT];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    size_t used = strlen(err->text);
    n += snprintf(err->text + used, sizeof err->text - used, ": %s", old);
    mark_cut(err->text, n);
    return -(int)err->code;
}

const char *error_wire(enum error_code code)
{
    return table[code].wire;
}

int error_http(enum error_code code)
{
    return table[code].http;
}

int error_exit(enum error_code code)
{
    return table[code].exit;
}

const char *error_doc(enum error_code code)
{
    return table[code].doc;
}

enum error_code error_from_wire(const char *wire)
{
    for (int i = 0; i < ERROR_N; i++)
        if (strcmp(table[i].wire, wire) == 0)
            return (enum error_code)i;
    return ERROR_IO;
}
