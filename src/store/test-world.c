/* The remembering world, and random rows from the descriptions of the tables. */
#include "store/test-world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void world_apply(struct world *w, const struct changes *c)
{
    for (size_t i = 0; i < c->n; i++)
        fake_apply(w, c->at[i]);
}

struct world *fake_world(void)
{
    return calloc(1, sizeof(struct world));
}

void fake_apply(struct world *w, const struct change *c)
{
    w->applied++;
    switch (c->kind) {
    case CHANGE_LEASE:
        w->leases[c->lease.id % FAKE_LEASES] = c->lease;
        if (c->lease.state == LEASE_ENDED)
            memset(&w->leases[c->lease.id % FAKE_LEASES], 0, sizeof(c->lease));
        break;
    case CHANGE_GPU:
        w->gpus[c->gpu.slot % 4] = c->gpu;
        w->has_gpu[c->gpu.slot % 4] = true;
        break;
    case CHANGE_BOARD:
        w->boards[c->board.index] = c->board.board;
        w->has_board[c->board.index] = true;
        break;
    case CHANGE_POLICY:
        w->policy = c->policy;
        break;
    case CHANGE_NEXT_ID:
        w->next_id = c->next_id;
        break;
    }
}

static bool same_row(const struct row_table *t, const void *a, const void *b)
{
    for (unsigned i = 0; i < t->n; i++) {
        const struct column *c = &t->columns[i];
        const char *x = (const char *)a + c->offset, *y = (const char *)b + c->offset;
        bool same = memcmp(x, y, c->size) == 0;
        if (c->kind == ROW_PLACES) {
            const struct layout *l = (const void *)x, *m = (const void *)y;
            same = l->n == m->n && memcmp(l->at, m->at, l->n * sizeof(l->at[0])) == 0;
        }
        if (c->kind == ROW_TEXT)
            same = strcmp(x, y) == 0;
        if (!same) {
            printf("# %s.%s differs\n", t->name, c->name);
            return false;
        }
    }
    return true;
}

static bool same_list(const struct row_table *t, const void *a, const void *b, size_t size,
                      unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!same_row(t, (const char *)a + i * size, (const char *)b + i * size))
            return false;
    return true;
}

static bool same_board(const struct board *a, const struct board *b)
{
    return a->profile_n == b->profile_n && same_row(&table_boards, a, b) &&
           same_list(&table_profiles, a->profiles, b->profiles, sizeof(a->profiles[0]),
                     a->profile_n);
}

static bool same_gpu(const struct gpu *a, const struct gpu *b)
{
    return a->slot == b->slot && a->seat_n == b->seat_n && same_row(&table_gpus, a, b) &&
           same_list(&table_seats, a->seats, b->seats, sizeof(a->seats[0]), a->seat_n);
}

static bool same_lease(const struct lease *a, const struct lease *b)
{
    return a->id == b->id && a->slice_n == b->slice_n && same_row(&table_leases, a, b) &&
           same_list(&table_slices, a->slices, b->slices, sizeof(a->slices[0]), a->slice_n);
}

bool fake_same(const struct world *a, const struct world *b)
{
    bool same = a->next_id == b->next_id && same_row(&table_policy, &a->policy, &b->policy);
    for (unsigned i = 0; i < MACHINE_BOARDS; i++)
        same =
            same && a->has_board[i] == b->has_board[i] && same_board(&a->boards[i], &b->boards[i]);
    for (unsigned i = 0; i < 4; i++)
        same = same && a->has_gpu[i] == b->has_gpu[i] && same_gpu(&a->gpus[i], &b->gpus[i]);
    for (unsigned i = 0; i < FAKE_LEASES; i++)
        same = same && same_lease(&a->leases[i], &b->leases[i]);
    return same;
}

static void fake_column(struct rng *r, const struct column *c, void *to)
{
    uint64_t number = rng_next(r) >> rng_below(r, 64);
    uint32_t word = c->word_n ? rng_below(r, c->word_n) : 0;
    struct layout *l = to;
    switch (c->kind) {
    case ROW_INT:
    case ROW_UINT:
        memcpy(to, &number, c->size);
        break;
    case ROW_WORD:
        memcpy(to, &word, c->size);
        break;
    case ROW_TEXT:
        (void)snprintf(to, c->size, "t%u", (unsigned)(number % 100000));
        break;
    case ROW_OWNER:
        *(struct owner *)to = (struct owner){OWNER_UID, (uint32_t)number};
        break;
    case ROW_LIST:
        for (size_t i = 0; i < c->size; i++)
            ((uint8_t *)to)[i] = (uint8_t)(rng_next(r) >> 60 ? 255 : i);
        break;
    case ROW_PLACES:
        l->n = (uint8_t)rng_below(r, BOARD_GIS + 1);
        for (unsigned i = 0; i < l->n; i++)
            l->at[i] = (struct placement){(uint8_t)rng_next(r), (uint8_t)rng_next(r)};
        break;
    }
}

void fake_row(struct rng *r, const struct row_table *t, void *to)
{
    for (unsigned i = 0; i < t->n; i++)
        fake_column(r, &t->columns[i], (char *)to + t->columns[i].offset);
}

static void fake_lease(struct rng *r, struct lease *l)
{
    fake_row(r, &table_leases, l);
    l->id = rng_below(r, FAKE_LEASES - 1) + 1;
    l->slice_n = (uint8_t)(rng_below(r, 4) ? rng_below(r, 5) : rng_below(r, REQUEST_SLICES + 1));
    for (unsigned i = 0; i < l->slice_n; i++)
        fake_row(r, &table_slices, &l->slices[i]);
}

void fake_change(struct rng *r, struct change *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->kind = (enum change_kind)rng_below(r, CHANGE_NEXT_ID + 1);
    switch (ret->kind) {
    case CHANGE_LEASE:
        fake_lease(r, &ret->lease);
        break;
    case CHANGE_GPU:
        fake_row(r, &table_gpus, &ret->gpu);
        ret->gpu.slot = (uint16_t)rng_below(r, 4);
        ret->gpu.board = (uint8_t)rng_below(r, MACHINE_BOARDS);
        ret->gpu.seat_n = (uint8_t)rng_below(r, BOARD_GIS + 1);
        for (unsigned i = 0; i < ret->gpu.seat_n; i++)
            fake_row(r, &table_seats, &ret->gpu.seats[i]);
        break;
    case CHANGE_BOARD:
        ret->board.index = (uint8_t)rng_below(r, MACHINE_BOARDS);
        fake_row(r, &table_boards, &ret->board.board);
        ret->board.board.profile_n = (uint8_t)rng_below(r, BOARD_PROFILES + 1);
        for (unsigned i = 0; i < ret->board.board.profile_n; i++)
            fake_row(r, &table_profiles, &ret->board.board.profiles[i]);
        break;
    case CHANGE_POLICY:
        fake_row(r, &table_policy, &ret->policy);
        break;
    case CHANGE_NEXT_ID:
        ret->next_id = rng_below(r, 1u << 31) + 1;
        break;
    }
}

struct world *fake_load(struct store *s)
{
    struct world *w = fake_world();
    struct error err = {0};
    char boot[64];
    if (w && store_load(s, w, boot, &err) == 0)
        return w;
    printf("# load: %s\n", err.text);
    free(w);
    return NULL;
}

int fake_write(struct store *s, const struct change *c, int64_t wall, struct error *err)
{
    const struct changes one = {.n = 1, .room = 1, .at = &(struct change *){(struct change *)c}};
    int result = store_begin(s, err);
    if (result == 0)
        result = store_write(s, &one, wall, err);
    if (result == 0)
        return store_commit(s, err);
    store_rollback(s);
    return result;
}

struct folder folder_new(void)
{
    /* In memory where that can be had: what these tests prove needs no disk, and is over sooner. */
    const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    struct folder f;
    (void)snprintf(f.path, sizeof(f.path), "%s/fetta-store-XXXXXX", where);
    if (!mkdtemp(f.path))
        abort();
    (void)snprintf(f.file, sizeof(f.file), "%s/state.db", f.path);
    return f;
}

void folder_done(struct folder *f)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal", ".v1", ".v1.part"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s%s", f->file, ends[i]);
        (void)unlink(name);
    }
    (void)rmdir(f->path);
}

int generation_write(struct store *s, uint32_t g, struct error *err)
{
    struct change *c = calloc(3, sizeof(*c));
    if (!c)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a generation");
    const struct changes all = {.n = 3, .room = 3, .at = (struct change *[]){c, c + 1, c + 2}};
    c[0].kind = CHANGE_LEASE;
    c[0].lease = (struct lease){.id = 1, .revision = g, .state = LEASE_ACTIVE, .slice_n = 4};
    for (unsigned i = 0; i < 4; i++)
        c[0].lease.slices[i].gpu = (uint16_t)g;
    c[1].kind = CHANGE_GPU;
    c[1].gpu = (struct gpu){.whole_lease = g, .seat_n = 7};
    for (unsigned i = 0; i < 7; i++)
        c[1].gpu.seats[i].lease = g;
    c[2].kind = CHANGE_NEXT_ID;
    c[2].next_id = g;
    char what[32];
    (void)snprintf(what, sizeof(what), "generation %u", g);
    int result = store_begin(s, err);
    if (result == 0)
        result = store_write(s, &all, g, err);
    if (result == 0)
        result = store_audit(s, g, 1, 0, what, err);
    if (result == 0)
        result = store_commit(s, err);
    store_rollback(s);
    free(c);
    return result;
}

uint32_t generation_read(const char *path)
{
    struct store *s = NULL;
    struct error err = {0};
    if (store_open_sqlite(path, &s, &err) != 0) {
        printf("# cannot open again: %s\n", err.text);
        return 0;
    }
    struct world *w = fake_load(s);
    store_close(s);
    if (!w)
        return 0;
    uint32_t g = w->next_id;
    bool whole = w->leases[1].revision == g && w->gpus[0].whole_lease == g;
    for (unsigned i = 0; i < 4; i++)
        whole = whole && w->leases[1].slices[i].gpu == g;
    for (unsigned i = 0; i < 7; i++)
        whole = whole && w->gpus[0].seats[i].lease == g;
    free(w);
    if (!whole)
        printf("# a mix of generations around %u\n", g);
    return whole ? g : 0;
}
