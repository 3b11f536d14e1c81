/* A world that only remembers the rows it was given, and rows to give it. Defining world_apply
 * here keeps the store's tests independent of the engine's rules: any row is a good row. */
#pragma once

#include "base/rng.h"
#include "store/store.h"
#include "store/tables.h"

enum { FAKE_LEASES = 40 };

struct world {
    struct lease leases[FAKE_LEASES];
    struct gpu gpus[4];
    struct board boards[MACHINE_BOARDS];
    struct policy policy;
    bool has_gpu[4], has_board[MACHINE_BOARDS];
    uint32_t next_id;
    size_t applied;
};

/* An empty one, freed with free; NULL without memory. */
struct world *fake_world(void);

/* Remembers one row; an ended lease is forgotten. */
void fake_apply(struct world *w, const struct change *c);

/* Whether two worlds hold the same, column by column; says the first difference. */
bool fake_same(const struct world *a, const struct world *b);

/* A row with every column at random (words within their range). */
void fake_row(struct rng *r, const struct row_table *t, void *to);
void fake_change(struct rng *r, struct change *ret);

/* Loads into a new world; NULL, with the reason on stdout, when that fails. */
struct world *fake_load(struct store *s);

/* Writes one change in a transaction of its own. */
int fake_write(struct store *s, const struct change *c, int64_t wall, struct error *err);

/* Writes the changes of generation g: lease, GPU and next id all say g, so a mix shows. */
int generation_write(struct store *s, uint32_t g, struct error *err);

/* The generation that a file holds; 0, with the reason on stdout, for a mix or none. */
uint32_t generation_read(const char *path);

/* A folder of its own, gone at the end. */
struct folder {
    char path[64], file[96];
};

/* Makes it under /dev/shm or /tmp, or aborts. */
struct folder folder_new(void);

/* Removes it with the files a store leaves there. */
void folder_done(struct folder *f);

#define FOLDER CLEANUP(folder_done) struct folder
