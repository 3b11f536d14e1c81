/* What the files of this folder share. */
#pragma once

#include "compare/compare.h"

#include "share/queue.h"

/* Where a server runs and what else is there. */
struct compare_place {
    const struct board *board;
    unsigned profile; /* BOARD_NO_PROFILE: the whole GPU */
};

/* Fills the times of a server: on a slice with busy neighbours when `busy`; with its own part apart
 * from the device's when `mps`. `ret_basis` may be NULL. False where nothing is published. */
bool compare_times(const struct need *n, struct compare_place at, unsigned batch, bool busy,
                   bool mps, struct queue_server *ret, enum work_basis *ret_basis);

/* What a whole GPU serves of a need, as needs_offer does for slices. */
struct needs_offer compare_whole(const struct need *n, const struct board *b);

/* Whether a slice of a profile is enough for a job. */
bool compare_job_fits(const struct need *n, const struct board *b, unsigned profile);

/* Whether it is a job that ends; others hold a slice for good. */
bool compare_ends(const struct need *n);

/* The part of a GPU that a job holds where nothing cuts it. */
double compare_part(const struct need *n, const struct compare_system *s);

/* Jobs on `gpus` GPUs that are there for them alone. */
int compare_jobs(const struct needs *n, const struct compare_system *s, struct compare_row *row,
                 uint32_t gpus, struct error *err);
