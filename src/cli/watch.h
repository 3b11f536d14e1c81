/* Hearing that something about a lease changed, without waiting for it: a request of its own that
 * fettad answers when it is so. The answer is never read, only that it came; whoever hears it looks
 * at the lease afresh. So a daemon that goes away is one more reason to look. */
#pragma once

#include <stdint.h>

/* Asks to be told when lease `id` has another revision than `revision`. Returns a descriptor that
 * becomes readable then, or when fettad is gone; -1 when it cannot be asked now. */
int watch_lease(int64_t id, int64_t revision);
