/* The policy "auto" of `fetta simulate`: the very vote that fettad holds where its configuration
 * says `placement: auto`, on the jobs before those that are judged. */
#pragma once

#include "trace/rival.h"
#include "trace/trace.h"

/* Reads the first `most` jobs of `t` and votes on the last of them (vote/vote.h). *rival follows
 * what won; it stays as it is where nothing did, or where the jobs are too few for a vote. `seed`
 * is that of the draws. The trace's errors, or the vote's. */
int simulate_vote(struct trace *t, const struct sim_setup *setup, uint64_t most, uint64_t seed,
                  struct rival *rival, struct error *err);
