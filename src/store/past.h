/* What history says of a lease's slices. */
#pragma once

#include "engine/lease.h"

/* Boards, and which of them each GPU slot has. */
struct past_boards {
    struct board boards[MACHINE_BOARDS];
    uint8_t of_gpu[MACHINE_GPUS]; /* MACHINE_BOARDS = not known */
};

/* "GPU 0: 1g.10gb at 4, GPU 3", owned by the caller; NULL without memory. */
char *past_slices(const struct lease *l, const struct past_boards *boards);
