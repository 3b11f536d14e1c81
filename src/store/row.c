/* Descriptions into SQL and back. Strings are built at open only; binding and reading allocate
 * nothing of ours. */
#include "store/row.h"

#include "base/str.h"
#include "model/layout.h"
#include "model/owner.h"
#include "store/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *row_upsert_sql(const struct row_table *t)
{
    struct str s = {0};
    unsigned keys = t->keys[1] ? 2 : 1;
    str_addf(&s, "INSERT INTO %s (%s%s%s", t->name, t->keys[0], keys > 1 ? ", " : "",
             keys > 1 ? t->keys[1] : "");
    for (unsigned i = 0; i < t->n; i++)
        str_addf(&s, ", %s", t->columns[i].name);
    str_add(&s, ") VALUES (?");
    for (unsigned i = 1; i < t->n + keys; i++)
        str_add(&s, ", ?");
    str_addf(&s, ") ON CONFLICT (%s%s%s) DO UPDATE SET", t->keys[0], keys > 1 ? ", " : "",
             keys > 1 ? t->keys[1] : "");
    for (unsigned i = 0; i < t->n; i++)
        str_addf(&s, "%s %s = excluded.%s", i ? "," : "", t->columns[i].name, t->columns[i].name);
    return str_take(&s);
}

char *row_select_sql(const struct row_table *t, const char *tail)
{
    struct str s = {0};
    str_add(&s, "SELECT ");
    for (unsigned i = 0; i < t->n; i++)
        str_addf(&s, "%s, ", t->columns[i].name);
    str_addf(&s, "%s FROM %s %s", t->keys[1] ? t->keys[1] : t->keys[0], t->name, tail);
    return str_take(&s);
}

static int64_t number_of(const struct column *c, const void *from)
{
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
    } v = {0};
    memcpy(&v, from, c->size);
    bool sign = c->kind == ROW_INT;
    switch (c->size) {
    case 1:
        return sign ? (int8_t)v.u8 : v.u8;
    case 2:
        return sign ? (int16_t)v.u16 : v.u16;
    case 4:
        return sign ? (int32_t)v.u32 : (int64_t)v.u32;
    default:
        return (int64_t)v.u64;
    }
}

static bool bind_owner(sqlite3_stmt *stmt, int at, const struct owner *o, const struct names *names)
{
    char text[24];
    const char *name = names_text(names, o->id);
    if (o->kind == OWNER_UID || !name) {
        (void)snprintf(text, sizeof(text), "%s:%" PRIu32, o->kind == OWNER_UID ? "uid" : "name",
                       o->id);
        name = text;
    }
    return sqlite3_bind_text(stmt, at, name, -1, SQLITE_TRANSIENT) == SQLITE_OK;
}

static bool bind_list(sqlite3_stmt *stmt, int at, const uint8_t *list, size_t n)
{
    char text[128];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n && used < sizeof(text) - 8; i++) {
        const char *comma = i ? "," : "";
        used += (size_t)(list[i] == BOARD_NO_PROFILE
                             ? snprintf(text + used, sizeof(text) - used, "%s-", comma)
                             : snprintf(text + used, sizeof(text) - used, "%s%u", comma, list[i]));
    }
    return sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT) == SQLITE_OK;
}

static bool bind_places(sqlite3_stmt *stmt, int at, const struct layout *l)
{
    char text[BOARD_GIS * 9 + 1];
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < l->n && i < BOARD_GIS; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u@%u", i ? " " : "",
                                 l->at[i].profile, l->at[i].start);
    return sqlite3_bind_text(stmt, at, text, -1, SQLITE_TRANSIENT) == SQLITE_OK;
}

bool row_bind(sqlite3_stmt *stmt, int first, const struct row_table *t, const void *from,
              const struct names *names)
{
    bool good = true;
    for (unsigned i = 0; i < t->n && good; i++) {
        const struct column *c = &t->columns[i];
        const void *member = (const char *)from + c->offset;
        int at = first + (int)i;
        switch (c->kind) {
        case ROW_INT:
        case ROW_UINT:
            good = sqlite3_bind_int64(stmt, at, number_of(c, member)) == SQLITE_OK;
            break;
        case ROW_WORD: {
            uint64_t word = (uint64_t)number_of(c, member);
            good = word < c->word_n && c->words[word] &&
                   sqlite3_bind_text(stmt, at, c->words[word], -1, SQLITE_STATIC) == SQLITE_OK;
            break;
        }
        case ROW_TEXT:
            good = sqlite3_bind_text(stmt, at, member, (int)strnlen(member, c->size),
                                     SQLITE_TRANSIENT) == SQLITE_OK;
            break;
        case ROW_OWNER:
            good = bind_owner(stmt, at, member, names);
            break;
        case ROW_LIST:
            good = bind_list(stmt, at, member, c->size);
            break;
        case ROW_PLACES:
            good = bind_places(stmt, at, member);
            break;
        }
    }
    return good;
}

static bool put_number(const struct column *c, int64_t value, void *to)
{
    unsigned bits = (unsigned)c->size * 8;
    if (bits < 64) {
        int64_t least = c->kind == ROW_INT ? -(INT64_C(1) << (bits - 1)) : 0;
        int64_t most =
            c->kind == ROW_INT ? (INT64_C(1) << (bits - 1)) - 1 : (INT64_C(1) << bits) - 1;
        if (value < least || value > most)
            return false;
    }
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;
    const void *from = c->size == 1 ? (void *)&u8 : c->size == 2 ? (void *)&u16 : (void *)&u32;
    memcpy(to, c->size == 8 ? (void *)&value : from, c->size);
    return true;
}

static bool put_word(const struct column *c, const char *text, void *to)
{
    for (unsigned i = 0; i < c->word_n; i++)
        if (c->words[i] && strcmp(c->words[i], text) == 0)
            return put_number(c, i, to);
    return false;
}

/* Digits up to `end`, at most `most`. */
static bool small_number(const char **text, unsigned long most, unsigned long *ret)
{
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    *ret = strtoul(*text, &end, 10);
    *text = end;
    return *ret <= most;
}

static bool put_owner(const char *text, struct owner *to, const struct names *names)
{
    unsigned long uid;
    const char *digits = text + 4;
    if (strncmp(text, "uid:", 4) == 0) {
        *to = (struct owner){OWNER_UID, 0};
        if (!small_number(&digits, UINT32_MAX, &uid) || *digits)
            return false;
        to->id = (uint32_t)uid;
        return true;
    }
    int64_t index = names_find(names, text);
    *to = (struct owner){OWNER_NAMED, names->first + (uint32_t)MAX(index, 0)};
    return index >= 0;
}

static bool put_list(const char *text, uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned long value = BOARD_NO_PROFILE;
        if (i > 0 && *text++ != ',')
            return false;
        if (*text == '-')
            text++;
        else if (!small_number(&text, UINT8_MAX, &value))
            return false;
        to[i] = (uint8_t)value;
    }
    return *text == '\0';
}

static bool put_places(const char *text, struct layout *to)
{
    to->n = 0;
    while (*text) {
        unsigned long profile, start;
        if (to->n == BOARD_GIS || (to->n > 0 && *text++ != ' '))
            return false;
        if (!small_number(&text, UINT8_MAX, &profile) || *text++ != '@' ||
            !small_number(&text, UINT8_MAX, &start))
            return false;
        to->at[to->n++] = (struct placement){(uint8_t)profile, (uint8_t)start};
    }
    return true;
}

static bool read_column(const struct column *c, int64_t number, const char *text, size_t size,
                        void *to, const struct names *names)
{
    switch (c->kind) {
    case ROW_INT:
    case ROW_UINT:
        return put_number(c, number, to);
    case ROW_WORD:
        return put_word(c, text, to);
    case ROW_TEXT:
        memset(to, 0, c->size);
        memcpy(to, text, MIN(size, c->size - 1));
        return size < c->size;
    case ROW_OWNER:
        return put_owner(text, to, names);
    case ROW_LIST:
        return put_list(text, to, c->size);
    case ROW_PLACES:
        return put_places(text, to);
    }
    return false;
}

int row_read(sqlite3_stmt *stmt, const struct row_table *t, void *to, const struct names *names,
             struct error *err)
{
    for (unsigned i = 0; i < t->n; i++) {
        const struct column *c = &t->columns[i];
        int at = (int)i;
        int64_t number = sqlite3_column_int64(stmt, at);
        const char *text = (const char *)sqlite3_column_text(stmt, at);
        size_t size = (size_t)sqlite3_column_bytes(stmt, at);
        if (!text || !read_column(c, number, text, size, (char *)to + c->offset, names))
            return error_set(err, ERROR_STORE,
                             "table %s holds \"%.40s\" as %s, which makes no sense", t->name,
                             text ? text : "", c->name);
    }
    return 0;
}
