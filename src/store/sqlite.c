/* The state in SQLite: WAL with synchronous=FULL, so that one commit is one fsync and what was
 * committed survives the power. Statements are prepared once; a transaction runs them and COMMIT.
 *
 * Locking stays SQLite's normal one: the sqlite3 shell may look while the daemon runs. */
#include "base/str.h"
#include "store/load.h"
#include "store/schema.h"
#include "store/tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum statement {
    S_BEGIN,
    S_COMMIT,
    S_ROLLBACK,
    S_BOARD,
    S_PROFILE,
    S_PROFILE_TRIM,
    S_POLICY,
    S_GPU,
    S_SEAT,
    S_SEAT_TRIM,
    S_LEASE,
    S_SLICE,
    S_SLICE_TRIM,
    S_WALL,
    S_NEXT_ID,
    S_BOOT,
    S_TEXT,
    S_EXIT,
    S_LEFT,
    S_PEAK,
    S_AUDIT,
    S_NAME,
    S_SLOT,
    S_PRUNE_TEXT,
    S_PRUNE,
    S_PRUNE_AUDIT,
    S_N,
};

/* Text, or a table whose upsert it is. */
static const struct {
    const char *sql;
    const struct row_table *upsert;
} statements[S_N] = {
    [S_BEGIN] = {"BEGIN IMMEDIATE", NULL},
    [S_COMMIT] = {"COMMIT", NULL},
    [S_ROLLBACK] = {"ROLLBACK", NULL},
    [S_BOARD] = {NULL, &table_boards},
    [S_PROFILE] = {NULL, &table_profiles},
    [S_PROFILE_TRIM] = {"DELETE FROM profiles WHERE board = ? AND n = ?", NULL},
    [S_POLICY] = {NULL, &table_policy},
    [S_GPU] = {NULL, &table_gpus},
    [S_SEAT] = {NULL, &table_seats},
    [S_SEAT_TRIM] = {"DELETE FROM seats WHERE gpu = ? AND n = ?", NULL},
    [S_LEASE] = {NULL, &table_leases},
    [S_SLICE] = {NULL, &table_slices},
    [S_SLICE_TRIM] = {"DELETE FROM lease_slices WHERE lease = ? AND n = ?", NULL},
    [S_WALL] =
        {"UPDATE leases SET"
         " asked_wall = CASE asked_wall WHEN 0 THEN ?2 ELSE asked_wall END,"
         " started_wall = CASE WHEN started_wall = 0 AND started_at <> 0 THEN ?2"
         " ELSE started_wall END,"
         " ended_wall = CASE WHEN ended_wall = 0 AND state = 'ended' THEN ?2 ELSE ended_wall END"
         " WHERE lease = ?1 AND (asked_wall = 0 OR (started_wall = 0 AND started_at <> 0)"
         " OR (ended_wall = 0 AND state = 'ended'))",
         NULL},
    [S_NEXT_ID] = {"UPDATE meta SET next_id = ?", NULL},
    [S_BOOT] = {"UPDATE meta SET boot_id = ?", NULL},
    [S_TEXT] = {"INSERT INTO lease_text (lease, command, place, profile) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (lease) DO UPDATE SET command = excluded.command,"
                " place = excluded.place, profile = excluded.profile",
                NULL},
    [S_EXIT] = {"UPDATE leases SET exit_status = ?2 WHERE lease = ?1", NULL},
    [S_LEFT] = {"UPDATE leases SET left_behind = ?2 WHERE lease = ?1", NULL},
    [S_PEAK] = {"UPDATE leases SET peak_bytes = ?2, peak_looks = ?3 WHERE lease = ?1", NULL},
    [S_AUDIT] = {"INSERT INTO audit (wall, lease, uid, what) VALUES (?, ?, ?, ?)", NULL},
    [S_NAME] = {"INSERT INTO names (number, text) VALUES (?, ?)", NULL},
    [S_SLOT] = {"INSERT INTO slots (slot, uuid) VALUES (?, ?)", NULL},
    [S_PRUNE_TEXT] = {"DELETE FROM lease_text WHERE lease IN (SELECT lease FROM leases"
                      " WHERE state = 'ended' AND ended_wall < ?1 ORDER BY ended_wall LIMIT ?2)",
                      NULL},
    [S_PRUNE] = {"DELETE FROM leases WHERE lease IN (SELECT lease FROM leases"
                 " WHERE state = 'ended' AND ended_wall < ?1 ORDER BY ended_wall LIMIT ?2)",
                 NULL},
    [S_PRUNE_AUDIT] = {"DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE wall < ?1"
                       " ORDER BY wall LIMIT ?2)",
                       NULL},
};

struct sqlite {
    struct store store; /* first */
    sqlite3 *db;
    sqlite3_stmt *at[S_N];
};

static const char doing[] = "cannot write the state";

static struct sqlite *of(struct store *s)
{
    return (struct sqlite *)s;
}

/* Runs a bound statement to its end and makes it ready for the next time. */
static int run(struct sqlite *s, enum statement which, struct error *err)
{
    int step = sqlite3_step(s->at[which]);
    int result = step == SQLITE_DONE || step == SQLITE_ROW ? 0 : schema_error(s->db, doing, err);
    (void)sqlite3_reset(s->at[which]);
    return result;
}

static int run_numbers(struct sqlite *s, enum statement which, int64_t a, int64_t b,
                       struct error *err)
{
    if (sqlite3_bind_int64(s->at[which], 1, a) != SQLITE_OK ||
        (sqlite3_bind_parameter_count(s->at[which]) > 1 &&
         sqlite3_bind_int64(s->at[which], 2, b) != SQLITE_OK))
        return schema_error(s->db, doing, err);
    return run(s, which, err);
}

static int bind_text(struct sqlite *s, enum statement which, int at, const char *text)
{
    return sqlite3_bind_text(s->at[which], at, text, -1, SQLITE_TRANSIENT);
}

/* Writes one struct; `second` is the second key where the table has one. */
static int upsert(struct sqlite *s, enum statement which, int64_t key, int64_t second,
                  const void *from, struct error *err)
{
    const struct row_table *t = statements[which].upsert;
    int first = t->keys[1] ? 3 : 2;
    bool good = sqlite3_bind_int64(s->at[which], 1, key) == SQLITE_OK &&
                (first == 2 || sqlite3_bind_int64(s->at[which], 2, second) == SQLITE_OK);
    if (!good || !row_bind(s->at[which], first, t, from, &s->store.names))
        return sqlite3_errcode(s->db) == SQLITE_NOMEM
                   ? schema_error(s->db, doing, err)
                   : error_set(err, ERROR_STORE, "a row of %s has a value that cannot be written",
                               t->name);
    return run(s, which, err);
}

/* Writes `n` structs as the rows 0..n-1 of `key` and removes those beyond, one by one: there are
 * rarely any, and for a range SQLite would make a list of what to delete first. */
static int upsert_list(struct sqlite *s, enum statement which, enum statement trim, int64_t key,
                       const void *from, size_t size, unsigned n, struct error *err)
{
    int result = 0;
    for (unsigned i = 0; i < n && result == 0; i++)
        result = upsert(s, which, key, i, (const char *)from + i * size, err);
    for (unsigned i = n; result == 0; i++) {
        result = run_numbers(s, trim, key, i, err);
        if (sqlite3_changes(s->db) == 0)
            break;
    }
    return result;
}

static int write_lease(struct sqlite *s, const struct lease *l, int64_t wall, struct error *err)
{
    int result = upsert(s, S_LEASE, l->id, 0, l, err);
    /* A lease that ends without its slices keeps them in history. */
    if (result == 0 && (l->slice_n > 0 || l->state != LEASE_ENDED))
        result = upsert_list(s, S_SLICE, S_SLICE_TRIM, l->id, l->slices, sizeof(l->slices[0]),
                             l->slice_n, err);
    return result ? result : run_numbers(s, S_WALL, l->id, wall, err);
}

static int write_change(struct store *store, const struct change *c, int64_t wall,
                        struct error *err)
{
    struct sqlite *s = of(store);
    int result;
    switch (c->kind) {
    case CHANGE_LEASE:
        return write_lease(s, &c->lease, wall, err);
    case CHANGE_GPU:
        result = upsert(s, S_GPU, c->gpu.slot, 0, &c->gpu, err);
        return result ? result
                      : upsert_list(s, S_SEAT, S_SEAT_TRIM, c->gpu.slot, c->gpu.seats,
                                    sizeof(c->gpu.seats[0]), c->gpu.seat_n, err);
    case CHANGE_BOARD:
        result = upsert(s, S_BOARD, c->board.index, 0, &c->board.board, err);
        return result ? result
                      : upsert_list(s, S_PROFILE, S_PROFILE_TRIM, c->board.index,
                                    c->board.board.profiles, sizeof(c->board.board.profiles[0]),
                                    c->board.board.profile_n, err);
    case CHANGE_POLICY:
        return upsert(s, S_POLICY, 1, 0, &c->policy, err);
    case CHANGE_NEXT_ID:
        return run_numbers(s, S_NEXT_ID, c->next_id, 0, err);
    }
    return error_set(err, ERROR_STORE, "a change of the unknown kind %d cannot be written",
                     c->kind);
}

static int set_boot(struct store *store, const char *boot_id, struct error *err)
{
    struct sqlite *s = of(store);
    if (bind_text(s, S_BOOT, 1, boot_id) != SQLITE_OK)
        return schema_error(s->db, doing, err);
    return run(s, S_BOOT, err);
}

static int set_text(struct store *store, const struct store_text *t, struct error *err)
{
    struct sqlite *s = of(store);
    if (bind_text(s, S_TEXT, 2, t->command) != SQLITE_OK ||
        bind_text(s, S_TEXT, 3, t->place) != SQLITE_OK ||
        bind_text(s, S_TEXT, 4, t->profile) != SQLITE_OK ||
        sqlite3_bind_int64(s->at[S_TEXT], 1, t->lease) != SQLITE_OK)
        return schema_error(s->db, doing, err);
    return run(s, S_TEXT, err);
}

static int set_exit(struct store *store, uint32_t lease, int status, struct error *err)
{
    struct sqlite *s = of(store);
    int result = run_numbers(s, S_EXIT, lease, status, err);
    if (result == 0 && sqlite3_changes(s->db) == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no lease %" PRIu32, lease);
    return result;
}

static int set_left(struct store *store, uint32_t lease, const char *lines, struct error *err)
{
    struct sqlite *s = of(store);
    if (sqlite3_bind_int64(s->at[S_LEFT], 1, lease) != SQLITE_OK ||
        bind_text(s, S_LEFT, 2, lines) != SQLITE_OK)
        return schema_error(s->db, doing, err);
    int result = run(s, S_LEFT, err);
    if (result == 0 && sqlite3_changes(s->db) == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no lease %" PRIu32, lease);
    return result;
}

static int set_peak(struct store *store, uint32_t lease, const struct store_peak *peak,
                    struct error *err)
{
    struct sqlite *s = of(store);
    if (sqlite3_bind_int64(s->at[S_PEAK], 3, peak->looks) != SQLITE_OK)
        return schema_error(s->db, doing, err);
    int result = run_numbers(s, S_PEAK, lease, (int64_t)peak->bytes, err);
    if (result == 0 && sqlite3_changes(s->db) == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no lease %" PRIu32, lease);
    return result;
}

static int audit(struct store *store, int64_t wall, uint32_t lease, uint32_t uid, const char *what,
                 struct error *err)
{
    struct sqlite *s = of(store);
    sqlite3_stmt *stmt = s->at[S_AUDIT];
    if (sqlite3_bind_int64(stmt, 1, wall) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 2, lease) != SQLITE_OK ||
        sqlite3_bind_int64(stmt, 3, uid) != SQLITE_OK ||
        bind_text(s, S_AUDIT, 4, what) != SQLITE_OK)
        return schema_error(s->db, doing, err);
    return run(s, S_AUDIT, err);
}

static int save_name(struct store *store, struct names *names, uint32_t index, struct error *err)
{
    struct sqlite *s = of(store);
    enum statement which = names == &store->slots ? S_SLOT : S_NAME;
    if (sqlite3_bind_int64(s->at[which], 1, names->first + index) != SQLITE_OK ||
        bind_text(s, which, 2, names->at[index]) != SQLITE_OK)
        return schema_error(s->db, doing, err);
    return run(s, which, err);
}

static int begin(struct store *s, struct error *err)
{
    return run(of(s), S_BEGIN, err);
}

static int commit(struct store *s, struct error *err)
{
    return run(of(s), S_COMMIT, err);
}

/* Some failures make SQLite roll back by itself; then there is nothing left to do. */
static void rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(of(s)->db))
        (void)run(of(s), S_ROLLBACK, NULL);
}

static int load(struct store *s, struct world *w, char ret_boot[64], struct error *err)
{
    return load_world(of(s)->db, &s->names, w, ret_boot, err);
}

/* The owner as the leases' column has it; NULL for a name that nobody ever had. */
static const char *owner_text(struct store *s, const struct owner *owner, char text[24])
{
    if (owner->kind == OWNER_NAMED)
        return store_name(s, owner->id);
    (void)snprintf(text, 24, "uid:%" PRIu32, owner->id);
    return text;
}

static int history(struct store *s, uint32_t id, const struct owner *owner, size_t limit,
                   int (*visit)(const struct store_past *p, void *arg), void *arg,
                   struct error *err)
{
    char text[24];
    const char *name = owner ? owner_text(s, owner, text) : NULL;
    if (owner && !name)
        return 0;
    return load_history(of(s)->db, &s->names, id, name, limit, visit, arg, err);
}

static int history_page(struct store *s, const struct store_page *page,
                        int (*visit)(const struct store_past *p, void *arg), void *arg,
                        struct error *err)
{
    char text[24];
    const char *name = page->owner ? owner_text(s, page->owner, text) : NULL;
    if (page->owner && !name)
        return 0;
    return load_history_page(of(s)->db, &s->names, page, name, visit, arg, err);
}

static int prune(struct store *store, int64_t before_wall, size_t max, struct error *err)
{
    struct sqlite *s = of(store);
    int64_t most = (int64_t)MIN(max, (size_t)INT32_MAX);
    int result = run_numbers(s, S_PRUNE_TEXT, before_wall, most, err);
    if (result == 0)
        result = run_numbers(s, S_PRUNE, before_wall, most, err);
    return result ? result : run_numbers(s, S_PRUNE_AUDIT, before_wall, most, err);
}

static void close_db(struct store *store)
{
    struct sqlite *s = of(store);
    for (unsigned i = 0; i < S_N; i++)
        sqlite3_finalize(s->at[i]);
    sqlite3_close(s->db);
    free(s);
}

static const struct store_ops ops = {
    .close = close_db,
    .load = load,
    .begin = begin,
    .write = write_change,
    .set_boot = set_boot,
    .set_text = set_text,
    .set_exit = set_exit,
    .set_left = set_left,
    .set_peak = set_peak,
    .audit = audit,
    .save = save_name,
    .commit = commit,
    .rollback = rollback,
    .history = history,
    .history_page = history_page,
    .prune = prune,
};

static int prepare(struct sqlite *s, struct error *err)
{
    for (unsigned i = 0; i < S_N; i++) {
        const struct row_table *t = statements[i].upsert;
        AUTO_FREE char *made = t ? row_upsert_sql(t) : NULL;
        if (t && !made)
            return error_set(err, ERROR_NO_MEMORY, "out of memory");
        if (sqlite3_prepare_v3(s->db, t ? made : statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                               &s->at[i], NULL) != SQLITE_OK)
            return schema_error(s->db, "cannot use the state", err);
    }
    return 0;
}

int store_open_sqlite(const char *path, struct store **ret, struct error *err)
{
    struct sqlite *s = calloc(1, sizeof(*s));
    *ret = NULL;
    if (!s)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    s->store = (struct store){.ops = &ops, .names = {.first = 1}};
    int result = schema_open(path, SCHEMA_VERSION, NULL, &s->db, err);
    if (result == 0)
        result = prepare(s, err);
    if (result == 0)
        result = load_names(s->db, &s->store.names,
                            "SELECT number, text FROM names ORDER BY number", err);
    if (result == 0)
        result =
            load_names(s->db, &s->store.slots, "SELECT slot, uuid FROM slots ORDER BY slot", err);
    if (result != 0)
        store_close(&s->store);
    else
        *ret = &s->store;
    return result;
}
