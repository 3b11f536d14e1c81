/* Servers with queues, run on a clock of their own: how long requests take, from the times of
 * steps.
 *
 * Requests arrive at random (Poisson). A server that is free takes as many as wait, up to its
 * batch, works on them by itself and then on the device, and answers all at once. Servers of one
 * device have it one after the other in the order in which they come to it. Nothing is drawn but
 * arrivals, and the same seed gives the same run. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { QUEUE_BATCH = 64, QUEUE_SERVERS = 96, QUEUE_CURVE = 31 };

struct queue_server {
    double rate;    /* requests per second, > 0 */
    unsigned batch; /* most requests of a step, 1..QUEUE_BATCH */
    /* Seconds by number of requests, [1..batch]: by itself and on the device. */
    double own[QUEUE_BATCH + 1], device[QUEUE_BATCH + 1];
};

struct queue_result {
    uint64_t requests;
    double p50, p95, p99; /* seconds from arrival to answer */
    double curve[QUEUE_CURVE]; /* the same, of the parts that queue_part gives */
    double mean_batch;
    double busy;  /* part of the time that it occupied the device */
    bool drowned; /* more came than it can do: nothing above means much */
};

/* The parts of all requests whose times a curve has, rising from 0 to 0.999: a tenth of what is
 * left over is reached every ten steps, so that the late ones are seen as well as the others. */
double queue_part(unsigned i);

/* Runs `n` servers of one device, 1..QUEUE_SERVERS, until each has had about `requests` of them, or
 * one of them 20 times as many (at least 100). -ERROR_NO_MEMORY. */
int queue_run(const struct queue_server *servers, unsigned n, unsigned requests, uint64_t seed,
              struct queue_result *ret, struct error *err);
