/* Measurements of the user's own as CSV: slice,batch,processes,throughput,latency_ms with these
 * names in the first line, in any order. */
#pragma once

#include "needs/needs.h"

/* Reads `text`; `what` names the file in errors, which say line and column. The list is the
 * caller's to free. -ERROR_INVALID, -ERROR_NO_MEMORY. */
int points_read(const char *text, const char *what, struct needs_point **ret, size_t *ret_n,
                struct error *err);
