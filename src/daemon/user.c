/* Lines of /etc/passwd and /etc/group, those of users kept until the file changes. */
#include "daemon/user.h"

#include "base/str.h"
#include "base/time.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool read_name(uint32_t uid, char buf[USER_NAME])
{
    bool found = false;
    FILE *f = fopen("/etc/passwd", "re");
    if (!f)
        return false;
    for (struct passwd *p; !found && (p = fgetpwent(f));)
        found = p->pw_uid == uid && str_copy(buf, USER_NAME, p->pw_name);
    (void)fclose(f);
    return found;
}

/* Forgets everything when the file has changed. */
static void check_file(struct user_names *known)
{
    struct stat st;
    int64_t changed = -1;
    if (stat("/etc/passwd", &st) == 0)
        changed = (int64_t)st.st_mtim.tv_sec * TIME_S + st.st_mtim.tv_nsec;
    if (changed != known->changed)
        known->n = 0;
    known->changed = changed;
}

const char *user_name(struct user_names *known, uint32_t uid, char buf[USER_NAME])
{
    unsigned i = 0;
    check_file(known);
    while (i < known->n && known->at[i].uid != uid)
        i++;
    if (i == known->n) {
        i = known->n < USER_NAMES ? known->n++ : USER_NAMES - 1;
        known->at[i].uid = uid;
        if (!read_name(uid, known->at[i].name))
            known->at[i].name[0] = '\0';
    }
    (void)str_copy(buf, USER_NAME, known->at[i].name);
    return buf[0] ? buf : NULL;
}

bool user_in_group(struct user_names *known, uint32_t uid, uint32_t gid)
{
    char name[USER_NAME];
    bool found = false;
    FILE *f = user_name(known, uid, name) ? fopen("/etc/group", "re") : NULL;
    if (!f)
        return false;
    for (struct group *g; !found && (g = fgetgrent(f));)
        for (char **member = g->gr_mem; g->gr_gid == gid && *member; member++)
            found = found || strcmp(*member, name) == 0;
    (void)fclose(f);
    return found;
}
