/* The store's contract without a disk. A transaction is a list of what to do, done at commit;
 * every array is made large enough while writing, so that a commit cannot fail half-way. */
#include "store/ops.h"
#include "store/past.h"

#include "base/str.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct past {
    struct lease lease;
    bool written; /* false while only its texts are there */
    char *command, *profile, *left;
    int64_t asked, started, ended; /* wall */
    int exit_status;
    struct store_peak peak;
};

enum op_kind { OP_CHANGE, OP_BOOT, OP_TEXT, OP_EXIT, OP_LEFT, OP_PEAK };

struct op {
    enum op_kind kind;
    struct change *change;
    int64_t wall;
    uint32_t lease;
    int status;
    struct store_peak peak;
    char *a, *b; /* boot id; command and profile; what was left behind */
};

struct memory {
    struct store store; /* first */
    struct past *pasts; /* in order of id */
    size_t past_n, past_room;
    struct gpu gpus[MACHINE_GPUS];
    bool has_gpu[MACHINE_GPUS], has_board[MACHINE_BOARDS], has_policy;
    struct board boards[MACHINE_BOARDS];
    struct policy policy;
    uint32_t next_id;
    char boot[64];
    struct op *ops;
    size_t op_n, op_room;
};

static struct memory *of(struct store *s)
{
    return (struct memory *)s;
}

static int no_memory(struct error *err)
{
    return error_set(err, ERROR_NO_MEMORY, "out of memory");
}

/* Room for one more element of `size` bytes beyond `n`. */
static bool reserve(void **at, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return true;
    size_t more = MAX(*room * 2, MAX(n + 1, (size_t)16));
    void *grown = reallocarray(*at, more, size);
    if (!grown)
        return false;
    *at = grown;
    *room = more;
    return true;
}

/* Takes over what `op` owns, also when it fails. */
static int stage(struct memory *m, struct op op, struct error *err)
{
    bool room = reserve((void **)&m->ops, m->op_n, &m->op_room, sizeof(*m->ops)) &&
                reserve((void **)&m->pasts, m->past_n + m->op_n, &m->past_room, sizeof(*m->pasts));
    bool whole = (op.kind != OP_CHANGE || op.change) && (op.kind != OP_BOOT || op.a) &&
                 (op.kind != OP_TEXT || (op.a && op.b));
    if (room && whole) {
        m->ops[m->op_n++] = op;
        return 0;
    }
    free(op.change);
    free(op.a);
    free(op.b);
    return no_memory(err);
}

/* Index of the lease, or of where it belongs. */
static size_t position(const struct memory *m, uint32_t id)
{
    size_t low = 0, high = m->past_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->pasts[middle].lease.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct past *find(struct memory *m, uint32_t id)
{
    size_t at = position(m, id);
    return at < m->past_n && m->pasts[at].lease.id == id ? &m->pasts[at] : NULL;
}

/* The lease's entry, a new one if needed; room was made by stage. */
static struct past *entry(struct memory *m, uint32_t id)
{
    struct past *p = find(m, id);
    if (p)
        return p;
    size_t at = position(m, id);
    memmove(&m->pasts[at + 1], &m->pasts[at], (m->past_n - at) * sizeof(*m->pasts));
    m->pasts[at] = (struct past){.exit_status = -1};
    m->pasts[at].lease.id = id;
    m->past_n++;
    return &m->pasts[at];
}

static void do_lease(struct memory *m, const struct lease *l, int64_t wall)
{
    struct past *p = entry(m, l->id);
    struct lease old = p->lease;
    p->lease = *l;
    p->written = true;
    if (l->state == LEASE_ENDED && l->slice_n == 0) {
        memcpy(p->lease.slices, old.slices, sizeof(old.slices));
        p->lease.slice_n = old.slice_n;
    }
    p->asked = p->asked ? p->asked : wall;
    if (!p->started && l->started_at != 0)
        p->started = wall;
    if (!p->ended && l->state == LEASE_ENDED)
        p->ended = wall;
}

static void do_change(struct memory *m, const struct change *c, int64_t wall)
{
    switch (c->kind) {
    case CHANGE_LEASE:
        do_lease(m, &c->lease, wall);
        break;
    case CHANGE_GPU:
        m->gpus[c->gpu.slot] = c->gpu;
        m->has_gpu[c->gpu.slot] = true;
        break;
    case CHANGE_BOARD:
        m->boards[c->board.index] = c->board.board;
        m->has_board[c->board.index] = true;
        break;
    case CHANGE_POLICY:
        m->policy = c->policy;
        m->has_policy = true;
        break;
    case CHANGE_NEXT_ID:
        m->next_id = c->next_id;
        break;
    }
}

static void do_op(struct memory *m, struct op *op)
{
    struct past *p;
    switch (op->kind) {
    case OP_CHANGE:
        do_change(m, op->change, op->wall);
        break;
    case OP_BOOT:
        (void)str_copy(m->boot, sizeof(m->boot), op->a);
        break;
    case OP_TEXT:
        p = entry(m, op->lease);
        free(p->command);
        free(p->profile);
        p->command = STEAL(op->a);
        p->profile = STEAL(op->b);
        break;
    case OP_EXIT:
        p = find(m, op->lease);
        if (p)
            p->exit_status = op->status;
        break;
    case OP_LEFT:
        p = find(m, op->lease);
        if (!p)
            break;
        free(p->left);
        p->left = STEAL(op->a);
        break;
    case OP_PEAK:
        p = find(m, op->lease);
        if (p)
            p->peak = op->peak;
        break;
    }
}

static void forget(struct store *s)
{
    struct memory *m = of(s);
    for (size_t i = 0; i < m->op_n; i++) {
        free(m->ops[i].change);
        free(m->ops[i].a);
        free(m->ops[i].b);
    }
    m->op_n = 0;
}

static int commit(struct store *s, struct error *err)
{
    struct memory *m = of(s);
    (void)err;
    for (size_t i = 0; i < m->op_n; i++)
        do_op(m, &m->ops[i]);
    forget(s);
    return 0;
}

static int begin(struct store *s, struct error *err)
{
    (void)s;
    (void)err;
    return 0;
}

static int write_change(struct store *s, const struct change *c, int64_t wall, struct error *err)
{
    bool fits = (c->kind != CHANGE_GPU || c->gpu.slot < MACHINE_GPUS) &&
                (c->kind != CHANGE_BOARD || c->board.index < MACHINE_BOARDS);
    if (!fits)
        return error_set(err, ERROR_STORE, "more GPUs or boards than one machine has");
    struct change *copy = malloc(sizeof(*copy));
    if (copy)
        *copy = *c;
    return stage(of(s), (struct op){.kind = OP_CHANGE, .change = copy, .wall = wall}, err);
}

static int set_boot(struct store *s, const char *boot_id, struct error *err)
{
    return stage(of(s), (struct op){.kind = OP_BOOT, .a = strdup(boot_id)}, err);
}

static int set_text(struct store *s, const struct store_text *t, struct error *err)
{
    struct op op = {.kind = OP_TEXT, .lease = t->lease, .a = strdup(t->command)};
    op.b = strdup(t->profile);
    return stage(of(s), op, err);
}

/* A lease written earlier in this transaction counts as there. */
static int need_lease(struct memory *m, uint32_t lease, struct error *err)
{
    bool there = find(m, lease) != NULL;
    for (size_t i = 0; i < m->op_n && !there; i++)
        there = m->ops[i].kind == OP_CHANGE && m->ops[i].change->kind == CHANGE_LEASE &&
                m->ops[i].change->lease.id == lease;
    if (!there)
        return error_set(err, ERROR_NOT_FOUND, "there is no lease %" PRIu32, lease);
    return 0;
}

static int set_exit(struct store *s, uint32_t lease, int status, struct error *err)
{
    int result = need_lease(of(s), lease, err);
    struct op op = {.kind = OP_EXIT, .lease = lease, .status = status};
    return result ? result : stage(of(s), op, err);
}

static int set_left(struct store *s, uint32_t lease, const char *lines, struct error *err)
{
    int result = need_lease(of(s), lease, err);
    if (result)
        return result;
    return stage(of(s), (struct op){.kind = OP_LEFT, .lease = lease, .a = strdup(lines)}, err);
}

static int set_peak(struct store *s, uint32_t lease, const struct store_peak *peak,
                    struct error *err)
{
    int result = need_lease(of(s), lease, err);
    return result ? result
                  : stage(of(s), (struct op){.kind = OP_PEAK, .lease = lease, .peak = *peak}, err);
}

static int audit(struct store *s, int64_t wall, uint32_t lease, uint32_t uid, const char *what,
                 struct error *err)
{
    (void)s, (void)wall, (void)lease, (void)uid, (void)what, (void)err;
    return 0; /* nobody reads it back */
}

static int save_name(struct store *s, struct names *names, uint32_t index, struct error *err)
{
    (void)s, (void)names, (void)index, (void)err;
    return 0;
}

static int load(struct store *s, struct world *w, char ret_boot[64], struct error *err)
{
    struct memory *m = of(s);
    AUTO_FREE struct change *c = calloc(1, sizeof(*c));
    if (!c)
        return no_memory(err);
    (void)str_copy(ret_boot, 64, m->boot);
    for (uint8_t i = 0; i < MACHINE_BOARDS; i++) {
        c->kind = CHANGE_BOARD;
        c->board.index = i;
        c->board.board = m->boards[i];
        if (m->has_board[i])
            store_apply(w, c);
    }
    if (m->has_policy) {
        *c = (struct change){.kind = CHANGE_POLICY, .policy = m->policy};
        store_apply(w, c);
    }
    for (unsigned i = 0; i < MACHINE_GPUS; i++) {
        *c = (struct change){.kind = CHANGE_GPU, .gpu = m->gpus[i]};
        if (m->has_gpu[i])
            store_apply(w, c);
    }
    for (size_t i = 0; i < m->past_n; i++) {
        *c = (struct change){.kind = CHANGE_LEASE, .lease = m->pasts[i].lease};
        if (c->lease.state != LEASE_ENDED && m->pasts[i].written)
            store_apply(w, c);
    }
    if (m->next_id) {
        *c = (struct change){.kind = CHANGE_NEXT_ID, .next_id = m->next_id};
        store_apply(w, c);
    }
    return 0;
}

static int tell(struct memory *m, const struct past *from, struct past_boards *places,
                int (*visit)(const struct store_past *p, void *arg), void *arg, struct error *err)
{
    struct store_past p = {
        .lease = from->lease,
        .asked_wall = from->asked,
        .started_wall = from->started,
        .ended_wall = from->ended,
        .exit_status = from->exit_status,
        .peak = from->peak,
        .command = strdup(from->command ? from->command : ""),
        .profile = strdup(from->profile ? from->profile : ""),
        .left_behind = strdup(from->left ? from->left : ""),
    };
    for (unsigned i = 0; i < MACHINE_GPUS; i++)
        places->of_gpu[i] = m->has_gpu[i] ? m->gpus[i].board : MACHINE_BOARDS;
    memcpy(places->boards, m->boards, sizeof(m->boards));
    p.slices = past_slices(&p.lease, places);
    bool whole = p.command && p.profile && p.slices && p.left_behind;
    int result = whole ? visit(&p, arg) : no_memory(err);
    store_past_done(&p);
    return result;
}

static int history(struct store *s, uint32_t id, const struct owner *owner, size_t limit,
                   int (*visit)(const struct store_past *p, void *arg), void *arg,
                   struct error *err)
{
    struct memory *m = of(s);
    AUTO_FREE struct past_boards *places = calloc(1, sizeof(*places));
    int result = places ? 0 : no_memory(err);
    for (size_t i = m->past_n; i > 0 && limit > 0 && result == 0; i--) {
        const struct past *p = &m->pasts[i - 1];
        if (!p->written || (id != 0 && p->lease.id != id))
            continue;
        if (owner && !owner_equal(*owner, p->lease.owner))
            continue;
        limit--;
        result = tell(m, p, places, visit, arg, err);
    }
    return result;
}

static int history_page(struct store *s, const struct store_page *page,
                        int (*visit)(const struct store_past *p, void *arg), void *arg,
                        struct error *err)
{
    struct memory *m = of(s);
    AUTO_FREE struct past_boards *places = calloc(1, sizeof(*places));
    int result = places ? 0 : no_memory(err);
    size_t left = page->limit;
    for (size_t i = 0; i < m->past_n && left > 0 && result == 0; i++) {
        const struct past *p = &m->pasts[i];
        bool ended = p->lease.state == LEASE_ENDED;
        if (!p->written || p->lease.id <= page->after ||
            (page->owner && !owner_equal(*page->owner, p->lease.owner)))
            continue;
        if (ended ? p->ended < page->since || p->ended > page->until : !page->live)
            continue;
        left--;
        result = tell(m, p, places, visit, arg, err);
    }
    return result;
}

/* The oldest first, as the database does. */
static struct past *oldest(struct memory *m, int64_t before_wall)
{
    struct past *found = NULL;
    for (size_t i = 0; i < m->past_n; i++) {
        struct past *p = &m->pasts[i];
        if (p->written && p->lease.state == LEASE_ENDED && p->ended < before_wall &&
            (!found || p->ended < found->ended))
            found = p;
    }
    return found;
}

static int prune(struct store *s, int64_t before_wall, size_t max, struct error *err)
{
    struct memory *m = of(s);
    struct past *p;
    (void)err;
    for (; max > 0 && (p = oldest(m, before_wall)); max--) {
        free(p->left);
        free(p->command);
        free(p->profile);
        size_t at = (size_t)(p - m->pasts);
        memmove(p, p + 1, (m->past_n - at - 1) * sizeof(*p));
        m->past_n--;
    }
    return 0;
}

static void close_memory(struct store *s)
{
    struct memory *m = of(s);
    for (size_t i = 0; i < m->past_n; i++) {
        free(m->pasts[i].left);
        free(m->pasts[i].command);
        free(m->pasts[i].profile);
    }
    free(m->pasts);
    free(m->ops);
    free(m);
}

static const struct store_ops ops = {
    .close = close_memory,
    .load = load,
    .begin = begin,
    .write = write_change,
    .set_boot = set_boot,
    .set_text = set_text,
    .set_exit = set_exit,
    .set_left = set_left,
    .set_peak = set_peak,
    .audit = audit,
    .save = save_name,
    .commit = commit,
    .rollback = forget,
    .history = history,
    .history_page = history_page,
    .prune = prune,
};

int store_open_memory(struct store **ret, struct error *err)
{
    struct memory *m = calloc(1, sizeof(*m));
    *ret = NULL;
    if (!m)
        return no_memory(err);
    m->store = (struct store){.ops = &ops, .names = {.first = 1}};
    *ret = &m->store;
    return 0;
}
