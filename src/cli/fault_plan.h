/* Fault plans as people write them, YAML, turned into the bytes that the emulated driver takes. */
#pragma once

#include "base/error.h"
#include "emul/faults.h"

#include <stddef.h>

/* A commented plan that shows every key; what `--example` prints. */
extern const char fault_plan_example[];

/* Reads the file. -ERROR_INVALID names line and column, what was expected and, for the unknown,
 * what is nearest. The bytes are the caller's to free. */
int fault_plan_read(const char *path, void **ret_bytes, size_t *ret_size, struct error *err);
