/* The tables against NVIDIA's own names, ids and placements, and what is derived from them. */
#include "model/board.h"

#include "tests/tap.h"

/* The name column of every table, which the library itself does not keep; a row with a board and no
 * name begins each table. */
static const struct name_row {
    const char *board, *name, *suffix;
    unsigned id;
} rows[] = {
#define BOARD(name_, ...)                                      {name_, NULL, NULL, 0},
#define PROFILE(name_, id_, nvml_, compute_, suffix_, ...)     {NULL, name_, suffix_, id_},
#define TABLE_READ                                             TABLE
#include "model/tables/all.h"
#undef TABLE_READ
#undef PROFILE
#undef BOARD
};

static void check_name(const struct board *b, const struct name_row *row)
{
    char want[BOARD_PROFILE_NAME], got[BOARD_PROFILE_NAME];
    (void)snprintf(want, sizeof want, "%s%s", row->name, row->suffix);
    unsigned p = board_profile_by_id(b, row->id);
    REQUIRE(p < b->profile_n);
    CHECK_STR(board_profile_name(b, &b->profiles[p], got), want);
    CHECK_INT(board_profile_by_name(b, want), ==, p);
    CHECK_INT(board_profile_by_nvml(b, b->profiles[p].nvml), ==, p);
}

TEST(the_name_rule_gives_nvidias_names_on_every_board)
{
    unsigned n, profiles = 0;
    const struct board *all = board_all(&n), *b = NULL;
    for (unsigned i = 0; i < n; i++)
        profiles += all[i].profile_n;
    CHECK_INT(profiles + n, ==, ARRAY_LEN(rows));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].board)
            b = board_find(rows[i].board);
        REQUIRE(b);
        if (rows[i].name)
            check_name(b, &rows[i]);
    }
}

/* The same where every memory figure is known: the share by placement size gives the same name. */
TEST(names_do_not_depend_on_memory_being_known)
{
    unsigned n;
    const struct board *all = board_all(&n);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned p = 0; p < all[i].profile_n; p++) {
            struct profile without = all[i].profiles[p];
            without.mib = 0;
            char a[BOARD_PROFILE_NAME], b[BOARD_PROFILE_NAME];
            CHECK_STR(board_profile_name(&all[i], &without, a),
                      board_profile_name(&all[i], &all[i].profiles[p], b));
        }
    }
}

TEST(names_follow_the_memory_a_driver_reports)
{
    struct board b = *board_find("h100-sxm");
    char buf[BOARD_PROFILE_NAME];
    struct profile *whole = &b.profiles[board_profile_by_id(&b, 0)];
    CHECK_STR(board_profile_name(&b, whole, buf), "7g.80gb");
    b.total_mib = 80896; /* 79 GiB instead of 80: what drivers 535 and 545 call 7g.79gb */
    whole->mib = 80384;
    CHECK_STR(board_profile_name(&b, whole, buf), "7g.79gb");
    CHECK_INT(board_profile_by_name(&b, "7g.80gb"), ==, BOARD_NO_PROFILE);
}

static void check_profile(const struct board *b, const struct profile *p)
{
    CHECK(p->starts != 0);
    CHECK(p->size > 0 && p->size <= b->memory_slices);
    CHECK(p->compute > 0 && p->compute <= b->compute_slices);
    CHECK(p->max >= 1 && p->max <= __builtin_popcount(p->starts));
    for (unsigned s = 0; s < 16; s++) {
        if (p->starts >> s & 1)
            CHECK_INT(s + p->size, <=, b->memory_slices);
    }
    if (b->complete) {
        CHECK(p->mib > 0 && p->mib < b->total_mib);
        CHECK(p->sms > 0 && p->sms <= b->sms);
        CHECK(p->ce > 0 && p->l2 > 0 && p->l2 <= p->l2_of);
    }
}

TEST(every_table_is_consistent)
{
    unsigned n;
    const struct board *all = board_all(&n);
    CHECK_INT(n, ==, 16);
    for (unsigned i = 0; i < n; i++) {
        const struct board *b = &all[i];
        CHECK(board_find(b->name) == b);
        CHECK(board_by_pci_id(b->pci_id) == b);
        CHECK_INT(b->pci_id & 0xffff, ==, 0x10de);
        CHECK(b->total_mib > 0);
        for (unsigned p = 0; p < b->profile_n; p++) {
            check_profile(b, &b->profiles[p]);
            for (unsigned q = 0; q < p; q++) {
                CHECK_INT(b->profiles[p].id, !=, b->profiles[q].id);
                CHECK_INT(b->profiles[p].nvml, !=, b->profiles[q].nvml);
            }
        }
        CHECK((b->profile_n > 0) == (b->memory_slices > 0));
    }
    CHECK(board_find("a100") == NULL);
    CHECK(board_by_pci_id(0x123410DE) == NULL);
}

TEST(which_boards_are_complete)
{
    static const char *const complete[] = {"a100-40",      "a100-80",  "a30",  "h100-sxm",
                                           "h100-pcie",    "h100-nvl", "h200", "gh200-96",
                                           "rtx-pro-6000", "gb10"};
    static const char *const incomplete[] = {"h20", "gh200-144", "b200", "b300", "gb200", "gb300"};
    for (size_t i = 0; i < ARRAY_LEN(complete); i++)
        CHECK(board_find(complete[i]) && board_find(complete[i])->complete);
    for (size_t i = 0; i < ARRAY_LEN(incomplete); i++)
        CHECK(board_find(incomplete[i]) && !board_find(incomplete[i])->complete);
}

/* `nvidia-smi mig -lgipp` of the 8-slice family, word for word. */
TEST(placements_print_as_nvidia_smi_prints_them)
{
    static const struct {
        unsigned id, size;
        const char *starts;
    } lgipp[] = {{19, 1, "0,1,2,3,4,5,6"},
                 {20, 1, "0,1,2,3,4,5,6"},
                 {15, 2, "0,2,4,6"},
                 {14, 2, "0,2,4"},
                 {9, 4, "0,4"},
                 {5, 4, "0"},
                 {0, 8, "0"}};
    const struct board *b = board_find("a100-80");
    for (size_t i = 0; i < ARRAY_LEN(lgipp); i++) {
        unsigned at = board_profile_by_id(b, lgipp[i].id);
        CHECK_INT(at, ==, i);
        char text[64] = "";
        for (unsigned s = 0; s < 16; s++) {
            if (b->profiles[at].starts >> s & 1)
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u",
                               *text ? "," : "", s);
        }
        CHECK_STR(text, lgipp[i].starts);
        CHECK_INT(b->profiles[at].size, ==, lgipp[i].size);
    }
}

TEST(profiles_by_name)
{
    const struct board *b = board_find("a100-80");
    CHECK_INT(board_profile_by_name(b, "3g.40gb"), ==, board_profile_by_id(b, 9));
    CHECK_INT(board_profile_by_name(b, "MIG 1g.10gb+me"), ==, board_profile_by_id(b, 20));
    CHECK_INT(board_profile_by_name(b, "3g.20gb"), ==, BOARD_NO_PROFILE);
    CHECK_INT(board_profile_by_name(b, ""), ==, BOARD_NO_PROFILE);
    CHECK_INT(board_profile_by_id(b, 6), ==, BOARD_NO_PROFILE);
    CHECK_INT(board_profile_by_nvml(b, 8), ==, BOARD_NO_PROFILE);
    CHECK_INT(board_profile_by_name(board_find("gb10"), "1g.10gb"), ==, BOARD_NO_PROFILE);
}

static const char *need(const char *board, uint64_t gib, unsigned ppt)
{
    static char name[BOARD_PROFILE_NAME];
    const struct board *b = board_find(board);
    unsigned p = board_profile_by_need(b, gib << 30, ppt);
    return p == BOARD_NO_PROFILE ? "none" : board_profile_name(b, &b->profiles[p], name);
}

TEST(profiles_by_need)
{
    CHECK_STR(need("a100-80", 0, 0), "1g.10gb");
    CHECK_STR(need("a100-80", 9, 0), "1g.10gb");
    CHECK_STR(need("a100-80", 10, 0), "1g.20gb"); /* a 1g.10gb has 9.5 GiB */
    CHECK_STR(need("a100-80", 10, 286), "2g.20gb");
    CHECK_STR(need("a100-80", 0, 286), "2g.20gb"); /* "2/7", rounded up */
    CHECK_STR(need("a100-80", 0, 287), "3g.40gb");
    CHECK_STR(need("a100-80", 39, 430), "4g.40gb");
    CHECK_STR(need("a100-80", 40, 0), "7g.80gb");
    CHECK_STR(need("a100-80", 79, 0), "none");
    CHECK_STR(need("a100-80", 0, 1000), "7g.80gb");
    CHECK_STR(need("a30", 0, 250), "1g.6gb");
    CHECK_STR(need("a30", 0, 251), "2g.12gb");
    CHECK_STR(need("rtx-pro-6000", 24, 0), "2g.48gb");
    CHECK_STR(need("gb300", 1, 0), "none"); /* memory not known */
    CHECK_STR(need("gb10", 0, 0), "none");
}

static const char *smaller(const char *board, const char *held, uint64_t mib)
{
    static char name[BOARD_PROFILE_NAME];
    const struct board *b = board_find(board);
    unsigned p = board_profile_smaller(b, board_profile_by_name(b, held), mib << 20);
    return p == BOARD_NO_PROFILE ? "none" : board_profile_name(b, &b->profiles[p], name);
}

TEST(smaller_profiles)
{
    CHECK_STR(smaller("a100-80", "7g.80gb", 4096), "1g.10gb");
    CHECK_STR(smaller("a100-80", "3g.40gb", 15000), "1g.20gb");
    CHECK_STR(smaller("a100-80", "1g.20gb", 9000), "1g.10gb");
    CHECK_STR(smaller("a100-80", "1g.20gb", 9800), "none"); /* a 1g.10gb has 9728 MiB */
    CHECK_STR(smaller("a100-80", "1g.10gb", 1), "none");
    CHECK_STR(smaller("a100-80", "1g.10gb+me", 1), "none"); /* its engines are not asked about */
    CHECK_STR(smaller("a100-80", "whole", 39000), "3g.40gb");
    CHECK_STR(smaller("a100-80", "whole", 79000), "none"); /* a 7g.80gb is all of it */
    CHECK_STR(smaller("gb10", "whole", 1), "none");
}

/* Whatever is named holds the bytes, takes no more of anything, and no plain profile takes less. */
TEST(a_smaller_profile_is_smaller)
{
    unsigned n, checked = 0;
    const struct board *all = board_all(&n);
    for (const struct board *b = all; b < all + n; b++)
        for (unsigned i = 0; i < (unsigned)b->profile_n * b->profile_n; i++) {
            const struct profile *held = &b->profiles[i / b->profile_n];
            uint64_t bytes = (uint64_t)b->profiles[i % b->profile_n].mib << 20;
            unsigned found = board_profile_smaller(b, i / b->profile_n, bytes);
            for (const struct profile *p = b->profiles; p < b->profiles + b->profile_n; p++) {
                const struct profile *f = found < b->profile_n ? &b->profiles[found] : held;
                bool less = p->compute < f->compute ||
                            (p->compute == f->compute && p->size < f->size);
                CHECK(p->suffix[0] || (uint64_t)p->mib << 20 < bytes || p->size > held->size ||
                      !less);
            }
            checked++;
            if (found == BOARD_NO_PROFILE)
                continue;
            const struct profile *f = &b->profiles[found];
            CHECK(found != i / b->profile_n && (uint64_t)f->mib << 20 >= bytes);
            CHECK(f->compute <= held->compute && f->size <= held->size && !f->suffix[0]);
        }
    CHECK(checked > 100);
}

/* "1c x7 {0,...}:1" and so on, as one line per GI profile. */
static const char *ci_text(const char *board, unsigned id)
{
    static char text[256];
    const struct board *b = board_find(board);
    struct ci_profile ci[BOARD_CI_PROFILES];
    unsigned n = board_ci_profiles(b, &b->profiles[board_profile_by_id(b, id)], ci);
    text[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%uc#%u x%u %x:%u %uSM",
                       i ? "; " : "", ci[i].compute, ci[i].nvml, ci[i].max, ci[i].starts,
                       ci[i].size, ci[i].sms);
    return text;
}

TEST(compute_instance_profiles)
{
    CHECK_STR(ci_text("a100-40", 19), "1c#0 x1 1:1 14SM");
    CHECK_STR(ci_text("a100-40", 15), "1c#0 x1 1:2 14SM");
    CHECK_STR(ci_text("a100-40", 14), "1c#0 x2 3:1 14SM; 2c#1 x1 1:2 28SM");
    CHECK_STR(ci_text("a100-40", 9), "1c#0 x3 7:1 14SM; 2c#1 x1 1:2 28SM; 3c#2 x1 1:4 42SM");
    CHECK_STR(ci_text("a100-40", 5), "1c#0 x4 f:1 14SM; 2c#1 x2 5:2 28SM; 4c#3 x1 1:4 56SM");
    CHECK_STR(ci_text("a100-40", 0), "1c#0 x7 7f:1 14SM; 2c#1 x3 15:2 28SM; 3c#2 x2 11:4 42SM; "
                                     "4c#3 x1 1:4 56SM; 7c#4 x1 1:8 98SM");
    /* 26 SMs are more than one compute slice has, and get an enum of their own. */
    CHECK_STR(ci_text("h100-nvl", 15), "1c#7 x1 1:2 26SM");
    CHECK_STR(ci_text("h100-pcie", 15), "1c#0 x1 1:2 14SM");
    CHECK_STR(ci_text("a30", 0), "1c#0 x4 f:1 14SM; 2c#1 x2 5:2 28SM; 4c#3 x1 1:4 56SM");
    CHECK_STR(ci_text("rtx-pro-6000", 65), "1c#0 x1 1:1 46SM");
    CHECK_STR(ci_text("rtx-pro-6000", 5), "1c#0 x2 3:1 46SM; 2c#1 x1 1:2 94SM");
}

TEST(gi_ids_are_positions)
{
    static const struct {
        const char *board;
        unsigned start, size, id;
    } ids[] = {
        {"a100-40", 0, 8, 0},       {"a100-40", 0, 4, 1},      {"a100-40", 4, 4, 2},
        {"a100-40", 0, 2, 3},       {"a100-40", 2, 2, 4},      {"a100-40", 4, 2, 5},
        {"a100-40", 6, 2, 6},       {"a100-40", 0, 1, 7},      {"a100-40", 3, 1, 10},
        {"a100-40", 6, 1, 13},      {"a30", 0, 4, 0},          {"a30", 0, 2, 1},
        {"a30", 2, 2, 2},           {"a30", 0, 1, 3},          {"a30", 3, 1, 6},
        {"rtx-pro-6000", 0, 12, 0}, {"rtx-pro-6000", 6, 6, 2}, {"rtx-pro-6000", 0, 3, 3},
        {"rtx-pro-6000", 9, 3, 6},
    };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        CHECK_INT(board_gi_id(board_find(ids[i].board), ids[i].start, ids[i].size), ==, ids[i].id);
}

TAP_MAIN
