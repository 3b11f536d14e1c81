/* The order of opening matters: nothing writes before the file is known to be ours and sound, so a
 * refused file stays as it was found.
 *
 * A whole integrity check costs as much as the history is long, which a start must not. So small
 * files are checked whole; of large ones the tables that hold the present, which are what a start
 * trusts; past leases are checked when they are read. */
#include "store/schema.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHECK_WHOLE = 1 << 20 }; /* bytes; up to this size the whole file is checked */

int schema_error(sqlite3 *db, const char *what, struct error *err)
{
    int code = sqlite3_extended_errcode(db), primary = code & 0xff;
    const char *path = sqlite3_db_filename(db, "main");
    const char *file = path ? path : "the state";
    int result;
    if (primary == SQLITE_NOMEM)
        return error_set(err, ERROR_NO_MEMORY, "%s: %s: out of memory", file, what);
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
        result = error_set(
            err, ERROR_STORE,
            "%s: the state is damaged (%s) and kept as it is; to start afresh, stop fettad, "
            "move it and its -wal and -shm files away and start again: slices still on the "
            "GPUs are then shown as foreign",
            file, sqlite3_errmsg(db));
    else if (primary == SQLITE_FULL)
        result =
            error_set(err, ERROR_STORE, "%s: %s: the disk is full, free space on it", file, what);
    else
        result = error_set(err, ERROR_STORE, "%s: %s: %s (%s)", file, what, sqlite3_errmsg(db),
                           sqlite3_errstr(code));
    if (err)
        err->sys = sqlite3_system_errno(db);
    return result;
}

int schema_exec(sqlite3 *db, const char *sql, const char *what, struct error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : schema_error(db, what, err);
}

static int ask_number(sqlite3 *db, const char *sql, int64_t *ret, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return schema_error(db, "cannot read the state", err);
    int step = sqlite3_step(stmt);
    *ret = step == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    int result = step == SQLITE_ROW ? 0 : schema_error(db, "cannot read the state", err);
    sqlite3_finalize(stmt);
    return result;
}

static int check_one(sqlite3 *db, const char *sql, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return schema_error(db, "cannot check the state", err);
    int result = 0, step = sqlite3_step(stmt);
    const char *said = step == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (!said) {
        result = schema_error(db, "cannot check the state", err);
    } else if (strcmp(said, "ok") != 0) {
        const char *line = strrchr(said, '\n');
        result = error_set(
            err, ERROR_STORE,
            "%s: the state is damaged (%.80s) and kept as it is; to start afresh, stop fettad, "
            "move it and its -wal and -shm files away and start again: slices still on the "
            "GPUs are then shown as foreign",
            sqlite3_db_filename(db, "main"), line ? line + 1 : said);
    }
    sqlite3_finalize(stmt);
    return result;
}

static int check_sound(sqlite3 *db, struct error *err)
{
    static const char *const present[] = {
        "PRAGMA quick_check('meta')",     "PRAGMA quick_check('boards')",
        "PRAGMA quick_check('profiles')", "PRAGMA quick_check('policy')",
        "PRAGMA quick_check('gpus')",     "PRAGMA quick_check('seats')"};
    struct stat st;
    if (stat(sqlite3_db_filename(db, "main"), &st) == 0 && st.st_size <= CHECK_WHOLE)
        return check_one(db, "PRAGMA quick_check(1)", err);
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(present) && result == 0; i++)
        result = check_one(db, present[i], err);
    return result;
}

static int make_file(const char *path, struct error *err)
{
    AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 || errno == EEXIST)
        return 0;
    return error_errno(err, ERROR_STORE, errno, "cannot make the state file %s", path);
}

static int make_schema(sqlite3 *db, struct error *err)
{
    char head[128];
    (void)snprintf(head, sizeof(head), "PRAGMA application_id = %d; PRAGMA user_version = 1",
                   SCHEMA_APPLICATION);
    int result = schema_exec(db, "BEGIN IMMEDIATE", "cannot begin the state", err);
    if (result == 0)
        result = schema_exec(db, schema_sql, "cannot make the state", err);
    if (result == 0)
        result = schema_exec(db, head, "cannot make the state", err);
    if (result == 0)
        result = schema_exec(db, "COMMIT", "cannot make the state", err);
    if (result != 0)
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/* A copy beside the file, whole or not there: written under another name first. */
static int copy_aside(sqlite3 *db, int64_t version, struct error *err)
{
    const char *path = sqlite3_db_filename(db, "main");
    char *copy = sqlite3_mprintf("%s.v%lld", path, (long long)version);
    char *part = sqlite3_mprintf("%s.v%lld.part", path, (long long)version);
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", part);
    int result = copy && part && sql ? 0 : error_set(err, ERROR_NO_MEMORY, "out of memory");
    if (result == 0) {
        (void)unlink(part);
        result = make_file(part, err); /* mode 0600: VACUUM INTO takes an empty file */
    }
    if (result == 0)
        result = schema_exec(db, sql, "cannot copy the state before bringing it up to date", err);
    if (result == 0) {
        AUTO_FD int fd = open(part, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) != 0 || rename(part, copy) != 0)
            result = error_errno(err, ERROR_STORE, errno, "cannot keep the copy %s", copy);
    }
    sqlite3_free(copy);
    sqlite3_free(part);
    sqlite3_free(sql);
    return result;
}

static int migrate(sqlite3 *db, int64_t from, int version, const char *const *steps,
                   struct error *err)
{
    char number[64];
    int result = copy_aside(db, from, err);
    if (result == 0)
        result = schema_exec(db, "BEGIN IMMEDIATE", "cannot begin the migration", err);
    if (result != 0)
        return result;
    for (int64_t v = from; v < version && result == 0; v++)
        result = schema_exec(db, steps[v], "cannot bring the state up to date", err);
    (void)snprintf(number, sizeof(number), "PRAGMA user_version = %d", version);
    if (result == 0)
        result = schema_exec(db, number, "cannot bring the state up to date", err);
    if (result == 0)
        result = schema_exec(db, "COMMIT", "cannot bring the state up to date", err);
    if (result != 0)
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/* Reads only; after it the file may be written. *ret_version is -1 for a file with nothing in it.
 */
static int look(sqlite3 *db, int version, int64_t *ret_version, struct error *err)
{
    int64_t objects = 0, application = 0;
    const char *path = sqlite3_db_filename(db, "main");
    int result = ask_number(db, "SELECT count(*) FROM sqlite_schema", &objects, err);
    if (result == 0)
        result = ask_number(db, "PRAGMA application_id", &application, err);
    if (result == 0)
        result = ask_number(db, "PRAGMA user_version", ret_version, err);
    if (result != 0)
        return result;
    if (objects == 0 && application == 0 && *ret_version == 0) {
        *ret_version = -1;
        return 0;
    }
    if (application != SCHEMA_APPLICATION)
        return error_set(err, ERROR_STORE,
                         "%s is a database of another program, not fetta's state; move "
                         "it away or name another file",
                         path);
    if (*ret_version > version)
        return error_set(err, ERROR_STORE,
                         "%s was written by a newer fetta (schema %" PRId64
                         ", this one knows %d); install "
                         "that version again, or move the file away to start afresh",
                         path, *ret_version, version);
    return check_sound(db, err);
}

int schema_open(const char *path, int version, const char *const *steps, sqlite3 **ret,
                struct error *err)
{
    *ret = NULL;
    int result = make_file(path, err);
    if (result != 0)
        return result;
    sqlite3 *db = NULL;
    int64_t found = 0;
    /* What a statement would have to take back is kept in pieces of 1 KiB, not in one of 64 KiB
     * that every grant would ask of the system and give back. Too late, and no matter, the second
     * time. */
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        result = db ? schema_error(db, "cannot open the state", err)
                    : error_set(err, ERROR_NO_MEMORY, "out of memory");
        sqlite3_close(db);
        return result;
    }
    (void)sqlite3_busy_timeout(db, 2000);
    result = look(db, version, &found, err);
    if (result == 0)
        result = schema_exec(db,
                             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                             "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; "
                             "PRAGMA cache_size = -256",
                             "cannot open the state", err);
    if (result == 0 && found < 0)
        result = make_schema(db, err);
    if (result == 0 && found >= 0 && found < version)
        result = migrate(db, found, version, steps, err);
    if (result != 0)
        sqlite3_close(db);
    else
        *ret = db;
    return result;
}
