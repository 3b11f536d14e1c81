/* How late requests are that wait for a server taking up to so many at once, and how many a server
 * may be given so that they are not too late.
 *
 * Requests come at random (Poisson); a batch takes the same time whatever its size. One that comes
 * waits at most for the batch under way, then for those before it, and is then worked on. What is
 * before it is no more than in a queue that serves one after the other in a batch's time divided by
 * its size, and for that queue (M/D/1) the waiting time beyond x has at most the probability
 * exp(-u x / s), with rho (e^u - 1) = u (Lundberg's inequality). So the figure is a bound: what is
 * measured should be below. Servers that take one at a time have no batch under way to wait for
 * besides. */
#pragma once

/* The most requests per second that a server may get so that at most 1 of 100 takes longer than
 * `target`, when a batch of up to `batch` takes `time`; both in the same unit, > 0, and the answer
 * is per that unit. At most `most` (0..1) of what it can serve; 0: not in time. */
double late_rate(double time, unsigned batch, double target, double most);

/* The time that at most 1 of 100 requests takes longer than, at `rate` requests per unit of `time`.
 * Infinite where more come than can be served. */
double late_p99(double time, unsigned batch, double rate);
