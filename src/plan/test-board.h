/* A board with its table and packer, for the tests of packing. */
#pragma once

#include "plan/pack.h"

struct rig {
    const struct board *board;
    struct table *table;
    struct pack *pack;
};

/* Over the profiles without a suffix. rig_done frees both. */
static struct rig rig_new(const char *board)
{
    struct rig r = {.board = board_find(board)};
    r.table = table_new(r.board, table_plain(r.board));
    r.pack = pack_new(r.table);
    return r;
}

static void rig_done(struct rig *r)
{
    pack_free(r->pack);
    table_free(r->table);
}
