/* Finding a board's row in physical.def. */
#include "emul/physical.h"

#include <string.h>

static const struct physical rows[] = {
#define PHYSICAL(name, ...) {.board = (name), __VA_ARGS__},
#include "emul/physical.def"
#undef PHYSICAL
};

const struct physical *physical_of(const char *board)
{
    static const struct physical unknown = {.board = ""};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].board, board) == 0)
            return &rows[i];
    return &unknown;
}

unsigned physical_cores_per_sm(const struct board *b)
{
    if (b->cc_major == 8 && b->cc_minor == 0)
        return 64;
    return b->cc_major >= 8 && b->cc_major <= 12 ? 128 : 0;
}
