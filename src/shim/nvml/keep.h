/* Answers that the library keeps: what the driver said may be kept, for as long as the page that it
 * shares says that nothing has changed and that it lives. */
#pragma once

#include "emud/protocol.h"

/* What a call is answered with. */
struct frame {
    struct emu_reply head;
    char data[EMU_DATA];
};

enum { KEEP_ENTRIES = 256, KEEP_DATA = 160 };

struct keep_entry {
    uint32_t era; /* of the connection; 0: empty */
    struct emu_reply head;
    uint64_t arg[NVML_MAX_PARAMS];
    char data[KEEP_DATA];
};

/* All zero: keeps nothing. */
struct keep {
    const struct emu_page *page; /* NULL: keep nothing */
    uint32_t era;
    struct keep_entry entries[KEEP_ENTRIES];
};

/* A new connection has brought the page (its descriptor, which is closed, or -1), or is over. */
void keep_start(struct keep *k, int fd);
void keep_stop(struct keep *k);

/* The kept answer to a request that has no text; false if there is none that stands. */
int keep_find(const struct keep *k, const struct emu_request *q, struct frame *ret);

/* Keeps an answer if the driver allows that and there is room. */
void keep_store(struct keep *k, const struct emu_request *q, const struct frame *f);
