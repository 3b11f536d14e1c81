/* The emulated driver's event loop: one thread, one epoll, one connection for each client. */
#pragma once

#include "base/error.h"
#include "emud/trouble.h"
#include "files/tree.h"

struct server_options {
    const char *path; /* of the socket */
    struct tree *files; /* kept as the machine is; NULL for none */
    int ready_fd;     /* gets "READY=1\n" once clients can connect; -1 for none */
};

/* Serves the machine of `t` until SIGTERM or SIGINT, then removes the socket. Other users may
 * connect only where the directory of the socket belongs to the starter and nobody else may write
 * to it. */
int server_run(const struct server_options *o, struct trouble *t, struct error *err);

/* Room for connections; raises the limit of open files as far as allowed. */
void server_raise_limits(void);
