/* The public face of both kinds of store: transactions, and the texts that have numbers. */
#include "store/store.h"

#include "store/ops.h"

#include <stdlib.h>
#include <string.h>

struct store *store_close(struct store *s)
{
    if (!s)
        return NULL;
    store_rollback(s);
    names_done(&s->names);
    names_done(&s->slots);
    s->ops->close(s);
    return NULL;
}

void store_past_done(struct store_past *p)
{
    free(p->command);
    free(p->profile);
    free(p->slices);
    free(p->left_behind);
    p->command = p->profile = p->slices = NULL;
}

void store_apply(struct world *w, struct change *c)
{
    const struct changes one = {.n = 1, .room = 1, .at = &c};
    world_apply(w, &one);
}

int store_load(struct store *s, struct world *w, char ret_boot[64], struct error *err)
{
    return s->ops->load(s, w, ret_boot, err);
}

int store_begin(struct store *s, struct error *err)
{
    if (s->open)
        return error_set(err, ERROR_STATE, "a transaction of the state is open already");
    int result = s->ops->begin(s, err);
    s->open = result == 0;
    return result;
}

static int need_open(const struct store *s, struct error *err)
{
    return s->open ? 0 : error_set(err, ERROR_STATE, "no transaction of the state is open");
}

int store_write(struct store *s, const struct changes *c, int64_t wall, struct error *err)
{
    int result = need_open(s, err);
    for (size_t i = 0; i < c->n && result == 0; i++)
        result = s->ops->write(s, c->at[i], wall, err);
    return result;
}

int store_set_boot(struct store *s, const char *boot_id, struct error *err)
{
    int result = need_open(s, err);
    if (result == 0 && strlen(boot_id) >= 64)
        return error_set(err, ERROR_INVALID, "the boot id \"%.80s\" is too long", boot_id);
    return result ? result : s->ops->set_boot(s, boot_id, err);
}

int store_set_text(struct store *s, const struct store_text *t, struct error *err)
{
    int result = need_open(s, err);
    return result ? result : s->ops->set_text(s, t, err);
}

int store_set_exit(struct store *s, uint32_t lease, int status, struct error *err)
{
    int result = need_open(s, err);
    return result ? result : s->ops->set_exit(s, lease, status, err);
}

int store_set_left(struct store *s, uint32_t lease, const char *lines, struct error *err)
{
    int result = need_open(s, err);
    return result ? result : s->ops->set_left(s, lease, lines, err);
}

int store_set_peak(struct store *s, uint32_t lease, const struct store_peak *peak,
                   struct error *err)
{
    int result = need_open(s, err);
    return result ? result : s->ops->set_peak(s, lease, peak, err);
}

int store_audit(struct store *s, int64_t wall, uint32_t lease, uint32_t uid, const char *what,
                struct error *err)
{
    int result = need_open(s, err);
    return result ? result : s->ops->audit(s, wall, lease, uid, what, err);
}

void store_rollback(struct store *s)
{
    if (s->open)
        s->ops->rollback(s);
    s->open = false;
}

static int save_new(struct store *s, struct names *names, struct error *err)
{
    int result = 0;
    for (uint32_t i = names->saved; i < names->n && result == 0; i++)
        result = s->ops->save(s, names, i, err);
    return result;
}

int store_commit(struct store *s, struct error *err)
{
    int result = need_open(s, err);
    if (result != 0)
        return result;
    result = save_new(s, &s->names, err);
    if (result == 0)
        result = save_new(s, &s->slots, err);
    if (result == 0)
        result = s->ops->commit(s, err);
    if (result != 0) {
        store_rollback(s);
        return result;
    }
    s->open = false;
    s->names.saved = s->names.n;
    s->slots.saved = s->slots.n;
    s->commits++;
    return 0;
}

/* The index of `text`; a new one is durable at once unless a transaction is open, which then
 * carries it. */
static int number(struct store *s, struct names *names, const char *text, uint32_t *ret,
                  struct error *err)
{
    int64_t index = names_find(names, text);
    if (index >= 0 && (s->open || index < names->saved)) {
        *ret = (uint32_t)index;
        return 0;
    }
    if (index < 0 && !names_add(names, text))
        return error_set(err, ERROR_NO_MEMORY, "out of memory for a name");
    *ret = index < 0 ? names->n - 1 : (uint32_t)index;
    if (s->open)
        return 0;
    int result = store_begin(s, err);
    return result ? result : store_commit(s, err);
}

int store_intern(struct store *s, const char *text, uint32_t *ret, struct error *err)
{
    uint32_t index = 0;
    int result = number(s, &s->names, text, &index, err);
    if (result == 0)
        *ret = s->names.first + index;
    return result;
}

const char *store_name(struct store *s, uint32_t n)
{
    return names_text(&s->names, n);
}

int store_gpu_slot(struct store *s, const char *uuid, uint16_t *ret, struct error *err)
{
    uint32_t index = 0;
    if (names_find(&s->slots, uuid) < 0 && s->slots.n >= UINT16_MAX)
        return error_set(err, ERROR_STORE, "%u GPUs have been seen, no slot is left", UINT16_MAX);
    int result = number(s, &s->slots, uuid, &index, err);
    if (result == 0)
        *ret = (uint16_t)index;
    return result;
}

const char *store_gpu_uuid(struct store *s, uint32_t slot)
{
    return names_text(&s->slots, slot);
}

int store_history(struct store *s, uint32_t id, const struct owner *owner, size_t limit,
                  int (*visit)(const struct store_past *p, void *arg), void *arg, struct error *err)
{
    return s->ops->history(s, id, owner, limit, visit, arg, err);
}

int store_history_page(struct store *s, const struct store_page *page,
                       int (*visit)(const struct store_past *p, void *arg), void *arg,
                       struct error *err)
{
    return s->ops->history_page(s, page, visit, arg, err);
}

int store_prune(struct store *s, int64_t before_wall, size_t max, struct error *err)
{
    int result = store_begin(s, err);
    if (result != 0)
        return result;
    result = s->ops->prune(s, before_wall, max, err);
    if (result == 0)
        return store_commit(s, err);
    store_rollback(s);
    return result;
}

uint64_t store_commits(const struct store *s)
{
    return s->commits;
}
