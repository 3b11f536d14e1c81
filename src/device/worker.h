/* Driver calls in a process of their own, so that a stuck or crashing driver holds up nothing else.
 *
 * The parent side: exec's `program --worker` (an empty environment but for `env`), speaks fixed
 * frames over a seqpacket socket, and never blocks: the owner of the loop watches worker_fd and
 * calls worker_receive. The child side is worker_main. */
#pragma once

#include "device/device.h"

struct worker;

enum worker_call {
    WORKER_OBSERVE,     /* the whole machine */
    WORKER_OBSERVE_GPU,
    WORKER_APPLY,
    WORKER_PROCESSES,
    WORKER_WAIT,        /* answers when it hears events, at each one, or once with an error. It
                         * hears nothing else meanwhile: free it to make it let go of NVML */
    WORKER_RELEASE,     /* let go of NVML (before a mode change elsewhere); the next call opens it
                         * again */
};

struct worker_request {
    enum worker_call call;
    uint64_t tag;             /* echoed */
    struct device_op op;      /* APPLY; op.gpu also names the GPU of OBSERVE_GPU and PROCESSES */
};

enum { WORKER_PROCESSES_MAX = 256, WORKER_FD = 3 };

/* Path of the NVML library, and "1" to log every driver call, in the child's environment. */
#define WORKER_ENV_NVML "FETTA_NVML"
#define WORKER_ENV_TRACE "FETTA_TRACE"

struct worker_answer {
    uint64_t tag;
    enum worker_call call;
    int code;                       /* 0 or negative, with err filled; err also tells what a mode
                                     * change that is only pending waits for */
    struct error err;
    struct device_result result;    /* APPLY */
    struct machine_gpu gpu;         /* OBSERVE_GPU */
    struct machine *machine;        /* OBSERVE: the worker's until the next receive or forget */
    size_t process_n;
    struct device_process processes[WORKER_PROCESSES_MAX];
};

/* Starts a worker. `program` is the path to exec (argv: program --worker, the socket is descriptor
 * WORKER_FD), `nvml` the library path or NULL (it travels as WORKER_ENV_NVML), `env` the child's
 * whole environment as NULL-terminated list of "K=V", NULL for none. */
int worker_start(const char *program, const char *nvml, const char *const *env,
                 struct worker **ret, struct error *err);
int worker_fd(const struct worker *w);    /* readable when an answer is there */
int worker_pidfd(const struct worker *w); /* readable when it died */
int worker_pid(const struct worker *w);

/* Sends one request; a worker does one at a time, further ones queue in the socket. */
int worker_send(struct worker *w, const struct worker_request *r, struct error *err);

/* Takes one answer: 1 = `ret` filled, 0 = nothing there yet, negative = the worker is gone. */
int worker_receive(struct worker *w, struct worker_answer *ret, struct error *err);

/* Gives back the memory of the last picture of the machine, which is large and rarely looked at. */
void worker_forget(struct worker *w);

/* Kills it if need be, reaps it and frees; NULL is fine. Returns NULL. Never blocks for longer than
 * a tenth of a second: a process stuck inside the kernel cannot be reaped yet and is left to
 * whoever reaps the program's children. */
struct worker *worker_free(struct worker *w);

/* The child: serves requests on `fd` until the parent closes it; returns the exit status. `nvml`
 * NULL: what WORKER_ENV_NVML says, else the system's library. */
int worker_main(int fd, const char *nvml);
