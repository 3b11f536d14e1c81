/* Carries out NVML calls on an emulated machine: decodes a request, resolves its handle, checks who
 * asks, and encodes what the machine says. The bodies are in calls_device.c and calls_mig.c. */
#pragma once

#include "emud/protocol.h"
#include "emul/box.h"
#include "emul/faults.h"

struct answer {
    struct emu_reply head;
    uint8_t data[EMU_DATA];
};

/* What a handle names. */
struct target {
    unsigned gpu;
    int gi, ci; /* BOX_ANY where it names less */
};

/* One call on its way. */
struct ask {
    struct box *box;
    struct box_session *session;
    const struct emu_request *request;
    struct target at; /* of the first parameter, if that is a handle */
    struct answer *answer;
};

/* Which GPU, GI and CI (or FAULTS_ANY) the request is about, for fault rules. */
void answer_about(struct box *b, const struct emu_request *q, int *ret_gpu, int *ret_gi,
                  int *ret_ci);

/* Answers a call of NVML; `a` is ready to be sent. */
void answer_call(struct box *b, struct box_session *s, const struct emu_request *q,
                 struct answer *a);

/* Who may make a call, NVML_USER for a number that is none; whether its answer may be kept. */
enum nvml_who answer_who(unsigned call);

/* An empty answer to `q`. */
void answer_start(struct answer *a, const struct emu_request *q, int status);

/* For the bodies of calls: append bytes, a number, a text (if its room, given by parameter `len`,
 * is enough), or an array element. All return an nvmlReturn_t. */
int answer_put(struct ask *k, const void *data, size_t size);
int answer_number(struct ask *k, unsigned value);
int answer_text(struct ask *k, unsigned len, const char *text);

/* What another handle among the parameters names; false for a stale one. */
bool answer_handle(struct ask *k, unsigned param, struct target *ret);

/* Handles: numbers that say what they name and which incarnation of it, so that a handle of a
 * destroyed instance is refused although another one now has its place. */
uint64_t answer_device(struct box *b, struct target at);
uint64_t answer_gi(struct box *b, unsigned gpu, int gi);
uint64_t answer_ci(struct box *b, unsigned gpu, int gi, int ci);

/* The number of the NVML call of that name, -1 if there is none. */
int answer_find(const char *name);

#define CALL(name, since, fidelity, who, ...) int emud_##name(struct ask *k);
#define ALIAS(name, since, as, ...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
