/* What fettad and the fetta-vote that it starts say to each other: structs as they are in memory,
 * since both are of one build; `mark` says when they are not. */
#pragma once

#include "vote/vote.h"

#define VOTE_MARK (UINT64_C(0x6665747461766f74) ^ sizeof(struct vote_question) << 8 ^ \
                   sizeof(struct vote_job))

/* Standard input of fetta-vote: this, then question.job_n jobs. */
struct vote_paper {
    uint64_t mark;
    struct vote_question question;
};

/* Its standard output, once it is done. */
struct vote_answer {
    uint64_t mark;
    int32_t code; /* 0 or negative, with the text */
    struct vote_result result;
    char text[ERROR_TEXT];
};
