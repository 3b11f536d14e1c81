/* A page of memory that the emulated driver shares with its clients, read-only for them: the number
 * of the state the machine is in. While it stands, a client may keep the answers that it got under
 * it, without asking again. The page also tells of the driver's death, by any death. */
#pragma once

#include "emud/protocol.h"

#include <linux/futex.h>
#include <sys/types.h>

struct page {
    struct emu_page *shared; /* NULL: none; clients keep nothing */
    int fd;                  /* for clients, read-only; -1 */
    struct robust_list_head head; /* of the list that the kernel walks when we end; the one entry */
    struct robust_list entry;
};

/* Makes the page; *p must stay where it is. Without memory or a kernel that can, there is none. */
void page_open(struct page *p);
void page_close(struct page *p);

/* Something that a client may have kept has changed. */
void page_bump(struct page *p);

/* The number under which an answer may be kept now; 0: not at all. */
uint32_t page_number(const struct page *p);

/* Sends a reply with the page's descriptor along; as send(2), without waiting. */
ssize_t page_send(const struct page *p, int fd, const void *data, size_t size);
