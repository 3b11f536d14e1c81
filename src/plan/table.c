/* Layout tables; see table.h. A layout's key is the set of its placements as bits of one word, so
 * that a step is one bit and finding the layout it leads to is one search in a sorted list. */
#include "plan/table.h"

#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

struct row {
    uint64_t key;
    struct layout layout;
    bool maximal;
    slices starts[BOARD_PROFILES];
};

struct table {
    const struct board *board;
    unsigned mask;
    unsigned place_n;
    struct placement places[TABLE_PLACES];
    uint8_t bit[BOARD_PROFILES][16]; /* place of (profile, start), 0xff if there is none */
    unsigned n, room;
    bool failed; /* while it is made: no memory, or too many */
    struct row *rows;
    uint16_t *step; /* [layout][place]: the layout with that bit flipped */
    unsigned pareto_n;
    struct table_mix *pareto;
};

unsigned table_plain(const struct board *b)
{
    unsigned mask = 0;
    for (unsigned p = 0; p < b->profile_n; p++)
        mask |= b->profiles[p].suffix[0] ? 0 : 1u << p;
    return mask;
}

static bool number_places(struct table *t)
{
    memset(t->bit, 0xff, sizeof t->bit);
    for (unsigned p = 0; p < t->board->profile_n; p++) {
        slices left = t->mask >> p & 1 ? t->board->profiles[p].starts : 0;
        for (; left; left &= (slices)(left - 1)) {
            unsigned start = (unsigned)__builtin_ctz(left);
            if (t->place_n == TABLE_PLACES)
                return false;
            t->bit[p][start] = (uint8_t)t->place_n;
            t->places[t->place_n++] =
                (struct placement){.profile = (uint8_t)p, .start = (uint8_t)start};
        }
    }
    return true;
}

/* The key of a layout; false if it has a placement that the table does not know. */
static bool key_of(const struct table *t, const struct layout *l, uint64_t *ret)
{
    *ret = 0;
    for (unsigned i = 0; i < l->n; i++) {
        unsigned bit = l->at[i].start < 16 && l->at[i].profile < BOARD_PROFILES
                           ? t->bit[l->at[i].profile][l->at[i].start]
                           : 0xff;
        if (bit == 0xff)
            return false;
        *ret |= UINT64_C(1) << bit;
    }
    return true;
}

static void keep_layout(const struct layout *l, void *arg)
{
    struct table *t = arg;
    if (t->failed)
        return;
    if (t->n == t->room) {
        unsigned room = t->room ? 2 * t->room : 512;
        struct row *rows = t->n < TABLE_NONE ? realloc(t->rows, room * sizeof *rows) : NULL;
        t->failed = !rows;
        if (t->failed)
            return;
        t->rows = rows;
        t->room = room;
    }
    struct row *r = &t->rows[t->n++];
    *r = (struct row){.layout = *l, .maximal = true};
    t->failed = !key_of(t, l, &r->key) || t->n >= TABLE_NONE;
    for (unsigned p = 0; p < t->board->profile_n; p++) {
        r->starts[p] = t->mask >> p & 1 ? layout_fits(t->board, l, p) : 0;
        r->maximal = r->maximal && !r->starts[p];
    }
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct row *)a)->key, y = ((const struct row *)b)->key;
    return (x > y) - (x < y);
}

static unsigned find_key(const struct table *t, uint64_t key)
{
    struct row wanted = {.key = key};
    const struct row *r = bsearch(&wanted, t->rows, t->n, sizeof *t->rows, by_key);
    return r ? (unsigned)(r - t->rows) : TABLE_NONE;
}

static bool link_steps(struct table *t)
{
    t->step = calloc((size_t)t->n * t->place_n, sizeof *t->step);
    for (unsigned i = 0; t->step && i < t->n; i++)
        for (unsigned p = 0; p < t->place_n; p++)
            t->step[i * t->place_n + p] = (uint16_t)find_key(t, t->rows[i].key ^ UINT64_C(1) << p);
    return t->step;
}

static struct table_mix mix_of(const struct table *t, unsigned id)
{
    struct table_mix m = {.layout = (uint16_t)id};
    for (unsigned i = 0; i < t->rows[id].layout.n; i++)
        m.n[t->rows[id].layout.at[i].profile]++;
    return m;
}

static bool contains(const struct table_mix *big, const struct table_mix *small)
{
    for (unsigned p = 0; p < BOARD_PROFILES; p++)
        if (big->n[p] < small->n[p])
            return false;
    return true;
}

/* Keeps a mix unless one that is kept contains it; those it contains go. Only maximal layouts can
 * hold one that stays. */
static bool gather_pareto(struct table *t)
{
    t->pareto = calloc(t->n, sizeof *t->pareto);
    for (unsigned i = 0; t->pareto && i < t->n; i++) {
        if (!t->rows[i].maximal)
            continue;
        struct table_mix m = mix_of(t, i);
        unsigned kept = 0;
        bool beaten = false;
        for (unsigned j = 0; j < t->pareto_n && !beaten; j++)
            beaten = contains(&t->pareto[j], &m);
        if (beaten)
            continue;
        for (unsigned j = 0; j < t->pareto_n; j++)
            if (!contains(&m, &t->pareto[j]))
                t->pareto[kept++] = t->pareto[j];
        t->pareto[kept++] = m;
        t->pareto_n = kept;
    }
    return t->pareto;
}

struct table *table_new(const struct board *b, unsigned profile_mask)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->board = b;
    t->mask = profile_mask & ((1u << b->profile_n) - 1);
    if (!number_places(t))
        return table_free(t);
    layout_enumerate(b, t->mask, keep_layout, t);
    if (t->failed)
        return table_free(t);
    qsort(t->rows, t->n, sizeof *t->rows, by_key);
    return link_steps(t) && gather_pareto(t) ? t : table_free(t);
}

struct table *table_free(struct table *t)
{
    if (t) {
        free(t->rows);
        free(t->step);
        free(t->pareto);
        free(t);
    }
    return NULL;
}

const struct board *table_board(const struct table *t)
{
    return t->board;
}

unsigned table_mask(const struct table *t)
{
    return t->mask;
}

unsigned table_n(const struct table *t)
{
    return t->n;
}

const struct layout *table_layout(const struct table *t, unsigned id)
{
    return &t->rows[id].layout;
}

unsigned table_find(const struct table *t, const struct layout *l)
{
    uint64_t key;
    return key_of(t, l, &key) ? find_key(t, key) : TABLE_NONE;
}

unsigned table_place(const struct table *t, unsigned id, unsigned profile, unsigned start)
{
    if (!(t->rows[id].starts[profile] >> start & 1))
        return TABLE_NONE;
    return t->step[id * t->place_n + t->bit[profile][start]];
}

unsigned table_remove(const struct table *t, unsigned id, unsigned start)
{
    int i = layout_index(&t->rows[id].layout, start);
    if (i < 0)
        return TABLE_NONE;
    return t->step[id * t->place_n + t->bit[t->rows[id].layout.at[i].profile][start]];
}

slices table_starts(const struct table *t, unsigned id, unsigned profile)
{
    return t->rows[id].starts[profile];
}

bool table_maximal(const struct table *t, unsigned id)
{
    return t->rows[id].maximal;
}

const struct table_mix *table_pareto(const struct table *t, unsigned *ret_n)
{
    *ret_n = t->pareto_n;
    return t->pareto;
}

/* The layouts one move away from `id`, each told to `queue` if it is new. */
static unsigned spread(const struct table *t, unsigned id, uint8_t *ret, uint16_t *queue,
                       unsigned end)
{
    const struct layout *l = &t->rows[id].layout;
    for (unsigned i = 0; i < l->n; i++) {
        unsigned without = table_remove(t, id, l->at[i].start);
        slices left = t->rows[without].starts[l->at[i].profile];
        for (; left; left &= (slices)(left - 1)) {
            unsigned to = table_place(t, without, l->at[i].profile, (unsigned)__builtin_ctz(left));
            if (ret[to] != TABLE_FAR)
                continue;
            ret[to] = (uint8_t)(ret[id] + 1);
            queue[end++] = (uint16_t)to;
        }
    }
    return end;
}

int table_moves(const struct table *t, unsigned from, uint8_t *ret, struct error *err)
{
    AUTO_FREE uint16_t *queue = malloc(t->n * sizeof *queue);
    if (!queue)
        return error_set(err, ERROR_NO_MEMORY, "no memory to count moves between layouts");
    memset(ret, TABLE_FAR, t->n);
    ret[from] = 0;
    queue[0] = (uint16_t)from;
    unsigned end = 1;
    for (unsigned i = 0; i < end; i++)
        end = spread(t, queue[i], ret, queue, end);
    return 0;
}
