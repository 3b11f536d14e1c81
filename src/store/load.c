/* One loop over a SELECT per table. Numbers that index arrays are counted here, never read from
 * the file, so that no edited file makes them point outside. */
#include "store/load.h"

#include "base/str.h"
#include "store/schema.h"
#include "store/tables.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char doing[] = "cannot read the state";

/* A statement over one table; finalizes itself. */
struct reader {
    sqlite3 *db;
    sqlite3_stmt *stmt;
    const struct row_table *table;
    const struct names *names;
    struct error *err;
};

#define AUTO_READER CLEANUP(reader_done)

static void reader_done(struct reader *r)
{
    sqlite3_finalize(r->stmt);
}

static int reader_open(struct reader *r, const struct row_table *table, const char *tail)
{
    AUTO_FREE char *sql = row_select_sql(table, tail);
    if (!sql)
        return error_set(r->err, ERROR_NO_MEMORY, "out of memory");
    r->table = table;
    if (sqlite3_prepare_v2(r->db, sql, -1, &r->stmt, NULL) != SQLITE_OK)
        return schema_error(r->db, doing, r->err);
    return 0;
}

/* 1 and the row in `to`, 0 at the end, negative on an error. *ret_key gets the last key. */
static int reader_next(struct reader *r, void *to, int64_t *ret_key)
{
    int step = sqlite3_step(r->stmt);
    if (step == SQLITE_DONE)
        return 0;
    if (step != SQLITE_ROW)
        return schema_error(r->db, doing, r->err);
    *ret_key = sqlite3_column_int64(r->stmt, (int)r->table->n);
    int result = row_read(r->stmt, r->table, to, r->names, r->err);
    return result == 0 ? 1 : result;
}

/* Reads all rows whose first key is `key` into an array of `most` structs of `size` bytes. */
static int read_list(struct reader *r, int64_t key, void *to, size_t size, unsigned most,
                     uint8_t *ret_n)
{
    int64_t n = 0;
    int more = 1;
    *ret_n = 0;
    (void)sqlite3_reset(r->stmt);
    if (sqlite3_bind_int64(r->stmt, 1, key) != SQLITE_OK)
        return schema_error(r->db, doing, r->err);
    for (unsigned i = 0; i < most && more > 0; i++) {
        more = reader_next(r, (char *)to + i * size, &n);
        *ret_n = (uint8_t)(i + (more > 0));
    }
    return more < 0 ? more : 0;
}

static int out_of_range(struct reader *r, const char *what, int64_t key)
{
    return error_set(r->err, ERROR_STORE,
                     "%s: table %s holds the %s %" PRId64 ", which makes no sense",
                     sqlite3_db_filename(r->db, "main"), r->table->name, what, key);
}

int load_names(sqlite3 *db, struct names *names, const char *sql, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return schema_error(db, doing, err);
    int step, result = 0;
    while (result == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 1);
        if (!text || !names_add(names, text))
            result = error_set(err, ERROR_NO_MEMORY, "out of memory for the names of the state");
        else if (sqlite3_column_int64(stmt, 0) != names->first + names->n - 1)
            result = error_set(err, ERROR_STORE,
                               "%s: the number of \"%.60s\" is missing its forerunners",
                               sqlite3_db_filename(db, "main"), text);
    }
    if (result == 0 && step != SQLITE_DONE)
        result = schema_error(db, doing, err);
    sqlite3_finalize(stmt);
    names->saved = names->n;
    return result;
}

static int load_meta(sqlite3 *db, uint32_t *ret_next, char ret_boot[64], struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, "SELECT next_id, boot_id FROM meta", -1, &stmt, NULL) != SQLITE_OK)
        return schema_error(db, doing, err);
    int result = 0;
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        *ret_next = (uint32_t)sqlite3_column_int64(stmt, 0);
        const char *boot = (const char *)sqlite3_column_text(stmt, 1);
        (void)str_copy(ret_boot, 64, boot ? boot : "");
    } else {
        result = schema_error(db, doing, err);
    }
    sqlite3_finalize(stmt);
    return result;
}

static int read_boards(struct reader base, bool seen[MACHINE_BOARDS],
                       struct board boards[MACHINE_BOARDS])
{
    AUTO_READER struct reader rows = base, profiles = base;
    int result = reader_open(&rows, &table_boards, "ORDER BY board");
    if (result == 0)
        result = reader_open(&profiles, &table_profiles, "WHERE board = ? ORDER BY n");
    while (result == 0) {
        struct board b = {0};
        int64_t at = 0;
        result = reader_next(&rows, &b, &at);
        if (result <= 0)
            return result;
        if (at < 0 || at >= MACHINE_BOARDS)
            return out_of_range(&rows, "board", at);
        result = read_list(&profiles, at, b.profiles, sizeof(b.profiles[0]), BOARD_PROFILES,
                           &b.profile_n);
        boards[at] = b;
        seen[at] = true;
    }
    return result;
}

static int load_boards(struct reader base, struct world *w, struct change *c)
{
    bool seen[MACHINE_BOARDS] = {false};
    AUTO_FREE struct board *boards = calloc(MACHINE_BOARDS, sizeof(*boards));
    if (!boards)
        return error_set(base.err, ERROR_NO_MEMORY, "out of memory");
    int result = read_boards(base, seen, boards);
    for (uint8_t i = 0; i < MACHINE_BOARDS && result == 0; i++) {
        if (!seen[i])
            continue;
        c->kind = CHANGE_BOARD;
        c->board.index = i;
        c->board.board = boards[i];
        store_apply(w, c);
    }
    return result;
}

static int load_policy(struct reader base, struct world *w, struct change *c)
{
    AUTO_READER struct reader rows = base;
    int64_t one;
    int result = reader_open(&rows, &table_policy, "");
    if (result == 0) {
        *c = (struct change){.kind = CHANGE_POLICY};
        result = reader_next(&rows, &c->policy, &one);
    }
    if (result > 0)
        store_apply(w, c);
    return MIN(result, 0);
}

static int load_gpus(struct reader base, struct world *w, struct change *c)
{
    AUTO_READER struct reader rows = base, seats = base;
    int result = reader_open(&rows, &table_gpus, "ORDER BY gpu");
    if (result == 0)
        result = reader_open(&seats, &table_seats, "WHERE gpu = ? ORDER BY n");
    while (result == 0) {
        int64_t slot = 0;
        memset(c, 0, sizeof(*c));
        c->kind = CHANGE_GPU;
        result = reader_next(&rows, &c->gpu, &slot);
        if (result <= 0)
            return result;
        if (slot < 0 || slot >= UINT16_MAX || c->gpu.board >= MACHINE_BOARDS)
            return out_of_range(&rows, "GPU", slot);
        c->gpu.slot = (uint16_t)slot;
        result = read_list(&seats, slot, c->gpu.seats, sizeof(c->gpu.seats[0]), BOARD_GIS,
                           &c->gpu.seat_n);
        if (result == 0)
            store_apply(w, c);
    }
    return result;
}

static int load_leases(struct reader base, struct world *w, struct change *c)
{
    AUTO_READER struct reader rows = base, list = base;
    int result = reader_open(&rows, &table_leases, "WHERE state <> 'ended' ORDER BY lease");
    if (result == 0)
        result = reader_open(&list, &table_slices, "WHERE lease = ? ORDER BY n");
    while (result == 0) {
        int64_t id = 0;
        memset(c, 0, sizeof(*c));
        c->kind = CHANGE_LEASE;
        result = reader_next(&rows, &c->lease, &id);
        if (result <= 0)
            return result;
        if (id < 1 || id > UINT32_MAX)
            return out_of_range(&rows, "lease", id);
        c->lease.id = (uint32_t)id;
        result = read_list(&list, id, c->lease.slices, sizeof(c->lease.slices[0]), REQUEST_SLICES,
                           &c->lease.slice_n);
        if (result == 0)
            store_apply(w, c);
    }
    return result;
}

int load_world(sqlite3 *db, const struct names *names, struct world *w, char ret_boot[64],
               struct error *err)
{
    struct reader base = {.db = db, .names = names, .err = err};
    AUTO_FREE struct change *c = calloc(1, sizeof(*c));
    uint32_t next = 0;
    if (!c)
        return error_set(err, ERROR_NO_MEMORY, "out of memory");
    int result = load_boards(base, w, c);
    if (result == 0)
        result = load_policy(base, w, c);
    if (result == 0)
        result = load_gpus(base, w, c);
    if (result == 0)
        result = load_leases(base, w, c);
    if (result == 0)
        result = load_meta(db, &next, ret_boot, err);
    if (result == 0 && next != 0) {
        *c = (struct change){.kind = CHANGE_NEXT_ID, .next_id = next};
        store_apply(w, c);
    }
    return result;
}

/* Which board each GPU has, for the words of history. */
static int read_places(struct reader base, struct past_boards *places)
{
    bool seen[MACHINE_BOARDS] = {false};
    AUTO_READER struct reader rows = base;
    memset(places->of_gpu, MACHINE_BOARDS, sizeof(places->of_gpu));
    int result = read_boards(base, seen, places->boards);
    if (result == 0)
        result = reader_open(&rows, &table_gpus, "");
    while (result == 0) {
        struct gpu g = {0};
        int64_t slot = 0;
        result = reader_next(&rows, &g, &slot);
        if (result <= 0)
            return result;
        result = 0;
        if (slot >= 0 && slot < MACHINE_GPUS)
            places->of_gpu[slot] = g.board;
    }
    return result;
}

/* The columns of a past lease that are not in struct lease, of the row of `stmt`. */
static int fill_past(sqlite3_stmt *stmt, struct store_past *p, const struct past_boards *places)
{
    const char *command = (const char *)sqlite3_column_text(stmt, 1);
    const char *profile = (const char *)sqlite3_column_text(stmt, 2);
    p->command = strdup(command ? command : "");
    p->profile = strdup(profile ? profile : "");
    p->slices = past_slices(&p->lease, places);
    p->asked_wall = sqlite3_column_int64(stmt, 3);
    p->started_wall = sqlite3_column_int64(stmt, 4);
    p->ended_wall = sqlite3_column_int64(stmt, 5);
    p->exit_status = sqlite3_column_int(stmt, 6);
    const char *left = (const char *)sqlite3_column_text(stmt, 7);
    p->left_behind = strdup(left ? left : "");
    p->peak.bytes = (uint64_t)sqlite3_column_int64(stmt, 8);
    p->peak.looks = (uint32_t)sqlite3_column_int64(stmt, 9);
    return p->command && p->profile && p->slices && p->left_behind ? 0 : -ERROR_NO_MEMORY;
}

struct history {
    struct reader base, row, list;
    sqlite3_stmt *ids;
    struct past_boards *places;
};

static void history_done(struct history *h)
{
    reader_done(&h->row);
    reader_done(&h->list);
    sqlite3_finalize(h->ids);
    free(h->places);
}

static int read_past(struct history *h, struct store_past *p)
{
    int64_t id = sqlite3_column_int64(h->ids, 0);
    (void)sqlite3_reset(h->row.stmt);
    if (sqlite3_bind_int64(h->row.stmt, 1, id) != SQLITE_OK)
        return schema_error(h->base.db, doing, h->base.err);
    int result = reader_next(&h->row, &p->lease, &id);
    if (result <= 0)
        return result;
    p->lease.id = (uint32_t)id;
    result = read_list(&h->list, id, p->lease.slices, sizeof(p->lease.slices[0]), REQUEST_SLICES,
                       &p->lease.slice_n);
    if (result == 0 && fill_past(h->ids, p, h->places) != 0)
        result = error_set(h->base.err, ERROR_NO_MEMORY, "out of memory");
    return result;
}

#define PAST                                                                                       \
    "SELECT lease, command, lease_text.profile, asked_wall, started_wall, ended_wall, "            \
    "exit_status, left_behind, peak_bytes, peak_looks FROM leases "                                \
    "LEFT JOIN lease_text USING (lease) WHERE "

/* Everything but the parameters: ?1 is a lease's id, ?2 the owner, ?3 how many. */
static int history_open(struct history *h, const char *sql, uint32_t id, const char *owner,
                        size_t limit)
{
    sqlite3 *db = h->base.db;
    h->places = calloc(1, sizeof(*h->places));
    if (!h->places)
        return error_set(h->base.err, ERROR_NO_MEMORY, "out of memory");
    int result = read_places(h->base, h->places);
    if (result == 0)
        result = reader_open(&h->row, &table_leases, "WHERE lease = ?");
    if (result == 0)
        result = reader_open(&h->list, &table_slices, "WHERE lease = ? ORDER BY n");
    if (result != 0)
        return result;
    if (sqlite3_prepare_v2(db, sql, -1, &h->ids, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(h->ids, 1, id) != SQLITE_OK ||
        sqlite3_bind_text(h->ids, 2, owner, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_int64(h->ids, 3, (int64_t)MIN(limit, (size_t)INT32_MAX)) != SQLITE_OK)
        return schema_error(db, doing, h->base.err);
    return 0;
}

static int visit_each(struct history *h, int (*visit)(const struct store_past *p, void *arg),
                      void *arg)
{
    int result = 0;
    while (result == 0) {
        int step = sqlite3_step(h->ids);
        if (step != SQLITE_ROW)
            return step == SQLITE_DONE ? 0 : schema_error(h->base.db, doing, h->base.err);
        struct store_past p = {0};
        result = read_past(h, &p);
        if (result == 0)
            result = visit(&p, arg);
        store_past_done(&p);
    }
    return result;
}

int load_history_page(sqlite3 *db, const struct names *names, const struct store_page *page,
                      const char *owner, int (*visit)(const struct store_past *p, void *arg),
                      void *arg, struct error *err)
{
    static const char ended[] =
        PAST "lease > ?1 AND (?2 IS NULL OR owner = ?2) AND state = 'ended' "
             "AND ended_wall BETWEEN ?4 AND ?5 ORDER BY lease LIMIT ?3";
    static const char all[] =
        PAST "lease > ?1 AND (?2 IS NULL OR owner = ?2) AND (state <> 'ended' "
             "OR ended_wall BETWEEN ?4 AND ?5) ORDER BY lease LIMIT ?3";
    const char *sql = page->live ? all : ended;
    struct reader base = {.db = db, .names = names, .err = err};
    CLEANUP(history_done) struct history h = {.base = base, .row = base, .list = base};
    int result = history_open(&h, sql, page->after, owner, page->limit);
    if (result == 0 && (sqlite3_bind_int64(h.ids, 4, page->since) != SQLITE_OK ||
                        sqlite3_bind_int64(h.ids, 5, page->until) != SQLITE_OK))
        result = schema_error(db, doing, err);
    return result ? result : visit_each(&h, visit, arg);
}

int load_history(sqlite3 *db, const struct names *names, uint32_t id, const char *owner,
                 size_t limit, int (*visit)(const struct store_past *p, void *arg), void *arg,
                 struct error *err)
{
    struct reader base = {.db = db, .names = names, .err = err};
    CLEANUP(history_done) struct history h = {.base = base, .row = base, .list = base};
    static const char sql[] =
        PAST "(?1 = 0 OR lease = ?1) AND (?2 IS NULL OR owner = ?2) ORDER BY lease DESC LIMIT ?3";
    int result = history_open(&h, sql, id, owner, limit);
    return result ? result : visit_each(&h, visit, arg);
}
