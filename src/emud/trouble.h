/* The trouble an emulated machine is in: its fault plan at work, the time its operations take, and
 * its kernel log. The server asks before every call what happens to it, and tells when instants
 * come; it alone has clients to cut off, so that is handed back to it. */
#pragma once

#include "emud/protocol.h"
#include "emul/box.h"
#include "emul/clock.h"
#include "emul/faults.h"

enum { TROUBLE_LEAKS = 16, TROUBLE_MENDS = MACHINE_GPUS };

struct trouble {
    struct box *box;
    struct faults faults;
    struct clock clock;
    const char *clock_file; /* where others read it; NULL */
    bool latency;          /* operations take the time their board takes */
    uint64_t sick;         /* GPUs that need a reset after an uncontained error, bit = index */
    int64_t mend[TROUBLE_MENDS]; /* when a lost GPU is back, by GPU; 0: not by itself */
    struct rng rng[LATENCY_OPS];

    /* A leaked handle is a session that no process has. */
    struct box_session leaks[TROUBLE_LEAKS];
    int64_t leak_until[TROUBLE_LEAKS]; /* 0: free */

    int log;          /* the kernel log; -1 */
    uint64_t logged;  /* events of the box up to here are in it */

    /* For the server, who resets them. */
    bool cleared;     /* hung calls go on */
    int64_t away;     /* > 0: unload the driver, until then */
    uint32_t ended_n; /* where work ends, as struct box_use says it */
    struct box_use ended[FAULTS_STRIKES];
};

/* `clock` as parsed; starts it. */
void trouble_init(struct trouble *t, struct box *b, const struct clock *clock, uint64_t seed);

/* Now, ns of the machine's clock. */
int64_t trouble_now(const struct trouble *t);

/* Lets others go by the clock: it is written to `path`, now and at every jump. A driver that was
 * started anew goes on with the clock it finds there, so that time never goes back. */
int trouble_share_clock(struct trouble *t, const char *path, struct error *err);

/* The clock jumps ahead by `ns`. */
void trouble_jump(struct trouble *t, int64_t ns);

/* Loads a plan from memory, or from a file. See faults_load for errors. */
int trouble_load(struct trouble *t, const void *plan, size_t size, struct error *err);
int trouble_load_file(struct trouble *t, const char *path, struct error *err);
void trouble_clear(struct trouble *t);

/* Opens the kernel log for appending. */
int trouble_log_to(struct trouble *t, const char *path, struct error *err);

/* What happens to a call (or to EMU_HELLO, EMU_RESET) of this session; strikes are carried out. */
struct fault_verdict trouble_take(struct trouble *t, const struct box_session *s,
                                  const struct emu_request *q);

/* Does what is due; the next instant at which something is. */
int64_t trouble_run(struct trouble *t);

/* A GPU was reset by an administrator: what was wrong with it is over. */
void trouble_reset(struct trouble *t, unsigned gpu);

/* True if work on the device may not begin before a reset. */
bool trouble_refuses(struct trouble *t, const char *uuid);

/* True if the session works where work ended: its process has to go. */
bool trouble_ended(const struct trouble *t, const struct box_session *s);

/* The driver comes back: leaks are gone with it. */
void trouble_reload(struct trouble *t);

/* Writes what the box noted since to the kernel log. */
void trouble_log(struct trouble *t);
