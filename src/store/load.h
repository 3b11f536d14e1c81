/* Reading the database: the present into a world, and the past one lease at a time. */
#pragma once

#include "store/ops.h"
#include "store/past.h"

#include <sqlite3.h>

/* Reads names and slots; all of them count as saved. */
int load_names(sqlite3 *db, struct names *names, const char *sql, struct error *err);

/* Applies every row of the present to `w`. */
int load_world(sqlite3 *db, const struct names *names, struct world *w, char ret_boot[64],
               struct error *err);

/* store_history_page over the database; `owner` as the leases' column has it, NULL for all. */
int load_history_page(sqlite3 *db, const struct names *names, const struct store_page *page,
                      const char *owner, int (*visit)(const struct store_past *p, void *arg),
                      void *arg, struct error *err);

/* store_history over the database. */
int load_history(sqlite3 *db, const struct names *names, uint32_t id, const char *owner,
                 size_t limit, int (*visit)(const struct store_past *p, void *arg), void *arg,
                 struct error *err);
