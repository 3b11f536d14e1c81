/* What was asked of this machine lately, as a vote on the rule of placement wants it. */
#pragma once

#include "daemon/daemon.h"
#include "vote/vote.h"

/* The GPUs as they are, and the last VOTE_JOBS requests of the last month, from history and from
 * what lives or waits. What still runs counts with what it ran so far. *ret_jobs is the caller's.
 * -ERROR_INVALID with the reason where there is nothing to vote on: too few requests, no GPUs, or
 * GPUs of too many kinds. */
int recall_question(struct daemon *d, struct vote_question *ret, struct vote_job **ret_jobs,
                    struct error *err);

/* Which kind of request this is, for counting: a row of the first board that has it. */
enum { RECALL_KINDS = BOARD_PROFILES + 1 };
unsigned recall_kind(const struct lease *l);
