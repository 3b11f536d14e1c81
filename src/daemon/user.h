/* Names of users without asking a directory server: only /etc/passwd is read, so that a dead server
 * delays names elsewhere, never leases here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { USER_NAME = 40, USER_NAMES = 128 };

/* Names found so far, good as long as the file is the same. */
struct user_names {
    int64_t changed; /* time of the file's last change, ns */
    unsigned n;
    struct {
        uint32_t uid;
        char name[USER_NAME]; /* "" = not in the file */
    } at[USER_NAMES];
};

/* The user's name; NULL if /etc/passwd does not have it. Returns `buf` or NULL. */
const char *user_name(struct user_names *known, uint32_t uid, char buf[USER_NAME]);

/* Whether /etc/group lists the user in this group. */
bool user_in_group(struct user_names *known, uint32_t uid, uint32_t gid);
