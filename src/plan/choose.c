/* Bitmaps of GPUs by rank, each with a summary word per 64 words; see choose.h. */
#include "plan/choose.h"

#include <stdlib.h>
#include <string.h>

enum { RANK_WORDS = CHOOSE_RANKS / 64 };

struct choose {
    size_t gpu_max, words, sums; /* 64-bit words of a bitmap and of its summary */
    uint8_t *rank;               /* [gpu][row] */
    uint8_t *board;              /* [gpu] */
    uint64_t used[MACHINE_BOARDS][CHOOSE_ROWS][RANK_WORDS]; /* ranks with any GPU */
    uint64_t *bits; /* [board][row][rank][summary words, then bitmap words] */
};

struct choose *choose_new(size_t gpu_max)
{
    struct choose *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->gpu_max = gpu_max;
    c->words = gpu_max / 64 + 1;
    c->sums = c->words / 64 + 1;
    c->rank = malloc(gpu_max * CHOOSE_ROWS + 1);
    c->board = calloc(gpu_max + 1, 1);
    c->bits = calloc((size_t)MACHINE_BOARDS * CHOOSE_ROWS * CHOOSE_RANKS * (c->words + c->sums),
                     sizeof *c->bits);
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

static uint64_t *bucket(const struct choose *c, unsigned board, unsigned row, unsigned rank)
{
    size_t i = ((size_t)board * CHOOSE_ROWS + row) * CHOOSE_RANKS + rank;
    return c->bits + i * (c->words + c->sums);
}

static void add(struct choose *c, unsigned gpu, unsigned board, unsigned row, unsigned rank)
{
    uint64_t *sums = bucket(c, board, row, rank), *words = sums + c->sums;
    words[gpu / 64] |= UINT64_C(1) << gpu % 64;
    sums[gpu / 4096] |= UINT64_C(1) << gpu / 64 % 64;
    c->used[board][row][rank / 64] |= UINT64_C(1) << rank % 64;
}

static void drop(struct choose *c, unsigned gpu, unsigned board, unsigned row, unsigned rank)
{
    uint64_t *sums = bucket(c, board, row, rank), *words = sums + c->sums;
    words[gpu / 64] &= ~(UINT64_C(1) << gpu % 64);
    if (words[gpu / 64])
        return;
    sums[gpu / 4096] &= ~(UINT64_C(1) << gpu / 64 % 64);
    for (size_t i = 0; i < c->sums; i++) {
        if (sums[i])
            return;
    }
    c->used[board][row][rank / 64] &= ~(UINT64_C(1) << rank % 64);
}

void choose_put(struct choose *c, unsigned gpu, unsigned board, const uint8_t ranks[CHOOSE_ROWS])
{
    uint8_t *old = c->rank + (size_t)gpu * CHOOSE_ROWS;
    unsigned old_board = c->board[gpu];
    for (unsigned row = 0; row < CHOOSE_ROWS; row++) {
        if (old[row] == ranks[row] && old_board == board)
            continue;
        if (old[row] != CHOOSE_NONE)
            drop(c, gpu, old_board, row, old[row]);
        if (ranks[row] != CHOOSE_NONE)
            add(c, gpu, board, row, ranks[row]);
        old[row] = ranks[row];
    }
    c->board[gpu] = (uint8_t)board;
}

/* The first set bit of `words` at or after `from`, or -1. */
static long first_bit(const uint64_t *words, size_t n, size_t from, uint64_t *looked)
{
    for (size_t i = from / 64; i < n; i++) {
        uint64_t left = words[i] & (i == from / 64 ? ~UINT64_C(0) << from % 64 : ~UINT64_C(0));
        ++*looked;
        if (left)
            return (long)(i * 64 + (size_t)__builtin_ctzll(left));
    }
    return -1;
}

/* The first GPU of a bucket at or after `gpu`, or -1. */
static long first_gpu(const struct choose *c, const uint64_t *sums, unsigned gpu, uint64_t *looked)
{
    const uint64_t *words = sums + c->sums;
    uint64_t here = words[gpu / 64] & ~UINT64_C(0) << gpu % 64;
    ++*looked;
    if (here)
        return (long)(gpu / 64 * 64 + (unsigned)__builtin_ctzll(here));
    long word = first_bit(sums, c->sums, gpu / 64 + 1, looked);
    return word < 0 ? -1 : word * 64 + __builtin_ctzll(words[word]);
}

bool choose_next(const struct choose *c, unsigned board, unsigned row, struct choose_at *at,
                 uint64_t *looked)
{
    while (at->rank < CHOOSE_RANKS) {
        long rank = first_bit(c->used[board][row], RANK_WORDS, at->rank, looked);
        if (rank < 0)
            return false;
        unsigned from = rank == (long)at->rank ? at->gpu : 0;
        at->rank = (unsigned)rank;
        long gpu =
            from < c->gpu_max ? first_gpu(c, bucket(c, board, row, at->rank), from, looked) : -1;
        if (gpu >= 0) {
            at->gpu = (unsigned)gpu;
            return true;
        }
        *at = (struct choose_at){.rank = at->rank + 1, .gpu = 0};
    }
    return false;
}
