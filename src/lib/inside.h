/* What the files of libfetta share. Nothing of it leaves the library. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "fetta/fetta.h"
#include "wire/client.h"

#include <jansson.h>

struct fetta {
    struct client *client;
};

/* Hands an error of ours to the caller, if they want it; returns its negative code. */
int lib_fail(const struct error *from, struct fetta_error *err);

/* The caller passed what cannot be; -ERROR_INVALID. */
int lib_invalid(struct fetta_error *err, const char *text);

/* -ERROR_NO_MEMORY */
int lib_no_memory(struct fetta_error *err);
