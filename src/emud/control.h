/* Requests that are no calls of NVML: holding devices, and changing the machine from outside. */
#pragma once

#include "emud/answer.h"
#include "emud/trouble.h"

/* A fault plan on its way, piece by piece. */
struct control_plan {
    char *bytes;
    size_t n;
};

/* Carries out a control request other than EMU_HELLO; `a` is ready to be sent. */
void control_answer(struct trouble *t, struct box_session *s, struct control_plan *plan,
                    const struct emu_request *q, struct answer *a);
