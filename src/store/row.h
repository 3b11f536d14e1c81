/* C structs as table rows, described once: which member is which column, of what kind.
 *
 * From a description follow the upsert, the select, the binding and the reading. Reading trusts
 * nothing: a number that its member cannot hold or a word nobody knows is an error, because the
 * file may have been edited or damaged. */
#pragma once

#include "base/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names;

enum row_kind {
    ROW_INT,    /* signed integer of 1, 2, 4 or 8 bytes */
    ROW_UINT,   /* unsigned, or bool; 8 bytes wrap into SQLite's signed 64 */
    ROW_WORD,   /* enum, stored as one of `words` */
    ROW_TEXT,   /* char array */
    ROW_OWNER,  /* struct owner as "uid:1000" or its name */
    ROW_LIST,   /* array of uint8_t as "0,3,-", - for 255 */
    ROW_PLACES, /* struct layout's placements as "PROFILE@START ..." */
};

struct column {
    const char *name;
    enum row_kind kind;
    size_t offset, size;
    const char *const *words; /* ROW_WORD; `word_n` of them */
    unsigned word_n;
};

struct row_table {
    const char *name;
    const char *keys[2]; /* primary key columns, bound first; the second may be NULL */
    const struct column *columns;
    unsigned n;
};

/* SQL text, owned by the caller; NULL without memory. The upsert binds keys first, then columns in
 * order. The select gives columns in order and then the last key; `tail` follows the table's name.
 */
char *row_upsert_sql(const struct row_table *t);
char *row_select_sql(const struct row_table *t, const char *tail);

/* Binds the struct at `from` to parameters first, first+1, ...; false when SQLite refuses. */
bool row_bind(sqlite3_stmt *stmt, int first, const struct row_table *t, const void *from,
              const struct names *names);

/* Reads columns 0.. of the current row into the struct at `to`; -ERROR_STORE naming table, column
 * and value when one makes no sense. */
int row_read(sqlite3_stmt *stmt, const struct row_table *t, void *to, const struct names *names,
             struct error *err);
