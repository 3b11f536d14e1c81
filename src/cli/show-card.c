/* The guarantee card: what of a slice is its holder's alone, and what is shared after all. */
#include "cli/show.h"

#include "base/time.h"
#include "cli/get.h"

#include <inttypes.h>

static void line(struct table *t, const char *name, const char *value)
{
    if (!*value)
        return;
    table_addf(t, "  %s", name);
    table_add(t, TABLE_PLAIN, value);
}

static void slices(struct table *t, const json_t *lease)
{
    char bytes[24];
    size_t i;
    json_t *s;
    json_array_foreach(get_in(lease, "slices"), i, s)
    {
        AUTO_STR struct str text = {0};
        const char *profile = get_text(s, "profile"), *uuid = get_text(s, "uuid");
        str_addf(&text, "%s on GPU %" PRId64 ", %s, %" PRId64 " SMs%s%s",
                 *profile ? profile : "whole", get_int(s, "gpu", 0),
                 show_bytes(get_int(s, "memory_bytes", 0), bytes), get_int(s, "sms", 0),
                 *uuid ? ", " : "", uuid);
        line(t, "slice", text.text ? text.text : "");
    }
}

static void times(struct table *t, const json_t *lease)
{
    static const char *const keys[] = {"asked", "started", "ends", "latest_start", "ended"};
    static const char *const names[] = {"asked", "since", "until", "starts by", "ended"};
    char when[TIME_TEXT];
    bool over = get_time(lease, "ended") > 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        int64_t at = get_time(lease, keys[i]);
        if (at && !(over && i == 2))
            line(t, names[i], time_format_wall(at, when));
    }
}

static void left_behind(struct table *t, const json_t *lease)
{
    AUTO_STR struct str text = {0};
    size_t i;
    json_t *p;
    json_array_foreach(get_in(lease, "left_behind"), i, p) str_addf(
        &text, "%s%" PRId64 " (%s)", i ? ", " : "", get_int(p, "pid", 0), get_text(p, "name"));
    line(t, "left behind", text.text ? text.text : "");
}

static void peak(struct table *t, const json_t *lease)
{
    char text[24] = "nothing";
    int64_t looks = get_int(lease, "peak_looks", 0), bytes = get_int(lease, "peak_bytes", 0);
    const char *fits = get_text(get_in(lease, "would_fit"), "profile");
    if (looks == 0)
        return;
    table_add(t, TABLE_PLAIN, "  peak seen");
    table_addf(t, "%s in %" PRId64 " look%s%s%s", bytes > 0 ? show_bytes(bytes, text) : text, looks,
               looks == 1 ? "" : "s", *fits ? "; would fit in " : "", fits);
}

static void life(const json_t *lease, const struct table_look *look, struct str *out)
{
    AUTO_TABLE struct table t = {.columns = 2};
    const json_t *status = get_in(lease, "exit_status");
    str_addf(out, "lease %" PRId64 ": %s", get_int(lease, "id", 0), get_text(lease, "state"));
    if (*get_text(lease, "why_text") || *get_text(lease, "why"))
        str_addf(out, " (%s)",
                 *get_text(lease, "why_text") ? get_text(lease, "why_text")
                                              : get_text(lease, "why"));
    str_add(out, "\n");
    line(&t, "owner",
         *get_text(lease, "user") ? get_text(lease, "user") : get_text(lease, "owner"));
    slices(&t, lease);
    times(&t, lease);
    line(&t, "waits for", get_text(lease, "waits_for"));
    line(&t, "notice", get_text(lease, "notice"));
    line(&t, "signal", get_text(lease, "signal"));
    line(&t, "lives with", get_text(lease, "bind"));
    line(&t, "command", get_text(lease, "command"));
    if (json_is_integer(status)) {
        table_add(&t, TABLE_PLAIN, "  exit status");
        table_addf(&t, "%" PRId64, (int64_t)json_integer_value(status));
    }
    peak(&t, lease);
    left_behind(&t, lease);
    table_print(&t, look, out);
}

/* One part of the card; `columns` are the keys of its objects. */
static void part(const json_t *list, const char *title, const char *const *keys, unsigned columns,
                 const struct table_look *look, struct str *out)
{
    AUTO_TABLE struct table t = {.columns = columns};
    size_t i;
    json_t *item;
    if (json_array_size(list) == 0)
        return;
    str_add(out, "\n");
    table_styled(out, look, TABLE_BOLD, title);
    str_add(out, "\n");
    json_array_foreach(list, i, item)
    {
        table_addf(&t, "  %s", get_text(item, keys[0]));
        for (unsigned k = 1; k < columns; k++)
            table_add(&t, TABLE_PLAIN, get_text(item, keys[k]));
    }
    table_print(&t, look, out);
}

void show_card(const json_t *reply, const struct table_look *look, struct str *out)
{
    static const char *const yours[] = {"what", "value", "by"}, *const shared[] = {"what", "note"},
                             *const loss[] = {"what", "value", "source"};
    /* A card is read and copied, so nothing of it is cut. */
    struct table_look wide = {look->colour, look->utf8, 0};
    const json_t *card = get_in(reply, "card");
    life(get_in(reply, "lease"), &wide, out);
    part(get_in(card, "yours"), "yours, and who enforces it", yours, 3, &wide, out);
    part(get_in(card, "shared"), "shared with the neighbours", shared, 2, &wide, out);
    part(get_in(card, "loss"), "known loss under busy neighbours, and the source", loss, 3, &wide,
         out);
}
