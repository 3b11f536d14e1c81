/* Where a verb that takes a trace has it from: a file, stdin, or what this machine really ran. */
#pragma once

#include "cli/cli.h"

#include <stdio.h>

/* Opens FILE, "-" for stdin, or "history:30d" (or "history:2026-11-01", "history:30d@USER"): the
 * past leases that ended since then, asked of fettad and written as a trace (trace/trace.h), whose
 * first comes at 0. Says on stderr which leases are left out of it. What cannot be read twice is
 * kept in a file that has no name. *ret_name, for errors, is `spec` or static. ERROR_IO,
 * ERROR_INVALID, ERROR_NOT_FOUND, fettad's errors. The caller closes *ret. */
int source_open(struct cli *c, const char *spec, FILE **ret, const char **ret_name,
                struct error *err);
