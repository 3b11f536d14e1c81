/* Both kinds of store under one list of promises, then what only a file can do: be damaged, newer,
 * older, somebody else's. */
#include "store/test-world.h"

#include "store/schema.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store *open_file(const char *path)
{
    struct store *s = NULL;
    struct error err = {0};
    if (store_open_sqlite(path, &s, &err) != 0)
        TAP_FAIL("open: %s", err.text);
    return s;
}

/* Promise 1: what was committed is loaded, what was rolled back is not. */
static void promise_round_trip(struct store *s, uint64_t seed)
{
    struct rng r = {seed};
    struct error err = {0};
    AUTO_FREE struct world *want = fake_world();
    AUTO_FREE struct change *c = calloc(1, sizeof(*c));
    REQUIRE(want && c);
    printf("# seed %" PRIu64 "\n", seed);
    for (unsigned round = 0; round < 150 && !tap_failed; round++) {
        bool keep = rng_below(&r, 4) > 0;
        REQUIRE(store_begin(s, &err) == 0);
        for (uint32_t n = rng_below(&r, 6); n > 0; n--) {
            fake_change(&r, c);
            const struct changes one = {.n = 1, .room = 1, .at = &c};
            if (store_write(s, &one, 1000 + round, &err) != 0)
                TAP_FAIL("write: %s", err.text);
            if (keep)
                fake_apply(want, c);
        }
        if (keep)
            CHECK_INT(store_commit(s, &err), ==, 0);
        else
            store_rollback(s);
        AUTO_FREE struct world *got = fake_load(s);
        if (!got || !fake_same(want, got))
            TAP_FAIL("round %u: the world came back different", round);
    }
}

/* Promise 2: numbers of names and slots are kept, over rollbacks too. */
static void promise_names(struct store *s)
{
    struct error err = {0};
    uint32_t a, b, c;
    uint16_t slot;
    CHECK_INT(store_intern(s, "kube:team-a", &a, &err), ==, 0);
    CHECK_INT(a, >, 0);
    REQUIRE(store_begin(s, &err) == 0);
    CHECK_INT(store_intern(s, "kube:team-b", &b, &err), ==, 0);
    store_rollback(s);
    CHECK_INT(store_intern(s, "slurm:physics", &c, &err), ==, 0);
    CHECK(a != b && b != c && a != c);
    CHECK_STR(store_name(s, b), "kube:team-b");
    CHECK_INT(store_intern(s, "kube:team-a", &b, &err), ==, 0);
    CHECK_INT(a, ==, b);
    CHECK(!store_name(s, 0) && !store_name(s, 4000));
    for (uint16_t i = 0; i < 200; i++) {
        char uuid[40];
        (void)snprintf(uuid, sizeof(uuid), "GPU-%u", i % 100);
        CHECK_INT(store_gpu_slot(s, uuid, &slot, &err), ==, 0);
        CHECK_INT(slot, ==, i % 100);
    }
    CHECK_STR(store_gpu_uuid(s, 99), "GPU-99");
    CHECK(!store_gpu_uuid(s, 100));
}

/* Promise 3: a transaction is asked for, and one at a time. */
static void promise_transactions(struct store *s)
{
    struct error err = {0};
    const struct changes none = {0};
    const struct store_text text = {.lease = 1, .command = "", .place = "", .profile = ""};
    uint64_t before = store_commits(s);
    CHECK_INT(store_write(s, &none, 1, &err), ==, -ERROR_STATE);
    CHECK_INT(store_set_text(s, &text, &err), ==, -ERROR_STATE);
    CHECK_INT(store_commit(s, &err), ==, -ERROR_STATE);
    CHECK_INT(store_begin(s, &err), ==, 0);
    CHECK_INT(store_begin(s, &err), ==, -ERROR_STATE);
    CHECK_INT(store_set_boot(s, "boot-1", &err), ==, 0);
    CHECK_INT(store_set_exit(s, 999999, 1, &err), ==, -ERROR_NOT_FOUND);
    CHECK_INT(store_audit(s, 1, 2, 3, "did it", &err), ==, 0);
    CHECK_INT(store_commit(s, &err), ==, 0);
    CHECK_INT(store_commits(s), ==, before + 1);
    char boot[64];
    AUTO_FREE struct world *w = fake_world();
    REQUIRE(w);
    CHECK_INT(store_load(s, w, boot, &err), ==, 0);
    CHECK_STR(boot, "boot-1");
    store_rollback(s); /* harmless when none is open */
}

struct seen {
    unsigned n;
    uint32_t ids[64];
    struct store_past last; /* texts are not kept */
    char command[64], profile[64], slices[64];
};

static int see(const struct store_past *p, void *arg)
{
    struct seen *seen = arg;
    seen->ids[seen->n++ % 64] = p->lease.id;
    seen->last = *p;
    (void)snprintf(seen->command, 64, "%s", p->command);
    (void)snprintf(seen->profile, 64, "%s", p->profile);
    (void)snprintf(seen->slices, 64, "%s", p->slices);
    return 0;
}

/* A lease's life: asked at wall 100 * id, started 10 later, ended 20 later. */
static void live(struct store *s, uint32_t id, struct owner owner)
{
    struct error err = {0};
    struct change *c = calloc(1, sizeof(*c));
    REQUIRE(c);
    c->kind = CHANGE_LEASE;
    c->lease = (struct lease){.id = id, .owner = owner, .asked_at = 5, .slice_n = 1};
    c->lease.slices[0] = (struct lease_slice){.gpu = 2, .profile = BOARD_NO_PROFILE, .made = true};
    const struct store_text text = {id, "python x.py", "run", "1g.10gb"};
    CHECK_INT(fake_write(s, c, 100 * id, &err), ==, 0);
    REQUIRE(store_begin(s, &err) == 0);
    CHECK_INT(store_set_text(s, &text, &err), ==, 0);
    CHECK_INT(store_set_exit(s, id, 7, &err), ==, 0);
    CHECK_INT(store_set_left(s, 999999, "1 x", &err), ==, -ERROR_NOT_FOUND);
    const struct store_peak less = {1, 1}, peak = {.bytes = UINT64_C(7) << 33, .looks = 3};
    CHECK_INT(store_set_peak(s, 999999, &peak, &err), ==, -ERROR_NOT_FOUND);
    CHECK_INT(store_set_peak(s, id, &less, &err), ==, 0);
    CHECK_INT(store_set_peak(s, id, &peak, &err), ==, 0);
    CHECK_INT(store_set_left(s, id, "77 sleep 100\n", &err), ==, 0);
    CHECK_INT(store_commit(s, &err), ==, 0);
    c->lease.state = LEASE_ACTIVE;
    c->lease.started_at = 15;
    CHECK_INT(fake_write(s, c, 100 * id + 10, &err), ==, 0);
    c->lease.state = LEASE_ENDED;
    c->lease.why = LEASE_WHY_TIME;
    c->lease.slice_n = 0;
    CHECK_INT(fake_write(s, c, 100 * id + 20, &err), ==, 0);
    free(c);
}

/* Promise 4: history tells ended leases, newest first, with their texts and times, until pruned. */
static void promise_history(struct store *s)
{
    struct error err = {0};
    struct seen seen = {0};
    struct owner alice = {OWNER_UID, 4242}, team = {OWNER_NAMED, 0};
    REQUIRE(store_intern(s, "kube:history", &team.id, &err) == 0);
    for (uint32_t id = 1001; id <= 1010; id++)
        live(s, id, id % 2 ? alice : team);
    CHECK_INT(store_history(s, 0, NULL, 3, see, &seen, &err), ==, 0);
    CHECK_INT(seen.n, ==, 3);
    CHECK(seen.ids[0] == 1010 && seen.ids[1] == 1009 && seen.ids[2] == 1008);
    seen = (struct seen){0};
    CHECK_INT(store_history(s, 0, &team, 50, see, &seen, &err), ==, 0);
    CHECK_INT(seen.n, ==, 5);
    seen = (struct seen){0};
    CHECK_INT(store_history(s, 1003, NULL, 50, see, &seen, &err), ==, 0);
    CHECK_INT(seen.n, ==, 1);
    CHECK(seen.last.asked_wall == 100300 && seen.last.started_wall == 100310 &&
          seen.last.ended_wall == 100320);
    CHECK(seen.last.exit_status == 7 && seen.last.lease.why == LEASE_WHY_TIME);
    CHECK(seen.last.peak.bytes == UINT64_C(7) << 33 && seen.last.peak.looks == 3);
    CHECK_INT(seen.last.lease.owner.id, ==, 4242);
    CHECK_STR(seen.command, "python x.py");
    CHECK_STR(seen.profile, "1g.10gb");
    CHECK_STR(seen.slices, "GPU 2");
    CHECK_INT(store_prune(s, 100520, 3, &err), ==, 0);
    seen = (struct seen){0};
    CHECK_INT(store_history(s, 0, NULL, 50, see, &seen, &err), ==, 0);
    CHECK_INT(seen.n, ==, 7);
    CHECK_INT(store_prune(s, 100520, 100, &err), ==, 0);
    seen = (struct seen){0};
    CHECK_INT(store_history(s, 0, NULL, 50, see, &seen, &err), ==, 0);
    CHECK_INT(seen.n, ==, 6); /* 1005 ended at 100520, which is not before it */
    CHECK_INT(seen.ids[5], ==, 1005);
}

static void all_promises(int (*make)(struct store **ret, const char *path))
{
    static void (*const promises[])(struct store * s) = {promise_names, promise_transactions,
                                                         promise_history};
    for (unsigned i = 0; i <= ARRAY_LEN(promises); i++) {
        FOLDER f = folder_new();
        struct store *s = NULL;
        REQUIRE(make(&s, f.file) == 0);
        if (i < ARRAY_LEN(promises))
            promises[i](s);
        else
            promise_round_trip(s, 99);
        store_close(s);
    }
}

static int make_memory(struct store **ret, const char *path)
{
    (void)path;
    return store_open_memory(ret, NULL);
}

static int make_sqlite(struct store **ret, const char *path)
{
    return store_open_sqlite(path, ret, NULL);
}

TEST(memory_keeps_the_promises)
{
    all_promises(make_memory);
}

TEST(sqlite_keeps_the_promises)
{
    all_promises(make_sqlite);
}

/* A member that is in a struct but in no column would be lost at every restart: all bytes outside
 * of columns must be padding, a count, or what the keys hold. */
static void covered(const struct row_table *t, size_t size, size_t known)
{
    char seen[4096] = {0};
    size_t n = 0;
    for (unsigned i = 0; i < t->n; i++)
        memset(seen + t->columns[i].offset, 1, t->columns[i].size);
    for (unsigned i = 0; i < t->n; i++)
        for (unsigned k = 0; k < t->columns[i].word_n; k++)
            CHECK(t->columns[i].words[k]);
    for (size_t i = 0; i < size; i++)
        n += !seen[i];
    if (n != known)
        TAP_FAIL("%s: %zu bytes are in no column, %zu are known to need none", t->name, n, known);
}

TEST(every_member_has_a_column)
{
    if (sizeof(void *) != 8)
        SKIP("paddings are known for 64-bit machines");
    covered(&table_policy, sizeof(struct policy), 3);
    covered(&table_profiles, sizeof(struct profile), 2);
    covered(&table_boards, offsetof(struct board, profile_n), 1);
    covered(&table_slices, sizeof(struct lease_slice), 3);
    covered(&table_seats, sizeof(struct seat), 3);
    covered(&table_gpus, offsetof(struct gpu, seat_n), 8);
    covered(&table_leases, offsetof(struct lease, slice_n), 23);
}

TEST(what_was_written_is_there_after_a_restart)
{
    FOLDER f = folder_new();
    struct error err = {0};
    uint32_t number;
    uint16_t slot;
    struct stat st;
    struct rng r = {5};
    AUTO_FREE struct world *want = fake_world();
    AUTO_FREE struct change *c = calloc(1, sizeof(*c));
    struct store *s = open_file(f.file);
    REQUIRE(s && want && c);
    CHECK(stat(f.file, &st) == 0 && (st.st_mode & 0777) == 0600);
    REQUIRE(store_intern(s, "kube:x", &number, &err) == 0);
    REQUIRE(store_gpu_slot(s, "GPU-a", &slot, &err) == 0);
    for (unsigned i = 0; i < 60; i++) {
        fake_change(&r, c);
        if (c->kind == CHANGE_LEASE)
            c->lease.owner = (struct owner){OWNER_NAMED, number};
        CHECK_INT(fake_write(s, c, 1, &err), ==, 0);
        fake_apply(want, c);
    }
    s = store_close(s);
    s = open_file(f.file);
    REQUIRE(s);
    AUTO_FREE struct world *got = fake_load(s);
    CHECK(got && fake_same(want, got));
    CHECK_STR(store_name(s, number), "kube:x");
    CHECK_STR(store_gpu_uuid(s, slot), "GPU-a");
    store_close(s);
}

/* Opening must fail with `sentence`, and leave the file as it is. */
static void refused(const char *path, const char *sentence)
{
    struct stat before, after;
    struct error err = {0};
    struct store *s = NULL;
    REQUIRE(stat(path, &before) == 0);
    CHECK_INT(store_open_sqlite(path, &s, &err), ==, -ERROR_STORE);
    CHECK_HAS(err.text, sentence);
    CHECK(!s);
    CHECK(stat(path, &after) == 0 && before.st_size == after.st_size &&
          before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

static void shell(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *wrong = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, NULL, NULL, &wrong) != SQLITE_OK)
        TAP_FAIL("%s: %s", sql, wrong ? wrong : "cannot open");
    sqlite3_free(wrong);
    sqlite3_close(db);
}

static void scribble(const char *path, off_t at, const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    CHECK_INT(pwrite(fd, bytes, n, at), ==, n);
    close(fd);
}

TEST(what_is_not_ours_is_refused_and_kept)
{
    FOLDER f = folder_new();
    scribble(f.file, 0, "this is not a database at all, whatever its name says", 53);
    refused(f.file, "is damaged");
    (void)unlink(f.file);
    shell(f.file, "CREATE TABLE other (a); INSERT INTO other VALUES (1)");
    refused(f.file, "another program");
    (void)unlink(f.file);
    store_close(open_file(f.file));
    shell(f.file, "PRAGMA user_version = 7");
    refused(f.file, "newer fetta (schema 7, this one knows 1)");
    shell(f.file, "PRAGMA user_version = 1; UPDATE meta SET next_id = 3;");
    store_close(open_file(f.file));
    char junk[4096];
    memset(junk, 0xa5, sizeof(junk));
    scribble(f.file, 4096, junk, sizeof(junk));
    refused(f.file, "move it and its -wal and -shm files away");
}

TEST(rows_that_make_no_sense_are_refused)
{
    static const char *const bad[] = {"UPDATE leases SET state = 'happy'",
                                      "UPDATE leases SET count = 256",
                                      "UPDATE leases SET gpu = -4000000000",
                                      "UPDATE leases SET owner = 'kube:nobody'",
                                      "UPDATE leases SET owner = 'uid:4294967296'",
                                      "UPDATE leases SET profile_on = '1,2'",
                                      "UPDATE leases SET lease = 5000000000",
                                      "UPDATE leases SET lease = -1"};
    struct change c = {.kind = CHANGE_LEASE, .lease = {.id = 1, .count = 1}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        FOLDER f = folder_new();
        struct error err = {0};
        char boot[64];
        AUTO_FREE struct world *w = fake_world();
        struct store *s = open_file(f.file);
        REQUIRE(s && w);
        CHECK_INT(fake_write(s, &c, 1, &err), ==, 0);
        s = store_close(s);
        shell(f.file, bad[i]);
        s = open_file(f.file);
        REQUIRE(s);
        CHECK_INT(store_load(s, w, boot, &err), ==, -ERROR_STORE);
        CHECK_HAS(err.text, "makes no sense");
        store_close(s);
    }
}

/* Random damage anywhere: refused or loaded, never a crash or a number out of its range. */
TEST(random_damage)
{
    uint64_t seed = 31337;
    struct rng r = {seed};
    unsigned refusals = 0;
    printf("# seed %" PRIu64 "\n", seed);
    FOLDER f = folder_new();
    struct store *s = open_file(f.file);
    AUTO_FREE struct change *c = calloc(1, sizeof(*c));
    REQUIRE(s && c);
    for (unsigned i = 0; i < 40; i++) {
        fake_change(&r, c);
        CHECK_INT(fake_write(s, c, 1, NULL), ==, 0);
    }
    store_close(s);
    int fd = open(f.file, O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    AUTO_FREE char *whole = malloc((size_t)size);
    REQUIRE(whole && pread(fd, whole, (size_t)size, 0) == size);
    for (unsigned round = 0; round < 250; round++) {
        CHECK_INT(pwrite(fd, whole, (size_t)size, 0), ==, size);
        for (uint32_t n = rng_below(&r, 20) + 1; n > 0; n--) {
            char byte = (char)rng_next(&r);
            CHECK_INT(pwrite(fd, &byte, 1, (off_t)(rng_next(&r) % (uint64_t)size)), ==, 1);
        }
        struct error err = {0};
        char boot[64];
        AUTO_FREE struct world *w = fake_world();
        struct store *opened = NULL;
        bool good =
            store_open_sqlite(f.file, &opened, &err) == 0 && store_load(opened, w, boot, &err) == 0;
        refusals += !good;
        if (!good && !err.text[0])
            TAP_FAIL("round %u: refused without a word", round);
        store_close(opened);
    }
    close(fd);
    CHECK_INT(refusals, >, 10);
}

TEST(older_schema_is_brought_forward_after_a_copy)
{
    static const char *const good[] = {
        "", "ALTER TABLE gpus ADD COLUMN mood TEXT; UPDATE gpus SET mood = 'fine'"};
    static const char *const bad[] = {
        "", "ALTER TABLE gpus ADD COLUMN mood TEXT; SELECT nonsense FROM nowhere"};
    FOLDER f = folder_new();
    struct error err = {0};
    sqlite3 *db = NULL;
    char copy[128];
    struct stat st;
    (void)snprintf(copy, sizeof(copy), "%s.v1", f.file);
    store_close(open_file(f.file));
    CHECK_INT(schema_open(f.file, 2, bad, &db, &err), ==, -ERROR_STORE);
    CHECK_HAS(err.text, "cannot bring the state up to date");
    store_close(open_file(f.file)); /* still the old schema */
    CHECK_INT(schema_open(f.file, 2, good, &db, &err), ==, 0);
    shell(f.file, "SELECT mood FROM gpus");
    sqlite3_close(db);
    refused(f.file, "newer fetta (schema 2");
    CHECK(stat(copy, &st) == 0 && (st.st_mode & 0777) == 0600);
    store_close(open_file(copy)); /* the copy is a whole state of schema 1 */
    (void)snprintf(copy, sizeof(copy), "%s.v1-wal", f.file);
    (void)unlink(copy);
}

TEST(columns_read_as_words)
{
    FOLDER f = folder_new();
    struct error err = {0};
    struct store *s = open_file(f.file);
    struct change c = {
        .kind = CHANGE_LEASE,
        .lease = {
            .id = 3, .state = LEASE_ENDED, .owner = {OWNER_UID, 1000}, .why = LEASE_WHY_VANISHED}};
    REQUIRE(s);
    CHECK_INT(fake_write(s, &c, 1, &err), ==, 0);
    /* While the store is open: the shell may look. */
    shell(f.file, "CREATE TEMP TABLE t AS SELECT 1 / count(*) FROM leases"
                  " WHERE owner = 'uid:1000' AND why = 'vanished' AND state = 'ended'");
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    CHECK_INT(sqlite3_open(f.file, &db), ==, SQLITE_OK);
    REQUIRE(sqlite3_prepare_v2(db, "SELECT owner || ' ' || why FROM leases", -1, &stmt, NULL) ==
            SQLITE_OK);
    REQUIRE(sqlite3_step(stmt) == SQLITE_ROW);
    CHECK_STR((const char *)sqlite3_column_text(stmt, 0), "uid:1000 vanished");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    store_close(s);
}

TAP_MAIN
