/* A lease's slices in words. */
#include "store/past.h"

#include "base/str.h"

char *past_slices(const struct lease *l, const struct past_boards *boards)
{
    struct str s = {0};
    for (unsigned i = 0; i < l->slice_n; i++) {
        const struct lease_slice *slice = &l->slices[i];
        unsigned on = slice->gpu < MACHINE_GPUS ? boards->of_gpu[slice->gpu] : MACHINE_BOARDS;
        const struct board *b = on < MACHINE_BOARDS ? &boards->boards[on] : NULL;
        char name[BOARD_PROFILE_NAME];
        str_addf(&s, "%sGPU %u", i ? ", " : "", slice->gpu);
        if (b && slice->profile < b->profile_n)
            str_addf(&s, ": %s at %u", board_profile_name(b, &b->profiles[slice->profile], name),
                     slice->start);
    }
    return str_take(&s);
}
