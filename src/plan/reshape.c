/* Layouts over time: what stands in the way, and until when. */
#include "plan/reshape.h"

#include "plan/fit.h"

int reshape_check(const struct board *b, const struct layout *l, struct error *err)
{
    struct layout built = {0};
    for (unsigned i = 0; i < l->n; i++) {
        struct placement p = l->at[i];
        if (p.profile >= b->profile_n)
            return error_set(err, ERROR_INVALID, "%s has no profile number %u", b->name, p.profile);
        if (!(layout_fits(b, &built, p.profile) >> p.start & 1)) {
            char name[BOARD_PROFILE_NAME], text[LAYOUT_TEXT];
            return error_set(err, ERROR_INVALID,
                             "%s cannot stand at memory slice %u of %s beside %s; leave it out or "
                             "choose another start",
                             board_profile_name(b, &b->profiles[p.profile], name), p.start, b->name,
                             layout_format(b, &built, text));
        }
        layout_add(b, &built, p);
    }
    return 0;
}

/* What is still there at `when`, as a layout. */
static struct layout left_at(const struct reshape_stay *stays, unsigned n, int64_t when)
{
    struct layout l = {0};
    for (unsigned i = 0; i < n; i++) {
        if (stays[i].gone <= when)
            continue;
        l.busy |= fit_span(stays[i].start, stays[i].size);
        if (stays[i].profile != BOARD_NO_PROFILE && l.n < BOARD_GIS)
            l.at[l.n++] = (struct placement){stays[i].profile, stays[i].start};
    }
    return l;
}

int64_t reshape_earliest(const struct board *b, const struct reshape_stay *stays, unsigned n,
                         unsigned profile, slices starts, int64_t now, slices *ret_starts)
{
    for (int64_t when = now;;) {
        struct layout l = left_at(stays, n, when);
        *ret_starts = layout_fits(b, &l, profile) & starts;
        if (*ret_starts)
            return when;
        int64_t next = INT64_MAX;
        for (unsigned i = 0; i < n; i++) {
            if (stays[i].gone > when && stays[i].gone < next)
                next = stays[i].gone;
        }
        if (next == INT64_MAX)
            return INT64_MAX;
        when = next;
    }
}
