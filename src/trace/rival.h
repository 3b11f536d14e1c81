/* What `fetta simulate` puts beside each other: fettad as it is without a word of configuration,
 * rules of placement that are told the mix, layouts that are fixed, whole GPUs, what others do, and
 * a portfolio of the rules that is voted on jobs which are not judged. */
#pragma once

#include "sim/sim.h"

/* RIVAL_OTHER: a rule that the engine does not have, so its queue is a scan (sim/scan.h). */
enum rival_kind { RIVAL_FETTA, RIVAL_VOTED, RIVAL_RULE, RIVAL_STATIC, RIVAL_WHOLE, RIVAL_OTHER };

enum { RIVAL_NAME = 64 };

struct rival {
    char name[RIVAL_NAME];
    enum rival_kind kind;
    enum score_rule rule; /* of RIVAL_VOTED fettad's, until a vote sets another */
    struct score_mix mix; /* what it takes to be asked for; all 0: any profile alike. Others than
                           * RIVAL_FETTA and RIVAL_VOTED are told the mix of the jobs */
};

/* Reads "fetta", "auto", a rule's name (plan/score.h), "static:7x1g.10gb", "static:3g+2g+1g+1g",
 * "whole-gpu" or one of the others', and sets up the groups, queue and place of *setup for it.
 * ERROR_INVALID, with the policies known, or what does not fit on which board. */
int rival_parse(const char *name, struct sim_setup *setup, struct rival *ret, struct error *err);

/* Jobs of `from` as a policy has them: with fixed layouts, the smallest slice there that is enough;
 * with whole GPUs, one for each slice. What they asked for is what is counted. */
struct rival_source {
    struct sim_source from;
    const struct rival *rival;
    const struct sim_setup *setup;
    uint64_t most, n; /* jobs to give, 0: all; and given so far */
};
int rival_next(void *arg, struct sim_job *ret, struct error *err);

/* The compute slices that a job asks for, on the first board that has it; 0: none has. */
unsigned rival_gpc(const struct sim_setup *s, const struct sim_job *j);

/* Whether result `a` is better than `b`: more compute slices x time granted, and where that is
 * equal, a shorter mean wait. */
bool rival_better(const struct sim_result *a, const struct sim_result *b);
