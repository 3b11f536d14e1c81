/* What the emulated library and the emulated driver say to each other.
 *
 * A Unix SOCK_SEQPACKET socket, one request in flight on each connection, one reply to each
 * request. Requests are 64 bytes and what of `text` is used; replies are a fixed head and at most
 * EMU_DATA bytes. The
 * first eight bytes of both never change between versions, so that each side can tell the other
 * which version it speaks. The first request is EMU_HELLO. Integers are in the machine's order, as
 * both ends are on one machine.
 *
 * A call of NVML is its number in nvml_calls.def with the values of its parameters in their order:
 * a handle, a number, a structure of 8 bytes, a capacity (LEN; CNT before an ARR), a version word
 * (VER), and for what is only written 1 if the pointer is there. A text or another structure goes
 * into `text`, and so do the first EMU_INPUT bytes of each entry of what is written and read. The
 * reply carries what is written, in the order of the parameters; an array's length is `count`. */
#pragma once

#include "nvml/calls.h"

#include <stdint.h>

enum {
    EMU_MAGIC = 0x61746566, /* "feta" */
    EMU_VERSION = 3,
    EMU_TEXT = 2048,
    EMU_INPUT = 8,
    EMU_DATA = 16384,
};

/* The environment variable with the path of the emulated driver's socket. */
#define EMU_ENV_SOCKET "FETTA_EMU_SOCKET"

/* How long, in milliseconds, the library waits for an answer before NVML_ERROR_TIMEOUT. */
#define EMU_ENV_DEADLINE "FETTA_EMU_DEADLINE_MS"
enum { EMU_DEADLINE_MS = 120000 };

/* The file with the kernel log of the emulated machine. */
#define EMU_ENV_KMSG "FETTA_EMU_KMSG"

/* What only the emulated driver has; numbers beyond those of NVML's calls. */
enum emu_control {
    EMU_HELLO = 0x8000, /* arg0 EMU_HELLO_*, arg1 NVML_CALL_N */
    EMU_OPEN,           /* text UUID, arg0 bytes: this process works on the device from now on */
    EMU_HOLD,           /* arg0 GPU, arg1 GI + 1 or 0: this process holds a handle of it */
    EMU_FAULT,          /* text call's name, see struct emu_fault; root only, as all below */
    EMU_CLEAR,          /* forget all faults */
    EMU_LOSE,           /* arg0 GPU falls off the bus */
    EMU_RESET,          /* arg0 GPU is reset */
    EMU_DEVICE,         /* any user; text UUID or index: what it is, see struct emu_device */
    EMU_WORK,           /* any user; see EMU_WORK_*: this process works; who else does there? */
    EMU_PLAN,           /* text: the next arg0 bytes of a fault plan; arg1 1: these are its last */
    EMU_RULE,           /* arg0 a rule's number: struct fault, struct fault_state; count = rules */
    EMU_CLOCK,          /* arg0 ns to jump ahead: struct emu_clock */
};

/* A session is a client process; an event connection is one set of events and holds nothing; one
 * for control is no client of NVML, so that no fault befalls its hello. */
enum { EMU_HELLO_SESSION = 0, EMU_HELLO_EVENTS = 1, EMU_HELLO_CONTROL = 2 };

struct emu_request {
    uint32_t magic;
    uint16_t version, call;
    uint64_t arg[NVML_MAX_PARAMS];
    char text[EMU_TEXT];
};

/* The machine's clock: now, in ns, and how fast (enum clock_kind of emul). */
struct emu_clock {
    int64_t now;
    uint32_t kind, factor;
};

/* The arguments of EMU_FAULT. */
#define EMU_FAULT_WHERE(gpu, gi, after)                                                            \
    ((uint64_t)(uint16_t)(gpu) | (uint64_t)(uint16_t)(gi) << 16 | (uint64_t)(after) << 32)

/* EMU_WORK: arg0 ns the device is worked on from now (at most a tenth of a second), arg1 ns for
 * which it counts as worked on, arg2 1 under MPS, text what on. The reply is struct emu_neighbour,
 * one for each other process with work on the same GPU. */
enum { EMU_WORK_NAME = 32, EMU_NEIGHBOURS = 192 };

struct emu_device {
    char uuid[64], board[32], profile[32]; /* profile: "" for a whole GPU */
    uint64_t total, free;                  /* bytes of memory */
    uint32_t gpu;
    int32_t gi, ci;               /* -1: the whole GPU */
    uint32_t sms, board_sms;      /* of the compute instance, of the GPU */
    uint32_t slices, of_slices;   /* of memory; 1 of 1 for a whole GPU */
    uint32_t compute, of_compute; /* compute slices; compute 0 for a whole GPU */
    uint32_t plain;             /* 1: smallest profile with so many compute slices, and all of it */
    uint32_t mig, compute_mode; /* 1: MIG mode is on; nvmlComputeMode_t */
};

struct emu_neighbour {
    uint32_t pid;
    int32_t gi, ci;
    uint32_t compute; /* compute slices of its GI, 0 for a whole GPU */
    uint32_t running, mps, busy_ppt;
    char name[EMU_WORK_NAME];
};

static_assert(EMU_NEIGHBOURS * sizeof(struct emu_neighbour) <= EMU_DATA, "they fit in a reply");

/* A page of memory, whose descriptor comes with the reply to the EMU_HELLO of a session. Under
 * another generation what was kept is worth nothing; nor if the kernel has marked the owner's word,
 * because the driver has ended. */
struct emu_page {
    uint32_t owner; /* the driver's pid, and EMU_PAGE_DEAD */
    uint32_t generation;
};

#define EMU_PAGE_DEAD 0x40000000u /* FUTEX_OWNER_DIED */

struct emu_reply {
    uint32_t magic;
    uint16_t version, call;
    int32_t status; /* nvmlReturn_t */
    uint32_t count, size;
    uint32_t generation; /* of struct emu_page: the answer may be kept under it; 0: not at all */
};

static_assert(sizeof(struct emu_request) == 8 + 8 * NVML_MAX_PARAMS + EMU_TEXT, "no padding");
static_assert(sizeof(struct emu_reply) == 24, "no padding");
