/* One emulated machine as a value: what the kernel driver and the GPUs' firmware would know.
 *
 * A pure state machine: no I/O, no clock, no randomness. Who calls what from where is told to it;
 * the same calls in the same order give the same machine. `struct machine` is the truth that any
 * look at it shows (GIs in order of id, CIs in order of id); around it stand the sessions, which
 * are client processes with what each of them has open. A session that ends takes with it all that
 * it held, which is what the kernel does for a dead process.
 *
 * GPUs are named by their index, GIs and CIs by their ids; a function given one that does not exist
 * answers BOX_NOT_FOUND. On a lost GPU everything answers BOX_LOST. */
#pragma once

#include "emul/box_state.h"
#include "emul/box_work.h"
#include "model/layout.h"
#include "model/machine.h"

/* Outcomes. The values are the driver's own return codes, so that no table between can drift. */
enum box_status {
    BOX_OK = 0,
    BOX_INVALID = 2,
    BOX_NOT_SUPPORTED = 3,
    BOX_NO_PERMISSION = 4,
    BOX_NOT_FOUND = 6,
    BOX_LOST = 15,
    BOX_RESET_REQUIRED = 16,
    BOX_IN_USE = 19,
    BOX_NO_MEMORY = 20,
    BOX_NO_ROOM = 23,
};

enum {
    BOX_USES = 16,   /* most devices one session has open at once */
    BOX_EVENTS = 64, /* happenings kept for those who wait for them */
    BOX_ANY = -1,    /* for starts, and for "no GI" and "no CI" */
};

/* One thing a session has open. */
struct box_use {
    int16_t gpu, gi, ci; /* gi, ci = BOX_ANY: the whole GPU */
    bool work;           /* runs work on it; false: a monitor that only holds a handle of the GI */
    uint64_t bytes;      /* GPU memory */
};

/* A connected client process; the caller owns the memory and leaves it where it is. */
struct box_session {
    struct box_session *prev, *next;
    uint32_t pid, uid;
    bool config;       /* may read the capability mig/config, as root always may */
    uint64_t attached; /* GPUs whose device the session opened, bit = index */
    uint8_t use_n;
    struct box_use uses[BOX_USES];
    struct box_work work;
};

enum box_event_kind { BOX_EVENT_XID, BOX_EVENT_CONFIG };

struct box_event {
    enum box_event_kind kind;
    uint32_t gpu;
    int gi, ci;
    uint64_t data; /* the XID */
};

/* A process as it shows in a GPU's process list. */
struct box_process {
    uint32_t pid;
    int gi, ci;
    uint64_t bytes;
};

struct box {
    struct machine m;
    uint32_t root; /* the uid that is root of this machine, beside 0 */
    struct box_session *first;
    uint32_t serial; /* counts instances ever made, to tell an old handle from a new one */
    uint32_t gi_serial[MACHINE_GPUS][BOARD_GIS];
    uint32_t ci_serial[MACHINE_GPUS][BOARD_GIS][BOARD_CIS];
    bool holes[MACHINE_GPUS]; /* MIG devices keep their indices when others go */
    uint8_t ci_index[MACHINE_GPUS][BOARD_GIS][BOARD_CIS]; /* those indices */
    struct box_state state[MACHINE_GPUS];
    struct meter busy[MACHINE_GPUS];
    uint64_t event_n; /* ever; the last BOX_EVENTS are in the ring */
    struct box_event events[BOX_EVENTS];
};

/* A machine as it is after power-on. `mig`: MIG mode on where the board has it. free(3) ends it.
 * -ERROR_NO_MEMORY. */
int box_new(const struct machine *m, bool mig, uint32_t root, struct box **ret, struct error *err);

/* A process comes (pid and uid set, the rest zero) and goes. */
void box_enter(struct box *b, struct box_session *s);
void box_leave(struct box *b, struct box_session *s);

/* True if the session may change the machine; and if it may at least make and remove instances. */
bool box_privileged(const struct box *b, const struct box_session *s);
bool box_may_partition(const struct box *b, const struct box_session *s); /* the lesser right */

/* The board of an existing GPU, and what it is cut into now. */
const struct board *box_board(const struct box *b, unsigned gpu);
struct layout box_layout(const struct box *b, unsigned gpu); /* the same for its layout */

/* NULL if there is none. */
struct machine_gi *box_gi(struct box *b, unsigned gpu, int gi);
struct machine_ci *box_ci(struct box *b, unsigned gpu, int gi, int ci);

/* BOX_OK for an existing, answering GPU with MIG mode on; what to answer otherwise. */
enum box_status box_mig_ready(const struct box *b, unsigned gpu);

/* Asks for MIG mode on or off. BOX_OK with *ret_activation other than BOX_OK means that the mode
 * is pending: BOX_IN_USE (another process has the GPU open: Ampere), BOX_RESET_REQUIRED (a
 * passed-through Ampere GPU). Itself BOX_IN_USE when instances exist (assumed: no public text says
 * what a driver does then, and all known tools remove the instances first). */
enum box_status box_set_mig(struct box *b, const struct box_session *s, unsigned gpu, bool on,
                            enum box_status *ret_activation);

/* The driver is unloaded and loaded again, as after a reboot: all instances and all work are gone,
 * handles of before are stale, settings are forgotten. MIG mode survives on Ampere, which keeps it
 * on the board; later boards come back without (NVIDIA's MIG user guide). Sessions stay. */
void box_reload(struct box *b);

/* Resets a GPU as an administrator would: instances go, the pending mode takes effect, a lost GPU
 * is back. BOX_IN_USE while something runs on it, unless it was lost. */
enum box_status box_reset(struct box *b, unsigned gpu);

/* Records a happening for those who wait for one. */
void box_note(struct box *b, enum box_event_kind kind, unsigned gpu, uint64_t data);

/* The same for an XID, of a GI and CI or (BOX_ANY) of the GPU. */
void box_xid(struct box *b, unsigned gpu, int gi, int ci, uint64_t xid);

/* The GPU falls off the bus: XID 79. */
enum box_status box_lose(struct box *b, unsigned gpu);

/* Makes a GI of board profile id `id`, at `start` of `size` slices or, with BOX_ANY, where the
 * driver would put it. BOX_INVALID: no such profile or placement; BOX_NO_ROOM: taken. */
enum box_status box_gi_create(struct box *b, unsigned gpu, unsigned id, int start, unsigned size,
                              int *ret_gi);

/* BOX_IN_USE while the GI has CIs or some session holds a handle of it. */
enum box_status box_gi_destroy(struct box *b, unsigned gpu, int gi);

/* How many more GIs of the profile fit now. */
enum box_status box_gi_capacity(const struct box *b, unsigned gpu, unsigned id, unsigned *ret);

/* The same for CIs; `id` is NVML's CI profile enum. BOX_NOT_SUPPORTED: not in this GI. */
enum box_status box_ci_create(struct box *b, unsigned gpu, int gi, unsigned id, int start,
                              unsigned size, int *ret_ci);
enum box_status box_ci_capacity(struct box *b, unsigned gpu, int gi, unsigned id, unsigned *ret);

/* BOX_IN_USE while a process runs on it. */
enum box_status box_ci_destroy(struct box *b, unsigned gpu, int gi, int ci);

/* The CI profile `id` of a GI; false if it has none. */
bool box_ci_profile(struct box *b, unsigned gpu, int gi, unsigned id, struct ci_profile *ret);

/* MIG devices are the CIs in order of GI id then CI id, without holes; or, after box_keep_indices,
 * each where it is until it is destroyed, and new ones at the lowest index that is free. NVML
 * promises no more than NOT_FOUND at an index without a device. */
void box_keep_indices(struct box *b, unsigned gpu, bool keep);
unsigned box_mig_index(struct box *b, unsigned gpu, int gi, int ci);
bool box_mig_at(struct box *b, unsigned gpu, unsigned index, int *ret_gi, int *ret_ci);
unsigned box_mig_max(const struct box *b, unsigned gpu);

/* Finds a device by UUID; gi and ci are BOX_ANY for a whole GPU. */
bool box_find(struct box *b, const char *uuid, unsigned *ret_gpu, int *ret_gi, int *ret_ci);

/* The session starts work on the device, with `bytes` of its memory. BOX_NO_MEMORY: more than is
 * free there; BOX_NOT_SUPPORTED: a whole GPU that is in MIG mode. BOX_NOT_FOUND also for a device
 * that exists but not for this process: before driver 570 a process that has one compute instance
 * sees nothing else, and from it on one of each GPU instance (NVIDIA's MIG user guide). */
enum box_status box_open(struct box *b, struct box_session *s, const char *uuid, uint64_t bytes);

/* The session holds a handle of the GI (or, with BOX_ANY, of the GPU) without working on it. */
enum box_status box_hold(struct box *b, struct box_session *s, unsigned gpu, int gi);

/* Bytes of a whole GPU (gi = BOX_ANY) or of a GI: all, and in use. */
void box_memory(struct box *b, unsigned gpu, int gi, uint64_t *ret_total, uint64_t *ret_used);

/* Bytes the driver keeps for itself, neither in use nor free; 0 for GIs and where not known. */
uint64_t box_reserved(const struct box *b, unsigned gpu, int gi);

/* The branch of the driver this machine runs: 535, 550. */
unsigned box_branch(const struct box *b);

/* Processes at work on a GPU, a GI or a CI, one row for each pid and CI; returns how many there are
 * and writes at most `room` of them. */
unsigned box_processes(const struct box *b, unsigned gpu, int gi, int ci, struct box_process *ret,
                       unsigned room);

/* UUID of the MIG device at a place: the same place on the same GPU always gives the same one. A
 * version-5 UUID in form; its bits are FNV-1a of "GPU uuid/gi/ci" under two seeds, mixed, because
 * nobody can check them against NVIDIA's secret inputs anyway. */
void box_mig_uuid(const char *gpu_uuid, unsigned gi, unsigned ci, char ret[MACHINE_UUID]);
