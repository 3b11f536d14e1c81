/* What a load prints. Every line, and the JSON object, says that it is modelled and by which
 * sources. */
#pragma once

#include "base/str.h"
#include "load/serve.h"

/* Names of the sources of a set, "parvagpu, nos", into `ret`. */
enum { REPORT_NAMES = 160 };
void report_names(unsigned sources, char ret[REPORT_NAMES]);

/* The whole report as lines, and as JSON. */
void report_lines(const struct serve_plan *p, const struct serve_report *r, struct str *out);
void report_json(const struct serve_plan *p, const struct serve_report *r, struct str *out);

/* One line of progress. */
void report_progress(const struct serve_plan *p, const struct serve_report *r, int64_t now,
                     struct str *out);

/* The known models with boards and sources. */
void report_models(bool json, struct str *out);
