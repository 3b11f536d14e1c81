/* Board files: a machine with its boards as YAML, as `fetta emulate record` writes it and `fetta
 * emulate FILE` plays it. */
#pragma once

#include "model/machine.h"

#include <jansson.h>
#include <stddef.h>

/* Whether what somebody wrote as a machine means a file: it has a slash, or ends in .yaml or .yml.
 */
bool boards_is_file(const char *machine);

/* Reads a file by its path, as boards_read. */
int boards_load(const char *path, struct machine *ret, struct error *err);

/* Writes the machine to a new file at `path` in the form that fetta-emud --image takes. */
int boards_pass(const char *path, const struct machine *m, struct error *err);

/* Reads a file's text; `what` names it in errors, which say line, column and what was expected. */
int boards_read(const char *text, size_t size, const char *what, struct machine *ret,
                struct error *err);

/* The machine as such a document, without its instances; NULL without memory. */
json_t *boards_document(const struct machine *m);
