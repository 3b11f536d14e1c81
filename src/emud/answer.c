/* Dispatch: from a frame to a body and back. What holds for every call is done here once: handles,
 * permission, a lost GPU, functions that are not modelled. */
#include "emud/answer.h"

#include <string.h>

static_assert((int)BOX_INVALID == (int)NVML_ERROR_INVALID_ARGUMENT, "codes");
static_assert((int)BOX_NOT_SUPPORTED == (int)NVML_ERROR_NOT_SUPPORTED, "codes");
static_assert((int)BOX_NO_PERMISSION == (int)NVML_ERROR_NO_PERMISSION, "codes");
static_assert((int)BOX_NOT_FOUND == (int)NVML_ERROR_NOT_FOUND, "codes");
static_assert((int)BOX_LOST == (int)NVML_ERROR_GPU_IS_LOST, "codes");
static_assert((int)BOX_RESET_REQUIRED == (int)NVML_ERROR_RESET_REQUIRED, "codes");
static_assert((int)BOX_IN_USE == (int)NVML_ERROR_IN_USE, "codes");
static_assert((int)BOX_NO_MEMORY == (int)NVML_ERROR_MEMORY, "codes");
static_assert((int)BOX_NO_ROOM == (int)NVML_ERROR_INSUFFICIENT_RESOURCES, "codes");

/* What is not modelled has no body. */
#define BODY_EXACT(name) emud_##name
#define BODY_MODELLED(name) emud_##name
#define BODY_CONSTANT(name) emud_##name
#define BODY_NONE(name) NULL
#define BODY_LOCAL(name) NULL

static const struct {
    const char *name;
    int (*body)(struct ask *k);
    enum nvml_who who;
    struct nvml_param params[NVML_MAX_PARAMS];
} calls[NVML_CALL_N] = {
#define CALL(name, since, fidelity, who, ...) \
    [NVML_CALL_##name] = {#name, BODY_##fidelity(name), NVML_##who, {NVML_PARAMS(__VA_ARGS__)}},
#define ALIAS(name, since, as, ...)
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
};

int answer_find(const char *name)
{
    for (int i = 0; i < NVML_CALL_N; i++)
        if (strcmp(calls[i].name, name) == 0)
            return i;
    return -1;
}

enum handle_kind { HANDLE_GPU = 1, HANDLE_MIG, HANDLE_GI, HANDLE_CI };

static uint64_t pack(enum handle_kind kind, unsigned gpu, int gi, int ci, uint32_t serial)
{
    return (uint64_t)kind << 56 | (uint64_t)gpu << 48 | (uint64_t)(uint8_t)gi << 40 |
           (uint64_t)(uint8_t)ci << 32 | serial;
}

uint64_t answer_device(struct box *b, struct target at)
{
    if (at.ci == BOX_ANY)
        return pack(HANDLE_GPU, at.gpu, 0, 0, 1);
    return pack(HANDLE_MIG, at.gpu, at.gi, at.ci, b->ci_serial[at.gpu][at.gi][at.ci]);
}

uint64_t answer_gi(struct box *b, unsigned gpu, int gi)
{
    return pack(HANDLE_GI, gpu, gi, 0, b->gi_serial[gpu][gi]);
}

uint64_t answer_ci(struct box *b, unsigned gpu, int gi, int ci)
{
    return pack(HANDLE_CI, gpu, gi, ci, b->ci_serial[gpu][gi][ci]);
}

/* What a handle of the wanted sort names; false for one that is not, or is no longer, valid. */
static bool resolve(struct box *b, uint64_t handle, enum nvml_kind wanted, struct target *ret)
{
    struct target at = {.gpu = handle >> 48 & 0xff,
                        .gi = (int)(handle >> 40 & 0xff),
                        .ci = (int)(handle >> 32 & 0xff)};
    if (at.gpu >= b->m.gpu_n || at.gi >= BOARD_GIS || at.ci >= BOARD_CIS)
        return false;
    *ret = at;
    if (wanted == NVML_KIND_DEV && box_ci(b, at.gpu, at.gi, at.ci) &&
        handle == answer_device(b, at))
        return true;
    if (wanted == NVML_KIND_CIN)
        return box_ci(b, at.gpu, at.gi, at.ci) && handle == answer_ci(b, at.gpu, at.gi, at.ci);
    ret->ci = BOX_ANY;
    if (wanted == NVML_KIND_GIN)
        return box_gi(b, at.gpu, at.gi) && handle == answer_gi(b, at.gpu, at.gi);
    ret->gi = BOX_ANY;
    return wanted == NVML_KIND_DEV && handle == answer_device(b, *ret);
}

bool answer_handle(struct ask *k, unsigned param, struct target *ret)
{
    return resolve(k->box, k->request->arg[param],
                   (enum nvml_kind)calls[k->request->call].params[param].kind, ret);
}

/* What sort of handle a call's first parameter is, NVML_KIND_NONE if it is none. */
static enum nvml_kind first_handle(unsigned call)
{
    enum nvml_kind kind = (enum nvml_kind)calls[call].params[0].kind;
    bool handle = kind == NVML_KIND_DEV || kind == NVML_KIND_GIN || kind == NVML_KIND_CIN;
    return handle ? kind : NVML_KIND_NONE;
}

void answer_about(struct box *b, const struct emu_request *q, int *ret_gpu, int *ret_gi,
                  int *ret_ci)
{
    struct target at = {0};
    *ret_gpu = *ret_gi = *ret_ci = FAULTS_ANY;
    if (q->call >= NVML_CALL_N || !first_handle(q->call) ||
        !resolve(b, q->arg[0], first_handle(q->call), &at))
        return;
    *ret_gpu = (int)at.gpu;
    *ret_gi = at.gi;
    *ret_ci = at.ci;
}

enum nvml_who answer_who(unsigned call)
{
    return call < NVML_CALL_N ? calls[call].who : NVML_USER;
}

void answer_start(struct answer *a, const struct emu_request *q, int status)
{
    a->head = (struct emu_reply){
        .magic = EMU_MAGIC, .version = EMU_VERSION, .call = q->call, .status = status};
}

static int perform(struct ask *k)
{
    unsigned call = k->request->call;
    if (call >= NVML_CALL_N)
        return NVML_ERROR_FUNCTION_NOT_FOUND;
    if (first_handle(call)) {
        if (!resolve(k->box, k->request->arg[0], first_handle(call), &k->at))
            return NVML_ERROR_INVALID_ARGUMENT;
        if (k->box->m.gpus[k->at.gpu].health == MACHINE_LOST)
            return NVML_ERROR_GPU_IS_LOST;
    }
    if (!calls[call].body)
        return NVML_ERROR_NOT_SUPPORTED;
    if ((calls[call].who == NVML_ROOT && !box_privileged(k->box, k->session)) ||
        (calls[call].who == NVML_CONFIG && !box_may_partition(k->box, k->session)))
        return NVML_ERROR_NO_PERMISSION;
    return calls[call].body(k);
}

void answer_call(struct box *b, struct box_session *s, const struct emu_request *q,
                 struct answer *a)
{
    answer_start(a, q, 0);
    struct ask k = {.box = b, .session = s, .request = q, .answer = a};
    a->head.status = perform(&k);
}

int answer_put(struct ask *k, const void *data, size_t size)
{
    struct emu_reply *head = &k->answer->head;
    if (head->size + size > EMU_DATA)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(k->answer->data + head->size, data, size);
    head->size += (uint32_t)size;
    return NVML_SUCCESS;
}

int answer_number(struct ask *k, unsigned value)
{
    return answer_put(k, &value, sizeof value);
}

int answer_text(struct ask *k, unsigned len, const char *text)
{
    size_t size = strlen(text) + 1;
    return size > k->request->arg[len] ? NVML_ERROR_INSUFFICIENT_SIZE : answer_put(k, text, size);
}
