/* The picture of the machine and the tables beside it. */
#include "cli/show.h"

#include "base/time.h"
#include "cli/get.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SEGMENTS = 16, FREE_MOST = 32 };

const char *show_bytes(int64_t bytes, char buf[24])
{
    (void)snprintf(buf, 24, "%.4g GiB", (double)bytes / (1 << 30));
    return buf;
}

const char *show_when(int64_t wall, int64_t now, char buf[24])
{
    time_t at = (time_t)(wall / TIME_S), today = (time_t)(now / TIME_S);
    struct tm a, b;
    (void)str_copy(buf, 24, "-");
    if (!wall || !localtime_r(&at, &a) || !localtime_r(&today, &b))
        return buf;
    bool same = a.tm_year == b.tm_year && a.tm_yday == b.tm_yday;
    if (!strftime(buf, 24, same ? "%H:%M:%S" : "%b %d %H:%M", &a))
        (void)str_copy(buf, 24, "?");
    return buf;
}

/* Leases come in order of id. */
static const json_t *find_lease(const json_t *status, int64_t id)
{
    const json_t *leases = get_in(status, "leases");
    size_t low = 0, high = json_array_size(leases);
    while (low < high) {
        size_t middle = (low + high) / 2;
        const json_t *lease = json_array_get(leases, middle);
        int64_t found = get_int(lease, "id", 0);
        if (found == id)
            return lease;
        if (found < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool show_mine(const json_t *lease)
{
    char me[24];
    (void)snprintf(me, sizeof me, "uid:%u", (unsigned)geteuid());
    return get_bool(lease, "mine") || strcmp(get_text(lease, "owner"), me) == 0;
}

/* Mine is green; the colours of others only tell neighbours apart. */
static enum table_style owner_style(const json_t *lease)
{
    static const enum table_style others[] = {TABLE_CYAN, TABLE_BLUE, TABLE_MAGENTA};
    unsigned sum = 0;
    if (show_mine(lease))
        return TABLE_GREEN;
    for (const char *at = get_text(lease, "owner"); *at; at++)
        sum += (unsigned char)*at;
    return others[sum % ARRAY_LEN(others)];
}

static const char *owner_name(const json_t *lease)
{
    const char *user = get_text(lease, "user");
    return *user ? user : *get_text(lease, "owner") ? get_text(lease, "owner") : "somebody";
}

static struct table_segment segment(const json_t *status, const json_t *slice)
{
    const char *state = get_text(slice, "state");
    const json_t *lease = find_lease(status, get_int(slice, "lease", 0));
    struct table_segment s = {.start = (unsigned)get_int(slice, "start", 0),
                              .size = (unsigned)get_int(slice, "size", 1),
                              .label = get_text(slice, "profile"),
                              .under = state,
                              .style = TABLE_DIM};
    if (lease) {
        s.under = owner_name(lease);
        s.style = owner_style(lease);
    } else if (strcmp(state, "foreign") == 0) {
        s.style = TABLE_YELLOW;
    } else if (strcmp(state, "quarantined") == 0) {
        s.style = TABLE_RED;
    } else if (get_bool(slice, "fixed")) {
        s.under = "fixed";
    }
    return s;
}

/* The GPU's boxes in order of start; a GPU leased whole is one box. */
static size_t segments_of(const json_t *status, const json_t *gpu,
                          struct table_segment ret[SEGMENTS])
{
    const json_t *whole = find_lease(status, get_int(gpu, "lease", 0));
    if (whole) {
        unsigned all = (unsigned)MAX(get_int(gpu, "memory_slices", 0), 8);
        ret[0] = (struct table_segment){0, all, "whole GPU", owner_name(whole), owner_style(whole)};
        return 1;
    }
    size_t n = 0, i;
    json_t *slice;
    json_array_foreach(get_in(gpu, "slices"), i, slice)
    {
        struct table_segment s = segment(status, slice);
        size_t at = MIN(n, (size_t)SEGMENTS - 1);
        for (; at > 0 && ret[at - 1].start > s.start; at--)
            ret[at] = ret[at - 1];
        ret[at] = s;
        n = MIN(n + 1, (size_t)SEGMENTS);
    }
    return n;
}

/* "GPU 0  NVIDIA A100-SXM4-80GB, MIG on, drained (new fan)" */
static void gpu_title(const json_t *gpu, const struct table_look *look, struct str *out)
{
    char name[32];
    const char *mig = get_text(gpu, "mig"), *pool = get_text(gpu, "pool");
    const char *health = get_text(gpu, "health");
    (void)snprintf(name, sizeof name, "GPU %" PRId64, get_int(gpu, "index", 0));
    table_styled(out, look, TABLE_BOLD, name);
    str_add(out, "  ");
    table_styled(out, look, TABLE_PLAIN, get_text(gpu, "product"));
    str_add(out, strcmp(mig, "none") == 0 ? ", no MIG"
                 : strcmp(mig, "on") == 0 ? ", MIG on"
                                          : ", MIG off");
    if (!get_bool(gpu, "managed"))
        str_add(out, ", not fetta's");
    if (get_bool(gpu, "fixed"))
        str_add(out, ", fixed layout");
    if (*pool && strcmp(pool, "elastic") != 0)
        str_addf(out, ", for %s", strcmp(pool, "whole") == 0 ? "whole-GPU leases" : "slices");
    if (get_bool(gpu, "drained")) {
        const char *reason = get_text(gpu, "drain_reason");
        str_addf(out, ", drained%s%s", *reason ? ": " : "", reason);
    }
    if (*health && strcmp(health, "ok") != 0) {
        str_add(out, ", ");
        table_styled(out, look, TABLE_RED, health);
        str_addf(out, " (%s)", get_text(gpu, "health_text"));
    }
    str_add(out, "\n");
}

void show_gpus(const json_t *status, const struct table_look *look, struct str *out)
{
    size_t i;
    json_t *gpu;
    json_array_foreach(get_in(status, "gpus"), i, gpu)
    {
        struct table_segment segments[SEGMENTS];
        size_t n = segments_of(status, gpu, segments);
        unsigned slices = (unsigned)get_int(gpu, "memory_slices", 0);
        gpu_title(gpu, look, out);
        if (n || strcmp(get_text(gpu, "mig"), "on") == 0)
            table_bar(out, look, 2, n ? 2 : 1, slices ? slices : 8, segments, n);
    }
}

struct count {
    const char *name;
    int64_t n;
};

void show_free(const json_t *status, struct str *out)
{
    struct count counts[FREE_MOST];
    size_t n = 0, i, before = out->len;
    json_t *gpu, *value;
    const char *name;
    json_array_foreach(get_in(status, "gpus"), i, gpu)
    {
        json_object_foreach(get_in(gpu, "free"), name, value)
        {
            size_t at = 0;
            while (at < n && strcmp(counts[at].name, name) != 0)
                at++;
            if (at == FREE_MOST)
                continue;
            if (at == n)
                counts[n++] = (struct count){name, 0};
            counts[at].n += json_integer_value(value);
        }
    }
    for (i = 0; i < n; i++) {
        if (counts[i].n)
            str_addf(out, "%s%s x %" PRId64, out->len > before ? ", " : "",
                     strcmp(counts[i].name, "gpu") == 0 ? "whole GPU" : counts[i].name,
                     counts[i].n);
    }
    if (out->len == before)
        str_add(out, "nothing");
}

/* "0:2" (GPU and first memory slice), "0-3" for GPUs, or where it was asked to be. */
static void where(const json_t *lease, struct str *out)
{
    size_t i;
    json_t *slice;
    json_array_foreach(get_in(lease, "slices"), i, slice)
    {
        str_addf(out, "%s%" PRId64, i ? "," : "", get_int(slice, "gpu", 0));
        if (get_int(slice, "start", -1) >= 0)
            str_addf(out, ":%" PRId64, get_int(slice, "start", 0));
    }
}

/* "4 x 1g.10gb"; whole GPUs say how many by themselves. */
static void wanted(const json_t *lease, struct table *t)
{
    int64_t count = get_int(lease, "count", 1);
    if (count > 1 && strcmp(get_text(lease, "kind"), "whole") != 0)
        table_addf(t, "%" PRId64 " x %s", count, get_text(lease, "asked_for"));
    else
        table_add(t, TABLE_PLAIN, get_text(lease, "asked_for"));
}

static void lease_row(struct table *t, const json_t *lease, bool past, int64_t now)
{
    char when[24];
    AUTO_STR struct str place = {0};
    const char *state = get_text(lease, "state");
    where(lease, &place);
    table_addf(t, "%" PRId64, get_int(lease, "id", 0));
    table_add(t, owner_style(lease), owner_name(lease));
    wanted(lease, t);
    table_add(t, TABLE_PLAIN, place.len ? place.text : "-");
    table_add(t, TABLE_PLAIN, state);
    int64_t since = get_time(lease, "started");
    table_add(t, TABLE_PLAIN, show_when(since ? since : get_time(lease, "asked"), now, when));
    table_add(t, TABLE_PLAIN, show_when(get_time(lease, past ? "ended" : "ends"), now, when));
    if (past)
        table_add(t, TABLE_PLAIN, *get_text(lease, "why") ? get_text(lease, "why") : "-");
    table_add(t, TABLE_DIM, get_text(lease, "command"));
}

void show_leases(const json_t *leases, enum show_which which, int64_t now,
                 const struct table_look *look, struct str *out)
{
    bool past = which == SHOW_PAST;
    const char *live[] = {"ID", "OWNER", "SLICE", "GPU", "STATE", "SINCE", "UNTIL", "COMMAND"};
    const char *all[] = {"ID",    "OWNER", "SLICE", "GPU",    "STATE",
                         "SINCE", "ENDED", "WHY",   "COMMAND"};
    AUTO_TABLE struct table t = {.columns = past ? 9 : 8, .right = 1};
    size_t i;
    json_t *lease;
    table_head(&t, past ? all : live);
    size_t heading = t.n;
    json_array_foreach(leases, i, lease)
    {
        if (which != SHOW_HOLDING || strcmp(get_text(lease, "state"), "queued") != 0)
            lease_row(&t, lease, past, now);
    }
    if (t.n > heading)
        table_print(&t, look, out);
}

void show_queue(const json_t *status, const struct table_look *look, struct str *out)
{
    const char *head[] = {"#", "ID", "OWNER", "WANTS", "SINCE", "BY", "WAITS FOR"};
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head), .right = 3};
    char when[24];
    size_t i;
    json_t *id;
    int64_t now = get_time(status, "now");
    table_head(&t, head);
    json_array_foreach(get_in(status, "queue"), i, id)
    {
        const json_t *lease = find_lease(status, json_integer_value(id));
        table_addf(&t, "%zu", i + 1);
        table_addf(&t, "%" PRId64, (int64_t)json_integer_value(id));
        table_add(&t, owner_style(lease), owner_name(lease));
        wanted(lease, &t);
        table_add(&t, TABLE_PLAIN, show_when(get_time(lease, "asked"), now, when));
        table_add(&t, TABLE_PLAIN, show_when(get_time(lease, "latest_start"), now, when));
        table_add(&t, TABLE_PLAIN, get_text(lease, "waits_for"));
    }
    if (i)
        table_print(&t, look, out);
}

void show_no_gpu(const json_t *status, struct str *out)
{
    size_t i, managed = 0;
    json_t *gpu;
    if (json_array_size(get_in(status, "gpus")) == 0) {
        str_add(out,
                "there is no GPU here that the NVIDIA driver shows; to try fetta without one:\n"
                "  fetta emulate dgx-a100 -- bash\n");
        return;
    }
    json_array_foreach(get_in(status, "gpus"), i, gpu) managed += get_bool(gpu, "managed");
    if (managed)
        return;
    str_add(out,
            "none of these GPUs is fetta's yet; what is on them now is shown above and is left "
            "alone.\nto let fetta use all of them, an operator types:\n  fetta manage all\n");
}
