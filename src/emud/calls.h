/* What the bodies of calls have in common: looking at a request and answering in one line.
 *
 * Many questions are about a whole GPU: for a MIG device NVML answers them with NOT_SUPPORTED, and
 * so it does for a figure that nobody has published (0 in physical.def). */
#pragma once

#include "emud/answer.h"
#include "emul/physical.h"

/* The number that parameter `i` holds. */
static inline unsigned calls_arg(const struct ask *k, unsigned i)
{
    return (unsigned)k->request->arg[i];
}

/* True if the first parameter is a MIG device, not a GPU. */
static inline bool calls_is_mig(const struct ask *k)
{
    return k->at.ci != BOX_ANY;
}

/* The GPU the call is about, its board, its figures and its settings. */
static inline struct machine_gpu *calls_gpu(const struct ask *k)
{
    return &k->box->m.gpus[k->at.gpu];
}

static inline const struct board *calls_board(const struct ask *k)
{
    return box_board(k->box, k->at.gpu);
}

static inline const struct physical *calls_physical(const struct ask *k)
{
    return physical_of(calls_board(k)->name);
}

static inline struct box_state *calls_state(const struct ask *k)
{
    return &k->box->state[k->at.gpu];
}

/* Answers with a fact about the whole GPU, or NOT_SUPPORTED where it is 0 or this is a MIG device.
 */
static inline int calls_fact(struct ask *k, unsigned value)
{
    return value == 0 || calls_is_mig(k) ? (int)NVML_ERROR_NOT_SUPPORTED : answer_number(k, value);
}

/* The same for a number that may be 0. */
static inline int calls_of_gpu(struct ask *k, unsigned value)
{
    return calls_is_mig(k) ? (int)NVML_ERROR_NOT_SUPPORTED : answer_number(k, value);
}

/* The same for a text, NULL if unknown; its room is parameter `len`. */
static inline int calls_text(struct ask *k, unsigned len, const char *text)
{
    return !text || calls_is_mig(k) ? (int)NVML_ERROR_NOT_SUPPORTED : answer_text(k, len, text);
}

/* Appends a number of 64 bits. */
static inline int calls_long(struct ask *k, unsigned long long value)
{
    return answer_put(k, &value, sizeof value);
}

/* True where NVML has MIG mode on: what belongs to one whole GPU has no meaning there. */
static inline bool calls_mig_mode(const struct ask *k)
{
    return calls_gpu(k)->mig == MACHINE_MIG_ON;
}

/* What the GPU draws now in mW, as far as it can be modelled; 0 where no idle value is known. */
unsigned calls_power_mw(const struct ask *k);

/* Degrees C of the GPU or its memory, modelled from that; 0 where no idle value is known. */
int calls_celsius(const struct ask *k, bool memory);
