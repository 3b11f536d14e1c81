/* The fewest GPUs for some services where GPUs are not alike: of several boards, or with something
 * on them that stays; and of all such plans the one that costs least by a second measure.
 *
 * GPUs that are alike are one kind, of which there are so many. What one of a kind can become is
 * a list of columns, made by whoever knows; what a slice is called here is a piece, a profile of a
 * board. The rest is what plan/serve.h solves for one kind: columns against whole ways to serve a
 * service, found by prices, and the prices are the proof. Because kinds run out, a GPU of a kind
 * has a rent beside its price. */
#pragma once

#include "plan/cover.h"
#include "plan/serve.h"

enum { BLEND_KINDS = 64, BLEND_COLUMNS = 320 };

struct blend_kind {
    uint32_t count; /* GPUs there are */
    bool free;      /* in use anyway: one of them is no GPU more */
};

/* One thing that a GPU of a kind can become. */
struct blend_column {
    uint8_t kind;
    uint8_t n[COVER_PIECES];    /* slices that it holds for the services */
    uint8_t kept[COVER_PIECES]; /* ... of which are there already */
    uint16_t cost;              /* by the second measure, without new slices */
    uint16_t tag;               /* the caller's */
};

struct blend {
    unsigned kind_n, column_n, piece_n, n;
    struct blend_kind kinds[BLEND_KINDS];
    struct blend_column columns[BLEND_COLUMNS];
    double size[COVER_PIECES]; /* about what part of a GPU a piece is, > 0: where to begin */
    uint8_t board[COVER_PIECES];
    double rate[SERVE_MAX];                  /* wanted, > 0 */
    double amounts[SERVE_MAX][COVER_PIECES]; /* what one piece serves of it */
    bool quick;        /* a good plan is enough; little is proved */
    unsigned new_cost; /* of a slice in use that was not there, by the second measure */
};

/* Prices, checked with a pocket calculator: what a GPU can become holds pieces for no more than its
 * cost and its rent, and a service is served by whole pieces for no less than least[]. So nothing
 * costs less than the sum of least[] without the rents of all GPUs. */
struct blend_proof {
    double price[COVER_PIECES], least[SERVE_MAX], rent[BLEND_KINDS];
    double sum;
};

struct blend_plan {
    bool fits;    /* else only `fewest` and `bound` are of use */
    bool optimal; /* no plan takes fewer GPUs; or, where nothing fits, nothing does */
    bool
        searched; /* the proof is the search through all ways that prices leave, not prices alone */
    uint32_t gpus, bound; /* those that are not in use anyway */
    struct blend_proof proof;
    bool least;                    /* none of as many GPUs costs less by the second measure */
    uint32_t second, second_bound; /* that cost, and what none is below */
    uint32_t times[BLEND_COLUMNS];
    uint32_t pieces[SERVE_MAX][COVER_PIECES];
    uint64_t nodes;
};

/* -ERROR_UNSUPPORTED for a program beyond the limits, -ERROR_NO_MEMORY. A service that no piece
 * serves fits nowhere. */
int blend_solve(const struct blend *b, struct blend_plan *ret, struct error *err);

/* Adds a column unless one of its kind that is there is as good in every way; takes those away that
 * it is as good as. False if there is no room. */
bool blend_add(struct blend *b, const struct blend_column *c);
