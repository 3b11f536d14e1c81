/* The emulated machine against a naive model of the same rules (an array of memory slices, an array
 * of compute instances, nothing else), and the return codes and placements real drivers showed. */
#include "base/rng.h"
#include "emul/box.h"
#include "tests/tap.h"

#include <time.h>

static struct box *make(const char *spec, bool mig)
{
    struct error err = {0};
    struct machine *m = calloc(1, sizeof *m);
    struct box *b = NULL;
    if (!m || machine_parse(spec, m, &err) < 0 || box_new(m, mig, 1000, &b, &err) < 0)
        TAP_FAIL("%s: %s", spec, err.text);
    free(m);
    return b;
}

static unsigned id_of(struct box *b, const char *name)
{
    const struct board *board = box_board(b, 0);
    unsigned profile = board_profile_by_name(board, name);
    return profile == BOARD_NO_PROFILE ? 999 : board->profiles[profile].id;
}

/* The naive model: who owns each memory slice, and which CIs live where. */
struct naive {
    int owner[16]; /* GI id of a slice, -1 */
    bool ci[BOARD_GIS][BOARD_CIS];
    int users[BOARD_GIS][BOARD_CIS];
    unsigned used[BOARD_GIS], compute[BOARD_GIS], n;
};

static bool naive_free(const struct naive *n, int start, int size)
{
    for (int s = start; s < start + size; s++)
        if (n->owner[s] >= 0)
            return false;
    return true;
}

static bool naive_fits(const struct naive *n, const struct profile *p)
{
    for (int s = 0; s < 16; s++)
        if ((p->starts >> s & 1) && naive_free(n, s, p->size))
            return true;
    return false;
}

static void random_gi(struct box *b, struct naive *n, struct rng *r)
{
    const struct board *board = box_board(b, 0);
    const struct profile *p = &board->profiles[rng_below(r, board->profile_n)];
    int start = (int)rng_below(r, 17) - 1, gi = -1;
    unsigned size = rng_below(r, 8) ? p->size : rng_below(r, 9);
    if (p->suffix[0])
        return; /* media engines are the layout's own test */
    enum box_status status = box_gi_create(b, 0, p->id, start, size, &gi);
    bool possible = start >= 0 && start < 16 && size == p->size && (p->starts >> start & 1);
    if (start < 0)
        CHECK_INT(status, ==, naive_fits(n, p) ? BOX_OK : BOX_NO_ROOM);
    else if (!possible)
        CHECK_INT(status, ==, BOX_INVALID);
    else
        CHECK_INT(status, ==, naive_free(n, start, p->size) ? BOX_OK : BOX_NO_ROOM);
    if (status != BOX_OK)
        return;
    struct machine_gi *made = box_gi(b, 0, gi);
    CHECK(made && naive_free(n, made->start, made->size));
    for (int s = made->start; s < made->start + made->size; s++)
        n->owner[s] = gi;
    n->n++;
    n->compute[gi] = p->compute;
    n->used[gi] = 0;
}

static bool naive_exists(const struct naive *n, int gi)
{
    for (int s = 0; s < 16; s++)
        if (n->owner[s] == gi)
            return true;
    return false;
}

static void random_gi_destroy(struct box *b, struct naive *n, struct rng *r)
{
    int gi = (int)rng_below(r, BOARD_GIS);
    bool busy = false;
    for (int c = 0; c < BOARD_CIS; c++)
        busy = busy || n->ci[gi][c];
    enum box_status status = box_gi_destroy(b, 0, gi);
    CHECK_INT(status, ==, !naive_exists(n, gi) ? BOX_NOT_FOUND : busy ? BOX_IN_USE : BOX_OK);
    for (int s = 0; s < 16 && status == BOX_OK; s++)
        if (n->owner[s] == gi)
            n->owner[s] = -1;
    n->n -= status == BOX_OK;
}

static void random_ci(struct box *b, struct naive *n, struct rng *r)
{
    int gi = (int)rng_below(r, BOARD_GIS), ci = -1, lowest = 0;
    enum box_status status = box_ci_create(b, 0, gi, 0, BOX_ANY, 0, &ci);
    struct ci_profile p;
    if (!naive_exists(n, gi)) {
        CHECK_INT(status, ==, BOX_NOT_FOUND);
    } else if (!box_ci_profile(b, 0, gi, 0, &p)) {
        CHECK_INT(status, ==, BOX_NOT_SUPPORTED);
    } else {
        CHECK_INT(status, ==, n->used[gi] < n->compute[gi] ? BOX_OK : BOX_NO_ROOM);
        while (n->ci[gi][lowest])
            lowest++;
        CHECK(status != BOX_OK || ci == lowest);
    }
    if (status == BOX_OK) {
        n->ci[gi][ci] = true;
        n->used[gi]++;
    }
}

static void random_ci_destroy(struct box *b, struct naive *n, struct rng *r)
{
    int gi = (int)rng_below(r, BOARD_GIS), ci = (int)rng_below(r, 4);
    enum box_status status = box_ci_destroy(b, 0, gi, ci);
    CHECK_INT(status, ==,
              !n->ci[gi][ci]         ? BOX_NOT_FOUND
              : n->users[gi][ci] > 0 ? BOX_IN_USE
                                     : BOX_OK);
    if (status == BOX_OK) {
        n->ci[gi][ci] = false;
        n->used[gi]--;
    }
}

enum { SESSIONS = 6 };

/* A process starts on some MIG device, or an old one dies. */
static void random_process(struct box *b, struct naive *n, struct rng *r,
                           struct box_session s[SESSIONS])
{
    struct box_session *who = &s[rng_below(r, SESSIONS)];
    int gi = -1, ci = -1;
    if (who->use_n > 0) {
        n->users[who->uses[0].gi][who->uses[0].ci]--;
        box_leave(b, who);
        *who = (struct box_session){.pid = who->pid, .uid = 1};
        box_enter(b, who);
    } else if (box_mig_at(b, 0, rng_below(r, 7), &gi, &ci)) {
        CHECK_INT(box_open(b, who, box_ci(b, 0, gi, ci)->uuid, 1 << 20), ==, BOX_OK);
        n->users[gi][ci]++;
    }
}

static void check_same(struct box *b, const struct naive *n)
{
    const struct machine_gpu *g = &b->m.gpus[0];
    unsigned devices = 0, working = 0;
    int gi = 0, ci = 0;
    CHECK_INT(g->gi_n, ==, n->n);
    for (unsigned i = 1; i < g->gi_n; i++)
        CHECK(g->gis[i - 1].id < g->gis[i].id);
    for (int i = 0; i < BOARD_GIS; i++) {
        for (int c = 0; c < BOARD_CIS; c++) {
            devices += n->ci[i][c];
            working += (unsigned)n->users[i][c];
            CHECK((box_ci(b, 0, i, c) != NULL) == n->ci[i][c]);
        }
    }
    CHECK(devices == 0 || box_mig_at(b, 0, devices - 1, &gi, &ci));
    CHECK(!box_mig_at(b, 0, devices, &gi, &ci));
    CHECK_INT(box_processes(b, 0, BOX_ANY, BOX_ANY, NULL, 0), ==, working);
}

static void random_run(const char *spec, uint64_t seed)
{
    struct rng r = {seed};
    struct box *b = make(spec, true);
    struct naive n = {0};
    struct box_session s[SESSIONS] = {0};
    memset(n.owner, -1, sizeof n.owner);
    for (unsigned i = 0; i < SESSIONS; i++) {
        s[i].pid = 100 + i;
        box_enter(b, &s[i]);
    }
    for (int i = 0; i < 4000 && !tap_failed; i++) {
        switch (rng_below(&r, 5)) {
        case 0:
            random_gi(b, &n, &r);
            break;
        case 1:
            random_gi_destroy(b, &n, &r);
            break;
        case 2:
            random_ci(b, &n, &r);
            break;
        case 3:
            random_ci_destroy(b, &n, &r);
            break;
        default:
            random_process(b, &n, &r, s);
        }
        check_same(b, &n);
    }
    free(b);
}

TEST(random_operations_equal_the_naive_model)
{
    const char *text = getenv("FETTA_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("# FETTA_SEED=%" PRIu64 "\n", seed);
    random_run("1xa100-80", seed);
    random_run("1xa100-40", seed + 1);
    random_run("1xh100-sxm", seed + 2);
    random_run("1xa30", seed + 3);
}

/* Sequences as logged on real machines. */
TEST(placements_as_drivers_chose_them)
{
    static const struct {
        const char *board;
        unsigned ids[5];
        int gis[5];
    } logged[] = {
        {"1xa100-80", {19, 14, 5}, {13, 5, 1}},
        {"1xa100-80", {9, 19, 14, 19}, {2, 7, 4, 8}},
        {"1xh100-sxm", {9, 14, 19, 19}, {2, 3, 9, 10}},
        {"1xa100-40", {19, 19, 14, 9}, {13, 11, 3, -1}},
        {"1xa100-40", {9, 9}, {2, 1}},
        {"1xa30", {5, 14, 14}, {1, 5, 6}},
        {"1xa30", {14, 14, 5}, {3, 4, 2}},
    };
    for (size_t i = 0; i < ARRAY_LEN(logged); i++) {
        struct box *b = make(logged[i].board, true);
        /* The list of a row ends at a zero in `gis`; no row makes the whole GPU, id 0. */
        for (int k = 0; k < 5 && logged[i].gis[k]; k++) {
            int gi = -1;
            (void)box_gi_create(b, 0, logged[i].ids[k], BOX_ANY, 0, &gi);
            CHECK_INT(gi, ==, logged[i].gis[k]);
        }
        free(b);
    }
}

TEST(mig_mode_on_ampere_waits_for_others)
{
    struct box *b = make("1xa100-80", false);
    struct box_session mine = {.pid = 1}, twin = {.pid = 1}, other = {.pid = 2};
    enum box_status activation = BOX_INVALID;
    box_enter(b, &mine);
    box_enter(b, &twin);
    box_enter(b, &other);
    mine.attached = twin.attached = 1;
    CHECK_INT(box_set_mig(b, &mine, 0, true, &activation), ==, BOX_OK);
    CHECK_INT(activation, ==, BOX_OK);
    CHECK_INT(b->m.gpus[0].mig, ==, MACHINE_MIG_ON);
    other.attached = 1;
    CHECK_INT(box_set_mig(b, &mine, 0, false, &activation), ==, BOX_OK);
    CHECK_INT(activation, ==, BOX_IN_USE);
    CHECK_INT(b->m.gpus[0].mig, ==, MACHINE_MIG_ON);
    CHECK_INT(b->m.gpus[0].mig_pending, ==, MACHINE_MIG_OFF);
    box_leave(b, &other);
    CHECK_INT(box_set_mig(b, &mine, 0, false, &activation), ==, BOX_OK);
    CHECK_INT(activation, ==, BOX_OK);
    CHECK_INT(b->m.gpus[0].mig, ==, MACHINE_MIG_OFF);
    free(b);
}

TEST(mig_mode_elsewhere)
{
    struct box_session mine = {.pid = 1}, other = {.pid = 2, .attached = 1};
    enum box_status activation = BOX_INVALID;
    int gi = -1;
    struct box *b = make("1xh100-sxm", false);
    box_enter(b, &mine);
    box_enter(b, &other);
    CHECK_INT(box_set_mig(b, &mine, 0, true, &activation), ==, BOX_OK);
    CHECK_INT(activation, ==, BOX_OK);
    CHECK_INT(box_gi_create(b, 0, 0, BOX_ANY, 0, &gi), ==, BOX_OK);
    CHECK_INT(box_set_mig(b, &mine, 0, false, &activation), ==, BOX_IN_USE);
    CHECK_INT(b->m.gpus[0].mig_pending, ==, MACHINE_MIG_ON);
    free(b);
    b = make("p4d.24xlarge", false);
    CHECK_INT(box_set_mig(b, &mine, 0, true, &activation), ==, BOX_OK);
    CHECK_INT(activation, ==, BOX_RESET_REQUIRED);
    CHECK_INT(b->m.gpus[0].mig, ==, MACHINE_MIG_OFF);
    CHECK_INT(box_reset(b, 0), ==, BOX_OK);
    CHECK_INT(b->m.gpus[0].mig, ==, MACHINE_MIG_ON);
    free(b);
    b = make("dgx-spark", true);
    CHECK_INT(box_set_mig(b, &mine, 0, true, &activation), ==, BOX_NOT_SUPPORTED);
    CHECK_INT(box_mig_ready(b, 0), ==, BOX_NOT_SUPPORTED);
    free(b);
}

TEST(codes)
{
    struct box *b = make("2xa100-80", true);
    struct box_session s = {.pid = 7};
    enum box_status activation;
    unsigned n = 0;
    int gi = -1, ci = -1;
    box_enter(b, &s);
    CHECK_INT(box_gi_create(b, 9, 19, BOX_ANY, 0, &gi), ==, BOX_NOT_FOUND);
    CHECK_INT(box_gi_create(b, 0, 77, BOX_ANY, 0, &gi), ==, BOX_INVALID);
    CHECK_INT(box_gi_create(b, 0, id_of(b, "3g.40gb"), 4, 4, &gi), ==, BOX_OK);
    CHECK_INT(gi, ==, 2);
    CHECK_INT(box_ci_create(b, 0, gi, 3, BOX_ANY, 0, &ci), ==, BOX_NOT_SUPPORTED);
    CHECK_INT(box_ci_create(b, 0, gi, 99, BOX_ANY, 0, &ci), ==, BOX_INVALID);
    CHECK_INT(box_ci_capacity(b, 0, gi, 0, &n), ==, BOX_OK);
    CHECK_INT(n, ==, 3);
    CHECK_INT(box_ci_create(b, 0, gi, 2, BOX_ANY, 0, &ci), ==, BOX_OK);
    CHECK_INT(box_ci_create(b, 0, gi, 0, BOX_ANY, 0, &ci), ==, BOX_NO_ROOM);
    CHECK_INT(box_gi_capacity(b, 0, id_of(b, "1g.10gb"), &n), ==, BOX_OK);
    CHECK_INT(n, ==, 4);
    CHECK_INT(box_gi_destroy(b, 0, gi), ==, BOX_IN_USE);
    CHECK_INT(box_ci_destroy(b, 0, gi, 0), ==, BOX_OK);
    CHECK_INT(box_hold(b, &s, 0, gi), ==, BOX_OK);
    CHECK_INT(box_gi_destroy(b, 0, gi), ==, BOX_IN_USE);
    box_leave(b, &s);
    CHECK_INT(box_lose(b, 0), ==, BOX_OK);
    CHECK_INT(box_gi_destroy(b, 0, gi), ==, BOX_LOST);
    CHECK_INT(box_set_mig(b, &s, 0, false, &activation), ==, BOX_LOST);
    CHECK_INT(box_reset(b, 0), ==, BOX_OK);
    CHECK_INT(box_gi_destroy(b, 0, gi), ==, BOX_NOT_FOUND);
    free(b);
}

TEST(memory_and_processes)
{
    struct box *b = make("2xa100-80", true);
    struct box_session s = {.pid = 7}, t = {.pid = 8};
    struct box_process rows[4];
    uint64_t total = 0, used = 0;
    int gi = -1, ci = -1;
    box_enter(b, &s);
    box_enter(b, &t);
    CHECK_INT(box_gi_create(b, 0, 19, BOX_ANY, 0, &gi), ==, BOX_OK);
    CHECK_INT(box_ci_create(b, 0, gi, 0, BOX_ANY, 0, &ci), ==, BOX_OK);
    const char *uuid = box_ci(b, 0, gi, ci)->uuid;
    CHECK_INT(box_open(b, &s, uuid, UINT64_C(9000) << 20), ==, BOX_OK);
    CHECK_INT(box_open(b, &t, uuid, UINT64_C(9000) << 20), ==, BOX_NO_MEMORY);
    CHECK_INT(box_open(b, &s, uuid, UINT64_C(100) << 20), ==, BOX_OK);
    CHECK_INT(box_open(b, &t, uuid, UINT64_C(5) << 20), ==, BOX_OK);
    CHECK_INT(box_open(b, &t, b->m.gpus[0].uuid, 0), ==, BOX_NOT_SUPPORTED);
    CHECK_INT(box_open(b, &t, "MIG-none", 0), ==, BOX_NOT_FOUND);
    box_memory(b, 0, gi, &total, &used);
    CHECK_INT(used, ==, INT64_C(9105) << 20);
    CHECK_INT(total >> 20, ==, 9728);
    CHECK_INT(box_processes(b, 0, gi, ci, rows, 4), ==, 2);
    CHECK_INT(rows[0].bytes + rows[1].bytes, ==, INT64_C(9105) << 20);
    CHECK_INT(box_processes(b, 1, BOX_ANY, BOX_ANY, rows, 4), ==, 0);
    CHECK_INT(box_ci_destroy(b, 0, gi, ci), ==, BOX_IN_USE);
    box_leave(b, &s);
    box_leave(b, &t);
    CHECK_INT(box_ci_destroy(b, 0, gi, ci), ==, BOX_OK);
    free(b);
}

TEST(uuids_are_positions)
{
    char a[MACHINE_UUID], b[MACHINE_UUID];
    box_mig_uuid("GPU-x", 1, 2, a);
    box_mig_uuid("GPU-x", 1, 2, b);
    CHECK_STR(a, b);
    CHECK_INT(strlen(a), ==, 40);
    CHECK_INT(a[18], ==, '5');
    CHECK(strchr("89ab", a[23]) != NULL);
    box_mig_uuid("GPU-x", 2, 1, b);
    CHECK(strcmp(a, b) != 0);
    box_mig_uuid("GPU-y", 1, 2, b);
    CHECK(strcmp(a, b) != 0);
}

TEST(indices_that_are_kept_have_holes)
{
    struct box *b = make("1xa100-80", true);
    int gi[4], ci, at_gi, at_ci;
    unsigned gpu;
    for (unsigned i = 0; i < 3; i++) {
        CHECK_INT(box_gi_create(b, 0, 19, BOX_ANY, 1, &gi[i]), ==, BOX_OK);
        CHECK_INT(box_ci_create(b, 0, gi[i], 0, BOX_ANY, 1, &ci), ==, BOX_OK);
    }
    /* Made as 13, 11, 12: in their order 11 is the first. */
    CHECK_INT(box_mig_index(b, 0, gi[1], 0), ==, 0);
    box_keep_indices(b, 0, true);
    CHECK_INT(box_ci_destroy(b, 0, gi[1], 0), ==, BOX_OK);
    CHECK_INT(box_gi_destroy(b, 0, gi[1]), ==, BOX_OK);
    CHECK(!box_mig_at(b, 0, 0, &at_gi, &at_ci));
    CHECK(box_mig_at(b, 0, 1, &at_gi, &at_ci) && at_gi == gi[2]);
    CHECK(box_mig_at(b, 0, 2, &at_gi, &at_ci) && at_gi == gi[0]);
    CHECK(box_find(b, box_ci(b, 0, gi[0], 0)->uuid, &gpu, &at_gi, &at_ci) && at_gi == gi[0]);
    CHECK_INT(box_gi_create(b, 0, 14, BOX_ANY, 2, &gi[3]), ==, BOX_OK);
    CHECK_INT(box_ci_create(b, 0, gi[3], 1, BOX_ANY, 2, &ci), ==, BOX_OK);
    CHECK_INT(box_mig_index(b, 0, gi[3], ci), ==, 0);
    box_keep_indices(b, 0, false);
    CHECK(box_mig_at(b, 0, 2, &at_gi, &at_ci) && !box_mig_at(b, 0, 3, &at_gi, &at_ci));
    free(b);
}

TAP_MAIN
