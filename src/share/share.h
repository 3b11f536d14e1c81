/* What sharing a GPU does to the speed of a piece of work, from few measured points.
 *
 * Three forms and no table. A slice: the time of a step on a device of any strength follows from
 * the same step on a weak and a strong device, in two ways whose answers are blended. One draws the
 * curve t^p = h^p + (w / k)^p through both. The other knows that a device of half the strength with
 * half the work per step has its processors as busy as the whole, so that the times of smaller
 * steps on the weak device and of larger ones on the strong device tell what lies between. MPS: a
 * closed queue; each process prepares a step by itself and then queues for the device. Time
 * slicing: nothing overlaps. docs/sharing.md holds the errors of all of them against published
 * tables. Pure. */
#pragma once

#include <stdbool.h>

/* The constants of the form for slices. `mix` and `bend` were chosen on published tables. */
struct share_form {
    double bend; /* p of the curve; >= 1 */
    double mix;  /* part of arithmetic in the strength of a device, the rest is bandwidth; 0..1 */
    double weak; /* weight of what other sizes of step tell; 0..1 */
};

/* What the house predicts with. */
extern const struct share_form share_house;

/* The strength of a device from its arithmetic and bandwidth in any units, both > 0. */
double share_strength(const struct share_form *f, double arithmetic, double bandwidth);

/* One size of step and how long it takes on the weak and on the strong device; any unit of time,
 * 0: not known. `work` is the size in any unit (samples of a batch), > 0. */
struct share_point {
    double work, weak, strong;
};

/* The curve alone, through times on devices of two strengths, at strength `k`; all > 0. */
double share_curve(double bend, double k_weak, double t_weak, double k_strong, double t_strong,
                   double k);

/* The time of step `at`, both times of which are known, on a device `k` times as strong as the weak
 * one; the strong one is so `k_strong` times, > 1. `points` are all sizes of step known, in
 * ascending order, at least that one. */
double share_time(const struct share_form *f, const struct share_point *points, unsigned n,
                  unsigned at, double k, double k_strong);

/* How long each of `n` processes takes for a step that takes `alone` when it is alone and occupies
 * the device for `device` of it, under MPS; never less than `alone`. The device serves one at a
 * time, in turn, and times vary (exact for exponential times: mean value analysis). */
double share_mps(double alone, double device, unsigned n);

/* The part of `alone` for which a step occupies a device `k` times as strong as a weak one on which
 * the whole step takes `weak`: all of `weak` is taken for work of the device. At most `alone`. */
double share_device(double alone, double weak, double k);

/* The same for `n` processes that take turns, each switch of which costs: `switching` is how many
 * times as long all takes because of it (share_switching where nothing is known), >= 1. */
double share_turns(double alone, unsigned n, double switching);
extern const double share_switching;

/* The speed, 0..1 of that alone, of each of several jobs on one GPU without partition whose
 * utilisations alone, each 0..1, sum to `sum`. */
double share_together(double sum);
