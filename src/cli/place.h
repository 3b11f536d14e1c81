/* The private directory of an emulated machine and the programs that live in it: where things are.
 */
#pragma once

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>

enum { PLACE_DIR = 64, PLACE_FILE = 96 };

struct place {
    char dir[PLACE_DIR];     /* everything of this machine; removed at the end */
    char driver[PLACE_FILE]; /* socket of the emulated driver */
    char socket[PLACE_FILE]; /* of fettad */
    char state[PLACE_FILE], config[PLACE_FILE];
    char image[PLACE_FILE]; /* the machine of a board file for the emulated driver */
    char files[PLACE_FILE]; /* where the machine's files are kept, if it has any */
    char driver_log[PLACE_FILE], daemon_log[PLACE_FILE];
    char kmsg[PLACE_FILE]; /* the machine's kernel log */
    char plan[PLACE_FILE]; /* the fault plan, if there is one */
    char clock[PLACE_FILE]; /* the machine's clock, if it is not the host's */
    char bin[PATH_MAX]; /* directory of fetta itself */
    char emud[PATH_MAX], fettad[PATH_MAX], nvml[PATH_MAX];
};

/* Finds fetta-worker, which knows how to ask a driver. */
int place_find_worker(char ret[PATH_MAX], struct error *err);

/* Finds the programs and makes the directory with the daemon's configuration in it. `folder`, "" or
 * with a / at its end: where below the newest emulated library the wanted one is. */
int place_make(struct place *ret, const char *folder, struct error *err);

/* Removes the directory with all that is in it. */
void place_remove(const char *dir);

/* Forks a process that ends all that was started on the machine and removes the directory when
 * `lifeline` closes, for the case that we are killed. Returns its pid, -1 without. */
int place_watch(const char *dir, int lifeline);
