/* Layout tables against the model they are counted from, and against NVIDIA's own counts. */
#include "plan/table.h"

#include "base/rng.h"
#include "tests/tap.h"

static void check_profile(const struct table *t, unsigned id, unsigned p)
{
    const struct board *b = table_board(t);
    const struct layout *l = table_layout(t, id);
    slices starts = table_mask(t) >> p & 1 ? layout_fits(b, l, p) : 0;
    CHECK_INT(table_starts(t, id, p), ==, starts);
    for (unsigned s = 0; s < b->memory_slices; s++) {
        unsigned to = table_place(t, id, p, s);
        CHECK_INT(to != TABLE_NONE, ==, starts >> s & 1);
        if (to == TABLE_NONE)
            continue;
        CHECK_INT(table_layout(t, to)->n, ==, l->n + 1);
        CHECK_INT(table_remove(t, to, s), ==, id);
    }
}

/* Every step of the table is the step the model would take, on every layout. */
static void check_steps(const struct table *t)
{
    for (unsigned id = 0; id < table_n(t); id++) {
        CHECK_INT(table_find(t, table_layout(t, id)), ==, id);
        for (unsigned p = 0; p < table_board(t)->profile_n; p++)
            check_profile(t, id, p);
    }
}

static unsigned count_maximal(const struct table *t)
{
    unsigned n = 0;
    for (unsigned id = 0; id < table_n(t); id++)
        n += table_maximal(t, id);
    return n;
}

TEST(every_step_is_the_models)
{
    unsigned n;
    const struct board *boards = board_all(&n);
    for (unsigned i = 0; i < n; i++) {
        struct table *t =
            boards[i].memory_slices ? table_new(&boards[i], table_plain(&boards[i])) : NULL;
        if (!t)
            continue;
        CHECK_INT(table_layout(t, 0)->n, ==, 0);
        check_steps(t);
        table_free(t);
    }
}

static void check_counts(const char *board, const char *leave_out, unsigned layouts,
                         unsigned maximal, unsigned pareto)
{
    const struct board *b = board_find(board);
    unsigned mask = table_plain(b), n;
    if (leave_out)
        mask &= ~(1u << board_profile_by_name(b, leave_out));
    struct table *t = table_new(b, mask);
    REQUIRE(t);
    CHECK_INT(table_n(t), ==, layouts);
    CHECK_INT(count_maximal(t), ==, maximal);
    (void)table_pareto(t, &n);
    CHECK_INT(n, ==, pareto);
    table_free(t);
}

TEST(counts_are_those_known)
{
    check_counts("a100-80", "1g.20gb", 298, 19, 12);
    check_counts("a100-80", NULL, 723, 78, 28);
    check_counts("h100-pcie", "1g.20gb", 298, 19, 12);
    check_counts("a30", NULL, 26, 5, 4);
}

/* The mix that a layout holds is contained in a Pareto mix, and no Pareto mix in another. */
TEST(pareto_mixes_cover_every_layout_and_none_is_spare)
{
    const struct board *b = board_find("a100-80");
    struct table *t = table_new(b, table_plain(b));
    unsigned n;
    const struct table_mix *mixes = table_pareto(t, &n);
    for (unsigned id = 0; id < table_n(t); id++) {
        const struct layout *l = table_layout(t, id);
        unsigned holders = 0;
        for (unsigned j = 0; j < n; j++) {
            uint8_t left[BOARD_PROFILES];
            bool holds = true;
            memcpy(left, mixes[j].n, sizeof left);
            for (unsigned i = 0; i < l->n; i++)
                holds = holds && left[l->at[i].profile]-- > 0;
            holders += holds;
        }
        CHECK_INT(holders, >=, 1);
    }
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++) {
            bool inside = i != j;
            for (unsigned p = 0; p < BOARD_PROFILES; p++)
                inside = inside && mixes[i].n[p] <= mixes[j].n[p];
            CHECK(!inside);
        }
    table_free(t);
}

/* Fewest moves: none to itself, as many back as there, one more at most over a neighbour; and a
 * layout with another mix is never reached. */
TEST(moves_are_distances)
{
    const struct board *b = board_find("a100-80");
    struct table *t = table_new(b, table_plain(b) & ~(1u << board_profile_by_name(b, "1g.20gb")));
    unsigned n = table_n(t);
    uint8_t *far = malloc((size_t)n * n);
    for (unsigned id = 0; id < n; id++)
        CHECK_INT(table_moves(t, id, far + (size_t)id * n, NULL), ==, 0);
    for (unsigned x = 0; x < n; x++)
        for (unsigned y = 0; y < n; y++) {
            CHECK_INT(far[x * n + y] == 0, ==, x == y);
            CHECK_INT(far[x * n + y], ==, far[y * n + x]);
            for (unsigned z = 0; z < n && far[x * n + y] == 1; z++)
                CHECK_INT(far[x * n + z] <= far[y * n + z] + 1, !=, 0);
            if (far[x * n + y] != TABLE_FAR)
                CHECK_INT(table_layout(t, x)->n, ==, table_layout(t, y)->n);
        }
    free(far);
    table_free(t);
}

TAP_MAIN
