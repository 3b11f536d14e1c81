/* Past leases in pages, oldest first.
 *
 * A page is bounded, so that neither a long history nor a slow reader can make the daemon grow; the
 * next one begins after the last lease of this one. History is its owner's and the operators'. */
#include "base/time.h"
#include "daemon/call.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE = 200, PAGE_MAX = 1000 };

struct page {
    const struct call *call;
    json_t *list;
    uint32_t last;
};

static int add_row(const struct store_past *p, void *arg)
{
    struct page *page = arg;
    page->last = p->lease.id;
    return json_array_append_new(page->list, show_past(page->call->daemon, p, &page->call->who));
}

/* A whole number of the query within 0..most; *ret keeps its value when it is not there. */
static int number(const struct call *c, const char *name, int64_t most, int64_t *ret,
                  struct error *err)
{
    const char *text = http_query(c->http, name);
    char *end;
    if (!text)
        return 0;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > most)
        return error_set(err, ERROR_INVALID, "%s: a whole number from 0 to %lld, not '%s'", name,
                         (long long)most, text);
    *ret = n;
    return 0;
}

static int read_page(const struct call *c, struct store_page *ret, struct owner *owner,
                     struct error *err)
{
    int64_t last = INT64_MAX / TIME_S - 1; /* seconds since the epoch that nanoseconds can hold */
    int64_t uid = -1, live = 0, after = 0, since = 0, until = last, limit = PAGE;
    int r = number(c, "uid", UINT32_MAX, &uid, err);
    if (r == 0)
        r = number(c, "after", UINT32_MAX, &after, err);
    if (r == 0)
        r = number(c, "since", last, &since, err);
    if (r == 0)
        r = number(c, "until", last, &until, err);
    if (r == 0)
        r = number(c, "live", 1, &live, err);
    if (r == 0)
        r = number(c, "limit", PAGE_MAX, &limit, err);
    if (r < 0)
        return r;
    if (limit == 0)
        return error_set(err, ERROR_INVALID, "limit: 1 to %d leases a page, not 0", PAGE_MAX);
    if (!c->who.operator_ && uid >= 0 && uid != c->who.uid)
        return error_set(err, ERROR_NO_PERMISSION,
                         "the history of user %lld is that user's and the operators'; 'operators:' "
                         "in %s names their group",
                         (long long)uid, c->daemon->config_path);
    bool all = c->who.operator_ && uid < 0;
    *owner = (struct owner){.kind = OWNER_UID, .id = uid >= 0 ? (uint32_t)uid : c->who.uid};
    *ret = (struct store_page){.owner = all ? NULL : owner,
                               .after = (uint32_t)after,
                               .since = since * TIME_S,
                               .until = until * TIME_S,
                               .live = live == 1,
                               .limit = (size_t)limit};
    return 0;
}

int call_history(struct call *c, struct error *err)
{
    struct store_page which;
    struct owner owner;
    int r = read_page(c, &which, &owner, err);
    if (r < 0)
        return r;
    struct page page = {.call = c, .list = json_array()};
    r = page.list ? store_history_page(c->daemon->store, &which, add_row, &page, err)
                  : error_set(err, ERROR_NO_MEMORY, "out of memory showing history");
    if (r < 0) {
        json_decref(page.list);
        return r;
    }
    bool more = json_array_size(page.list) == which.limit;
    json_t *reply = json_pack("{s:o, s:o}", "leases", page.list, "next",
                              more ? json_integer(page.last) : json_null());
    if (!c->who.operator_)
        (void)json_object_set_new(reply, "own", json_true());
    call_answer(c, 200, reply);
    return 0;
}
