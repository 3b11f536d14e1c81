/* The command line of fetta-load. */
#pragma once

#include "load/serve.h"

struct options {
    const char *model, *device, *slice, *sharing; /* NULL: not given */
    double rate, service_ms;                      /* rate 0: max; service 0: not given */
    uint64_t memory, seed;
    int64_t length;
    unsigned batch, queue;
    bool json, list, help;
};

/* Reads the command line. -ERROR_INVALID. */
int options_parse(int argc, char **argv, struct options *ret, struct error *err);

/* What --help prints. */
extern const char options_help[];
