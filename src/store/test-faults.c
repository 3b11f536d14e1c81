/* The state under failing disks and full ones, counted to the single write and fsync.
 *
 * SQLite's own file methods are replaced by ones that count and, from a chosen call on, fail. After
 * every failure the files are opened again as a new daemon would: they hold the old state or the
 * new one, never a mix, and the new one whenever a commit was acknowledged. */
#include "store/test-world.h"

#include "tests/tap.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    unsigned writes, syncs;
    long fail_at;  /* calls until one fails; negative: none does */
    bool for_ever; /* ... and all after it */
    int code;
} disk = {.fail_at = -1};

static const sqlite3_io_methods *real;
/* One patched copy per table of methods: files that lock, and those that need not. */
static const sqlite3_io_methods *tables[4];
static sqlite3_io_methods patched[4];
static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;

static int fails(void)
{
    if (disk.fail_at < 0)
        return SQLITE_OK;
    if (disk.fail_at > 0) {
        disk.fail_at--;
        return SQLITE_OK;
    }
    disk.fail_at = disk.for_ever ? 0 : -1;
    return disk.code;
}

static int patched_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int result = fails();
    disk.writes++;
    if (result != SQLITE_OK && n > 1)
        (void)real->xWrite(f, data, n / 2, at); /* a torn write is what a dying disk does */
    return result ? result : real->xWrite(f, data, n, at);
}

static int patched_sync(sqlite3_file *f, int flags)
{
    int result = fails();
    disk.syncs++;
    return result ? result : real->xSync(f, flags);
}

static int patched_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int result = fails();
    return result ? result : real->xTruncate(f, size);
}

static int patched_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)v;
    int result = real_vfs->xOpen(real_vfs, name, f, flags, out);
    if (result != SQLITE_OK || !f->pMethods)
        return result;
    unsigned i = 0;
    while (i < 4 && tables[i] && tables[i] != f->pMethods)
        i++;
    if (i == 4)
        abort();
    tables[i] = f->pMethods;
    real = real ? real : f->pMethods;
    patched[i] = *f->pMethods;
    if (patched[i].xWrite != real->xWrite || patched[i].xSync != real->xSync)
        abort();
    patched[i].xWrite = patched_write;
    patched[i].xSync = patched_sync;
    patched[i].xTruncate = patched_truncate;
    f->pMethods = &patched[i];
    return result;
}

static void use_disk(void)
{
    if (real_vfs)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "failing";
    vfs.pNext = NULL;
    vfs.xOpen = patched_open;
    sqlite3_vfs_register(&vfs, 1);
}

/* The generation that the file holds, 0 and a failed test for a mix. */
static uint32_t generation_of(const char *path)
{
    uint32_t g = generation_read(path);
    if (!g)
        TAP_FAIL("%s holds no generation", path);
    return g;
}

static void copy_file(const char *from, const char *to, const char *end)
{
    char a[160], b[160], bytes[65536];
    (void)snprintf(a, sizeof(a), "%s%s", from, end);
    (void)snprintf(b, sizeof(b), "%s%s", to, end);
    (void)unlink(b);
    int in = open(a, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return;
    int out = open(b, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (ssize_t n; (n = read(in, bytes, sizeof(bytes))) > 0;)
        CHECK_INT(write(out, bytes, (size_t)n), ==, n);
    close(in);
    close(out);
}

/* Runs three generations with a disk that fails at call n; false once n is past the last call. */
static bool fault_round(long n, bool for_ever, int code, unsigned *failures)
{
    FOLDER f = folder_new(), crash = folder_new();
    struct error err = {0};
    struct store *s = NULL;
    uint32_t acknowledged = 1, tried = 1;
    if (store_open_sqlite(f.file, &s, &err) != 0 || generation_write(s, 1, &err) != 0) {
        TAP_FAIL("setting up: %s", err.text);
        store_close(s);
        return false;
    }
    disk.fail_at = n;
    disk.for_ever = for_ever;
    disk.code = code;
    for (uint32_t g = 2; g <= 4; g++) {
        int result = generation_write(s, g, &err);
        tried = g;
        if (result == 0)
            acknowledged = g;
        if (result == 0)
            continue;
        ++*failures;
        if (result != -ERROR_STORE || !err.text[0])
            TAP_FAIL("call %ld: %d, \"%s\"", n, result, err.text);
        break; /* the daemon starts over from the store */
    }
    /* A crash right now leaves these two files (a new process makes -shm anew). */
    copy_file(f.file, crash.file, "");
    copy_file(f.file, crash.file, "-wal");
    store_close(s);
    bool met = disk.fail_at < 0 || (for_ever && disk.fail_at == 0);
    disk.fail_at = -1;
    uint32_t after_crash = generation_of(crash.file), after_close = generation_of(f.file);
    if (after_crash < acknowledged || after_crash > tried)
        TAP_FAIL("call %ld: acknowledged %u, after a crash %u", n, acknowledged, after_crash);
    if (after_close < acknowledged || after_close > tried)
        TAP_FAIL("call %ld: acknowledged %u, after a close %u", n, acknowledged, after_close);
    return met;
}

static void every_call_may_fail(bool for_ever, int code)
{
    unsigned failures = 0;
    long n = 0;
    use_disk();
    while (!tap_failed && n < 1000 && fault_round(n, for_ever, code, &failures))
        n++;
    printf("# %ld calls, %u refused commits\n", n, failures);
    CHECK_INT(n, >, 20);
    CHECK_INT(failures, >, 10);
}

TEST(a_full_disk_loses_nothing_acknowledged)
{
    every_call_may_fail(true, SQLITE_FULL);
}

TEST(a_dying_disk_loses_nothing_acknowledged)
{
    every_call_may_fail(true, SQLITE_IOERR_WRITE);
}

TEST(one_failed_call_loses_nothing_acknowledged)
{
    every_call_may_fail(false, SQLITE_IOERR_FSYNC);
}

TEST(service_returns_when_the_disk_does)
{
    FOLDER f = folder_new();
    struct error err = {0};
    struct store *s = NULL;
    use_disk();
    REQUIRE(store_open_sqlite(f.file, &s, &err) == 0);
    CHECK_INT(generation_write(s, 1, &err), ==, 0);
    disk.fail_at = 0;
    disk.for_ever = true;
    disk.code = SQLITE_FULL;
    CHECK_INT(generation_write(s, 2, &err), ==, -ERROR_STORE);
    CHECK_HAS(err.text, "the disk is full");
    disk.fail_at = -1;
    struct world *w = fake_load(s); /* reading goes on, and sees the old state */
    CHECK(w && w->next_id == 1);
    free(w);
    CHECK_INT(generation_write(s, 3, &err), ==, 0);
    store_close(s);
    CHECK_INT(generation_of(f.file), ==, 3);
}

TEST(one_commit_is_one_fsync)
{
    FOLDER f = folder_new();
    struct error err = {0};
    struct store *s = NULL;
    use_disk();
    REQUIRE(store_open_sqlite(f.file, &s, &err) == 0);
    CHECK_INT(generation_write(s, 1, &err), ==, 0); /* the first one also begins the log */
    for (uint32_t g = 2; g < 10; g++) {
        unsigned syncs = disk.syncs;
        uint64_t commits = store_commits(s);
        CHECK_INT(generation_write(s, g, &err), ==, 0);
        CHECK_INT(disk.syncs - syncs, ==, 1);
        CHECK_INT(store_commits(s) - commits, ==, 1);
    }
    store_close(s);
}

/* What a start reads must not grow with the past: the cost in pages read is compared, since time
 * on a shared machine proves nothing. */
static unsigned rows_applied(const char *path, int *ret_pages)
{
    struct store *s = NULL;
    struct error err = {0};
    int high = 0;
    if (store_open_sqlite(path, &s, &err) != 0)
        return 0;
    (void)sqlite3_status(SQLITE_STATUS_MEMORY_USED, ret_pages, &high, 0);
    struct world *w = fake_load(s);
    int used = 0;
    (void)sqlite3_status(SQLITE_STATUS_MEMORY_USED, &used, &high, 0);
    *ret_pages = used;
    unsigned applied = w ? (unsigned)w->applied : 0;
    free(w);
    store_close(s);
    return applied;
}

TEST(a_start_costs_the_same_with_ten_thousand_past_leases)
{
    FOLDER f = folder_new();
    struct error err = {0};
    struct store *s = NULL;
    int memory_before, memory_after;
    REQUIRE(store_open_sqlite(f.file, &s, &err) == 0);
    CHECK_INT(generation_write(s, 1, &err), ==, 0);
    s = store_close(s);
    unsigned before = rows_applied(f.file, &memory_before);
    REQUIRE(store_open_sqlite(f.file, &s, &err) == 0);
    struct change *c = calloc(1, sizeof(*c));
    REQUIRE(c && store_begin(s, &err) == 0);
    const struct changes one = {.n = 1, .room = 1, .at = &c};
    for (uint32_t id = 2; id < 10002; id++) {
        c->kind = CHANGE_LEASE;
        c->lease =
            (struct lease){.id = id, .state = LEASE_ENDED, .owner = {OWNER_UID, id}, .slice_n = 1};
        const struct store_text text = {id, "python train.py --epochs 100", "run", "1g.10gb"};
        if (store_write(s, &one, id, &err) != 0 || store_set_text(s, &text, &err) != 0)
            TAP_FAIL("%s", err.text);
    }
    CHECK_INT(store_commit(s, &err), ==, 0);
    free(c);
    store_close(s);
    unsigned after = rows_applied(f.file, &memory_after);
    CHECK_INT(before, ==, 3);
    CHECK_INT(after, ==, 3);
    printf("# SQLite's memory after loading: %d bytes, with the past %d\n", memory_before,
           memory_after);
    CHECK_INT(memory_after, <, memory_before * 2);
}

TAP_MAIN
