/* Opening the database file: whose it is, whether it is sound, which version, and bringing an
 * older one forward. */
#pragma once

#include "base/error.h"

#include <sqlite3.h>

enum {
    SCHEMA_VERSION = 1,
    SCHEMA_APPLICATION = 0x66657474, /* "fett" */
};

extern const char schema_sql[]; /* schema.sql */

/* Fills `err` from the connection's last failure: full disk, damage (with how to recover), or
 * SQLite's word. `what` is what was tried. Returns -ERROR_STORE or -ERROR_NO_MEMORY. */
int schema_error(sqlite3 *db, const char *what, struct error *err);

/* Runs statements without results. */
int schema_exec(sqlite3 *db, const char *sql, const char *what, struct error *err);

/* Opens or makes the file (mode 0600) and sets how it is written; refuses what is not ours, is
 * newer or damaged, and leaves it untouched then. steps[v] brings version v to v + 1; `version` is
 * the one wanted, so there are at least version - 1 - oldest of them (steps[0] from version 0). */
int schema_open(const char *path, int version, const char *const *steps, sqlite3 **ret,
                struct error *err);
