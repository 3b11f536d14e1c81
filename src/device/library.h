/* An NVML library, loaded at run time: one pointer per row of nvml_calls.def, NULL where this
 * version of the library lacks the function. Which file it is, NVIDIA's or the emulated one, makes
 * no difference to anybody above. */
#pragma once

#include "base/error.h"
#include "nvml/calls.h"

struct library {
    void *handle; /* NULL: not loaded */
#define CALL(name, since, fidelity, who, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#define ALIAS(name, since, as, ...) nvmlReturn_t (*name)(NVML_DECLS(__VA_ARGS__));
#include "nvml/nvml_calls.def"
#undef CALL
#undef ALIAS
    const char *(*error_string)(nvmlReturn_t code);
};

/* Loads `path`, NULL = "libnvidia-ml.so.1". NOT_FOUND when there is no such library, VERSION when
 * it lacks functions that MIG needs; the text names them. */
int library_open(const char *path, struct library *ret, struct error *err);
void library_close(struct library *l);

/* NVML's own words for `code`. */
const char *library_words(const struct library *l, nvmlReturn_t code);

/* Our code for one of NVML's. */
enum error_code library_code(nvmlReturn_t code);

/* Fills `err` with the formatted text and NVML's words, err->sys with its code, and returns the
 * negative of our code. */
FORMAT(4, 5) int library_error(const struct library *l, nvmlReturn_t code, struct error *err,
                               const char *fmt, ...);
