/* The report of `fetta simulate`, as one HTML page. */
#pragma once

#include "sim/detail.h"
#include "sim/record.h"

#include "base/str.h"

/* One policy and what became of the jobs under it. */
struct simulate_policy {
    const char *name, *rule; /* the rule of placement where it has chosen one, NULL otherwise */
    const struct sim_result *result;
    const struct record *record;
    const struct detail *detail;
    bool places;              /* it says where jobs run; GPUs and what follows mean something */
    double stranded, useless; /* per cent of jobs, and of all compute slices, as on a terminal */
};

struct simulate_page {
    const char *trace, *machine;
    const char *notes;   /* what was counted how, as on a terminal */
    const char *command; /* which makes the same page again */
    const struct sim_setup *setup;
    unsigned n;
    const struct simulate_policy *policies; /* at most 24, as many as a chart has lines */
};

/* The command line, quoted for a shell where that is needed. */
void simulate_report_command(int argc, char **argv, struct str *out);

/* The page. Sets out->failed without memory. */
void simulate_report(const struct simulate_page *s, struct str *out);
