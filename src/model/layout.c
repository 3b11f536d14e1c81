/* Layouts by mask arithmetic. Two rules decide everything: memory slices do not overlap, and the
 * media engines are not promised twice. */
#include "model/layout.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What a profile does about the media engines. */
enum media {
    MEDIA_OWN,     /* "", "+gfx": its own share, if any */
    MEDIA_ONE,     /* "+me": one such instance per GPU */
    MEDIA_ALL,     /* "+me.all": takes every engine */
    MEDIA_WITHOUT, /* "-me": takes none, so it goes beside anything */
};

static enum media media_of(const struct profile *p)
{
    if (p->suffix[0] == '-')
        return MEDIA_WITHOUT;
    if (p->suffix[0] != '+' || p->suffix[1] != 'm')
        return MEDIA_OWN;
    return p->suffix[3] ? MEDIA_ALL : MEDIA_ONE;
}

static bool media_conflict(enum media a, enum media b)
{
    if (a == MEDIA_WITHOUT || b == MEDIA_WITHOUT)
        return false;
    return a == MEDIA_ALL || b == MEDIA_ALL || (a == MEDIA_ONE && b == MEDIA_ONE);
}

slices layout_span(const struct board *b, struct placement p)
{
    return (slices)(((1u << b->profiles[p.profile].size) - 1) << p.start);
}

slices layout_fits(const struct board *b, const struct layout *l, unsigned profile)
{
    const struct profile *p = &b->profiles[profile];
    /* Bit s: some slice of s .. s+size-1 is busy. Doubles the reach with every turn. */
    uint32_t blocked = l->busy;
    for (unsigned reach = 1; reach < p->size;) {
        unsigned step = MIN(reach, p->size - reach);
        blocked |= blocked >> step;
        reach += step;
    }
    slices fits = (slices)(p->starts & ~blocked);
    if (!fits)
        return 0;
    enum media media = media_of(p);
    unsigned same = 0;
    for (unsigned i = 0; i < l->n; i++) {
        same += l->at[i].profile == profile;
        if (media_conflict(media, media_of(&b->profiles[l->at[i].profile])))
            return 0;
    }
    return same < p->max ? fits : 0;
}

void layout_add(const struct board *b, struct layout *l, struct placement p)
{
    assert(l->n < BOARD_GIS && !(l->busy & layout_span(b, p)));
    unsigned i = l->n++;
    for (; i > 0 && l->at[i - 1].start > p.start; i--)
        l->at[i] = l->at[i - 1];
    l->at[i] = p;
    l->busy |= layout_span(b, p);
}

int layout_index(const struct layout *l, unsigned start)
{
    for (int i = 0; i < l->n; i++) {
        if (l->at[i].start == start)
            return i;
    }
    return -1;
}

void layout_remove(const struct board *b, struct layout *l, unsigned start)
{
    int i = layout_index(l, start);
    assert(i >= 0);
    l->busy &= (slices)~layout_span(b, l->at[i]);
    l->n--;
    memmove(&l->at[i], &l->at[i + 1], (size_t)(l->n - i) * sizeof l->at[0]);
    l->at[l->n] = (struct placement){0};
}

unsigned layout_capacity(const struct board *b, const struct layout *l, unsigned profile)
{
    struct layout tried = *l;
    unsigned n = 0;
    for (slices fits; (fits = layout_fits(b, &tried, profile)); n++)
        layout_add(b, &tried, (struct placement){(uint8_t)profile, (uint8_t)__builtin_ctz(fits)});
    return n;
}

unsigned layout_room(const struct board *b, const struct layout *l)
{
    unsigned room = 0;
    for (unsigned i = 0; i < b->profile_n; i++)
        room += (unsigned)__builtin_popcount(layout_fits(b, l, i));
    return room;
}

/* A double-memory 1g with more SMs than one compute slice has goes where a 2g would, and to the
 * slices without a second compute slice only when nothing else is left. */
static slices preferred(const struct board *b, unsigned profile, slices fits)
{
    const struct profile *p = &b->profiles[profile];
    if (!board_profile_wide(b, p))
        return fits;
    for (unsigned i = 0; i < b->profile_n; i++) {
        const struct profile *q = &b->profiles[i];
        if (q->size == p->size && q->compute > p->compute && (fits & q->starts))
            return fits & q->starts;
    }
    return fits;
}

int layout_choose(const struct board *b, const struct layout *l, unsigned profile)
{
    int best = -1;
    unsigned best_room = 0;
    for (slices left = preferred(b, profile, layout_fits(b, l, profile)); left; left &= left - 1) {
        struct layout tried = *l;
        int start = __builtin_ctz(left);
        layout_add(b, &tried, (struct placement){(uint8_t)profile, (uint8_t)start});
        unsigned room = layout_room(b, &tried);
        if (best < 0 || room > best_room) {
            best = start;
            best_room = room;
        }
    }
    return best;
}

const char *layout_format(const struct board *b, const struct layout *l, char buf[LAYOUT_TEXT])
{
    (void)snprintf(buf, LAYOUT_TEXT, "empty");
    size_t used = 0;
    for (unsigned i = l->n; i-- > 0;) {
        char name[BOARD_PROFILE_NAME];
        int n =
            snprintf(buf + used, LAYOUT_TEXT - used, "%s%s@%u", used ? " " : "",
                     board_profile_name(b, &b->profiles[l->at[i].profile], name), l->at[i].start);
        used += (size_t)n;
        if (used >= LAYOUT_TEXT)
            break;
    }
    return buf;
}

struct walk {
    const struct board *board;
    unsigned profile_mask;
    void (*visit)(const struct layout *l, void *arg);
    void *arg;
};

/* Every layout that agrees with `l` below `slice`. Any part of a valid layout is valid, so going
 * through the starts in order meets each exactly once. */
static void walk_from(const struct walk *w, const struct layout *l, unsigned slice)
{
    if (slice == w->board->memory_slices) {
        w->visit(l, w->arg);
        return;
    }
    walk_from(w, l, slice + 1);
    for (unsigned i = 0; i < w->board->profile_n; i++) {
        if (!(w->profile_mask >> i & 1) || !(layout_fits(w->board, l, i) >> slice & 1))
            continue;
        struct layout with = *l;
        layout_add(w->board, &with, (struct placement){(uint8_t)i, (uint8_t)slice});
        walk_from(w, &with, slice + 1);
    }
}

void layout_enumerate(const struct board *b, unsigned profile_mask,
                      void (*visit)(const struct layout *l, void *arg), void *arg)
{
    struct walk w = {.board = b, .profile_mask = profile_mask, .visit = visit, .arg = arg};
    struct layout empty = {0};
    walk_from(&w, &empty, 0);
}
