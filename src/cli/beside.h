/* Where the other programs of fetta are: beside it in the build folder, or where they were
 * installed, below whatever root. */
#pragma once

#include "base/error.h"

#include <limits.h>

/* The folder in which fetta itself is. */
int beside_bin(char ret[PATH_MAX], struct error *err);

/* The first of `places` (NULL at the end) that can be read, its links resolved. A place is relative
 * to the folder of fetta, or the absolute path that it would have, installed below no root. `what`
 * is for the error. */
int beside_find(const char *const *places, const char *what, char ret[PATH_MAX],
                struct error *err);
