/* Random demands with the fewest GPUs that pack.h says hold them, for test-oracle.py, which asks
 * another program. Also the board's placements, so that the oracle counts layouts by itself.
 *
 *     test-instances BOARD COUNT SEED */
#include "plan/pack.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const struct board *b = argc == 4 ? board_find(argv[1]) : NULL;
    struct table *t = b ? table_new(b, table_plain(b)) : NULL;
    struct pack *p = t ? pack_new(t) : NULL;
    if (!p)
        return 2;
    struct rng r = {strtoull(argv[3], NULL, 10)};
    printf("slices %u\n", b->memory_slices);
    for (unsigned i = 0; i < b->profile_n; i++)
        if (table_mask(t) >> i & 1)
            printf("profile %u %u %u\n", i, b->profiles[i].size, b->profiles[i].starts);
    for (long n = strtol(argv[2], NULL, 10); n > 0; n--) {
        struct pack_demand d = {{0}};
        unsigned most = 1u << (1 + rng_below(&r, 9));
        uint32_t gpus;
        for (unsigned i = 0; i < b->profile_n; i++)
            if (table_mask(t) >> i & 1 && rng_below(&r, 3))
                d.n[i] = rng_below(&r, most);
        if (pack_fewest(p, &d, &gpus, NULL, NULL) < 0)
            return 1;
        printf("demand %u", gpus);
        for (unsigned i = 0; i < b->profile_n; i++)
            if (table_mask(t) >> i & 1)
                printf(" %u", d.n[i]);
        printf("\n");
    }
    pack_free(p);
    table_free(t);
    return 0;
}
