/* The world as JSON, as docs/api.md describes it. */
#pragma once

#include "base/str.h"
#include "daemon/daemon.h"
#include "engine/explain.h"

#include <jansson.h>

/* Who looks. */
struct viewer {
    int32_t pid;
    uint32_t uid, gid;
    bool operator_; /* root or in a group of `operators` */
};

/* An instant of the leases' clock as seconds since the epoch; null for 0 and TIME_NEVER. */
json_t *show_instant(const struct daemon *d, int64_t at);

/* A live lease; NULL without memory. */
json_t *show_lease(struct daemon *d, const struct lease *l, const struct viewer *v);

/* A past one. */
json_t *show_past(struct daemon *d, const struct store_past *p, const struct viewer *v);

/* The part of the status that is the same for everybody: gpus, leases, queue and the machine. With
 * `hide_owners` nobody's name is in it. */
json_t *show_status(struct daemon *d, bool hide_owners);

/* Why a request gets no place now, GPU by GPU, and what would help. */
json_t *show_explanation(struct daemon *d, const struct lease *ask,
                         const struct explanation *x);

/* What instances there are on the GPUs, in words for one line of an error: "1g.10gb x 7, 3g.40gb on
 * GPU 0; none on 1". */
void show_instances(struct daemon *d, struct str *ret);

/* What would have to move for a request that does not fit: the "rescue" of an explanation; null
 * where there is room, or without memory. */
json_t *show_moves(struct daemon *d, const struct lease *ask);

/* The guarantee card of a live lease. */
json_t *show_card(struct daemon *d, const struct lease *l);

/* "uid:1000", or the text of a named owner; returns `buf`. */
enum { SHOW_OWNER = 128 };
const char *show_owner(struct daemon *d, struct owner o, char buf[SHOW_OWNER]);
