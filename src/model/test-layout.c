/* Layouts against counts known from elsewhere, real placement logs, and a model that is too simple
 * to be wrong. */
#include "model/layout.h"

#include "base/rng.h"
#include "tests/tap.h"

enum {
    PLAIN = 0x7c - 0x04 + 0x01
}; /* profiles 0, 3, 4, 5, 6 of the 8-slice family: 1g 2g 3g 4g 7g */
enum { DOUBLE = PLAIN | 0x04, WITH_ME = DOUBLE | 0x02, MOST = 8192 };

struct all {
    const struct board *board;
    unsigned mask, n;
    struct layout l[MOST];
};

static void keep(const struct layout *l, void *arg)
{
    struct all *all = arg;
    if (all->n < MOST)
        all->l[all->n++] = *l;
}

static struct all *collect(const char *board, unsigned mask)
{
    static struct all all;
    all.board = board_find(board);
    all.mask = mask;
    all.n = 0;
    layout_enumerate(all.board, mask, keep, &all);
    return &all;
}

static bool maximal(const struct all *all, const struct layout *l)
{
    for (unsigned p = 0; p < all->board->profile_n; p++) {
        if ((all->mask >> p & 1) && layout_fits(all->board, l, p))
            return false;
    }
    return true;
}

/* How many of each profile, four bits each. */
static uint64_t multiset(const struct layout *l)
{
    uint64_t key = 0;
    for (unsigned i = 0; i < l->n; i++)
        key += UINT64_C(1) << 4 * l->at[i].profile;
    return key;
}

static bool includes(uint64_t big, uint64_t small)
{
    for (unsigned i = 0; i < 16; i++) {
        if ((big >> 4 * i & 15) < (small >> 4 * i & 15))
            return false;
    }
    return true;
}

static bool seen(const uint64_t *keys, unsigned n, uint64_t key)
{
    for (unsigned i = 0; i < n; i++) {
        if (keys[i] == key)
            return true;
    }
    return false;
}

struct counts {
    unsigned layouts, maximal, masks, multisets, maximal_multisets, pareto;
};

static struct counts count(const struct all *all)
{
    static uint64_t keys[MOST], maximal_keys[MOST];
    static bool mask_seen[1 << 16];
    struct counts c = {.layouts = all->n};
    memset(mask_seen, 0, sizeof mask_seen);
    for (unsigned i = 0; i < all->n; i++) {
        const struct layout *l = &all->l[i];
        uint64_t key = multiset(l);
        c.masks += !mask_seen[l->busy];
        mask_seen[l->busy] = true;
        if (!seen(keys, c.multisets, key))
            keys[c.multisets++] = key;
        if (!maximal(all, l))
            continue;
        c.maximal++;
        if (!seen(maximal_keys, c.maximal_multisets, key))
            maximal_keys[c.maximal_multisets++] = key;
    }
    for (unsigned i = 0; i < c.multisets; i++) {
        bool best = true;
        for (unsigned j = 0; j < c.multisets; j++)
            best = best && (i == j || !includes(keys[j], keys[i]));
        c.pareto += best;
    }
    return c;
}

TEST(exhaustive_counts)
{
    static const char *const family[] = {"a100-40", "a100-80", "h100-sxm", "h200"};
    for (size_t i = 0; i < ARRAY_LEN(family); i++) {
        struct counts c = count(collect(family[i], PLAIN));
        CHECK_INT(c.layouts, ==, 298);
        CHECK_INT(c.maximal, ==, 19);
        CHECK_INT(c.maximal_multisets, ==, 14);
        CHECK_INT(c.masks, ==, 144);
        CHECK_INT(c.multisets, ==, 38);
        CHECK_INT(c.pareto, ==, 12);
    }
    struct counts c = count(collect("a100-40", DOUBLE));
    CHECK_INT(c.layouts, ==, 723);
    CHECK_INT(c.maximal, ==, 78);
    CHECK_INT(c.maximal_multisets, ==, 38);
    CHECK_INT(c.masks, ==, 192);
    CHECK_INT(c.multisets, ==, 78);
    CHECK_INT(c.pareto, ==, 28);
    CHECK_INT(count(collect("a100-40", WITH_ME)).maximal_multisets, ==, 64);
    c = count(collect("a30", 0x15));
    CHECK_INT(c.layouts, ==, 26);
    CHECK_INT(c.maximal, ==, 5);
    CHECK_INT(c.masks, ==, 16);
    CHECK_INT(c.multisets, ==, 10);
    CHECK_INT(c.pareto, ==, 4);
}

TEST(enumeration_starts_empty_and_never_repeats)
{
    const struct all *all = collect("rtx-pro-6000", 0x7ff);
    CHECK_INT(all->n, <, MOST);
    CHECK_INT(all->l[0].n, ==, 0);
    for (unsigned i = 0; i < all->n; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (memcmp(&all->l[i], &all->l[j], sizeof all->l[0]) == 0)
                TAP_FAIL("layouts %u and %u are the same", i, j);
        }
    }
    CHECK_INT(collect("gb10", 0xffff)->n, ==, 1);
}

/* The combinations named by an independent test suite as filling an A100 40 GB, at any order. */
TEST(full_combinations_exist_and_are_maximal)
{
    static const char *const combos[] = {"1g.10gb 1g.5gb 1g.5gb 1g.5gb 1g.5gb 1g.5gb 1g.5gb",
                                         "2g.10gb 2g.10gb 2g.10gb 1g.10gb",
                                         "1g.10gb 1g.10gb 1g.10gb 1g.10gb",
                                         "3g.20gb 2g.10gb 2g.10gb",
                                         "4g.20gb 3g.20gb",
                                         "3g.20gb 3g.20gb",
                                         "3g.20gb 1g.5gb 1g.5gb 1g.5gb 1g.5gb",
                                         "4g.20gb 2g.10gb 1g.10gb",
                                         "1g.10gb 1g.10gb 1g.10gb 1g.5gb 1g.5gb",
                                         "7g.40gb"};
    const struct all *all = collect("a100-40", DOUBLE);
    for (size_t i = 0; i < ARRAY_LEN(combos); i++) {
        uint64_t key = 0;
        char text[128];
        (void)snprintf(text, sizeof text, "%s", combos[i]);
        char *rest = text;
        for (char *name; (name = strsep(&rest, " "));)
            key += UINT64_C(1) << 4 * board_profile_by_name(all->board, name);
        unsigned found = 0;
        for (unsigned j = 0; j < all->n; j++) {
            if (multiset(&all->l[j]) != key)
                continue;
            found++;
            /* Of 3x1g.10gb+2x1g.5gb and the like some arrangements leave slice 7 to another
             * 1g.10gb. */
            found += maximal(all, &all->l[j]) ? 1000u : 0;
        }
        if (found < 1000)
            TAP_FAIL("%s: %u arrangements, none maximal", combos[i], found);
    }
}

/* Valid sets of placements by trying all 2^18 of them, without any of the library's shortcuts. */
TEST(reachable_layouts_are_exactly_the_sets_without_overlap)
{
    const struct board *b = board_find("a100-40");
    struct {
        unsigned profile, span;
    } at[32];
    unsigned n = 0, valid = 0;
    for (unsigned p = 0; p < b->profile_n; p++) {
        for (unsigned s = 0; s < 8; s++) {
            if ((DOUBLE >> p & 1) && (b->profiles[p].starts >> s & 1)) {
                at[n].profile = p;
                at[n++].span = ((1u << b->profiles[p].size) - 1) << s;
            }
        }
    }
    CHECK_INT(n, ==, 18);
    for (unsigned set = 0; set < 1u << n; set++) {
        unsigned busy = 0;
        bool ok = true;
        for (unsigned i = 0; i < n && ok; i++) {
            if (!(set >> i & 1))
                continue;
            ok = !(busy & at[i].span);
            busy |= at[i].span;
        }
        valid += ok;
    }
    CHECK_INT(valid, ==, 723);
}

struct log_row {
    const char *board;
    int ids[8], starts[8]; /* until -1; a start of -2 is "does not fit" */
};

static void check_log(const struct log_row *row)
{
    const struct board *b = board_find(row->board);
    struct layout l = {0};
    for (unsigned i = 0; i < 8 && row->ids[i] >= 0; i++) {
        unsigned p = board_profile_by_id(b, (unsigned)row->ids[i]);
        int start = layout_choose(b, &l, p);
        char text[LAYOUT_TEXT];
        if (start != (row->starts[i] == -2 ? -1 : row->starts[i]))
            TAP_FAIL("%s: request %u, id %d: start %d, wanted %d, in %s", row->board, i,
                     row->ids[i], start, row->starts[i], layout_format(b, &l, text));
        if (start >= 0)
            layout_add(b, &l, (struct placement){(uint8_t)p, (uint8_t)start});
    }
}

TEST(the_driver_would_choose_the_same_starts)
{
    static const struct log_row rows[] = {
        {"a100-40", {19, 19, 19, 19, 19, 19, 19, -1}, {6, 4, 5, 0, 1, 2, 3}},
        {"a100-40", {14, 14, 19, -1}, {4, 0, 6}},
        {"a100-40", {14, 14, 14, -1}, {4, 0, 2}},
        {"a100-40", {9, 9, -1}, {4, 0}},
        {"a100-40", {9, 14, 19, -1}, {4, 0, 2}},
        {"a100-40", {9, 5, -1}, {4, 0}},
        {"a100-40", {19, 14, 5, -1}, {6, 4, 0}},
        {"a100-40", {19, 19, 14, 9, -1}, {6, 4, 0, -2}},
        {"a100-40", {9, 19, 14, 19, -1}, {4, 0, 2, 1}},
        {"a100-40", {14, 19, 19, 19, 19, 19, -1}, {4, 6, 0, 1, 2, 3}},
        {"a100-40", {9, 14, 19, 19, -1}, {4, 0, 2, 3}},
        {"h100-sxm", {9, 19, 14, 19, -1}, {4, 0, 2, 1}},
        {"a30", {5, 14, 14, -1}, {0, 2, 3}},
        {"a30", {14, 14, 5, -1}, {0, 1, 2}},
        {"rtx-pro-6000", {14, 14, 14, 14, -1}, {0, 3, 6, 9}},
        /* The double-memory 1g: like a 2g where it has 26 SMs, by the plain rule where it has 14.
         */
        {"h100-sxm", {15, 15, 15, 15, 15, -1}, {4, 0, 2, 6, -2}},
        {"h100-pcie", {15, -1}, {6}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_log(&rows[i]);
}

/* On every built-in board the starts or the media engines say the same; a driver may report
 * less. */
TEST(max_holds_even_where_the_slices_are_free)
{
    struct board b = *board_find("a100-40");
    unsigned p = board_profile_by_id(&b, 19);
    b.profiles[p].max = 2;
    struct layout l = {0};
    layout_add(&b, &l, (struct placement){(uint8_t)p, 0});
    CHECK_INT(layout_fits(&b, &l, p), ==, 0x7e);
    CHECK_INT(layout_capacity(&b, &l, p), ==, 1);
    layout_add(&b, &l, (struct placement){(uint8_t)p, 3});
    CHECK_INT(layout_fits(&b, &l, p), ==, 0);
    CHECK_INT(layout_choose(&b, &l, p), ==, -1);
    layout_remove(&b, &l, 0);
    CHECK_INT(layout_fits(&b, &l, p), ==, 0x77);
}

static slices fits_after(const char *board, const char *first, unsigned start, const char *second)
{
    const struct board *b = board_find(board);
    struct layout l = {0};
    layout_add(b, &l, (struct placement){(uint8_t)board_profile_by_name(b, first), (uint8_t)start});
    return layout_fits(b, &l, board_profile_by_name(b, second));
}

TEST(media_engines_are_promised_once)
{
    CHECK_INT(fits_after("a100-40", "1g.5gb+me", 0, "1g.5gb+me"), ==, 0);
    CHECK_INT(fits_after("a100-40", "1g.5gb+me", 0, "1g.5gb"), ==, 0x7e);
    CHECK_INT(fits_after("a30", "2g.12gb+me", 0, "1g.6gb+me"), ==, 0);
    CHECK_INT(fits_after("a30", "1g.6gb+me", 0, "2g.12gb+me"), ==, 0);
    CHECK_INT(fits_after("a30", "2g.12gb+me", 0, "2g.12gb"), ==, 0x4);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+me.all", 0, "1g.24gb-me"), ==, 0x248);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+me.all", 0, "2g.48gb-me"), ==, 0x40);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+me.all", 0, "1g.24gb"), ==, 0);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+me.all", 0, "1g.24gb+gfx"), ==, 0);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+me.all", 0, "1g.24gb+me"), ==, 0);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+me.all", 0, "2g.48gb+me.all"), ==, 0);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb", 0, "1g.24gb+me.all"), ==, 0);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb-me", 0, "1g.24gb+me.all"), ==, 0x248);
    CHECK_INT(fits_after("rtx-pro-6000", "1g.24gb+gfx", 0, "1g.24gb+me"), ==, 0x248);
}

TEST(format_and_capacity)
{
    const struct board *b = board_find("a100-80");
    struct layout l = {0};
    char text[LAYOUT_TEXT];
    CHECK_STR(layout_format(b, &l, text), "empty");
    CHECK_INT(layout_capacity(b, &l, board_profile_by_id(b, 19)), ==, 7);
    CHECK_INT(layout_capacity(b, &l, board_profile_by_id(b, 20)), ==, 1);
    CHECK_INT(layout_room(b, &l), ==, 7 + 7 + 4 + 3 + 2 + 1 + 1);
    layout_add(b, &l, (struct placement){(uint8_t)board_profile_by_id(b, 9), 4});
    layout_add(b, &l, (struct placement){(uint8_t)board_profile_by_id(b, 19), 0});
    CHECK_STR(layout_format(b, &l, text), "3g.40gb@4 1g.10gb@0");
    CHECK_INT(layout_capacity(b, &l, board_profile_by_id(b, 19)), ==, 3);
    CHECK_INT(layout_capacity(b, &l, board_profile_by_id(b, 0)), ==, 0);
    CHECK_INT(layout_index(&l, 4), ==, 1);
    CHECK_INT(layout_index(&l, 1), ==, -1);
}

/* The simple model: who owns each slice, and the rules in terms of names. */
struct naive {
    int owner[16]; /* profile of the instance, -1 */
    int first[16]; /* its first slice */
};

static bool name_has(const struct board *b, int profile, const char *part)
{
    char name[BOARD_PROFILE_NAME];
    return strstr(board_profile_name(b, &b->profiles[profile], name), part) != NULL;
}

static bool naive_media_ok(const struct board *b, int p, int q)
{
    bool without = name_has(b, p, "-me") || name_has(b, q, "-me");
    bool both = name_has(b, p, "+me") && name_has(b, q, "+me");
    bool all = name_has(b, p, "+me.all") || name_has(b, q, "+me.all");
    return without || (!both && !all);
}

static bool naive_fits(const struct board *b, const struct naive *m, int p, unsigned start)
{
    int same = 0;
    for (unsigned s = 0; s < 16; s++) {
        if (m->owner[s] < 0)
            continue;
        if (s >= start && s < start + b->profiles[p].size)
            return false;
        if (m->first[s] == (int)s && !naive_media_ok(b, p, m->owner[s]))
            return false;
        same += m->first[s] == (int)s && m->owner[s] == p;
    }
    return (b->profiles[p].starts >> start & 1) && same < b->profiles[p].max;
}

static void compare(const struct board *b, const struct layout *l, const struct naive *m)
{
    unsigned room = 0, n = 0;
    for (unsigned p = 0; p < b->profile_n; p++) {
        slices fits = 0;
        for (unsigned s = 0; s < 16; s++)
            fits |= (slices)(naive_fits(b, m, (int)p, s) << s);
        room += (unsigned)__builtin_popcount(fits);
        CHECK_INT(layout_fits(b, l, p), ==, fits);
    }
    CHECK_INT(layout_room(b, l), ==, room);
    for (unsigned s = 0; s < 16; s++) {
        CHECK_INT(l->busy >> s & 1, ==, m->owner[s] >= 0);
        if (m->owner[s] >= 0 && m->first[s] == (int)s) {
            CHECK_INT(l->at[n].start, ==, s);
            CHECK_INT(l->at[n].profile, ==, m->owner[s]);
            n++;
        }
    }
    CHECK_INT(l->n, ==, n);
}

static void random_step(struct rng *r, const struct board *b, struct layout *l, struct naive *m)
{
    if (l->n > 0 && rng_below(r, 3) == 0) {
        unsigned start = l->at[rng_below(r, l->n)].start;
        layout_remove(b, l, start);
        for (unsigned s = 0; s < 16; s++) {
            if (m->owner[s] >= 0 && m->first[s] == (int)start)
                m->owner[s] = -1;
        }
        return;
    }
    unsigned p = rng_below(r, b->profile_n);
    int start = layout_choose(b, l, p);
    slices fits = layout_fits(b, l, p);
    CHECK((start >= 0) == (fits != 0));
    if (start < 0)
        return;
    CHECK(fits >> start & 1);
    if (rng_below(r, 2)) {
        for (start = (int)rng_below(r, 16); !(fits >> start & 1);)
            start = (start + 1) % 16;
    }
    layout_add(b, l, (struct placement){(uint8_t)p, (uint8_t)start});
    for (unsigned s = (unsigned)start; s < (unsigned)start + b->profiles[p].size; s++) {
        m->owner[s] = (int)p;
        m->first[s] = start;
    }
}

TEST(random_walks_agree_with_the_simple_model)
{
    const char *given = getenv("FETTA_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20261122;
    printf("# FETTA_SEED=%" PRIu64 "\n", seed);
    unsigned board_n;
    const struct board *all = board_all(&board_n);
    for (unsigned i = 0; i < board_n; i++) {
        struct rng r = {.state = seed + i};
        struct layout l = {0};
        struct naive m;
        memset(&m, 0xff, sizeof m);
        for (unsigned step = 0; all[i].profile_n && step < 400; step++) {
            random_step(&r, &all[i], &l, &m);
            compare(&all[i], &l, &m);
        }
    }
}

/* Ids are positions: never two alike among instances that exist together. */
TEST(gi_ids_are_distinct_in_every_layout)
{
    static const char *const boards[] = {"a100-40", "a30", "rtx-pro-6000"};
    for (size_t k = 0; k < ARRAY_LEN(boards); k++) {
        const struct all *all = collect(boards[k], 0xffff);
        CHECK_INT(all->n, <, MOST);
        for (unsigned i = 0; i < all->n; i++) {
            unsigned ids = 0;
            for (unsigned j = 0; j < all->l[i].n; j++) {
                struct placement p = all->l[i].at[j];
                unsigned id =
                    board_gi_id(all->board, p.start, all->board->profiles[p.profile].size);
                CHECK_INT(id, <, BOARD_GIS);
                CHECK(!(ids >> id & 1));
                ids |= 1u << id;
            }
        }
    }
}

TAP_MAIN
