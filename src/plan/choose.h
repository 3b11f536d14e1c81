/* Which of many GPUs, without looking at many GPUs.
 *
 * Every GPU has a rank per profile (lower is better; how good is the caller's business), and the
 * GPUs of one rank are a bitmap with summaries above it. So the best GPU is found by a few
 * find-first-set steps, as many for 100 GPUs as for a million, and ties go to the lowest GPU. */
#pragma once

#include "model/machine.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    CHOOSE_WHOLE = BOARD_PROFILES, /* the row of whole GPUs, after the profiles */
    CHOOSE_ROWS = BOARD_PROFILES + 1,
    CHOOSE_RANKS = 192,
    CHOOSE_NONE = 255, /* the rank of a GPU that cannot serve */
    CHOOSE_GPUS = 1 << 24, /* most GPUs */
};

struct choose;

/* An index for `gpu_max` GPUs of up to MACHINE_BOARDS boards, all of them ranked CHOOSE_NONE; NULL
 * without memory. The only allocation. */
struct choose *choose_new(size_t gpu_max);
struct choose *choose_free(struct choose *c);

/* Says that `gpu` has this board and these ranks from now on. */
void choose_put(struct choose *c, unsigned gpu, unsigned board, const uint8_t ranks[CHOOSE_ROWS]);

/* Fetches from memory what a change of this GPU's ranks needs. */
void choose_soon(const struct choose *c, unsigned gpu);

/* A place in the order (rank, gpu); start with {0, 0}. */
struct choose_at {
    unsigned rank, gpu;
};

/* Moves `at` to the first GPU at or after it in the given row; false if there is none. `looked`
 * counts the words read, so that a test can prove the cost. */
bool choose_next(const struct choose *c, unsigned board, unsigned row, struct choose_at *at,
                 uint64_t *looked);
