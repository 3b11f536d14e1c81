/* The frames between fettad and its workers: one datagram each, a fixed struct in host order.
 *
 * Both ends are the same program on the same machine, but not always the same build: a daemon that
 * runs on while its package is upgraded would exec the new file. So each frame begins with a stamp
 * that differs between builds whose structs differ. The picture of a whole machine is too large for
 * a datagram and travels in a memfd beside its frame. */
#pragma once

#include "device/worker.h"

/* Sends; 0, or -ERROR_IO with errno in err->sys (EAGAIN: `flags` had MSG_DONTWAIT and the peer does
 * not read). */
int worker_frame_send_request(int fd, const struct worker_request *r, int flags,
                              struct error *err);
int worker_frame_send_answer(int fd, const struct worker_answer *a, struct error *err);

/* Take one frame: 1, 0 = nothing there (answers only), -ERROR_IO = the peer is gone,
 * -ERROR_VERSION = it is of another build. A machine that comes along is read into `room`. */
int worker_frame_take_request(int fd, struct worker_request *ret, struct error *err);
int worker_frame_take_answer(int fd, struct machine *room, struct worker_answer *ret,
                             struct error *err);
