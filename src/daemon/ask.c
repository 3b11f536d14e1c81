/* From the JSON of a request to what the engine is asked: names become numbers, needs become
 * profiles, and whatever can be refused without the engine is refused with a next step. */
#include "base/str.h"
#include "base/time.h"
#include "daemon/call.h"
#include "daemon/driver.h"
#include "proc/cgroup.h"
#include "text/field.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The body as read, before it means anything. */
struct body {
    const char *profile, *compute, *gpu, *bind, *owner, *key, *command, *door, *signal;
    uint64_t bytes;
    int64_t gpus, count, start, priority, for_ns, grace_ns, wait_ns;
    bool movable, stay, async, has_for;
};

static int read_body(const struct call *c, struct body *b, struct error *err)
{
    *b = (struct body){.start = REQUEST_ANY, .grace_ns = -1, .wait_ns = TIME_NEVER, .count = 1};
    const struct field fields[] = {
        {"profile", FIELD_STRING, &b->profile, .max = BOARD_PROFILE_NAME - 1},
        {"memory", FIELD_BYTES, &b->bytes},
        {"compute", FIELD_STRING, &b->compute, .max = 16},
        {"gpus", FIELD_INT, &b->gpus, .min = 1, .max = REQUEST_SLICES},
        {"count", FIELD_INT, &b->count, .min = 1, .max = REQUEST_SLICES},
        {"gpu", FIELD_STRING, &b->gpu, .max = MACHINE_UUID},
        {"start", FIELD_INT, &b->start, .min = 0, .max = 15},
        {"for", FIELD_DURATION, &b->for_ns, .found = &b->has_for},
        {"wait", FIELD_DURATION, &b->wait_ns},
        {"grace", FIELD_DURATION, &b->grace_ns},
        {"priority", FIELD_INT, &b->priority, .min = -1000, .max = 1000},
        {"movable", FIELD_BOOL, &b->movable},
        {"bind", FIELD_STRING, &b->bind, .max = 300},
        {"owner", FIELD_STRING, &b->owner, .max = 100},
        {"key", FIELD_STRING, &b->key, .max = REQUEST_KEY - 1},
        {"command", FIELD_STRING, &b->command, .max = 4096},
        {"door", FIELD_STRING, &b->door, .max = 32},
        {"signal", FIELD_STRING, &b->signal, .max = 40},
        {"stay", FIELD_BOOL, &b->stay},
        {"async", FIELD_BOOL, &b->async},
    };
    struct field_at root = {.what = "request"};
    return field_read(&root, c->body, fields, ARRAY_LEN(fields), err);
}

/* ---- what is asked for ---- */

static int no_gpu(struct daemon *d, struct error *err)
{
    unsigned managed = 0, present = 0;
    for (unsigned i = 0; i < world_gpu_n(d->world); i++) {
        const struct gpu *g = world_gpu(d->world, i);
        managed += g && g->managed;
        present += g && g->present;
    }
    if (managed > 0 && present > 0)
        return 0;
    if (managed > 0)
        return error_set(err, ERROR_DRIVER_LOST, "the GPUs of this machine do not answer: %s",
                         driver_trouble(d)[0] ? driver_trouble(d) : "the driver shows none");
    if (present > 0) {
        AUTO_STR struct str held = {0};
        show_instances(d, &held);
        return error_set(err, ERROR_NEVER,
                         "none of the %u GPUs of this machine is managed by fetta; an operator "
                         "types 'fetta manage all'; on them now: %s",
                         present, held.text ? held.text : "see 'fetta status'");
    }
    return error_set(err, ERROR_NEVER,
                     "no GPU on this machine (%s); without one, try "
                     "'fetta emulate dgx-a100 -- CMD'",
                     driver_trouble(d)[0] ? driver_trouble(d) : "the driver shows none");
}

static void list_profiles(struct daemon *d, const char *near, struct str *ret)
{
    char names[MACHINE_BOARDS * BOARD_PROFILES][BOARD_PROFILE_NAME];
    const char *pointers[MACHINE_BOARDS * BOARD_PROFILES];
    size_t n = 0;
    for (unsigned i = 0; i < world_board_n(d->world); i++) {
        const struct board *b = world_board(d->world, i);
        for (unsigned p = 0; p < b->profile_n; p++) {
            pointers[n] = board_profile_name(b, &b->profiles[p], names[n]);
            bool known = false;
            for (size_t k = 0; k < n; k++)
                known = known || strcmp(names[k], names[n]) == 0;
            n += !known;
        }
    }
    const char *nearest = str_nearest(near, pointers, n);
    if (nearest)
        str_add(ret, nearest);
    for (size_t i = 0; i < n; i++)
        if (pointers[i] != nearest)
            str_addf(ret, "%s%s", ret->len ? ", " : "", pointers[i]);
}

static int unknown_profile(struct daemon *d, const char *name, struct error *err)
{
    AUTO_STR struct str known = {0};
    list_profiles(d, name, &known);
    if (known.len == 0)
        return error_set(err, ERROR_NEVER,
                         "no GPU of this machine can be cut into slices (no MIG), so there is no "
                         "'%s' here; ask for whole GPUs with --gpus 1",
                         name);
    unsigned n = 0;
    const struct board *all = board_all(&n);
    for (unsigned i = 0; i < n; i++)
        if (board_profile_by_name(&all[i], name) != BOARD_NO_PROFILE)
            return error_set(err, ERROR_NEVER,
                             "'%s' is a profile of %s, which is not in this machine; here are: %s",
                             name, all[i].name, known.text);
    return error_set(err, ERROR_INVALID, "there is no profile '%s'; this machine has: %s", name,
                     known.text);
}

static int resolve_name(struct daemon *d, const char *name, struct lease *l, struct error *err)
{
    bool any = false;
    for (unsigned i = 0; i < world_board_n(d->world); i++) {
        unsigned p = board_profile_by_name(world_board(d->world, i), name);
        l->profile_on[i] = (uint8_t)p;
        any = any || p != BOARD_NO_PROFILE;
    }
    return any ? 0 : unknown_profile(d, name, err);
}

/* The largest plain profile that is just too small for a wish; NULL if the wish is not just above
 * one. Of equal memory the one with more compute. */
static const struct profile *just_below(const struct board *b, uint64_t bytes)
{
    const struct profile *best = NULL;
    for (unsigned i = 0; i < b->profile_n; i++) {
        const struct profile *p = &b->profiles[i];
        uint64_t has = (uint64_t)p->mib << 20;
        bool just = p->suffix[0] == '\0' && has < bytes && has >= bytes - bytes / 8;
        if (just && (!best || p->mib > best->mib ||
                     (p->mib == best->mib && p->compute > best->compute)))
            best = p;
    }
    return best;
}

/* Whether a slice of this profile could be had at once. */
static bool free_now(struct call *c, unsigned board, unsigned profile)
{
    struct lease ask = {.kind = SLICE_GI,
                        .count = 1,
                        .gpu = REQUEST_ANY,
                        .start = REQUEST_ANY,
                        .owner = {.kind = OWNER_UID, .id = c->who.uid},
                        .asker_uid = c->who.uid};
    memset(ask.profile_on, BOARD_NO_PROFILE, sizeof ask.profile_on);
    ask.profile_on[board] = (uint8_t)profile;
    struct lease_slice at;
    return engine_verdict(c->daemon->world, &ask, lease_clock_now(c->daemon), &at) == VERDICT_FITS;
}

/* "20 GiB needs 3g.40gb; 2g.20gb has 19.5 GiB and is free now"; of several such smaller slices
 * rather one that is free. */
static void hint_smaller(struct call *c, const struct board *chosen_on, unsigned chosen,
                         uint64_t bytes)
{
    char names[2][BOARD_PROFILE_NAME];
    bool now = false;
    for (unsigned i = 0; i < world_board_n(c->daemon->world) && !now; i++) {
        const struct board *b = world_board(c->daemon->world, i);
        const struct profile *below = just_below(b, bytes);
        if (!below)
            continue;
        now = free_now(c, i, (unsigned)(below - b->profiles));
        if (!now && c->hint[0])
            continue;
        (void)snprintf(c->hint, sizeof c->hint, "%.4g GiB needs %s; %s has %.4g GiB%s",
                       (double)bytes / (1 << 30),
                       board_profile_name(chosen_on, &chosen_on->profiles[chosen], names[0]),
                       board_profile_name(b, below, names[1]), below->mib / 1024.0,
                       now ? " and is free now" : "");
    }
}

static int no_such_need(struct daemon *d, const struct body *b, struct error *err)
{
    double largest = 0;
    bool incomplete = false;
    char part[64] = "";
    for (unsigned i = 0; i < world_board_n(d->world); i++) {
        const struct board *board = world_board(d->world, i);
        for (unsigned k = 0; k < board->profile_n; k++)
            largest = MAX(largest, board->profiles[k].mib / 1024.0);
        incomplete = incomplete || (board->profile_n > 0 && !board->complete);
    }
    if (largest == 0 && incomplete)
        return error_set(err, ERROR_NEVER,
                         "the figures of the boards of this machine are incomplete, so none is cut "
                         "into slices; ask for whole GPUs with --gpus 1");
    if (largest == 0)
        return error_set(err, ERROR_NEVER,
                         "no GPU of this machine can be cut into slices (no MIG), whatever the "
                         "need; ask for whole GPUs with --gpus 1");
    if (b->compute)
        (void)snprintf(part, sizeof part, " with %s of a GPU's compute", b->compute);
    return error_set(err, ERROR_NEVER, "no slice has %.4g GiB%s; the largest has %.4g GiB",
                     (double)b->bytes / (1 << 30), part, largest);
}

/* The smallest profile of each board that has it; the engine takes the smallest that is free of
 * them all. */
static int resolve_need(struct call *c, const struct body *b, struct lease *l, struct error *err)
{
    struct daemon *d = c->daemon;
    const struct board *least_on = NULL;
    unsigned least = BOARD_NO_PROFILE;
    int r = b->compute ? request_parse_compute(b->compute, "compute", &l->compute_ppt, err) : 0;
    if (r < 0)
        return r;
    if (b->bytes && b->bytes < 1 << 20)
        return error_set(err, ERROR_INVALID,
                         "memory: %llu bytes is less than any program needs; write it with a unit, "
                         "such as 18GiB",
                         (unsigned long long)b->bytes);
    l->bytes = b->bytes;
    for (unsigned i = 0; i < world_board_n(d->world); i++) {
        const struct board *board = world_board(d->world, i);
        unsigned p = board_profile_by_need(board, b->bytes, l->compute_ppt);
        l->profile_on[i] = (uint8_t)p;
        if (p == BOARD_NO_PROFILE ||
            (least_on && least_on->profiles[least].mib <= board->profiles[p].mib))
            continue;
        least_on = board;
        least = p;
    }
    if (!least_on)
        return no_such_need(d, b, err);
    if (b->bytes)
        hint_smaller(c, least_on, least, b->bytes);
    return 0;
}

/* The wish as lists and history show it to people. */
static void describe_wish(const struct body *b, struct ask_text *t)
{
    if (b->gpus)
        (void)snprintf(t->asked_for, sizeof t->asked_for, "%d GPU%s", (uint8_t)b->gpus,
                       b->gpus > 1 ? "s" : "");
    else if (b->profile)
        (void)snprintf(t->asked_for, sizeof t->asked_for, "%s", b->profile);
    else
        (void)snprintf(t->asked_for, sizeof t->asked_for, "%.4g GiB%s%s",
                       (double)b->bytes / (1 << 30), b->compute ? ", compute " : "",
                       b->compute ? b->compute : "");
}

static int read_wish(struct call *c, const struct body *b, struct lease *l, struct ask_text *t,
                     struct error *err)
{
    int ways = (b->profile != NULL) + (b->bytes != 0 || b->compute != NULL) + (b->gpus != 0);
    if (ways != 1)
        return error_set(err, ERROR_INVALID,
                         "say what is wanted in one way: a profile, or memory and compute, or "
                         "gpus");
    memset(l->profile_on, BOARD_NO_PROFILE, sizeof l->profile_on);
    l->kind = b->gpus ? SLICE_WHOLE : SLICE_GI;
    l->count = (uint8_t)(b->gpus ? b->gpus : b->count);
    if (b->gpus && b->count != 1)
        return error_set(err, ERROR_INVALID, "count goes with slices; gpus says how many GPUs");
    describe_wish(b, t);
    int r = no_gpu(c->daemon, err);
    if (r == 0 && b->profile)
        r = resolve_name(c->daemon, b->profile, l, err);
    else if (r == 0 && !b->gpus)
        r = resolve_need(c, b, l, err);
    return r;
}

static int read_place(struct call *c, const struct body *b, struct lease *l, struct error *err)
{
    l->gpu = REQUEST_ANY;
    l->start = (int16_t)b->start;
    if (!b->gpu) {
        if (b->start != REQUEST_ANY)
            return error_set(err, ERROR_INVALID, "start goes with gpu");
        return 0;
    }
    uint64_t slots = 0;
    int r = call_gpus(c, b->gpu, &slots, err);
    if (r < 0)
        return r;
    if (slots == 0)
        return error_set(err, ERROR_INVALID,
                         "gpu names GPUs by index (0, 0-3, 1,5) or one by UUID, not '%s'", b->gpu);
    bool one = (slots & (slots - 1)) == 0;
    if (!one && b->start != REQUEST_ANY)
        return error_set(err, ERROR_INVALID, "start goes with one GPU, not with '%s'", b->gpu);
    l->gpu = one ? __builtin_ctzll(slots) : REQUEST_ANY;
    l->gpus = one ? 0 : slots;
    return 0;
}

/* ---- who, and what it lives with ---- */

static int read_owner(struct call *c, const struct body *b, struct lease *l, struct error *err)
{
    l->asker_uid = c->who.uid;
    l->owner = (struct owner){.kind = OWNER_UID, .id = c->who.uid};
    if (!b->owner)
        return 0;
    int r = call_need_root(c, err);
    if (r == 0)
        r = owner_check_name(b->owner, err);
    l->owner.kind = OWNER_NAMED;
    return r < 0 ? r : store_intern(c->daemon->store, b->owner, &l->owner.id, err);
}

static int bind_to_pid(struct call *c, struct lease *l, int pid, struct error *err)
{
    struct proc_id who;
    int r = proc_identify(pid, &who, err);
    if (r < 0)
        return r;
    if (who.uid != c->who.uid && !c->who.operator_)
        return error_set(err, ERROR_NO_PERMISSION, "process %d belongs to another user", pid);
    l->bind_pid = pid;
    l->bind_start = who.start;
    return 0;
}

static int bind_to_text(struct call *c, struct lease *l, enum bind_kind kind, const char *text,
                        struct error *err)
{
    char dir[CGROUP_PATH];
    int r = kind == BIND_CGROUP ? cgroup_resolve(text, dir, err) : 0;
    l->bind = kind;
    return r < 0 ? r : store_intern(c->daemon->store, text, &l->bind_ref, err);
}

static int bind_to_session(struct call *c, struct lease *l, struct error *err)
{
    int session = proc_session(c->who.pid);
    l->bind_ref = session > 0 ? (uint32_t)session : 0;
    return session > 0 ? 0 : error_set(err, ERROR_INVALID, "the caller has no session");
}

/* The words that stand alone. */
static int bind_to_word(struct call *c, const struct body *b, struct lease *l, const char *word,
                        struct error *err)
{
    static const struct {
        const char *word;
        enum bind_kind kind;
    } words[] = {
        {"pid", BIND_PID},         {"lease", BIND_LEASE}, {"user", BIND_USER},
        {"session", BIND_SESSION}, {"none", BIND_NONE},
    };
    size_t i = 0;
    while (i < ARRAY_LEN(words) && strcmp(word, words[i].word) != 0)
        i++;
    if (i == ARRAY_LEN(words))
        return error_set(err, ERROR_INVALID,
                         "bind: '%s' is none of user, session, pid, pid:N, cgroup:PATH, key:NAME, "
                         "lease, none",
                         word);
    l->bind = words[i].kind;
    l->tree = l->bind == BIND_PID || l->bind == BIND_LEASE;
    if (l->bind == BIND_SESSION)
        return bind_to_session(c, l, err);
    if (l->bind == BIND_NONE && b->for_ns == 0)
        return error_set(err, ERROR_INVALID,
                         "a lease bound to nothing needs an end; add --for, such as --for 2h");
    return 0;
}

static int read_bind(struct call *c, const struct body *b, struct lease *l, struct error *err)
{
    const char *bind = b->bind ? b->bind : "pid";
    l->bind = BIND_PID;
    l->stay = b->stay;
    int r = c->asker.pid ? 0 : proc_identify(c->who.pid, &c->asker, err);
    if (r < 0)
        return r;
    l->bind_pid = c->asker.pid;
    l->bind_start = c->asker.start;
    if (strncmp(bind, "pid:", 4) == 0) {
        char *end;
        long pid = strtol(bind + 4, &end, 10);
        if (*end || pid < 1 || pid > INT32_MAX)
            return error_set(err, ERROR_INVALID, "bind: '%s' does not name a process", bind);
        return bind_to_pid(c, l, (int)pid, err);
    }
    if (strncmp(bind, "cgroup:", 7) == 0)
        return bind_to_text(c, l, BIND_CGROUP, bind + 7, err);
    if (strncmp(bind, "key:", 4) == 0)
        return bind_to_text(c, l, BIND_KEY, bind + 4, err);
    return bind_to_word(c, b, l, bind, err);
}

static int read_key(struct call *c, const struct body *b, struct lease *l, struct error *err)
{
    if (l->bind == BIND_KEY)
        l->key = l->bind_ref;
    if (!b->key)
        return 0;
    if (b->key[0] == '\0')
        return error_set(err, ERROR_INVALID, "key: an empty key names nothing");
    return store_intern(c->daemon->store, b->key, &l->key, err);
}

static int signal_number(const char *name, size_t n)
{
    if (n > 3 && strncmp(name, "SIG", 3) == 0)
        return signal_number(name + 3, n - 3);
    for (int s = 1; s < NSIG; s++) {
        const char *abbreviation = sigabbrev_np(s);
        if (abbreviation && strlen(abbreviation) == n && strncmp(abbreviation, name, n) == 0)
            return s;
    }
    return 0;
}

/* "USR1@10m": which signal, how long before the end. */
static int read_signal(const struct body *b, struct lease *l, struct error *err)
{
    if (!b->signal)
        return 0;
    const char *at = strchr(b->signal, '@');
    int number = at ? signal_number(b->signal, (size_t)(at - b->signal)) : 0;
    if (number == 0)
        return error_set(err, ERROR_INVALID,
                         "signal: '%s' is not SIGNAL@TIME, such as USR1@10m", b->signal);
    l->signal = (uint8_t)number;
    return time_parse(at + 1, "signal", &l->signal_before, err);
}

/* ---- limits ---- */

static size_t groups_of(int pid, uint32_t *ret, size_t room)
{
    char path[64], line[4096];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    while (n == 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, "Groups:", 7) != 0)
            continue;
        char *at = line + 7;
        for (char *end; n < room; at = end) {
            unsigned long gid = strtoul(at, &end, 10);
            if (end == at)
                break;
            ret[n++] = (uint32_t)gid;
        }
    }
    (void)fclose(f);
    return n;
}

static int apply_limits(struct call *c, const struct body *b, struct lease *l, struct error *err)
{
    uint32_t gids[65] = {c->who.gid};
    bool matter = c->daemon->config.quota_n > 0;
    size_t n = 1 + (matter ? groups_of(c->who.pid, gids + 1, ARRAY_LEN(gids) - 1) : 0);
    struct config_quota q = config_quota(&c->daemon->config, c->who.uid, gids, n);
    l->limit_slices = q.slices;
    l->limit_compute = q.compute;
    if (b->priority > 0) {
        int r = call_need_operator(c, "ask with a priority above 0", err);
        if (r < 0)
            return r;
    }
    if (b->has_for && b->for_ns == 0)
        return error_set(err, ERROR_INVALID, "for: a lease lasts longer than 0; such as 2h");
    if (q.max_for && b->for_ns > q.max_for) {
        char text[TIME_TEXT];
        return error_set(err, ERROR_INVALID, "for: your leases last at most %s",
                         time_format(q.max_for, text));
    }
    int64_t usual = c->daemon->config.policy.default_for;
    l->for_ns = b->for_ns ? b->for_ns : q.max_for && usual > q.max_for ? q.max_for : 0;
    return 0;
}

int ask_read(struct call *c, struct event *ret, struct ask_text *ret_text, struct error *err)
{
    struct body b;
    *ret = (struct event){.kind = EVENT_ASK};
    *ret_text = (struct ask_text){0};
    struct lease *l = &ret->ask.lease;
    int r = read_body(c, &b, err);
    if (r == 0)
        r = read_owner(c, &b, l, err);
    if (r == 0)
        r = read_bind(c, &b, l, err);
    if (r == 0)
        r = read_key(c, &b, l, err);
    if (r == 0)
        r = read_signal(&b, l, err);
    if (r == 0)
        r = apply_limits(c, &b, l, err);
    if (r == 0)
        r = read_place(c, &b, l, err);
    if (r == 0)
        r = read_wish(c, &b, l, ret_text, err);
    l->priority = (int16_t)b.priority;
    l->movable = b.movable;
    l->grace_ns = b.grace_ns;
    int64_t now = lease_clock_now(c->daemon);
    l->wait_until = b.wait_ns == TIME_NEVER ? TIME_NEVER : now + b.wait_ns;
    if (b.wait_ns == 0)
        l->wait_until = 0; /* now or never: already over when the engine looks */
    ret->ask.gid = c->who.gid;
    ret_text->command = b.command ? b.command : "";
    ret_text->door = b.door ? b.door : "api";
    ret_text->async = b.async;
    return r;
}
