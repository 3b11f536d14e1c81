/* From the layout a GPU has to the one it shall have, and when there will be room by itself. */
#pragma once

#include "model/layout.h"

/* Whether `l` can stand on an empty GPU of this board: INVALID with the first placement that
 * cannot, and why. `l->busy` is not looked at. */
int reshape_check(const struct board *b, const struct layout *l, struct error *err);

/* Of the layouts with just so many instances of each profile that hold all of `stays`, one that
 * keeps the most of `now`, of which the rest is destroyed and what is missing is made. False if
 * there is none, or `stays` holds more of a profile than asked for. What `now` holds in the place
 * of `stays` is not kept. */
bool reshape_least(const struct board *b, const struct layout *stays, const struct layout *now,
                   const uint8_t count[BOARD_PROFILES], struct layout *ret);

/* Something on a GPU and the instant by which it is gone. */
struct reshape_stay {
    uint8_t profile; /* BOARD_NO_PROFILE when the board does not know it */
    uint8_t start, size;
    int64_t gone; /* INT64_MAX: nobody knows */
};

/* The earliest instant, at least `now`, at which `profile` fits at one of `starts` beside what is
 * then still there; INT64_MAX if never by known ends. *ret_starts are the starts possible then. */
int64_t reshape_earliest(const struct board *b, const struct reshape_stay *stays, unsigned n,
                         unsigned profile, slices starts, int64_t now, slices *ret_starts);
