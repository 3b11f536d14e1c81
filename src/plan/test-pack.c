/* Exact packing: the closed forms against the integer program, and both against packing by hand. */
#include "plan/pack.h"

#include "base/rng.h"
#include "plan/test-board.h"
#include "tests/tap.h"

static const uint64_t seed = 42;

/* What the mixes of an answer hold must be what was asked for. */
static void check_mixes(const struct rig *r, const struct pack_demand *d, uint32_t gpus,
                        const uint32_t *mixes)
{
    unsigned n;
    const struct table_mix *all = table_pareto(r->table, &n);
    uint64_t sum = 0, held[BOARD_PROFILES] = {0};
    for (unsigned j = 0; j < n; j++) {
        sum += mixes[j];
        for (unsigned p = 0; p < BOARD_PROFILES; p++)
            held[p] += (uint64_t)mixes[j] * all[j].n[p];
    }
    CHECK_INT(sum, ==, gpus);
    for (unsigned p = 0; p < BOARD_PROFILES; p++)
        CHECK_INT(held[p], >=, d->n[p]);
}

static struct pack_demand random_demand(const struct rig *r, struct rng *rng)
{
    struct pack_demand d = {{0}};
    unsigned most = 1u << (1 + rng_below(rng, 9));
    for (unsigned p = 0; p < r->board->profile_n; p++)
        if (table_mask(r->table) >> p & 1)
            d.n[p] = rng_below(rng, 3) ? rng_below(rng, most) : 0;
    return d;
}

static void compare(const char *board, enum pack_form form, unsigned turns)
{
    struct rig r = rig_new(board);
    struct rng rng = {seed};
    uint32_t mixes[64], searched, formed;
    printf("# %s, seed %llu\n", board, (unsigned long long)seed);
    REQUIRE(r.pack);
    CHECK_INT(pack_form(r.pack), ==, form);
    for (unsigned turn = 0; turn < turns; turn++) {
        struct pack_demand d = random_demand(&r, &rng);
        REQUIRE(pack_fewest(r.pack, &d, &searched, mixes, NULL) == 0);
        REQUIRE(pack_fewest(r.pack, &d, &formed, NULL, NULL) == 0);
        CHECK_INT(formed, ==, searched);
        CHECK_INT(formed, >=, pack_simple_bound(r.board, &d));
        check_mixes(&r, &d, searched, mixes);
    }
    rig_done(&r);
}

TEST(closed_forms_are_what_the_search_finds)
{
    compare("a100-80", PACK_HALVES, 2000);
    compare("h100-pcie", PACK_HALVES, 500);
    compare("a30", PACK_HALVING, 500);
}

TEST(a_board_of_another_geometry_is_searched)
{
    compare("rtx-pro-6000", PACK_SEARCH, 200);
}

/* Whether the demand fits on `gpus` GPUs by trying every layout on the first one, and so on. */
static bool by_hand(const struct rig *r, struct pack_demand d, unsigned gpus)
{
    bool empty = true;
    for (unsigned p = 0; p < BOARD_PROFILES; p++)
        empty = empty && !d.n[p];
    if (empty || gpus == 0)
        return empty;
    for (unsigned id = 0; id < table_n(r->table); id++) {
        struct pack_demand left = d;
        const struct layout *l = table_layout(r->table, id);
        for (unsigned i = 0; i < l->n; i++)
            left.n[l->at[i].profile] -= left.n[l->at[i].profile] > 0;
        if (table_maximal(r->table, id) && by_hand(r, left, gpus - 1))
            return true;
    }
    return false;
}

TEST(two_gpus_hold_what_can_be_laid_out_by_hand)
{
    struct rig r = rig_new("a100-80");
    struct rng rng = {seed};
    unsigned yes = 0;
    for (unsigned turn = 0; turn < 300; turn++) {
        struct pack_demand d = {{0}};
        for (unsigned i = 0; i < 2 + turn % 9; i++) {
            unsigned p = rng_below(&rng, r.board->profile_n);
            d.n[p] += table_mask(r.table) >> p & 1;
        }
        bool fits = by_hand(&r, d, 2);
        CHECK_INT(pack_holds(r.pack, &d, 2), ==, fits);
        yes += fits;
    }
    printf("# %u of 300 fit\n", yes);
    CHECK_INT(yes, >, 30);
    CHECK_INT(yes, <, 270);
    rig_done(&r);
}

TEST(a_profile_outside_the_table_is_refused)
{
    struct rig r = rig_new("a100-80");
    struct pack_demand d = {{0}};
    uint32_t gpus;
    d.n[board_profile_by_name(r.board, "1g.10gb+me")] = 1;
    CHECK_INT(pack_fewest(r.pack, &d, &gpus, NULL, NULL), ==, -ERROR_INVALID);
    rig_done(&r);
}

TAP_MAIN
