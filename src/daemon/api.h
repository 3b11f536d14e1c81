/* The HTTP API's life inside the daemon: clients that wait, and when they are answered. */
#pragma once

#include "daemon/daemon.h"

/* Serves on the listening socket, whose descriptor becomes ours. */
int api_start(struct daemon *d, int listen_fd, struct error *err);
void api_stop(struct daemon *d);

/* A turn is over and its decisions are durable: answer everybody whose wait has ended. */
void api_turn_over(struct daemon *d);

/* The commit failed: whoever waits for it hears why. */
void api_fail_all(struct daemon *d, const struct error *why);

/* These rows were written in this turn: the status is stale, streams will tell. */
void api_changed(struct daemon *d, const struct changes *c);

/* Something that the status shows changed although no row did. */
void api_stale(struct daemon *d);

/* The lease has left the world. */
void api_lease_over(struct daemon *d, uint32_t lease);
