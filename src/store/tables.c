/* The columns, in the order of schema.sql. A member added to a struct is added here and there (and
 * to the migrations); preparing the statements at open fails if the two disagree. */
#include "store/tables.h"

#include "engine/outcome.h"

static const char *const family_words[] = {[BOARD_AMPERE] = "ampere",
                                           [BOARD_HOPPER] = "hopper",
                                           [BOARD_BLACKWELL] = "blackwell",
                                           [BOARD_OTHER] = "other"};
static const char *const warm_words[] = {
    [WARM_OWNER] = "owner", [WARM_GROUP] = "group", [WARM_ANY] = "any"};
static const char *const rule_words[SCORE_N] = {
#define SCORE(id, name, what) [SCORE_##id] = name,
    SCORE_RULES(SCORE)
#undef SCORE
};
static const char *const pool_words[] = {
    [POOL_ELASTIC] = "elastic", [POOL_SLICED] = "sliced", [POOL_WHOLE] = "whole"};
static const char *const mig_words[] = {
    [MACHINE_MIG_NONE] = "none", [MACHINE_MIG_OFF] = "off", [MACHINE_MIG_ON] = "on"};
static const char *const health_words[] = {
    [MACHINE_OK] = "ok", [MACHINE_NOT_ANSWERING] = "not-answering", [MACHINE_LOST] = "lost"};
static const char *const seat_words[] = {
    [SEAT_CREATING] = "creating", [SEAT_IDLE] = "idle",
    [SEAT_LEASED] = "leased",     [SEAT_DESTROYING] = "destroying",
    [SEAT_FOREIGN] = "foreign",   [SEAT_QUARANTINED] = "quarantined"};
static const char *const state_words[] = {
    [LEASE_QUEUED] = "queued", [LEASE_STARTING] = "starting", [LEASE_ACTIVE] = "active",
    [LEASE_ENDING] = "ending", [LEASE_KILLING] = "killing",   [LEASE_ENDED] = "ended"};
static const char *const why_words[LEASE_WHY_N] = {
    [LEASE_WHY_NONE] = "none",         [LEASE_WHY_DONE] = "done",
    [LEASE_WHY_RELEASED] = "released", [LEASE_WHY_OPERATOR] = "operator",
    [LEASE_WHY_TIME] = "time",         [LEASE_WHY_GAVE_UP] = "gave-up",
    [LEASE_WHY_NO_FIT] = "no-fit",     [LEASE_WHY_FAILED] = "failed",
    [LEASE_WHY_LOST] = "lost",         [LEASE_WHY_VANISHED] = "vanished",
    [LEASE_WHY_RESTART] = "restart",   [LEASE_WHY_FORCED] = "forced"};
static const char *const kind_words[] = {
    [SLICE_GI] = "gi", [SLICE_WHOLE] = "whole", [SLICE_CI] = "ci", [SLICE_SHARE] = "share"};
static const char *const bind_words[] = {
    [BIND_NONE] = "none", [BIND_PID] = "pid",         [BIND_LEASE] = "lease",
    [BIND_USER] = "user", [BIND_SESSION] = "session", [BIND_CGROUP] = "cgroup",
    [BIND_KEY] = "key"};

#define AT(s, member, row_kind)                                                                    \
#member, row_kind, offsetof(struct s, member), sizeof(((struct s *)0)->member)
#define INT(s, member)                                                                             \
    {                                                                                              \
        AT(s, member, ROW_INT)                                                                     \
    }
#define UINT(s, member)                                                                            \
    {                                                                                              \
        AT(s, member, ROW_UINT)                                                                    \
    }
#define TEXT(s, member)                                                                            \
    {                                                                                              \
        AT(s, member, ROW_TEXT)                                                                    \
    }
#define OWNER(s, member)                                                                           \
    {                                                                                              \
        AT(s, member, ROW_OWNER)                                                                   \
    }
#define WORD(s, member, list)                                                                      \
    {                                                                                              \
        AT(s, member, ROW_WORD), list, ARRAY_LEN(list)                                             \
    }
#define TABLE(array) array, ARRAY_LEN(array)

static const struct column board_columns[] = {
    TEXT(board, name),           TEXT(board, product),
    UINT(board, pci_id),         WORD(board, family, family_words),
    UINT(board, cc_major),       UINT(board, cc_minor),
    UINT(board, complete),       UINT(board, memory_slices),
    UINT(board, compute_slices), UINT(board, sms),
    UINT(board, total_mib),
};
const struct row_table table_boards = {"boards", {"board"}, TABLE(board_columns)};

static const struct column profile_columns[] = {
    UINT(profile, nvml),   UINT(profile, id),   UINT(profile, compute), UINT(profile, size),
    UINT(profile, starts), UINT(profile, max),  UINT(profile, ce),      UINT(profile, dec),
    UINT(profile, enc),    UINT(profile, jpeg), UINT(profile, ofa),     UINT(profile, l2),
    UINT(profile, l2_of),  UINT(profile, sms),  UINT(profile, mib),     TEXT(profile, suffix),
};
const struct row_table table_profiles = {"profiles", {"board", "n"}, TABLE(profile_columns)};

static const struct column policy_columns[] = {
    INT(policy, default_for),
    INT(policy, max_for),
    INT(policy, grace),
    INT(policy, idle_keep),
    WORD(policy, warm_reuse, warm_words),
    UINT(policy, queue_max),
    UINT(policy, no_backfill),
    WORD(policy, rule, rule_words),
    {"mix_low", ROW_UINT, offsetof(struct policy, mix.word[0]), sizeof(uint64_t)},
    {"mix_high", ROW_UINT, offsetof(struct policy, mix.word[1]), sizeof(uint64_t)},
    INT(policy, rule_since),
    UINT(policy, vote_jobs),
    UINT(policy, vote_for),
    INT(policy, vote_gain),
    INT(policy, vote_noise),
};
const struct row_table table_policy = {"policy", {"one"}, TABLE(policy_columns)};

static const struct column gpu_columns[] = {
    UINT(gpu, board),
    UINT(gpu, present),
    UINT(gpu, managed),
    UINT(gpu, drained),
    UINT(gpu, drain_reason),
    UINT(gpu, fixed),
    WORD(gpu, pool, pool_words),
    WORD(gpu, mig, mig_words),
    WORD(gpu, health, health_words),
    UINT(gpu, mode_changing),
    UINT(gpu, mode_wanted),
    UINT(gpu, mode_op),
    UINT(gpu, op_n),
    INT(gpu, mode_retry_at),
    UINT(gpu, whole_lease),
    INT(gpu, lost_at),
    {AT(gpu, layout_fixed, ROW_PLACES)},
    {"layout_busy", ROW_UINT, offsetof(struct gpu, layout_fixed.busy), sizeof(slices)},
};
const struct row_table table_gpus = {"gpus", {"gpu"}, TABLE(gpu_columns)};

static const struct column seat_columns[] = {
    WORD(seat, state, seat_words),
    UINT(seat, profile),
    UINT(seat, start),
    UINT(seat, size),
    UINT(seat, gi),
    UINT(seat, ci),
    UINT(seat, fixed),
    UINT(seat, tries),
    UINT(seat, lease),
    UINT(seat, op),
    OWNER(seat, last),
    UINT(seat, last_gid),
    UINT(seat, used),
    INT(seat, since),
    INT(seat, retry_at),
};
const struct row_table table_seats = {"seats", {"gpu", "n"}, TABLE(seat_columns)};

static const struct column lease_columns[] = {
    WORD(lease, state, state_words),
    WORD(lease, why, why_words),
    UINT(lease, revision),
    OWNER(lease, owner),
    UINT(lease, asker_uid),
    UINT(lease, gid),
    WORD(lease, kind, kind_words),
    UINT(lease, count),
    {AT(lease, profile_on, ROW_LIST)},
    INT(lease, gpu),
    UINT(lease, gpus),
    INT(lease, start),
    INT(lease, priority),
    UINT(lease, movable),
    UINT(lease, bytes),
    UINT(lease, compute_ppt),
    UINT(lease, key),
    INT(lease, for_ns),
    INT(lease, grace_ns),
    INT(lease, wait_until),
    UINT(lease, limit_slices),
    UINT(lease, limit_compute),
    WORD(lease, bind, bind_words),
    INT(lease, bind_pid),
    UINT(lease, tree),
    UINT(lease, stay),
    UINT(lease, bind_start),
    UINT(lease, bind_ref),
    INT(lease, asked_at),
    INT(lease, started_at),
    INT(lease, ends_at),
    INT(lease, term_at),
    INT(lease, kill_at),
    INT(lease, ended_at),
    UINT(lease, warned),
    UINT(lease, signal),
    UINT(lease, signalled),
    INT(lease, signal_before),
    UINT(lease, tries),
};
const struct row_table table_leases = {"leases", {"lease"}, TABLE(lease_columns)};

static const struct column slice_columns[] = {
    UINT(lease_slice, gpu), UINT(lease_slice, profile), UINT(lease_slice, start),
    UINT(lease_slice, gi),  UINT(lease_slice, ci),      UINT(lease_slice, made),
};
const struct row_table table_slices = {"lease_slices", {"lease", "n"}, TABLE(slice_columns)};
