/* The placement rules: what each must hold for, on every state of a board. */
#include "plan/score.h"

#include "base/rng.h"
#include "tests/tap.h"

struct rig {
    const struct board *board;
    struct score *score;
};

static struct rig rig_new(const char *board)
{
    return (struct rig){board_find(board), malloc(sizeof(struct score))};
}

static unsigned rank_at(const struct rig *r, const struct layout *l, unsigned profile,
                        unsigned *ret_start)
{
    slices starts = layout_fits(r->board, l, profile);
    if (!starts)
        return SCORE_RANKS;
    *ret_start = score_start(r->score, r->board, profile, starts, l->busy, 0);
    return score_rank(r->score, r->board, profile, *ret_start, l->busy);
}

static void check_layout(const struct layout *l, void *arg)
{
    const struct rig *r = arg;
    for (unsigned p = 0; p < r->board->profile_n; p++) {
        unsigned start = 0, rank = rank_at(r, l, p, &start);
        slices starts = layout_fits(r->board, l, p);
        CHECK_INT(rank == SCORE_RANKS, ==, starts == 0);
        if (!starts)
            continue;
        CHECK(starts >> start & 1);
        if (r->score->rule == SCORE_FIRST_LOW) {
            CHECK_INT(start, ==, __builtin_ctz(starts));
            CHECK_INT(rank, ==, 0);
        }
        if (r->score->rule == SCORE_FIRST_HIGH)
            CHECK_INT(start, ==, 31 - __builtin_clz(starts));
    }
}

TEST(every_rule_gives_a_start_that_can_be_and_a_rank)
{
    struct rig r = rig_new("a100-80");
    for (unsigned rule = 0; rule < SCORE_N; rule++) {
        score_fill(r.score, r.board, (enum score_rule)rule, &(struct score_mix){{0}});
        layout_enumerate(r.board, 0x3f, check_layout, &r);
        CHECK_INT(score_find(score_name((enum score_rule)rule)), ==, rule);
        CHECK(score_about((enum score_rule)rule)[0]);
    }
    CHECK_INT(score_find("best"), ==, SCORE_N);
    free(r.score);
}

/* Ranks order GPUs as the rule's own figure does. */
TEST(best_fit_prefers_the_fuller_gpu_and_worst_fit_the_emptier)
{
    struct rig r = rig_new("a100-80");
    unsigned p = board_profile_by_name(r.board, "1g.10gb");
    struct layout empty = {0}, half = {0};
    unsigned start;
    layout_add(r.board, &half,
               (struct placement){(uint8_t)board_profile_by_name(r.board, "4g.40gb"), 0});
    score_fill(r.score, r.board, SCORE_BEST, &(struct score_mix){{0}});
    CHECK_INT(rank_at(&r, &half, p, &start), <, rank_at(&r, &empty, p, &start));
    score_fill(r.score, r.board, SCORE_WORST, &(struct score_mix){{0}});
    CHECK_INT(rank_at(&r, &half, p, &start), >, rank_at(&r, &empty, p, &start));
    free(r.score);
}

/* Where only 3g is asked for, a 1g belongs where no 3g can be any more. */
TEST(fgd_follows_the_mix)
{
    struct rig r = rig_new("a100-80");
    unsigned small = board_profile_by_name(r.board, "1g.10gb"), start;
    unsigned big = board_profile_by_name(r.board, "3g.40gb");
    double counts[BOARD_PROFILES] = {0};
    struct layout empty = {0}, spoilt = {0};
    counts[big] = 1;
    struct score_mix mix = score_mix_of(counts);
    layout_add(r.board, &spoilt, (struct placement){(uint8_t)small, 0});
    layout_add(r.board, &spoilt, (struct placement){(uint8_t)small, 4});
    for (enum score_rule rule = SCORE_FGD; rule <= SCORE_FGD_FILL; rule++) {
        score_fill(r.score, r.board, rule, &mix);
        CHECK_INT(rank_at(&r, &spoilt, small, &start), <, rank_at(&r, &empty, small, &start));
    }
    free(r.score);
}

/* A slice that may go is spared where the rule does not mind. */
TEST(soft_slices_are_spared_among_equals)
{
    struct rig r = rig_new("a30");
    unsigned p = board_profile_by_name(r.board, "1g.6gb");
    score_fill(r.score, r.board, SCORE_BEST, &(struct score_mix){{0}});
    CHECK_INT(score_start(r.score, r.board, p, 0xf, 0, 0x7), ==, 3);
    CHECK_INT(score_start(r.score, r.board, p, 0xf, 0, 0), ==, 0);
    free(r.score);
}

TAP_MAIN
