/* The parts of a step that call each other; each is declared under the file that holds it. */
#pragma once

#include "engine/draft.h"

#include "base/time.h"

/* place.c: where a lease goes. */

/* Places kept for a request that waits, and when it will have them. */
struct place_kept {
    unsigned n;
    int64_t start; /* boot time; TIME_NEVER - 1 or TIME_NEVER when no end is known */
    struct {
        uint32_t gpu;
        slices span;   /* all ones: the whole GPU */
        uint8_t start; /* of a slice: where it begins */
    } at[REQUEST_SLICES];
};

struct place_pick {
    uint32_t gpu;
    uint8_t row;
    struct view_place place;
};

enum place_outcome { PLACE_DONE, PLACE_NO_ROOM, PLACE_OVER_QUOTA };

/* The row of a lease's slices on a board, or BOARD_NO_PROFILE. */
unsigned place_row(const struct lease *l, unsigned board);

/* What the lease wants of a GPU of this board. */
struct view_want place_want(const struct draft *d, const struct lease *l, unsigned row);

/* The best place for one more slice after `n` picks, off what is `kept` (NULL: nothing is). */
bool place_find(const struct draft *d, const struct lease *l, const struct place_kept *kept,
                const struct place_pick *picks, unsigned n, struct place_pick *ret);

/* Places a QUEUED lease, all slices or none: seats are taken, the lease is STARTING or ACTIVE. */
enum place_outcome place_lease(struct draft *d, uint32_t id, const struct place_kept *kept);

/* Takes a place on a GPU's row for a lease (changes the row only). */
void place_take(struct gpu *g, const struct board *b, const struct place_pick *pick, uint32_t lease,
                int64_t now);

/* Gives back the places of a lease that has none running, and lets the hardware follow. */
void place_release(struct draft *d, uint32_t id);

/* Whether the quota of the lease's owner allows these picks, one for each slice. */
bool place_within_quota(const struct draft *d, const struct lease *l,
                        const struct place_pick *picks);

/* schedule.c: the queue. A lease without a known end is gone later than any known instant, yet
 * before never. */
#define SCHEDULE_SOME_DAY (TIME_NEVER - 1)
void schedule(struct draft *d);

/* The places and start of the head of the queue by known ends; false if it never gets any. */
bool schedule_reserve(const struct draft *d, const struct lease *l, struct place_kept *ret);

/* The earliest start of one slice on a GPU; TIME_NEVER if never by anything known. */
int64_t schedule_earliest(const struct draft *d, const struct gpu *g, const struct lease *l,
                          slices avoid, slices *ret_starts);

/* By when a seat is gone, by known ends: TIME_NEVER if it stays, SCHEDULE_SOME_DAY if its
 * lease has no end, never before now. */
int64_t schedule_seat_gone_by(const struct draft *d, const struct seat *s);

/* forecast.c: the start of a request, known to the world or not, behind the first `ahead` of the
 * queue; see engine_forecast. */
int64_t forecast_behind(const struct world *w, const struct lease *l, size_t ahead, int64_t now);

/* ask.c */
int ask(struct draft *d, const struct event *e, struct error *err);

/* life.c: from grant to end. */
void life_progress(struct draft *d, uint32_t id);                 /* grants when all is made */
void life_end(struct draft *d, uint32_t id, enum lease_why why);  /* over now: gives all back */
void life_term(struct draft *d, uint32_t id, enum lease_why why); /* ACTIVE: SIGTERM, grace */
void life_kill(struct draft *d, uint32_t id, enum lease_why why); /* SIGKILL */
void life_retry(struct draft *d, uint32_t id, unsigned gpu, enum lease_why why); /* elsewhere */

/* Somebody else took the place before it was made: anywhere, a few times. */
void life_beaten(struct draft *d, uint32_t id, unsigned gpu);
int life_event_end(struct draft *d, const struct event *e, struct error *err);
int life_extend(struct draft *d, const struct event *e, struct error *err);
void life_gone(struct draft *d, uint32_t id);
void life_empty(struct draft *d, uint32_t id);
void life_over(struct draft *d, uint32_t id);
void life_restart(struct draft *d);
void life_tick(struct draft *d);

/* advance.c: what a GPU's row asks of the hardware. */
void advance(struct draft *d, unsigned slot);
void advance_remove_seat(struct gpu *g, unsigned i);
struct seat *advance_insert_seat(struct gpu *g, const struct seat *s);

/* done.c: answers of the hardware, and timers of GPUs. */
int done_applied(struct draft *d, const struct event *e, struct error *err);
int done_failed(struct draft *d, const struct event *e, struct error *err);
void done_tick(struct draft *d, unsigned slot);
/* The instance of a CREATING seat exists now. */
void done_made(struct draft *d, struct gpu *g, struct seat *s, uint8_t gi, uint8_t ci);
/* Sends elsewhere what has not started and waits for a place on this GPU that touches `span`, or
 * for the whole of it. */
void done_send_away(struct draft *d, unsigned slot, slices span);

/* Instances for which the driver had no room, now that what is there was seen: whoever waits for
 * one goes elsewhere; on the same GPU, too, if it was beaten to the slices that are `taken`. */
void done_refused(struct draft *d, unsigned slot, slices taken);

/* seen.c: what a GPU looks like. */
int seen(struct draft *d, const struct event *e, struct error *err);

/* admin.c */
int admin_drain(struct draft *d, const struct event *e, struct error *err);
int admin_manage(struct draft *d, const struct event *e, struct error *err);
int admin_pool(struct draft *d, const struct event *e, struct error *err);
int admin_layout(struct draft *d, const struct event *e, struct error *err);
