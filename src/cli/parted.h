/* Layout files of NVIDIA's mig-parted, as administrators already have them:
 *
 *     version: v1
 *     mig-configs:
 *       half:
 *         - devices: [0, 1]
 *           mig-enabled: true
 *           mig-devices: {"3g.40gb": 2}
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

/* Reads the specs called `label` (NULL: the only one there is) from a file's text. `what` names the
 * file in errors, which say line and column. *ret is a list of specs as the API takes them. */
int parted_read(const char *text, size_t size, const char *what, const char *label, json_t **ret,
                struct error *err);

/* Specs as a whole document under `label`: equal specs of several GPUs become one, and one that
 * covers every GPU says `devices: all`. NULL without memory. */
json_t *parted_document(const json_t *specs, const char *label);
