/* What the emulated library and the emulated driver say to each other.
 *
 * A Unix SOCK_SEQPACKET socket, one request in flight on each connection, one reply to each
 * request. Requests are of one fixed size; replies are a fixed head and at most EMU_DATA bytes. The
 * first eight bytes of both never change between versions, so that each side can tell the other
 * which version it speaks. The first request is EMU_HELLO. Integers are in the machine's order, as
 * both ends are on one machine.
 *
 * A call of NVML is its number in nvml_calls.def with the values of its parameters in their order:
 * a handle, a number, a structure of 8 bytes, a capacity (LEN; CNT before an ARR), a version word
 * (VER), and for what is only written 1 if the pointer is there. A text goes into `text`. The reply
 * carries what is written, in the order of the parameters; an array's length is `count`. */
#pragma once

#include "nvml/calls.h"

#include <stdint.h>

enum {
    EMU_MAGIC = 0x61746566, /* "feta" */
    EMU_VERSION = 1,
    EMU_TEXT = 128,
    EMU_DATA = 16384,
};

/* The environment variable with the path of the emulated driver's socket. */
#define EMU_ENV_SOCKET "FETTA_EMU_SOCKET"

/* How long, in milliseconds, the library waits for an answer before NVML_ERROR_TIMEOUT. */
#define EMU_ENV_DEADLINE "FETTA_EMU_DEADLINE_MS"
enum { EMU_DEADLINE_MS = 120000 };

/* What only the emulated driver has; numbers beyond those of NVML's calls. */
enum emu_control {
    EMU_HELLO = 0x8000, /* arg0 EMU_HELLO_*, arg1 NVML_CALL_N */
    EMU_OPEN,           /* text UUID, arg0 bytes: this process works on the device from now on */
    EMU_HOLD,           /* arg0 GPU, arg1 GI + 1 or 0: this process holds a handle of it */
    EMU_FAULT,          /* text call's name, see struct emu_fault; root only, as all below */
    EMU_CLEAR,          /* forget all faults */
    EMU_LOSE,           /* arg0 GPU falls off the bus */
    EMU_RESET,          /* arg0 GPU is reset */
};

/* A session is a client process; an event connection is one set of events and holds nothing. */
enum { EMU_HELLO_SESSION = 0, EMU_HELLO_EVENTS = 1 };

struct emu_request {
    uint32_t magic;
    uint16_t version, call;
    uint64_t arg[NVML_MAX_PARAMS];
    char text[EMU_TEXT];
};

/* The arguments of EMU_FAULT. */
#define EMU_FAULT_WHERE(gpu, gi, after) \
    ((uint64_t)(uint16_t)(gpu) | (uint64_t)(uint16_t)(gi) << 16 | (uint64_t)(after) << 32)

struct emu_reply {
    uint32_t magic;
    uint16_t version, call;
    int32_t status; /* nvmlReturn_t */
    uint32_t count, size, zero;
};

static_assert(sizeof(struct emu_request) == 8 + 8 * NVML_MAX_PARAMS + EMU_TEXT, "no padding");
static_assert(sizeof(struct emu_reply) == 24, "no padding");
