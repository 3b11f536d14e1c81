/* The queue that most schedulers have, to be compared with: whenever something changes, each job
 * that waits is looked at, in the order of priority, then of arrival, and started if it fits.
 * Nobody waits for those in front, so a large job may be overtaken for as long as small ones come.
 *
 * No engine decides here, so that rules can be tried that it does not have. Instances are made for
 * each job and destroyed after it; whole GPUs take no change of the mode, which is kind to them. */
#pragma once

#include "sim/sim.h"

/* As sim_run, for a setup whose queue is SIM_SCAN. Quotas and idle instances are not known here. */
int scan_run(const struct sim_setup *setup, const struct sim_source *source, sim_progress *progress,
             void *progress_arg, struct sim_result *ret, struct error *err);
