/* ParvaGPU's published profiles and scenarios (SC'24, github.com/MunQ-Lee/ParvaGPU_SC24): what a
 * slice of an A100-80 serves of eleven models, and how much of each is asked for how soon. */
#pragma once

#include "plan/table.h"

enum { PARVA_SCENARIOS = 6, PARVA_MODELS = 11 };

struct parva_scenario {
    double target_ms[PARVA_MODELS], rate[PARVA_MODELS]; /* rate 0: not in it */
};

extern const char *const parva_models[PARVA_MODELS];

/* The profiles but for 1g with double memory, which nobody measured. */
unsigned parva_mask(const struct board *b);

/* From DIR/parvagpu-profiles/SLO; false if it is not there. */
bool parva_scenarios(const char *dir, struct parva_scenario ret[PARVA_SCENARIOS]);

/* What one slice of each profile of `mask` serves of a model by ParvaGPU's own rule: a point counts
 * if its latency is below 0.45 of the target, and then with the throughput of all its processes. */
bool parva_profile(const char *dir, const char *model, double target_ms, const struct board *b,
                   unsigned mask, double ret[BOARD_PROFILES]);
