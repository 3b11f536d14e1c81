/* Lines of /etc/passwd and /etc/group. */
#include "daemon/user.h"

#include "base/str.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

const char *user_name(uint32_t uid, char buf[USER_NAME])
{
    const char *found = NULL;
    FILE *f = fopen("/etc/passwd", "re");
    if (!f)
        return NULL;
    for (struct passwd *p; !found && (p = fgetpwent(f));)
        if (p->pw_uid == uid && str_copy(buf, USER_NAME, p->pw_name))
            found = buf;
    (void)fclose(f);
    return found;
}

bool user_in_group(uint32_t uid, uint32_t gid)
{
    char name[USER_NAME];
    bool found = false;
    FILE *f = user_name(uid, name) ? fopen("/etc/group", "re") : NULL;
    if (!f)
        return false;
    for (struct group *g; !found && (g = fgetgrent(f));)
        for (char **member = g->gr_mem; g->gr_gid == gid && *member; member++)
            found = found || strcmp(*member, name) == 0;
    (void)fclose(f);
    return found;
}
