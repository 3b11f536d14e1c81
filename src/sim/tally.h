/* What is counted during a simulated run, in one pass and without keeping the jobs. */
#pragma once

#include "sim/sim.h"
#include "sim/times.h"

struct tally {
    const struct sim_setup *setup;
    uint32_t base, room, top; /* jobs base..top-1 are in the ring */
    struct tally_job *jobs;
    uint32_t *leases_on; /* leases on each GPU */
    uint64_t used;       /* GPUs with any */
    double busy;         /* compute slices in use now */
    double busy_sum, used_sum;
    int64_t then, first, last_end;
    struct times waits, ends;
    uint64_t asked, granted, refused, done;
    double gpc_asked, gpc_granted;
};

/* -ERROR_NO_MEMORY; tally_done frees in either case. */
int tally_init(struct tally *t, const struct sim_setup *s, struct error *err);
void tally_done(struct tally *t);

/* The compute slices that a job is counted with. */
double tally_gpc(const struct tally *t, const struct sim_job *j);

/* Time passes up to `now`: what is in use is in use until then. */
void tally_clock(struct tally *t, int64_t now);

/* A job asks and will be lease `id`; ids come in order. -ERROR_NO_MEMORY. */
int tally_ask(struct tally *t, uint32_t id, const struct sim_job *j, int64_t now,
              struct error *err);

/* It cannot start at once, and waits or is refused. */
void tally_wait(struct tally *t, uint32_t id);

/* It is refused; or granted, which returns the ns it will run; or it ends. */
void tally_refuse(struct tally *t, uint32_t id);
int64_t tally_grant(struct tally *t, const struct lease *l, int64_t now);
void tally_end(struct tally *t, const struct lease *l, int64_t now);

/* It will end soon: what that needs is fetched from memory, and nothing else changes. */
void tally_soon(const struct tally *t, uint32_t id, uint32_t gpu);

/* Writes the figures down. */
void tally_finish(const struct tally *t, int64_t now, struct sim_result *ret);
