/* What `fetta compare` found, as JSON and as a report to look at and to print. */
#pragma once

#include "compare/compare.h"

#include "base/str.h"

#include <jansson.h>

/* The work, and what each system makes of it. */
struct compare_all {
    struct needs needs;
    const char *file;
    uint64_t seed;
    unsigned n;
    struct compare_system *systems;
};

/* All of it; NULL without memory. */
json_t *compare_document(const struct compare_all *all);

/* The report: one HTML page that needs nothing else. Sets out->failed without memory. */
void compare_report(const struct compare_all *all, struct str *out);

/* "4 x 3g.40gb", ... of one GPU. */
void compare_mix_name(const struct board *b, const struct compare_mix *m, struct str *out);
