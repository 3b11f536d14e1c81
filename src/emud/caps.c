/* Reading the mode of a client's nvidia-cap1; see caps.h.
 *
 * It is the node that counts, not its name: a user can put any file there in a namespace of his
 * own, but only root can make a device node. Its major is of the kernel's ranges for dynamic ones,
 * where nvidia-caps gets its own, its minor is 1 (NVIDIA's static table of capabilities). */
#include "emud/caps.h"

#include "base/error.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { CONFIG_MINOR = 1, GROUPS = 256 };

static bool is_dynamic(unsigned major_number)
{
    return (major_number >= 234 && major_number <= 254) ||
           (major_number >= 384 && major_number <= 511);
}

static bool has_group(int fd, const struct ucred *who, gid_t group)
{
    gid_t groups[GROUPS];
    socklen_t size = sizeof groups;
    if (who->gid == group)
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof groups[0]; i++)
        if (groups[i] == group)
            return true;
    return false;
}

bool caps_may_configure(int fd)
{
    char path[64];
    struct ucred who;
    struct stat s;
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.pid <= 0)
        return false;
    (void)snprintf(path, sizeof path, "/proc/%d/root" "/dev/nvidia-caps/nvidia-cap1", (int)who.pid);
    if (stat(path, &s) < 0 || !S_ISCHR(s.st_mode) || minor(s.st_rdev) != CONFIG_MINOR ||
        !is_dynamic(major(s.st_rdev)))
        return false;
    if (s.st_uid == who.uid)
        return s.st_mode & S_IRUSR;
    if (has_group(fd, &who, s.st_gid))
        return s.st_mode & S_IRGRP;
    return s.st_mode & S_IROTH;
}
