/* The programs find each other from where the one that runs is, so that a build folder and a tree
 * that was installed below another root both work as they stand. */
#include "cli/beside.h"

#include "base/macro.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What stands before an installed folder where it was installed below another root, as packages are
 * made and tested: the other programs are below it, too. -1 if `at` is not that folder. */
static int root_len(const char *at, const char *folder)
{
    size_t n = strlen(at), installed = strlen(folder);
    return n >= installed && strcmp(at + n - installed, folder) == 0 ? (int)(n - installed) : -1;
}

int beside_bin(char ret[PATH_MAX], struct error *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return error_errno(err, ERROR_IO, errno, "cannot tell where fetta itself is");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    /* fetta-more is not where fetta is, once installed. */
    int root = root_len(self, FETTA_LIBEXEC);
    if (root >= 0)
        n = snprintf(ret, PATH_MAX, "%.*s%s", root, self, FETTA_BINDIR);
    else
        n = snprintf(ret, PATH_MAX, "%s", self);
    return n < PATH_MAX ? 0 : error_set(err, ERROR_INVALID, "the path of fetta is too long");
}

int beside_find(const char *const *places, const char *what, char ret[PATH_MAX], struct error *err)
{
    char bin[PATH_MAX];
    int r = beside_bin(bin, err);
    if (r < 0)
        return r;
    for (; *places; places++) {
        char path[PATH_MAX * 2];
        if (**places == '/')
            (void)snprintf(path, sizeof path, "%.*s%s", MAX(root_len(bin, FETTA_BINDIR), 0), bin,
                           *places);
        else
            (void)snprintf(path, sizeof path, "%s/%s", bin, *places);
        if (access(path, R_OK) == 0 && realpath(path, ret))
            return 0;
    }
    return error_set(err, ERROR_NOT_FOUND,
                     "cannot find %s beside %s; is all of fetta installed or built?", what, bin);
}
