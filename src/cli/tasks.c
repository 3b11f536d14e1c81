/* Rendezvous of `run -n`. LOCAL_RANK is 0 everywhere: each copy sees one device, its own. */
#include "cli/tasks.h"

#include "base/fd.h"
#include "cli/grant.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int tasks_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        return 0;
    return ntohs(at.sin_port);
}

bool tasks_env(char ***env, int64_t rank, int64_t of, int port)
{
    char number[3][24];
    (void)snprintf(number[0], sizeof number[0], "%" PRId64, rank);
    (void)snprintf(number[1], sizeof number[1], "%" PRId64, of);
    (void)snprintf(number[2], sizeof number[2], "%d", port);
    return grant_env_set(env, "RANK", number[0]) && grant_env_set(env, "WORLD_SIZE", number[1]) &&
           grant_env_set(env, "LOCAL_RANK", "0") &&
           grant_env_set(env, "MASTER_ADDR", "127.0.0.1") &&
           grant_env_set(env, "MASTER_PORT", number[2]);
}
