/* Layouts over time: what stands in the way, and until when. */
#include "plan/reshape.h"

#include "plan/fit.h"

#include <string.h>

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

/* The profile that is hardest to place of those that are left; BOARD_NO_PROFILE if none is. */
static unsigned widest_left(const struct board *b, const uint8_t count[BOARD_PROFILES])
{
    unsigned widest = BOARD_NO_PROFILE;
    for (unsigned p = 0; p < b->profile_n; p++)
        if (count[p] > 0 &&
            (widest == BOARD_NO_PROFILE || b->profiles[p].size > b->profiles[widest].size ||
             (b->profiles[p].size == b->profiles[widest].size &&
              __builtin_popcount(b->profiles[p].starts) <
                  __builtin_popcount(b->profiles[widest].starts))))
            widest = p;
    return widest;
}

/* Backtracking over at most BOARD_GIS placements. */
static bool place_all(const struct board *b, uint8_t count[BOARD_PROFILES], struct layout *l)
{
    unsigned widest = widest_left(b, count);
    if (widest == BOARD_NO_PROFILE)
        return true;
    slices starts = layout_fits(b, l, widest);
    count[widest]--;
    /* High starts first: the last memory slice has no compute of its own, wide profiles use it. */
    for (int s = 15; s >= 0; s--) {
        if (!(starts >> s & 1))
            continue;
        layout_add(b, l, (struct placement){.profile = (uint8_t)widest, .start = (uint8_t)s});
        if (place_all(b, count, l))
            return true;
        layout_remove(b, l, (unsigned)s);
    }
    count[widest]++;
    return false;
}

/* Adds those of `from` that are in the set, and takes them off the count. */
static bool put(const struct board *b, const struct layout *from, unsigned set,
                uint8_t count[BOARD_PROFILES], struct layout *l)
{
    for (unsigned i = 0; i < from->n; i++) {
        struct placement at = from->at[i];
        if (!(set >> i & 1))
            continue;
        if (count[at.profile] == 0 || !(layout_fits(b, l, at.profile) >> at.start & 1))
            return false;
        count[at.profile]--;
        layout_add(b, l, at);
    }
    return true;
}

bool reshape_least(const struct board *b, const struct layout *stays, const struct layout *now,
                   const uint8_t count[BOARD_PROFILES], struct layout *ret)
{
    for (int kept = now->n; kept >= 0; kept--) {
        for (unsigned set = 0; set < 1u << now->n; set++) {
            struct layout l = {0};
            uint8_t left[BOARD_PROFILES];
            memcpy(left, count, sizeof left);
            if (__builtin_popcount(set) == kept && put(b, stays, ~0u, left, &l) &&
                put(b, now, set, left, &l) && place_all(b, left, &l)) {
                *ret = l;
                return true;
            }
        }
    }
    return false;
}
