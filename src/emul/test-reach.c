/* Every layout of every board, reached through the emulated machine alone: creating and destroying
 * GIs there leads to exactly the sets of placements that do not overlap and respect the media
 * engines, counted by brute force from the tables without the model's own arithmetic. */
#include "emul/box.h"
#include "emul/physical.h"
#include "tests/tap.h"

static struct box *make(const char *spec)
{
    struct error err = {0};
    struct machine *m = calloc(1, sizeof *m);
    struct box *b = NULL;
    if (!m || machine_parse(spec, m, &err) < 0 || box_new(m, true, 1000, &b, &err) < 0)
        TAP_FAIL("%s: %s", spec, err.text);
    free(m);
    return b;
}

/* A layout as a number: for each memory slice the profile that begins there, plus one. */
typedef unsigned __int128 key;

static key key_of(const struct machine_gpu *g)
{
    key k = 0;
    for (unsigned i = 0; i < g->gi_n; i++)
        k |= (key)(g->gis[i].profile + 1) << (8 * g->gis[i].start);
    return k;
}

enum { SEEN = 1 << 17 };

struct reach {
    struct box *b;
    key *seen; /* open addressing; 0 is free, the empty layout is not in it */
    unsigned n;
};

static bool is_new(struct reach *r, key k)
{
    unsigned at = (unsigned)((k ^ (k >> 61)) % 131071u);
    while (r->seen[at] && r->seen[at] != k)
        at = (at + 1) % SEEN;
    if (r->seen[at])
        return false;
    r->seen[at] = k;
    r->n++;
    return true;
}

static void reach_on(struct reach *r);

static void try_place(struct reach *r, const struct profile *p, int start)
{
    int gi = -1;
    enum box_status status = box_gi_create(r->b, 0, p->id, start, p->size, &gi);
    if (status != BOX_OK) {
        CHECK_INT(status, ==, BOX_NO_ROOM);
        return;
    }
    if (is_new(r, key_of(&r->b->m.gpus[0])))
        reach_on(r);
    CHECK_INT(box_gi_destroy(r->b, 0, gi), ==, BOX_OK);
}

static void reach_on(struct reach *r)
{
    const struct board *board = box_board(r->b, 0);
    for (unsigned i = 0; i < board->profile_n; i++)
        for (int start = 0; start < 16; start++)
            if (board->profiles[i].starts >> start & 1)
                try_place(r, &board->profiles[i], start);
}

/* The brute force: each memory slice begins one profile or none. `me` of the whole GPU: how many
 * take the extra media engines, how many take all of them, how many do with none. */
struct brute {
    const struct board *board;
    unsigned per_profile[BOARD_PROFILES], plus_me, all_me, media;
    unsigned n;
};

static bool media_ok(const struct brute *u)
{
    return u->plus_me <= 1 && u->all_me <= 1 && !(u->all_me && u->media > u->all_me);
}

static void count_from(struct brute *u, unsigned slice);

static void count_with(struct brute *u, unsigned i, unsigned slice)
{
    const struct profile *p = &u->board->profiles[i];
    unsigned me = strcmp(p->suffix, "+me") == 0, all = strcmp(p->suffix, "+me.all") == 0;
    unsigned media = strcmp(p->suffix, "-me") != 0;
    u->per_profile[i]++;
    u->plus_me += me;
    u->all_me += all;
    u->media += media;
    if (u->per_profile[i] <= p->max && media_ok(u))
        count_from(u, slice + p->size);
    u->per_profile[i]--;
    u->plus_me -= me;
    u->all_me -= all;
    u->media -= media;
}

static void count_from(struct brute *u, unsigned slice)
{
    if (slice >= u->board->memory_slices) {
        u->n++;
        return;
    }
    count_from(u, slice + 1);
    for (unsigned i = 0; i < u->board->profile_n; i++)
        if (u->board->profiles[i].starts >> slice & 1)
            count_with(u, i, slice);
}

TEST(reachable_layouts_of_every_board_equal_the_table)
{
    unsigned board_n = 0;
    const struct board *boards = board_all(&board_n);
    for (unsigned i = 0; i < board_n; i++) {
        struct reach r = {.b = make(boards[i].name), .seen = calloc(SEEN, sizeof *r.seen)};
        struct brute u = {.board = &boards[i]};
        REQUIRE(r.b && r.seen);
        if (boards[i].memory_slices > 0)
            reach_on(&r);
        count_from(&u, 0);
        CHECK_INT(r.n + 1, ==, u.n);
        printf("# %s: %u layouts\n", boards[i].name, u.n);
        free(r.seen);
        free(r.b);
    }
}

TEST(errors_of_memory_count_where_they_happen)
{
    struct box *b = make("2xa100-80");
    int gi = -1, ci = -1;
    REQUIRE(b);
    CHECK_INT(box_gi_create(b, 0, 9, BOX_ANY, 0, &gi), ==, BOX_OK);
    CHECK_INT(box_ci_create(b, 0, gi, 2, BOX_ANY, 0, &ci), ==, BOX_OK);
    uint64_t before = b->event_n;
    box_ecc(b, 0, gi, BOX_ECC_CORRECTED, BOX_ECC_DRAM, 5);
    CHECK_INT(b->event_n, ==, before);
    box_ecc(b, 0, gi, BOX_ECC_UNCORRECTED, BOX_ECC_DRAM, 1);
    box_ecc(b, 0, gi, BOX_ECC_UNCORRECTED, BOX_ECC_SRAM, 2);
    box_ecc(b, 9, gi, BOX_ECC_UNCORRECTED, BOX_ECC_SRAM, 2);
    CHECK_INT(b->event_n, ==, before + 3);
    CHECK_INT(b->events[before % BOX_EVENTS].data, ==, 63);
    CHECK_INT(b->events[(before + 1) % BOX_EVENTS].data, ==, 94);
    CHECK_INT(b->events[(before + 1) % BOX_EVENTS].gi, ==, gi);
    CHECK_INT(b->events[(before + 1) % BOX_EVENTS].ci, ==, ci);
    CHECK_INT(b->state[0].ecc_gi[gi], ==, 2);
    CHECK_INT(b->state[0].remapped[BOX_ECC_UNCORRECTED], ==, 1);
    CHECK(b->state[0].remap_pending && !b->state[1].remap_pending);
    CHECK_INT(box_reset(b, 0), ==, BOX_OK);
    CHECK_INT(b->state[0].ecc_n[BOX_ECC_CORRECTED][BOX_ECC_DRAM][BOX_ECC_VOLATILE], ==, 0);
    CHECK_INT(b->state[0].ecc_n[BOX_ECC_CORRECTED][BOX_ECC_DRAM][BOX_ECC_AGGREGATE], ==, 5);
    CHECK(!b->state[0].remap_pending);
    free(b);
}

TEST(mig_mode_survives_the_driver_on_ampere_alone)
{
    struct box *b = make("a100-80,h100-sxm,gb10");
    struct box_session s = {.pid = 7};
    int gi = -1;
    REQUIRE(b);
    box_enter(b, &s);
    for (unsigned gpu = 0; gpu < 2; gpu++)
        CHECK_INT(box_gi_create(b, gpu, 9, BOX_ANY, 0, &gi), ==, BOX_OK);
    CHECK_INT(box_open(b, &s, b->m.gpus[2].uuid, 1 << 20), ==, BOX_OK);
    b->state[0].power_mw = 300000;
    box_reload(b);
    CHECK_INT(b->m.gpus[0].mig, ==, MACHINE_MIG_ON);
    CHECK_INT(b->m.gpus[1].mig, ==, MACHINE_MIG_OFF);
    CHECK_INT(b->m.gpus[2].mig, ==, MACHINE_MIG_NONE);
    CHECK_INT(b->m.gpus[0].gi_n + b->m.gpus[1].gi_n, ==, 0);
    CHECK_INT(s.use_n, ==, 0);
    CHECK_INT(b->state[0].power_mw, ==, 0);
    free(b);
}

TEST(one_process_sees_one_compute_instance)
{
    static const char *const drivers[] = {"535.54.03", "570.86.15"};
    for (unsigned d = 0; d < 2; d++) {
        struct box *b = make("a100-80");
        struct box_session s = {.pid = 7}, t = {.pid = 7}, other = {.pid = 8};
        int gi[2] = {-1, -1}, ci[3] = {-1, -1, -1};
        REQUIRE(b);
        (void)snprintf(b->m.driver, sizeof b->m.driver, "%s", drivers[d]);
        box_enter(b, &s);
        box_enter(b, &t);
        box_enter(b, &other);
        CHECK_INT(box_gi_create(b, 0, 9, BOX_ANY, 0, &gi[0]), ==, BOX_OK);
        CHECK_INT(box_gi_create(b, 0, 14, BOX_ANY, 0, &gi[1]), ==, BOX_OK);
        CHECK_INT(box_ci_create(b, 0, gi[0], 0, BOX_ANY, 0, &ci[0]), ==, BOX_OK);
        CHECK_INT(box_ci_create(b, 0, gi[0], 0, BOX_ANY, 0, &ci[1]), ==, BOX_OK);
        CHECK_INT(box_ci_create(b, 0, gi[1], 1, BOX_ANY, 0, &ci[2]), ==, BOX_OK);
        const char *first = box_ci(b, 0, gi[0], ci[0])->uuid;
        CHECK_INT(box_open(b, &s, first, 1), ==, BOX_OK);
        CHECK_INT(box_open(b, &t, first, 1), ==, BOX_OK);
        CHECK_INT(box_open(b, &t, box_ci(b, 0, gi[0], ci[1])->uuid, 1), ==, BOX_NOT_FOUND);
        CHECK_INT(box_open(b, &t, box_ci(b, 0, gi[1], ci[2])->uuid, 1), ==,
                  d == 0 ? BOX_NOT_FOUND : BOX_OK);
        CHECK_INT(box_open(b, &other, box_ci(b, 0, gi[0], ci[1])->uuid, 1), ==, BOX_OK);
        free(b);
    }
}

TEST(figures_belong_to_boards_that_exist)
{
    unsigned board_n = 0, known = 0;
    const struct board *boards = board_all(&board_n);
    for (unsigned i = 0; i < board_n; i++) {
        const struct physical *p = physical_of(boards[i].name);
        known += p->board[0] != '\0';
        CHECK(p->watt_min <= p->watt_default && p->watt_default <= p->watt_max);
        CHECK(p->mhz_sm_application <= p->mhz_sm_max);
        CHECK((uint64_t)p->reserved_mib < boards[i].total_mib);
        CHECK_INT(physical_cores_per_sm(&boards[i]), >, 0);
    }
    CHECK_INT(known, ==, 13);
    CHECK_INT(physical_of("no-such-board")->watt_max, ==, 0);
}

TAP_MAIN
