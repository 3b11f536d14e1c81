/* Waiting by ppoll, so that a signal and the end of the driver are noticed at once. */
#include "load/pace.h"

#include "base/macro.h"
#include "base/time.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

int64_t pace_now(void)
{
    return time_boot();
}

enum pace_end pace_until(const struct pace *p, int64_t due, int *ret_signal)
{
    for (;;) {
        int64_t left = MAX(due - pace_now(), 0);
        struct timespec t = {.tv_sec = left / TIME_S, .tv_nsec = left % TIME_S};
        struct pollfd fds[] = {{.fd = p->driver, .events = POLLRDHUP},
                               {.fd = p->signals, .events = POLLIN}};
        struct signalfd_siginfo got;
        int n = ppoll(fds, ARRAY_LEN(fds), &t, NULL);
        if (n > 0 && fds[0].revents)
            return PACE_LOST;
        if (n > 0 && read(p->signals, &got, sizeof got) == sizeof got) {
            *ret_signal = (int)got.ssi_signo;
            return PACE_SIGNAL;
        }
        if (left == 0)
            return PACE_DUE;
    }
}
