/* The house: what every part of fettad shares.
 *
 * Events come in through turn_event, which lets the engine decide and writes the decision down; at
 * the end of the loop's turn one commit makes all of it durable, and only then do actions touch
 * hardware and do clients hear answers. Nothing here decides where a slice goes. */
#pragma once

#include "daemon/config.h"
#include "daemon/lease_clock.h"
#include "daemon/user.h"
#include "engine/step.h"
#include "model/machine.h"
#include "store/store.h"

#include <systemd/sd-event.h>

struct api;
struct ballot;
struct binds;
struct peaks;
struct driver;

enum { DAEMON_LEASES = 4096 }; /* live and waiting ones at a time */

struct note;

/* Texts of live leases; see note.h. */
struct notes {
    struct note *first;
};

/* Actions and answers that wait for the commit of the running turn. */
struct turn {
    sd_event_source *post;  /* runs once at the end of the loop's turn */
    sd_event_source *timer; /* the world's next deadline */
    sd_event_source *retry; /* after a failed commit */
    struct outcome outcome; /* scratch of one step */
    struct action *actions;
    size_t action_n, action_room;
    bool open;              /* a transaction is open */
    bool failed;            /* the last commit failed; no new leases until one succeeds */
};

struct daemon {
    struct config config;
    const char *config_path, *state_dir, *socket_path;
    const char *emulated;   /* name of the emulated machine, NULL on real hardware */
    char program[4096];     /* fetta-worker, which speaks to the driver */
    uint32_t root_uid;      /* who is root here: 0, or the starter of an emulated machine */
    sd_event *loop;
    struct lease_clock clock;
    struct store *store;
    struct world *world;
    struct machine *machine;               /* the last observation, kept current by results */
    uint16_t slot_of[MACHINE_GPUS];        /* observation index to world slot */
    bool seen_once;         /* the first observation is in */
    bool serving;           /* the socket is open */
    bool abandoned;         /* the emulated machine around us is gone */
    int exit_status;
    int ready_fd;           /* told when service begins; -1 = nobody */
    int lock_fd;
    struct turn turn;
    struct driver *driver;
    struct binds *binds;
    struct peaks *peaks;
    struct api *api;
    struct ballot *ballot;
    struct notes notes;
    struct user_names users;
};

/* The driver has been looked at (or does not answer): the first time, service begins. */
void daemon_looked(struct daemon *d);

/* Reads the configuration again, all or nothing; on an error everything stays as it was. */
int daemon_reload(struct daemon *d, struct error *err);

/* The observed GPU of a world slot, NULL when it was not seen this time. */
struct machine_gpu *daemon_gpu(struct daemon *d, unsigned slot);

/* The compute instance of a leased slice in the last observation, NULL if not there. */
const struct machine_ci *daemon_ci(struct daemon *d, const struct lease_slice *s);
