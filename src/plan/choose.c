/* Bitmaps of GPUs by rank, each a tree of 64 ways; see choose.h. A bit above says that the word
 * below it is not 0.
 *
 * Up to 64 GPUs are a word, which is what a daemon has. More of them are a tree of four levels,
 * however many they are: looking through it costs the same for 100 as for a million. */
#include "plan/choose.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_WORDS = CHOOSE_RANKS / 64, LEVELS = 4 };

struct choose {
    size_t gpu_max, words; /* 64-bit words of a tree */
    unsigned levels;
    size_t level[LEVELS]; /* where its levels begin, the lowest first */
    uint8_t *rank;        /* [gpu][row] */
    uint8_t *board;       /* [gpu] */
    uint64_t used[MACHINE_BOARDS][CHOOSE_ROWS][RANK_WORDS]; /* ranks with any GPU */
    uint64_t *bits;                                         /* [board][row][rank][words] */
};

struct choose *choose_new(size_t gpu_max)
{
    struct choose *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    assert(gpu_max <= CHOOSE_GPUS);
    c->gpu_max = gpu_max;
    c->levels = gpu_max <= 64 ? 1 : LEVELS;
    for (unsigned i = c->levels; i-- > 0;) {
        c->level[i] = c->words; /* the top first: what is read first lies together */
        c->words += (gpu_max >> 6 * (i + 1)) + 1;
    }
    c->rank = malloc(gpu_max * CHOOSE_ROWS + 1);
    c->board = calloc(gpu_max + 1, 1);
    c->bits =
        calloc((size_t)MACHINE_BOARDS * CHOOSE_ROWS * CHOOSE_RANKS * c->words, sizeof *c->bits);
    if (!c->rank || !c->board || !c->bits)
        return choose_free(c);
    memset(c->rank, CHOOSE_NONE, gpu_max * CHOOSE_ROWS + 1);
    return c;
}

struct choose *choose_free(struct choose *c)
{
    if (c) {
        free(c->rank);
        free(c->board);
        free(c->bits);
        free(c);
    }
    return NULL;
}

static uint64_t *tree(const struct choose *c, unsigned board, unsigned row, unsigned rank)
{
    return c->bits + (((size_t)board * CHOOSE_ROWS + row) * CHOOSE_RANKS + rank) * c->words;
}

static void add(struct choose *c, unsigned gpu, unsigned board, unsigned row, unsigned rank)
{
    uint64_t *t = tree(c, board, row, rank);
    size_t at = gpu;
    for (unsigned i = 0; i < c->levels; i++, at /= 64) {
        uint64_t *word = &t[c->level[i] + at / 64], before = *word;
        *word |= UINT64_C(1) << at % 64;
        if (before)
            return;
    }
    c->used[board][row][rank / 64] |= UINT64_C(1) << rank % 64;
}

static void drop(struct choose *c, unsigned gpu, unsigned board, unsigned row, unsigned rank)
{
    uint64_t *t = tree(c, board, row, rank);
    size_t at = gpu;
    for (unsigned i = 0; i < c->levels; i++, at /= 64) {
        uint64_t *word = &t[c->level[i] + at / 64];
        *word &= ~(UINT64_C(1) << at % 64);
        if (*word)
            return;
    }
    c->used[board][row][rank / 64] &= ~(UINT64_C(1) << rank % 64);
}

static void move(struct choose *c, unsigned gpu, unsigned row, const uint8_t *ranks, unsigned board)
{
    uint8_t *old = c->rank + (size_t)gpu * CHOOSE_ROWS;
    if (old[row] != CHOOSE_NONE)
        drop(c, gpu, c->board[gpu], row, old[row]);
    if (ranks[row] != CHOOSE_NONE)
        add(c, gpu, board, row, ranks[row]);
    old[row] = ranks[row];
}

void choose_put(struct choose *c, unsigned gpu, unsigned board, const uint8_t ranks[CHOOSE_ROWS])
{
    const uint8_t *old = c->rank + (size_t)gpu * CHOOSE_ROWS;
    bool all = c->board[gpu] != board;
    unsigned row = 0;
    /* Most rows keep their rank: eight at a time are passed over. */
    for (; row + 8 <= CHOOSE_ROWS; row += 8) {
        uint64_t was, is;
        memcpy(&was, old + row, 8);
        memcpy(&is, ranks + row, 8);
        for (unsigned i = row; (was != is || all) && i < row + 8; i++) {
            if (old[i] != ranks[i] || all)
                move(c, gpu, i, ranks, board);
        }
    }
    for (; row < CHOOSE_ROWS; row++) {
        if (old[row] != ranks[row] || all)
            move(c, gpu, row, ranks, board);
    }
    c->board[gpu] = (uint8_t)board;
}

void choose_soon(const struct choose *c, unsigned gpu)
{
    __builtin_prefetch(c->rank + (size_t)gpu * CHOOSE_ROWS);
    __builtin_prefetch(c->board + gpu);
}

/* The first GPU of a tree at or after `gpu`, or -1: up until something is to the right, and down
 * again. Reads as many words as there are levels if it begins at the left. */
static long first_gpu(const struct choose *c, const uint64_t *t, unsigned gpu, uint64_t *looked)
{
    unsigned level = gpu ? 0 : c->levels - 1;
    size_t at = gpu;
    for (;; level++, at = at / 64 + 1) {
        if (level == c->levels || at > c->gpu_max >> 6 * level)
            return -1;
        uint64_t here = t[c->level[level] + at / 64] & ~UINT64_C(0) << at % 64;
        ++*looked;
        if (here) {
            at = at / 64 * 64 + (size_t)__builtin_ctzll(here);
            break;
        }
    }
    for (; level > 0; level--) {
        uint64_t here = t[c->level[level - 1] + at];
        ++*looked;
        at = at * 64 + (size_t)__builtin_ctzll(here);
    }
    return (long)at;
}

/* The first rank at or after `from` that any GPU has, or -1. */
static long first_rank(const uint64_t *used, unsigned from, uint64_t *looked)
{
    for (unsigned i = from / 64; i < RANK_WORDS; i++) {
        uint64_t left = used[i] & (i == from / 64 ? ~UINT64_C(0) << from % 64 : ~UINT64_C(0));
        ++*looked;
        if (left)
            return (long)(i * 64 + (unsigned)__builtin_ctzll(left));
    }
    return -1;
}

bool choose_next(const struct choose *c, unsigned board, unsigned row, struct choose_at *at,
                 uint64_t *looked)
{
    while (at->rank < CHOOSE_RANKS) {
        long rank = first_rank(c->used[board][row], at->rank, looked);
        if (rank < 0)
            return false;
        unsigned from = rank == (long)at->rank ? at->gpu : 0;
        at->rank = (unsigned)rank;
        long gpu =
            from < c->gpu_max ? first_gpu(c, tree(c, board, row, at->rank), from, looked) : -1;
        if (gpu >= 0) {
            at->gpu = (unsigned)gpu;
            return true;
        }
        *at = (struct choose_at){.rank = at->rank + 1, .gpu = 0};
    }
    return false;
}
