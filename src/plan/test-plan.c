/* The plan layer against slow and obvious oracles. */
#include "plan/choose.h"
#include "plan/fit.h"
#include "plan/reshape.h"

#include "base/rng.h"
#include "tests/tap.h"

static unsigned room(const struct board *b, slices busy)
{
    return layout_room(b, &(struct layout){.busy = busy});
}

static void check_room(const struct layout *l, void *arg)
{
    const struct fit *f = arg;
    for (unsigned p = 0; p < f->board->profile_n; p++) {
        slices starts = layout_fits(f->board, l, p);
        if (!starts)
            continue;
        unsigned start = fit_start(f, p, starts, l->busy, 0);
        CHECK(starts >> start & 1);
        unsigned size = f->board->profiles[p].size;
        for (slices left = starts; left; left &= (slices)(left - 1)) {
            unsigned other = (unsigned)__builtin_ctz(left);
            CHECK_INT(room(f->board, l->busy | fit_span(other, size)), <=,
                      room(f->board, l->busy | fit_span(start, size)));
        }
    }
}

TEST(a_start_leaves_the_most_room_on_every_layout)
{
    unsigned n;
    const struct board *boards = board_all(&n);
    struct score *score = malloc(sizeof *score);
    for (unsigned i = 0; i < n; i++) {
        if (!boards[i].memory_slices || strcmp(boards[i].name, "rtx-pro-6000") == 0)
            continue;
        struct fit f = {&boards[i], score};
        score_fill(score, &boards[i], SCORE_ROOM, &(struct score_mix){{0}});
        layout_enumerate(&boards[i], 0x7f, check_room, &f);
    }
    free(score);
}

enum { GPUS = 9000 };

/* GPUs of two boards, put anywhere and looked for from anywhere. */
static void compare_with_search(unsigned gpus, unsigned turns)
{
    struct rng rng = {7};
    struct choose *c = choose_new(gpus);
    uint8_t ranks[GPUS], boards[GPUS];
    memset(ranks, CHOOSE_NONE, sizeof ranks);
    memset(boards, 0, sizeof boards);
    for (unsigned turn = 0; turn < turns; turn++) {
        unsigned gpu = rng_below(&rng, gpus);
        uint8_t rows[CHOOSE_ROWS];
        memset(rows, CHOOSE_NONE, sizeof rows);
        ranks[gpu] = (uint8_t)(rng_below(&rng, 3) ? CHOOSE_NONE : rng_below(&rng, CHOOSE_RANKS));
        boards[gpu] = (uint8_t)rng_below(&rng, 2);
        rows[5] = ranks[gpu];
        choose_put(c, gpu, boards[gpu], rows);
        struct choose_at from = {rng_below(&rng, CHOOSE_RANKS), rng_below(&rng, gpus)}, at = from;
        unsigned board = rng_below(&rng, 2), best = ~0u;
        for (unsigned i = 0; i < gpus; i++) {
            unsigned key = ranks[i] * GPUS + i;
            bool in = boards[i] == board && ranks[i] != CHOOSE_NONE;
            if (in && key >= from.rank * GPUS + from.gpu && key < best)
                best = key;
        }
        uint64_t looked = 0;
        bool found = choose_next(c, board, 5, &at, &looked);
        CHECK(found == (best != ~0u));
        if (found)
            CHECK_INT(at.rank * GPUS + at.gpu, ==, best);
        at = from;
        CHECK(!choose_next(c, board, 6, &at, &looked));
    }
    choose_free(c);
}

TEST(the_index_finds_what_a_search_finds)
{
    compare_with_search(1, 1000);
    compare_with_search(64, 10000);
    compare_with_search(65, 10000);
    compare_with_search(300, 20000);
    compare_with_search(GPUS, 5000);
}

/* Words read for the last GPU there is, behind which nothing else is. */
static uint64_t words_read(unsigned gpus)
{
    struct choose *c = choose_new(gpus);
    uint8_t rows[CHOOSE_ROWS];
    uint64_t looked = 0;
    struct choose_at at = {0, 0};
    memset(rows, 3, sizeof rows);
    choose_put(c, gpus - 1, 0, rows);
    CHECK(choose_next(c, 0, 5, &at, &looked));
    CHECK_INT(at.gpu, ==, gpus - 1);
    choose_free(c);
    return looked;
}

TEST(a_search_reads_the_same_number_of_words_whatever_the_fleet)
{
    CHECK_INT(words_read(100), ==, words_read(10000));
    CHECK_INT(words_read(100), <=, 5);
}

TEST(a_layout_that_cannot_stand_is_refused_with_the_place)
{
    const struct board *b = board_find("a100-80");
    unsigned three = board_profile_by_name(b, "3g.40gb"),
             four = board_profile_by_name(b, "4g.40gb");
    struct layout good = {.n = 2, .at = {{(uint8_t)four, 0}, {(uint8_t)three, 4}}};
    struct layout bad = {.n = 2, .at = {{(uint8_t)three, 0}, {(uint8_t)four, 4}}};
    struct error err;
    CHECK_INT(reshape_check(b, &good, &err), ==, 0);
    CHECK_INT(reshape_check(b, &bad, &err), ==, -ERROR_INVALID);
    CHECK_HAS(err.text, "4g.40gb cannot stand at memory slice 4");
    bad.at[1].profile = 99;
    CHECK_INT(reshape_check(b, &bad, &err), ==, -ERROR_INVALID);
}

/* What still stands just after `t`. */
static struct layout layout_after(const struct board *b, const struct reshape_stay *stays,
                                  unsigned n, int64_t t)
{
    struct layout l = {0};
    for (unsigned i = 0; i < n; i++) {
        if (stays[i].gone > t)
            layout_add(b, &l, (struct placement){stays[i].profile, stays[i].start});
    }
    return l;
}

/* Layouts at every instant, tried one after the other. */
TEST(the_earliest_instant_is_the_first_that_fits)
{
    const struct board *b = board_find("h100-sxm");
    struct rng rng = {11};
    for (unsigned turn = 0; turn < 5000; turn++) {
        struct layout l = {0};
        struct reshape_stay stays[BOARD_GIS];
        unsigned n = 0;
        for (unsigned i = 0; i < 6; i++) {
            unsigned p = rng_below(&rng, b->profile_n);
            int start = layout_choose(b, &l, p);
            if (start < 0)
                continue;
            layout_add(b, &l, (struct placement){(uint8_t)p, (uint8_t)start});
            int64_t gone = rng_below(&rng, 6) ? (int64_t)rng_below(&rng, 9) : INT64_MAX;
            stays[n++] =
                (struct reshape_stay){(uint8_t)p, (uint8_t)start, b->profiles[p].size, gone};
        }
        unsigned profile = rng_below(&rng, b->profile_n);
        slices starts, expected = 0;
        int64_t first = INT64_MAX;
        for (int64_t t = 2; t < 12 && first == INT64_MAX; t++) {
            struct layout then = layout_after(b, stays, n, t);
            expected = layout_fits(b, &then, profile);
            if (expected)
                first = t;
        }
        CHECK_INT(reshape_earliest(b, stays, n, profile, (slices)~0u, 2, &starts), ==, first);
        if (first != INT64_MAX)
            CHECK_INT(starts, ==, expected);
    }
}

/* All layouts with the counts that hold what stays: how many of the others the best keeps. */
struct keeping {
    const struct layout *stays, *now;
    const uint8_t *count;
    int most; /* -1: there is none */
};

static bool stands(const struct layout *l, struct placement at)
{
    int i = layout_index(l, at.start);
    return i >= 0 && l->at[i].profile == at.profile;
}

static void look_at(const struct layout *l, void *arg)
{
    struct keeping *k = arg;
    uint8_t count[BOARD_PROFILES] = {0};
    int kept = 0;
    for (unsigned i = 0; i < l->n; i++)
        count[l->at[i].profile]++;
    if (memcmp(count, k->count, sizeof count) != 0)
        return;
    for (unsigned i = 0; i < k->stays->n; i++)
        if (!stands(l, k->stays->at[i]))
            return;
    for (unsigned i = 0; i < k->now->n; i++)
        kept += stands(l, k->now->at[i]);
    k->most = kept > k->most ? kept : k->most;
}

struct any {
    unsigned left;
    struct layout l;
};

static void take_any(const struct layout *l, void *arg)
{
    struct any *a = arg;
    if (a->left-- == 0)
        a->l = *l;
}

TEST(a_reshaping_keeps_as_much_as_any_can)
{
    struct rng rng = {3};
    const struct board *b = board_find("a100-80");
    unsigned mask = 0, found = 0;
    for (unsigned p = 0; p < b->profile_n; p++)
        mask |= b->profiles[p].suffix[0] ? 0 : 1u << p;
    for (unsigned turn = 0; turn < 150; turn++) {
        struct layout stays = {0}, now = {0}, to;
        uint8_t count[BOARD_PROFILES] = {0};
        struct any from = {rng_below(&rng, 298), {0}}, want = {rng_below(&rng, 298), {0}};
        layout_enumerate(b, mask, take_any, &from);
        layout_enumerate(b, mask, take_any, &want);
        for (unsigned i = 0; i < from.l.n; i++)
            layout_add(b, rng_below(&rng, 4) ? &now : &stays, from.l.at[i]);
        for (unsigned i = 0; i < want.l.n; i++)
            count[want.l.at[i].profile]++;
        struct keeping k = {&stays, &now, count, -1};
        layout_enumerate(b, mask, look_at, &k);
        bool can = reshape_least(b, &stays, &now, count, &to);
        CHECK_INT(can, ==, k.most >= 0);
        if (!can)
            continue;
        struct keeping mine = {&stays, &now, count, -1};
        look_at(&to, &mine);
        CHECK_INT(mine.most, ==, k.most);
        CHECK(reshape_check(b, &to, NULL) == 0);
        found++;
    }
    CHECK_INT(found, >, 20);
}

TAP_MAIN
