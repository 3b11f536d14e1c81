/* What a kind of store implements; store.c gives it the public face. */
#pragma once

#include "store/names.h"
#include "store/store.h"

struct store_ops {
    void (*close)(struct store *s);
    int (*load)(struct store *s, struct world *w, char ret_boot[64], struct error *err);
    int (*begin)(struct store *s, struct error *err);
    int (*write)(struct store *s, const struct change *c, int64_t wall, struct error *err);
    int (*set_boot)(struct store *s, const char *boot_id, struct error *err);
    int (*set_text)(struct store *s, const struct store_text *t, struct error *err);
    int (*set_exit)(struct store *s, uint32_t lease, int status, struct error *err);
    int (*set_left)(struct store *s, uint32_t lease, const char *lines, struct error *err);
    int (*set_peak)(struct store *s, uint32_t lease, const struct store_peak *peak,
                    struct error *err);
    int (*audit)(struct store *s, int64_t wall, uint32_t lease, uint32_t uid, const char *what,
                 struct error *err);
    int (*save)(struct store *s, struct names *names, uint32_t index, struct error *err);
    int (*commit)(struct store *s, struct error *err);
    void (*rollback)(struct store *s);
    int (*history)(struct store *s, uint32_t id, const struct owner *owner, size_t limit,
                   int (*visit)(const struct store_past *p, void *arg), void *arg,
                   struct error *err);
    int (*history_page)(struct store *s, const struct store_page *page,
                        int (*visit)(const struct store_past *p, void *arg), void *arg,
                        struct error *err);
    int (*prune)(struct store *s, int64_t before_wall, size_t max, struct error *err);
};

/* The first member of every kind of store. */
struct store {
    const struct store_ops *ops;
    struct names names, slots; /* numbers from 1, slots from 0 */
    uint64_t commits;
    bool open; /* a transaction is */
};

/* Applies one change to a world; the world is the engine's, this is its one door. */
void store_apply(struct world *w, struct change *c);
