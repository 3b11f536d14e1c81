/* The fewest GPUs of one kind that hold so many instances of each profile, when all may be placed
 * afresh: exactly, with proof.
 *
 * The answer for a million instances costs what it costs for ten. On boards whose single GPU holds
 * just what an A100 holds (two halves of four memory slices, the right one short of a compute
 * slice), or what an A30 holds, it is a closed form; that a board is of that kind is read off its
 * table, mix by mix, when the packer is made. Elsewhere an integer program over the table's largest
 * mixes answers. */
#pragma once

#include "plan/table.h"

/* Instances wanted, by index into board->profiles. */
struct pack_demand {
    uint32_t n[BOARD_PROFILES];
};

enum pack_form { PACK_SEARCH, PACK_HALVES, PACK_HALVING };

struct pack;

/* A packer over a table, which must outlive it; NULL without memory. */
struct pack *pack_new(const struct table *t);
struct pack *pack_free(struct pack *p);

/* How it answers. */
enum pack_form pack_form(const struct pack *p);

/* Whether `gpus` GPUs hold the demand. Only where there is a closed form. */
bool pack_holds(const struct pack *p, const struct pack_demand *d, uint32_t gpus);

/* The fewest GPUs that hold the demand, and, if `ret_mixes` is not NULL, how many of them are cut
 * to each of the table's Pareto mixes (by index; *ret_mixes has room for all). Profiles outside the
 * table's mask must not be asked for: ERROR_INVALID. ERROR_NO_MEMORY. */
int pack_fewest(const struct pack *p, const struct pack_demand *d, uint32_t *ret_gpus,
                uint32_t *ret_mixes, struct error *err);

/* No packing can do with fewer, told by something anybody can check: the largest of compute slices
 * and memory slices asked for over those of a GPU, rounded up. The fewest may be more. */
uint32_t pack_simple_bound(const struct board *b, const struct pack_demand *d);
