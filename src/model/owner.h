/* Who holds a lease: a user of this machine, or a name that another system answers for. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum owner_kind { OWNER_UID, OWNER_NAMED };

/* Named owners ("kube:NAMESPACE", "slurm:ACCOUNT") are interned by the store; the world and the
 * engine compare numbers only. */
struct owner {
    enum owner_kind kind;
    uint32_t id; /* uid, or the interned name's number */
};

/* Whether both are the same user or the same name. */
bool owner_equal(struct owner a, struct owner b);

/* Checks the text of a named owner: PREFIX:NAME with prefix [a-z]{1,16}, not "uid", and name of
 * 1..100 characters of [A-Za-z0-9._-/]. */
int owner_check_name(const char *text, struct error *err);
