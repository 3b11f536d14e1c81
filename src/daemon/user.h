/* Names of users without asking a directory server: only /etc/passwd is read, so that a dead server
 * delays names elsewhere, never leases here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { USER_NAME = 40 };

/* The user's name; NULL if /etc/passwd does not have it. Returns `buf` or NULL. */
const char *user_name(uint32_t uid, char buf[USER_NAME]);

/* Whether /etc/group lists the user in this group. */
bool user_in_group(uint32_t uid, uint32_t gid);
